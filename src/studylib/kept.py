"""Results that are trained once and kept: key, missing, train, keep, load, for the grid, the ranking and the ablation.

A result is a JSON file of facts and, where it has arrays, an ``.npz`` beside it, under a name that ends in a checksum of all that
determines its numbers. The arrays are written first and the JSON, which has the checksums of both, last: a result exists once
its JSON does. Equal results give equal bytes: what differs from run to run (seconds, machine) is in a folder of its own,
``made``. Only `complete` trains; reading never does.
"""

from __future__ import annotations

import functools
import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from studylib import machine
from studylib.data.sessions import checksum
from studylib.errors import StudyError
from studylib.execution import WorkerDied, fan_out
from studylib.params.study import Execution
from studylib.paths import read_json, write
from studylib.progress import progress

Wanted = TypeVar("Wanted", bound=Hashable)
Task = TypeVar("Task", bound=Hashable)

FAILED = "failed"
"""The ``status`` of a result that is kept to be shown, and trained again by the next run."""

TOLERANCE = 1e-6
"""Two values of a measure are the same where they differ by no more. Published measures have six digits."""

TIMES = ["train_seconds", "processor"]
"""The columns of a table of times (`studylib.paths.times_of`), after the keys of its results. Not the same from run to run."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a training returns.

    Attributes:
        facts: values that JSON can represent, NaN included.
        arrays: by name.
        model: the content of a model file, kept in the folder ``models`` beside the results, or None.
        made: how it was made, which no number depends on: ``train_seconds``, and with it `studylib.machine.facts`. Empty where
            it is not known, and never a part of a table but for `times`.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    model: bytes | None = None
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> dict[str, Any]:
        """`TIMES` of this result; a time that is not known is NaN."""
        unknown = {"train_seconds": math.nan, "processor": None}
        return {name: self.made.get(name, unknown[name]) for name in TIMES}


def key(determinants: dict[str, Any], length: int = 20) -> str:
    """A checksum, in ``length`` hexadecimal digits, of all that determines the numbers of a result."""
    return checksum(json.dumps(determinants, sort_keys=True).encode())[:length]


@dataclass(frozen=True)
class Store:
    """A folder of results, such as ``reports/<name>/cells``.

    Attributes:
        folder: created when the first result is kept.
        notebook: the one that writes the results, for messages.
        is_one: whether a result holds what the results of this folder do, of the right types; a result that does not, or of
            which it raises a KeyError, TypeError or AttributeError, is damaged.
    """

    folder: Path
    notebook: str
    is_one: Callable[[Result], bool] = lambda result: True

    def has(self, name: str) -> bool:
        """Whether a result exists, is undamaged and has not failed. A damaged one is set aside with a warning."""
        try:
            return self._read(name).facts.get("status") != FAILED
        except FileNotFoundError:
            return False
        except ValueError:
            aside = self._facts(name).with_suffix(".damaged")
            self._facts(name).replace(aside)
            warnings.warn(f"{self._facts(name)} is damaged: set aside as {aside.name}.", stacklevel=2)
            return False

    def load(self, name: str) -> Result:
        """A result as it was kept, without its model.

        Raises:
            StudyError: it does not exist, or is damaged.
        """
        try:
            return self._read(name)
        except FileNotFoundError:
            problem = "is not there yet"
        except ValueError:
            problem = "is damaged"
        raise StudyError(f"{self._facts(name)} {problem}: run notebook {self.notebook} of this study.")

    def keep(self, name: str, result: Result) -> None:
        """Write a result atomically; equal results give equal bytes."""
        if result.model is not None:
            write(self.model(name), result.model)
        sums = {}
        if result.arrays:
            content = _npz(result.arrays)
            write(self._arrays(name), content)
            sums["arrays"] = checksum(content)
        if result.made:
            write(self.made(name), json.dumps(result.made) + "\n")
        sums["facts"] = checksum(json.dumps(result.facts).encode())
        write(self._facts(name), json.dumps({"checksums": sums, **result.facts}) + "\n")

    def model(self, name: str) -> Path:
        """Where the model file of a result is."""
        return self.folder.parent / "models" / f"{name}.safetensors"

    def _facts(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def made(self, name: str) -> Path:
        """Where it is said how a result was made. Without this file no number is lost."""
        return self.folder.parent / "made" / f"{name}.json"

    def _arrays(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _read(self, name: str) -> Result:
        """Read a result without its model.

        Raises:
            FileNotFoundError: there is none.
            ValueError: a file does not match its checksum.
        """
        facts = _facts(self._facts(name))
        sums = facts.pop("checksums", None) if isinstance(facts, dict) else None
        if not isinstance(sums, dict) or sums.get("facts") != checksum(json.dumps(facts).encode()):
            raise ValueError("its checksum differs")
        if "arrays" not in sums:
            return self._checked(Result(facts, made=read_json(self.made(name))))
        try:
            content = self._arrays(name).read_bytes()
        except FileNotFoundError:
            raise ValueError("its arrays are missing") from None
        if checksum(content) != sums["arrays"]:
            raise ValueError("the checksum of its arrays differs")
        return self._checked(Result(facts, _arrays(content), made=read_json(self.made(name))))

    def _checked(self, result: Result) -> Result:
        try:
            is_one = self.is_one(result)
        except (KeyError, TypeError, AttributeError):
            is_one = False
        if not is_one:
            raise ValueError("it does not hold what it should")
        return result


MOST_FACTS, MOST_ARRAYS = 2**24, 2**30
"""Bytes of the JSON and of the arrays of a result, at most."""


def _facts(path: Path) -> Any:
    """What a JSON file holds; one that is too large, or too deep for Python, is a ValueError as one that is damaged."""
    with path.open("rb") as file:
        content = file.read(MOST_FACTS + 1)
    if len(content) > MOST_FACTS:
        raise ValueError("it is too large")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is too deep") from None


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    """The content of an ``.npz`` file, with LZMA (by a quarter smaller for ranks than what numpy writes itself)."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # of no date
            member.compress_type = zipfile.ZIP_LZMA
            with file.open(member, "w") as stream:
                np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return content.getvalue()


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file; numpy makes room for what an array says it has, so that is compared first."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            for member in file.infolist():
                with file.open(member) as array:
                    if np.lib.format.read_magic(array) != (1, 0):
                        raise ValueError("not as numpy writes an array of numbers")
                    shape, _, dtype = np.lib.format.read_array_header_1_0(array)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise ValueError("an array says that it is larger than it is")
            if sum(member.file_size for member in file.infolist()) > MOST_ARRAYS:
                raise ValueError("the arrays are too large")
        with np.load(io.BytesIO(content)) as arrays:
            return dict(arrays)
    except Exception as error:  # zipfile, zlib and numpy raise many for what they cannot read
        raise ValueError("its arrays cannot be read") from error


