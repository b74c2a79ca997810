"""The grid of Toledo & Rezende 2020 (Table 4): its cells, expanded, trained, kept and taken up again.

A *cell* is one combination of architecture, activation, optimizer, batch size, number of epochs and seed. A *training*
makes the cells that differ in the number of epochs alone: 20 epochs are a checkpoint on the way to 50.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from studylib.data.sessions import Cases, Sessions, apply_filters, checksum
from studylib.data.splits import Split, split_sessions
from studylib.evaluation.classification import macro_average, micro_average
from studylib.evaluation.ranking import Ranks, rank_cases
from studylib.execution import WorkerDied, configure, fan_out
from studylib.models.base import Recommender
from studylib.models.baselines import Markov, Popularity
from studylib.params import Data, Execution, Grid
from studylib.progress import progress

TRAINING_VERSION = 2
"""Raised whenever the training code changes its numbers, so that kept cells of before are not taken for new ones."""

KEYS = ["architecture", "activation", "optimizer", "batch_size", "epochs", "seed"]
RANKING_METRICS = ["hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr"]
CLASS_METRICS = ["accuracy", "precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1"]
COLUMNS = [
    *KEYS, *CLASS_METRICS, *RANKING_METRICS, "loss", "status", "reason", "parameters", "train_seconds",
]  # fmt: skip
"""The columns of ``grid.csv``."""


@dataclass(frozen=True)
class Training:
    """The settings that the cells of one training share."""

    architecture: str
    activation: str
    optimizer: str
    batch_size: int
    seed: int


def expand(grid: Grid) -> list[Training]:
    """All trainings of a grid, in the order of its lists."""
    factors = (grid.architectures, grid.activations, grid.optimizers, grid.batch_sizes, grid.seeds)
    return [Training(*values) for values in itertools.product(*factors)]


def run_grid(log: Sessions, data: Data, grid: Grid, execution: Execution, cells: Path) -> pd.DataFrame:
    """Train every cell that is not kept in the folder ``cells`` yet, keep it there, and give all of them.

    Args:
        log: the sessions of the log, filtered.
        data, grid, execution: the sections of the study.
        cells: the folder with one JSON file a finished cell.

    Returns:
        One row a cell in the order of `KEYS`: `COLUMNS`, and with them ``validation_accuracy`` (to choose on), ``curve``
        (the loss after each epoch), ``above`` and ``tied`` (the ranks of the test cases), ``top`` (the page predicted for
        each) and ``split`` (which test cases).
    """
    cells.mkdir(parents=True, exist_ok=True)
    splits = {seed: split_log(log, data, seed) for seed in grid.seeds}
    keys = _keys(splits, data, grid, execution)
    missing: dict[Training, list[int]] = {}
    for (training, epochs), key in keys.items():
        if not _is_finished(cells / f"{key}.json"):
            missing.setdefault(training, []).append(epochs)

    train = functools.partial(_train_task, splits, missing, data, grid, execution)
    failed = 0
    with progress("grid, cells", len(keys), done=len(keys) - sum(map(len, missing.values()))) as bar:

        def say(running: int) -> None:
            bar.advance(0, f"trainings running: {running}, cells failed: {failed}")

        for training, results in fan_out(train, list(missing), execution, say):
            if isinstance(results, WorkerDied):
                results = [failed_cell(training, epochs, str(results)) for epochs in missing[training]]
            for cell in results:
                cell["split"] = splits[training.seed].checksum
                _keep(cells / f"{keys[training, cell['epochs']]}.json", cell)
            failed += sum(cell["status"] == "failed" for cell in results)
            bar.advance(len(results))

    rows = [json.loads((cells / f"{key}.json").read_text(encoding="utf-8")) for key in keys.values()]
    return pd.DataFrame(rows).sort_values(KEYS, ignore_index=True)


def count_cells(log: Sessions, data: Data, grid: Grid, execution: Execution, cells: Path) -> tuple[int, int]:
    """How many cells a study asks for, those of ``compare_settings`` too, and how many of them are kept (see `run_grid`)."""
    splits = {seed: split_log(log, data, seed) for seed in grid.seeds}
    grids = [grid, other_settings(grid)] if grid.compare_settings else [grid]
    keys = {key for part in grids for key in _keys(splits, data, part, execution).values()}
    return len(keys), sum(_is_finished(cells / f"{key}.json") for key in keys)


def other_settings(grid: Grid) -> Grid:
    """The part of a grid that shows what the other optimizer settings change: softmax, the fewest epochs."""
    other = {"keras2": "keras3", "keras3": "keras2"}[grid.optimizer_settings]
    activations = [a for a in grid.activations if a == "softmax"] or grid.activations[:1]
    return grid.model_copy(
        update={"optimizer_settings": other, "activations": activations, "epochs": [min(grid.epochs)]}
    )


def split_log(log: Sessions, data: Data, seed: int) -> Split:
    """The split of a seed: 80 % and 20 % of the sessions, and a tenth of the 80 % to choose on."""
    return split_sessions(log, data.test_fraction, seed if data.split_seed is None else data.split_seed)


def filter_log(log: Sessions, data: Data) -> Sessions:
    """The sessions that the grid learns from and is judged on."""
    return apply_filters(log, data, data.max_length)


def _keys(splits: dict[int, Split], data: Data, grid: Grid, execution: Execution) -> dict[tuple[Training, int], str]:
    """The name under which each cell is kept."""
    return {
        (training, epochs): _key(training, epochs, splits[training.seed], data, grid, execution)
        for training in expand(grid)
        for epochs in grid.epochs
    }


def _key(training: Training, epochs: int, split: Split, data: Data, grid: Grid, execution: Execution) -> str:
    determinants = {
        **asdict(training),
        "epochs": epochs,
        "split": split.checksum,
        "max_length": data.max_length,
        "units": grid.units,
        "optimizer_settings": _settings_that_matter(training, grid),
        "learning_rate": grid.learning_rate.get(training.optimizer),
        "backend": execution.keras_backend,
        "threads": execution.threads_per_worker,
        "version": TRAINING_VERSION,
    }
    return checksum(json.dumps(determinants, sort_keys=True).encode())[:20]


def _settings_that_matter(training: Training, grid: Grid) -> str:
    """SGD and Adam are the same in Keras 2 and 3, and so is a cell that was trained with them."""
    return grid.optimizer_settings if training.optimizer in ("rmsprop", "adagrad") else "both"


def _is_finished(path: Path) -> bool:
    """A failed cell (out of memory, a killed worker) is tried again."""
    return path.exists() and json.loads(path.read_text(encoding="utf-8"))["status"] != "failed"


def _keep(path: Path, cell: dict) -> None:
    beside = path.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(cell) + "\n", encoding="utf-8")
    beside.replace(path)


def _train_task(
    splits: dict[int, Split],
    missing: dict[Training, list[int]],
    data: Data,
    grid: Grid,
    execution: Execution,
    training: Training,
) -> list[dict]:
    configure(execution)
    return train_cells(training, missing[training], splits[training.seed], data, grid)


def train_cells(training: Training, epochs: list[int], split: Split, data: Data, grid: Grid) -> list[dict]:
    """Train one network up to the last of ``epochs`` and judge it at each of them.

    A network whose loss is no longer a number has ``diverged``; one whose loss did not change in its last epoch (all
    gradients are zero) is ``stuck``; one that raises an error (out of memory) has ``failed``. Each is a cell with its
    reason, not an exception.
    """
    from studylib.models.keras_rnn import KerasRNN

    model = KerasRNN(
        training.architecture,
        training.activation,
        training.optimizer,
        optimizer_settings=grid.optimizer_settings,
        learning_rate=grid.learning_rate.get(training.optimizer),
        batch_size=training.batch_size,
        units=grid.units,
        max_length=data.max_length,
        seed=training.seed,
    )
    cells: list[dict] = []
    seconds = 0.0
    try:
        model.prepare(split.train)
        for checkpoint in sorted(epochs):
            started = time.perf_counter()
            model.train_to(checkpoint)
            seconds += time.perf_counter() - started
            status, reason = _status(model.curve)
            cells.append(
                {
                    **asdict(training),
                    "epochs": checkpoint,
                    **judge(model, split.test),
                    "validation_accuracy": _accuracy(model, split.validation),
                    "loss": model.curve[-1]["loss"],
                    "status": status,
                    "reason": reason,
                    "parameters": model.parameters,
                    "train_seconds": round(seconds, 3),
                    "curve": [point["loss"] for point in model.curve],
                }
            )
    except Exception as error:
        done = {cell["epochs"] for cell in cells}
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        cells += [failed_cell(training, e, reason) for e in epochs if e not in done]
    return cells


def failed_cell(training: Training, epochs: int, reason: str) -> dict:
    """The row of a cell that has no network to judge: no measure is a number."""
    unknown = [*CLASS_METRICS, *RANKING_METRICS, "validation_accuracy", "loss", "parameters", "train_seconds"]
    measures = dict.fromkeys(unknown, float("nan"))
    nothing = {"curve": [], "above": [], "tied": [], "top": []}
    return {**asdict(training), "epochs": epochs, **measures, "status": "failed", "reason": reason, **nothing}


def _status(curve: list[dict]) -> tuple[str, str]:
    epoch, last = curve[-1]["epoch"], curve[-1]["loss"]
    if not np.isfinite(last):
        return "diverged", f"the loss is {last} after epoch {epoch}"
    if len(curve) > 1 and abs(last - curve[-2]["loss"]) <= 1e-6 * abs(last):
        return "stuck", f"the loss stays at {last:.6g} in epoch {epoch}"
    return "ok", "finished"


def floor(log: Sessions, data: Data, grid: Grid) -> pd.DataFrame:
    """What two models without training reach: the pages that are most often the last, and first-order Markov.

    Returns:
        One row a model and seed: ``architecture`` (its name), ``seed``, ``split`` and what `judge` gives of a cell.
    """
    rows = []
    for seed in grid.seeds:
        split = split_log(log, data, seed)
        counted = {"popularity": Popularity().fit(split.train.last_visits()), "markov": Markov().fit(split.train)}
        about = {"seed": seed, "split": split.checksum}
        rows += [{"architecture": name, **about, **judge(model, split.test)} for name, model in counted.items()]
    return pd.DataFrame(rows).sort_values("architecture", ascending=False, kind="stable", ignore_index=True)


def floor_measures(baselines: pd.DataFrame) -> pd.DataFrame:
    """The rows of `floor` as means over the seeds: a row a model, a column a measure."""
    return baselines.groupby("architecture", sort=False)[[*CLASS_METRICS, *RANKING_METRICS]].mean()


def seconds_an_epoch(cells: pd.DataFrame) -> pd.DataFrame:
    """How long an epoch of each training takes: the settings of the training, and ``seconds``.

    Taken between the first and the last checkpoint, so that compiling the network does not count; where there is one
    checkpoint only it does.
    """
    training = [key for key in KEYS if key != "epochs"]
    between = (
        cells[cells["status"] != "failed"]
        .groupby(training, sort=False)[["train_seconds", "epochs"]]
        .agg(["min", "max"])
    )
    if (between["epochs"]["min"] < between["epochs"]["max"]).all():
        seconds = between["train_seconds"]["max"] - between["train_seconds"]["min"]
        epochs = between["epochs"]["max"] - between["epochs"]["min"]
    else:
        seconds, epochs = between["train_seconds"]["max"], between["epochs"]["max"]
    return (seconds / epochs).rename("seconds").reset_index()


def time_ratio(times: pd.DataFrame, architecture: str, to: str = "lstm") -> pd.Series:
    """How many times as long as ``to`` an epoch of ``architecture`` takes, for each training alike in all else."""
    rest = [column for column in times.columns if column not in ("architecture", "seconds")]
    wide = times.pivot(index=rest, columns="architecture", values="seconds")
    return (wide[architecture] / wide[to]).dropna()


def judge(model: Recommender, cases: Cases) -> dict:
    """Every measure of a cell on the test cases, from one pass of scores; and the ranks themselves.

    The page predicted for a case is the one with the highest output. Outputs that tie count at their mean position.
    """
    ranks: Ranks = rank_cases(model, cases, exclude_visited=False, threshold=0.5)["full"]
    measures = {
        "accuracy": ranks.metric("accuracy").mean(),
        **macro_average(cases.targets, ranks.top[:, 0]),
        **micro_average(ranks.positives),
        **{name: ranks.metric(name).mean() for name in RANKING_METRICS},
    }
    return {name: float(value) for name, value in measures.items()} | {
        "above": ranks.above.tolist(),
        "tied": ranks.tied.tolist(),
        "top": ranks.top[:, 0].tolist(),
    }


def _accuracy(model, cases: Cases) -> float:
    return float(rank_cases(model, cases, exclude_visited=False)["full"].metric("accuracy").mean())


def to_csv(cells: pd.DataFrame, path: Path) -> None:
    """Write ``grid.csv``: `COLUMNS`, measures with six digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells[COLUMNS].to_csv(path, index=False, float_format="%.6g")
