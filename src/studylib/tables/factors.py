"""What each factor of a grid changes: every two of its levels, case by case, and its share of the variance over the cells.

A factor has *little influence* where every two of its levels are equivalent (`studylib.tables.grid`). All that is a mean over
cells is given with and without those that collapsed.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from studylib.evaluation.statistics import detectable_difference, paired_difference, variance_shares
from studylib.grid import KEYS
from studylib.kept import FAILED
from studylib.tables.grid import (
    DIFFERENCES,
    FACTORS,
    MARGIN,
    case_hits,
    correct,
    differences_table,
    with_and_without_collapsed,
)

LEVEL_DIFFERENCES = [*DIFFERENCES, "scenarios"]
"""The columns of differences between levels; ``scenarios``: how many cells of either level are compared."""


def level_differences(cells: pd.DataFrame, factor: str, margin: float = MARGIN) -> pd.DataFrame:
    """Accuracy of each two levels of a factor, case by case: a case counts with its mean over all cells of the level.

    The cases are what is drawn; the cells are not. So 20, 50 and 100 epochs of one training, and whatever else the cells
    share, are repeated measures of a case and no further evidence: each difference is taken within a training and a case
    first, then over cases. It speaks of these trainings on other cases of the same log. A scenario (all settings but the
    factor) that one of the two levels did not finish is left out for both; levels that share no scenario are not compared.

    Returns:
        `LEVEL_DIFFERENCES`, the pairs in the order of the levels' mean accuracy.
    """
    trained = cells[cells["status"] != FAILED]
    scenario = [key for key in KEYS if key != factor]
    means = trained.groupby(factor, sort=False)["accuracy"].mean().sort_values(ascending=False, kind="stable")
    rows = []
    for first, second in itertools.combinations(means.index, 2):
        pair = trained[trained[factor].isin([first, second])]
        complete = pair[pair.groupby(scenario)[factor].transform("nunique") == 2]
        if complete.empty:
            continue
        values = {level: _mean_hits(part) for level, part in complete.groupby(factor, sort=False)}
        higher, lower = sorted((first, second), key=lambda level: -values[level].mean())
        d = paired_difference(values[higher], values[lower], margin)
        detectable = detectable_difference(values[higher] - values[lower])
        rows.append(
            (higher, lower, d.mean, d.low, d.high, d.p, d.least_p, d.equivalent, detectable, len(complete) // 2)
        )
    return correct(pd.DataFrame(rows, columns=LEVEL_DIFFERENCES))


def _mean_hits(cells: pd.DataFrame) -> np.ndarray:
    """float64 (n_cases,): the mean hit of each test case over the cells of its split, one split after the other."""
    by_split = cells.groupby("split", sort=False)
    return np.concatenate([np.mean([case_hits(cell) for _, cell in part.iterrows()], axis=0) for _, part in by_split])


def varying_factors(cells: pd.DataFrame) -> list[str]:
    """The factors of which a grid has several levels."""
    return [factor for factor in FACTORS if cells[factor].nunique() > 1]


def factor_differences(cells: pd.DataFrame) -> pd.DataFrame:
    """`level_differences` of every factor that varies: ``factor`` and `LEVEL_DIFFERENCES`; ``p`` is corrected within a factor."""
    tables = [level_differences(cells, factor).assign(factor=factor) for factor in varying_factors(cells)]
    columns = ["factor", *LEVEL_DIFFERENCES]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def factor_differences_tables(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`factor_differences` to be read, for each part of `with_and_without_collapsed`."""
    parts = with_and_without_collapsed(cells)
    tables = {name: differences_table(factor_differences(part)) for name, part in parts.items()}
    return {name: table.assign(factor=table["factor"].str.replace("_", " ")) for name, table in tables.items()}


def variance_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Shares of the variance of accuracy over the cells, by factor and by pairs of factors.

    Without the collapsed cells not every combination occurs, so that the shares need not add up to 1.

    Returns:
        Columns ``effect`` and, for each part of `with_and_without_collapsed`, its share in percent; the largest first.
    """
    columns = {
        name: variance_shares(part, "accuracy", KEYS).set_index("effect")["share"].map("{:.1%}".format)
        for name, part in with_and_without_collapsed(cells).items()
    }
    effects = list(dict.fromkeys(effect for shares in columns.values() for effect in shares.index))
    table = pd.DataFrame(columns).reindex(effects).rename_axis("effect").reset_index()
    return table.assign(effect=table["effect"].str.replace("_", " "))
