"""The claims of Toledo & Rezende 2020, measured on the cells of the grid.

They are statements about means over cells. The test cases are drawn again, with the same draw for all cells of a split, and
each statement is computed anew from every draw, so that its interval says what other users of the same site could have
given. Where cells were trained twice, with sums in another order, a draw has that difference too. With one seed the interval
says nothing of what other initial weights could have given.

Means over cells are also given without the networks that have collapsed: one that puts one item first for everyone says what the
popularity of an item is worth and nothing about its settings.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from studylib.evaluation.claims import (
    DIFFERENCE,
    NEVER,
    RELATIVE,
    SCENARIOS,
    SOMEWHERE,
    TOLEDO,
    Part,
    Rule,
    above,
    decides_nothing,
    inside,
    not_tested,
    outside,
    row,
    simultaneous_intervals,
)
from studylib.evaluation.statistics import bootstrap_means, bootstrap_sums, drawn_together
from studylib.grid import KEYS
from studylib.kept import FAILED
from studylib.tables.formats import count
from studylib.tables.grid import COLLAPSED, FACTORS, MARGIN, SETTINGS, by_case

Parts = dict[str, Callable[[np.ndarray], np.ndarray]]
"""By name: from a measure of the cells, (draws, n_cells), to one number a draw."""

Statement = Callable[[pd.DataFrame, np.ndarray], Parts]
"""From the cells, and a mask of those that are meant, to its parts: none where the cells lack its levels."""

_ALL_FOUR = ("accuracy", "precision", "recall", "f1")

HYBRIDS = ("hybrid", "hybrid-gru-lstm")
"""The text stacks a GRU on an LSTM, Table 3 an LSTM on a GRU: what is said of "the hybrid" is asked of both."""

RELATIVE_MARGIN = 0.1
"""Of times, and of measures on a scale without a natural unit of interest: a tenth."""

ABOVE = above()
EQUIVALENT = inside(-MARGIN, MARGIN)
HARDLY = inside(-RELATIVE_MARGIN, RELATIVE_MARGIN)


@dataclass(frozen=True)
class GridClaim:
    """A statement about the grid, where it stands, and the rule that judges it.

    Attributes:
        of_means: whether it is about means over cells, which are given without collapsed cells as well, or compares cells
            one by one.
    """

    claim: str
    where: str
    figure: str
    statement: Statement
    test: str
    rule: Rule = ABOVE
    measures: tuple[str, ...] = ("accuracy",)
    of_means: bool = True
    unit: str = DIFFERENCE


def _at(cells: pd.DataFrame, levels: dict) -> np.ndarray:
    """The mask of the cells that have all the levels."""
    return np.logical_and.reduce([cells[factor] == level for factor, level in levels.items()])


def _contrast(more: np.ndarray, less: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The mean over the cells ``more`` less that over the cells ``less``."""
    weights = more / more.sum() - less / less.sum()
    return lambda means: means @ weights


def within(levels: dict, statement: Statement) -> Statement:
    """The statement about the cells with these levels alone."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        mask = mask & _at(cells, levels)
        return statement(cells, mask) if mask.any() else {}

    return parts


def each(factor: str, statement: Statement) -> Statement:
    """The statement about the cells of each level of a factor."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        return {
            f"{level}: {name}": part
            for level in cells.loc[mask, factor].unique()
            for name, part in within({factor: level}, statement)(cells, mask).items()
        }

    return parts


def ahead(levels: dict) -> Statement:
    """The mean over the cells with these levels less that of each other combination of the same factors."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        combinations = cells.loc[mask, list(levels)].drop_duplicates().to_dict("records")
        if levels not in combinations:
            return {}
        here = mask & _at(cells, levels)
        return {
            f"less {', '.join(map(str, other.values()))}": _contrast(here, mask & _at(cells, other))
            for other in combinations
            if other != levels
        }

    return parts


def behind(levels: dict) -> Statement:
    """The mean of each other combination less that over the cells with these levels."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        return {
            name.removeprefix("less "): lambda means, part=part: -part(means)
            for name, part in ahead(levels)(cells, mask).items()
        }

    return parts


