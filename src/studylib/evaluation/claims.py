"""The claims of the two papers, each measured with an interval and judged by a rule that stands beside it.

Claims about the grid are statements about the accuracies of its cells. The test cases are drawn again, with the same draw
for all cells of a seed, and the statement is computed anew from every draw, so that its interval says what other users of
the same site could have given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from studylib.evaluation.cells import case_hits
from studylib.evaluation.statistics import bootstrap_means, interval
from studylib.grid import KEYS
from studylib.params import Ranking

COLUMNS = ["paper", "claim", "where", "measured", "low", "high", "n", "test", "verdict", "figure"]
"""The columns of ``claims.csv``."""

TOLEDO, SHRIMAL = "Toledo & Rezende 2020", "Shrimal & Patil 2024"

Statistic = Callable[[np.ndarray], np.ndarray]
"""Accuracies of the cells, (draws, n_cells), to one number a draw."""


def _above_zero(low: float, high: float) -> str:
    """Holds where the whole interval is above 0, and does not where it is below."""
    return "holds" if low > 0 else "does not hold" if high < 0 else "undecided"


def _never(low: float, high: float) -> str:
    """Holds where the whole interval of a share is 0, and does not where it is above."""
    return "holds" if high == 0 else "does not hold" if low > 0 else "undecided"


@dataclass(frozen=True)
class GridClaim:
    """A statement about the grid, and the rule that judges the interval of its statistic."""

    claim: str
    where: str
    figure: str
    statistic: Callable[[pd.DataFrame], Statistic | None]
    """Gives None where the cells do not have the levels that the claim is about."""
    test: str
    rule: Callable[[float, float], str] = _above_zero


def _levels(cells: pd.DataFrame, factor: str) -> dict:
    """The positions of the cells of each level of a factor."""
    return {level: np.flatnonzero(cells[factor] == level) for level in cells[factor].unique()}


def extreme(factor: str, level: str, sign: int) -> Callable[[pd.DataFrame], Statistic | None]:
    """How far the mean over a level's cells is above (``sign`` 1) or below (-1) that of the next best (worst) level."""

    def statistic(cells: pd.DataFrame) -> Statistic | None:
        levels = _levels(cells, factor)
        own = levels.pop(level, None)
        if own is None or not levels:
            return None
        return lambda means: (
            sign * means[:, own].mean(1) - np.max([sign * means[:, other].mean(1) for other in levels.values()], axis=0)
        )

    return statistic


def wins(level: str, factor: str = "architecture") -> Callable[[pd.DataFrame], Statistic | None]:
    """The share of scenarios (cells alike but for the factor) in which the level has the highest accuracy, alone."""

    def statistic(cells: pd.DataFrame) -> Statistic | None:
        if level not in set(cells[factor]) or cells[factor].nunique() < 2:
            return None
        rest = [key for key in KEYS if key != factor]
        positions = cells.assign(position=range(len(cells))).pivot(index=rest, columns=factor, values="position")
        positions = positions.dropna().astype(int)  # a scenario in which a network failed has no winner
        if positions.empty:
            return None
        own, others = positions.pop(level).to_numpy(), positions.to_numpy()
        return lambda means: (means[:, own] > means[:, others].max(2)).mean(1)

    return statistic


def minus(statistic: Callable, value: float) -> Callable[[pd.DataFrame], Statistic | None]:
    """The statistic less a constant."""

    def shifted(cells: pd.DataFrame) -> Statistic | None:
        inner = statistic(cells)
        return None if inner is None else lambda means: inner(means) - value

    return shifted


def difference(factor: str, more: object, less: object) -> Callable[[pd.DataFrame], Statistic | None]:
    """The mean over the cells of one level less that of another; ``max`` and ``min`` stand for the extreme levels."""

    def statistic(cells: pd.DataFrame) -> Statistic | None:
        levels = _levels(cells, factor)
        a, b = (f(levels) if f in (max, min) else f for f in (more, less))
        if a not in levels or b not in levels or a == b:
            return None
        return lambda means: means[:, levels[a]].mean(1) - means[:, levels[b]].mean(1)

    return statistic


GRID_CLAIMS = [
    GridClaim("GRU is the best architecture in most scenarios", "section 3, conclusion", "grid-overall",
              minus(wins("gru"), 0.5), "share of scenarios won, less one half"),
    GridClaim("the hybrid is superior in no scenario", "section 3, conclusion", "grid-overall",
              wins("hybrid"), "share of scenarios won", _never),
    GridClaim("softmax is the best activation", "section 3, Figure 3", "grid-activation",
              extreme("activation", "softmax", 1), "mean accuracy less that of the next best"),
    GridClaim("tanh is the worst activation", "section 3, Figure 3", "grid-activation",
              extreme("activation", "tanh", -1), "mean accuracy of the next worst less its own"),
    GridClaim("RMSprop is the best optimizer", "section 3, Figure 5", "grid-optimizer",
              extreme("optimizer", "rmsprop", 1), "mean accuracy less that of the next best"),
    GridClaim("SGD is the worst optimizer", "section 3, Figure 5", "grid-optimizer",
              extreme("optimizer", "sgd", -1), "mean accuracy of the next worst less its own"),
    GridClaim("Adam is better than Adagrad", "section 3, Figure 5", "grid-optimizer",
              difference("optimizer", "adam", "adagrad"), "difference of mean accuracies"),
    GridClaim("more epochs are better", "section 3, Figure 4", "grid-epochs",
              difference("epochs", max, min), "mean accuracy of the most epochs less that of the fewest"),
]  # fmt: skip

