"""The grid on a real Dask cluster of this machine: a scheduler and two worker processes, one of which is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from distributed import Client

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.execution import fan_out
from studylib.grid import run_grid
from studylib.kept import TIMES
from studylib.params.study import Data, Execution, Grid

DATA = Data(dataset="live-streaming")
GRID = Grid(architectures=["gru"], optimizers=["sgd", "adam"], batch_sizes=[16], epochs=[1, 2], units=3, seeds=[0, 1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of the scheduler, and the two worker processes."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    processes = [subprocess.Popen([*dask, "--no-dashboard", "--scheduler-file", str(file)], stderr=subprocess.DEVNULL)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1"]
    worker += ["--no-nanny", "--no-dashboard", "--local-directory", str(folder), "--host", "127.0.0.1"]
    processes += [subprocess.Popen(worker, stderr=subprocess.DEVNULL) for _ in range(2)]
    while not file.exists():
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    with Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, processes[1:]
    for process in processes:
        process.kill()


def log():
    return Sessions.from_lists([[(s + step) % 8 for step in range(3)] for s in range(50)])


def test_a_grid_survives_the_death_of_a_worker(cluster, tmp_path):
    address, workers = cluster
    execution = Execution(backend="dask", scheduler=address)
    cells = tmp_path / "cells"
    killed = []

    def kill_one_in_the_middle():
        while len(list(cells.glob("*.json"))) < 2:
            time.sleep(0.05)
        killed.append(workers[0].pid)
        os.kill(workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one_in_the_middle)
    killer.start()
    table = run_grid(log(), DATA, GRID, execution, tmp_path)
    killer.join()
    assert killed and workers[0].wait(10) == -signal.SIGKILL
    assert len(table) == 8 and not (table["status"] == "failed").any()
    assert len(list(cells.glob("*.json"))) == 8

    here = run_grid(log(), DATA, GRID, Execution(workers=1), tmp_path / "here")
    numbers = [column for column in table.columns if column not in TIMES]
    assert table[numbers].to_json(orient="records") == here[numbers].to_json(orient="records")


def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr("studylib.execution.SECONDS_TO_CONNECT", 1)
    execution = Execution(backend="dask", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(StudyError, match=r"tcp://127\.0\.0\.1:1.*no Dask scheduler answers"):
        list(fan_out(len, ["a"], execution))
