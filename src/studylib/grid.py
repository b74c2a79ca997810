"""The grid of Toledo & Rezende 2020 (Table 4): which cells it has, and how a training makes them.

A *cell* is one combination of architecture, activation, optimizer, batch size, number of epochs and seed. A *training*
makes the cells that differ in the number of epochs alone: 20 epochs are a checkpoint on the way to 50.
"""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from studylib.data.datasets import load
from studylib.data.sessions import Cases, Sessions, apply_filters, known_cases
from studylib.data.splits import Split, split_sessions
from studylib.errors import StudyError
from studylib.evaluation.classification import macro_average, micro_average
from studylib.evaluation.ranking import TOP, rank_cases
from studylib.execution import WorkerDied, configure
from studylib.kept import FAILED, TIMES, Result, Store, Work, complete, key
from studylib.models.base import Recommender
from studylib.models.baselines import Markov, Popularity
from studylib.models.keras_rnn import KerasRNN
from studylib.params.study import Data, Execution, Grid, Optimizer
from studylib.paths import times_of, write_table

KEYS = ["architecture", "activation", "optimizer", "batch_size", "epochs", "seed"]
RANKING_METRICS = ["hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr"]
VALIDATION_METRICS = ["accuracy", "ndcg@10"]
CLASS_METRICS = ["accuracy", "precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1"]
COLUMNS = [
    *KEYS, *CLASS_METRICS, *RANKING_METRICS, "loss", "status", "reason", "parameters",
]  # fmt: skip
"""The columns of ``grid.csv``."""
CELL_ARRAYS = ["above", "tied", "top", "validation_above", "validation_tied"]
LATER = [f"later_{name}" for name in [*CLASS_METRICS, *RANKING_METRICS]]
"""The columns of ``grid.csv`` about the later cases."""
LATER_ARRAYS = ["above", "tied", "right", "guesses"]
"""What a cell keeps of the later cases (`judge_later`), as ``later_above`` and so on."""

AGAIN = "again"
"""The folder of a study with second trainings of its cells, on another machine or by other instructions of the processor:
``studylib verify --keep`` writes them."""
SECOND = ["accuracy_again", "difference_again"]
"""The columns of ``grid.csv`` about second trainings: the accuracy, and the largest difference of any test measure."""


@dataclass(frozen=True)
class Training:
    """The settings that the cells of one training share."""

    architecture: str
    activation: str
    optimizer: Optimizer
    batch_size: int
    seed: int


def expand(grid: Grid) -> list[Training]:
    """All trainings of a grid, in the order of its lists."""
    factors = (grid.architectures, grid.activations, grid.optimizers, grid.batch_sizes, grid.seeds)
    return [Training(*values) for values in itertools.product(*factors)]


def run_grid(
    log: Sessions, data: Data, grid: Grid, execution: Execution, folder: Path, later: Cases | None = None
) -> pd.DataFrame:
    """Train every cell that is not kept yet, keep it, and return all of them.

    Args:
        log: the sessions of the log, filtered.
        data, grid, execution: the sections of the study.
        folder: of the study; the cells are kept in its ``cells/``.
        later: of `later_cases`.

    Returns:
        As `read_grid`.
    """
    complete(cells_of(log, data, grid, execution, folder, later), execution)
    return read_grid(log, data, grid, execution, folder, later)


def cells_of(
    log: Sessions, data: Data, grid: Grid, execution: Execution, folder: Path, later: Cases | None = None
) -> Work[tuple[Training, int], Training]:
    """The cells of a grid, and how they are trained; a cell is a training and its number of epochs. As `run_grid`."""
    splits = split_by_seed(log, data, grid)
    return Work(
        store=cell_store(folder),
        names=_names(splits, data, grid, execution, later),
        task=_training,
        train=functools.partial(_train_task, splits, data, grid, execution, later),
        died=functools.partial(_died, splits),
        description="grid, cells",
        measures=_measures,
    )


def _measures(cell: Result) -> dict[str, float]:
    return {name: cell.facts[name] for name in [*CLASS_METRICS, *RANKING_METRICS, "loss"]}


