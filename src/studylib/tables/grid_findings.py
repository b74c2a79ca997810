"""The numbers of the sentences of the notebooks: small dataclasses, each computed by one function, rendered by one f-string."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from studylib.data.sessions import UNKNOWN_TARGET, Cases
from studylib.data.splits import Split
from studylib.data.summary import unseen_targets
from studylib.evaluation import statistics
from studylib.evaluation.statistics import bootstrap_means, variance_shares
from studylib.grid import KEYS
from studylib.kept import TOLERANCE
from studylib.params.models import LAYERS
from studylib.sources import Source, all_sourced, source, source_of, sourced
from studylib.tables.factors import varying_factors
from studylib.tables.formats import count, fixed, interval, p_value, percent_interval, points
from studylib.tables.grid import (
    COLLAPSED,
    SETTINGS,
    cells_of,
    count_test_cases,
    second_cells,
    select_settings,
    setting_name,
    time_ratio,
    validation_error,
    with_and_without_collapsed,
)
from studylib.tables.names import Said, written
from studylib.text import listed, words


@dataclass(frozen=True)
class Predictability:
    """What a split lets any model reach, and how finely its test cases can tell models apart.

    Attributes:
        train, validation, test: sessions that are learnt from, and cases.
        catalogue: items that can be recommended.
        unseen, unseen_share: test targets that never occur in training; their share of the test cases.
        most_frequent: accuracy of always recommending the item that most often ends a training session.
        error: standard error of an accuracy of that size.
        unpaired: the smallest difference of two such accuracies that is significant (5 %) if they are not paired by case.
    """

    train: int
    validation: int
    test: int
    catalogue: int
    unseen: int
    unseen_share: float
    most_frequent: float
    error: float
    unpaired: float

    @property
    def resolution(self) -> str:
        """How finely the test cases can tell two models apart, in words: what an accuracy of that size has."""
        if self.error == 0:
            return "no standard error, for it is right in none of the test cases, or in all"
        return words(
            "a standard error of {error} over the test cases, however often a network is trained; unless they are paired case by "
            "case, two such accuracies differ significantly (5 %) only from about {unpaired} on",
            error=points(self.error),
            unpaired=points(self.unpaired),
        )

    def table(self) -> pd.DataFrame:
        """The counts and shares to be read: columns ``measure`` and ``value``, both text."""
        counts = [f"{n:,}" for n in (self.train, self.validation, self.test, self.catalogue, self.unseen)]
        shares = [f"{share:.1%}" for share in (self.unseen_share, self.most_frequent, self.error, self.unpaired)]
        return pd.DataFrame({"measure": SPLIT_MEASURES, "value": [*counts, *shares]})


def predictability(split: Split) -> Predictability:
    """See `Predictability`."""
    unseen, share = unseen_targets(split)
    most_frequent = float((split.test.targets == np.bincount(split.train.last_events().items).argmax()).mean())
    error = standard_error(most_frequent, len(split.test))
    sizes = len(split.train), len(split.validation), len(split.test), split.train.n_items, unseen
    values = *sizes, float(share), most_frequent, error, float(2 * np.sqrt(2) * error)
    rows = (source("split", measure=measure) for measure in SPLIT_MEASURES)
    return Predictability(*(sourced(value, row) for value, row in zip(values, rows, strict=True)))


SPLIT_MEASURES = (
    "training sessions", "validation cases", "test cases", "items", "test targets that never occur in training",
    "their share", "accuracy of the most frequent last item", "its standard error", "smallest significant difference, unpaired",
)  # fmt: skip
"""The fields of `Predictability`, in their order, as `Predictability.table` has them."""


def standard_error(accuracy: float, cases: int) -> float:
    """Of a share of so many cases."""
    return float(np.sqrt(accuracy * (1 - accuracy) / cases))


@dataclass(frozen=True)
class GridOverview:
    """What a grid has, and how its cells ended.

    Attributes:
        cells, trainings, collapsed: how many.
        levels: how many of each factor, and the numbers of epochs, in words.
        statuses: how many cells have each status, in words.
        largest, parameters: the architecture of the largest network, and its parameters.
    """

    cells: int
    trainings: int
    collapsed: int
    levels: str
    statuses: str
    largest: str
    parameters: int


def grid_overview(cells: pd.DataFrame) -> GridOverview:
    """See `GridOverview`; at least one cell did not fail."""
    trainings = cells[[key for key in KEYS if key != "epochs"]].drop_duplicates()
    levels = [count(cells[key].nunique(), key.replace("_", " ")) for key in ("architecture", "activation", "optimizer")]
    levels.append(count(cells["batch_size"].nunique(), "batch size"))
    levels.append(count(cells["seed"].nunique(), "seed"))
    levels.append("epochs " + " / ".join(map(str, sorted(cells["epochs"].unique()))))
    statuses = ", ".join(f"{number:,} {status}" for status, number in cells["status"].value_counts().items())
    largest = cells.loc[cells["parameters"].idxmax()]
    whole = source("grid")
    return GridOverview(
        cells=sourced(len(cells), whole),
        trainings=sourced(len(trainings), whole),
        collapsed=count_collapsed(cells),
        levels=sourced(", ".join(levels), whole),
        statuses=sourced(statuses, whole),
        largest=written(largest["architecture"]),
        parameters=sourced(int(largest["parameters"]), row_of(largest)),
    )


def row_of(cell: pd.Series) -> Source:
    """The row of a cell in the table of all cells."""
    return source("grid", **{key: cell[key] for key in KEYS})


def count_collapsed(cells: pd.DataFrame) -> int:
    """How many have collapsed."""
    return sourced(int((cells["status"] == COLLAPSED).sum()), source("grid", status=COLLAPSED))


def strongest_baseline(baselines: pd.DataFrame) -> tuple[str, float]:
    """The baseline with the highest accuracy, and that accuracy; ``baselines``: of `studylib.tables.grid.baseline_measures`."""
    name = str(baselines["accuracy"].idxmax())
    return name, sourced(baselines["accuracy"].max(), source("grid", architecture=name))


def count_collapsed_settings(best: dict[str, pd.DataFrame]) -> int:
    """The settings of which the network of every seed has collapsed; ``best``: of `studylib.tables.grid.best_cells`."""
    return sourced(sum(bool((rows["status"] == COLLAPSED).all()) for rows in best.values()), source("contenders"))


@dataclass(frozen=True)
class FirstAnswer:
    """What a network says of the first test case.

    Attributes:
        name: its setting, in words.
        prefix: the items that it sees, as the source calls them.
        said, target: the item that it recommends first, and the one that truly came next.
        place: of the target in its list, 1 the first.
        catalogue: how many items the list has.
    """

    name: str
    prefix: list
    said: object
    target: object
    place: int
    catalogue: int


def first_answer(cell: pd.Series, split: Split, history: int) -> FirstAnswer:
    """See `FirstAnswer`; ``split``: that of the cell's seed, ``history``: the events that a network sees at most."""
    case = split.test.take(slice(1))
    vocabulary = case.sessions.vocabulary
    return FirstAnswer(
        name=setting_name(cell),
        prefix=vocabulary[case.prefixes(history).items].tolist(),
        said=vocabulary[cell["top"][:1]].tolist()[0],
        target=vocabulary[case.targets].tolist()[0],
        place=int(cell["above"][0]) + 1,
        catalogue=split.train.n_items,
    )


