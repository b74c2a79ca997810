"""The ids of the tests: the same whenever, and by whichever process, they are collected."""

import os
import subprocess
import sys
import time

import pytest

from studylib.paths import project_root


def by_file(tests):
    """The files in order of their names, the tests of each in the order of their collection."""
    return sorted(tests, key=lambda test: test.split("::")[0])


def test_another_process_collects_the_same_ids_seconds_later(request):
    """pytest-xdist runs nothing where its workers disagree: on gzip's time of day, the order of a set or an address in an id."""
    here = [item.nodeid for item in request.session.items if not isinstance(item, pytest.DoctestItem)]
    part = [f"--{part}" for part in ("quick", "slow") if request.config.getoption(part)]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *part, "tests"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables |= {"PYTHONHASHSEED": "1" if hash("a") % 2 else "2", "COLUMNS": "1000"}
    time.sleep(1.1)
    done = subprocess.run(command, cwd=project_root(), env=variables, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    there = [line for line in done.stdout.splitlines() if "::" in line]
    assert by_file(test for test in there if test in set(here)) == by_file(here)
    assert len(set(there)) == len(there) and not [test for test in there if " at 0x" in test]