def read_grid(
    log: Sessions, data: Data, grid: Grid, execution: Execution, folder: Path, later: Cases | None = None
) -> pd.DataFrame:
    """The kept cells of a grid; nothing is trained.

    Returns:
        One row per cell in the order of `KEYS`: `COLUMNS`, `TIMES`, and with them ``validation_accuracy``,
        ``validation_ndcg@10``, ``curve`` (the loss after each epoch), ``above`` and ``tied`` (the ranks of the test cases),
        ``top`` (the item predicted for each), the same two of the validation cases, ``validation_curve`` (their accuracy after
        each epoch), and ``split`` (which test cases). With later cases what `judge_later` returns. With
        `SECOND` where second trainings are kept, and ``again``: the second training of the cell as a `Result`, or None.

    Raises:
        StudyError: a cell is not kept yet, or its file is damaged.
    """
    work = cells_of(log, data, grid, execution, folder, later)
    rows = [{**result.facts, **result.arrays, **result.times} for result in work.kept().values()]
    second = second_trainings(work, folder)
    if any(second):
        rows = [{**row, **_again(row, again)} for row, again in zip(rows, second, strict=True)]
    return pd.DataFrame(rows).sort_values(KEYS, ignore_index=True)


def second_trainings(work: Work, folder: Path) -> list[Result | None]:
    """The second training of each cell, in the order of the cells; None where none is kept that has finished."""
    store = cell_store(folder / AGAIN)
    return [store.load(name) if store.has(name) else None for name in work.names.values()]


def _again(cell: dict, again: Result | None) -> dict[str, object]:
    if again is None or cell["status"] == FAILED:
        return {**dict.fromkeys(SECOND, float("nan")), "again": None}
    differences = [abs(cell[name] - again.facts[name]) for name in [*CLASS_METRICS, *RANKING_METRICS]]
    return {"accuracy_again": again.facts["accuracy"], "difference_again": max(differences), "again": again}


def cell_store(folder: Path) -> Store:
    """Where a study keeps its cells."""
    return Store(folder / "cells", "02_grid_training", _is_cell)


def _is_cell(result: Result) -> bool:
    """Whether a result is a cell, of whatever training: its facts and arrays, of their types."""
    facts, arrays = result.facts, result.arrays
    validation = [f"validation_{name}" for name in VALIDATION_METRICS]
    measures = [*CLASS_METRICS, *RANKING_METRICS, *validation, "loss", "parameters"]
    return (
        all(
            type(facts[name]) is str
            for name in ("architecture", "activation", "optimizer", "split", "status", "reason")
        )
        and all(type(facts[name]) is int for name in ("batch_size", "epochs", "seed"))
        and all(type(value) in (int, float) for value in [facts[name] for name in measures] + facts["curve"])
        and all(arrays[name].dtype == np.int32 and arrays[name].ndim == 1 for name in CELL_ARRAYS)
        and len(arrays["above"]) == len(arrays["tied"]) == len(arrays["top"])
        and len(arrays["validation_above"]) == len(arrays["validation_tied"])
        and len(arrays.get("later_above", ())) == len(arrays.get("later_tied", ()))
    )


def count_cells(
    log: Sessions, data: Data, grid: Grid, execution: Execution, folder: Path, later: Cases | None = None
) -> tuple[int, int]:
    """How many cells a study has, those of `grids_of` included, and how many of them are kept (see `run_grid`)."""
    splits, store = split_by_seed(log, data, grid), cell_store(folder)
    names = {name for cells in grids_of(grid) for name in _names(splits, data, cells, execution, later).values()}
    return len(names), sum(store.has(name) for name in names)


def grids_of(grid: Grid) -> list[Grid]:
    """All grids that a study trains: its own, the part with the other settings of the optimizers, and the variants."""
    return [grid, *([other_settings(grid)] if grid.compare_settings else []), *variants(grid).values()]


def other_settings(grid: Grid) -> Grid:
    """The part of a grid that is trained with the other optimizer settings as well: softmax, the fewest epochs."""
    other = {"keras2": "keras3", "keras3": "keras2"}[grid.optimizer_settings]
    activations = [a for a in grid.activations if a == "softmax"] or grid.activations[:1]
    return grid.model_copy(
        update={"optimizer_settings": other, "activations": activations, "epochs": [min(grid.epochs)]}
    )


