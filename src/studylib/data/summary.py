"""Counts of a log, as in Toledo & Rezende 2020, section 2 and Figure 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from studylib.data.sessions import Sessions
from studylib.data.splits import Split


@dataclass(frozen=True)
class Extreme:
    """The page with the least or the most visits or users.

    Attributes:
        page: its id; of several pages with the same count the first in the vocabulary.
        count: its visits or users.
        ties: how many pages have this count, itself included.
    """

    page: int | str
    count: int
    ties: int

    def __str__(self) -> str:
        others = f", as {self.ties - 1:,} others" if self.ties > 1 else ""
        return f"{self.count:,} (page {self.page}{others})"


@dataclass(frozen=True)
class LogSummary:
    """The counts of Toledo & Rezende 2020, section 2, and some that say how hard a log is to predict.

    A session stands for a user, as each line of the paper's log does. Shares are between 0 and 1.

    Attributes:
        pages: distinct pages that are visited; the vocabulary may hold more.
        shortest, mean, longest: visits of a session.
        least_visits, most_visits: the pages with the least and the most visits.
        least_users, most_users: the pages that the least and the most users visit, which the paper mixes with visits.
        repeats: visits to a page that the session has visited before.
        top_share: share of the visits that goes to the top 1 % of the pages (rounded up to whole pages).
        visited_once: pages of one visit.
    """

    sessions: int
    visits: int
    pages: int
    shortest: int
    mean: float
    longest: int
    least_visits: Extreme
    most_visits: Extreme
    least_users: Extreme
    most_users: Extreme
    repeats: int
    repeat_share: float
    top_share: float
    visited_once: int

    def table(self) -> pd.DataFrame:
        """The summary for people: columns ``measure`` and ``value``, both text."""
        rows = {
            "sessions": f"{self.sessions:,}",
            "visits": f"{self.visits:,}",
            "distinct pages": f"{self.pages:,}",
            "shortest session (visits)": f"{self.shortest:,}",
            "mean session (visits)": f"{self.mean:,.2f}",
            "longest session (visits)": f"{self.longest:,}",
            "least visited page (visits)": str(self.least_visits),
            "most visited page (visits)": str(self.most_visits),
            "least visited page (users)": str(self.least_users),
            "most visited page (users)": str(self.most_users),
            "repeat visits": f"{self.repeats:,} ({self.repeat_share:.1%} of the visits)",
            "visits to the top 1 % of the pages": f"{self.top_share:.1%}",
            "pages visited once": f"{self.visited_once:,} ({self.visited_once / self.pages:.1%} of the pages)",
        }
        return pd.DataFrame(rows.items(), columns=["measure", "value"])


def summarize(sessions: Sessions) -> LogSummary:
    """Count what Toledo & Rezende 2020, section 2, count of their log. ``sessions`` must not be empty."""
    visits = np.bincount(sessions.items, minlength=sessions.n_items)
    repeats = np.bincount(_repeats(sessions), minlength=sessions.n_items)
    visited = np.flatnonzero(visits)
    pages, users = sessions.vocabulary[visited], (visits - repeats)[visited]
    visits = visits[visited]
    lengths = sessions.lengths
    n_top = -(-len(pages) // 100)
    return LogSummary(
        sessions=len(sessions),
        visits=len(sessions.items),
        pages=len(pages),
        shortest=int(lengths.min()),
        mean=float(lengths.mean()),
        longest=int(lengths.max()),
        least_visits=_extreme(pages, visits, visits.min()),
        most_visits=_extreme(pages, visits, visits.max()),
        least_users=_extreme(pages, users, users.min()),
        most_users=_extreme(pages, users, users.max()),
        repeats=int(repeats.sum()),
        repeat_share=float(repeats.sum() / len(sessions.items)),
        top_share=float(np.sort(visits)[-n_top:].sum() / len(sessions.items)),
        visited_once=int((visits == 1).sum()),
    )


def _extreme(pages: np.ndarray, counts: np.ndarray, count: int) -> Extreme:
    at = np.flatnonzero(counts == count)
    return Extreme(pages[at[0]].item(), int(count), len(at))


def _repeats(sessions: Sessions) -> np.ndarray:
    """int64 (n_repeats,): the item of each visit that repeats an earlier one of its session, in no meaningful order."""
    # Equal neighbours among the sorted (session, item) pairs. Sorting a few sessions at a time lets a pair fit into
    # 32 bits and the sort into the cache: a quarter of the time and little memory beside sorting them all at once.
    n_items = sessions.n_items
    step = min(2**32 // n_items, 2**14)
    found = []
    for start in range(0, len(sessions), step):
        offsets = sessions.offsets[start : start + step + 1]
        pairs = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint32) * np.uint32(n_items), np.diff(offsets))
        pairs += sessions.items[offsets[0] : offsets[-1]].view(np.uint32)
        pairs.sort()
        found.append(pairs[1:][pairs[1:] == pairs[:-1]] % np.uint32(n_items))
    return np.concatenate(found).astype(np.int64)


def visits_per_page(sessions: Sessions) -> pd.DataFrame:
    """How many pages have how many visits (Toledo & Rezende 2020, Figure 1, left).

    Returns:
        Columns ``visits`` (ascending) and ``pages``, both int64; pages that nobody visits are left out.
    """
    return _distribution(np.bincount(sessions.items), "visits", "pages")


def visits_per_user(sessions: Sessions) -> pd.DataFrame:
    """How many users (sessions) make how many visits (Toledo & Rezende 2020, Figure 1, right).

    Returns:
        Columns ``visits`` (ascending) and ``users``, both int64.
    """
    return _distribution(sessions.lengths, "visits", "users")


def _distribution(counts: np.ndarray, value: str, count: str) -> pd.DataFrame:
    values, times = np.unique(counts[counts > 0], return_counts=True)
    return pd.DataFrame({value: values, count: times})


def unseen_targets(split: Split) -> tuple[int, float]:
    """How many test targets never occur in the training sessions, and their share of the test cases."""
    seen = np.zeros(split.train.n_items, dtype=bool)
    seen[split.train.items] = True
    unseen = ~seen[split.test.targets]
    return int(unseen.sum()), float(unseen.mean())
