"""The claims of Shrimal & Patil 2024: the numbers of their Tables 3 and 4, and how they compare with other models.

The printed numbers are of the paper's protocol, the true next item among 99 random ones; which model is better is asked under
that protocol and against the whole catalogue. What stands in `measured` and `differences` are the tables of notebook 03, whose
intervals are of bootstraps over test cases and seeds. No metric here has a natural unit: margins are shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from studylib.evaluation.claims import RELATIVE, SHRIMAL, VALUE, Part, above, decides_nothing, not_tested, row
from studylib.params.models import Gru4Rec
from studylib.params.study import Ranking
from studylib.tables.formats import interval
from studylib.tables.names import written, written_protocol
from studylib.tables.ranking import MARGIN, in_file_order, second_entries

PROTOCOL = "sampled-99"
PROTOCOLS = [PROTOCOL, "full"]


@dataclass(frozen=True)
class Reported:
    """What Tables 3 and 4 say of a data set, and which data sets stand for it here.

    Attributes:
        metrics: by name, as printed.
        versions: the data sets by their name in the registry (or of their own), and what they are to the paper's.
        command: what runs the paper's own data set.
    """

    metrics: dict[str, float]
    versions: dict[str, str]
    command: str


REPORTED = {
    "Amazon Grocery": Reported(
        {"hr@5": 0.34, "hr@10": 0.44, "ndcg@5": 0.25, "ndcg@10": 0.28},
        {"grocery": "the same"},
        "studylib run params/study.yaml",
    ),
    "MovieLens": Reported(
        {"hr@5": 0.70, "hr@10": 0.81, "ndcg@5": 0.55, "ndcg@10": 0.58},
        {"ml-1m": "the same", "ml-100k": "a smaller version"},
        "studylib run params/ml-1m.yaml",
    ),
    "Yelp 2022": Reported(
        {"hr@5": 0.65, "hr@10": 0.77, "ndcg@5": 0.48, "ndcg@10": 0.52},
        {"yelp-2022": "the same", "yelp": "another version"},
        "studylib run params/yelp-2022.yaml",
    ),
}
"""Shrimal & Patil 2024. The sizes in its Table 2 fit none of the public data sets exactly."""

PUBLISHED_BEST = ("ContraRec", {"hr@5": 0.4251, "ndcg@5": 0.3285})
"""The best model without item metadata in the table for Amazon Grocery in the documentation of ReChorus, the framework
that the paper uses; its GRU4Rec has 0.3659 and 0.2614 there."""

TRADITIONAL = ("popularity", "markov", "item-knn", "session-knn", "stan", "ease", "bpr-mf")
"""The non-neural baselines, for what the paper calls traditional methods."""


def beside_the_paper(measured: pd.DataFrame, ranking: Ranking) -> pd.DataFrame:
    """Tables 3 and 4 of Shrimal & Patil with this study's GRU4Rec beside them, among 99 negatives.

    Args:
        measured: columns ``dataset, model, protocol, metric, mean, low, high, n``.
        ranking: which of the labels are which data sets, and which are a GRU4Rec.

    Returns:
        Columns ``reported on, metric, reported, dataset, version, model, mean, low, high, n``.
    """
    labels, models = _labels_as_printed(ranking), gru4rec_labels(ranking)
    sampled = measured[(measured["protocol"] == PROTOCOL) & measured["model"].isin(models)]
    rows = [
        (reported_on, metric, printed, r.dataset, version, r.model, r.mean, r.low, r.high, r.n)
        for reported_on, reported in REPORTED.items()
        for name, version in reported.versions.items()
        for metric, printed in reported.metrics.items()
        for r in sampled[(sampled["dataset"] == labels.get(name)) & (sampled["metric"] == metric)].itertuples(name="R")
    ]
    columns = ["reported on", "metric", "reported", "dataset", "version", "model", "mean", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def shown_beside(beside: pd.DataFrame) -> pd.DataFrame:
    """The rows of `beside_the_paper` as a reader sees them: the printed number, and the measured one with its interval."""
    return beside.assign(
        measured=[interval(*row) for row in beside[["mean", "low", "high"]].to_numpy()],
        reported=[f"{value:.2f}" for value in beside["reported"]],
    )[["reported on", "metric", "reported", "measured", "dataset", "version", "model"]]


def ranking_claims(
    measured: pd.DataFrame, differences: pd.DataFrame, order: pd.DataFrame, steps: pd.DataFrame, ranking: Ranking
) -> list[dict]:
    """Rows of ``claims.csv`` for the claims of Shrimal & Patil.

    Args:
        measured: columns ``dataset, model, protocol, metric, mean, low, high, n`` (``intervals.csv``).
        differences: of NDCG@10, columns ``dataset, protocol, higher, lower, difference, low, high`` (``pairs.csv``).
        order: what shuffled prefixes cost, columns ``dataset, model, ordered, lost, low, high`` (``order_sensitivity.csv``).
        steps: as ``measured``, of the steps of the ablation (``ablation_intervals.csv``); no rows where there is none.
        ranking: which of the labels are which data sets, and which are a GRU4Rec.
    """
    beside = beside_the_paper(measured, ranking)
    printed = steps[steps["model"].isin(as_printed(ranking))]
    return [
        *_numbers(beside, beside_the_paper(printed, ranking.ablated) if len(printed) else beside.iloc[:0]),
        *_against_models(measured, differences, ranking),
        *_against_published(beside),
        *_order_sensitivity(measured, order, ranking),
    ]


def _dataset_labels(ranking: Ranking) -> dict[str, str]:
    """How the tables call a data set, by its name in the registry or its own; a split by time is another protocol."""
    others = second_entries(ranking)
    return {
        dataset.dataset or dataset.label: dataset.label
        for dataset in ranking.datasets
        if dataset.split != "temporal" and dataset.label not in others
    }


def _labels_as_printed(ranking: Ranking) -> dict[str, str]:
    """As `_dataset_labels`, for what is compared with printed numbers: these are of events in the order of the file."""
    in_file = in_file_order(ranking)
    return {name: in_file.get(label, label) for name, label in _dataset_labels(ranking).items()}


def gru4rec_labels(ranking: Ranking) -> list[str]:
    """The models that are the paper's: a GRU4Rec whose cell is a GRU. The first is the one that claims are about."""
    return [model.label for model in ranking.models if isinstance(model, Gru4Rec) and model.cell == "gru"]


