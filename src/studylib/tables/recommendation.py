"""Which model to use on a log, and what it gains and costs: the numbers of the head of the page about a log of one's own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from studylib.comparison import Comparison, events_of_items
from studylib.data.sessions import Sessions
from studylib.models.files import load
from studylib.params.models import Trained
from studylib.params.study import Ranking
from studylib.tables.formats import fixed
from studylib.tables.names import Label, Said
from studylib.text import visible

ALPHA = 0.05
REQUESTS = 200


@dataclass(frozen=True)
class Gain(Said):
    """How many more hits per hundred sessions a model has among its first ten items than another one."""

    over: str
    mean: float
    low: float
    high: float

    @property
    def hits(self) -> str:
        """With the interval, in words."""
        mean, low, high = (fixed(100 * number, 1) for number in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


@dataclass(frozen=True)
class Recommendation(Said):
    """The model to use on a data set.

    A network is recommended only where it is significantly better (NDCG@10 against the whole catalogue; Holm, 5 %) than every
    counted model; else the best counted model that is not significantly behind the best of all, if there is one.

    Attributes:
        model: its label. best: that of the model with the highest NDCG@10.
        hits: how many hits per hundred sessions it has among its first ten items.
        gains: over popularity and Markov, where the study has them.
        level: the models that are not significantly behind the best, without it.
        networks: what is said of the networks, a key of `NETWORKS`.
    """

    dataset: str
    model: str
    best: str
    hits: float
    gains: list[Gain]
    level: list[str]
    networks: str


NETWORKS = {
    "worth": "A network is worth its training here: the best one is significantly better than every counted model.",
    "not shown": "No network was shown to be worth its training here: none is significantly better than the best counted model.",
    "behind": "No network is worth its training here: the best counted model is significantly better than each of them.",
    "none": "No network was tried.",
    "only": "Only networks were tried: whether they are worth their training is not known without a counted model.",
}


def recommendations(
    ranking: Ranking, ranked: pd.DataFrame, hits: pd.DataFrame, measured: pd.DataFrame
) -> list[Recommendation]:
    """One for each data set.

    Args:
        ranked, hits: of `studylib.tables.ranking.pairs`, of NDCG@10 and of HR@10.
        measured: of `studylib.tables.ranking.intervals`.
    """
    networks = {model.label for model in ranking.models if isinstance(model, Trained)}
    full = measured[measured["protocol"] == "full"]
    found = []
    for dataset, rows in full.groupby("dataset", sort=False):
        means = rows[rows["metric"] == "ndcg@10"].set_index("model")["mean"]
        by_value = means.sort_values(ascending=False, kind="stable").index.tolist()
        behind = _significant(ranked, dataset)
        best = by_value[0]
        level = [model for model in by_value if (best, model) not in behind]
        model = next((m for m in level if m not in networks), best)
        at_ten = rows[rows["metric"] == "hr@10"].set_index("model")["mean"]
        others = [m.label for m in ranking.models if m.model in ("popularity", "markov") and m.label != model]
        gains = [_gain(hits, dataset, model, other) for other in others]
        said = _networks(by_value, networks, behind)
        found.append(
            Recommendation(str(dataset), model, best, 100 * at_ten[model], gains, [*map(Label, level[1:])], said)
        )
    return found


def _significant(ranked: pd.DataFrame, dataset: object) -> set[tuple[str, str]]:
    """The pairs (higher, lower) of a data set that differ significantly against the whole catalogue."""
    rows = ranked[(ranked["dataset"] == dataset) & (ranked["protocol"] == "full") & (ranked["p"] < ALPHA)]
    return set(zip(rows["higher"], rows["lower"], strict=True))


def _networks(by_value: list[str], networks: set[str], behind: set[tuple[str, str]]) -> str:
    network = next((m for m in by_value if m in networks), None)
    counted = next((m for m in by_value if m not in networks), None)
    if network is None or counted is None:
        return "none" if network is None else "only"
    if all((network, other) in behind for other in by_value if other not in networks):
        return "worth"
    return "behind" if all((counted, other) in behind for other in by_value if other in networks) else "not shown"


def _gain(hits: pd.DataFrame, dataset: object, model: str, other: str) -> Gain:
    rows = hits[(hits["dataset"] == dataset) & (hits["protocol"] == "full")]
    row = rows[(rows[["higher", "lower"]].isin([model, other])).all(axis=1)].iloc[0]
    numbers = [float(row[column]) for column in ("difference", "low", "high")]
    mean, low, high = numbers if row["higher"] == model else (-numbers[0], -numbers[2], -numbers[1])
    return Gain(other, mean, low, high)


def costs(comparison: Comparison, dataset: str, history: int) -> pd.DataFrame:
    """What each model costs, measured on this machine.

    Returns:
        Columns ``model, seconds of training, megabytes, milliseconds a request, file``; the last three only where there is a
        file. A request is one session, of the test cases, for ten items; the median of `REQUESTS`.
    """
    full = comparison.table[(comparison.table["dataset"] == dataset) & (comparison.table["protocol"] == "full")]
    cases = comparison.first_splits[dataset].test.take(slice(REQUESTS))
    prefixes = cases.prefixes(history)
    rows = []
    for label, seconds in full.groupby("model", sort=False)["train_seconds"].mean().items():
        path = comparison.models.get((dataset, str(label)))
        size, request = np.nan, np.nan
        if path is not None:
            size, request = path.stat().st_size / 1e6, _seconds_a_request(path, prefixes)
        rows.append((label, f"{seconds:.1f}", size, 1000 * request, path.name if path else None))
    return pd.DataFrame(rows, columns=["model", "seconds of training", "megabytes", "milliseconds a request", "file"])


def _seconds_a_request(path: Path, prefixes: Sessions) -> float:
    """The median time of `Recommender.recommend`, a session at a time."""
    model = load(path)
    sessions = [prefixes.vocabulary[prefixes[row]].tolist() for row in range(len(prefixes))]
    seconds = []
    for session in sessions:
        started = time.perf_counter()
        model.recommend(session)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


@dataclass(frozen=True)
class Unknown(Said):
    """What no model can know of the test cases of a data set.

    Attributes:
        unseen: share of the targets that no training session has.
        short: share of the cases with one known event alone.
        cases: how many test cases there are.
    """

    dataset: str
    unseen: float
    short: float
    cases: int


def unknown(comparison: Comparison) -> list[Unknown]:
    """One for each data set."""
    found = []
    for dataset, split in comparison.first_splits.items():
        unseen = float((events_of_items(split)[split.test.targets] == 0).mean())
        short = float((split.test.prefix_lengths == 1).mean())
        found.append(Unknown(dataset, unseen, short, len(split.test)))
    return found


def three_lines(comparison: Comparison, ranking: Ranking, found: Recommendation) -> str:
    """Python that recommends with the model, from the folder of the study; empty where it has no file."""
    path = comparison.models.get((found.dataset, found.model))
    if path is None:
        return ""
    split = comparison.first_splits[found.dataset]
    session = split.test.sessions.vocabulary[split.test.take(slice(1)).prefixes(ranking.history).items].tolist()
    return (
        "import studylib as sl\n\n"
        f"model = sl.load({str(visible(path.name))!r})  # in models/ of this study\n"
        f"model.recommend({session!r}, k=10)"
    )
