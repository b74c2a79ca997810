"""What each factor of a grid changes: every two of its levels, case by case, and its share of the variance over the cells.

A factor has *little influence* where every two of its levels are equivalent (`studylib.tables.grid`). All that is a mean over
cells is given with and without those that collapsed.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from studylib.evaluation.statistics import detectable_difference, drawn_together, paired_difference, variance_shares
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
    return _level_differences(cells, factor, margin, _hits_by_split(cells))


def _level_differences(cells: pd.DataFrame, factor: str, margin: float, hits: dict) -> pd.DataFrame:
    trained = cells[cells["status"] != FAILED]
    scenario = [key for key in KEYS if key != factor]
    means = trained.groupby(factor, sort=False)["accuracy"].mean().sort_values(ascending=False, kind="stable")
    rows = []
    for first, second in itertools.combinations(means.index, 2):
        pair = trained[trained[factor].isin([first, second])]
        complete = pair[pair.groupby(scenario)[factor].transform("nunique") == 2]
        if complete.empty:
            continue
        sums = {level: _mean_hits(part, hits) for level, part in complete.groupby(factor, sort=False)}
        sizes = np.concatenate([of_split[1] for split, of_split in hits.items() if split in set(complete["split"])])
        higher, lower = sorted((first, second), key=lambda level: -sums[level].sum())
        d = paired_difference(sums[higher], sums[lower], margin, sizes=sizes)
        detectable = detectable_difference(sums[higher] - sums[lower], sizes=sizes)
        rows.append(
            (higher, lower, d.mean, d.low, d.high, d.p, d.least_p, d.equivalent, detectable, len(complete) // 2)
        )
    return correct(pd.DataFrame(rows, columns=LEVEL_DIFFERENCES))


def _hits_by_split(cells: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, np.ndarray]]:
    """Of each split the hits of its cells, a row a cell, as sums over cases drawn together, and how many each sum is of."""
    found = {}
    for split, part in cells[cells["status"] != FAILED].groupby("split", sort=False):
        drawn = [drawn_together(case_hits(cell)[:, None]) for _, cell in part.iterrows()]
        found[split] = pd.DataFrame([sums[:, 0] for sums, _ in drawn], part.index), drawn[0][1]
    return found


def _mean_hits(cells: pd.DataFrame, hits: dict) -> np.ndarray:
    """float64 (n,): the hits as `_hits_by_split` has them, means over the cells of a split, one split after the other."""
    by_split = dict(list(cells.groupby("split", sort=False)))
    chosen = [of_split[0].loc[by_split[split].index] for split, of_split in hits.items() if split in by_split]
    return np.concatenate([sums.to_numpy().mean(axis=0) for sums in chosen])


def varying_factors(cells: pd.DataFrame) -> list[str]:
    """The factors of which a grid has several levels."""
    return [factor for factor in FACTORS if cells[factor].nunique() > 1]


def factor_differences(cells: pd.DataFrame) -> pd.DataFrame:
    """`level_differences` of every factor that varies: ``factor`` and `LEVEL_DIFFERENCES`; ``p`` is corrected within a factor."""
    hits = _hits_by_split(cells)
    tables = [
        _level_differences(cells, factor, MARGIN, hits).assign(factor=factor) for factor in varying_factors(cells)
    ]
    columns = ["factor", *LEVEL_DIFFERENCES]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def differences_by_part(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`factor_differences` of each part of `with_and_without_collapsed`; that of all cells is the first."""
    return {name: factor_differences(part) for name, part in with_and_without_collapsed(cells).items()}


def factor_differences_table(differences: pd.DataFrame) -> pd.DataFrame:
    """`factor_differences` to be read."""
    table = differences_table(differences)
    return table.assign(factor=table["factor"].str.replace("_", " "))


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