def change(factor: str) -> Statement:
    """The mean over the cells of the largest level less that of the smallest."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        least, most = cells.loc[mask, factor].min(), cells.loc[mask, factor].max()
        if least == most:
            return {}
        return {f"{most} less {least}": _contrast(*(mask & _at(cells, {factor: level}) for level in (most, least)))}

    return parts


def fall(factor: str) -> Statement:
    """The mean over the cells of the smallest level less that of the largest."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        return {f"minus {n}": lambda means, p=p: -p(means) for n, p in change(factor)(cells, mask).items()}

    return parts


def pairs(factor: str) -> Statement:
    """The difference of the means of each two levels."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        levels = cells.loc[mask, factor].unique()
        return {
            f"{one} less {other}": _contrast(*(mask & _at(cells, {factor: level}) for level in (one, other)))
            for one, other in itertools.combinations(levels, 2)
        }

    return parts


def relative(statement: Statement) -> Statement:
    """The statement in units of the mean over all cells."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        return {
            name: lambda means, part=part: part(means) / means[:, mask].mean(1)
            for name, part in statement(cells, mask).items()
        }

    return parts


def whatever_else(factor: str, statement: Statement) -> Statement:
    """The statement at each level of each other factor."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        others = [other for other in FACTORS if other != factor]
        return {n: part for other in others for n, part in each(other, statement)(cells, mask).items()}

    return parts


def same_response(factor: str, of: str = "architecture") -> Statement:
    """How the change with one factor differs between each two levels of another, from the same level to the same."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        changes = {tuple(name.split(": ")): part for name, part in each(of, change(factor))(cells, mask).items()}
        return {
            f"{one} against {other}: {levels}": lambda means, a=changes[one, levels], b=changes[other, same]: (
                a(means) - b(means)
            )
            for (one, levels), (other, same) in itertools.combinations(changes, 2)
            if levels == same
        }

    return parts


def matters_more(factor: str) -> Statement:
    """The range of the means of a factor's levels less that of each other factor."""

    def spread(means: np.ndarray, levels: list[np.ndarray]) -> np.ndarray:
        return np.ptp([means[:, level].mean(1) for level in levels], axis=0)

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        levels = {f: [mask & _at(cells, {f: level}) for level in cells.loc[mask, f].unique()] for f in FACTORS}
        varying = {f: masks for f, masks in levels.items() if len(masks) > 1}
        of_factor = varying.pop(factor, None)
        if of_factor is None:
            return {}
        return {
            f"less {other.replace('_', ' ')}": lambda means, masks=masks: (
                spread(means, of_factor) - spread(means, masks)
            )
            for other, masks in varying.items()
        }

    return parts


Scenarios = dict[str, np.ndarray]
"""By architecture: int (n_scenarios, n_seeds), the positions of the cells that are equal but for architecture and seed."""


def _scenarios(cells: pd.DataFrame, mask: np.ndarray) -> tuple[list[str], Scenarios]:
    """The scenarios in words, and their cells.

    A scenario in which a network failed is left out, and one in which every network collapsed: it has no best.
    """
    rest = [key for key in KEYS if key not in ("architecture", "seed")]
    positions = cells.assign(position=range(len(cells)))[mask].pivot(
        index=rest, columns=["architecture", "seed"], values="position"
    )
    positions = positions.dropna().astype(int)
    collapsed = (cells["status"] == COLLAPSED).to_numpy()
    decided = positions[~collapsed[positions.to_numpy()].all(axis=1)]
    words = [
        f"{activation}, {optimizer}, batch size {batch_size}, {count(epochs, 'epoch')}"
        for activation, optimizer, batch_size, epochs in decided.index
    ]
    return words, {name: decided[name].to_numpy() for name in decided.columns.unique("architecture")}


