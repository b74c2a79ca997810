"""A study that is killed again and again ends with the same bytes."""

import random
import shutil
import subprocess

import psutil

from tests.attack.conftest import assert_whole, finish, start, tables


def test_twenty_kills_of_a_study_change_none_of_its_bytes(tiny, whole, tmp_path):
    """Each run goes on from the one before, so that they reach the end though none has the time for all."""
    draw, reports, ended = random.Random(3), tmp_path / "killed", 0
    for _ in range(20):
        run = start(tiny, reports)
        children = psutil.Process(run.pid)
        try:
            run.wait(timeout=draw.uniform(0.05, 0.6) * whole.seconds)
            ended += 1
            shutil.rmtree(reports)
        except subprocess.TimeoutExpired:
            family = children.children(recursive=True)
            run.kill()
            run.communicate()
            psutil.wait_procs(family)
            assert_whole(reports)
    last = finish(tiny, reports)
    assert last.code == 0, last.err
    assert not list(reports.rglob("*.part")) and not list(reports.rglob("*.damaged"))
    assert tables(reports) == tables(whole.reports)
    assert ended < 15, "hardly any run was killed"
