"""Where the numbers of a study come from: commit, versions, data, seeds, machine and durations."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import joblib

from studylib import machine
from studylib.data.datasets import source_files
from studylib.data.sessions import Sessions, checksum
from studylib.data.splits import Split
from studylib.params.study import Log, RankingDataset, StudyParams
from studylib.paths import read_json, write

LOG_OF_GRID = "log of the grid"


def provenance(params: StudyParams, data: dict[str, dict], durations: dict[str, float]) -> dict:
    """Everything that is needed to get the same numbers again.

    Args:
        params: of the study.
        data: by data set, its source files and the checksums of its sessions and split.
        durations: seconds, by notebook.

    What made a single result (`studylib.machine.facts`) stands in the folder ``made``.
    """
    return {
        "study": params.name,
        "params": params.model_dump(mode="json", exclude_unset=True) | {"name": params.name},
        "commit": machine.commit(),
        "versions": {"python": platform.python_version(), **machine.packages()},
        "data": data,
        "seeds": {"study": params.seed, "grid": params.grid.seeds, "ranking": params.ranking.seeds},
        "machine": {
            "system": platform.system(),
            "processor": machine.processor(),
            "instructions": machine.instructions(),
            "cores": joblib.cpu_count(),
            "threads a worker": params.execution.threads_per_worker,
        },
        "durations in seconds": durations,
    }


def shown(facts: dict) -> dict:
    """What a page shows of a provenance: without the params and most of the packages, which are many."""
    versions = {name: facts["versions"][name] for name in ("python", *machine.NUMERICAL) if name in facts["versions"]}
    return {name: versions if name == "versions" else value for name, value in facts.items() if name != "params"}


def log_facts(log: Log, sessions: Sessions, splits: dict[int, Split]) -> dict:
    """What is known of the log of the grid: its files, and the checksums of its sessions and of the split of each seed."""
    return {
        "source": log.dataset or log.path,
        "files": source_files(log),
        "sessions": sessions.checksum,
        "splits": {f"seed {seed}": split.checksum for seed, split in splits.items()},
    }


def dataset_facts(dataset: RankingDataset, split: Split) -> dict:
    """What is known of a data set of the ranking: its files, and the checksums of sessions, split and candidates."""
    assert split.test.candidates is not None, "a split of the ranking has candidates"
    return {
        "source": dataset.dataset or dataset.path,
        "files": source_files(dataset),
        "sessions": split.test.sessions.checksum,
        "split": split.checksum,
        "candidates": checksum(split.test.candidates),
    }


def note(folder: Path, facts: dict[str, dict]) -> None:
    """Add what a notebook knows of data sets, by name, to ``data.json``."""
    write(folder / "data.json", json.dumps(noted(folder) | facts, indent=2) + "\n")


def noted(folder: Path) -> dict[str, dict]:
    """What notebooks have noted of data sets so far."""
    return read_json(folder / "data.json")