@dataclass(frozen=True)
class TwoTestSets:
    """The cells on the test cases of the paper's split, and on the later cases.

    Attributes:
        cases, later: how many of each, over all splits.
        unknown: later sessions that end in an item that the grid's sessions do not have, so that no model could know it.
        accuracy, accuracy_later: the mean over all cells that were trained.
        correlation: of both accuracies over the cells, by rank (Spearman).
    """

    cases: int
    later: int
    unknown: int
    accuracy: float
    accuracy_later: float
    correlation: float


def two_test_sets(trained: pd.DataFrame, later: Cases) -> TwoTestSets:
    """See `TwoTestSets`; ``trained``: cells that are judged on both, ``later``: of `studylib.grid.later_cases`."""
    unknown = sum(drop.sessions for drop in later.sessions.drops if drop.reason == UNKNOWN_TARGET)
    cases, *means = all_sourced(
        source("grid"),
        count_test_cases(trained),
        trained["accuracy"].mean(),
        trained["later_accuracy"].mean(),
        trained["accuracy"].corr(trained["later_accuracy"], "spearman"),
    )
    kept, without = source("later", what="kept"), source("later", what=UNKNOWN_TARGET)
    return TwoTestSets(cases, sourced(len(later), kept), sourced(unknown, without), *means)


