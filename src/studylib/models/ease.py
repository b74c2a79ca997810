"""EASE: an item's score is linear in the items of the session, with the weights of one ridge regression for all items."""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.models.base import Recommender
from studylib.models.neighbours import incidence, steps_from_end
from studylib.params.models import Ease

MOST_ITEMS = 40_000
"""Of a catalogue: the weights of so many take 6 GB, and three times as much while they are computed."""
ROWS = 1000
"""Of the weights that are computed at once: more would take memory and save no time."""


class EASE(Recommender):
    """EASE (Steck 2019): sessions times weights is closest to the sessions themselves, where no item has a weight for itself.

    In closed form the weights are the inverse of the items' Gram matrix, each column over minus its diagonal (equation 8).
    The events of a prefix weigh less the longer ago they are, as for item-kNN.

    Args:
        settings: those of `studylib.params.models.Ease`, which has their meanings and defaults.

    Example:
        >>> EASE(l2=1).fit(Sessions.from_lists([["a", "b"], ["b", "c"], ["b", "c"]])).recommend(["c"], k=1)
        ['b']
    """

    settings_class = Ease
    settings: Ease

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        if train.n_items > MOST_ITEMS:
            raise StudyError(
                f"EASE keeps a weight for every two items, and {train.n_items:,} items are more than {MOST_ITEMS:,}: leave it "
                "out, or filter the log ('k_core')."
            )
        occurs = incidence(train)
        # Fortran's order, so that LAPACK works in place: of many items there is room for one such array and its weights.
        gram = (occurs.T @ occurs).toarray(order="F")
        gram[np.diag_indices_from(gram)] += self.settings.l2
        factor = linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
        # The inverse is symmetric; what LAPACK returns is zero above the diagonal.
        half, _ = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
        self.weights = np.empty(half.shape, np.float32)
        for start in range(0, len(half), ROWS):
            rows = slice(start, start + ROWS)
            self.weights[rows] = -(half[rows] + half[:, rows].T) / np.diag(half)
        self.weights[np.diag_indices_from(self.weights)] = 0
        self.parameters = self.weights.size - len(self.weights)

    def score(self, prefixes: Sessions) -> np.ndarray:
        shares = (self.settings.decay ** (steps_from_end(prefixes) - 1.0)).astype(np.float32)
        weighted = sparse.csr_array((shares, prefixes.items, prefixes.offsets), (len(prefixes), prefixes.n_items))
        return weighted @ self.weights

    def state(self) -> dict[str, np.ndarray]:
        """The weights of every two items."""
        return {"weights": self.weights}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Load what `state` returned."""
        self.weights = state["weights"]
        n_items = len(self.popularity)
        if self.weights.shape != (n_items, n_items) or self.weights.dtype != np.float32:
            raise ValueError("the weights are not those of the catalogue")
