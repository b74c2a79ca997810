"""Sessions from all that a user did: cut where nothing follows for a while, or where the day ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl

from studylib.data.sessions import Cutting, Sessions
from studylib.params.kinds import seconds
from studylib.params.study import Cut

EDGES: list[float] = [
    0,
    1,
    5,
    15,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    28800,
    86400,
    172800,
    604800,
    2592000,
]
"""Seconds, up to 30 days: the bins in which gaps are counted, beside the one of the cut."""

_LATEST = 1e11
"""Seconds since 1970, in the year 5138: larger numbers are of a finer unit."""


def cut(users: Sessions, how: Cut | None) -> Sessions:
    """Cut what each user did into sessions, in the order of users and then of time.

    Args:
        users: all events of a user in one session, in the order of time. Numbers are seconds or, where they are too large for
            that, milli-, micro- or nanoseconds.
        how: None, or a column that the reader has looked at already, leaves them as they are.

    Returns:
        The same events, with `Sessions.cutting`.

    Example:
        >>> events = pl.DataFrame({"session": [1, 1, 1], "item": ["a", "b", "c"], "time": [0, 60, 9000]})
        >>> cut(Sessions.from_events(events), Cut(gap="30min")).lengths.tolist()
        [2, 1]
    """
    if how is None or how.column is not None:
        return users
    assert users.times is not None, "`Log` asks for times where sessions are cut by them"
    times = users.times / _units_of_a_second(users.times)
    first = np.zeros(len(times), dtype=bool)
    first[users.offsets[:-1]] = True
    gaps, edges = np.diff(times, prepend=0.0), EDGES
    if how.gap is not None:
        ends, words = gaps > seconds(how.gap), f"after {how.gap} without an event"
        edges = sorted({*EDGES, seconds(how.gap)})
    else:
        ends, words = np.diff(_days(times, how.day or "UTC"), prepend=0) != 0, f"at the end of each day ({how.day})"
    ends &= ~first
    bins = np.array([*edges, np.inf], dtype=np.float64)
    busiest = np.sort(users.lengths)[-max(1, len(users) // 100) :].sum() / len(times)
    offsets = np.concatenate([np.flatnonzero(first | ends), [len(times)]]).astype(np.int64)
    cutting = Cutting(
        how=words,
        users=len(users),
        sessions=len(offsets) - 1,
        edges=bins,
        gaps=_counts(gaps[~first], bins),
        cuts=_counts(gaps[ends], bins),
        busiest_share=float(busiest),
    )
    return replace(users, offsets=offsets, cutting=cutting)


def _counts(gaps: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int64 (n_bins,): a gap as long as an edge belongs below it, as one as long as that of the cut does not cut."""
    bins = np.searchsorted(edges[1:-1], gaps, side="left")
    return np.bincount(bins, minlength=len(edges) - 1)


def _units_of_a_second(times: np.ndarray) -> float:
    largest = np.abs(times).max(initial=0.0)
    return next(unit for unit in (1.0, 1e3, 1e6, 1e9) if largest < _LATEST * unit or unit == 1e9)


def _days(times: np.ndarray, zone: str) -> np.ndarray:
    """int32 (n,): the number of the day of each time (seconds since 1970)."""
    moments = (pl.Series(times) * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    return moments.dt.convert_time_zone(zone).dt.date().to_physical().to_numpy()


def gap_table(cutting: Cutting) -> pd.DataFrame:
    """The histogram of the gaps between two events of a user, and at how many of them a session ended.

    Returns:
        Columns ``longer than`` and ``up to`` (float64, seconds), ``gaps`` and ``cuts`` (int64).
    """
    columns = {
        "longer than": cutting.edges[:-1],
        "up to": cutting.edges[1:],
        "gaps": cutting.gaps,
        "cuts": cutting.cuts,
    }
    return pd.DataFrame(columns)