def variants(grid: Grid) -> dict[str, Grid]:
    """By label, the part of a grid that is trained with other ways of building its networks, and first as it is."""
    if grid.variants is None:
        return {}
    part = grid.model_copy(update=grid.variants.model_dump(exclude={"ways"}) | {"variants": None})
    ways = {label: part.model_copy(update={"building": way}) for label, way in grid.variants.ways.items()}
    return {"as in this study": part} | ways


def split_log(log: Sessions, data: Data, seed: int) -> Split:
    """The split of a seed: 80 % and 20 % of the sessions, and a tenth of the 80 % for validation."""
    return split_sessions(log, data.test_fraction, seed if data.split_seed is None else data.split_seed)


def filter_log(log: Sessions, data: Data) -> Sessions:
    """The sessions that the grid is trained and evaluated on."""
    return apply_filters(log, data, data.max_length)


def read_log(data: Data, seed: int) -> tuple[Sessions, Cases | None]:
    """The sessions that the grid is trained and evaluated on, and its later cases."""
    loaded = load(data, seed)
    log = filter_log(loaded, data)
    return log, later_cases(loaded, log, data)


def later_cases(loaded: Sessions, log: Sessions, data: Data) -> Cases | None:
    """The cases of the sessions that come after those of the grid: later visitors of the same site.

    As `known_cases`, of the items of the grid's sessions; a session that is one of these, item for item, has no case either.

    Args:
        loaded: the sessions of the log, unfiltered.
        log: those of the grid.

    Returns:
        Over the vocabulary of ``log``; what has no case is counted in `Sessions.drops`. None unless the study asks for them.

    Raises:
        StudyError: there are none.
    """
    if not data.later:
        return None
    unfiltered = {"max_sessions": None, "min_item_support": None, "k_core": None}
    everything = apply_filters(loaded, data.model_copy(update=unfiltered))
    n_first = min(data.max_sessions or 0, len(everything))
    learnt = {everything[session].tobytes() for session in range(n_first)}
    repeats = np.array([everything[session].tobytes() in learnt for session in range(len(everything))])
    later = replace(everything, drops=()).select(everything.session_of_event >= n_first)
    later = later.select(~np.repeat(repeats[n_first:], later.lengths), "session that is one of the grid, item for item")
    cases, _ = known_cases(later, log.vocabulary)
    if not len(cases):
        raise StudyError(
            f"'data.later' judges on what comes after the first {n_first:,} sessions, and none of it can be judged: lower "
            "'data.max_sessions', or leave 'later' out."
        )
    return cases


def split_by_seed(log: Sessions, data: Data, grid: Grid) -> dict[int, Split]:
    """The split of each seed of a grid."""
    return {seed: split_log(log, data, seed) for seed in grid.seeds}


def _training(cell: tuple[Training, int]) -> Training:
    return cell[0]


def _names(
    splits: dict[int, Split], data: Data, grid: Grid, execution: Execution, later: Cases | None
) -> dict[tuple[Training, int], str]:
    """The name under which each cell is kept, a cell being a training and its number of epochs."""
    judged = None if later is None else later.sessions.checksum
    return {
        (training, epochs): key(_determinants(training, epochs, splits[training.seed], data, grid, execution, judged))
        for training in expand(grid)
        for epochs in grid.epochs
    }


def _determinants(
    training: Training, epochs: int, split: Split, data: Data, grid: Grid, execution: Execution, later: str | None
) -> dict[str, object]:
    return {
        **asdict(training),
        "epochs": epochs,
        "split": split.checksum,
        **({} if later is None else {"later": later}),
        "max_length": data.max_length,
        "units": grid.units,
        "optimizer_settings": _settings_that_matter(training, grid),
        "learning_rate": grid.learning_rate.get(training.optimizer),
        "backend": execution.keras_backend,
        "threads": execution.threads_per_worker,
        "version": KerasRNN.version,
        **grid.building.model_dump(exclude_defaults=True),
    }