REPORTED = {
    "Amazon Grocery": {"hr@5": 0.34, "hr@10": 0.44, "ndcg@5": 0.25, "ndcg@10": 0.28},
    "MovieLens": {"hr@5": 0.70, "hr@10": 0.81, "ndcg@5": 0.55, "ndcg@10": 0.58},
    "Yelp 2022": {"hr@5": 0.65, "hr@10": 0.77, "ndcg@5": 0.48, "ndcg@10": 0.52},
}
"""Shrimal & Patil 2024, Tables 3 and 4."""


def grid_claims(cells: pd.DataFrame, resamples: int = 2000) -> list[dict]:
    """Rows of ``claims.csv`` for those claims of Toledo & Rezende that the cells (of `run_grid`) can speak of."""
    cells = cells[cells["status"] != "failed"].reset_index(drop=True)
    if cells.empty:
        return []
    observed, draws = np.empty((1, len(cells))), np.empty((resamples, len(cells)))
    n_cases = 0
    for draw, positions in enumerate(_levels(cells, "split").values()):
        hits = np.column_stack([case_hits(cell) for _, cell in cells.iloc[positions].iterrows()])
        observed[0, positions] = hits.mean(0)
        draws[:, positions] = bootstrap_means(hits, resamples, draw)
        n_cases += len(hits)
    rows = []
    for claim in GRID_CLAIMS:
        statistic = claim.statistic(cells)
        if statistic is None:
            continue
        value = float(statistic(observed)[0])
        low, high = (float(bound[0]) for bound in interval(statistic(draws)[:, None]))
        verdict = claim.rule(low, high)
        test = f"{claim.test}; bootstrap over test cases"
        rows.append(_row(TOLEDO, claim.claim, claim.where, value, low, high, n_cases, test, verdict, claim.figure))
    return rows


def ranking_claims(measured: pd.DataFrame, ranking: Ranking) -> list[dict]:
    """Rows for the numbers of Shrimal & Patil's Tables 3 and 4, where GRU4Rec was judged among 99 negatives.

    A claim holds where the whole interval is above the printed value less half a unit of its last digit, and does not
    hold where the whole interval is below.

    Args:
        measured: columns ``dataset, model, protocol, metric, mean, low, high, n``.
        ranking: which of the labels are the registry's `grocery` and a GRU4Rec.
    """
    datasets = [dataset.label for dataset in ranking.datasets if dataset.dataset == "grocery"]
    models = [model.label for model in ranking.models if model.model == "gru4rec"]
    measured = measured[measured["dataset"].isin(datasets) & measured["model"].isin(models)]
    rows = []
    for metric, printed in REPORTED["Amazon Grocery"].items():
        table, figure = (3, "ranking-hr") if metric.startswith("hr") else (4, "ranking-ndcg")
        for _, r in measured[(measured["protocol"] == "sampled-99") & (measured["metric"] == metric)].iterrows():
            verdict = _above_zero(r["low"] - (printed - 0.005), r["high"] - (printed - 0.005))
            claim = f"GRU4Rec reaches {metric.upper()} {printed:.2f} on Amazon Grocery"
            claim += "" if r["model"] == "gru4rec" else f" (as {r['model']})"
            where, test = f"Table {table}", "bootstrap over test cases"
            rows.append(_row(SHRIMAL, claim, where, r["mean"], r["low"], r["high"], r["n"], test, verdict, figure))
    return rows


VERSIONS = {"Amazon Grocery": {"grocery": "the same"}, "MovieLens": {"ml-1m": "the same", "ml-100k": "a smaller version"},
            "Yelp 2022": {"yelp": "another version"}}  # fmt: skip
"""The data sets of the registry that stand for those of the paper. The sizes in its Table 2 fit none of them exactly."""


def beside_the_paper(measured: pd.DataFrame, ranking: Ranking) -> pd.DataFrame:
    """Tables 3 and 4 of Shrimal & Patil with this study's GRU4Rec beside them, among 99 negatives.

    Args:
        measured, ranking: as for `ranking_claims`.

    Returns:
        Columns ``reported on, metric, reported, dataset, version, model, mean, low, high``.
    """
    labels = {dataset.dataset: dataset.label for dataset in ranking.datasets}
    models = [model.label for model in ranking.models if model.model == "gru4rec"]
    sampled = measured[(measured["protocol"] == "sampled-99") & measured["model"].isin(models)]
    rows = [
        (reported_on, metric, reported, r.dataset, version, r.model, r.mean, r.low, r.high)
        for reported_on, values in REPORTED.items()
        for name, version in VERSIONS[reported_on].items()
        for metric, reported in values.items()
        for r in sampled[(sampled["dataset"] == labels.get(name)) & (sampled["metric"] == metric)].itertuples(name="R")
    ]
    columns = ["reported on", "metric", "reported", "dataset", "version", "model", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _row(*values) -> dict:
    return dict(zip(COLUMNS, values, strict=True))