@dataclass(frozen=True)
class BestByScale(Said):
    """Which model is most accurate after so many training sessions.

    Attributes:
        network, of_network: the best of the architectures, and its accuracy with its interval.
        other, of_other: the best of the other models.
    """

    sessions: int
    network: str
    of_network: tuple[float, float, float]
    other: str
    of_other: tuple[float, float, float]


def best_by_scale(scale: pd.DataFrame) -> list[BestByScale]:
    """See `BestByScale`; ``scale``: of `studylib.scale.scale_of`. Nothing where there is only one kind of model."""
    accuracy = scale[scale["measure"] == "accuracy"]
    found = []
    for sessions in accuracy["sessions"].unique() if accuracy["model"].isin(LAYERS).nunique() == 2 else ():
        here = accuracy[accuracy["sessions"] == sessions]
        network, other = (
            here[here["model"].isin(LAYERS) == kind].nlargest(1, "mean").iloc[0] for kind in (True, False)
        )
        rows = [source("scale", model=row["model"], sessions=sessions, measure="accuracy") for row in (network, other)]
        of_network, of_other = (
            all_sourced(where, *row[["mean", "low", "high"]]) for where, row in zip(rows, (network, other), strict=True)
        )
        sessions = sourced(int(sessions), rows[0])
        found.append(BestByScale(sessions, network["model"], of_network, other["model"], of_other))
    return found


@dataclass(frozen=True)
class Selection:
    """What selection on validation gives, and what the settings reach that it cannot tell from the best.

    Attributes:
        settings: how many finished with every seed.
        cases: validation cases of a setting, over all seeds.
        best, error: the highest NDCG@10 on validation and its standard error.
        within: how many settings are within one standard error of it, the best included.
        architectures: how many of them have which architecture, in words.
        lowest, median, highest: the test accuracy that they reach.
        above_baseline: how many of them have a higher test accuracy than the stronger baseline.
        selected, accuracy: the setting that is the best on validation, in words, and its test accuracy.
    """

    settings: int
    cases: int
    best: float
    error: float
    within: int
    architectures: str
    lowest: float
    median: float
    highest: float
    above_baseline: int
    selected: str
    accuracy: float

    @property
    def least(self) -> float:
        """The NDCG@10 on validation that a setting within one standard error of the best has at least."""
        return sourced(self.best - self.error, source_of(self.best))

    @property
    def reached(self) -> str:
        """The test accuracy of the settings within one standard error, in words."""
        if f"{self.lowest:.1%}" == f"{self.highest:.1%}":
            return sourced(f"an accuracy of {self.highest:.1%}", source_of(self.highest))
        text = f"a median accuracy of {self.median:.1%} (from {self.lowest:.1%} to {self.highest:.1%})"
        return sourced(text, source_of(self.median))


def selection(cells: pd.DataFrame, baseline_accuracy: float) -> Selection:
    """See `Selection`."""
    settings = select_settings(cells)
    first, within = settings.iloc[0], settings[settings["within_one_error"]]
    architectures = within["architecture"].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    # The rows of the setting with each seed: what is said of several settings begins with those of the best.
    rows = source("grid", **{key: first[key] for key in SETTINGS})
    return Selection(
        settings=sourced(len(settings), source("grid")),
        cases=sourced(sum(map(len, cells_of(cells, first)["validation_above"])), rows),
        best=sourced(float(first["validation"]), rows),
        error=validation_error(cells, first),
        within=sourced(len(within), rows),
        architectures=sourced(", ".join(f"{number} {written(name)}" for name, number in architectures.items()), rows),
        lowest=sourced(float(within["accuracy"].min()), rows),
        median=sourced(float(within["accuracy"].median()), rows),
        highest=sourced(float(within["accuracy"].max()), rows),
        above_baseline=sourced(int((within["accuracy"] > baseline_accuracy).sum()), rows),
        selected=setting_name(first),
        accuracy=sourced(float(first["accuracy"]), rows),
    )


@dataclass(frozen=True)
class SecondTraining:
    """What came of training the cells a second time, with other instructions of the processor or on another machine.

    Attributes:
        cells: how many were trained twice.
        same: how many of them come out again (`studylib.kept.TOLERANCE`).
        first, how: what the first and the second training ran on, in words.
        accuracy, again: the mean accuracy over these cells, of both trainings.
        change, low, high: the mean of the second less the first, and its 95 % interval, the trainings drawn again.
        largest: the largest difference of accuracy of a cell.
        within, shared: settings within one standard error of the best in the second training; how many of them are so in both.
        selected: the best of them on validation, in words.
        selected_accuracy: its test accuracy in the second training.
    """

    cells: int
    same: int
    first: str
    how: str
    accuracy: float
    again: float
    change: float
    low: float
    high: float
    largest: float
    within: int
    shared: int
    selected: str
    selected_accuracy: float

    @property
    def changed(self) -> str:
        """The change of the mean accuracy with its interval, in points."""
        text = f"{interval(100 * self.change, 100 * self.low, 100 * self.high, digits=2)} points"
        return sourced(text, source_of(self.change))