def _on(ranking: Ranking) -> dict[str, str]:
    """The data sets of the paper that the study has, by label: what a claim calls them."""
    labels = _dataset_labels(ranking)
    return {
        labels[name]: reported_on if version == "the same" else f"{reported_on} (here {name}, {version})"
        for reported_on, reported in REPORTED.items()
        for name, version in reported.versions.items()
        if name in labels
    }


def _stand_ins(ranking: Ranking) -> set[str]:
    """The data sets of `_on` that are not the paper's own."""
    labels = _dataset_labels(ranking)
    versions = [version for reported in REPORTED.values() for version in reported.versions.items()]
    return {labels[name] for name, version in versions if name in labels and version != "the same"}


def as_printed(ranking: Ranking) -> list[str]:
    """The steps of the ablation that are trained as Algorithm 1 is printed, by their labels."""
    steps = ranking.ablation.steps if ranking.ablation else []
    return [step.label for step in steps if step.loss == "algorithm-1" and step.positive == "current"]


def _numbers(beside: pd.DataFrame, printed: pd.DataFrame) -> list[dict]:
    """Each printed number, reached where the whole interval is above what is rounded to it: as printed, and at its best."""
    rows = [
        _number(r, f"GRU4Rec, trained as printed, reaches {{}} on {r['reported on']}", True, "ablation_intervals.csv")
        for _, r in printed.iterrows()
        if r["version"] == "the same"
    ]
    for reported_on, reported in REPORTED.items():
        here = beside[beside["reported on"] == reported_on]
        for _, r in here.iterrows():
            claim = f"GRU4Rec reaches {{}} on {reported_on}"
            claim += "" if r["version"] == "the same" else f" (here {r['dataset']}, {r['version']})"
            claim += "" if r["model"] == "gru4rec" else f" ({r['model']})"
            found = _number(r, claim, False, "intervals.csv")
            rows.append(found if r["version"] == "the same" else decides_nothing(found, OTHER_DATA))
        if "the same" not in set(here["version"]):
            numbers = ", ".join(f"{metric.upper()} {printed:.2f}" for metric, printed in reported.metrics.items())
            claim = f"GRU4Rec reaches {numbers} on {reported_on}"
            rows.append(not_tested(SHRIMAL, claim, "Tables 3 and 4", reported.command))
    return rows


