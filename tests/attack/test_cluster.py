"""The grid on a real Dask cluster of this machine: a scheduler and two worker processes, one of which is killed; and waiting.

`attack/test_hosts.py` has several hosts.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from distributed import Client, LocalCluster

from studylib import machine
from studylib.cluster import serve
from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.execution import fan_out
from studylib.grid import run_grid
from studylib.kept import TIMES, Result, Store, Work, complete
from studylib.params.study import Data, Execution, Grid
from studylib.progress import CHANNEL

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


BEGUN, GO_ON = threading.Semaphore(0), threading.Event()


def train(task, wanted):
    """In a worker that is a thread of this process."""
    BEGUN.release()
    GO_ON.wait()
    return {name: Result({"of": name}) for name in wanted}


def test_waiting_for_workers_is_said_before_they_come_and_when_all_are_lost(tmp_path, monkeypatch):
    channel = tmp_path / "channel"
    monkeypatch.setenv(CHANNEL, str(channel))

    def lines():
        """Those that are written to their end; a file may be there before its first one is."""
        return channel.read_text().split("\n")[:-1] if channel.exists() else []

    def wait_until_said(words):
        while words not in [json.loads(line)[3] for line in lines()[-1:]]:
            assert thread.is_alive()
            time.sleep(0.05)

    store = Store(tmp_path / "results", "a notebook")
    work = Work(store, {"a": "a", "b": "b", "c": "c"}, str, train, None, "things", None)
    local = {"processes": False, "threads_per_worker": 1, "protocol": "tcp://", "dashboard_address": None}
    with LocalCluster(n_workers=0, host="127.0.0.1", **local) as cluster:
        execution = Execution(backend="dask", scheduler=cluster.scheduler_address)
        thread = threading.Thread(target=complete, args=(work, execution))
        thread.start()
        wait_until_said("waiting for workers, failed: 0")
        cluster.scale(1)
        BEGUN.acquire()
        wait_until_said("trainings running: 1, failed: 0")
        # What it was at, the next task and the data are lost with it.
        cluster.scale(0)
        wait_until_said("waiting for workers, failed: 0")
        GO_ON.set()
        cluster.scale(1)
        thread.join()
    assert [result.facts["of"] for result in work.kept().values()] == ["a", "b", "c"]


def test_an_error_of_a_task_is_raised_and_not_taken_for_one_of_the_network(cluster):
    execution = Execution(backend="dask", scheduler=cluster[0])
    with pytest.raises(FileNotFoundError, match="no/such/folder"):
        list(fan_out(os.listdir, ["no/such/folder"], execution))


def test_a_worker_that_lacks_the_package_is_one_sentence(cluster, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def train(task):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    train = importlib.import_module("only_here").train
    execution = Execution(backend="dask", scheduler=cluster[0])
    with pytest.raises(StudyError, match=r"cannot run the study \(No module named 'only_here'\): install this package"):
        list(fan_out(train, ["a"], execution))


def test_a_worker_with_another_version_is_one_sentence(cluster, monkeypatch):
    monkeypatch.setattr(machine, "versions", lambda: {"numpy": "1.0"})
    execution = Execution(backend="dask", scheduler=cluster[0])
    with pytest.raises(
        StudyError, match=r"A worker of the cluster has numpy 2[\d.]+, the study 1\.0: the numbers would"
    ):
        list(fan_out(str, ["a"], execution))


def test_no_address_of_a_scheduler_is_one_sentence():
    for address in ("head", "http://head:8786/status", ""):
        with pytest.raises(StudyError, match="is no address of a Dask scheduler; give one such as 'tcp://head:8786'"):
            serve(address, print)


def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr("studylib.cluster.SECONDS_TO_CONNECT", 1)
    execution = Execution(backend="dask", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(StudyError, match=r"tcp://127\.0\.0\.1:1.*no Dask scheduler answers"):
        list(fan_out(len, ["a"], execution))
