"""The ranking evaluation: every model on every data set with every seed, evaluated on the same cases."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from studylib.data.datasets import load
from studylib.data.sessions import Sessions, apply_filters, checksum
from studylib.data.splits import Split, leave_one_out, split_as_given, split_by_time, with_candidates
from studylib.errors import StudyError
from studylib.evaluation.ranking import Ranks, joined, popularity, rank_cases
from studylib.execution import WorkerDied, configure
from studylib.kept import TIMES, Result, Store, Work, complete, key
from studylib.models import build, files, implementation
from studylib.params.files import tuned
from studylib.params.models import ModelParams
from studylib.params.study import Execution, Ranking, RankingDataset
from studylib.paths import slug, times_of, write_table

KEYS = ["dataset", "model", "seed", "protocol"]
METRICS = ["hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr", "recall@20", "mrr@20"]
COLUMNS = [*KEYS, "exclude_visited", *METRICS, "coverage@10", "cases", "parameters", "epochs"]
"""The columns of ``ranking.csv``. ``protocol`` is ``full`` (the whole catalogue), ``sampled-<n>`` (among n negatives) or
`SHUFFLED`."""

SHUFFLED = "shuffled"
"""The whole catalogue after prefixes whose events are in random order: what a model loses by it is its order sensitivity."""


@dataclass(frozen=True)
class Training:
    """One model trained once on one data set, by their labels."""

    dataset: str
    model: str
    seed: int


@dataclass(frozen=True)
class Comparison:
    """The results of the ranking evaluation.

    Attributes:
        table: one row per data set, model, seed and protocol: `COLUMNS`, `TIMES` and `LISTED`.
        ranks: the `Ranks` behind each row, by (dataset, model, seed, protocol).
        splits: by data set and seed: the same for all seeds but where the order of equal times is drawn, when each case has
            the same session and another target.
        first_lists: the head of the list of the first test case, by data set and model: of the whole catalogue, the first seed.
        models: the model files that there are, by data set and model: of the first seed.
    """

    table: pd.DataFrame
    ranks: dict[tuple[str, str, int, str], Ranks]
    splits: dict[tuple[str, int], Split]
    first_lists: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    models: dict[tuple[str, str], Path] = field(default_factory=dict)

    @property
    def first_splits(self) -> dict[str, Split]:
        """The split of each data set, of the first seed."""
        first: dict[str, Split] = {}
        for (dataset, _), split in self.splits.items():
            first.setdefault(dataset, split)
        return first


def prepare(dataset: RankingDataset, ranking: Ranking, seed: int, draw: int = 0) -> Split:
    """Load, filter and split a data set, with candidates drawn once for the data set and the study's seed.

    ``draw``: the seed of a drawn order of equal times.
    """
    sessions = apply_filters(load(dataset, seed), dataset)
    return with_candidates(split_log(sessions, dataset, draw), ranking.candidates, seed)


def split_log(sessions: Sessions, dataset: RankingDataset, draw: int = 0) -> Split:
    """Split a filtered log as its data set says. ``draw``: as for `prepare`."""
    if dataset.equal_times == "drawn":
        sessions = sessions.with_ties_drawn(draw)
    kind = dataset.split or ("given" if sessions.given else "leave-one-out")
    if kind == "given":
        return split_as_given(sessions)
    if kind == "temporal":
        return split_by_time(sessions, dataset.test_fraction, dataset.windows)
    return leave_one_out(sessions)


def excludes_visited(ranking: Ranking, split: Split) -> bool:
    """Whether the items of a session are left out of its lists: as the study sets it, else where no session has repeats."""
    return not split.learnt.has_repeats if ranking.exclude_visited is None else ranking.exclude_visited


def compare(ranking: Ranking, execution: Execution, seed: int, folder: str | Path) -> Comparison:
    """Train and evaluate every model whose ranks are not kept yet, keep them, and return all.

    Of each data set and model, the one of the first seed is kept as well. It is for recommending, not for the tables: where its
    file is missing and the ranks are kept, nothing is trained again.

    Args:
        ranking, execution: the sections of the study.
        seed: of the study: candidates, generated data and shuffled prefixes.
        folder: of the study: the ranks are kept in its ``ranks/``, the models in its ``models/``.
    """
    splits = split_datasets(ranking, seed)
    work = trainings_of(splits, ranking, execution, seed, Path(folder))
    complete(work, execution)
    return collected(work, splits, ranking)


def split_datasets(ranking: Ranking, seed: int) -> dict[tuple[str, int], Split]:
    """Every data set of a ranking (`prepare`), by its label and the seed of a training, of the ablation too."""
    splits = {}
    for dataset in ranking.datasets:
        draws = dict.fromkeys([*ranking.seeds, *(ranking.ablation.seeds if ranking.ablation else [])])
        first = prepare(dataset, ranking, seed, next(iter(draws)))
        for draw in draws:
            other = dataset.equal_times == "drawn" and draw != ranking.seeds[0]
            splits[dataset.label, draw] = prepare(dataset, ranking, seed, draw) if other else first
    return splits


def trainings_of(
    splits: dict[tuple[str, int], Split], ranking: Ranking, execution: Execution, seed: int, folder: Path
) -> Work[Training, Training]:
    """The ranks of every training, and how they are made. ``splits``: of all data sets at least; the others as in `compare`."""
    datasets = [dataset.label for dataset in ranking.datasets]
    entries = {(dataset, model.label): tuned(model, dataset) for dataset in datasets for model in ranking.models}
    trainings = [Training(dataset, label, s) for dataset, label in entries for s in ranking.seeds]
    names = {
        t: _name(t, splits[t.dataset, t.seed], entries[t.dataset, t.model], ranking, execution, seed) for t in trainings
    }
    first = ranking.seeds[0]

    def task(t: Training) -> Training:
        depends = entries[t.dataset, t.model].draws or splits[t.dataset, t.seed] is not splits[t.dataset, first]
        return t if depends else replace(t, seed=first)

    return Work(
        store=Store(folder / "ranks", "03_ranking_evaluation", _is_ranks),
        names=names,
        task=task,
        train=functools.partial(_train, splits, entries, ranking, execution, seed),
        died=_died,
        description="ranking, trainings",
        measures=lambda result: {
            f"{protocol} {metric}": ranks.metric(metric, ranking.ties).mean()
            for protocol, ranks in _ranks(result).items()
            for metric in METRICS
        },
    )


def _died(training: Training, trainings: list[Training], death: WorkerDied) -> dict:
    raise StudyError(
        f"{training.model} on {training.dataset}, seed {training.seed}: {death}; what is finished is kept. It may need more "
        "memory: try 'execution: {workers: 1}' or a smaller model."
    )


def _is_ranks(result: Result) -> bool:
    """Whether a result is the ranks of a training, whichever it is: its facts and arrays, of their types."""

    def of_protocol(protocol: str, counts: dict[str, Any]) -> bool:
        above, tied = (result.arrays[f"{protocol} {array}"] for array in ARRAYS)
        numbered = all(array.dtype.kind == "i" and array.ndim == 1 for array in (above, tied))
        counted = all(type(counts[count]) is int for count in COUNTS)
        measured = all(type(counts[measure]) is float for measure in LISTED)
        if not (numbered and counted and measured and len(above) == len(tied) and counts["listed"] < 2**31):
            return False
        return bool(((above >= 0) & (tied >= 0) & (above.astype(np.int64) + tied < counts["listed"])).all())

    facts = result.facts
    kinds = {"parameters": int, "epochs": int, "first_list": list, "protocols": dict}
    if not all(type(facts[name]) is kind for name, kind in kinds.items()) or "full" not in facts["protocols"]:
        return False
    counted = all(type(item) is int for item in facts["first_list"])
    return counted and all(of_protocol(protocol, counts) for protocol, counts in facts["protocols"].items())


ARRAYS = ("above", "tied")
COUNTS = ("listed", "not_numbers")
LISTED = ["top_share", "percentile", "coverage@10"]
"""Of the `Ranks` of each protocol, `ARRAYS` and `COUNTS` are kept, and of the items in their lists what `popularity` and the
coverage (the share of the catalogue that is in any list, from 0 to 1) say: the lists would be ten times as large."""


def collected(work: Work[Training, Training], splits: dict[tuple[str, int], Split], ranking: Ranking) -> Comparison:
    """The results of all trainings, as they were kept.

    Raises:
        StudyError: one of them is not there yet.
    """
    rows, ranks_of = [], {}
    first_lists: dict[tuple[str, str], list[int]] = {}
    for training, result in work.kept().items():
        facts = dict(result.facts)
        split = splits[training.dataset, training.seed]
        first_lists.setdefault((training.dataset, training.model), facts.pop("first_list"))
        of_lists = facts.pop("protocols")
        for protocol, ranks in _ranks(result).items():
            ranks_of[training.dataset, training.model, training.seed, protocol] = ranks
            rows.append(
                {
                    "dataset": training.dataset,
                    "model": training.model,
                    "seed": training.seed,
                    "protocol": protocol,
                    "exclude_visited": excludes_visited(ranking, split),
                    **{metric: ranks.metric(metric, ranking.ties).mean() for metric in METRICS},
                    "cases": len(ranks),
                    **{measure: of_lists[protocol][measure] for measure in LISTED},
                    **result.times,
                    **facts,
                }
            )
    columns = list(dict.fromkeys([*COLUMNS, *TIMES, *LISTED]))
    table = pd.DataFrame(rows)[columns].sort_values(KEYS, ignore_index=True)
    judged = {(dataset.label, s): splits[dataset.label, s] for dataset in ranking.datasets for s in ranking.seeds}
    files = {
        (t.dataset, t.model): work.store.model(name) for t, name in work.names.items() if t.seed == ranking.seeds[0]
    }
    models = {key: path for key, path in files.items() if path.exists()}
    return Comparison(table, ranks_of, judged, first_lists, models)


def _ranks(result: Result) -> dict[str, Ranks]:
    """The kept ranks of a training, by protocol."""
    ranks = {}
    for protocol, of_lists in result.facts["protocols"].items():
        arrays: dict[str, Any] = {array: result.arrays[f"{protocol} {array}"] for array in ARRAYS}
        ranks[protocol] = Ranks(**arrays, top=None, **{count: of_lists[count] for count in COUNTS})
    return ranks


def _train(
    splits: dict,
    entries: dict,
    ranking: Ranking,
    execution: Execution,
    seed: int,
    training: Training,
    trainings: list[Training],
) -> dict[Training, Result]:
    """Train and evaluate one model, anew for each window in time, in a worker; other seeds are wanted where they are the same.

    The content of the model file, which is that of the last window, is returned with the ranks, because the worker may run on a
    machine without the study's disk.
    """
    configure(execution)
    split = splits[training.dataset, training.seed]
    entry = entries[training.dataset, training.model]
    excluded = excludes_visited(ranking, split)
    of_windows, seconds = [], 0.0
    for window in split.trainings:
        model = build(entry, ranking.history, training.seed, execution.device, ranking.exclude_visited)
        model.fit(window.learnt, window.validation if window.final is None else None)
        seconds += model.train_seconds
        ranks = rank_cases(model, window.test, ranking.history, excluded)
        shuffled = window.test.shuffled(ranking.history, seed)
        of_windows.append(ranks | {SHUFFLED: rank_cases(model, shuffled, ranking.history, excluded)["full"]})
    ranks = {name: joined([each[name] for each in of_windows], split.in_order) for name in of_windows[0]}
    facts = {
        "parameters": model.parameters,
        "epochs": model.epochs,
        "first_list": first_list(ranks["full"]),
        "protocols": {name: of_lists(r, split) for name, r in ranks.items()},
    }
    arrays = {f"{name} {array}": getattr(r, array) for name, r in ranks.items() for array in ARRAYS}
    is_kept = training.seed == ranking.seeds[0] and files.is_whole(model)
    result = Result(facts, arrays, files.to_bytes(model) if is_kept else None, {"train_seconds": round(seconds, 3)})
    return {t: result if t == training else replace(result, model=None) for t in trainings}


def of_lists(ranks: Ranks, split: Split) -> dict[str, Any]:
    """What is kept of the lists of one protocol: `COUNTS` and `LISTED`."""
    items = ranks.listed_items()
    top_share, percentile = popularity(items, events_of_items(split))
    coverage = len(np.unique(items)) / split.train.n_items
    counts = {count: getattr(ranks, count) for count in COUNTS}
    return counts | dict(zip(LISTED, (top_share, percentile, coverage), strict=True))


def first_list(ranks: Ranks) -> list[int]:
    """The head of the list of the first case, best first."""
    assert ranks.top is not None, "they were not kept yet"
    return [item for item in ranks.top[:1].ravel().tolist() if item >= 0]


def events_of_items(split: Split) -> np.ndarray:
    """int (n_items,): how many events each item has in training; of several windows, in that of the first."""
    return np.bincount(split.learnt.items, minlength=split.train.n_items)


def _name(
    training: Training, split: Split, model: ModelParams, ranking: Ranking, execution: Execution, seed: int
) -> str:
    """A readable file name that ends in a checksum of all that determines the ranks."""
    candidates = split.test.candidates
    determinants = {
        "split": split.checksum,
        "candidates": None if candidates is None else checksum(candidates),
        "model": model.determinants,
        "seed": training.seed,
        "shuffle": seed,
        "history": ranking.history,
        "exclude_visited": ranking.exclude_visited,
        "threads": execution.threads_per_worker,
        "device": execution.device,
        "version": implementation(model).version,
    }
    return f"{slug(training.dataset)}-{slug(training.model)}-{training.seed}-{key(determinants, 12)}"


def to_csv(table: pd.DataFrame, path: Path) -> None:
    """Write ``ranking.csv``: `COLUMNS`, measures with six digits; and beside it ``ranking_times.csv``."""
    write_table(path, table[COLUMNS])
    once = [key for key in KEYS if key != "protocol"]
    write_table(times_of(path), table.drop_duplicates(once)[[*once, *TIMES]])
