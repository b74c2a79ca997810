"""Tables of the ranking evaluation, from the ranks of its test cases: intervals, pairs of models, groups of cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from studylib.comparison import LISTED, METRICS, SHUFFLED, Comparison, events_of_items, excludes_visited
from studylib.data import synthetic
from studylib.data.splits import Split
from studylib.evaluation.ranking import popularity
from studylib.evaluation.statistics import bootstrap_means, holm, interval, paired_differences
from studylib.params.files import tuned
from studylib.params.study import Ranking, RankingDataset
from studylib.tables import formats


def judged_data(comparison: Comparison, ranking: Ranking) -> pd.DataFrame:
    """What the models learn from and are judged on.

    Returns:
        Columns ``dataset, split, training_sessions, items, test_cases, visited_items`` (whether items that a prefix contains are
        left out of the lists of every model, or stay), ``at_defaults`` (the models whose entries ask for selected settings
        that the data set does not have) and ``not_numbers`` (those some of whose scores are not numbers; these rank last).
    """
    rows = []
    for dataset, split in comparison.splits.items():
        at_defaults = [m.label for m in ranking.models if getattr(m, "tuned", None) and tuned(m, dataset) is m]
        broken = [key[1] for key, ranks in comparison.ranks.items() if key[0] == dataset and ranks.not_numbers]
        rows.append(
            {
                "dataset": dataset,
                "split": split.kind,
                "training_sessions": len(split.learnt),
                "items": split.train.n_items,
                "test_cases": len(split.test),
                "visited_items": "left out" if excludes_visited(ranking, split) else "stay",
                "at_defaults": ", ".join(at_defaults) or None,
                "not_numbers": ", ".join(dict.fromkeys(broken)) or None,
            }
        )
    return pd.DataFrame(rows)


def best_possible(comparison: Comparison, ranking: Ranking, seed: int) -> dict[str, dict[str, float]]:
    """The expected metrics of the best possible lists, by metric and data set: of generated logs alone, where they are known.

    They are not known where the log is filtered after it was generated, where visited items are left out, or where a model sees
    less than the two events that the next one depends on.
    """
    known: dict[str, dict[str, float]] = {metric: {} for metric in METRICS}
    for dataset in ranking.datasets:
        split = comparison.splits[dataset.label]
        changed = dataset.k_core or dataset.collapse_repeats or excludes_visited(ranking, split) or ranking.history < 2
        if dataset.dataset == "synthetic" and not changed:
            chain = synthetic.generate(dataset.synthetic, seed).chain
            for metric, value in chain.ceiling(split.test.prefixes(ranking.history)).items():
                known[metric][dataset.label] = value
    return known


def intervals(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Every metric with its 95 % bootstrap interval over the test cases; a case counts with its mean over the seeds.

    The cases of a session are drawn together (`bootstrap_means`), as in all intervals and tests here.
    All models of a data set share the draws, so that their differences can be read from them too.

    Returns:
        Columns ``dataset, model, protocol, metric, mean, low, high, n``.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    names = [(label, metric) for label in labels for metric in metrics]
    for dataset, protocol in _judged(comparison):
        values = np.column_stack(
            [_case_values(comparison, ranking, (dataset, label, protocol), metric) for label, metric in names]
        )
        low, high = interval(bootstrap_means(values, seed=seed, sessions=comparison.splits[dataset].test.session))
        for (label, metric), mean, bottom, top in zip(names, values.mean(0), low, high, strict=True):
            rows.append((dataset, label, protocol, metric, mean, bottom, top, len(values)))
    return pd.DataFrame(rows, columns=["dataset", "model", "protocol", "metric", "mean", "low", "high", "n"])


def wide_intervals(measured: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """A row a data set, protocol and model, a column a metric, each a mean with its interval as text.

    Args:
        measured: of `intervals`.
    """
    texts = measured.assign(text=[formats.interval(*row) for row in measured[["mean", "low", "high"]].to_numpy()])
    wide = texts[texts["metric"].isin(metrics)].pivot(
        index=["dataset", "protocol", "model"], columns="metric", values="text"
    )
    return wide[metrics].reset_index().rename_axis(columns=None)


def by_prefix_length(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Metrics against the whole catalogue by how many events of the session the model has seen (at most ``history``).

    Returns:
        Columns ``dataset, model, metric, prefix_length, mean, low, high, n``; groups of fewer than 20 cases are left out.
    """

    def lengths(split: Split) -> np.ndarray:
        return np.minimum(split.test.prefix_lengths, ranking.history)

    return _by_group("prefix_length", lengths, PREFIX_LENGTHS, ranking.history, comparison, ranking, seed, metrics)


