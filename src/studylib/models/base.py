"""`Recommender`, the one interface of all models."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np

from studylib.data.sessions import Cases, Sessions


class Recommender(ABC):
    """A model that scores every item of the vocabulary as the next of a session.

    Attributes after `fit`:
        vocabulary: (n_items,), the ids of the source.
        popularity: int64 (n_items,), visits in the training sessions.
        parameters: how many numbers were learnt.
        epochs: passes over the training sessions.
        train_seconds: wall time of `fit`.
    """

    vocabulary: np.ndarray
    popularity: np.ndarray
    parameters: int = 0
    epochs: int = 1
    train_seconds: float = 0.0

    def fit(self, train: Sessions, validation: Cases | None = None) -> Self:
        """Learn from the training sessions; ``validation`` cases are for early stopping alone."""
        started = time.perf_counter()
        self.vocabulary = train.vocabulary
        self.popularity = np.bincount(train.items, minlength=train.n_items)
        self._fit(train, validation)
        self.train_seconds = time.perf_counter() - started
        return self

    @abstractmethod
    def _fit(self, train: Sessions, validation: Cases | None) -> None: ...

    @abstractmethod
    def score(self, prefixes: Sessions) -> np.ndarray:
        """float (n, n_items): the higher, the likelier the item comes next. Only the order within a row has a meaning.

        Args:
            prefixes: one session a row, over the vocabulary that the model was fitted on.
        """

    def recommend(self, session: Sequence, k: int = 10, exclude_visited: bool = True) -> list:
        """The ``k`` items likeliest to come next, as ids of the source, best first.

        Args:
            session: ids of the source in the order of the visits. Unknown ids are left out with a warning; where none is
                left, the most popular items are recommended.
            exclude_visited: leave out what the session contains.

        Example:
            >>> from studylib.models.baselines import Popularity
            >>> Popularity().fit(Sessions.from_lists([["a", "b"], ["b", "c"]])).recommend(["b"], k=1)
            ['a']
        """
        index = {str(item): i for i, item in enumerate(self.vocabulary.tolist())}
        known = [index[str(item)] for item in session if str(item) in index]
        if len(known) < len(session):
            unknown = [str(item) for item in session if str(item) not in index]
            rest = "" if known else "; the most popular items are recommended instead"
            warnings.warn(f"left out, never seen in training: {', '.join(unknown)}{rest}", stacklevel=2)
        if known:
            items = np.array(known, np.int32)
            scores = self.score(Sessions(items, np.array([0, len(items)]), self.vocabulary))[0].astype(np.float64)
        else:
            scores = self.popularity.astype(np.float64)
        if exclude_visited:
            scores[known] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return self.vocabulary[best[scores[best] > -np.inf]].tolist()