def second_training(cells: pd.DataFrame) -> SecondTraining | None:
    """See `SecondTraining`; None where no cell was trained twice."""
    if "again" not in cells or not any(again is not None for again in cells["again"]):
        return None
    twice = cells[cells["difference_again"].notna()]
    again = second_cells(twice)
    off = twice["accuracy_again"] - twice["accuracy"]
    by_training = off.groupby([twice[key] for key in KEYS if key != "epochs"], sort=False)
    sums = np.column_stack([by_training.sum(), by_training.size()])
    drawn = bootstrap_means(sums)
    low, high = statistics.interval(drawn[:, :1] / drawn[:, 1:])
    first, second = select_settings(twice), select_settings(again)
    sets = [set(map(tuple, s.loc[s["within_one_error"], SETTINGS].to_numpy())) for s in (first, second)]
    whole, farthest = source("again"), twice.loc[off.abs().idxmax()]
    return SecondTraining(
        cells=sourced(len(twice), whole),
        same=sourced(int((twice["difference_again"] <= TOLERANCE).sum()), whole),
        first=" and ".join(twice["processor"].dropna().unique()) or "an unknown processor",
        how=" and ".join(dict.fromkeys(_ran_on(result.made) for result in twice["again"])),
        accuracy=sourced(float(twice["accuracy"].mean()), whole),
        again=sourced(float(twice["accuracy_again"].mean()), whole),
        change=sourced(float(off.mean()), whole),
        low=float(low[0]),
        high=float(high[0]),
        largest=sourced(
            float(off.abs().max()),
            source("again", activation=farthest["activation"], optimizer=farthest["optimizer"]),
        ),
        within=sourced(len(sets[1]), whole),
        shared=sourced(len(sets[0] & sets[1]), whole),
        selected=setting_name(second.iloc[0]),
        selected_accuracy=sourced(float(second.iloc[0]["accuracy"]), whole),
    )


def _ran_on(made: dict) -> str:
    """A processor and the settings by which its libraries choose code, in words."""
    settings = " ".join(f"{name}={value}" for name, value in made.get("settings", {}).items())
    return f"{made.get('processor', 'an unknown processor')}{' with ' if settings else ''}{settings}"


@dataclass(frozen=True)
class Headline:
    """The selected cell beside the stronger baseline, and the best cells of the architectures beside each other.

    Attributes:
        cases: test cases, over all splits.
        accuracy, low, high: of the selected cell, with its 95 % interval.
        error: the standard error of that accuracy over the test cases.
        gain, gain_low, gain_high, p, least_p: its accuracy less the baseline's, paired; ``p``, and the least that it can be,
            corrected (Holm).
        pairs, significant: how many pairs of architectures there are, and how many differ significantly (Holm, 5 %).
        least, most: the smallest and the largest of the differences that are shown with a probability of 80 %, 0 where those
            compared are right in the same cases.
    """

    cases: int
    accuracy: float
    low: float
    high: float
    error: float
    gain: float
    gain_low: float
    gain_high: float
    p: float
    least_p: float
    pairs: int
    significant: int
    least: float
    most: float

    @property
    def reached(self) -> str:
        """The accuracy with its interval, in words."""
        return percent_interval(self.accuracy, self.low, self.high)

    @property
    def gained(self) -> str:
        """The difference from the baseline, in words."""
        mean, low, high = (
            f"{float(fixed(100 * share, 1)):+.1f}" for share in (self.gain, self.gain_low, self.gain_high)
        )
        text = f"{mean} points [{low}, {high}] (Holm-corrected p: {p_value(self.p, self.least_p)})"
        return sourced(text, source_of(self.gain))

    @property
    def significant_pairs(self) -> str:
        """How many pairs of architectures differ significantly, in words."""
        if not self.pairs:
            return "none, for there is only one"
        return sourced(f"{self.significant} of {count(self.pairs, 'pair')}", source_of(self.significant))

    @property
    def detectable(self) -> str:
        """The differences that are shown with a probability of 80 %, in words."""
        if self.most == 0:
            return "none to be seen, for all that are compared are right in the same cases"
        return sourced(f"{points(self.least, self.most)} and more", source_of(self.least))