def _values(means: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Of each scenario the mean over its seeds: (draws, n_scenarios)."""
    return means[:, positions].mean(2)


def _share_won(scenarios: Scenarios, architecture: str) -> Callable[[np.ndarray], np.ndarray]:
    """The share of the scenarios in which an architecture has the highest value, alone."""

    def share(means: np.ndarray) -> np.ndarray:
        others = [_values(means, cells) for name, cells in scenarios.items() if name != architecture]
        return (_values(means, scenarios[architecture]) > np.max(others, axis=0)).mean(1)

    return share


def shares_won(cells: pd.DataFrame, measures: tuple[str, ...] = _ALL_FOUR) -> pd.DataFrame:
    """The share of the scenarios in which each architecture has the highest value, alone, and of those with a draw.

    Returns:
        A row a measure, a column an architecture, and ``draw``.
    """
    _, scenarios = _scenarios(cells, np.ones(len(cells), bool))
    shares = {
        measure: {a: float(_share_won(scenarios, a)(cells[[measure]].to_numpy().T)[0]) for a in scenarios}
        for measure in measures
    }
    table = pd.DataFrame.from_dict(shares, orient="index")
    return table.assign(draw=(1 - table.sum(axis=1)).clip(lower=0))


def beside_each_hybrid(statement: Callable[[str], Statement]) -> Statement:
    """The statement about LSTM, GRU and one hybrid, for each of the two that the paper may mean.

    Args:
        statement: from the name of the hybrid, which the statement may be about.
    """

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        architecture = cells["architecture"]
        hybrids = [name for name in HYBRIDS if (architecture[mask] == name).any()]
        return {
            f"{hybrid}: {name}" if len(hybrids) > 1 else name: part
            for hybrid in hybrids or [HYBRIDS[0]]
            for name, part in statement(hybrid)(
                cells, mask & ~architecture.isin(set(HYBRIDS) - {hybrid}).to_numpy()
            ).items()
        }

    return parts


def wins(architecture: str) -> Statement:
    """The share of the scenarios in which the architecture has the highest value, alone."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        words, scenarios = _scenarios(cells, mask)
        if architecture not in scenarios or not words or len(scenarios) < 2:
            return {}
        return {"share won": _share_won(scenarios, architecture)}

    return parts


def wins_more(architecture: str, sign: int = 1) -> Statement:
    """The share of the scenarios that it wins less the share of each other (``sign`` -1: the others' less its own)."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        words, scenarios = _scenarios(cells, mask)
        if architecture not in scenarios or not words:
            return {}
        won = {name: _share_won(scenarios, name) for name in scenarios}
        share = won.pop(architecture)
        return {name: lambda means, other=other: sign * (share(means) - other(means)) for name, other in won.items()}

    return parts


def leads(architecture: str) -> Statement:
    """In each scenario, its value less that of the best other; means over the seeds."""

    def parts(cells: pd.DataFrame, mask: np.ndarray) -> Parts:
        words, scenarios = _scenarios(cells, mask)
        if architecture not in scenarios or len(scenarios) < 2:
            return {}
        own = scenarios.pop(architecture)

        def lead(means: np.ndarray, row: slice) -> np.ndarray:
            best = np.max([_values(means, others[row]) for others in scenarios.values()], axis=0)
            return (_values(means, own[row]) - best)[:, 0]

        return {name: lambda means, row=slice(n, n + 1): lead(means, row) for n, name in enumerate(words)}

    return parts


_GRU_RMSPROP = {"architecture": "gru", "optimizer": "rmsprop"}
_LSTM_RMSPROP = {"architecture": "lstm", "optimizer": "rmsprop"}

GRID_CLAIMS = [
    GridClaim("GRU is the best architecture in most scenarios", "section 4", "scenarios",
              beside_each_hybrid(lambda _: wins("gru")),
              "share of the scenarios in which it alone has the highest accuracy", above(0.5), of_means=False,
              unit=SCENARIOS),
    GridClaim("GRU does well in more scenarios than the others", "section 3, Figure 2", "scenarios",
              beside_each_hybrid(lambda _: wins_more("gru")),
              "share of the scenarios with the highest accuracy, less that of each other",
              of_means=False, unit=SCENARIOS),
    GridClaim("GRU has the highest accuracy and F1 more often than the others", "section 3", "scenarios",
              beside_each_hybrid(lambda _: wins_more("gru")),
              "share of the scenarios with the highest value, less that of each other",
              measures=("accuracy", "f1"), of_means=False, unit=SCENARIOS),
    GridClaim("the hybrid does well in fewer scenarios than the others", "section 3, Figure 2", "scenarios",
              beside_each_hybrid(lambda hybrid: wins_more(hybrid, -1)),
              "share of the scenarios with the highest accuracy of each other, less its own",
              of_means=False, unit=SCENARIOS),
    GridClaim("the hybrid is superior in no case", "section 3", "scenarios",
              beside_each_hybrid(leads), "in each scenario, its accuracy less that of the best other", NEVER,
              of_means=False),
    GridClaim("LSTM is superior in specific cases", "section 3", "scenarios",
              leads("lstm"), "in each scenario, its accuracy less that of the best other", SOMEWHERE,
              of_means=False),
    GridClaim("accuracy is higher with GRU", "section 4, Figure 2", "grid-overall",
              ahead({"architecture": "gru"}), "mean accuracy less that of each other architecture"),
    GridClaim("precision is higher with GRU", "section 4, Figure 2", "grid-overall",
              ahead({"architecture": "gru"}), "mean precision less that of each other architecture",
              measures=("precision",)),
    GridClaim("F1 is higher with GRU", "section 4, Figure 2", "grid-overall",
              ahead({"architecture": "gru"}), "mean F1 less that of each other architecture", measures=("f1",)),
    GridClaim("recall is similar for the three architectures", "section 4, Figure 2", "grid-overall",
              relative(pairs("architecture")), "difference of mean recall of each two, as a share of the mean over all cells",
              HARDLY, ("recall",), unit=RELATIVE),
    GridClaim("the hybrid is lower than the others in all four measures", "section 4, Figure 2", "grid-overall",
              beside_each_hybrid(lambda hybrid: behind({"architecture": hybrid})),
              "mean of each other architecture less its own, each measure",
              measures=_ALL_FOUR),
    GridClaim("a hybrid is more accurate than LSTM and GRU (of its reference [13])", "section 1", "grid-overall",
              beside_each_hybrid(lambda hybrid: ahead({"architecture": hybrid})),
              "mean accuracy less that of each other architecture"),
    GridClaim("softmax is the best activation", "section 3, Figure 3", "grid-activation",
              ahead({"activation": "softmax"}), "mean accuracy less that of each other"),
    GridClaim("softmax gives high accuracy and precision", "section 4, Figure 3", "grid-activation",
              ahead({"activation": "softmax"}), "mean less that of each other", measures=("accuracy", "precision")),
    GridClaim("tanh is the worst activation", "section 3, section 4, Figure 3", "grid-activation",
              behind({"activation": "tanh"}), "mean accuracy of each other less its own"),
    GridClaim("more epochs are better", "section 3, section 4, Figure 4", "grid-epochs",
              change("epochs"), "mean accuracy of the most epochs less that of the fewest"),
    GridClaim("more epochs are better whatever the other settings", "section 3", "grid-epochs",
              whatever_else("epochs", change("epochs")),
              "mean accuracy of the most epochs less that of the fewest, at each level of each other factor"),
    GridClaim("the number of epochs has little influence", "section 3, Figure 4", "grid-epochs",
              pairs("epochs"), "difference of mean accuracies of each two", EQUIVALENT),
    GridClaim("the optimizer matters most", "section 3, Figure 5", "grid-optimizer",
              matters_more("optimizer"), "range of the mean accuracies of its levels less that of each other factor"),
    GridClaim("RMSprop is the best optimizer", "section 3, section 4, Figure 5", "grid-optimizer",
              ahead({"optimizer": "rmsprop"}), "mean accuracy less that of each other"),
    GridClaim("RMSprop is best of all together with GRU", "section 3, Figure 5", "grid-optimizer",
              ahead(_GRU_RMSPROP), "mean accuracy less that of each other optimizer and architecture"),
    GridClaim("SGD is the worst optimizer", "section 4, Figure 5", "grid-optimizer",
              behind({"optimizer": "sgd"}), "mean accuracy of each other less its own"),
    GridClaim("SGD is the worst optimizer whatever the architecture", "section 3, Figure 5", "grid-optimizer",
              each("architecture", behind({"optimizer": "sgd"})),
              "mean accuracy of each other less its own, in each architecture"),
    GridClaim("Adam is better than Adagrad", "section 3, Figure 5", "grid-optimizer",
              lambda cells, mask: ahead({"optimizer": "adam"})(
                  cells, mask & cells["optimizer"].isin(["adam", "adagrad"]).to_numpy()
              ), "difference of mean accuracies"),
    GridClaim("Adam gains from more epochs", "section 3", "epochs-by-optimizer",
              within({"optimizer": "adam"}, change("epochs")), "mean accuracy of the most epochs less that of the fewest"),
    GridClaim("Adagrad gains from more epochs", "section 3", "epochs-by-optimizer",
              within({"optimizer": "adagrad"}, change("epochs")),
              "mean accuracy of the most epochs less that of the fewest"),
    GridClaim("the batch size has little influence", "section 4, Figure 6", "grid-batch-size",
              pairs("batch_size"), "difference of mean accuracies of each two", EQUIVALENT),
    GridClaim("LSTM with RMSprop falls as batches grow", "section 3, Figure 6", "batch-by-optimizer",
              within(_LSTM_RMSPROP, fall("batch_size")), "mean accuracy of the smallest batch less that of the largest"),
    GridClaim("the batch size has little effect on GRU with RMSprop", "section 3, Figure 6", "batch-by-optimizer",
              within(_GRU_RMSPROP, pairs("batch_size")), "difference of mean accuracies of each two", EQUIVALENT),
    GridClaim("GRU with RMSprop is the better the larger the batch", "section 3", "batch-by-optimizer",
              within(_GRU_RMSPROP, change("batch_size")), "mean accuracy of the largest batch less that of the smallest"),
    GridClaim("GRU with RMSprop and softmax gains from larger batches", "section 3", "batch-with-rmsprop",
              within(_GRU_RMSPROP | {"activation": "softmax"}, change("batch_size")),
              "mean of the largest batch less that of the smallest", measures=("accuracy", "f1")),
    GridClaim("optimizers other than RMSprop respond to the batch alike in all architectures", "section 3, Figure 6",
              "batch-by-optimizer",
              lambda cells, mask: each("optimizer", same_response("batch_size"))(
                  cells, mask & (cells["optimizer"] != "rmsprop").to_numpy()
              ),
              "mean accuracy of the largest batch less that of the smallest, difference between each two architectures",
              EQUIVALENT),
    GridClaim("LSTM with sigmoid and RMSprop beats the other architectures at any batch size", "section 3",
              "batch-with-rmsprop",
              within({"optimizer": "rmsprop", "activation": "sigmoid"}, each("batch_size", ahead({"architecture": "lstm"}))),
              "mean accuracy less that of each other architecture, at each batch size"),
    GridClaim("of the GRUs, the one with RMSprop and softmax is best", "section 3", "combinations",
              within({"architecture": "gru"}, ahead({"optimizer": "rmsprop", "activation": "softmax"})),
              "mean less that of each other optimizer and activation", measures=("accuracy", "f1")),
    GridClaim("GRU, RMSprop and softmax together are the best of all", "section 4", "combinations",
              ahead(_GRU_RMSPROP | {"activation": "softmax"}),
              "mean accuracy less that of each other architecture, optimizer and activation"),
]  # fmt: skip


def grid_claims(cells: pd.DataFrame, targets: dict[str, np.ndarray], resamples: int = 2000) -> list[dict]:
    """Rows of ``claims.csv`` for those claims of Toledo & Rezende that the cells can speak of, but for those about time.

    Claims about means over cells are judged on all cells, and on those that have not collapsed.

    Args:
        cells: of `studylib.grid.read_grid`.
        targets: for each split of the cells (its checksum), the item that truly came next in each test case.
    """
    cells = cells[cells["status"] != FAILED].reset_index(drop=True)
    if cells.empty:
        return []
    measures = sorted({measure for claim in GRID_CLAIMS for measure in claim.measures})
    means, draws = _means_and_draws(cells, targets, measures, resamples)
    n_cases = sum(len(targets[split]) for split in cells["split"].unique())
    all_cells, not_collapsed = np.ones(len(cells), bool), (cells["status"] != "collapsed").to_numpy()

    def judge(claim: GridClaim, mask: np.ndarray) -> list[Part]:
        parts = _named_parts(claim, cells, mask)
        return simultaneous_intervals(
            {name: part(means[measure])[0] for name, (measure, part) in parts.items()},
            {name: part(draws[measure]) for name, (measure, part) in parts.items()},
        )

    return [
        row(
            TOLEDO, claim.claim, claim.where, judge(claim, all_cells), n_cases,
            f"{claim.test}; bootstrap over test cases", claim.rule, claim.figure,
            judge(claim, not_collapsed) if claim.of_means else None, source="grid.csv",
            unit=claim.unit,
        )
        for claim in GRID_CLAIMS
        if _named_parts(claim, cells, all_cells)
    ]  # fmt: skip


def _means_and_draws(
    cells: pd.DataFrame, targets: dict[str, np.ndarray], measures: list[str], resamples: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """By measure: float (1, n_cells), that of each cell, and (resamples, n_cells), from draws that the cells of a split share."""
    means = {measure: np.empty((1, len(cells))) for measure in measures}
    draws = {measure: np.empty((resamples, len(cells))) for measure in measures}
    for number, (split, of_split) in enumerate(cells.groupby("split", sort=False)):
        rows = [cell for _, cell in of_split.iterrows()]
        twice = [cell.get("again") is not None for cell in rows]
        second = [cell["again"].arrays for cell, again in zip(rows, twice, strict=True) if again]
        sums = [
            {m: drawn_together(v[:, None]) for m, v in by_case(c, targets[split]).items()} for c in [*rows, *second]
        ]
        for measure in measures:
            values, sizes = np.hstack([of_cell[measure][0] for of_cell in sums]), sums[0][measure][1]
            means[measure][:, of_split.index] = values[:, : len(rows)].sum(0) / sizes.sum()
            drawn = bootstrap_sums(values, sizes, resamples, number)
            first, again = drawn[:, : len(rows)], drawn[:, len(rows) :]
            if second:
                first[:, twice] += _signs(of_split[twice], resamples, number) * (again - first[:, twice]) / np.sqrt(2)
            draws[measure][:, of_split.index] = first
    return means, {measure: _seeds_drawn(cells, drawn) for measure, drawn in draws.items()}


def _seeds_drawn(cells: pd.DataFrame, draws: np.ndarray) -> np.ndarray:
    """The draws, (resamples, n_cells), with the seeds drawn again too: in each draw a cell has the value of a drawn seed.

    The settings share the drawn seeds. Where a seed is drawn twice its cases are the same draw both times, so that where seeds
    have test cases of their own the intervals are rather too wide than too narrow.
    """
    column = cells.assign(column=range(len(cells))).pivot(index=SETTINGS, columns="seed", values="column")
    column = column.dropna().astype(int).to_numpy()  # a setting that failed with a seed keeps those that it has
    n_seeds = column.shape[1]
    if n_seeds == 1:
        return draws
    drawn = np.random.default_rng(n_seeds).integers(0, n_seeds, (len(draws), n_seeds))
    result = draws.copy()
    for place in range(n_seeds):
        result[:, column[:, place]] = np.take_along_axis(draws, column[:, drawn[:, place]].T, 1)
    return result


def _signs(cells: pd.DataFrame, resamples: int, seed: int) -> np.ndarray:
    """1 or -1, (resamples, n_cells), the same for all cells of a training: with which sign a draw has the difference of its two.

    With the difference over the square root of 2 a draw has the variance of one training, of which two are an estimate.
    """
    training = cells.groupby([key for key in KEYS if key != "epochs"], sort=False).ngroup()
    signs = 2.0 * np.random.default_rng([seed, 2]).integers(0, 2, (resamples, training.max() + 1)) - 1
    return signs[:, training]


def _named_parts(claim: GridClaim, cells: pd.DataFrame, mask: np.ndarray) -> dict[str, tuple[str, Callable]]:
    """The parts of a claim for each of its measures, by their names."""
    statement = claim.statement(cells, mask) if mask.any() else {}
    return {
        (f"{measure}: {name}" if len(claim.measures) > 1 else name): (measure, part)
        for measure in claim.measures
        for name, part in statement.items()
    }


@dataclass(frozen=True)
class TimeClaim:
    """A statement about how long an epoch of one level of a factor takes, compared with another."""

    claim: str
    where: str
    factors: tuple[str, ...]
    ratios: tuple[tuple[str, str], ...]
    """The levels that are compared; none: each two."""
    rule: Rule


TIME_CLAIMS = [
    TimeClaim("LSTM and GRU train equally fast", "section 2", ("architecture",), (("gru", "lstm"),), HARDLY),
    TimeClaim("GRU trains in 20 to 30 % less time than LSTM (of its reference [8])", "section 1", ("architecture",),
              (("gru", "lstm"),), inside(-0.3, -0.2)),
    TimeClaim("the hybrid takes longer", "section 2", ("architecture",), (("hybrid", "lstm"), ("hybrid", "gru")), ABOVE),
    TimeClaim("a hybrid takes less time than LSTM and GRU (of its reference [13])", "section 1", ("architecture",),
              (("lstm", "hybrid"), ("gru", "hybrid")), ABOVE),
    TimeClaim("the batch size changes the time", "section 2", ("batch_size",), (),
              outside(-RELATIVE_MARGIN, RELATIVE_MARGIN)),
    TimeClaim("activation and optimizer hardly change the time", "section 2", ("activation", "optimizer"), (), HARDLY),
]  # fmt: skip


MEASURE_TIMES = "studylib run params/study.yaml --only 02 --fresh"
"""What measures them, with ``execution.workers: 1``, where no training beside another took its time."""


def time_claims(times: pd.DataFrame, one_at_a_time: bool, resamples: int = 2000) -> list[dict]:
    """Rows for the claims about time. Not the same from run to run, as nothing about time is.

    Two levels are compared by the ratio of the times of an epoch, less 1: the geometric mean over the trainings alike in all
    else, which are drawn again.

    Args:
        times: of `studylib.grid.seconds_an_epoch`.
        one_at_a_time: whether no training ran beside another; else nothing is decided.
    """
    if times.empty:
        return [not_tested(TOLEDO, claim.claim, claim.where, MEASURE_TIMES) for claim in TIME_CLAIMS]
    rows = []
    for claim in TIME_CLAIMS:
        observed: dict[str, float] = {}
        draws: dict[str, np.ndarray] = {}
        n_trainings = 0
        for factor in claim.factors:
            rest = [column for column in times.columns if column not in (factor, "seconds")]
            logs = np.log(times.pivot(index=rest, columns=factor, values="seconds").dropna())
            compared = [pair for pair in claim.ratios or itertools.combinations(logs, 2) if set(pair) <= set(logs)]
            if not compared or logs.empty:
                continue
            n_trainings += logs.size
            resampled = dict(zip(logs, bootstrap_means(logs.to_numpy(), resamples).T, strict=True))
            for more, less in compared:
                name = f"{more} against {less}"
                observed[name] = np.expm1(logs[more].mean() - logs[less].mean())
                draws[name] = np.expm1(resampled[more] - resampled[less])
        if observed:
            test = "ratio of the seconds of an epoch, less 1; bootstrap over trainings equal in all else"
            parts: list[Part] = simultaneous_intervals(observed, draws)
            found = row(
                TOLEDO,
                claim.claim,
                claim.where,
                parts,
                n_trainings,
                test,
                claim.rule,
                "training-times",
                source="grid_times.csv",
                unit=RELATIVE,
            )
            rows.append(found if one_at_a_time else decides_nothing(found, "other trainings ran beside"))
    return rows
