"""Runs the notebooks of a study one after another, shows how far they are, and makes the report of them."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import logging
import os
import platform
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from studylib import budget, outputs, provenance
from studylib.data import datasets
from studylib.errors import StudyError, extra, nearest
from studylib.grid import count_cells, read_log
from studylib.params.files import refuse_name_of_another
from studylib.params.study import StudyParams
from studylib.paths import as_typed, carried, project_root, read_json, remove_torn, reports_root, unwritable, write
from studylib.progress import environment, progress_of_kernel, stderr_to
from studylib.report.page import write_report
from studylib.tables.formats import count

with extra("notebooks"):
    import filelock
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

NOTEBOOKS = {
    "01": "01_eda",
    "02": "02_grid_training",
    "03": "03_ranking_evaluation",
    "04": "04_figures",
    "05": "05_own_log",
}


def notebooks_of(params: StudyParams) -> list[str]:
    """The numbers of the notebooks that a study consists of: 05 for a log of one's own, which the papers know nothing of."""
    return ["05"] if params.is_own_log else ["01", "02", "03", "04"]


KEPT = {"02": ["cells", "scale"], "03": ["ranks", "models"], "05": ["budget", "ranks", "models"]}
"""The folders in which a notebook keeps what is finished."""

SECTIONS = {
    "01": {"seed", "data", "grid", "ranking"},
    "02": {"seed", "data", "grid"},
    "03": {"seed", "ranking"},
    "04": {"seed", "data", "grid", "ranking"},
    "05": {"seed", "data", "ranking", "budget"},
}
"""The sections of the params that a notebook's results depend on."""

TITLE = "Which recurrent recommender?"
QUESTION = (
    "Which recurrent network predicts the next page or item of a session best, do the claims of two papers about it hold, "
    "and with what confidence?"
)
TITLE_OF_LOG = "Which model for this log?"
QUESTION_OF_LOG = (
    "Which model predicts the next item of a session best, what does it gain over counting, and what does it cost?"
)


def run_study(
    params: StudyParams,
    only: str | None = None,
    reports: str | Path | None = None,
    fresh: bool = False,
    file: str | Path | None = None,
) -> Path:
    """Execute the notebooks in order, or ``only`` one of them, and write the report of all that are executed.

    What an earlier run kept is not trained again, unless ``fresh``: then the cells and the scale (02), ranks and models (03) are
    removed first.

    Stops at the first notebook that fails; its partly executed copy stays in ``reports/<name>/notebooks/``.

    Args:
        file: where the params are from, for the page to name.

    Returns:
        The page that was written.

    Raises:
        StudyError: the name is that of another study, a notebook failed, or it did not write what it is there to write.
    """
    root = Path(reports or reports_root()).resolve()
    folder = root / params.name
    executed = folder / "notebooks"
    refuse_name_of_another(params, root)
    _refuse_what_cannot_run(params, only, executed)
    with _alone(folder):
        return _run(params, only, root, fresh, Path(file) if file else None)


def _run(params: StudyParams, only: str | None, root: Path, fresh: bool, file: Path | None) -> Path:
    folder = root / params.name
    executed = folder / "notebooks"
    executed.mkdir(exist_ok=True)
    remove_torn(folder)
    numbers = [only] if only else notebooks_of(params)
    for number in KEPT.keys() & set(numbers) if fresh else ():
        for kept in KEPT[number]:
            shutil.rmtree(folder / kept, ignore_errors=True)
    sys.stderr.write(f"{params.name}: {what_to_train(params, only, folder)}\n")
    if params.budget and "05" in numbers:
        with contextlib.suppress(StudyError):  # of the log, as above
            sys.stderr.write(f"{params.name}: {budget.announced(params, folder)}\n")
    durations = _read_durations(folder)
    with environment({"STUDYLIB_REPORTS": str(root)}):
        for number in numbers:
            name = NOTEBOOKS[number]
            started = time.time()
            (executed / f"{name}.json").unlink(missing_ok=True)
            _execute(name, executed / f"{name}.ipynb", params)
            check_results(number, params, folder, started)
            write(executed / f"{name}.json", json.dumps(_state(number, executed, params)))
            durations[name] = round(time.time() - started, 1)
    facts = provenance.provenance(params, _data_facts(params, folder), durations)
    write(folder / "provenance.json", json.dumps(facts, indent=2) + "\n")
    pages = [executed / f"{name}.ipynb" for number, name in NOTEBOOKS.items() if _is_current(number, executed, params)]
    title, question = (TITLE_OF_LOG, QUESTION_OF_LOG) if params.is_own_log else (TITLE, QUESTION)
    title = title if params.name == "study" else f"{title} ({params.name})"
    page = write_report(pages, root / f"{params.name}.html", title, question, provenance.shown(facts), _command(file))
    outputs.describe(folder, page)
    return page


