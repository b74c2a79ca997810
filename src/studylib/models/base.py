"""`Recommender`, the one interface of all models."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
import torch

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError, brief, nearest, quoted, sentence
from studylib.params.files import validated
from studylib.params.models import ModelParams


class Recommender(ABC):
    """A model that scores every item of the catalogue as the next of a session.

    Args:
        history: how many of the last events a prediction is based on.
        seed: of everything random in the training.
        device: ``auto``, ``cpu`` or ``cuda``, for models that can use either.
        settings: those of ``settings_class``, which has their meanings and defaults.

    Attributes:
        version: raised whenever a change of the code changes the model's numbers, so that kept results are trained again.
        settings_class: the model's entry in `studylib.params.models`.
        settings: the entry of ``ranking.models`` that it was built from.
        exclude_visited: whether the items of a prefix are left out of the list when validation cases are ranked; None: where
            no training session contains an item twice.

    Attributes after `fit`:
        vocabulary: (n_items,), the ids of the source.
        popularity: int64 (n_items,), events in the training sessions.
        has_repeats: whether any training session contains an item twice.
        trained_on: checksum of the training sessions.
        parameters: how many numbers were learnt or, by a baseline, counted.
        epochs: passes over the training sessions.
        train_seconds: wall time of `fit`, in seconds.
    """

    version: ClassVar[int] = 5
    settings_class: ClassVar[type[ModelParams]]
    exclude_visited: bool | None = None
    vocabulary: np.ndarray
    popularity: np.ndarray
    has_repeats: bool = True
    trained_on: str
    parameters: int = 0
    epochs: int = 1
    train_seconds: float = 0.0

    def __init__(self, history: int = 20, seed: int = 0, device: str = "auto", **settings):
        name, known = type(self).__name__, {"history", "seed", "device", *self.settings_class.model_fields} - {"model"}
        if unknown := sorted(settings.keys() - known):
            raise StudyError(sentence(name, f"has no setting {quoted(unknown[0], 40)}{nearest(unknown[0], known)}"))
        self.settings: ModelParams = validated(self.settings_class, settings, name)
        self.history, self.seed, self.device = history, seed, device

    def fit(self, train: Sessions, validation: Cases | None = None) -> Self:
        """Train on the training sessions.

        Args:
            train: a log, as `studylib.read` gives it, or the training sessions of a `Split`.
            validation: of the same catalogue, for early stopping alone. None: the training goes on for all its epochs.

        Raises:
            StudyError: ``train`` is not `Sessions`.

        Example:
            >>> import pandas as pd, studylib as sl
            >>> from studylib.models.baselines import Popularity
            >>> clicks = pd.DataFrame({"visitor": [1, 1, 2, 2], "url": ["/", "/cart", "/", "/shoes"]})
            >>> Popularity().fit(sl.read(clicks, user="visitor", item="url")).recommend(["/cart"], k=1)
            ['/']
        """
        if not isinstance(train, Sessions):
            raise StudyError(
                f"fit() takes a log, not {type(train).__name__!r}: fit(studylib.read(...)) reads one from a file or a DataFrame."
            )
        self.trained_on = train.checksum
        started = time.perf_counter()
        self.vocabulary = train.vocabulary
        self.popularity = np.bincount(train.items, minlength=train.n_items)
        self.has_repeats = train.has_repeats
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

    def state(self) -> dict[str, np.ndarray]:
        """The learnt arrays beside `popularity`, by name, for a model file (`studylib.models.files`).

        Raises:
            StudyError: the model cannot be kept in a file.
        """
        raise StudyError(f"A {type(self).__name__} cannot be kept in a model file; the models of `ranking.models` can.")

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Load what `state` returned into a model with the same settings, `vocabulary` and `popularity`.

        Raises:
            KeyError, ValueError, RuntimeError: an array is missing or has another shape.
        """
        raise StudyError(f"A {type(self).__name__} cannot be kept in a model file; the models of `ranking.models` can.")

    def recommend(self, sessions: Sequence, k: int = 10, exclude_visited: bool = True) -> list:
        """The ``k`` items with the highest scores, as ids of the source, best first; ties in the order of the vocabulary.

        Args:
            sessions: one session, its ids of the source in the order of the events, or a list of sessions. Unknown ids are
                left out with one warning that counts them; a session without a known id gets the most popular items
                (and so does an empty list, which is one session without events).
            k: the length of the lists; they are shorter where fewer items are left.
            exclude_visited: leave out the items of the session.

        Returns:
            A list of ids for one session, a list of such lists for many.

        Raises:
            StudyError: ``k`` is less than 1.

        Example:
            >>> from studylib.models.baselines import Popularity
            >>> model = Popularity().fit(Sessions.from_lists([["a", "b"], ["b", "c"]]))
            >>> model.recommend(["b"], k=1), model.recommend([["b"], ["a", "c"]], k=2)
            (['a'], [['a', 'c'], ['b']])
        """
        if k < 1:
            raise StudyError(f"{k} items cannot be recommended: 'k' must be at least 1.")
        one = not isinstance(next(iter(sessions), None), list | tuple | np.ndarray)
        known = self._known([sessions] if one else sessions)
        lengths = np.array([len(items) for items in known])
        popular = best_items(self.popularity[None].astype(np.float64), k)[0]
        lists = [popular] * len(known)
        # Sessions of similar length together, so that little padding is scored.
        rows = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :]
        batch = max(1, min(256, 8_000_000 // len(self.vocabulary)))
        for start in range(0, len(rows), batch):
            batch_rows = rows[start : start + batch]
            offsets = np.concatenate([[0], np.cumsum(lengths[batch_rows])])
            prefixes = Sessions(np.concatenate([known[row] for row in batch_rows]), offsets, self.vocabulary)
            scores = np.array(self.score(prefixes))
            if np.isnan(scores.min()):
                scores[np.isnan(scores)] = -np.inf
            if exclude_visited:
                scores[prefixes.session_of_event, prefixes.items] = -np.inf
            for row, items in zip(batch_rows, best_items(scores, k), strict=True):
                lists[row] = items
        ids = [self.vocabulary[items].tolist() for items in lists]
        return ids[0] if one else ids

    @property
    def index_of(self) -> dict[str, int]:
        """The index in the vocabulary of each id, as text."""
        if getattr(self, "_indexed", None) is not self.vocabulary:
            self._indexed = self.vocabulary
            self._index_of = {str(item): index for index, item in enumerate(self.vocabulary.tolist())}
        return self._index_of

    def _known(self, sessions: Sequence[Sequence]) -> list[np.ndarray]:
        """int32 (length,) for each session: the indices of the ids that are in the vocabulary. Warns of the others."""
        index_of = self.index_of
        known, unknown, without = [], [], 0
        for session in sessions:
            items = [index_of.get(str(item), -1) for item in session]
            if -1 in items:
                unknown += [str(item) for item, i in zip(session, items, strict=True) if i < 0]
                items = [i for i in items if i >= 0]
                without += not items
            known.append(np.array(items, np.int32))
        if unknown:
            distinct = list(dict.fromkeys(unknown))
            message = "1 event was" if len(unknown) == 1 else f"{len(unknown):,} events were"
            message += f" left out, never seen in training: {', '.join(brief(item, 30) for item in distinct[:5])}"
            if len(distinct) > 5:
                message += f" and {len(distinct) - 5:,} more"
            if without:
                to = f"to {without:,} of {len(sessions):,} sessions" if len(sessions) > 1 else "instead"
                message += f"; the most popular items are recommended {to}"
            warnings.warn(message, stacklevel=3)
        return known


def best_items(scores: np.ndarray, k: int) -> list[np.ndarray]:
    """int64 (at most k,) for each row: the columns of the highest scores, best first, and ties in ascending order.

    A score of minus infinity is never among them.

    Args:
        scores: float (n, n_items), without a score that is not a number.
    """
    least = torch.from_numpy(scores).topk(min(k, scores.shape[1])).values[:, -1:].numpy()
    least = np.maximum(least, np.finfo(scores.dtype).min)
    row, column = np.divmod(np.flatnonzero(scores >= least), scores.shape[1])
    order = np.lexsort((-scores[row, column], row))  # stable, so that ties keep their order
    ends = np.searchsorted(row, np.arange(len(scores) + 1))
    return [column[order[start:end][:k]] for start, end in pairwise(ends)]
