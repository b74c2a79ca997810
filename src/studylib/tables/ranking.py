"""Tables of the ranking evaluation, from the ranks of its test cases: intervals, pairs of models, groups of cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from studylib.comparison import LISTED, METRICS, SHUFFLED, Comparison, events_of_items, excludes_visited
from studylib.data import synthetic
from studylib.data.splits import Split
from studylib.evaluation.ranking import popularity
from studylib.evaluation.statistics import (
    bootstrap_seeds,
    drawn_together,
    expected_best,
    holm,
    interval,
    least_two_sided_p,
    two_sided_p,
)
from studylib.params.files import trials, tuned, tuned_on
from studylib.params.study import Ranking, RankingDataset
from studylib.progress import track
from studylib.tables import formats


def judged_data(comparison: Comparison, ranking: Ranking) -> pd.DataFrame:
    """What the models learn from and are judged on.

    Returns:
        Columns ``dataset, split, training_sessions, items, test_cases, equal_times`` (how many targets have the time of the event
        before them, and whose order such events are in), ``visited_items`` (whether items that a prefix contains are left out of
        the lists of every model, or stay), ``at_defaults`` (the models whose entries ask for selected settings
        that the data set does not have) and ``not_numbers`` (those some of whose scores are not numbers; these rank last).
    """
    orders = {dataset.label: dataset.equal_times for dataset in ranking.datasets}
    rows = []
    for dataset, split in comparison.first_splits.items():
        at_defaults = [m.label for m in ranking.models if getattr(m, "tuned", None) and tuned(m, dataset) is m]
        broken = [key[1] for key, ranks in comparison.ranks.items() if key[0] == dataset and ranks.not_numbers]
        rows.append(
            {
                "dataset": dataset,
                "split": split.kind,
                "training_sessions": len(split.learnt),
                "items": split.train.n_items,
                "test_cases": len(split.test),
                "equal_times": _equal_times(split, orders[dataset]),
                "visited_items": "left out" if excludes_visited(ranking, split) else "stay",
                "at_defaults": ", ".join(at_defaults) or None,
                "not_numbers": ", ".join(dict.fromkeys(broken)) or None,
            }
        )
    return pd.DataFrame(rows)


def _equal_times(split: Split, order: str) -> str:
    if split.test.sessions.times is None:
        return "times not known"
    tied = split.test.tied.mean()
    return f"{tied:.0%}, {order}" if tied else "none"


def tuned_elsewhere(comparison: Comparison, ranking: Ranking) -> list[tuple[str, str]]:
    """The models, by data set and label, whose selected settings come from other data that have the name of the data set."""
    return [
        (dataset, model.label)
        for dataset, split in comparison.first_splits.items()
        for model in ranking.models
        if tuned_on(model, dataset) not in (None, split.validation.sessions.content)
    ]


def best_possible(comparison: Comparison, ranking: Ranking, seed: int) -> dict[str, dict[str, float]]:
    """The expected metrics of the best possible lists, by metric and data set: of generated logs alone, where they are known.

    They are not known where the log is filtered after it was generated, where visited items are left out, or where a model sees
    less than the two events that the next one depends on.
    """
    known: dict[str, dict[str, float]] = {metric: {} for metric in METRICS}
    for dataset in ranking.datasets:
        split = comparison.first_splits[dataset.label]
        filtered = dataset.k_core or dataset.min_item_support or dataset.collapse_repeats
        changed = filtered or excludes_visited(ranking, split) or ranking.history < 2
        if dataset.dataset == "synthetic" and not changed:
            chain = synthetic.generate(dataset.synthetic, seed).chain
            for metric, value in chain.ceiling(split.test.prefixes(ranking.history)).items():
                known[metric][dataset.label] = value
    return known


def intervals(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Every metric with its 95 % bootstrap interval over the test cases and the seeds.

    Seeds are drawn again, and then sessions with all their cases (`bootstrap_seeds`), as in all intervals and tests here.
    All models of a data set share the draws, so that their differences can be read from them too.

    Returns:
        Columns ``dataset, model, protocol, metric, mean, low, high, n``.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    names = [(label, metric) for label in labels for metric in metrics]
    for dataset, protocol in track(_judged(comparison), "intervals of the ranking"):
        values = _values(comparison, ranking, dataset, [(label, protocol, metric) for label, metric in names])
        sessions = comparison.first_splits[dataset].test.session
        low, high = interval(bootstrap_seeds(values, shared=True, seed=seed, sessions=sessions))
        for (label, metric), mean, bottom, top in zip(names, _mean(values), low, high, strict=True):
            rows.append((dataset, label, protocol, metric, mean, bottom, top, len(sessions)))
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
        return split.in_order([events_of_items(each)[each.test.targets] for each in split.trainings])

    return _by_group("target_frequency", frequencies, TARGET_FREQUENCIES, 50, comparison, ranking, seed, metrics)


def searched(ranking: Ranking) -> pd.DataFrame:
    """What the search for settings would have reached with fewer trials (`expected_best`), where its trials are kept.

    Returns:
        Columns ``dataset, model, trials, best``.
    """
    rows = [
        (dataset.label, model.label, number, best)
        for dataset in ranking.datasets
        for model in ranking.models
        for number, best in enumerate(expected_best(trials(model, dataset.label)), 1)
    ]
    return pd.DataFrame(rows, columns=["dataset", "model", "trials", "best"])


def by_window(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Metrics against the whole catalogue by the window in time of the case, of data sets that have several (`Split.windows`).

    Returns:
        Columns ``dataset, model, metric, window, mean, low, high, n``: windows are numbered from 1, the earliest; those of fewer
        than 20 cases are left out.
    """

    def numbers(split: Split) -> np.ndarray:
        return split.in_order([np.full(len(each.test), number) for number, each in enumerate(split.trainings, 1)])

    most = max(len(split.trainings) for split in comparison.splits.values())
    groups = [(number, number) for number in range(1, most + 1)]
    table = _by_group("window", numbers, groups, most + 1, comparison, ranking, seed, metrics)
    return table[table.groupby("dataset")["window"].transform("nunique") > 1].reset_index(drop=True)