def _number(r: pd.Series, claim: str, own_setting: bool, table: str) -> dict:
    """One printed number. ``claim``: has a place for its name and value; ``table``: the one that `r` is of."""
    number = 3 if r["metric"].startswith("hr") else 4
    figure = "ablation" if own_setting else "ranking"
    claim = claim.replace("{}", f"{r['metric'].upper()} {r['reported']:.2f}")
    part = Part("", r["mean"], r["low"], r["high"])
    rule = above(round(r["reported"] - 0.005, 3))  # what is printed with two digits
    test = f"{r['metric'].upper()} among 99 negatives; bootstrap over test cases and seeds"
    source = f"{table}: {r['dataset']}, {r['model']}, {PROTOCOL}, {r['metric']}"
    return row(SHRIMAL, claim, f"Table {number}", [part], r["n"], test, rule, figure, None, own_setting, source, VALUE)


OTHER_DATA = "on these data, which are not the paper's"


_MATCHES, _SURPASSES, _MARKEDLY = above(-MARGIN), above(), above(MARGIN)


def _against_models(measured: pd.DataFrame, differences: pd.DataFrame, ranking: Ranking) -> list[dict]:
    """The study's GRU4Rec against the best of its other models, and the best of the non-neural baselines."""
    gru4rec = next(iter(gru4rec_labels(ranking)), None)
    others = [model.label for model in ranking.models if model.model != "gru4rec"]
    traditional = [model.label for model in ranking.models if model.model in TRADITIONAL]
    stand_ins = _stand_ins(ranking)
    rows: list[dict] = []
    if gru4rec is None:
        return rows
    for dataset, on in _on(ranking).items():
        for claim, where, rule, rivals in (
            ("matches the state of the art", "abstract", _MATCHES, others),
            ("surpasses the state of the art", "section 4.4", _SURPASSES, others),
            ("is a marked improvement over traditional methods", "abstract", _MARKEDLY, traditional),
        ):
            here = measured[(measured["dataset"] == dataset) & (measured["metric"] == "ndcg@10")]
            parts = [
                part
                for protocol in PROTOCOLS
                for part in _lead(here[here["protocol"] == protocol], differences, gru4rec, rivals)
            ]
            if not parts:
                continue
            test = (
                f"NDCG@10 less that of the best of the others ({len(rivals)}), as a share of it, among 99 negatives and against "
                "the whole catalogue; bootstrap over test cases and seeds"
            )
            n, figure = here["n"].iloc[0], "ranking"
            source = f"pairs.csv: {dataset}, {' and '.join(PROTOCOLS)}, {gru4rec} and the best of the others"
            found = row(
                SHRIMAL, f"GRU4Rec {claim} on {on}", where, parts, n, test, rule, figure, None, False, source, RELATIVE
            )
            rows.append(decides_nothing(found, OTHER_DATA) if dataset in stand_ins else found)
    return rows


def _lead(values: pd.DataFrame, differences: pd.DataFrame, model: str, rivals: list[str]) -> list[Part]:
    """How far a model is ahead of the best of its rivals, as a share of that; of one data set and protocol."""
    means = values.set_index("model")["mean"]
    rivals = [rival for rival in rivals if rival in means.index]
    if model not in means.index or not rivals:
        return []
    best, (dataset, protocol) = means[rivals].idxmax(), values[["dataset", "protocol"]].iloc[0]
    part = _difference(differences, dataset, protocol, model, best)
    name = f"{written_protocol(protocol)}, {written(best)}"
    return [Part(name, *(number / means[best] for number in part[1:]))]


