"""`Recommender`, the one interface of all models."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError, brief, nearest, quoted, sentence
from studylib.models.frames import of_lists, sessions_of
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
        memory: how many of the last events of a prefix its scores depend on; None: on all that it sees.

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
    memory: int | None = None
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

    def recommend(self, sessions: Sequence, k: int = 10, exclude_visited: bool = True, scores: bool = False) -> list:
        """The ``k`` items with the highest scores, as ids of the source, best first; ties in the order of the vocabulary.

        Args:
            sessions: one session, its ids of the source in the order of the events, or a list of sessions. Unknown ids are
                left out with one warning that counts them; a session without a known id gets the most popular items
                (and so does an empty list, which is one session without events).
            k: the length of the lists; they are shorter where fewer items are left.
            exclude_visited: leave out the items of the session.
            scores: give pairs of an id and its score. Scores are those of `score` and have a meaning only within one list;
                those of the most popular items are their numbers of events.

        Returns:
            A list of ids, or of pairs (id, float), for one session; a list of such lists for many.

        Raises:
            StudyError: ``k`` is less than 1, or what is given is no session.

        Example:
            >>> from studylib.models.baselines import Popularity
            >>> model = Popularity().fit(Sessions.from_lists([["a", "b"], ["b", "c"]]))
            >>> model.recommend(["b"], k=1), model.recommend([["b"], ["a", "c"]], k=2)
            (['a'], [['a', 'c'], ['b']])
            >>> model.recommend(["a"], k=2, scores=True)
            [('b', 2.0), ('c', 1.0)]
        """
        if hasattr(sessions, "columns"):
            raise StudyError("A table of events is no session: give it to recommend_many().")
        _refuse_no_session(sessions)
        one = not isinstance(next(iter(sessions), None), list | tuple | np.ndarray)
        lists = []
        for items, values in self._best([sessions] if one else sessions, k, exclude_visited):
            ids = self.vocabulary[items].tolist()
            lists.append(list(zip(ids, values.tolist(), strict=True)) if scores else ids)
        return lists[0] if one else lists

    def recommend_many(
        self,
        frame: Any,
        user: str = "user",
        item: str = "item",
        time: str | None = None,
        k: int = 10,
        exclude_visited: bool = True,
    ) -> Any:
        """`recommend` for every user of a table of events.

        Args:
            frame: a pandas or polars DataFrame, one event a row. Rows without a user, an item or a time are left out with a
                warning that counts them.
            user, item, time: its columns; without ``time`` a user's events are in the order of the rows.
            k, exclude_visited: as in `recommend`.

        Returns:
            A DataFrame of the same kind: the column of the users in the order of their first events, ``item``, ``rank`` (from
            1 on) and ``score``.

        Raises:
            StudyError: ``k`` is less than 1, or it is no such table; the message names the column.

        Example:
            >>> import polars as pl
            >>> from studylib.models.baselines import Popularity
            >>> model = Popularity().fit(Sessions.from_lists([["a", "b"], ["b", "c"]]))
            >>> model.recommend_many(pl.DataFrame({"user": [7, 8], "item": ["b", "a"]}), k=1).rows()
            [(7, 'a', 1, 1.0), (8, 'b', 1, 2.0)]
        """
        users, sessions = sessions_of(frame, user, item, time)
        return of_lists(frame, user, users, self._best(sessions, k, exclude_visited), self.vocabulary)

    def _best(self, sessions: Sequence, k: int, exclude_visited: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each session the indices of its items, best first, int64 (at most k,), and their scores, float (as many,)."""
        if k < 1:
            raise StudyError(f"{k} items cannot be recommended: 'k' must be at least 1.")
        known = self._known(sessions)
        lengths = np.array([len(items) for items in known], np.int64)
        events = self.popularity.astype(np.float64)
        popular = best_items(events[None], k)[0]
        best = [(popular, events[popular])] * len(known)
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
            for row, of_row, items in zip(batch_rows, scores, best_items(scores, k), strict=True):
                best[row] = items, of_row[items]
        return best

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
            _refuse_no_session(session)
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
            warnings.warn(message, stacklevel=4)  # where recommend() is called
        return known


def _refuse_no_session(session: object) -> None:
    """A text is a sequence, too, of its letters."""
    if isinstance(session, str | bytes):
        raise StudyError(
            f"{quoted(session, 40)} is one id, not a session: put it into a list, such as [{quoted(session, 40)}]."
        )
    if not isinstance(session, Iterable):
        raise StudyError(f"{quoted(session, 40)} is not a session: give a list of ids, or a list of such lists.")


def best_items(scores: np.ndarray, k: int) -> list[np.ndarray]:
    """int64 (at most k,) for each row: the columns of the highest scores, best first, and ties in ascending order.

    A score of minus infinity is never among them.

    Args:
        scores: float (n, n_items), without a score that is not a number.
    """
    n, n_items = scores.shape
    # The k-th highest of the maxima of groups of columns is a bound that at least k scores reach, and few more.
    together = max(1, n_items // (100 * k))
    groups = n_items // together
    highest = scores[:, : groups * together].reshape(n, together, groups).max(1)
    least = np.partition(highest, -min(k, groups))[:, -min(k, groups)]
    least = np.maximum(least, np.finfo(scores.dtype).min)
    row, column = np.divmod(np.flatnonzero(scores >= least[:, None]), n_items)
    order = np.lexsort((-scores[row, column], row))  # stable, so that ties keep their order
    ends = np.searchsorted(row, np.arange(n + 1))
    return [column[order[start:end][:k]] for start, end in pairwise(ends)]
