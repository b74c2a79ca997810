"""Does a log look right? What a wrong column, a wrong option or an odd source would show, found before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from studylib.data.sessions import Sessions
from studylib.errors import quoted

MOST_REPEATS = 0.8
"""The share of events that repeat the one before them, at most."""
MOST_DISORDER = (0.2, 0.8)
"""The share of events that the source has before an earlier one: less is nearly in order, more is the newest first."""
BUSIEST, MOST_OF_BUSIEST = 0.01, 0.5
"""The share of the sessions (or users), and the share of the events that they make, at most."""


def concerns(sessions: Sessions) -> list[str]:
    """What does not look right in a log, one plain sentence each; none of it is an error.

    Args:
        sessions: as read, before the filters; not empty.

    Example:
        >>> concerns(Sessions.from_lists([["a", "a"]]))
        ["All events are of one item, 'a': is it the right column?", 'There is one session in all: is it the right user column?']
    """
    found = [look(sessions) for look in (_one_item, _one_session, _repeats, _times, _busiest)]
    return [sentence for sentence in found if sentence] + _alike(sessions)


def _one_item(sessions: Sessions) -> str | None:
    if (sessions.items != sessions.items[0]).any():
        return None
    return f"All events are of one item, {quoted(sessions.vocabulary[sessions.items[0]].item(), 40)}: is it the right column?"


def _one_session(sessions: Sessions) -> str | None:
    return "There is one session in all: is it the right user column?" if len(sessions) == 1 else None


def _repeats(sessions: Sessions) -> str | None:
    """Of one item alone `_one_item` says enough."""
    later = np.ones(len(sessions.items), dtype=bool)
    later[sessions.offsets[:-1]] = False
    repeats = int((sessions.items[1:] == sessions.items[:-1])[later[1:]].sum())
    share = repeats / max(1, int(later.sum()))
    if share <= MOST_REPEATS or sessions.n_items == 1:
        return None
    return (
        f"{share:.0%} of the events after the first of a session repeat the item before them: a model that recommends the last "
        "item again is hard to beat; 'collapse_repeats: true' leaves repeats out."
    )


def _times(sessions: Sessions) -> str | None:
    if sessions.times is None or len(sessions.times) < 2:
        return None
    if (sessions.times == sessions.times[0]).all():
        return "All times are equal, so that the order of the events is that of the source: is it the right column?"
    low, high = MOST_DISORDER
    if low < sessions.disorder < high:
        return (
            f"The source is in no order of time: it has {sessions.disorder:.0%} of the events before an earlier one of their "
            "session. They were sorted; is it the right column?"
        )
    return None


def _busiest(sessions: Sessions) -> str | None:
    cutting = sessions.cutting
    n, who = (len(sessions), "sessions") if cutting is None else (cutting.users, "users")
    n_busiest = int(n * BUSIEST)
    if not n_busiest:
        return None  # fewer than a hundred: one of them may well make half of the events
    lengths = np.sort(sessions.lengths)
    share = lengths[-n_busiest:].sum() / len(sessions.items) if cutting is None else cutting.busiest_share
    if share < MOST_OF_BUSIEST:
        return None
    return f"{n_busiest:,} of {n:,} {who} make {share:.0%} of the events: are they people, or programs such as bots and tests?"


_LIKENESSES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "by upper and lower case": lambda ids: ids.str.to_lowercase(),
    "by a slash at the end": lambda ids: ids.str.strip_suffix("/"),
}


def _alike(sessions: Sessions) -> list[str]:
    """Ids that are one if something is passed over that seldom means anything."""
    if sessions.vocabulary.dtype.kind != "U":
        return []
    ids = pl.DataFrame({"id": sessions.vocabulary})
    sentences = []
    for what, passed_over in _LIKENESSES.items():
        groups = ids.group_by(passed_over(pl.col("id")).alias("alike"), maintain_order=True).agg("id")
        several = groups.filter(pl.col("id").list.len() > 1)["id"]
        if len(several):
            one, other = (quoted(name, 40) for name in several[0][:2])
            n = int(several.list.len().sum())
            sentences.append(
                f"{n:,} items differ from another only {what}, such as {one} and {other}: are they the same?"
            )
    return sentences
