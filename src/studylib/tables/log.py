"""Tables of a log and of the data sets that models are ranked on, to be read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from studylib.data.sessions import Sessions
from studylib.data.splits import Split
from studylib.data.summary import summarize, unseen_targets


def filters_table(sessions: Sessions) -> pd.DataFrame:
    """What each filter left out, in their order, and what is kept: columns ``what, sessions, events``."""
    rows = [(drop.reason, drop.sessions, drop.events) for drop in sessions.drops]
    rows.append(("kept", len(sessions), len(sessions.items)))
    return pd.DataFrame(
        [(what, f"{n:,}", f"{events:,}") for what, n, events in rows], columns=["what", "sessions", "events"]
    )


def dataset_row(label: str, split: Split) -> dict[str, str]:
    """The counts of a data set of the ranking, a row of a table; events a session: the fewest, the mean, the most."""
    counts = summarize(split.test.sessions)
    candidates = split.test.take(slice(1000)).candidates
    negatives = 0.0 if candidates is None else np.mean([len(np.unique(negative)) for negative in candidates])
    return {
        "data set": label,
        "split": split.kind,
        "sessions": f"{counts.sessions:,}",
        "events": f"{counts.events:,}",
        "items": f"{counts.items:,}",
        "events a session": f"{counts.shortest} – {counts.mean:.1f} – {counts.longest}",
        "repeats": f"{counts.repeat_share:.1%}",
        "equal times": "not known" if split.test.sessions.times is None else f"{split.test.sessions.tied.mean():.1%}",
        "test cases": f"{len(split.test):,}",
        "targets unseen in training": f"{unseen_targets(split)[1]:.1%}",
        "distinct negatives a case": f"{negatives:.0f}",
    }
