"""What the ranking evaluation says, from the ranks of its test cases: intervals, pairs of models, groups of cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from studylib.comparison import METRICS, SHUFFLED, Comparison
from studylib.data.splits import Split
from studylib.evaluation.statistics import bootstrap_means, holm, interval, paired_differences
from studylib.params.study import Ranking, RankingDataset


def intervals(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Every metric with its 95 % bootstrap interval over the test cases; a case counts with its mean over the seeds.

    The cases of a session are drawn together (`bootstrap_means`), as in all that is said here of how sure something is.
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


def by_prefix_length(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Metrics against the whole catalogue by how many pages the model has seen of the session (at most ``history``).

    Returns:
        Columns ``dataset, model, metric, visits, mean, low, high, n``; groups of fewer than 20 cases are left out.
    """

    def visits(split: Split) -> np.ndarray:
        return np.minimum(split.test.prefix_lengths, ranking.history)

    return _by_group("visits", visits, VISIT_GROUPS, ranking.history, comparison, ranking, seed, metrics)


def by_target_frequency(
    comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS
) -> pd.DataFrame:
    """Metrics against the whole catalogue by how often the true next item was visited in training: new, rare, frequent ones.

    Returns:
        Columns ``dataset, model, metric, seen, mean, low, high, n``; groups of fewer than 20 cases are left out.
    """

    def seen(split: Split) -> np.ndarray:
        return np.bincount(split.learnt.items, minlength=split.train.n_items)[split.test.targets]

    return _by_group("seen", seen, SEEN_GROUPS, 50, comparison, ranking, seed, metrics)


def best_of_groups(curves: pd.DataFrame, column: str, words: str) -> str:
    """The best model of the first and the last group of each data set, in words.

    Args:
        curves: of `by_prefix_length` or `by_target_frequency`, of one metric.
        column: ``visits`` or ``seen``.
        words: what a group is, with ``{}`` for its label.
    """
    sentences = []
    for dataset, some in curves.groupby("dataset", sort=False):
        groups = dict.fromkeys(some[column].iloc[[0, -1]])
        best = [some.loc[some.loc[some[column] == group, "mean"].idxmax()] for group in groups]
        found = [
            f"{words.format(b[column])} "
            + (
                f"{b['model']} ({b['mean']:.3f} [{b['low']:.3f}, {b['high']:.3f}])"
                if b["mean"] > 0
                else "0 with every model"
            )
            for b in best
        ]
        sentences.append(f"On **{dataset}** the best {best[0]['metric'].upper()} is {' and '.join(found)}.")
    return " ".join(sentences)


VISIT_GROUPS = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 7), (8, 12), (13, 19), (20, 10**9)]
SEEN_GROUPS = [(0, 0), (1, 4), (5, 9), (10, 19), (20, 49), (50, 10**9)]


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
        Columns ``dataset, protocol, more, less, difference, low, high, p, alike``: the model with the higher mean first;
        ``p`` is corrected for the number of pairs of the data set and protocol (Holm), ``alike`` is the test of
        equivalence within the margin (uncorrected).
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset, protocol in _judged(comparison):
        values = np.column_stack([_case_values(comparison, ranking, (dataset, m, protocol), metric) for m in labels])
        order = np.argsort(-values.mean(0), kind="stable").tolist()
        compared = list(itertools.combinations(order, 2))
        sessions = comparison.splits[dataset].test.session
        resamples = max(2000, 100 * len(compared))  # the least p that there can be is 0.01 after the correction
        found = paired_differences(values, compared, margin, resamples, seed, sessions)
        corrected = holm([d.p for d in found]) if found else []
        for (more, less), d, p in zip(compared, found, corrected, strict=True):
            rows.append((dataset, protocol, labels[more], labels[less], d.mean, d.low, d.high, p, d.equivalent))
    columns = ["dataset", "protocol", "higher", "lower", "difference", "low", "high", "p", "equivalent"]
    return pd.DataFrame(rows, columns=columns)


def reversed_pairs(some: pd.DataFrame, others: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Pairs of models whose order is surely the opposite in ``others`` of what it is in ``some``.

    Args:
        some, others: rows of what `pairs` gives, at most one for a data set and two models: those of two protocols, say.
        alpha: the most that ``p`` may be in both.

    Returns:
        Columns ``dataset, above, below``: the models as they stand in ``some``.
    """
    opposite = some[some["p"] < alpha].merge(
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


def popularity_bias(comparison: Comparison, ranking: Ranking) -> pd.DataFrame:
    """How popular the first ten of each list are, against the whole catalogue: does a model recommend hits alone?

    Returns:
        Columns ``dataset, model, top_share, percentile``: the share of the recommendations that are among the 1 % of the
        catalogue most visited in training, and their mean popularity as the share of the catalogue that is visited less or
        as often (ties at their mean, so that one drawn at random has 0.5). The rows of the model ``targets``
        are what the lists would be if all were right.
    """
    rows = []
    for dataset, split in comparison.splits.items():
        visits = np.bincount(split.learnt.items, minlength=split.train.n_items)
        percentile = (rankdata(visits) - 0.5) / len(visits)
        hits = np.zeros(len(visits), dtype=bool)
        hits[np.argsort(-visits, kind="stable")[: max(1, len(visits) // 100)]] = True
        lists = {
            model.label: np.concatenate([comparison.ranks[dataset, model.label, s, "full"].top for s in ranking.seeds])
            for model in ranking.models
        }
        for label, items in (lists | {"targets": split.test.targets}).items():
            items = items[items >= 0]
            rows.append((dataset, label, hits[items].mean(), percentile[items].mean()))
    return pd.DataFrame(rows, columns=["dataset", "model", "top_share", "percentile"])


def _judged(comparison: Comparison) -> list[tuple[str, str]]:
    """The data sets with their protocols."""
    return list(dict.fromkeys((key[0], key[3]) for key in comparison.ranks))


def _case_values(comparison: Comparison, ranking: Ranking, key: tuple[str, str, str], metric: str) -> np.ndarray:
    """float64 (n_cases,): the metric of each case, the mean over the seeds."""
    dataset, label, protocol = key
    seeds = [comparison.ranks[dataset, label, seed, protocol].metric(metric, ranking.ties) for seed in ranking.seeds]
    return np.mean(seeds, axis=0)