def by_target_frequency(
    comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS
) -> pd.DataFrame:
    """Metrics against the whole catalogue by the number of events of the true next item in training.

    Returns:
        Columns ``dataset, model, metric, target_frequency, mean, low, high, n``; groups of fewer than 20 cases are left out.
    """

    def frequencies(split: Split) -> np.ndarray:
        return np.bincount(split.learnt.items, minlength=split.train.n_items)[split.test.targets]

    return _by_group("target_frequency", frequencies, TARGET_FREQUENCIES, 50, comparison, ranking, seed, metrics)


PREFIX_LENGTHS = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 7), (8, 12), (13, 19), (20, 10**9)]
TARGET_FREQUENCIES = [(0, 0), (1, 4), (5, 9), (10, 19), (20, 49), (50, 10**9)]


GROUPINGS = {
    "prefix_length": (by_prefix_length, "events before the target"),
    "target_frequency": (by_target_frequency, "events of the target in training"),
}
"""By column: how cases are grouped, and what is counted."""


def _by_group(
    column: str,
    number: Callable[[Split], np.ndarray],
    groups: list[tuple[int, int]],
    most: int,
    comparison: Comparison,
    ranking: Ranking,
    seed: int,
    metrics: list[str],
) -> pd.DataFrame:
    """Metrics of the cases by a number that each case has; a group that reaches ``most`` is written with a plus sign."""
    names = [(model.label, metric) for model in ranking.models for metric in metrics]
    rows = []
    for dataset, split in comparison.splits.items():
        values = np.column_stack(
            [_case_values(comparison, ranking, (dataset, m, "full"), metric) for m, metric in names]
        )
        numbers, session = number(split), split.test.session
        for first, last in groups:
            inside = (numbers >= first) & (numbers <= last)
            group = values[inside]
            if len(group) < 20:
                continue
            low, high = interval(bootstrap_means(group, seed=seed, sessions=session[inside]))
            name = f"{first}+" if last >= most else str(first) if first == last else f"{first}-{last}"
            for k, (label, metric) in enumerate(names):
                rows.append((dataset, label, metric, name, group[:, k].mean(), low[k], high[k], len(group)))
    return pd.DataFrame(rows, columns=["dataset", "model", "metric", column, "mean", "low", "high", "n"])


def pairs(comparison: Comparison, ranking: Ranking, seed: int, metric: str, margin: float = 0.01) -> pd.DataFrame:
    """Every two models of a data set, case by case, under each protocol; a case counts with its mean over the seeds.

    Args:
        margin: a difference of the metric that is of no interest.

    Returns:
        Columns ``dataset, protocol, higher, lower, difference, low, high, p, equivalent``: the model with the higher mean first;
        ``p`` is corrected for the number of pairs of the data set and protocol (Holm), ``equivalent`` is the test of
        equivalence within the margin (TOST at 5 %, uncorrected).
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset, protocol in _judged(comparison):
        values = np.column_stack([_case_values(comparison, ranking, (dataset, m, protocol), metric) for m in labels])
        order = np.argsort(-values.mean(0), kind="stable").tolist()
        compared = list(itertools.combinations(order, 2))
        sessions = comparison.splits[dataset].test.session
        resamples = max(2000, 100 * len(compared))  # the least p that there can be is 0.01 after the correction
        differences = paired_differences(values, compared, margin, resamples, seed, sessions)
        corrected = holm([d.p for d in differences]) if differences else []
        for (higher, lower), d, p in zip(compared, differences, corrected, strict=True):
            rows.append((dataset, protocol, labels[higher], labels[lower], d.mean, d.low, d.high, p, d.equivalent))
    columns = ["dataset", "protocol", "higher", "lower", "difference", "low", "high", "p", "equivalent"]
    return pd.DataFrame(rows, columns=columns)


def shown_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """The rows of `pairs` as a reader sees them: the difference with its interval, and whether the two are equivalent."""
    numbers = differences[["difference", "low", "high"]].to_numpy()
    return differences.assign(
        difference=[formats.interval(mean, low, high, digits=4) for mean, low, high in numbers],
        p=[formats.p_value(p) for p in differences["p"]],
        equivalent=differences["equivalent"].map({True: "yes", False: "not shown"}),
    )[["dataset", "higher", "lower", "difference", "p", "equivalent"]]


def reversed_pairs(differences: pd.DataFrame, others: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Pairs of models whose order is significantly the opposite in ``others`` of what it is in ``differences``.

    Args:
        differences, others: of `pairs`, at most one row for a data set and two models: those of two protocols, say.
        alpha: the most that ``p`` may be in both.

    Returns:
        Columns ``dataset, above, below``: the models as they stand in ``differences``.
    """
    opposite = differences[differences["p"] < alpha].merge(
        others[others["p"] < alpha], left_on=["dataset", "higher", "lower"], right_on=["dataset", "lower", "higher"]
    )
    columns = {"dataset": "dataset", "higher_x": "above", "lower_x": "below"}
    return opposite[list(columns)].rename(columns=columns)


