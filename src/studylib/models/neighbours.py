"""Nearest neighbours: items that occur in the same sessions, and past sessions that share items with the current one."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from studylib.data.sessions import Cases, Sessions
from studylib.models.base import Recommender
from studylib.models.csr import checked_csr
from studylib.params.models import ItemKnn, SessionKnn


class Neighbours(Recommender):
    """What item-kNN and session-kNN share: items that no neighbour supports are ordered by popularity."""

    def _ordered(self, scores: np.ndarray) -> np.ndarray:
        """The scores, (n, n_items), with negative values that increase with popularity in place of zeros."""
        return np.where(scores > 0, scores, -1 / (1.0 + self.popularity))


class ItemKNN(Neighbours):
    """Items by their cosine similarity to those of the session (Hidasi et al. 2016, section 4.1; Sarwar et al. 2001).

    The similarity of two items is the number of sessions with both, over the geometric mean of the numbers of sessions with
    each, to which a constant is added (shrinkage) so that two rare items are not similar by one joint occurrence. The events
    of a prefix weigh less the longer ago they are. Items that are similar to none of the prefix follow by popularity.

    Args:
        settings: those of `studylib.params.models.ItemKnn`, which has their meanings and defaults.

    Example:
        >>> ItemKNN(decay=0).fit(Sessions.from_lists([["a", "b"], ["b", "c"], ["b", "c"]])).recommend(["b"], k=1)
        ['c']
    """

    settings_class = ItemKnn
    settings: ItemKnn

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        occurs = incidence(train)
        together = (occurs.T @ occurs).tocoo()
        sessions = together.diagonal() + self.settings.shrinkage
        apart = together.row != together.col
        row, column = together.row[apart], together.col[apart]
        similarity = together.data[apart] / np.sqrt(sessions[row] * sessions[column])
        self.similarity = sparse.csr_array((similarity, (row, column)), shape=together.shape)
        self.parameters = self.similarity.nnz

    def score(self, prefixes: Sessions) -> np.ndarray:
        weights = self.settings.decay ** (steps_from_end(prefixes) - 1.0)
        weighted = sparse.csr_array((weights, prefixes.items, prefixes.offsets), (len(prefixes), prefixes.n_items))
        return self._ordered((weighted @ self.similarity).toarray())

    def state(self) -> dict[str, np.ndarray]:
        """The learnt similarities, as the three arrays of a sparse matrix (CSR)."""
        similarity = self.similarity
        return {"data": similarity.data, "indices": similarity.indices, "indptr": similarity.indptr}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Load what `state` returned."""
        n_items = len(self.popularity)
        self.similarity = checked_csr(state["data"], state["indices"], state["indptr"], n_items)
        if self.similarity.shape[0] != n_items:
            raise ValueError("the similarities are not those of the catalogue")


