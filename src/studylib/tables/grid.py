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
from studylib.kept import FAILED

MARGIN = 0.01
"""Differences of accuracy below one point are of no interest: about one standard error of an accuracy near 10 % on the
824 test cases of the study, and an eighth of what the most popular page alone reaches there."""

FACTORS = ["architecture", "activation", "optimizer", "batch_size", "epochs"]

DIFFERENCES = ["higher", "lower", "difference", "low", "high", "p", "equivalent", "detectable"]
"""The columns of a table of differences: the higher mean first; the 95 % interval; ``p`` corrected for the number of pairs
(Holm); ``alike`` within the margin (two one-sided tests at 5 %); the smallest difference that the cases would show with a
probability of 80 %."""


def case_hits(cell: pd.Series | dict) -> np.ndarray:
    """float64 (n_cases,): whether each test case of a cell is predicted, from its kept ranks."""
    above, tied = np.asarray(cell["above"]), np.asarray(cell["tied"])
    return Ranks(above, tied, np.empty((0, 0)), int((above + tied).max()) + 1).metric("accuracy")


SELECTED_BY = "validation_ndcg@10"
"""Settings are selected by NDCG@10 on the validation cases: unlike accuracy it hardly ever ties, and unlike the cross-entropy it
means the same whatever the activation."""

SETTINGS = [key for key in KEYS if key != "seed"]
"""What is selected: a cell but for its seed."""


def pick_cell(cells: pd.DataFrame, wanted: dict) -> pd.Series:
    """The cell with the values of `KEYS` that are ``wanted``; of several the best on validation (`SELECTED_BY`).

    Raises:
        StudyError: there is no such cell; the message says what there is.
    """
    matching = cells[cells["status"] != FAILED]
    for key, value in wanted.items():
        if key not in KEYS:
            raise StudyError(f"A cell has no {key!r}{nearest(str(key), KEYS)}")
        levels = list(dict.fromkeys(cells[key]))
        if value not in levels:
            raise StudyError(f"The grid has no cell with {key} {value!r}; it has: {', '.join(map(str, levels))}.")
        matching = matching[matching[key] == value]
    if matching.empty:
        reason = cells.loc[(cells[list(wanted)] == pd.Series(wanted)).all(axis=1), "reason"].iloc[0]
        raise StudyError(f"No network of {wanted} was trained: {reason}. See the table of cells that failed.")
    return matching.loc[matching[SELECTED_BY].idxmax()]


def select_settings(cells: pd.DataFrame) -> pd.DataFrame:
    """All settings that finished with every seed, the best on validation first.

    Means over the seeds; settings that tie on validation come with the smaller network, then the shorter training first.

    Returns:
        Columns `SETTINGS`, ``validation`` (the mean of `SELECTED_BY`), ``accuracy`` (of the test cases, on which nothing is
        selected), ``parameters``, and ``within_one_error``: whether ``validation`` is within one standard error of the best,
        over the validation cases of all seeds (the rule of Breiman et al. 1984, section 3.4.3).

    Raises:
        StudyError: no setting finished with every seed.
    """
    trained = cells[cells["status"] != FAILED]
    means = trained.groupby(SETTINGS, sort=False).agg(
        validation=(SELECTED_BY, "mean"), accuracy=("accuracy", "mean"), parameters=("parameters", "mean"),
        seeds=("seed", "count"),
    )  # fmt: skip
    means = means[means["seeds"] == cells["seed"].nunique()].drop(columns="seeds").reset_index()
    if means.empty:
        raise StudyError("No setting finished with every seed; the table of cells that failed gives the reasons.")
    means = means.sort_values(
        ["validation", "parameters", "epochs"], ascending=[False, True, True], kind="stable", ignore_index=True
    )
    best = trained.merge(means.loc[[0], SETTINGS])
    gains = np.concatenate([validation_gains(cell) for _, cell in best.iterrows()])
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return means.assign(within_one_error=means["validation"] >= means["validation"][0] - error)


def validation_gains(cell: pd.Series) -> np.ndarray:
    """float64 (n_validation_cases,): NDCG@10 of each validation case of a cell, from its kept ranks."""
    above, tied = cell["validation_above"], cell["validation_tied"]
    return Ranks(above, tied, np.empty((0, 0)), int((above + tied).max(initial=0)) + 1).metric("ndcg@10")


def best_cells(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The cells of the best settings of each architecture (`select_settings`), one row a seed, the best architecture first."""
    best = select_settings(cells).drop_duplicates("architecture")[SETTINGS]
    trained = cells[cells["status"] != FAILED]
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
                "higher": first, "lower": second, "difference": np.mean([d.mean() for d in difference]),
                "low": low[0], "high": high[0], "p": two_sided_p(means[:, 0]),
                "equivalent": bool(-margin < inner[0][0] and inner[1][0] < margin), "detectable": detectable_difference(cases),
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
    trained = cells[cells["status"] != FAILED]
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
        found.append(
            dict(zip(DIFFERENCES, (more, less, d.mean, d.low, d.high, d.p, d.equivalent, detectable), strict=True))
        )
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


def baseline_measures(baselines: pd.DataFrame) -> pd.DataFrame:
    """The rows of `floor` as means over the seeds: a row a model, a column a measure."""
    return baselines.groupby("architecture", sort=False)[[*CLASS_METRICS, *RANKING_METRICS]].mean()


def seconds_an_epoch(cells: pd.DataFrame) -> pd.DataFrame:
    """How long an epoch of each training takes: the settings of the training, and ``seconds``.

    Taken between the first and the last checkpoint, so that compiling the network does not count; where there is one
    checkpoint only it does.
    """
    training = [key for key in KEYS if key != "epochs"]
    between = (
        cells[cells["status"] != FAILED].groupby(training, sort=False)[["train_seconds", "epochs"]].agg(["min", "max"])
    )
    if (between["epochs"]["min"] < between["epochs"]["max"]).all():
        seconds = between["train_seconds"]["max"] - between["train_seconds"]["min"]
        epochs = between["epochs"]["max"] - between["epochs"]["min"]
    else:
        seconds, epochs = between["train_seconds"]["max"], between["epochs"]["max"]
    return (seconds / epochs).rename("seconds").reset_index()


def time_ratio(times: pd.DataFrame, architecture: str, to: str = "lstm") -> pd.Series:
    """How many times as long as ``to`` an epoch of ``architecture`` takes, for each training alike in all else."""
    rest = [column for column in times.columns if column not in ("architecture", "seconds")]
    wide = times.pivot(index=rest, columns="architecture", values="seconds")
    return (wide[architecture] / wide[to]).dropna()
