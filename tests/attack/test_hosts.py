"""The grid and the ranking on several hosts: one is cut off, all are cut off, the scheduler is killed; the numbers are the same.

Network namespaces stand for the hosts (`hosts.network`). No workers' host sees the study's folder or data.
"""

import functools
import json
import os
import signal
import threading
from dataclasses import replace

import dask
import pytest
from distributed import Client

from studylib import kept as keeping
from studylib.comparison import split_datasets, trainings_of
from studylib.data.sessions import Sessions
from studylib.data.synthetic import write_sequences
from studylib.execution import WorkerDied, fan_out
from studylib.grid import cells_of, read_grid
from studylib.kept import TIMES, complete
from studylib.params.study import Data, Execution, Grid, Ranking
from studylib.progress import CHANNEL
from tests.hosts import DASK_SCHEDULER, STUDYLIB, gated, network, until

DATA = Data(dataset="live-streaming")
GRID = Grid(
    architectures=["gru"], optimizers=["sgd", "adam"], batch_sizes=[16], epochs=[1, 2], units=3, seeds=[0, 1, 2, 3]
)
LOG = Sessions.from_lists([[(s + step) % 8 for step in range(3)] for s in range(50)])
CELLS = ["gru", "lstm", "mingru"]
SMALL = {"model": "gru4rec", "embedding": 4, "hidden": 4, "negatives": 8, "max_epochs": 2}
"""It draws: each seed is a training of its own."""
SECONDS_OF_SILENCE = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}
"""The least that Dask takes, so that the test waits less. The system keeps this time, however busy the processes are."""


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine everything answers, if late."""
    monkeypatch.setattr("studylib.cluster.SECONDS_TO_CONNECT", 3600)
    with dask.config.set({"distributed.comm.timeouts.connect": "1 h"}):
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder for the study and its data, which the hosts do not see."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory, place):
    with network(["head", "one", "two"], tmp_path_factory.mktemp("hosts"), hidden=place) as hosts:
        start_scheduler(hosts["head"])
        for name in ("one", "two"):
            hosts[name].start(*STUDYLIB, "worker", address(hosts), **SECONDS_OF_SILENCE)
        until(lambda: workers(hosts) == 2)
        yield hosts


@pytest.fixture
def one_and_two(hosts):
    for name in ("one", "two"):
        hosts[name].forget()
    return hosts["one"], hosts["two"]


def start_scheduler(head):
    head.start(*DASK_SCHEDULER, "--host", head.address, "--port", "8786", "--no-dashboard", **SECONDS_OF_SILENCE)


def address(hosts):
    return f"tcp://{hosts['head'].address}:8786"


def workers(hosts):
    """How many workers the scheduler has."""
    try:
        with Client(address(hosts), timeout="1 h") as client:
            return len(client.nthreads())
    except OSError:  # it was about to start, or is gone again
        return 0


class Run:
    """`complete` in a thread, with trainings that wait for `Host.allow`; ``kept`` has the names of what was kept, in order."""

    def __init__(self, work, execution, monkeypatch, tmp_path):
        self.work, self.kept, self.errors, self.channel = work, [], [], tmp_path / "channel"
        keep = keeping.Store.keep
        monkeypatch.setattr(
            keeping.Store, "keep", lambda store, name, result: (self.kept.append(name), keep(store, name, result))
        )
        monkeypatch.setenv(CHANNEL, str(self.channel))
        held = replace(work, train=functools.partial(gated, work.train))
        self.thread = threading.Thread(target=self._complete, args=(held, execution))
        self.thread.start()

    def _complete(self, work, execution):
        try:
            complete(work, execution)
        except BaseException as error:
            self.errors.append(error)

    def said(self):
        """What stood beside the bar last."""
        lines = self.channel.read_text(encoding="utf-8").splitlines() if self.channel.exists() else []
        return json.loads(lines[-1])[3] if lines else ""

    def until(self, condition):
        until(lambda: self.errors or condition())
        assert self.errors == []

    def end(self):
        self.thread.join()
        assert self.errors == []
        assert sorted(self.kept) == sorted(self.work.names.values()), "each result is kept once"


def test_a_host_is_cut_off_in_the_middle_of_the_grid_and_comes_back(hosts, one_and_two, place, tmp_path, monkeypatch):
    one, two = one_and_two
    execution = Execution(backend="dask", scheduler=address(hosts))
    work = cells_of(LOG, DATA, GRID, execution, place / "grid")
    run = Run(work, execution, monkeypatch, tmp_path)
    run.until(lambda: one.begun() and two.begun())
    two.cut()
    run.until(lambda: workers(hosts) == 1)
    [lost] = two.begun()
    # What the lost host was at is begun again on the other one, which stops there ...
    run.until(lambda: lost in one.begun() or one.allow(len(one.begun())))
    assert run.thread.is_alive()
    two.join()
    # ... so that there is work left for it when it is back.
    run.until(lambda: len(two.begun()) > 1)
    for host in one_and_two:
        host.allow(1000)
    run.end()
    assert len(run.kept) == 16
    assert not {path.stem for host in hosts.values() for path in host.folder.rglob("*")} & set(work.names.values())

    local = Execution(workers=1)
    complete(cells_of(LOG, DATA, GRID, local, place / "alone"), local)
    table = read_grid(LOG, DATA, GRID, execution, place / "grid").drop(columns=TIMES)
    alone = read_grid(LOG, DATA, GRID, local, place / "alone").drop(columns=TIMES)
    assert not (table["status"] == "failed").any()
    assert table.to_json(orient="records") == alone.to_json(orient="records")


def ranks(hosts, place, folder):
    """A ranking on the cluster, and the same by one worker of this machine."""
    longer = Sessions.from_lists([[(s + step) % 8 for step in range(5)] for s in range(50)])
    write_sequences(longer, place / "log.txt")
    log = {"name": "small", "reader": "sequences", "path": str(place / "log.txt"), "separator": "|"}
    models = [SMALL | {"label": cell, "cell": cell} for cell in CELLS]
    ranking = Ranking(datasets=[log], models=models, candidates=3, seeds=[0, 1])
    splits = split_datasets(ranking, 0)
    elsewhere, here = Execution(backend="dask", scheduler=address(hosts)), Execution(workers=1)
    return [
        (trainings_of(splits, ranking, execution, 0, place / f"{folder} {execution.backend}"), execution)
        for execution in (elsewhere, here)
    ]


def assert_the_same(work, alone):
    found, expected = work.kept(), alone.kept()
    assert list(found) == list(expected) and len(found) == 6
    for training, result in found.items():
        assert result.facts == expected[training].facts
        assert {name: array.tolist() for name, array in result.arrays.items()} == {
            name: array.tolist() for name, array in expected[training].arrays.items()
        }
        models = [of.store.model(of.names[training]) for of in (work, alone)]
        assert models[0].exists() == models[1].exists()
        assert not models[0].exists() or models[0].read_bytes() == models[1].read_bytes()


def test_all_hosts_are_cut_off_in_the_middle_of_the_ranking(hosts, one_and_two, place, tmp_path, monkeypatch):
    (work, elsewhere), (alone, here) = ranks(hosts, place, "cut")
    run = Run(work, elsewhere, monkeypatch, tmp_path)
    for host in one_and_two:
        host.allow(1)
    run.until(lambda: len(run.kept) == 2 and all(len(host.begun()) == 2 for host in one_and_two))
    assert run.said() == "trainings running: 2, failed: 0"
    for host in one_and_two:
        host.cut()
    run.until(lambda: run.said() == "waiting for workers, failed: 0")
    for host in one_and_two:
        host.allow(1000)
        host.join()
    run.end()
    complete(alone, here)
    assert_the_same(work, alone)


def test_a_training_that_ends_every_worker_is_given_up(hosts):
    [(task, outcome)] = fan_out(os._exit, [3], Execution(backend="dask", scheduler=address(hosts)))
    assert task == 3 and isinstance(outcome, WorkerDied)
    assert str(outcome) == "4 workers of the cluster were lost while they had it"


def test_the_scheduler_is_killed_and_another_one_started(hosts, one_and_two, place, tmp_path, monkeypatch):
    (work, elsewhere), (alone, here) = ranks(hosts, place, "killed")
    run = Run(work, elsewhere, monkeypatch, tmp_path)
    for host in one_and_two:
        host.allow(1)
    run.until(lambda: len(run.kept) == 2)
    [scheduler] = hosts["head"].processes
    scheduler.send_signal(signal.SIGKILL)
    scheduler.wait()
    start_scheduler(hosts["head"])
    for host in one_and_two:
        host.allow(1000)
    run.end()
    complete(alone, here)
    assert_the_same(work, alone)