class SessionKNN(Neighbours):
    """V-SKNN: items of the past sessions that are most similar to the current one (Ludewig & Jannach 2018, section 3.2).

    Of the ``sample`` most recent past sessions that share an item with the current one, the ``neighbours`` most similar are
    taken (of ties, the more recent). The similarity is the sum of the weights of the shared items, where an item of the
    current session weighs less the longer ago its event was, over the square root of the length of the past session if
    ``cosine``. An item scores the sum over the neighbours that contain it of their similarity, times the weight of the latest
    item that they share with the current session, times 1 + ``idf`` · log(sessions / sessions with the item). Items of no
    neighbour follow by popularity. Sessions without times count as ordered in time.

    Args:
        settings: those of `studylib.params.models.SessionKnn`, which has their meanings and defaults.

    Example:
        >>> SessionKNN().fit(Sessions.from_lists([["a", "b"], ["b", "c"], ["a", "d"]])).recommend(["c", "b"], k=2)
        ['a', 'd']
    """

    settings_class = SessionKnn
    settings: SessionKnn

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        last = train.offsets[1:] - 1
        ends = train.times[last] if train.times is not None else last
        self._keep(incidence(train)[np.argsort(-ends, kind="stable")])
        self.parameters = self.sessions.nnz

    def _keep(self, sessions: sparse.csr_array) -> None:
        """Keep the past sessions by items, the most recent first, and what scoring takes from them."""
        self.sessions = sessions
        containing = np.maximum(sessions.sum(0), 1)
        self.item_weights = 1 + self.settings.idf * np.log(sessions.shape[0] / containing)
        lengths = sessions.sum(1)
        self.sessions_of_item = sessions.T.tocsr()
        self.norm = np.sqrt(lengths) if self.settings.cosine else np.ones(len(lengths))

    def score(self, prefixes: Sessions) -> np.ndarray:
        shape = (len(prefixes), prefixes.n_items)
        steps, lengths = steps_from_end(prefixes), np.repeat(prefixes.lengths, prefixes.lengths)
        latest = latest_events(prefixes)
        where = (prefixes.session_of_event[latest], prefixes.items[latest])
        weights = WEIGHTS[self.settings.weighting](steps[latest], lengths[latest])
        similarity = sparse.csr_array((weights, where), shape) @ self.sessions_of_item
        similarity.sort_indices()
        similarity.data /= self.norm[similarity.indices]
        row, event = nearest(similarity, self.settings.sample, self.settings.neighbours)
        step = latest_shared(prefixes, self.sessions_of_item)[event]
        weight = similarity.data[event] * WEIGHTS[self.settings.score_weighting](step, prefixes.lengths[row])
        neighbours = sparse.csr_array((weight, (row, similarity.indices[event])), (len(prefixes), len(self.norm)))
        return self._ordered((neighbours @ self.sessions).toarray() * self.item_weights)

    def state(self) -> dict[str, np.ndarray]:
        """The past sessions, the most recent first, ``items`` and ``offsets`` as those of `Sessions`."""
        arrays = {"items": self.sessions.indices, "offsets": self.sessions.indptr}
        return {**arrays, "n_items": np.array(self.sessions.shape[1])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Load what `state` returned."""
        items, offsets = state["items"], state["offsets"]
        if state["n_items"].shape != () or state["n_items"] != len(self.popularity):
            raise ValueError("the sessions are not those of the catalogue")
        self._keep(checked_csr(np.ones(items.shape), items, offsets, len(self.popularity)))


WEIGHTS = {
    "equal": lambda step, length: np.ones(len(step)),
    "linear": lambda step, length: (length - step + 1) / length,
    "quadratic": lambda step, length: ((length - step + 1) / length) ** 2,
    "harmonic": lambda step, length: 1 / step,
}
"""Weight of an event that is ``step`` (1 for the last) from the end of a prefix of ``length`` events."""


def incidence(sessions: Sessions) -> sparse.csr_array:
    """float64 (n_sessions, n_items): 1 where a session contains an item."""
    pairs = np.unique(sessions.session_of_event.astype(np.int64) * sessions.n_items + sessions.items)
    shape = (len(sessions), sessions.n_items)
    return sparse.csr_array((np.ones(len(pairs)), np.divmod(pairs, sessions.n_items)), shape)


def steps_from_end(prefixes: Sessions) -> np.ndarray:
    """int64 (n_events,): 1 for the last event of its prefix, 2 for the one before it, and so on."""
    return np.repeat(prefixes.offsets[1:], prefixes.lengths) - np.arange(len(prefixes.items))


def latest_events(sessions: Sessions) -> np.ndarray:
    """int64 (n,): the positions of the last event of each item in each session, by session and item."""
    key = sessions.session_of_event.astype(np.int64) * sessions.n_items + sessions.items
    return len(key) - 1 - np.unique(key[::-1], return_index=True)[1]


def nearest(similarity: sparse.csr_array, sample: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the first ``sample`` past sessions that are similar to a prefix, the ``count`` most similar; of ties the first.

    Args:
        similarity: float64 (n_prefixes, n_sessions), with sorted indices.

    Returns:
        The prefix of each neighbour, and its place in the data of ``similarity``; both int64 (n,).
    """
    offsets = similarity.indptr
    n_sampled = np.minimum(np.diff(offsets), sample)
    column = np.arange(n_sampled.max(initial=0))
    sampled = column < n_sampled[:, None]
    similarities = np.full(sampled.shape, -np.inf)
    similarities[sampled] = similarity.data[(offsets[:-1, None] + column)[sampled]]
    # Rounded, because equal sums may differ in their last digit by the order of their terms.
    best = np.argsort(-similarities.round(9), axis=1, kind="stable")[:, :count]
    row, column = np.nonzero(np.take_along_axis(sampled, best, 1))
    return row, offsets[row] + best[row, column]


def latest_shared(prefixes: Sessions, sessions_of_item: sparse.csr_array) -> np.ndarray:
    """int64 (n,): how many steps from the end of a prefix is the latest item that it shares with a past session.

    For all pairs that share one, in the order of a product with ``sessions_of_item``, 1 where an item is in a past session.
    The step comes from a sum: of distinct powers of 1/4 the largest is more than all others.
    """
    latest = latest_events(prefixes)
    powers = 4.0 ** -np.minimum(steps_from_end(prefixes)[latest], 500)
    where = (prefixes.session_of_event[latest], prefixes.items[latest])
    shared = sparse.csr_array((powers, where), (len(prefixes), prefixes.n_items)) @ sessions_of_item
    shared.sort_indices()
    return (1 - np.frexp(shared.data)[1] + 1) // 2