@dataclass(frozen=True)
class Work(Generic[Wanted, Task]):
    """The results that are wanted, and how a training makes them.

    Attributes:
        store: where they are kept.
        names: of all wanted results, by what each is of (a cell, or a training).
        task: the training that a result comes from; one training may make several.
        train: called in a worker with a task and the missing results of it, and returns them.
        died: returns the results of a task whose worker process died, or raises.
        description: of the progress bar, in the plural.
        measures: the published measures of a result, by name.
    """

    store: Store
    names: dict[Wanted, str]
    task: Callable[[Wanted], Task]
    train: Callable[[Task, list[Wanted]], dict[Wanted, Result]]
    died: Callable[[Task, list[Wanted], WorkerDied], dict[Wanted, Result]]
    description: str
    measures: Callable[[Result], dict[str, float]]

    def kept(self) -> dict[Wanted, Result]:
        """All wanted results, as they were kept.

        Raises:
            StudyError: one of them does not exist, or is damaged.
        """
        with ThreadPoolExecutor() as threads:  # what takes time, LZMA, does without Python's lock
            return dict(zip(self.names, threads.map(self.store.load, self.names.values()), strict=True))

    def tasks(self) -> dict[Task, list[Wanted]]:
        """The trainings with the results of each."""
        tasks: dict[Task, list[Wanted]] = {}
        for wanted in self.names:
            tasks.setdefault(self.task(wanted), []).append(wanted)
        return tasks


def complete(work: Work[Wanted, Task], execution: Execution) -> None:
    """Train what is missing, side by side, and keep each result as it comes.

    Raises:
        StudyError: as ``work.died`` raises it, or no cluster answers.
    """
    store, names = work.store, work.names
    missing: dict[Task, list[Wanted]] = {}
    for wanted, name in names.items():
        if not store.has(name):
            missing.setdefault(work.task(wanted), []).append(wanted)
    failed = 0
    with progress(work.description, len(names), done=len(names) - sum(map(len, missing.values()))) as bar:

        def show_running(running: int) -> None:
            waiting = running == 0 and bar.done < len(names)
            at_work = "waiting for workers" if waiting else f"trainings running: {running}"
            bar.advance(0, f"{at_work}, failed: {failed}")

        for training, outcome in fan_out(
            functools.partial(_train, work.train, missing), list(missing), execution, show_running
        ):
            results = work.died(training, missing[training], outcome) if isinstance(outcome, WorkerDied) else outcome
            for wanted, result in results.items():
                store.keep(names[wanted], result)
            failed += sum(result.facts.get("status") == FAILED for result in results.values())
            bar.advance(len(results))


def _train(
    train: Callable[[Task, list[Wanted]], dict[Wanted, Result]], missing: dict[Task, list[Wanted]], task: Task
) -> dict[Wanted, Result]:
    results = train(task, missing[task])
    about = machine.facts()
    return {wanted: replace(result, made=result.made | about) for wanted, result in results.items()}