def _command(file: Path | None) -> str | None:
    """What runs a params file, in the project's folder where the file is in it."""
    return shlex.join(["studylib", "run", str(as_typed(file))]) if file else None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a study: two runs at once would train everything twice. A process that is dead holds no lock.

    Raises:
        StudyError: another process holds it; the message says which one, and since when.
    """
    holder = folder / "running.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except filelock.Timeout:
        who = read_json(holder)
        raise StudyError(
            f"{folder}: process {who.get('process', 'unknown')} on {who.get('machine', 'this machine')} has been running this "
            f"study since {who.get('since', 'a moment ago')}; wait for it, or stop it."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        write(holder, json.dumps({"process": os.getpid(), "machine": platform.node(), "since": since}) + "\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def what_to_train(params: StudyParams, only: str | None, folder: Path) -> str:
    """What the study asks for and how much of its grid is kept already, as a sentence for the start of a run."""
    parts = []
    numbers = [only] if only else notebooks_of(params)
    if "02" in numbers:
        with contextlib.suppress(StudyError):  # of the log; the notebook that needs it says what is wrong
            log, later = read_log(params.data, params.seed)
            cells, kept = count_cells(log, params.data, params.grid, params.execution, folder, later)
            parts.append(f"{count(cells, 'cell')} of the grid ({kept:,} kept)")
    if {"03", "05"} & set(numbers):
        trainings = sum(len(r.datasets) * len(r.models) * len(r.seeds) for r in params.ranking.parts)
        parts.append(f"{count(trainings, 'training')} of the ranking (those kept are not trained again)")
    if not parts:
        return "nothing to train."
    return f"{' and '.join(parts)}. The bar says how long the rest takes, once the first are done."


def _refuse_what_cannot_run(params: StudyParams, only: str | None, executed: Path) -> None:
    """Say what is wrong before anything starts, where it can be known."""
    if only is not None and only not in notebooks_of(params):
        raise StudyError(f"--only {only}: the study has no such notebook{nearest(only, notebooks_of(params))}")
    for log in (params.data, *(dataset for part in params.ranking.parts for dataset in part.datasets)):
        if log.dataset is not None:
            datasets.check_name(log.dataset)
    backend, device = params.execution.keras_backend, params.execution.device
    if "02" in ([only] if only else notebooks_of(params)) and importlib.util.find_spec(backend) is None:
        how = "pip install 'studylib[keras]'" if backend == "tensorflow" else "install it or use tensorflow"
        raise StudyError(f"execution.keras_backend: {backend} is not installed; {how}.")
    if params.budget:
        with extra("tune"):
            import optuna  # noqa: F401
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise StudyError("execution.device: PyTorch finds no CUDA device here; use 'auto' or 'cpu'.")
    for earlier in ("02", "03") if only == "04" else ():
        name = NOTEBOOKS[earlier]
        if (executed / f"{name}.json").exists() and not _is_current(earlier, executed, params):
            raise StudyError(f"The params or a table have changed since notebook {name} was run: run that one first.")


def _sections(number: str, params: StudyParams) -> dict:
    return params.model_dump(mode="json", include=SECTIONS[number])


def _state(number: str, executed: Path, params: StudyParams) -> dict:
    """What an executed notebook belongs to: its sections of the params, and its tables by their checksums."""
    return {"params": _sections(number, params), "tables": outputs.checksums(number, executed.parent)}


def _is_current(number: str, executed: Path, params: StudyParams) -> bool:
    """Whether the executed notebook was made with these params and its tables are those it wrote: the page shows no others."""
    return read_json(executed / f"{NOTEBOOKS[number]}.json") == _state(number, executed, params)


def _read_durations(folder: Path) -> dict[str, float]:
    durations = read_json(folder / "provenance.json").get("durations in seconds")
    return durations if isinstance(durations, dict) else {}


def _data_facts(params: StudyParams, folder: Path) -> dict:
    """What the notebooks noted of the data sets that the study has."""
    names = [provenance.LOG_OF_GRID, *(dataset.label for dataset in params.ranking.datasets)]
    facts = provenance.noted(folder)
    return {name: facts[name] for name in names if name in facts}


def _execute(name: str, output: Path, params: StudyParams) -> None:
    logging.getLogger("papermill").setLevel(logging.ERROR)
    with stderr_to(output.with_suffix(".log")), progress_of_kernel(name):
        try:
            papermill.execute_notebook(
                project_root() / carried(Path("notebooks", f"{name}.ipynb")),
                output,
                parameters=params.model_dump(mode="json", exclude_unset=True) | {"name": params.name},
                progress_bar=False,
                cwd=project_root(),
            )
        except PapermillExecutionError as error:
            raise StudyError(_failure(name, output, error)) from None
        except RuntimeError as error:
            if not isinstance(error, DeadKernelError) and "Kernel died" not in str(error):
                raise
            raise StudyError(
                f"The kernel of notebook {name} was killed; it may need more memory than there is. What is finished is kept: "
                "run the same command again."
            ) from None


def _failure(name: str, output: Path, error: PapermillExecutionError) -> str:
    if error.ename == "StudyError":
        return f"{error.evalue}\n(notebook {name}; as far as it came: {output})"
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in error.traceback]
    last = "\n".join("\n".join(plain).splitlines()[-6:])
    return (
        f"notebook {name} failed in cell {error.exec_count} with {error.ename}:\n{last}\n(as far as it came: {output})"
    )


def check_results(number: str, params: StudyParams, folder: Path, since: float) -> None:
    """Judge a notebook by what it wrote after ``since`` (seconds since the epoch), not by its status.

    Raises:
        StudyError: a result is missing, old, or has not the rows that the params ask for.
    """
    notebook = NOTEBOOKS[number]
    expected: dict[str, int | None] = {}
    if number == "01":
        expected["figures/visits.svg"] = None
    elif number == "02":
        grid = params.grid
        lists = (grid.architectures, grid.activations, grid.optimizers, grid.batch_sizes, grid.epochs, grid.seeds)
        cells = 1
        for values in lists:
            cells *= len(values)
        expected["grid.csv"] = cells
    elif number in ("03", "05"):
        ranking = params.ranking
        expected["ranking.csv"] = 3 * len(ranking.datasets) * len(ranking.models) * len(ranking.seeds)
    else:
        expected["claims.csv"] = None
    for result, rows in expected.items():
        path = folder / result
        if not path.exists() or path.stat().st_mtime < since - 1:
            raise StudyError(f"notebook {notebook} ended without an error but did not write {folder.name}/{result}.")
        if rows is not None:
            with path.open(newline="", encoding="utf-8") as file:
                found = sum(1 for _ in csv.DictReader(file))
            if found != rows:
                raise StudyError(
                    f"notebook {notebook} wrote {found} rows to {folder.name}/{result}; the params ask for {rows}."
                )
