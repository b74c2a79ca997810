"""Splits: which events a model is trained on, and which it is evaluated on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain, count as integers

import numpy as np

from studylib.data.sessions import CONTEXT, TEST, TRAIN, VALIDATION, Cases, Sessions, checksum
from studylib.errors import StudyError


@dataclass(frozen=True, eq=False)
class Split:
    """Training sessions, and validation and test cases, over one vocabulary.

    Every split is a labelling of the events: the events labelled `TRAIN` are the training sessions, and every event
    labelled `VALIDATION` or `TEST` that has an event before it in its session is a case.

    Attributes:
        kind: ``sessions``, ``leave-one-out``, ``temporal`` or ``given``.
        train: the training sessions.
        validation, test: the cases to select on and to evaluate on, over the vocabulary of ``train``.
        checksum: of the sessions and the labels of their events.
        final: where the source has separate validation sessions, the training sessions together with these: what a model whose
            settings are selected is trained on before the test. Else None: training is stopped by the validation cases.
        windows: where a model is trained anew for each of several windows in time, the split of each, from the earliest on. Then
            ``test`` has the cases of all of them, and ``train`` and ``validation`` are those of the first, which know nothing of
            any test case.
    """

    kind: str
    train: Sessions
    validation: Cases
    test: Cases
    checksum: str
    final: Sessions | None = None
    windows: tuple[Split, ...] = ()

    @property
    def trainings(self) -> tuple[Split, ...]:
        """What a model is trained and tested on, one after the other: each window, or the split itself."""
        return self.windows or (self,)

    def in_order(self, of_trainings: list[np.ndarray]) -> np.ndarray:
        """(n_cases, ...): what is known of the test cases of each of `trainings`, in the order of ``test``."""
        events = np.concatenate([training.test.events for training in self.trainings])
        return np.concatenate(of_trainings)[np.argsort(events)]

    @property
    def but_test(self) -> Sessions:
        """The whole sessions that have no test case, those of the validation cases too."""
        sessions = self.test.sessions
        return sessions.select(~np.isin(sessions.session_of_event, self.test.session))

    @property
    def learnt(self) -> Sessions:
        """The sessions that a model is trained on before it is evaluated on the test cases."""
        return self.train if self.final is None else self.final


def split_by_parts(kind: str, sessions: Sessions, parts: np.ndarray) -> Split:
    """Build the split that ``parts`` (uint8, (n_events,)) describes.

    Raises:
        StudyError: nothing is left to train on or to test.
    """
    has_prefix = np.ones(len(parts), dtype=bool)
    has_prefix[sessions.offsets[:-1]] = False
    candidates_of = sessions.given.candidates if sessions.given and kind == "given" else {}

    def cases(part: int) -> Cases:
        candidates = candidates_of.get(part)
        if candidates is not None:
            candidates = candidates[has_prefix[parts == part]]
        return Cases(sessions, np.flatnonzero((parts == part) & has_prefix), candidates)

    train, test = sessions.select(parts == TRAIN), cases(TEST)
    if not len(train) or not len(test):
        raise StudyError(
            f"The split '{kind}' of {len(sessions):,} sessions leaves {len(train):,} to train on and {len(test):,} "
            "cases to test: use more sessions or another split."
        )
    final = _final(sessions, parts) if kind == "given" else None
    return Split(kind, train, cases(VALIDATION), test, checksum(sessions.items, sessions.offsets, parts), final)


def _final(sessions: Sessions, parts: np.ndarray) -> Sessions | None:
    """The training and validation sessions, where no session has events of both parts; else None."""
    in_train, in_validation = (
        np.add.reduceat(parts == part, sessions.offsets[:-1]) > 0 for part in (TRAIN, VALIDATION)
    )
    if not in_validation.any() or (in_train & in_validation).any():
        return None
    return sessions.select((parts == TRAIN) | (parts == VALIDATION))


def split_sessions(sessions: Sessions, test_fraction: float, seed: int, validation_fraction: float = 0.1) -> Split:
    """Whole sessions at random; the last item of a held-out session is its target.

    Toledo & Rezende 2020, section 2 (80 % and 20 %). ``validation_fraction`` of the other sessions are held out for
    selection.
    """
    order = np.random.default_rng(seed).permutation(len(sessions))
    n_test = math.ceil(round(test_fraction * len(sessions), 6))  # as scikit-learn; rounded, for 0.1 * 30 is not 3
    n_validation = math.ceil(round(validation_fraction * (len(sessions) - n_test), 6))
    parts = np.full(len(sessions.items), TRAIN, dtype=np.uint8)
    for held, part in ((order[:n_test], TEST), (order[n_test : n_test + n_validation], VALIDATION)):
        held_out = np.zeros(len(sessions), dtype=bool)
        held_out[held] = True
        parts[np.repeat(held_out, sessions.lengths)] = CONTEXT
        parts[sessions.offsets[1:][held_out] - 1] = part
    return split_by_parts("sessions", sessions, parts)


def leave_one_out(sessions: Sessions) -> Split:
    """The last event of every session for test, the one before it for validation (Shrimal & Patil 2024, section 4.1).

    A session of two events has no validation case, so that every session has an event in training.
    """
    parts = np.full(len(sessions.items), TRAIN, dtype=np.uint8)
    parts[sessions.offsets[1:] - 1] = TEST
    parts[(sessions.offsets[1:] - 2)[sessions.lengths > 2]] = VALIDATION
    return split_by_parts("leave-one-out", sessions, parts)


def split_by_time(sessions: Sessions, test_fraction: float, windows: int = 1) -> Split:
    """One global point in time: events at or after it are for test; the same share of events before it is for validation.

    Args:
        test_fraction: the share of all events that is for test; of several windows, for the test of each.
        windows: the last so many shares of ``test_fraction`` are each a test, by models that are trained anew on what came
            before it: the split has `Split.windows`.

    Raises:
        StudyError: the sessions have no times, or a window has no case.
    """
    if sessions.times is None:
        raise StudyError("The split 'temporal' needs times: name the log's column 'time', or use 'leave-one-out'.")
    shares = [1 - ends * test_fraction for ends in range(windows + 1, 0, -1)]
    times = sessions.times
    starts = np.quantile(times, shares, method="higher")

    def window(validation_start: float, test_start: float, test_end: float) -> Split:
        parts = np.full(len(times), TRAIN, dtype=np.uint8)
        parts[times >= validation_start] = VALIDATION
        parts[times >= test_start] = TEST
        parts[times >= test_end] = CONTEXT
        return split_by_parts("temporal", sessions, parts)

    return _rolling([window(*points) for points in zip(starts[:-1], starts[1:], [*starts[2:], np.inf], strict=True)])


def _rolling(windows: list[Split]) -> Split:
    """The windows of one log as one split; a single one is a split as any other."""
    if len(windows) == 1:
        return windows[0]
    first = windows[0]
    joined = replace(
        first,
        kind=f"{first.kind}, {len(windows)} windows",
        checksum=checksum(*(window.checksum.encode() for window in windows)),
        windows=tuple(windows),
    )
    events = joined.in_order([window.test.events for window in windows])
    drawn = [window.test.candidates for window in windows]
    candidates = None if any(c is None for c in drawn) else joined.in_order([c for c in drawn if c is not None])
    return replace(joined, test=Cases(first.test.sessions, events, candidates))


def split_as_given(sessions: Sessions) -> Split:
    """The split that comes with the source.

    Raises:
        StudyError: the source has none.
    """
    if sessions.given is None:
        raise StudyError("The split 'given' needs a source with a split of its own: use 'leave-one-out' or 'temporal'.")
    return split_by_parts("given", sessions, sessions.given.parts)


def draw_candidates(cases: Cases, count: int, random: np.random.RandomState) -> np.ndarray:
    """Draw ``count`` negatives for each case, uniformly over the items that its whole session does not contain.

    This is the procedure that ReChorus documents for its Grocery data: cases in the order of time and session, all
    negatives at once, then each that the user has consumed is resampled until it is new. With `RandomState(0)`, test
    before validation, the result is ReChorus's candidates.

    Returns:
        int32 (n_cases, count).

    Raises:
        StudyError: a session contains every item.
    """
    sessions, session = cases.sessions, cases.session
    n_items = sessions.n_items
    consumed = np.unique(sessions.session_of_event.astype(np.int64) * n_items + sessions.items)
    if np.bincount(consumed // n_items).max() == n_items:
        raise StudyError(f"A session contains all {n_items} items, so that it has no negatives to be ranked among.")
    times = sessions.times[cases.events] if sessions.times is not None else np.zeros(len(cases))
    order = np.lexsort((session, times))
    drawn = random.randint(0, n_items, (len(cases), count))
    keys = session[order, None] * n_items + drawn
    rejected = np.nonzero(_contains(consumed, keys))
    drawn[rejected] = _drawn_again((keys - drawn)[rejected], n_items, set(consumed.tolist()), random)
    candidates = np.empty_like(drawn, dtype=np.int32)
    candidates[order] = drawn
    return candidates


def _drawn_again(first_keys: np.ndarray, n_items: int, consumed: set[int], random: np.random.RandomState) -> list[int]:
    """For each session, by the key of its first item, one item that it does not contain, drawn until it is new.

    The numbers are those that ``random`` gives one by one, and so is its state at the end: they are drawn in blocks, because
    calls for single numbers would take most of the time, and then as many as were taken once more.
    """
    state, taken, items = random.get_state(), 0, []
    numbers = chain.from_iterable(random.randint(0, n_items, 65_536).tolist() for _ in integers())
    for first in first_keys.tolist():
        for item in numbers:
            taken += 1
            if first + item not in consumed:
                items.append(item)
                break
    random.set_state(state)
    random.randint(0, n_items, taken)
    return items


def _contains(ascending: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """bool, of the shape of ``keys``: which of them are in the sorted array ``ascending``."""
    position = np.searchsorted(ascending, keys)
    return ascending[np.minimum(position, len(ascending) - 1)] == keys


def with_candidates(split: Split, count: int, seed: int) -> Split:
    """The split with ``count`` candidates per case, drawn once per data set and seed unless the source has as many."""
    random = np.random.RandomState(seed)  # the generator of ReChorus's documented procedure

    def drawn(training: Split) -> Split:
        candidates = training.test.candidates
        if candidates is not None and candidates.shape[1] == count:
            return training
        test = Cases(training.test.sessions, training.test.events, draw_candidates(training.test, count, random))
        validation = training.validation
        if len(validation):
            negatives = draw_candidates(validation, count, random)
            validation = Cases(validation.sessions, validation.events, negatives)
        return replace(training, validation=validation, test=test)

    return _rolling([drawn(training) for training in split.trainings])
