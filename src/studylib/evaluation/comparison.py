"""The ranking evaluation: every model on every data set with every seed, judged on the same cases."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from studylib.data.datasets import load
from studylib.data.sessions import apply_filters, checksum
from studylib.data.splits import Split, leave_one_out, split_as_given, split_by_time, with_candidates
from studylib.errors import StudyError
from studylib.evaluation.ranking import Ranks, rank_cases
from studylib.evaluation.statistics import bootstrap_means, interval
from studylib.execution import WorkerDied, configure, fan_out
from studylib.models import build, files
from studylib.params import Execution, Model, Ranking, RankingDataset, slug, tuned
from studylib.progress import track

TRAINING_VERSION = 2
"""Raised whenever the code of a model changes its numbers, so that kept ranks of before are not taken for new ones."""

KEYS = ["dataset", "model", "seed", "protocol"]
METRICS = ["hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr", "recall@20", "mrr@20"]
COLUMNS = [*KEYS, "exclude_visited", *METRICS, "coverage@10", "cases", "parameters", "train_seconds", "epochs"]
"""The columns of ``ranking.csv``."""


@dataclass(frozen=True)
class Run:
    """One model trained once on one data set, by their labels."""

    dataset: str
    model: str
    seed: int


@dataclass(frozen=True)
class Comparison:
    """What the ranking evaluation gives.

    Attributes:
        table: one row a data set, model, seed and protocol: `COLUMNS`.
        ranks: the `Ranks` behind each row, by (dataset, model, seed, protocol).
        splits: the split of each data set.
    """

    table: pd.DataFrame
    ranks: dict[tuple[str, str, int, str], Ranks]
    splits: dict[str, Split]


def prepare(dataset: RankingDataset, ranking: Ranking, seed: int) -> Split:
    """Load, filter and split a data set, with candidates drawn once for the data set and the study's seed."""
    sessions = apply_filters(load(dataset, seed), dataset)
    kind = dataset.split or ("given" if sessions.given else "leave-one-out")
    if kind == "given":
        split = split_as_given(sessions)
    elif kind == "temporal":
        split = split_by_time(sessions, dataset.test_fraction)
    else:
        split = leave_one_out(sessions)
    return with_candidates(split, ranking.candidates, seed)


def compare(ranking: Ranking, execution: Execution, seed: int, folder: Path) -> Comparison:
    """Train and judge every model whose ranks are not kept yet, keep them, and give all.

    Of each data set and model, the one of the first seed is kept as well. It is for recommending, not for the tables: where its
    file is missing and the ranks are there, nothing is trained again.

    Args:
        ranking, execution: the sections of the study.
        seed: of the study: candidates and generated data.
        folder: of the study: the ranks are kept in its ``ranks/``, the models in its ``models/``.
    """
    kept = folder / "ranks"
    kept.mkdir(parents=True, exist_ok=True)
    splits = {dataset.label: prepare(dataset, ranking, seed) for dataset in ranking.datasets}
    models = {(dataset, model.label): tuned(model, dataset) for dataset in splits for model in ranking.models}
    names = {
        Run(dataset, label, seed): _name(Run(dataset, label, seed), splits[dataset], model, ranking, execution)
        for (dataset, label), model in models.items()
        for seed in ranking.seeds
    }
    missing = [run for run, name in names.items() if not (kept / f"{name}.json").exists()]
    judge = functools.partial(_judge, splits, models, ranking, execution)
    for run, result in track(fan_out(judge, missing, execution), "ranking, trainings", len(missing)):
        if isinstance(result, WorkerDied):
            raise StudyError(
                f"{run.model} on {run.dataset}, seed {run.seed}: {result}; what is finished is kept. It may need more memory: "
                "try 'execution: {workers: 1}' or a smaller model."
            )
        ranks, facts, file = result
        if file is not None:
            files.write(folder / "models" / f"{names[run]}.safetensors", file)
        for protocol, some in ranks.items():
            some.save(kept / f"{names[run]}.{protocol}.npz")
        (kept / f"{names[run]}.json").write_text(json.dumps({**facts, "protocols": list(ranks)}), encoding="utf-8")

    rows, every = [], {}
    for run, name in names.items():
        facts = json.loads((kept / f"{name}.json").read_text(encoding="utf-8"))
        for protocol in facts.pop("protocols"):
            ranks = Ranks.load(kept / f"{name}.{protocol}.npz")
            every[run.dataset, run.model, run.seed, protocol] = ranks
            rows.append(
                {
                    "dataset": run.dataset,
                    "model": run.model,
                    "seed": run.seed,
                    "protocol": protocol,
                    "exclude_visited": ranking.exclude_visited,
                    **{metric: ranks.metric(metric, ranking.ties).mean() for metric in METRICS},
                    "coverage@10": ranks.coverage(splits[run.dataset].train.n_items),
                    "cases": len(ranks),
                    **facts,
                }
            )
    table = pd.DataFrame(rows)[COLUMNS].sort_values(KEYS, ignore_index=True)
    return Comparison(table, every, splits)


