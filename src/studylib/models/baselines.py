"""The simplest non-neural baselines: popularity and a first-order Markov chain."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from studylib.data.sessions import Cases, Sessions
from studylib.models.base import Recommender
from studylib.models.csr import checked_csr
from studylib.params import models as entries


class Popularity(Recommender):
    """Items by their number of events in training, whatever the session."""

    settings_class = entries.Popularity
    memory = 1

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        self.parameters = train.n_items

    def score(self, prefixes: Sessions) -> np.ndarray:
        return np.tile(self.popularity.astype(np.float32), (len(prefixes), 1))

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        pass


class Markov(Recommender):
    """First-order Markov chain: items by how often they followed the last one in training; popularity breaks ties."""

    settings_class = entries.Markov
    memory = 1

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        follows = np.ones(len(train.items), dtype=bool)
        follows[train.offsets[:-1]] = False
        now = np.flatnonzero(follows)
        pairs = (np.ones(len(now)), (train.items[now - 1], train.items[now]))
        self.transitions = sparse.coo_array(pairs, shape=(train.n_items, train.n_items)).tocsr()
        self.parameters = self.transitions.nnz

    def score(self, prefixes: Sessions) -> np.ndarray:
        tie_breaker = self.popularity / (self.popularity.sum() + 1)
        return self.transitions[prefixes.items[prefixes.offsets[1:] - 1]].toarray() + tie_breaker

    def state(self) -> dict[str, np.ndarray]:
        counts = self.transitions
        return {"counts": counts.data, "following": counts.indices, "rows": counts.indptr}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        n_items = len(self.popularity)
        self.transitions = checked_csr(state["counts"], state["following"], state["rows"], n_items)
        if self.transitions.shape[0] != n_items:
            raise ValueError("the transitions are not those of the catalogue")
