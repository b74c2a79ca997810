"""Kills at any moment, a full disk, a kernel that dies: nothing finished is lost, nothing torn is believed."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from studylib.data.sessions import Sessions
from studylib.execution import WorkerDied, fan_out
from studylib.kept import Result, Store
from studylib.models import build, files
from studylib.params.models import Gru4Rec
from studylib.params.study import Execution
from studylib.paths import write, write_table
from tests.attack.conftest import assert_whole, finish, start, tables

KILLS = 500

LOG = Sessions.from_lists([[(s + step) % 9 for step in range(2 + s % 4)] for s in range(32)])
MODEL = files.to_bytes(build(Gru4Rec(embedding=8, hidden=8, max_epochs=1), history=4, seed=3, device="cpu").fit(LOG))
ARRAYS = {name: np.arange(500, dtype=np.int32) % 99 for name in ("above", "tied", "top")}
FACTS = {"loss": float("nan"), "curve": [0.5] * 100, "status": "ok"}
TABLE = pd.DataFrame({"model": ["gru4rec"] * 500, "ndcg@10": np.arange(500) / 7})
PAGE = "<html>" + "<p>a paragraph</p>" * 50_000 + "</html>"


def killed(task, times, seed, longest=0.02):
    """Run ``task`` in a process that is killed at a drawn moment (seconds), again and again; yield after each kill."""
    draw = random.Random(seed)
    for _ in range(times):
        child = os.fork()
        if child == 0:
            while True:
                task()
        time.sleep(draw.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        yield


@pytest.mark.parametrize("name", ["table.csv", "provenance.json", "page.html"])
def test_a_file_that_is_rewritten_is_the_old_one_or_the_new(tmp_path, name):
    path = tmp_path / name
    contents = {
        "table.csv": [
            TABLE.to_csv(index=False, float_format="%.6g"),
            TABLE[::-1].to_csv(index=False, float_format="%.6g"),
        ],
        "provenance.json": [json.dumps({"n": list(range(5000))}), json.dumps({"n": list(range(4000))})],
        "page.html": [PAGE, PAGE.replace("paragraph", "sentence")],
    }[name]

    def rewrite():
        if name == "table.csv":
            write_table(path, TABLE)
            write_table(path, TABLE[::-1])
        else:
            for content in contents:
                write(path, content)

    whole = 0
    for kills, _ in enumerate(killed(rewrite, 20 * KILLS, seed=1), 1):
        assert not path.exists() or path.read_text() in contents
        whole += path.exists()
        if kills >= KILLS and whole > KILLS / 2:
            break
    assert whole > KILLS / 2, "hardly anything was written"


@pytest.mark.parametrize(
    "result",
    [Result(FACTS, ARRAYS, made={"train_seconds": 1.0}), Result(FACTS, ARRAYS, MODEL)],
    ids=["cell", "ranks and model"],
)
def test_a_result_is_kept_whole_or_not_at_all(tmp_path, result):
    store = Store(tmp_path / "cells", "02_grid_training")

    def keep():
        number = len(list(store.folder.glob("*.json")))
        store.keep(f"r{number}", result)

    # More kills where the machine is busy and fewer results are begun.
    for kills, _ in enumerate(killed(keep, 20 * KILLS, seed=2, longest=0.1), 1):
        names = [path.stem for path in store.folder.glob("*.json")]
        if kills >= KILLS and len(names) > KILLS / 2:
            break
    assert len(names) > KILLS / 2, "hardly anything was kept"
    for name in names:
        back = store.load(name)
        assert json.dumps(back.facts) == json.dumps(FACTS) and back.arrays.keys() == ARRAYS.keys()
        if result.model:
            assert store.model(name).read_bytes() == MODEL


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 6 MB, and what fills it up to a number of bytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("missing", ["cells", "ranks", "claims.csv", "tiny.html"])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tiny, whole, small_disk, missing):
    """Full from the moment on at which a cell, ranks, a table or the page is to be written."""
    shutil.copytree(whole.reports, small_disk / "reports")
    for path in (small_disk / "reports" / "tiny" / missing, small_disk / "reports" / missing):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    free = shutil.disk_usage(small_disk).free
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"0" * max(0, free - 4096 * {"tiny.html": 30}.get(missing, 8)))
    full = finish(tiny, small_disk / "reports")
    assert full.code == 1 and "Traceback" not in full.err, full.err
    assert "cannot be written (No space left on device); make room" in full.err
    assert_whole(small_disk / "reports")
    ballast.unlink()
    last = finish(tiny, small_disk / "reports")
    assert last.code == 0, last.err
    assert tables(small_disk / "reports") == tables(whole.reports)


@pytest.fixture
def small_memory():
    """The file of a group of processes that have 64 MB together: the kernel kills what takes more."""
    group = next(root for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if root.is_dir()) / "tests"
    limit = "memory.limit_in_bytes" if group.parent.name == "memory" else "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text(str(2**26))
    except OSError:
        pytest.skip("no group of processes with a limit can be made here")
    yield group / "cgroup.procs"
    group.rmdir()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_out_of_memory_takes_no_other_training_with_it(small_memory, workers):
    def train(number):
        if number == 2:
            small_memory.write_text(str(os.getpid()))
            return len(bytearray(2**28))
        return number

    outcomes = dict(fan_out(train, [1, 2, 3, 4], Execution(workers=workers)))
    assert isinstance(outcomes.pop(2), WorkerDied) and outcomes == {1: 1, 3: 3, 4: 4}


def test_a_kernel_that_is_killed_is_one_sentence(tiny, tmp_path):
    run = start(tiny, tmp_path / "reports")
    kernels = []
    while not kernels:
        assert run.poll() is None
        children = psutil.Process(run.pid).children()
        kernels = [child for child in children if "ipykernel_launcher" in " ".join(child.cmdline())]
    kernels[0].kill()
    _, err = run.communicate()
    assert run.returncode == 1 and "Traceback" not in err
    assert "The kernel of notebook 01_eda was killed" in err.splitlines()[-1]
