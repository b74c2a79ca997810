"""The study of seconds that is attacked, and one run of it that nothing disturbs, for all tests of this folder."""

import json
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock

from studylib.paths import project_root, write
from tests.end_to_end.conftest import COMMAND, Done, environment


@pytest.fixture(scope="session")
def tiny(shared) -> Path:
    """A params file of a study of seconds: its grid, its ranking, its page."""
    folder, draw = shared / "tiny", np.random.default_rng(0)
    lines = ["|".join(f"p{item}" for item in draw.integers(0, 12, 4)) for _ in range(80)]
    write(folder / "log.csv", "\n".join(lines) + "\n")
    log = {"reader": "sequences", "path": str(folder / "log.csv"), "separator": "|"}
    gru = {"model": "gru4rec", "embedding": 4, "hidden": 4, "negatives": 8, "max_epochs": 2}
    study = {
        "name": "tiny",
        "data": log,
        "grid": {"architectures": ["gru", "lstm"], "epochs": [1, 2], "units": 3, "batch_sizes": [16, 32]},
        "ranking": {
            "datasets": [{"name": "own", **log}],
            "models": ["popularity", "markov", gru],
            "candidates": 5,
            "seeds": [0, 1],
        },
    }
    write(folder / "tiny.yaml", yaml.safe_dump(study))
    return folder / "tiny.yaml"


class Whole(NamedTuple):
    reports: Path
    seconds: float


@pytest.fixture(scope="session")
def whole(tiny) -> Whole:
    """The reports of the study, which nothing has disturbed, and how long it took; the first worker that needs it runs it."""
    reports, took = tiny.with_name("whole"), tiny.with_name("seconds.json")
    with FileLock(tiny.with_name("whole.lock")):
        if not took.exists():
            started = time.perf_counter()
            done = finish(tiny, reports)
            assert done.code == 0, done.err
            took.write_text(json.dumps(time.perf_counter() - started))
    return Whole(reports, json.loads(took.read_text()))


def start(params, reports) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, str(params), "--reports", str(reports)],
        cwd=project_root(),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(params, reports) -> Done:
    run = start(params, reports)
    out, err = run.communicate()
    return Done(run.returncode, out, err)


def assert_whole(reports: Path) -> None:
    """Every file that is there can be read to its end."""
    for path in reports.rglob("*"):
        if ".part" in path.suffixes or not path.is_file():
            continue
        if path.suffix == ".json" and path.name != "running.json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            assert path.read_text().endswith("\n") and len(pd.read_csv(path).columns)
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>")
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                assert all(len(arrays[name]) >= 0 for name in arrays)


def tables(reports: Path) -> dict[str, bytes]:
    """What has to be the same, whatever happened: tables, figures, cells and ranks."""
    files = [*reports.glob("tiny/*.csv"), *(reports / "tiny").glob("figures/*.svg")]
    files += [*reports.glob("tiny/cells/*"), *reports.glob("tiny/ranks/*")]
    timed = ("_times.csv", "training-times.svg")
    return {str(file.relative_to(reports)): file.read_bytes() for file in files if not file.name.endswith(timed)}
