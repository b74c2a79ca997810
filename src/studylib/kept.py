"""What is trained once and kept: key, missing, train, keep, load, for the grid, the ranking and the ablation alike.

A result is a JSON file of facts and, where it has arrays, an ``.npz`` beside it, under a name that ends in a checksum of all that
determines its numbers. The arrays are written first and the JSON, which has the checksums of both, last: a result is there once
its JSON is. Only `complete` trains; reading never does.
"""

from __future__ import annotations

import functools
import io
import json
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from studylib.data.sessions import checksum
from studylib.errors import StudyError
from studylib.execution import WorkerDied, fan_out
from studylib.params.study import Execution
from studylib.paths import write
from studylib.progress import progress

Item = TypeVar("Item", bound=Hashable)
Task = TypeVar("Task", bound=Hashable)

FAILED = "failed"
"""The ``status`` of a result that is kept to be shown, and tried again by the next run."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a training gives.

    Attributes:
        facts: what JSON can hold; numbers that are none (NaN) may be among them.
        arrays: by name.
        model: the content of a model file, kept in the folder ``models`` beside the results.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    model: bytes | None = None


def key(determinants: dict[str, Any], length: int = 20) -> str:
    """A checksum of all that determines the numbers of a result."""
    return checksum(json.dumps(determinants, sort_keys=True).encode())[:length]


@dataclass(frozen=True)
class Store:
    """A folder of results, such as ``reports/<name>/cells``.

    Attributes:
        folder: made when the first result is kept.
        notebook: which writes them, for messages.
    """

    folder: Path
    notebook: str

    def has(self, name: str) -> bool:
        """Whether a result is there, whole, and has not failed. A damaged one is set aside with a warning."""
        try:
            return self._read(name).facts.get("status") != FAILED
        except FileNotFoundError:
            return False
        except ValueError:
            aside = self._facts(name).with_suffix(".damaged")
            self._facts(name).replace(aside)
            warnings.warn(f"{self._facts(name)} is damaged: set aside as {aside.name}, trained again.", stacklevel=2)
            return False

    def load(self, name: str) -> Result:
        """A result as it was kept, without its model.

        Raises:
            StudyError: it is not there, or damaged.
        """
        try:
            return self._read(name)
        except FileNotFoundError:
            problem = "is not there yet"
        except ValueError:
            problem = "is damaged"
        raise StudyError(f"{self._facts(name)} {problem}: run notebook {self.notebook} of this study.")

    def keep(self, name: str, result: Result) -> None:
        """Write a result whole; the same bytes for the same result."""
        if result.model is not None:
            write(self.model(name), result.model)
        sums = {}
        if result.arrays:
            content = io.BytesIO()
            np.savez_compressed(content, **result.arrays)  # type: ignore[arg-type]
            write(self._arrays(name), content.getvalue())
            sums["arrays"] = checksum(content.getvalue())
        sums["facts"] = checksum(json.dumps(result.facts).encode())
        write(self._facts(name), json.dumps({"checksums": sums, **result.facts}) + "\n")

    def model(self, name: str) -> Path:
        """Where the model file of a result is."""
        return self.folder.parent / "models" / f"{name}.safetensors"

    def _facts(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _arrays(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _read(self, name: str) -> Result:
        """Raises FileNotFoundError, or ValueError where something does not fit its checksum."""
        facts = json.loads(self._facts(name).read_text(encoding="utf-8"))
        sums = facts.pop("checksums", None) if isinstance(facts, dict) else None
        if not isinstance(sums, dict) or sums.get("facts") != checksum(json.dumps(facts).encode()):
            raise ValueError("its checksum differs")
        if "arrays" not in sums:
            return Result(facts)
        try:
            content = self._arrays(name).read_bytes()
        except FileNotFoundError:
            raise ValueError("its arrays are missing") from None
        if checksum(content) != sums["arrays"]:
            raise ValueError("the checksum of its arrays differs")
        with np.load(io.BytesIO(content)) as arrays:
            return Result(facts, dict(arrays))


def complete(
    store: Store,
    names: dict[Item, str],
    task: Callable[[Item], Task],
    train: Callable[[Task, list[Item]], dict[Item, Result]],
    died: Callable[[Task, list[Item], WorkerDied], dict[Item, Result]],
    execution: Execution,
    description: str,
) -> None:
    """Train what is missing, side by side, and keep each result as it comes.

    Args:
        store: where results are kept.
        names: of all that is wanted.
        task: the training that an item comes from; one training may give several.
        train: in a worker: the results of the items of a task that are missing.
        died: what stands for them where the training took its worker down; it may raise.
        execution: where the trainings run.
        description: of the bar, in the plural.
    """
    missing: dict[Task, list[Item]] = {}
    for item, name in names.items():
        if not store.has(name):
            missing.setdefault(task(item), []).append(item)
    failed = 0
    with progress(description, len(names), done=len(names) - sum(map(len, missing.values()))) as bar:

        def say(running: int) -> None:
            bar.advance(0, f"trainings running: {running}, failed: {failed}")

        for done, outcome in fan_out(functools.partial(_train, train, missing), list(missing), execution, say):
            results = died(done, missing[done], outcome) if isinstance(outcome, WorkerDied) else outcome
            for item, result in results.items():
                store.keep(names[item], result)
            failed += sum(result.facts.get("status") == FAILED for result in results.values())
            bar.advance(len(results))


def _train(
    train: Callable[[Task, list[Item]], dict[Item, Result]], missing: dict[Task, list[Item]], task: Task
) -> dict[Item, Result]:
    return train(task, missing[task])