def headline(
    cells: pd.DataFrame, measured: pd.DataFrame, pairs: pd.DataFrame, above_baseline: pd.DataFrame
) -> Headline:
    """See `Headline`.

    Args:
        cells: those that were trained.
        measured: of `studylib.tables.grid.measure_contenders`, the selected cell first.
        pairs, above_baseline: of `studylib.tables.grid.differences_of`, each two best cells, and each and the baseline.
    """
    selected, cases = measured.iloc[0], count_test_cases(cells)
    name = selected["architecture"]
    gain = above_baseline[(above_baseline[["higher", "lower"]] == name).any(axis=1)].iloc[0]
    sign = 1 if gain["higher"] == name else -1
    low, high = sorted((sign * gain["low"], sign * gain["high"]))
    detectable = pd.concat([pairs["detectable"], above_baseline["detectable"]]).astype(float)
    detectable = detectable[detectable > 0]  # two that are right in the same cases do not differ by anything
    reached, compared = source("contenders", architecture=name), source("differences")
    return Headline(
        cases=sourced(cases, reached),
        accuracy=sourced(selected["accuracy"], reached),
        low=selected["low"],
        high=selected["high"],
        error=standard_error(selected["accuracy"], cases),
        gain=sourced(sign * gain["difference"], source("differences", higher=gain["higher"], lower=gain["lower"])),
        gain_low=low,
        gain_high=high,
        p=gain["p"],
        least_p=gain["least_p"],
        pairs=sourced(len(pairs), compared),
        significant=sourced(int((pairs["p"] < 0.05).sum()), compared),
        least=sourced(float(detectable.min()) if len(detectable) else 0.0, compared),
        most=float(detectable.max()) if len(detectable) else 0.0,
    )


@dataclass(frozen=True)
class FactorFinding:
    """What one factor changes, over one part of the cells.

    Attributes:
        factor: in words.
        share: of the variance of accuracy over these cells that the factor explains alone.
        levels: its levels by their mean accuracy over these cells, in words.
        pairs, significant, equivalent: pairs of levels that are compared, that differ significantly (Holm, 5 %), and that
            are equivalent.
    """

    factor: str
    share: float
    levels: str
    pairs: int
    significant: int
    equivalent: int


@dataclass(frozen=True)
class FactorFindings:
    """The factors that vary, the largest share of the variance first, over one part of the cells.

    Attributes:
        cells: which part (`studylib.tables.grid.with_and_without_collapsed`).
        factors: at least one.
    """

    cells: str
    factors: list[FactorFinding]

    @property
    def shares(self) -> Markup:
        """The factors and their shares, in words."""
        return listed(words("{f.factor} {f.share:.1%}", f=finding) for finding in self.factors)

    @property
    def little_influence(self) -> str:
        """The factors of which every two levels are equivalent, in words."""
        return ", ".join(f.factor for f in self.factors if f.pairs and f.equivalent == f.pairs) or "none"

    def table(self) -> pd.DataFrame:
        """The factors to be read."""
        rows = [
            {
                "factor": finding.factor,
                "cells": self.cells,
                "share of variance": f"{finding.share:.1%}",
                "mean accuracy of the levels": finding.levels,
                "pairs of levels": finding.pairs,
                "significant": finding.significant,
                "equivalent": finding.equivalent,
            }
            for finding in self.factors
        ]
        return pd.DataFrame(rows)


def factor_findings(cells: pd.DataFrame, differences: dict[str, pd.DataFrame]) -> list[FactorFindings]:
    """What varies in a grid, over all cells and without those that collapsed; none where nothing varies.

    Args:
        differences: of `studylib.tables.factors.differences_by_part`.
    """
    parts = with_and_without_collapsed(cells).items()
    return [
        FactorFindings(name, _factors(part, differences[name], name)) for name, part in parts if varying_factors(part)
    ]