def split_in_time(ranking: Ranking) -> dict[str, str]:
    """The data sets that are judged under one split in time as well, and how they are called there, by their labels."""

    def log(dataset: RankingDataset) -> dict:
        return dataset.model_dump(exclude={"name", "split", "test_fraction"})

    return {
        dataset.label: later.label
        for dataset, later in itertools.permutations(ranking.datasets, 2)
        if later.split == "temporal" != dataset.split and log(dataset) == log(later)
    }


def order_sensitivity(comparison: Comparison, ranking: Ranking, seed: int, metric: str) -> pd.DataFrame:
    """What each model loses against the whole catalogue when the prefixes are shuffled, case by case.

    Returns:
        Columns ``dataset, model, ordered, shuffled, lost, low, high, share``: ``lost`` with its 95 % bootstrap interval, and
        the share of ``ordered`` that it is.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset in comparison.splits:
        ordered, shuffled = (
            np.column_stack([_case_values(comparison, ranking, (dataset, m, protocol), metric) for m in labels])
            for protocol in ("full", SHUFFLED)
        )
        sessions = comparison.splits[dataset].test.session
        low, high = interval(bootstrap_means(ordered - shuffled, seed=seed, sessions=sessions))
        for k, label in enumerate(labels):
            before, after = ordered[:, k].mean(), shuffled[:, k].mean()
            share = (before - after) / before if before else 0.0
            rows.append((dataset, label, before, after, before - after, low[k], high[k], share))
    return pd.DataFrame(rows, columns=["dataset", "model", "ordered", "shuffled", "lost", "low", "high", "share"])


def shown_order(order: pd.DataFrame) -> pd.DataFrame:
    """The rows of `order_sensitivity` as a reader sees them: the loss with its interval, its share as a percentage."""
    return order.assign(
        lost=[
            formats.interval(mean, low, high, digits=4) for mean, low, high in order[["lost", "low", "high"]].to_numpy()
        ],
        share=[f"{share:.0%}" for share in order["share"]],
    )[["dataset", "model", "ordered", "shuffled", "lost", "share"]]


def ablation_steps(comparison: Comparison, measured: pd.DataFrame) -> pd.DataFrame:
    """Each step of an ablation in its order: metrics with intervals under each protocol, seconds of a training, epochs.

    Args:
        comparison: of the steps.
        measured: of `intervals`, of the metrics and protocols that are wanted.
    """
    texts = measured.assign(text=[formats.interval(*row) for row in measured[["mean", "low", "high"]].to_numpy()])
    wide = texts.pivot(index=["dataset", "model"], columns=["metric", "protocol"], values="text")
    wide.columns = [f"{metric}, {protocol}" for metric, protocol in wide.columns]
    trainings = comparison.table[comparison.table["protocol"] == "full"].groupby(["dataset", "model"])
    steps = measured[["dataset", "model"]].drop_duplicates()
    costs = trainings[["train_seconds", "epochs"]].mean().round(1)
    return steps.merge(wide.join(costs), left_on=["dataset", "model"], right_index=True)


def popularity_bias(comparison: Comparison, ranking: Ranking) -> pd.DataFrame:
    """How popular the first ten items of each list are, against the whole catalogue: does a model recommend hits alone?

    Returns:
        Columns ``dataset, model, top_share, percentile, coverage@10``: the share of the recommendations that are among the 1 %
        of the catalogue with the most events in training; their mean popularity as the share of the catalogue that has fewer
        events or as many (ties at their mean, so that an item drawn at random has 0.5); the share of the catalogue that is in
        any list. The rows of the model ``targets`` are what the lists would be if all were right; they have no coverage.
    """
    whole = comparison.table[comparison.table["protocol"] == "full"].set_index(["dataset", "model"])
    rows = []
    for dataset, split in comparison.splits.items():
        means = whole.loc[dataset].groupby(level="model")[LISTED].mean()
        rows += [(dataset, model.label, *means.loc[model.label]) for model in ranking.models]
        rows.append((dataset, "targets", *popularity(split.test.targets, events_of_items(split)), np.nan))
    return pd.DataFrame(rows, columns=["dataset", "model", *LISTED])


def _judged(comparison: Comparison) -> list[tuple[str, str]]:
    """The data sets with their protocols."""
    return list(dict.fromkeys((key[0], key[3]) for key in comparison.ranks))


def _case_values(comparison: Comparison, ranking: Ranking, key: tuple[str, str, str], metric: str) -> np.ndarray:
    """float64 (n_cases,): the metric of each case, the mean over the seeds."""
    dataset, label, protocol = key
    seeds = [comparison.ranks[dataset, label, seed, protocol].metric(metric, ranking.ties) for seed in ranking.seeds]
    return np.mean(seeds, axis=0)