def _difference(differences: pd.DataFrame, dataset: str, protocol: str, model: str, other: str) -> Part:
    """The difference of two models as `studylib.tables.ranking.pairs` has it, whichever of them it puts first."""
    rows = differences[(differences["dataset"] == dataset) & (differences["protocol"] == protocol)]
    forth = rows[(rows["higher"] == model) & (rows["lower"] == other)]
    if len(forth):
        r = forth.iloc[0]
        return Part("", r["difference"], r["low"], r["high"])
    r = rows[(rows["higher"] == other) & (rows["lower"] == model)].iloc[0]
    return Part("", -r["difference"], -r["high"], -r["low"])


def _against_published(beside: pd.DataFrame) -> list[dict]:
    """The printed numbers, and the study's GRU4Rec, against the best of the table of ReChorus."""
    name, published = PUBLISHED_BEST
    printed = {metric: REPORTED["Amazon Grocery"].metrics[metric] for metric in published}
    rounded = pd.DataFrame(
        [(metric, value, value - 0.005, value + 0.005, 0) for metric, value in printed.items()],
        columns=["metric", "mean", "low", "high", "n"],
    )
    measured = beside[(beside["reported on"] == "Amazon Grocery") & beside["metric"].isin(published)]
    measured = measured[measured["model"] == measured["model"].iloc[0]] if len(measured) else measured
    rows = []
    for source, numbers, test in (
        ("its printed numbers", rounded, "the interval is what rounds to them"),
        ("this study's GRU4Rec", measured, "bootstrap over test cases and seeds"),
    ):
        if numbers.empty:
            continue
        parts = [
            Part(r["metric"].upper(), *(r[value] / published[r["metric"]] - 1 for value in ("mean", "low", "high")))
            for _, r in numbers.iterrows()
        ]
        for claim, where, rule in (
            ("matches the best model", "abstract", _MATCHES),
            ("surpasses the best model", "section 4.4", _SURPASSES),
        ):
            claim = f"GRU4Rec {claim} in ReChorus's own table for Amazon Grocery: {source}"
            less = f"HR@5 and NDCG@5 less those of {name} there, as a share of these; {test}"
            figure = "tables-3-and-4" if len(beside) else ""
            own = numbers is rounded
            on = "the paper's Tables 3 and 4" if own else f"intervals.csv: {numbers['dataset'].iloc[0]}"
            made_of = on if own else f"{on}, {PROTOCOL}, HR@5 and NDCG@5"
            rows.append(
                row(
                    SHRIMAL, claim, where, parts, numbers["n"].iloc[0], less, rule, figure, None, own, made_of, RELATIVE
                )
            )
    return rows


def _order_sensitivity(measured: pd.DataFrame, order: pd.DataFrame, ranking: Ranking) -> list[dict]:
    """Whether GRU4Rec makes anything of the order of the events: what it loses when they are shuffled."""
    gru4rec = next(iter(gru4rec_labels(ranking)), None)
    rows = []
    for _, r in order[order["model"] == gru4rec].iterrows():
        if r["dataset"] not in _on(ranking):
            continue
        n = measured.loc[measured["dataset"] == r["dataset"], "n"].iloc[0]
        claim = f"GRU4Rec captures temporal patterns on {_on(ranking)[r['dataset']]}"
        test = "share of NDCG@10 (whole catalogue) that is lost after shuffled prefixes; bootstrap over test cases and seeds"
        part = Part("", *(r[number] / r["ordered"] for number in ("lost", "low", "high")))
        source = f"order_sensitivity.csv: {r['dataset']}, {gru4rec}"
        found = row(
            SHRIMAL, claim, "section 2", [part], n, test, _MARKEDLY, "order-sensitivity", None, False, source, RELATIVE
        )
        rows.append(decides_nothing(found, OTHER_DATA) if r["dataset"] in _stand_ins(ranking) else found)
    return rows