def _factors(cells: pd.DataFrame, differences: pd.DataFrame, part: str) -> list[FactorFinding]:
    shares = variance_shares(cells, "accuracy", KEYS).set_index("effect")["share"]
    findings = []
    for factor in varying_factors(cells):
        pairs = differences[differences["factor"] == factor]
        numbers = len(pairs), int((pairs["p"] < 0.05).sum()), int(pairs["equivalent"].sum())
        share = float(shares.get(factor, 0.0))  # where all cells have one accuracy there is no variance to share
        name = factor.replace("_", " ")
        share = sourced(share, source("factors", factor=name, cells=part))
        findings.append(FactorFinding(name, share, level_means(cells, factor), *numbers))
    return sorted(findings, key=lambda finding: -finding.share)


def level_means(cells: pd.DataFrame, factor: str) -> str:
    """The levels of a factor by their mean accuracy: ``6.1% (adam), 2.0% (sgd)``."""
    means = cells.groupby(factor, sort=False)["accuracy"].mean().sort_values(ascending=False, kind="stable")
    return ", ".join(f"{mean:.1%} ({written(level)})" for level, mean in means.items())


def means_by_part(cells: pd.DataFrame, factor: str) -> str:
    """`level_means` over each part of `studylib.tables.grid.with_and_without_collapsed`, in words."""
    return "; ".join(f"{name}: {level_means(part, factor)}" for name, part in with_and_without_collapsed(cells).items())


@dataclass(frozen=True)
class LargestChange:
    """The other way of building the networks that changes their mean accuracy most, of how many others, and by how much."""

    built: str
    others: int
    change: float
    low: float
    high: float

    @property
    def changed(self) -> str:
        """The change with its interval, in points."""
        return f"{interval(100 * self.change, 100 * self.low, 100 * self.high, digits=2)} points"


def largest_change(differences: pd.DataFrame) -> list[LargestChange]:
    """One, or none where there is one way alone; ``differences``: of `studylib.tables.grid.variant_differences`."""
    others = differences[differences["difference"].notna()]
    largest = others.loc[[others["difference"].abs().idxmax()]] if len(others) else others
    return [LargestChange(r.built, len(others), r.difference, r.low, r.high) for r in largest.itertuples()]


@dataclass(frozen=True)
class CellFinding:
    """One cell in words, and its place among all that were trained (1 is the best); how many that are more accurate collapsed."""

    name: str
    status: str
    first_loss: float
    last_loss: float
    validation: float
    validation_place: int
    accuracy: float
    accuracy_place: int
    collapsed_above: int
    cells: int
    epochs: int

    @property
    def losses(self) -> str:
        """How the training loss changes, in words."""
        if self.epochs == 1:
            return sourced(f"is {self.last_loss:.2f} after 1 epoch", source_of(self.last_loss))
        return sourced(f"goes from {self.first_loss:.2f} to {self.last_loss:.2f}", source_of(self.last_loss))


def cell_finding(cells: pd.DataFrame, cell: pd.Series) -> CellFinding:
    """See `CellFinding`; ``cells`` are those that were trained."""
    above = cells[cells["accuracy"] > cell["accuracy"]]
    first_loss, last_loss, validation, validation_place, accuracy, accuracy_place, collapsed_above = all_sourced(
        row_of(cell),
        cell["curve"][0],
        cell["curve"][-1],
        cell["validation_ndcg@10"],
        1 + int((cells["validation_ndcg@10"] > cell["validation_ndcg@10"]).sum()),
        cell["accuracy"],
        1 + len(above),
        int((above["status"] == COLLAPSED).sum()),
    )
    return CellFinding(
        name=f"{setting_name(cell)}, seed {cell['seed']}",
        status=cell["status"],
        first_loss=first_loss,
        last_loss=last_loss,
        validation=validation,
        validation_place=validation_place,
        accuracy=accuracy,
        accuracy_place=accuracy_place,
        collapsed_above=collapsed_above,
        cells=sourced(len(cells), source("grid")),
        epochs=len(cell["curve"]),
    )


@dataclass(frozen=True)
class TimeRatio:
    """How many times as long as LSTM's an epoch of an architecture takes: the median over trainings, and the quartiles."""

    architecture: str
    median: float
    lower: float
    upper: float


def time_ratios(times: pd.DataFrame) -> list[TimeRatio]:
    """Of every architecture beside LSTM; none where a study has no LSTM.

    Args:
        times: of `studylib.tables.grid.seconds_an_epoch`.
    """
    names = list(dict.fromkeys(times["architecture"]))
    others = [name for name in names if name != "lstm" and "lstm" in names]
    return [TimeRatio(name, *map(float, time_ratio(times, name).quantile([0.5, 0.25, 0.75]))) for name in others]