def _settings_that_matter(training: Training, grid: Grid) -> str:
    """``both`` for SGD and Adam, which are the same in Keras 2 and 3, so that such a cell serves both."""
    return grid.optimizer_settings if training.optimizer in ("rmsprop", "adagrad") else "both"


def _train_task(
    splits: dict[int, Split],
    data: Data,
    grid: Grid,
    execution: Execution,
    later: Cases | None,
    training: Training,
    cells: list,
) -> dict[tuple[Training, int], Result]:
    configure(execution)
    results = train_cells(training, [epochs for _, epochs in cells], splits[training.seed], data, grid, later)
    return {(training, result.facts["epochs"]): result for result in results}


def _died(splits: dict[int, Split], training: Training, cells: list, death: WorkerDied) -> dict:
    split = splits[training.seed]
    return {(training, epochs): failed_cell(training, epochs, split, str(death)) for _, epochs in cells}


def train_cells(
    training: Training, epochs: list[int], split: Split, data: Data, grid: Grid, later: Cases | None = None
) -> list[Result]:
    """Train one network up to the last of ``epochs`` and evaluate it at each of them; for the statuses see `status_of`.

    A network that raises an error (out of memory) is a cell with the status ``failed`` and a reason, not an exception.
    """
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
        **grid.building.model_dump(exclude={"validation"}),
    )
    cells: list[Result] = []
    seconds = 0.0
    validation_curve: list[float] = []
    try:
        model.prepare(split.train if grid.building.validation == "held out" else split.but_test)
        for epoch in range(1, max(epochs) + 1):
            started = time.perf_counter()
            model.train_to(epoch)
            seconds += time.perf_counter() - started
            validation = rank_cases(model, split.validation, exclude_visited=False)["full"]
            validation_curve.append(float(validation.metric("accuracy").mean()))
            if epoch not in epochs:
                continue
            measures, arrays = judge(model, split.test)
            status, reason = status_of(model.curve, arrays["top"])
            facts = {
                **asdict(training),
                "epochs": epoch,
                "split": split.checksum,
                **measures,
                **{f"validation_{name}": float(validation.metric(name).mean()) for name in VALIDATION_METRICS},
                "loss": model.curve[-1]["loss"],
                "status": status,
                "reason": reason,
                "parameters": model.parameters,
                "curve": [point["loss"] for point in model.curve],
                "validation_curve": validation_curve.copy(),
            }
            arrays |= {"validation_above": validation.above, "validation_tied": validation.tied}
            if later is not None:
                of_later, more = judge_later(model, later)
                facts, arrays = facts | of_later, arrays | more
            cells.append(Result(facts, arrays, made={"train_seconds": round(seconds, 3)}))
    except Exception as error:
        done = {cell.facts["epochs"] for cell in cells}
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        cells += [failed_cell(training, e, split, reason) for e in epochs if e not in done]
    return cells


def failed_cell(training: Training, epochs: int, split: Split, reason: str) -> Result:
    """The row of a cell without a trained network: every measure is NaN."""
    validation = [f"validation_{name}" for name in VALIDATION_METRICS]
    unknown = [*CLASS_METRICS, *RANKING_METRICS, *validation, "loss", "parameters"]
    about = {**asdict(training), "epochs": epochs, "split": split.checksum}
    facts = {**about, **dict.fromkeys(unknown, float("nan")), "status": FAILED, "reason": reason}
    facts |= {"curve": [], "validation_curve": []}
    none = np.zeros(0, np.int32)
    return Result(facts, dict.fromkeys(CELL_ARRAYS, none))


