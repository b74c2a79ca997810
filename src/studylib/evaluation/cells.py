"""What the cells of a grid say, case by case: the best of each architecture, and what each factor changes.

All cells of a split are judged on the same test cases, so that every comparison is paired by case. Two things are called
*alike* where an equivalence test shows that their difference is within a stated margin, which is more than that no
difference was found; a factor has *little influence* where every two of its levels are alike.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from studylib.errors import StudyError, nearest
from studylib.evaluation.ranking import Ranks
from studylib.evaluation.statistics import (
    bootstrap_seeds,
    detectable_difference,
    holm,
    interval,
    paired_difference,
    two_sided_p,
)
from studylib.grid import CLASS_METRICS, KEYS, RANKING_METRICS

MARGIN = 0.01
"""Differences of accuracy below one point are of no interest: about one standard error of an accuracy near 10 % on the
824 test cases of the study, and an eighth of what the most popular page alone reaches there."""

FACTORS = ["architecture", "activation", "optimizer", "batch_size", "epochs"]

DIFFERENCES = ["more", "less", "difference", "low", "high", "p", "alike", "detectable"]
"""The columns of a table of differences: the higher mean first; the 95 % interval; ``p`` corrected for the number of pairs
(Holm); ``alike`` within the margin (two one-sided tests at 5 %); the smallest difference that the cases would show with a
probability of 80 %."""


def case_hits(cell: pd.Series | dict) -> np.ndarray:
    """float64 (n_cases,): whether each test case of a cell is predicted, from its kept ranks."""
    above, tied = np.asarray(cell["above"]), np.asarray(cell["tied"])
    return Ranks(above, tied, np.empty((0, 0)), int((above + tied).max()) + 1).metric("accuracy")


def pick_cell(cells: pd.DataFrame, wanted: dict) -> pd.Series:
    """The cell with the values of `KEYS` that are ``wanted``; of several the best on validation.

    Raises:
        StudyError: there is no such cell; the message says what there is.
    """
    found = cells[cells["status"] != "failed"]
    for key, value in wanted.items():
        if key not in KEYS:
            raise StudyError(f"A cell has no {key!r}{nearest(str(key), KEYS)}")
        levels = list(dict.fromkeys(cells[key]))
        if value not in levels:
            raise StudyError(f"The grid has no cell with {key} {value!r}; it has: {', '.join(map(str, levels))}.")
        found = found[found[key] == value]
    if found.empty:
        reason = cells.loc[(cells[list(wanted)] == pd.Series(wanted)).all(axis=1), "reason"].iloc[0]
        raise StudyError(f"No network of {wanted} was trained: {reason}. See the table of cells that failed.")
    return found.loc[found["validation_accuracy"].idxmax()]


def best_cells(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The cells of the best settings of each architecture, one row a seed, the best architecture first.

    Settings are chosen on validation alone (mean accuracy over the seeds), among those that finished with every seed.
    """
    trained = cells[cells["status"] != "failed"]
    settings = [key for key in KEYS if key != "seed"]
    means = trained.groupby(settings)["validation_accuracy"].agg(["mean", "count"]).reset_index()
    means = means[means["count"] == cells["seed"].nunique()].sort_values("mean", ascending=False, kind="stable")
    best = means.drop_duplicates("architecture")[settings]
    if best.empty:
        raise StudyError("No setting finished with every seed; the table of cells that failed gives the reasons.")
    return {row["architecture"]: trained.merge(row.to_frame().T.astype(best.dtypes)) for _, row in best.iterrows()}


def measure_contenders(contenders: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every measure of each contender (rows of cells or of `studylib.grid.floor`, one a seed): the mean over its seeds.

    Returns:
        Columns ``architecture`` (the contender's name), the measures, and ``low, high``: the 95 % interval of the accuracy
        over seeds and test cases (with one seed: over test cases alone).
    """
    rows = []
    for name, own in contenders.items():
        hits = _hits(own)
        low, high = interval(bootstrap_seeds([h[:, None] for h in hits], shared=_share_cases(own)))
        means = own[[*CLASS_METRICS, *RANKING_METRICS]].mean()
        rows.append({"architecture": name, **means, "low": low[0], "high": high[0]})
    return pd.DataFrame(rows)


def differences_of(
    contenders: dict[str, pd.DataFrame], pairs: list[tuple[str, str]], margin: float = MARGIN
) -> pd.DataFrame:
    """Accuracy of each two contenders, paired by seed and case; seeds and the cases of each are drawn again.

    Returns:
        `DIFFERENCES`; with several seeds ``detectable`` is for the cases of all of them, and leaves out what differs
        between seeds.
    """
    found = []
    for first, second in pairs:
        own, other = contenders[first], contenders[second]
        difference = [a - b for a, b in zip(_hits(own), _hits(other), strict=True)]
        if np.mean([d.mean() for d in difference]) < 0:
            first, second, difference = second, first, [-d for d in difference]
        shared = _share_cases(own)
        means = bootstrap_seeds([d[:, None] for d in difference], shared=shared)
        (low, high), inner = interval(means), interval(means, 0.9)
        cases = np.mean(difference, axis=0) if shared else np.concatenate(difference)
        found.append(
            {
                "more": first, "less": second, "difference": np.mean([d.mean() for d in difference]),
                "low": low[0], "high": high[0], "p": two_sided_p(means[:, 0]),
                "alike": bool(-margin < inner[0][0] and inner[1][0] < margin), "detectable": detectable_difference(cases),
            }
        )  # fmt: skip
    return _corrected(found)


def level_differences(cells: pd.DataFrame, factor: str, margin: float = MARGIN) -> pd.DataFrame:
    """Accuracy of each two levels of a factor, case by case: a case counts with its mean over all cells of the level.

    The cases are what is drawn; the cells are not. So 20, 50 and 100 epochs of one training, and whatever else the cells
    share, are repeated measures of a case and no further evidence: each difference is taken within a training and a case
    first, then over cases. It speaks of these trainings on other cases of the same log. A scenario that one of the levels
    did not finish is left out for all.

    Returns:
        `DIFFERENCES`.
    """
    trained = cells[cells["status"] != "failed"]
    scenario = [key for key in KEYS if key != factor]
    complete = trained.groupby(scenario)[factor].transform("nunique") == trained[factor].nunique()
    values = {}
    for level, own in trained[complete].groupby(factor, sort=False):
        by_split = [
            np.mean([case_hits(c) for _, c in g.iterrows()], axis=0) for _, g in own.groupby("split", sort=False)
        ]
        values[level] = np.concatenate(by_split)
    order = sorted(values, key=lambda level: -values[level].mean())
    found = []
    for more, less in itertools.combinations(order, 2):
        d = paired_difference(values[more], values[less], margin)
        detectable = detectable_difference(values[more] - values[less])
        found.append(dict(zip(DIFFERENCES, (more, less, d.mean, d.low, d.high, d.p, d.alike, detectable), strict=True)))
    return _corrected(found)


def _corrected(found: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(found, columns=DIFFERENCES)
    if found:
        table["p"] = holm(table["p"].tolist())
    return table


def _hits(own: pd.DataFrame) -> list[np.ndarray]:
    """The hits of each seed, in the order of the seeds."""
    return [case_hits(row) for _, row in own.sort_values("seed").iterrows()]


def _share_cases(own: pd.DataFrame) -> bool:
    """Whether all seeds are judged on one split (`data.split_seed`)."""
    return own["split"].nunique() == 1
