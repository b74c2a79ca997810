"""Counts of a log, as in Toledo & Rezende 2020, section 2 and Figure 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from studylib.data.sessions import Sessions
from studylib.data.splits import Split
from studylib.sources import source, source_of, sourced


@dataclass(frozen=True)
class Extreme:
    """The item with the fewest or the most events or sessions.

    Attributes:
        item: its id; of several items with the same count the first in the vocabulary.
        count: its number of events or sessions.
        ties: how many items have this count, itself included.
    """

    item: int | str
    count: int
    ties: int

    def __str__(self) -> str:
        others = f", tied with {self.ties - 1:,} others" if self.ties > 1 else ""
        return f"{self.count:,} (item {self.item}{others})"


@dataclass(frozen=True)
class LogSummary:
    """The counts of Toledo & Rezende 2020, section 2, and a few that say how hard a log is to predict.

    The paper counts users; each line of its log, a session here, is one. Shares are between 0 and 1.

    Attributes:
        sessions, events: how many there are.
        items: distinct items that occur; the vocabulary may have more.
        shortest, mean, longest: events of a session.
        fewest_events, most_events: the items with the fewest and the most events.
        fewest_sessions, most_sessions: the items in the fewest and the most sessions (the paper's users), which the paper does
            not keep apart from events.
        repeats: events whose item occurred earlier in the same session.
        repeat_share: repeats over all events.
        top_share: share of the events that fall on the most popular 1 % of the items (rounded up to whole items).
        single_event_items: items that occur once.
    """

    sessions: int
    events: int
    items: int
    shortest: int
    mean: float
    longest: int
    fewest_events: Extreme
    most_events: Extreme
    fewest_sessions: Extreme
    most_sessions: Extreme
    repeats: int
    repeat_share: float
    top_share: float
    single_event_items: int

    @property
    def single_event_share(self) -> float:
        """The share of the items that occur once."""
        return sourced(self.single_event_items / self.items, source_of(self.single_event_items))

    def table(self) -> pd.DataFrame:
        """The summary for people: columns ``measure`` and ``value``, both text."""
        rows = {
            "sessions": f"{self.sessions:,}",
            "events": f"{self.events:,}",
            "distinct items": f"{self.items:,}",
            "shortest session (events)": f"{self.shortest:,}",
            "mean session (events)": f"{self.mean:,.2f}",
            "longest session (events)": f"{self.longest:,}",
            "fewest events of an item": str(self.fewest_events),
            "most events of an item": str(self.most_events),
            "fewest sessions with an item": str(self.fewest_sessions),
            "most sessions with an item": str(self.most_sessions),
            "repeated items": f"{self.repeats:,} ({self.repeat_share:.1%} of the events)",
            "events of the most popular 1 % of the items": f"{self.top_share:.1%}",
            "items that occur once": f"{self.single_event_items:,} ({self.single_event_share:.1%} of the items)",
        }
        return pd.DataFrame(rows.items(), columns=["measure", "value"])


def summarize(sessions: Sessions) -> LogSummary:
    """Count what Toledo & Rezende 2020, section 2, count of their log. ``sessions`` must not be empty."""
    events = np.bincount(sessions.items, minlength=sessions.n_items)
    repeats = np.bincount(_repeats(sessions), minlength=sessions.n_items)
    occurring = np.flatnonzero(events)
    items, containing = sessions.vocabulary[occurring], (events - repeats)[occurring]
    events = events[occurring]
    lengths = sessions.lengths
    n_top = -(-len(items) // 100)

    def counted(number: float, measure: str):
        return sourced(number, source("log", measure=measure))  # a row of `LogSummary.table`

    return LogSummary(
        sessions=counted(len(sessions), "sessions"),
        events=counted(len(sessions.items), "events"),
        items=counted(len(items), "distinct items"),
        shortest=int(lengths.min()),
        mean=float(lengths.mean()),
        longest=int(lengths.max()),
        fewest_events=_extreme(items, events, events.min()),
        most_events=_extreme(items, events, events.max()),
        fewest_sessions=_extreme(items, containing, containing.min()),
        most_sessions=_extreme(items, containing, containing.max()),
        repeats=int(repeats.sum()),
        repeat_share=counted(float(repeats.sum() / len(sessions.items)), "repeated items"),
        top_share=counted(
            float(np.sort(events)[-n_top:].sum() / len(sessions.items)), "events of the most popular 1 % of the items"
        ),
        single_event_items=counted(int((events == 1).sum()), "items that occur once"),
    )


def _extreme(items: np.ndarray, counts: np.ndarray, count: int) -> Extreme:
    tied = np.flatnonzero(counts == count)
    return Extreme(items[tied[0]].item(), int(count), len(tied))


def _repeats(sessions: Sessions) -> np.ndarray:
    """int64 (n_repeats,): the item of each event that repeats an earlier one of its session, in no meaningful order."""
    # Equal neighbours among the sorted (session, item) pairs. Sorting a few sessions at a time lets a pair fit into
    # 32 bits and the sort into the cache: a quarter of the time and little memory beside sorting them all at once.
    n_items = sessions.n_items
    step = min(2**32 // n_items, 2**14)
    repeats = []
    for start in range(0, len(sessions), step):
        offsets = sessions.offsets[start : start + step + 1]
        pairs = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint32) * np.uint32(n_items), np.diff(offsets))
        pairs += sessions.items[offsets[0] : offsets[-1]].view(np.uint32)
        pairs.sort()
        repeats.append(pairs[1:][pairs[1:] == pairs[:-1]] % np.uint32(n_items))
    return np.concatenate(repeats).astype(np.int64)


def events_per_item(sessions: Sessions) -> pd.DataFrame:
    """How many items have how many events (Toledo & Rezende 2020, Figure 1, left: pages by their visits).

    Returns:
        Columns ``events`` (ascending) and ``items``, both int64; items that do not occur are left out.
    """
    return _distribution(np.bincount(sessions.items), "events", "items")


def events_per_session(sessions: Sessions) -> pd.DataFrame:
    """How many sessions have how many events (Toledo & Rezende 2020, Figure 1, right: users by their visits).

    Returns:
        Columns ``events`` (ascending) and ``sessions``, both int64.
    """
    return _distribution(sessions.lengths, "events", "sessions")


def _distribution(counts: np.ndarray, value: str, count: str) -> pd.DataFrame:
    values, times = np.unique(counts[counts > 0], return_counts=True)
    return pd.DataFrame({value: values, count: times})


def unseen_targets(split: Split) -> tuple[int, float]:
    """How many test targets never occur in the training sessions, and their share of the test cases."""
    seen = np.zeros(split.train.n_items, dtype=bool)
    seen[split.train.items] = True
    unseen = ~seen[split.test.targets]
    return int(unseen.sum()), float(unseen.mean())
