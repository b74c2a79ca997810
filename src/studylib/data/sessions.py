"""`Sessions`, the one data type of the study, with its filters, and `Cases`, what is predicted in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from studylib.errors import StudyError, quoted
from studylib.params.study import Log

TRAIN, VALIDATION, TEST, CONTEXT = range(4)
"""The part of a split that an event belongs to. A context event is only ever part of a prefix."""


@dataclass(frozen=True)
class Drop:
    """What one filter, or the reader, left out: the reason, and how many sessions and events.

    A reader leaves events out before the sessions are cut: its sessions are users of whom nothing is left.
    """

    reason: str
    sessions: int
    events: int


@dataclass(frozen=True, eq=False)
class Cutting:
    """How the events of users were cut into sessions (`sessionize.cut`).

    Attributes:
        how: in words, such as "after 30min without an event".
        users, sessions: how many there are.
        edges: float64 (n_bins + 1,), seconds: the bins of the gaps between two events of a user.
        gaps: int64 (n_bins,), how many are as long, and ``cuts``, at how many of these a session ended.
        busiest_share: the share of all events that the busiest 1 % of the users have.
    """

    how: str
    users: int
    sessions: int
    edges: np.ndarray
    gaps: np.ndarray
    cuts: np.ndarray
    busiest_share: float


@dataclass(frozen=True, eq=False)
class Given:
    """The split that a source brings along.

    Attributes:
        parts: uint8 (n_events,), `TRAIN`, `VALIDATION`, `TEST` or `CONTEXT` for each event.
        candidates: for `VALIDATION` and `TEST`, int32 (n, n_candidates): the negatives of the n events of that
            part in the order of the events. Empty where the source has none.
    """

    parts: np.ndarray
    candidates: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sequences of items, ragged: session s is ``items[offsets[s]:offsets[s + 1]]``.

    Attributes:
        items: int32 (n_events,), indices into ``vocabulary``.
        offsets: int64 (n_sessions + 1,).
        vocabulary: (n_items,), the ids of the source, int64 or str, in ascending order.
        times: float64 (n_events,), in seconds or any other increasing unit, or None where the source has no times.
        given: the split of the source, or None.
        drops: what the reader and the filters left out, in order.
        disorder: the share of the events, of those after the first of a session, which the source has before an earlier one.
        cutting: how the sessions were cut, or None where a session is all that a user did.

    Example:
        >>> s = Sessions.from_lists([["a", "b"], ["b", "c", "b"]])
        >>> s.items.tolist(), s.offsets.tolist(), s.vocabulary.tolist()
        ([0, 1, 1, 2, 1], [0, 2, 5], ['a', 'b', 'c'])
    """

    items: np.ndarray
    offsets: np.ndarray
    vocabulary: np.ndarray
    times: np.ndarray | None = None
    given: Given | None = None
    drops: tuple[Drop, ...] = ()
    disorder: float = 0.0
    cutting: Cutting | None = None

    @classmethod
    def from_events(cls, events: pl.DataFrame, drops: tuple[Drop, ...] = ()) -> Sessions:
        """Build sessions from one row per event.

        Args:
            events: columns ``session`` and ``item`` (ids), optionally ``time`` (numbers), ``exact`` (which orders events whose
                times Float64 cannot tell apart; see `times.parse`) and ``part`` (see `Given`).
                Sessions come in ascending order of their ids; within a session events are ordered by time, and events
                of equal time, or without one, keep the order of the rows.
            drops: what the reader left out.

        Raises:
            ValueError: an item's id cannot be kept (see `encode`).
        """
        items, vocabulary = encode(events["item"])
        session = codes(events["session"])
        times = events["time"].cast(pl.Float64).to_numpy() if "time" in events.columns else None
        exact = events["exact"].rank("dense").to_numpy() if "exact" in events.columns else None
        order = _event_order(session, times, exact)
        parts = events["part"].to_numpy().astype(np.uint8) if "part" in events.columns else None
        disorder = 0.0
        if order is not None:
            session, items = session[order], items[order]
            times = times[order] if times is not None else None
            parts = parts[order] if parts is not None else None
            within = session[1:] == session[:-1]
            disorder = float(((order[1:] < order[:-1]) & within).sum() / max(1, within.sum()))
        offsets = np.concatenate([[0], np.flatnonzero(np.diff(session)) + 1, [len(session)]]).astype(np.int64)
        given = Given(parts, {}) if parts is not None else None
        return cls(items, offsets, vocabulary, times, given, drops, disorder)

    @classmethod
    def from_lists(cls, sessions: list[list]) -> Sessions:
        """Build sessions from lists of ids (for a few sessions, in tests and at the prompt)."""
        ids = np.array([item for session in sessions for item in session])
        vocabulary, items = np.unique(ids, return_inverse=True)
        offsets = np.cumsum([0, *map(len, sessions)]).astype(np.int64)
        return cls(items.astype(np.int32), offsets, vocabulary)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, session: int) -> np.ndarray:
        """int32 (length,): the items of one session."""
        return self.items[self.offsets[session] : self.offsets[session + 1]]

    @property
    def n_items(self) -> int:
        return len(self.vocabulary)

    @property
    def lengths(self) -> np.ndarray:
        """int64 (n_sessions,): the number of events of each session."""
        return np.diff(self.offsets)

    @property
    def session_of_event(self) -> np.ndarray:
        """int32 (n_events,): the session that each event belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @cached_property
    def has_repeats(self) -> bool:
        """Whether any session contains an item twice."""
        pairs = np.sort(self.session_of_event.astype(np.int64) * self.n_items + self.items)
        return bool((pairs[1:] == pairs[:-1]).any())

    @property
    def checksum(self) -> str:
        """SHA-256 of items, offsets, ids, times and the given split: equal for equal sessions, whatever their file."""
        arrays: list[np.ndarray | bytes] = [self.items, self.offsets, "\n".join(map(str, self.vocabulary)).encode()]
        arrays += [self.times] if self.times is not None else []
        arrays += [self.given.parts, *(c for _, c in sorted(self.given.candidates.items()))] if self.given else []
        return checksum(*arrays)

    @property
    def content(self) -> str:
        """16 hexadecimal digits of the ids, the events of each and the lengths of the sessions: of events of one time, as of two
        splits, the order is the same to it."""
        ids = "\n".join(map(str, self.vocabulary)).encode()
        return checksum(np.bincount(self.items, minlength=self.n_items), self.lengths, ids)[:16]

    def select(self, keep: np.ndarray, reason: str | None = None) -> Sessions:
        """The sessions with only the events where ``keep`` (bool, (n_events,)) is true; empty sessions are removed.

        The vocabulary stays as it is. With a ``reason``, what was left out is added to `drops`.
        """
        kept = np.add.reduceat(keep, self.offsets[:-1], dtype=np.int64) if len(self) else np.zeros(0, np.int64)
        kept = kept[kept > 0]
        drop = Drop(reason, len(self) - len(kept), int(len(keep) - kept.sum())) if reason else None
        return replace(
            self,
            items=self.items[keep],
            offsets=np.concatenate([[0], np.cumsum(kept)]).astype(np.int64),
            times=self.times[keep] if self.times is not None else None,
            given=_select_given(self.given, keep),
            drops=(*self.drops, drop) if drop and (drop.sessions or drop.events) else self.drops,
        )

    def last_events(self, count: int = 1, reason: str | None = None) -> Sessions:
        """The last ``count`` events of each session; the last one is the target of Toledo & Rezende 2020 (section 2).

        ``reason`` as in `select`.
        """
        from_end = np.repeat(self.offsets[1:], self.lengths) - np.arange(len(self.items))
        return self.select(from_end <= count, reason)

    @property
    def tied(self) -> np.ndarray:
        """bool (n_events,): which events have the time of the one before them in the session; none where there are no times."""
        if self.times is None:
            return np.zeros(len(self.items), dtype=bool)
        tied = np.diff(self.times, prepend=np.nan) == 0
        tied[self.offsets[:-1]] = False
        return tied

    def with_ties_drawn(self, seed: int) -> Sessions:
        """The sessions with the items of equal times in a drawn order; a source has them in some order, perhaps that of ids.

        Everything but ``items`` stays as it is.
        """
        moment = np.cumsum(~self.tied)
        order = np.lexsort((np.random.default_rng(seed).random(len(self.items)), moment))
        return replace(self, items=self.items[order])

    def compact(self) -> Sessions:
        """The same sessions over a vocabulary of only the items that occur in them or among the candidates of `given`."""
        used = np.zeros(self.n_items, dtype=bool)
        used[self.items] = True
        given = self.given
        for candidates in given.candidates.values() if given else ():
            used[candidates] = True
        if used.all():
            return self
        index = (np.cumsum(used) - 1).astype(np.int32)
        if given:
            given = Given(given.parts, {part: index[c] for part, c in given.candidates.items()})
        return replace(self, items=index[self.items], vocabulary=self.vocabulary[used], given=given)


def _select_given(given: Given | None, keep: np.ndarray) -> Given | None:
    if given is None:
        return None
    return Given(given.parts[keep], {part: c[keep[given.parts == part]] for part, c in given.candidates.items()})


def checksum(*arrays: np.ndarray | bytes) -> str:
    """SHA-256 over dtype, shape and content of the arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        if isinstance(array, np.ndarray):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        else:
            digest.update(array)
    return digest.hexdigest()


