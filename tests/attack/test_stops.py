"""Runs that are stopped, and runs that meet: one sentence each, nothing left at work, nothing held by the dead."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from studylib import runner
from studylib.errors import StudyError
from studylib.params.study import StudyParams
from studylib.paths import project_root
from tests.attack.conftest import assert_whole, start
from tests.end_to_end.conftest import COMMAND, environment

HOLD = """
import sys, time, pathlib
from studylib.runner import _alone
with _alone(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the quickstart."""
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "quickstart")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_says_who_holds_the_study(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_run", lambda *_: "the page")
    started = json.loads((tmp_path / "quickstart" / "running.json").read_text())["since"]
    with pytest.raises(
        StudyError, match=rf"process {holder.pid} on .* has been running this study since {started[:16]}"
    ):
        runner.run_study(StudyParams(), reports=tmp_path)


def test_the_lock_of_a_dead_process_is_taken_over(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_run", lambda *_: "the page")
    holder.kill()
    holder.wait()
    assert (tmp_path / "quickstart" / "running.json").exists()
    assert runner.run_study(StudyParams(), reports=tmp_path) == "the page"
    assert not (tmp_path / "quickstart" / "running.json").exists()


def family(pid, reports):
    """The processes of a run: its children, and those that carry its reports folder in their environment."""
    members = []
    for process in psutil.process_iter():
        try:
            if process.pid != pid and process.environ().get("STUDYLIB_REPORTS") == str(reports):
                members.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return members


def is_training(run, reports):
    return any("loky" in " ".join(process.cmdline()) for process in family(run.pid, reports))


@pytest.mark.parametrize(
    ("signals", "code", "moment"),
    [(signal.SIGINT, 130, "training"), (signal.SIGTERM, 143, "imports")],
    ids=["ctrl-c while networks train", "terminated while it imports"],
)
def test_a_stop_is_one_sentence_and_leaves_nothing_at_work(tmp_path, signals, code, moment):
    arguments = [*COMMAND, "params/quickstart.yaml", "--only", "02", "--reports", str(tmp_path)]
    run = subprocess.Popen(arguments, cwd=project_root(), env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        if moment == "imports":
            while not any("torch" in library.path for library in psutil.Process(run.pid).memory_maps()):
                time.sleep(0.02)
        else:
            while not is_training(run, tmp_path):
                assert run.poll() is None
                time.sleep(0.1)
        members = family(run.pid, tmp_path)
        run.send_signal(signals)
        _, words = run.communicate()
        assert run.returncode == code
        assert words.splitlines()[-1] == (
            "studylib: stopped; what is finished is kept, and the same command goes on from there."
        )
        assert "Traceback" not in words
        assert not [m for m in members if m.is_running() and m.status() != psutil.STATUS_ZOMBIE]
    finally:
        run.kill()


def test_workers_end_with_a_command_that_is_killed(tmp_path):
    arguments = [*COMMAND, "params/quickstart.yaml", "--only", "02", "--reports", str(tmp_path)]
    run = subprocess.Popen(arguments, cwd=project_root(), env=environment(), stderr=subprocess.DEVNULL)
    while not is_training(run, tmp_path):
        assert run.poll() is None
        time.sleep(0.1)
    members = family(run.pid, tmp_path)
    run.kill()
    run.wait()
    gone, alive = psutil.wait_procs(members, timeout=60)
    assert alive == [] and gone


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminated"]
)
def test_a_stop_at_any_moment_is_one_sentence(tiny, whole, tmp_path, number, code):
    draw = random.Random(4)
    for _ in range(8):
        run = start(tiny, tmp_path / "reports")
        try:
            run.wait(timeout=draw.uniform(0.02, 0.5) * whole.seconds)
            shutil.rmtree(tmp_path / "reports")
            continue
        except subprocess.TimeoutExpired:
            family = psutil.Process(run.pid).children(recursive=True)
            run.send_signal(number)
        _, err = run.communicate()
        if run.returncode != 0:  # it may have been at its end
            assert run.returncode == code and "Traceback" not in err, err
            assert err.splitlines()[-1].startswith("studylib: stopped; what is finished is kept")
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive
        assert_whole(tmp_path / "reports")