TIED_TARGETS = ("a time of its own", "the time of the event before")
"""What a target has, as `by_tie` names it."""


def by_tie(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Metrics against the whole catalogue by whether the target has the time of the event before it.

    Returns:
        Columns ``dataset, model, metric, target, mean, low, high, n``; of data sets that have at least 20 cases of either kind.
    """

    def tied(split: Split) -> np.ndarray:
        return split.test.tied.astype(int)

    table = _by_group("target", tied, [(0, 0), (1, 1)], 2, comparison, ranking, seed, metrics)
    table = table.assign(target=table["target"].map(dict(zip("01", TIED_TARGETS, strict=True))))
    return table[table.groupby("dataset")["target"].transform("nunique") == 2].reset_index(drop=True)


def wide_by_tie(by_tie: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of `by_tie` of a metric as a reader sees them: a row a data set and model, a column a kind of target."""
    shown = by_tie[by_tie["metric"] == metric]
    numbers = shown[["mean", "low", "high"]].to_numpy()
    texts = [formats.interval(mean, low, high, digits=4) for mean, low, high in numbers]
    wide = shown.assign(text=texts).pivot(index=["dataset", "model"], columns="target", values="text")
    return wide.reset_index().rename_axis(columns=None)


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
    """Metrics of the cases by a number that each case has; a group that reaches ``most`` is written with a plus sign.

    The cases of a group are other ones in each seed where the order of equal times is drawn. So all cases are drawn again, and
    the mean of a group is the sum over its cases divided by their number, which is ``n``, the mean over seeds.
    """
    names = [(model.label, metric) for model in ranking.models for metric in metrics]
    rows = []
    for dataset, split in track(comparison.first_splits.items(), "intervals of groups"):
        values = _values(comparison, ranking, dataset, [(label, "full", metric) for label, metric in names])
        sums = []
        for s, of_seed in zip(ranking.seeds, values, strict=True):
            numbers = number(comparison.splits[dataset, s])[:, None]
            of_seed = np.column_stack([of_seed, np.ones(len(of_seed))])
            # By session, one group beside the other, so that one bootstrap is for all of them.
            of_groups = [of_seed * ((numbers >= first) & (numbers <= last)) for first, last in groups]
            sums.append(np.hstack([drawn_together(group, split.test.session)[0] for group in of_groups]))
        shape = (-1, len(groups), len(names) + 1)
        drawn = bootstrap_seeds(sums, shared=True, seed=seed).reshape(shape)
        totals = np.mean([of_seed.sum(0) for of_seed in sums], axis=0).reshape(shape)[0]
        for (first, last), of_group, total in zip(groups, drawn.transpose(1, 0, 2), totals, strict=True):
            n = round(total[-1])
            if n < 20:
                continue
            means = total[:-1] / total[-1]
            drawn_of = of_group[of_group[:, -1] > 0]  # a draw may have none of a group whose cases are in few sessions
            low, high = interval(drawn_of[:, :-1] / drawn_of[:, -1:])
            name = f"{first}+" if last >= most else str(first) if first == last else f"{first}-{last}"
            for k, (label, metric) in enumerate(names):
                rows.append((dataset, label, metric, name, means[k], low[k], high[k], n))
    return pd.DataFrame(rows, columns=["dataset", "model", "metric", column, "mean", "low", "high", "n"])


MARGIN = 0.1
"""Two models are equivalent where the one is shown to be within a tenth of the other: no metric here has a natural unit."""


def pairs(comparison: Comparison, ranking: Ranking, seed: int, metric: str) -> pd.DataFrame:
    """Every two models of a data set, case by case, under each protocol; sessions and seeds are drawn again.

    Returns:
        Columns ``dataset, protocol, higher, lower, difference, low, high, p, least_p, equivalent``: the model with the higher
        mean first; ``p``, and the least that it can be, are corrected for the number of pairs of the data set and protocol
        (Holm); ``equivalent``: whether the interval is within `MARGIN` of the higher mean.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset, protocol in track(_judged(comparison), "differences of models"):
        values = _values(comparison, ranking, dataset, [(label, protocol, metric) for label in labels])
        means = _mean(values)
        order = np.argsort(-means, kind="stable").tolist()
        compared = list(itertools.combinations(order, 2))
        sessions = comparison.first_splits[dataset].test.session
        resamples = max(2000, 200 * len(compared))  # the least p that there can be is 0.01 after the correction
        draws = bootstrap_seeds(values, shared=True, resamples=resamples, seed=seed, sessions=sessions)
        found = []
        for higher, lower in compared:
            drawn = draws[:, higher] - draws[:, lower]
            low, high = interval(drawn)
            margin = MARGIN * means[higher]
            numbers = float(means[higher] - means[lower]), float(low), float(high)
            found.append((labels[higher], labels[lower], *numbers, two_sided_p(drawn), -margin < low and high < margin))
        corrected = holm([p for *_, p, _ in found]) if found else []
        least = min(1.0, len(found) * least_two_sided_p(resamples))
        for (*start, _, equivalent), p in zip(found, corrected, strict=True):
            rows.append((dataset, protocol, *start, p, least, bool(equivalent)))
    columns = ["dataset", "protocol", "higher", "lower", "difference", "low", "high", "p", "least_p", "equivalent"]
    return pd.DataFrame(rows, columns=columns)


def shown_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """The rows of `pairs` as a reader sees them: the difference with its interval, and whether the two are equivalent."""
    numbers = differences[["difference", "low", "high"]].to_numpy()
    return differences.assign(
        difference=[formats.interval(mean, low, high, digits=4) for mean, low, high in numbers],
        p=[formats.p_value(p, least) for p, least in differences[["p", "least_p"]].to_numpy()],
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
    """The data sets that are judged under one split in time as well, in one window, and how they are called there, by their
    labels.
    """
    return _second_entries(ranking, "split", "temporal", but_for={"test_fraction"})


def in_file_order(ranking: Ranking) -> dict[str, str]:
    """The data sets whose equal times are drawn and that the study has in the order of the file as well, and how they are called
    there, by their labels.
    """
    return _second_entries(ranking, "equal_times", "as in the file")


def second_entries(ranking: Ranking) -> set[str]:
    """The labels of the data sets that stand beside another version of themselves: they have sections of their own."""
    return {*split_in_time(ranking).values(), *in_file_order(ranking).values()}


def _second_entries(ranking: Ranking, setting: str, value: str, but_for: Iterable[str] = ()) -> dict[str, str]:
    """The labels of entries that differ in one setting alone, and in what goes with it: the other, then that with ``value``."""

    def log(dataset: RankingDataset) -> dict:
        return dataset.model_dump(exclude={"name", setting, *but_for})

    return {
        first.label: second.label
        for first, second in itertools.permutations(ranking.datasets, 2)
        if getattr(second, setting) == value != getattr(first, setting) and log(first) == log(second)
    }


def order_sensitivity(comparison: Comparison, ranking: Ranking, seed: int, metric: str) -> pd.DataFrame:
    """What each model loses against the whole catalogue when the prefixes are shuffled, case by case.

    Returns:
        Columns ``dataset, model, ordered, shuffled, lost, low, high, share``: ``lost`` with its 95 % bootstrap interval, and
        the share of ``ordered`` that it is.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset in track(comparison.first_splits, "intervals of order sensitivity"):
        ordered, shuffled = (
            _values(comparison, ranking, dataset, [(label, protocol, metric) for label in labels])
            for protocol in ("full", SHUFFLED)
        )
        lost = [one - other for one, other in zip(ordered, shuffled, strict=True)]
        sessions = comparison.first_splits[dataset].test.session
        low, high = interval(bootstrap_seeds(lost, shared=True, seed=seed, sessions=sessions))
        for label, before, after, k in zip(labels, _mean(ordered), _mean(shuffled), range(len(labels)), strict=True):
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

    Of several windows in time, the lists of all are taken together, and the events are those before the first.

    Returns:
        Columns ``dataset, model, top_share, percentile, coverage@10``: the share of the recommendations that are among the 1 %
        of the catalogue with the most events in training; their mean popularity as the share of the catalogue that has fewer
        events or as many (ties at their mean, so that an item drawn at random has 0.5); the share of the catalogue that is in
        any list. The rows of the model ``targets`` are what the lists would be if all were right; they have no coverage.
    """
    whole = comparison.table[comparison.table["protocol"] == "full"].set_index(["dataset", "model"])
    rows = []
    for dataset in comparison.first_splits:
        means = whole.loc[dataset].groupby(level="model")[LISTED].mean()
        rows += [(dataset, model.label, *means.loc[model.label]) for model in ranking.models]
        splits = [comparison.splits[dataset, s] for s in ranking.seeds]
        targets = np.mean([popularity(split.test.targets, events_of_items(split)) for split in splits], axis=0)
        rows.append((dataset, "targets", *targets, np.nan))
    return pd.DataFrame(rows, columns=["dataset", "model", *LISTED])


def _judged(comparison: Comparison) -> list[tuple[str, str]]:
    """The data sets with their protocols."""
    return list(dict.fromkeys((key[0], key[3]) for key in comparison.ranks))


def _values(
    comparison: Comparison, ranking: Ranking, dataset: str, columns: list[tuple[str, str, str]]
) -> list[np.ndarray]:
    """For each seed, float64 (n_cases, n_columns): a metric of each case, by model, protocol and metric."""
    return [
        np.column_stack(
            [
                comparison.ranks[dataset, label, seed, protocol].metric(metric, ranking.ties)
                for label, protocol, metric in columns
            ]
        )
        for seed in ranking.seeds
    ]


def _mean(values: list[np.ndarray]) -> np.ndarray:
    """float64 (n_columns,): the means over seeds and cases."""
    return np.mean([of_seed.mean(0) for of_seed in values], axis=0)
