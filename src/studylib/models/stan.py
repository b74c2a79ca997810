"""STAN: past sessions that share items with the current one, by how late in it, how long ago and how near in the past session."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from studylib.data.sessions import Cases, Sessions
from studylib.models.csr import checked_csr
from studylib.models.neighbours import Neighbours, latest_events, latest_shared, nearest, steps_from_end
from studylib.params.models import Stan

DAY = 86400.0
MOST_EVENTS = 4_000_000
"""So many events of neighbours are scored at once."""


class STAN(Neighbours):
    """Sequence and time aware neighbourhood (Garg et al. 2019), with the weight of rare items of V-STAN (Ludewig et al. 2021).

    The similarity of a past session is the sum over the shared items of exp(-(steps before the last event) / ``recent``), over
    the square roots of both lengths, times exp(-age / ``days``), where its age is that at the end of the training sessions: a
    prefix has no time of its own. An item of one of the ``neighbours`` most similar sessions scores its similarity times
    exp(-(distance from the latest item that it shares with the prefix) / ``near``), summed over the neighbours, times
    1 + ``idf`` · log(sessions / sessions with the item). An item counts where it is last in a past session. Items of no neighbour
    follow by popularity. Sessions without times count as ordered in time, and as of one age.

    Args:
        settings: those of `studylib.params.models.Stan`, which has their meanings and defaults.

    Example:
        >>> STAN().fit(Sessions.from_lists([["a", "b", "c"], ["c", "b", "d"], ["a", "d"]])).recommend(["b"], k=1)
        ['c']
    """

    settings_class = Stan
    settings: Stan

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        if train.times is None:
            ages, order = np.zeros(len(train)), np.arange(len(train))[::-1]
        else:
            ages = (train.times.max(initial=-np.inf) - train.times[train.offsets[1:] - 1]) / DAY
            order = np.argsort(ages, kind="stable")
        latest = latest_events(train)
        places = (latest - train.offsets[train.session_of_event[latest]] + 1).astype(np.float64)
        where = (train.session_of_event[latest], train.items[latest])
        self._keep(sparse.csr_array((places, where), (len(train), train.n_items))[order], ages[order])
        self.parameters = self.places.nnz + len(self.ages)

    def _keep(self, places: sparse.csr_array, ages: np.ndarray) -> None:
        """Keep where each item is in the past sessions, the most recent first, and what scoring takes from them."""
        places.sort_indices()
        self.places, self.ages = places, ages
        occurs = sparse.csr_array((np.ones(places.nnz), places.indices, places.indptr), places.shape)
        self.item_weights = 1 + self.settings.idf * np.log(len(ages) / np.maximum(occurs.sum(0), 1))
        self.sessions_of_item = occurs.T.tocsr()
        # Ages are counted from the most recent session, so that no weight is zero where all are old.
        recency = np.exp(-(ages - ages.min(initial=np.inf)) / self.settings.days)
        self.weights = recency / np.sqrt(np.maximum(np.diff(places.indptr), 1))
        rows = np.repeat(np.arange(len(ages)), np.diff(places.indptr))
        self.keys = rows * places.shape[1] + places.indices

    def score(self, prefixes: Sessions) -> np.ndarray:
        latest = latest_events(prefixes)
        row = prefixes.session_of_event[latest]
        weights = np.exp(-(steps_from_end(prefixes)[latest] - 1) / self.settings.recent) / np.sqrt(
            prefixes.lengths[row]
        )
        shape = (len(prefixes), prefixes.n_items)
        similarity = sparse.csr_array((weights, (row, prefixes.items[latest])), shape) @ self.sessions_of_item
        similarity.sort_indices()
        similarity.data *= self.weights[similarity.indices]
        row, event = nearest(similarity, self.settings.sample, self.settings.neighbours)
        session = similarity.indices[event]
        step = latest_shared(prefixes, self.sessions_of_item)[event]
        shared = prefixes.items[prefixes.offsets[row + 1] - step]
        place = self.places.data[np.searchsorted(self.keys, session * prefixes.n_items + shared)]

        scores = np.zeros(shape)
        lengths = np.diff(self.places.indptr)[session]
        ends = np.cumsum(lengths)
        # Every item of every neighbour: in parts, for long sessions have many.
        starts = np.unique(np.searchsorted(ends, np.arange(0, lengths.sum(), MOST_EVENTS)))
        for of in map(slice, starts, [*starts[1:], len(row)]):
            events = np.repeat(self.places.indptr[session[of]] - (ends[of] - lengths[of]), lengths[of])
            events += np.arange(len(events)) + ends[of][0] - lengths[of][0]
            distance = np.abs(self.places.data[events] - np.repeat(place[of], lengths[of]))
            weight = np.repeat(similarity.data[event[of]], lengths[of]) * np.exp(-distance / self.settings.near)
            where = np.repeat(row[of], lengths[of]) * shape[1] + self.places.indices[events]
            scores += np.bincount(where, weight, scores.size).reshape(shape)
        return self._ordered(scores * self.item_weights)

    def state(self) -> dict[str, np.ndarray]:
        """The past sessions, the most recent first: where each item is in each of them (CSR), and their ages in days."""
        places = self.places
        return {"places": places.data, "items": places.indices, "offsets": places.indptr, "ages": self.ages}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Load what `state` returned."""
        places = checked_csr(state["places"], state["items"], state["offsets"], len(self.popularity))
        if state["ages"].shape != (places.shape[0],):
            raise ValueError("there is not one age for each session")
        self._keep(places, state["ages"])
