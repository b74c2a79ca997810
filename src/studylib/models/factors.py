"""Matrix factorisation: a vector for each item, learnt from which sessions contain it, not from the order of events."""

from __future__ import annotations

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy import sparse

from studylib.data.sessions import Cases, Sessions
from studylib.evaluation.ranking import validation_ndcg
from studylib.models.base import Recommender
from studylib.models.neighbours import incidence
from studylib.params.models import Bpr
from studylib.progress import track


class BPR(Recommender):
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009), as the library `implicit` trains it.

    A training session takes the place of a user. Session factors are learnt for training sessions alone, so every prefix, of
    a training session or of a new one, is folded in: its factors are the mean of those of its items, times ``fold_in``,
    because the factors of single items are smaller than those of sessions. Early stopping evaluates validation NDCG@10 every
    `ROUND` epochs, and the best factors are kept.

    Args:
        history: how many of the last events a prediction is based on, for early stopping.
        seed: of the initial factors and the sampled pairs.
        settings: those of `studylib.params.models.Bpr`, which has their meanings and defaults.

    Example:
        >>> BPR(factors=32).settings.learning_rate
        0.1
    """

    settings_class = Bpr
    settings: Bpr

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        settings = self.settings
        sessions = sparse.csr_matrix(incidence(train), dtype=np.float32)
        trainer = BayesianPersonalizedRanking(
            factors=settings.factors,
            learning_rate=settings.learning_rate,
            regularization=settings.l2,
            iterations=ROUND,
            num_threads=1,  # with more, threads overwrite each other's updates in an order that is never the same
            random_state=np.random.default_rng(self.seed),  # a generator goes on from round to round
        )
        best_value, best, best_epoch = -1.0, None, 0
        self.curve: list[dict[str, float]] = []
        for epoch in track(range(ROUND, settings.max_epochs + 1, ROUND), "BPR, epochs at most"):
            trainer.fit(sessions, show_progress=False)
            self.items, self.bias = trainer.item_factors[:, :-1], trainer.item_factors[:, -1]
            self.epochs = epoch
            if validation is None or not len(validation):
                continue
            value = validation_ndcg(self, validation, self.history, settings.validation)
            self.curve.append({"epoch": epoch, "validation_ndcg@10": value})
            if value > best_value:
                best_value, best, best_epoch = value, (self.items.copy(), self.bias.copy()), epoch
            elif epoch - best_epoch >= settings.patience:
                break
        if best is not None:
            self.items, self.bias = best
        self.parameters = trainer.item_factors.size + trainer.user_factors[:, :-1].size

    def score(self, prefixes: Sessions) -> np.ndarray:
        share = np.repeat(1 / prefixes.lengths, prefixes.lengths).astype(np.float32)
        mean = (
            sparse.csr_array((share, prefixes.items, prefixes.offsets), (len(prefixes), prefixes.n_items)) @ self.items
        )
        return self.settings.fold_in * (mean @ self.items.T) + self.bias

    def state(self) -> dict[str, np.ndarray]:
        """The items' factors and biases."""
        return {"items": self.items, "bias": self.bias}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Load what `state` returned."""
        self.items, self.bias = state["items"], state["bias"]
        n_items = len(self.popularity)
        if self.items.shape != (n_items, self.settings.factors) or self.bias.shape != (n_items,):
            raise ValueError("the factors are not those of the catalogue")


ROUND = 10
"""Epochs between two evaluations of the validation cases."""