def _judge(splits: dict, models: dict, ranking: Ranking, execution: Execution, run: Run) -> tuple:
    """The ranks by protocol, facts for the table, and the content of the model file (None but for the first seed).

    The content comes back with the result, because a worker may have no disk of ours.
    """
    configure(execution)
    split = splits[run.dataset]
    model = build(models[run.dataset, run.model], ranking.history, run.seed, execution.device)
    model.fit(split.train, split.validation)
    ranks = rank_cases(model, split.test, ranking.history, ranking.exclude_visited)
    facts = {
        "parameters": model.parameters,
        "train_seconds": round(model.train_seconds, 3),
        "epochs": model.epochs,
    }
    return ranks, facts, files.to_bytes(model) if run.seed == ranking.seeds[0] else None


def _name(run: Run, split: Split, model: Model, ranking: Ranking, execution: Execution) -> str:
    """A readable file name that ends in a checksum of all that determines the ranks."""
    determinants = {
        "split": split.checksum,
        "candidates": checksum(split.test.candidates),
        "model": model.model_dump(exclude={"label", "tuned"}),
        "seed": run.seed,
        "history": ranking.history,
        "exclude_visited": ranking.exclude_visited,
        "threads": execution.threads_per_worker,
        "device": execution.device,
        "version": TRAINING_VERSION,
    }
    digest = checksum(json.dumps(determinants, sort_keys=True).encode())[:12]
    return f"{slug(run.dataset)}-{slug(run.model)}-{run.seed}-{digest}"


def intervals(comparison: Comparison, ranking: Ranking, seed: int, metrics: list[str] = METRICS) -> pd.DataFrame:
    """Every metric with its 95 % bootstrap interval over the test cases; a case counts with its mean over the seeds.

    All models of a data set share the draws, so that their differences can be read from them too.

    Returns:
        Columns ``dataset, model, protocol, metric, mean, low, high, n``.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset in comparison.splits:
        for protocol in dict.fromkeys(key[3] for key in comparison.ranks if key[0] == dataset):
            values = np.column_stack(
                [
                    _case_values(comparison, ranking, (dataset, m, protocol), metric)
                    for m in labels
                    for metric in metrics
                ]
            )
            low, high = interval(bootstrap_means(values, seed=seed))
            names = [(m, metric) for m in labels for metric in metrics]
            for (label, metric), mean, bottom, top in zip(names, values.mean(0), low, high, strict=True):
                rows.append((dataset, label, protocol, metric, mean, bottom, top, len(values)))
    return pd.DataFrame(rows, columns=["dataset", "model", "protocol", "metric", "mean", "low", "high", "n"])


def by_visits(comparison: Comparison, ranking: Ranking, seed: int, metric: str, protocol: str = "full") -> pd.DataFrame:
    """A metric with its interval by how many pages the model has seen of the session (at most ``history``).

    Returns:
        Columns ``dataset, model, visits, mean, low, high, n``; groups of fewer than 20 cases are left out.
    """
    labels = [model.label for model in ranking.models]
    rows = []
    for dataset, split in comparison.splits.items():
        values = np.column_stack([_case_values(comparison, ranking, (dataset, m, protocol), metric) for m in labels])
        seen = np.minimum(split.test.prefix_lengths, ranking.history)
        for first, last in VISIT_GROUPS:
            group = values[(seen >= first) & (seen <= last)]
            if len(group) < 20:
                continue
            low, high = interval(bootstrap_means(group, seed=seed))
            name = str(first) if first == last else f"{first}+" if last >= ranking.history else f"{first}-{last}"
            for column, label in enumerate(labels):
                rows.append((dataset, label, name, group[:, column].mean(), low[column], high[column], len(group)))
    return pd.DataFrame(rows, columns=["dataset", "model", "visits", "mean", "low", "high", "n"])


VISIT_GROUPS = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 7), (8, 12), (13, 19), (20, 10**9)]


def _case_values(comparison: Comparison, ranking: Ranking, key: tuple[str, str, str], metric: str) -> np.ndarray:
    """float64 (n_cases,): the metric of each case, the mean over the seeds."""
    dataset, label, protocol = key
    seeds = [comparison.ranks[dataset, label, seed, protocol].metric(metric, ranking.ties) for seed in ranking.seeds]
    return np.mean(seeds, axis=0)


def to_csv(table: pd.DataFrame, path: Path) -> None:
    """Write ``ranking.csv``: `COLUMNS`, measures with six digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g")