def status_of(curve: list[dict], top: np.ndarray) -> tuple[str, str]:
    """How a training ended, and the reason.

    ``diverged``: the loss is no longer a number. ``collapsed``: one item is recommended for every test case. ``stuck``: the loss
    did not change in the last epoch, so that all gradients are zero. Else ``ok``.

    Args:
        curve: ``epoch`` and ``loss`` of each epoch.
        top: int (n_cases,), the item recommended for each test case.
    """
    epoch, last = curve[-1]["epoch"], curve[-1]["loss"]
    if not np.isfinite(last):
        return "diverged", f"the loss is {last} after epoch {epoch}"
    still = len(curve) > 1 and abs(last - curve[-2]["loss"]) <= 1e-6 * abs(last)
    stuck = f"the loss stays at {last:.6g} in epoch {epoch}"
    if len(top) > 1 and len(np.unique(top)) == 1:
        return "collapsed", "one page for every test case" + (f"; {stuck}" if still else "")
    return ("stuck", stuck) if still else ("ok", "finished")


def judge(model: Recommender, cases: Cases) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Every measure of a model on the test cases, from one pass of scores, and the ranks themselves.

    The item predicted for a case is the one with the highest output. Ties count at their mean position.

    Returns:
        The measures by name; ``above``, ``tied`` and ``top``, each int32 (n_cases,).
    """
    ranks = rank_cases(model, cases, exclude_visited=False, threshold=0.5)["full"]
    assert ranks.positives is not None and ranks.top is not None, "they are there, as there is a threshold"
    measures = {
        "accuracy": ranks.metric("accuracy").mean(),
        **macro_average(cases.targets, ranks.top[:, 0]),
        **micro_average(ranks.positives),
        **{name: ranks.metric(name).mean() for name in RANKING_METRICS},
    }
    arrays = {"above": ranks.above, "tied": ranks.tied, "top": ranks.top[:, 0]}
    return {name: float(value) for name, value in measures.items()}, arrays


def judge_later(model: Recommender, later: Cases) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """`judge` on the later cases, which are many: what is kept is what the first ten places and the predictions need.

    Returns:
        The measures, as ``later_accuracy``; and as ``later_above`` and so on ``above``, uint8 (n_cases,), 10 where it is more;
        ``tied``, int32 (n_cases,), 0 for these; ``right``, uint8, whether each prediction is, in bits (`numpy.packbits`);
        ``guesses``, int32 (n_guessed, 2), each item that is predicted, and for how many cases.
    """
    measures, arrays = judge(model, later)
    above, tied, top = arrays["above"], arrays["tied"], arrays["top"]
    kept = {
        "above": np.minimum(above, TOP).astype(np.uint8),
        "tied": np.where(above < TOP, tied, 0).astype(np.int32),
        "right": np.packbits(top == later.targets),
        "guesses": np.column_stack(np.unique(top, return_counts=True)).astype(np.int32),
    }
    return {f"later_{name}": value for name, value in measures.items()}, {f"later_{n}": a for n, a in kept.items()}


def baselines(log: Sessions, data: Data, grid: Grid, later: Cases | None = None) -> pd.DataFrame:
    """Non-neural baselines: the items that are most often the last, and first-order Markov chains.

    ``markov-last`` has the networks' own task: which item is the last, by the one before it. ``markov`` counts all transitions.

    Returns:
        One row per baseline and seed: ``architecture`` (its name), ``seed``, ``split`` and what `judge` returns; with later
        cases what `judge_later` returns too.
    """
    rows = []
    for seed, split in split_by_seed(log, data, grid).items():
        models = {
            "popularity": Popularity().fit(split.train.last_events()),
            "markov": Markov().fit(split.train),
            "markov-last": Markov().fit(split.train.last_events(2)),
        }
        for name, model in models.items():
            judged = [judge(model, split.test), *([judge_later(model, later)] if later is not None else [])]
            found = {key: value for part in judged for each in part for key, value in each.items()}
            rows.append({"architecture": name, "seed": seed, "split": split.checksum, **found})
    order = {name: place for place, name in enumerate(models)}
    return pd.DataFrame(rows).sort_values(
        "architecture", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def to_csv(cells: pd.DataFrame, path: Path) -> None:
    """Write ``grid.csv``: `COLUMNS` and, where there are any, `LATER` and `SECOND`. Beside it ``grid_times.csv``.

    Measures have six digits.
    """
    write_table(path, cells[[*COLUMNS, *(name for name in [*LATER, *SECOND] if name in cells)]])
    write_table(times_of(path), cells[[*KEYS, *TIMES]])
