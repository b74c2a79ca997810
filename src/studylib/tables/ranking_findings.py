"""The numbers of the sentences about the ranking and the claims: one small dataclass a sentence.

A function gives a list where there may be nothing to say, so that a notebook says a sentence for each of its elements. Unless a
name says otherwise the measure is NDCG@10 against the whole catalogue, and *better* is significantly better (Holm, 5 %).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from studylib.comparison import SHUFFLED, Comparison
from studylib.evaluation.claims import FAMILY_WISE, NOT_TESTED, UNDECIDED, VERDICTS
from studylib.params.study import Ranking
from studylib.sources import all_sourced, source, source_of, sourced
from studylib.tables.formats import count, interval
from studylib.tables.names import Said, written
from studylib.tables.ranking import TIED_TARGETS, reversed_pairs

METRIC = "ndcg@10"
ALPHA = 0.05

TIES = {
    "mean": "Items that tie with the true one count at their mean position",
    "conservative": "Items that tie with the true one count as better",
    "standard": "Items that tie with the true one count as worse",
}
"""What `ranking.ties` means."""


@dataclass(frozen=True)
class SeedSpread(Said):
    """The data set and model whose seeds differ most, and the standard deviation over its seeds."""

    dataset: str
    model: str
    deviation: float


def seed_spread(table: pd.DataFrame) -> list[SeedSpread]:
    """One, or none where there is one seed alone.

    Args:
        table: of `studylib.comparison.compare`.
    """
    deviations = table[table["protocol"] == "full"].groupby(["dataset", "model"])[METRIC].std().dropna()
    largest = deviations.sort_values(ascending=False, kind="stable").head(1)
    return [
        SeedSpread(d, model, sourced(deviation, source("ranking", dataset=d, model=model, protocol="full")))
        for (d, model), deviation in largest.items()
    ]


@dataclass(frozen=True)
class BestModel(Said):
    """The best model of a data set, with its interval, and how many of the other models it is significantly better than."""

    dataset: str
    model: str
    mean: float
    low: float
    high: float
    better_than: int
    others: int

    @property
    def reached(self) -> str:
        """The mean with its interval, in words."""
        return interval(self.mean, self.low, self.high)

    @property
    def lead(self) -> str:
        """How many others it is better than, in words."""
        lead = f"better than {self.better_than} of {count(self.others, 'other')}" if self.others else "the only model"
        return sourced(lead, source_of(self.better_than))


def best_models(measured: pd.DataFrame, differences: pd.DataFrame) -> list[BestModel]:
    """One for each data set.

    Args:
        measured: of `studylib.tables.ranking.intervals`.
        differences: of `studylib.tables.ranking.pairs`, of `METRIC`.
    """
    measured = measured[(measured["protocol"] == "full") & (measured["metric"] == METRIC)]
    significant = differences[(differences["protocol"] == "full") & (differences["p"] < ALPHA)]
    models = []
    for dataset, rows in measured.groupby("dataset", sort=False):
        best = rows.loc[rows["mean"].idxmax()]
        worse = significant[(significant["dataset"] == dataset) & (significant["higher"] == best["model"])]
        reached = source("intervals", dataset=dataset, model=best["model"], protocol="full")
        lead = source("pairs", dataset=dataset, higher=best["model"])
        numbers = *all_sourced(reached, *best[["mean", "low", "high"]]), *all_sourced(lead, len(worse), len(rows) - 1)
        models.append(BestModel(dataset, best["model"], *numbers))
    return models


def count_significant(differences: pd.DataFrame) -> int:
    """How many pairs of models differ significantly against the whole catalogue (`studylib.tables.ranking.pairs`)."""
    return sourced(int(((differences["protocol"] == "full") & (differences["p"] < ALPHA)).sum()), source("pairs"))


@dataclass(frozen=True)
class ShareOfPossible(Said):
    """What share of the best possible value the best model of a generated log reaches."""

    dataset: str
    model: str
    share: float


def shares_of_possible(best: list[BestModel], possible: dict[str, float]) -> list[ShareOfPossible]:
    """For the data sets whose best possible value is known (`studylib.tables.ranking.best_possible`, of `METRIC`)."""
    return [
        ShareOfPossible(b.dataset, b.model, sourced(b.mean / possible[b.dataset], source_of(b.mean)))
        for b in best
        if b.dataset in possible
    ]


@dataclass(frozen=True)
class BestByProtocol(Said):
    """The best model against the whole catalogue, with its value under both protocols, and the best among the negatives."""

    dataset: str
    model: str
    full: float
    sampled: float
    sampled_model: str
    sampled_best: float


def best_by_protocol(measured: pd.DataFrame) -> list[BestByProtocol]:
    """One for each data set.

    Args:
        measured: of `studylib.tables.ranking.intervals`, without the shuffled prefixes.
    """
    by_dataset = []
    for dataset, rows in measured[measured["metric"] == METRIC].groupby("dataset", sort=False):
        means = rows.pivot(index="model", columns="protocol", values="mean").loc[rows["model"].unique()]
        negatives = means.columns.drop("full")[0]
        best, sampled_best = means["full"].idxmax(), means[negatives].idxmax()

        def value(model: str, protocol: str, dataset=dataset, means=means) -> float:
            return sourced(
                means.loc[model, protocol], source("intervals", dataset=dataset, model=model, protocol=protocol)
            )

        values = value(best, "full"), value(best, negatives), sampled_best, value(sampled_best, negatives)
        by_dataset.append(BestByProtocol(dataset, best, *values))
    return by_dataset


@dataclass(frozen=True)
class Versions:
    """The best model of a data set and of a second entry of it, and the pairs whose order is opposite there.

    Attributes:
        cases: test cases of the second entry.
        reversed: pairs whose order is significant in both, and opposite.
        pairs: all of them.
    """

    own: BestModel
    other: BestModel
    cases: int
    reversed: int
    pairs: int

    @property
    def name(self) -> str:
        """Of the data set, as it is written."""
        return written(self.own.dataset)


def versions(measured: pd.DataFrame, differences: pd.DataFrame, others: dict[str, str]) -> list[Versions]:
    """For each data set that the study has in a second version.

    Args:
        measured, differences: as for `best_models`.
        others: of `studylib.tables.ranking.split_in_time` or `studylib.tables.ranking.in_file_order`.
    """
    best = {model.dataset: model for model in best_models(measured, differences)}
    return [
        Versions(
            best[dataset],
            best[other],
            sourced(int(measured.loc[measured["dataset"] == other, "n"].iloc[0]), source("judged", dataset=other)),
            *all_sourced(
                source("pairs", dataset=dataset),
                len(reversed_there(differences, dataset, other)),
                len(_of(differences, dataset)),
            ),
        )
        for dataset, other in others.items()
    ]


def reversed_there(differences: pd.DataFrame, dataset: str, other: str) -> pd.DataFrame:
    """Pairs of models (`studylib.tables.ranking.reversed_pairs`) whose order is opposite in the other version."""
    return reversed_pairs(_of(differences, dataset), _of(differences, other).assign(dataset=dataset))


def _of(differences: pd.DataFrame, dataset: str) -> pd.DataFrame:
    return differences[(differences["dataset"] == dataset) & (differences["protocol"] == "full")]


def reversed_by_protocol(differences: pd.DataFrame) -> pd.DataFrame:
    """Pairs of models (`studylib.tables.ranking.reversed_pairs`) whose order is opposite among the negatives."""
    full = differences["protocol"] == "full"
    return reversed_pairs(differences[full], differences[~full & (differences["protocol"] != SHUFFLED)])


@dataclass(frozen=True)
class Loss(Said):
    """What a model loses of its NDCG@10 when the prefixes are shuffled: the share, and the difference with its interval."""

    dataset: str
    model: str
    share: float
    lost: float
    low: float
    high: float


def largest_losses(order: pd.DataFrame) -> list[Loss]:
    """The largest share of each data set on which a model loses what reads as 1 % or more.

    Args:
        order: of `studylib.tables.ranking.order_sensitivity`.
    """
    largest = order.loc[order.groupby("dataset", sort=False)["share"].idxmax()]
    return _losses(largest[largest["share"] >= 0.005])


def ends_of_losses(order: pd.DataFrame, model: str) -> list[Loss]:
    """Where a model loses the largest share and where the smallest; ``order``: as for `largest_losses`."""
    of_model = order[order["model"] == model].sort_values("share", kind="stable")
    return _losses(of_model.iloc[[-1, 0]].drop_duplicates("dataset"))


def _losses(order: pd.DataFrame) -> list[Loss]:
    return [
        Loss(
            r.dataset,
            r.model,
            *all_sourced(source("order_sensitivity", dataset=r.dataset, model=r.model), r.share, r.lost, r.low, r.high),
        )
        for r in order.itertuples()
    ]


@dataclass(frozen=True)
class BestOfGroup(Said):
    """The highest value in a group of cases, and the models that reach it; ``every model`` where all of several do."""

    dataset: str
    metric: str
    group: str
    models: str
    mean: float
    low: float
    high: float

    @property
    def reached(self) -> str:
        """The mean with its interval, in words."""
        return interval(self.mean, self.low, self.high)


def best_of_groups(curves: pd.DataFrame, column: str) -> list[BestOfGroup]:
    """The best of the first and the last group of each data set.

    Args:
        curves: of `studylib.tables.ranking.by_prefix_length` or `by_target_frequency`, of one metric.
        column: ``prefix_length`` or ``target_frequency``.
    """
    best = []
    for dataset, rows in curves.groupby("dataset", sort=False):
        for group in dict.fromkeys(rows[column].iloc[[0, -1]]):
            of_group = rows[rows[column] == group]
            first = of_group.loc[of_group["mean"].idxmax()]
            models = list(of_group.loc[of_group["mean"] == first["mean"], "model"])
            names = "every model" if len(models) == len(of_group) > 1 else ", ".join(map(written, models))
            numbers = (first["mean"], first["low"], first["high"])
            best.append(BestOfGroup(dataset, first["metric"].upper(), group, names, *numbers))
    return best


def ends_of_groups(best: list[BestOfGroup]) -> list[tuple[BestOfGroup, BestOfGroup]]:
    """The first and the last group of each data set that has more than one (`best_of_groups`)."""
    return [(a, b) for a, b in pairwise(best) if a.dataset == b.dataset]


@dataclass(frozen=True)
class SearchedEnough:
    """How many searches there were for settings, and in how many the last quarter of the trials still raised the best that is
    expected on validation by more than 1 %."""

    searches: int
    rising: int


def searched_enough(searched: pd.DataFrame) -> SearchedEnough:
    """See `SearchedEnough`; ``searched``: of `studylib.tables.ranking.searched`."""
    of_searches = [rows.sort_values("trials")["best"].to_numpy() for _, rows in searched.groupby(["dataset", "model"])]
    rising = [best[-1] > 1.01 * best[math.ceil(0.75 * len(best)) - 1] for best in of_searches]
    return SearchedEnough(len(rising), sum(map(bool, rising)))


@dataclass(frozen=True)
class AblationGain(Said):
    """What all steps of an ablation change, and the step that adds most."""

    dataset: str
    first: float
    last: float
    step: str
    gain: float


def ablation_gains(measured: pd.DataFrame) -> list[AblationGain]:
    """One for each data set.

    Args:
        measured: of `studylib.tables.ranking.intervals`, of the steps in their order.
    """
    rows = measured[(measured["metric"] == METRIC) & (measured["protocol"] == "full")]
    gains = []
    for dataset, steps in rows.groupby("dataset", sort=False):
        means = steps.set_index("model")["mean"]
        change = means.diff().iloc[1:]
        first, last, gain = (
            sourced(value, source("ablation_intervals", dataset=dataset, model=step))
            for value, step in (
                (means.iloc[0], means.index[0]), (means.iloc[-1], means.index[-1]), (change.max(), change.idxmax()),
            )
        )  # fmt: skip
        gains.append(AblationGain(dataset, first, last, change.idxmax(), gain))
    return gains


@dataclass(frozen=True)
class HitShares(Said):
    """How much of the targets, and of what is recommended, is among the 1 % of the items with the most events.

    Where all of several models have the same share, ``every model`` has the highest and the lowest.
    """

    dataset: str
    targets: float
    highest: float
    highest_model: str
    lowest: float
    lowest_model: str

    @property
    def recommended(self) -> str:
        """The highest and the lowest share of what is recommended, in words."""
        if self.highest_model != self.lowest_model and f"{self.highest:.0%}" == f"{self.lowest:.0%}":
            return f"{self.highest:.0%} with every model"
        ends = {self.highest_model: self.highest, self.lowest_model: self.lowest}
        return " and ".join(f"{share:.0%} with {model}" for model, share in ends.items())


def hit_shares(bias: pd.DataFrame) -> list[HitShares]:
    """One for each data set.

    Args:
        bias: of `studylib.tables.ranking.popularity_bias`.
    """
    shares = []
    for dataset, rows in bias.groupby("dataset", sort=False):
        share = rows.set_index("model")["top_share"]
        targets, share = share["targets"], share.drop("targets")
        highest, lowest = share.idxmax(), share.idxmin()
        if len(share) > 1 and share[highest] == share[lowest]:
            highest = lowest = "every model"
        shares.append(HitShares(dataset, targets, share.max(), highest, share.min(), lowest))
    return shares


@dataclass(frozen=True)
class FirstCase(Said):
    """The first test case of a data set, and the list of a model for it.

    Attributes:
        prefix: its items, as the source calls them.
        target: the true next one.
        model: the label of the last model.
        recommended: the head of its list, best first.
    """

    prefix: list
    target: object
    model: str
    recommended: list


def first_case(comparison: Comparison, ranking: Ranking, model: str) -> FirstCase:
    """Of the first data set, and a model by its label."""
    dataset = ranking.datasets[0].label
    split = comparison.first_splits[dataset]
    case = split.test.take(slice(1))
    vocabulary = case.sessions.vocabulary
    return FirstCase(
        vocabulary[case.prefixes(ranking.history).items].tolist(),
        vocabulary[case.targets].tolist()[0],
        model,
        vocabulary[comparison.first_lists[dataset, model]].tolist(),
    )


def lists_beside(cases: list[FirstCase]) -> pd.DataFrame:
    """The lists of several models for one case: columns ``model``, ``place of the true item`` and ``its first items``."""
    places = [c.recommended.index(c.target) + 1 if c.target in c.recommended else None for c in cases]
    lists = [", ".join(map(str, c.recommended)) for c in cases]
    columns = {"model": [str(c.model) for c in cases], "place of the true item": pd.array(places, "Int64")}
    return pd.DataFrame(columns | {"its first items": lists})


@dataclass(frozen=True)
class Ties(Said):
    """What the cases say whose target has the time of the event before it, and the others, of one data set.

    Attributes:
        share: of the cases whose target is tied.
        tied, untied: the model with the highest NDCG@10 over the cases of either kind.
    """

    dataset: str
    share: float
    tied: str
    untied: str


def ties(by_tie: pd.DataFrame) -> list[Ties]:
    """See `Ties`; ``by_tie``: of `studylib.tables.ranking.by_tie`."""
    found = []
    for dataset, rows in by_tie[by_tie["metric"] == "ndcg@10"].groupby("dataset", sort=False):
        untied, tied = (rows[rows["target"] == kind].set_index("model") for kind in TIED_TARGETS)
        share = tied["n"].iloc[0] / (tied["n"].iloc[0] + untied["n"].iloc[0])
        share = sourced(float(share), source("by_tie", dataset=dataset))
        found.append(Ties(str(dataset), share, tied["mean"].idxmax(), untied["mean"].idxmax()))
    return found


@dataclass(frozen=True)
class Verdicts:
    """How many claims have which verdict; how many of those on means over cells change without the collapsed ones.

    Attributes:
        tested: claims with another verdict than *not tested*.
        stay: verdicts that are not *undecided* after a correction for the number of claims of each paper either.
    """

    tested: int
    reproduced: int
    reachable: int
    contradicted: int
    undecided: int
    not_tested: int
    stay: int
    both_ways: int
    differ: int

    @property
    def decided(self) -> int:
        """How many verdicts are not *undecided*."""
        return sourced(self.tested - self.undecided, source_of(self.tested))

    @property
    def changed(self) -> str:
        """What leaving collapsed cells out changes, in words."""
        if not self.both_ways:
            return "nothing, for no claim about means over cells was judged"
        changed = f"{self.differ} of {count(self.both_ways, 'verdict')} on means over cells"
        return sourced(f"{changed}; the claims whose verdict changes count as undecided", source_of(self.differ))


def count_verdicts(claims: pd.DataFrame) -> Verdicts:
    """The verdicts of a table of claims (`studylib.evaluation.claims.COLUMNS`)."""
    number = claims["verdict"].value_counts().reindex(VERDICTS, fill_value=0)
    tested, stay, both_ways, differ = all_sourced(
        source("claims"),
        number.drop(NOT_TESTED).sum(),
        (~claims[FAMILY_WISE].isin([UNDECIDED, NOT_TESTED])).sum(),
        claims["verdict_without_collapsed"].notna().sum(),
        claims["verdict_with_collapsed"].notna().sum(),
    )
    by_verdict = {v.replace(" ", "_"): sourced(number[v], source("claims", verdict=v)) for v in VERDICTS}
    return Verdicts(tested=tested, **by_verdict, stay=stay, both_ways=both_ways, differ=differ)
