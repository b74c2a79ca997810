"""Where the numbers of a study come from: commit, versions, data, seeds, machine and durations."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import joblib

from studylib.params import StudyParams, project_root

PACKAGES = ["keras", "numpy", "pandas", "polars", "scikit-learn", "scipy", "tensorflow", "torch"]


def provenance(params: StudyParams, data: dict[str, dict], durations: dict[str, float]) -> dict:
    """Everything that is needed to get the same numbers again.

    Args:
        params: of the study.
        data: by data set, its source files and the checksums of its sessions and split.
        durations: seconds, by notebook.
    """
    return {
        "study": params.name,
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "data": data,
        "seeds": {"study": params.seed, "grid": params.grid.seeds, "ranking": params.ranking.seeds},
        "machine": {
            "system": platform.system(),
            "processor": _processor(),
            "cores": joblib.cpu_count(),
            "threads a worker": params.execution.threads_per_worker,
        },
        "durations in seconds": durations,
    }


def write(path: Path, facts: dict) -> None:
    """Write ``provenance.json``."""
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "notebooks", "params")
        return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