LONGEST_ID = 10_000
"""Letters of an item's id, at most: the page shows ids."""
LARGEST_VOCABULARY = 1 << 29
"""Bytes of all ids of items, each in the width of the longest, at most: as NumPy keeps text."""


def codes(ids: pl.Series) -> np.ndarray:
    """int32 (n,): the distinct ids of a column numbered in ascending order (see `encode`)."""
    return _numbered(ids)[0]


def encode(ids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct ids of a column in ascending order.

    Ids are ordered as numbers if all of them are integers, else as text.

    Returns:
        codes: int32 (n,), and the distinct ids: int64 or str (n_ids,).

    Raises:
        ValueError: an id is longer than `LONGEST_ID`, or has a NUL character, which NumPy drops at the end of a text; or all of
            them take more memory than `LARGEST_VOCABULARY`. The message is a sentence for the user.
    """
    numbers, names = _numbered(ids)
    if isinstance(names, np.ndarray):
        return numbers, names
    lengths = names.str.len_chars()
    longest = int(lengths.max())  # type: ignore[arg-type]
    if longest > LONGEST_ID:
        name = quoted(names[int(lengths.arg_max())], 30)  # type: ignore[arg-type]
        raise ValueError(
            f"an item's id has {longest:,} letters ({name}), and {LONGEST_ID:,} are the most; check the columns and the "
            "separator, or shorten it."
        )
    if 4 * longest * len(names) > LARGEST_VOCABULARY:
        raise ValueError(
            f"the ids of {len(names):,} items, the longest of {longest:,} letters, take more than "
            f"{LARGEST_VOCABULARY >> 20} MB; shorten the long ones, or number the items."
        )
    if (nul := names.str.contains("\0", literal=True)).any():
        raise ValueError(f"an item's id has a NUL character: {quoted(names[int(nul.arg_max())])}; remove it.")  # type: ignore[arg-type]
    return numbers, names.to_numpy().astype(str)


def _numbered(ids: pl.Series) -> tuple[np.ndarray, np.ndarray | pl.Series]:
    if ids.dtype.is_integer() and ids.dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
        return _encode_integers(ids.to_numpy())
    if ids.dtype == pl.Categorical:
        return _encode_categories(ids)
    ids = ids.cast(pl.String)
    numbers = ids.cast(pl.Int64, strict=False)
    if numbers.null_count() == 0:
        codes, values = _encode_integers(numbers.to_numpy())
        # Text is a number only if the number is printed as the same text: "007" and "+7" stay text (they are longer).
        printed = pl.Series(values).cast(pl.String).str.len_bytes().cast(pl.UInt8).to_numpy()[codes]
        if ids.str.len_bytes().to_numpy().sum(dtype=np.int64) == printed.sum(dtype=np.int64):
            return codes, values
    return _encode_categories(ids.cast(own_categories()))


def own_categories() -> pl.Categorical:
    """A type of categories that no other column has, so that they are numbered without the ids of others."""
    return pl.Categorical(pl.Categories.random())


def _encode_categories(ids: pl.Series) -> tuple[np.ndarray, np.ndarray | pl.Series]:
    codes = ids.to_physical().to_numpy()
    row = np.full(int(codes.max()) + 1, -1, np.int64)
    row[codes] = np.arange(len(codes))
    used = np.flatnonzero(row >= 0)
    names = ids.gather(row[used]).cast(pl.String)
    numbers = names.cast(pl.Int64, strict=False)
    as_numbers = bool(numbers.cast(pl.String).eq_missing(names).all())
    keys = numbers if as_numbers else names
    order = keys.arg_sort().to_numpy()
    rank = np.empty(len(row), np.int32)
    rank[used[order]] = np.arange(len(order), dtype=np.int32)
    ascending = keys.gather(order)
    return rank[codes], ascending.to_numpy() if as_numbers else ascending


def _encode_integers(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = int(ids.min()), int(ids.max())
    if low >= 0 and high <= 4 * len(ids) + 1_000_000:
        low = 0  # the usual case, which needs no shifted copy
    elif high - low > 4 * len(ids) + 1_000_000:
        values, codes = np.unique(ids, return_inverse=True)
        return codes.astype(np.int32), values.astype(np.int64)
    seen = np.zeros(high - low + 1, dtype=bool)
    ids = ids.astype(np.int64) - low if low else ids
    seen[ids] = True
    rank = (np.cumsum(seen) - 1).astype(np.int32)
    return rank[ids], np.flatnonzero(seen).astype(np.int64) + low


def _event_order(session: np.ndarray, times: np.ndarray | None, exact: np.ndarray | None) -> np.ndarray | None:
    """The stable order by session, then time, exactly; None where the events have it already."""
    step = np.diff(session)
    ordered = step >= 0 if times is None else (step > 0) | ((step == 0) & (np.diff(times) >= 0))
    if ordered.all() and exact is None:
        return None
    if times is None:
        return np.argsort(session, kind="stable")
    return np.lexsort((times, session) if exact is None else (exact, times, session))


def apply_filters(sessions: Sessions, log: Log, max_length: int | None = None) -> Sessions:
    """Apply the filters of a params file; what they leave out is counted in `Sessions.drops`.

    In this order: immediate repeats are collapsed, sessions shorter than ``min_length`` are dropped, the first
    ``max_sessions`` are kept, items of fewer than ``min_item_support`` events are dropped, then items and sessions of too
    few events until a k-core is left, and of each session only the last ``max_length`` events before the target, and the
    target, are kept.

    Args:
        max_length: None keeps whole sessions.

    Raises:
        StudyError: no session is left.
    """
    if log.collapse_repeats:
        repeat = np.zeros(len(sessions.items), dtype=bool)
        repeat[1:] = sessions.items[1:] == sessions.items[:-1]
        repeat[sessions.offsets[:-1]] = False
        sessions = sessions.select(~repeat, "immediate repeat of an item")
    sessions = _drop_short(sessions, log.min_length)
    if log.max_sessions is not None:
        first = np.arange(len(sessions.items)) < sessions.offsets[min(log.max_sessions, len(sessions))]
        sessions = sessions.select(first, f"after the first {log.max_sessions:,} sessions")
    if log.min_item_support is not None:
        rare = np.bincount(sessions.items, minlength=sessions.n_items) < log.min_item_support
        n_rare = len(np.unique(sessions.items[rare[sessions.items]]))
        what = f"item of fewer than {log.min_item_support} events (min_item_support): {n_rare:,} items"
        sessions = sessions.select(~rare[sessions.items], what)
        sessions = _drop_short(sessions, log.min_length)
    if log.k_core is not None:
        sessions = _core(sessions, log.k_core, max(log.min_length, log.k_core))
    if max_length is not None:
        sessions = sessions.last_events(max_length + 1, f"before the last {max_length} input events")
    return sessions.compact()


def _core(sessions: Sessions, k: int, min_length: int) -> Sessions:
    """The most sessions of at least ``min_length`` events in which every item has at least ``k``."""
    core = replace(sessions, drops=())
    before = None
    while before != len(core.items):
        before = len(core.items)
        counts = np.bincount(core.items, minlength=core.n_items)
        core = _drop_short(core.select(counts[core.items] >= k), min_length)
    n_items = len(np.unique(sessions.items)) - len(np.unique(core.items))
    what = f"outside the {k}-core (k_core): {n_items:,} items"
    drop = Drop(what, len(sessions) - len(core), len(sessions.items) - len(core.items))
    return replace(core, drops=(*sessions.drops, drop) if drop.events else sessions.drops)


def _drop_short(sessions: Sessions, min_length: int) -> Sessions:
    long_enough = np.repeat(sessions.lengths >= min_length, sessions.lengths)
    kept = sessions.select(long_enough, f"session of fewer than {min_length} events")
    if len(kept) == 0:
        longest = int(sessions.lengths.max(initial=0))
        raise StudyError(
            f"No session of {min_length} or more events is left (the longest of {len(sessions):,} has {longest}); "
            "lower 'min_length' or 'k_core' (or 'min_item_support'), or check the separator and the columns of the log."
        )
    return kept


@dataclass(frozen=True, eq=False)
class Cases:
    """Prefixes of sessions and the item that truly came next: case i predicts ``sessions.items[events[i]]``.

    Attributes:
        sessions: the sessions that the cases are part of.
        events: int64 (n_cases,), the target's position among all events; at least one event of its session is before.
        candidates: int32 (n_cases, n_candidates), the negatives that each target is ranked among, or None.
    """

    sessions: Sessions
    events: np.ndarray
    candidates: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.events)

    @property
    def targets(self) -> np.ndarray:
        """int32 (n_cases,): the items to be predicted."""
        return self.sessions.items[self.events]

    @property
    def session(self) -> np.ndarray:
        """int64 (n_cases,): the session of each case."""
        return np.searchsorted(self.sessions.offsets, self.events, side="right") - 1

    @property
    def tied(self) -> np.ndarray:
        """bool (n_cases,): whether the target has the time of the event before it, so that their order is the source's."""
        return self.sessions.tied[self.events]

    @property
    def prefix_lengths(self) -> np.ndarray:
        """int64 (n_cases,): how many events precede each target."""
        return self.events - self.sessions.offsets[self.session]

    def prefixes(self, history: int | None = None) -> Sessions:
        """The events before each target, at most the last ``history`` of them (None: all), one session per case."""
        lengths = self.prefix_lengths if history is None else np.minimum(self.prefix_lengths, history)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        items = self.sessions.items[np.repeat(self.events - lengths, lengths) + within]
        return Sessions(items, offsets, self.sessions.vocabulary)

    def take(self, rows: np.ndarray | slice) -> Cases:
        """The cases at ``rows``."""
        return replace(
            self, events=self.events[rows], candidates=None if self.candidates is None else self.candidates[rows]
        )

    def shuffled(self, history: int, seed: int) -> Cases:
        """The same cases with the last ``history`` events before each target in random order, so that a model sees the same
        items in another order. Without candidates; each case has its own session, which ends in the target.
        """
        prefixes = self.prefixes()
        from_end = np.repeat(prefixes.offsets[1:], prefixes.lengths) - np.arange(len(prefixes.items))
        key = np.random.default_rng(seed).random(len(prefixes.items))
        key = np.where(from_end <= history, key, -from_end)
        items = prefixes.items[np.lexsort((key, prefixes.session_of_event))]
        items = np.insert(items, prefixes.offsets[1:], self.targets)
        offsets = prefixes.offsets + np.arange(len(self) + 1)
        return Cases(Sessions(items, offsets, self.sessions.vocabulary), offsets[1:] - 1)


UNKNOWN_TARGET = "session that ends in an unknown item"


def known_cases(sessions: Sessions, vocabulary: np.ndarray) -> tuple[Cases, np.ndarray]:
    """The last event of each session as a case for a model of this vocabulary.

    Unknown items leave the prefix, as in `Recommender.recommend`; a session whose target is one, or that has no other item left,
    has no case.

    Returns:
        The cases, over ``vocabulary``; what has no case is counted in their ``sessions.drops``. And int64 (n_cases,): which
        session each is of.
    """
    known = np.isin(sessions.vocabulary, vocabulary)[sessions.items]
    has_target = known[sessions.offsets[1:] - 1]
    n_known = np.add.reduceat(known, sessions.offsets[:-1], dtype=np.int64) if len(sessions) else np.zeros(0, np.int64)
    of_session = np.flatnonzero(has_target & (n_known > 1))
    kept = sessions.select(np.repeat(has_target, sessions.lengths), UNKNOWN_TARGET)
    kept = kept.select(np.isin(kept.vocabulary, vocabulary)[kept.items], "unknown item, before the last")
    kept = kept.select(np.repeat(kept.lengths > 1, kept.lengths), "session without another known item")
    items = np.searchsorted(vocabulary, kept.vocabulary[kept.items]).astype(np.int32)
    kept = replace(kept, items=items, vocabulary=vocabulary)
    return Cases(kept, kept.offsets[1:] - 1), of_session
