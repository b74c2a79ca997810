"""The ids of the tests: the same whenever, and by whichever process, they are collected."""

import os
import subprocess
import sys
import time

from studylib.paths import project_root


def start(hash_seed: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", "tests"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables |= {"PYTHONHASHSEED": str(hash_seed), "COLUMNS": "1000"}
    return subprocess.Popen(command, cwd=project_root(), env=variables, stdout=subprocess.PIPE, text=True)


def test_two_processes_collect_the_same_ids_seconds_apart():
    """pytest-xdist runs nothing where its workers disagree: on gzip's time of day, the order of a set or an address in an id."""
    processes = [start(1)]
    time.sleep(2.1)
    processes.append(start(2))
    first, second = (process.communicate(timeout=300)[0].splitlines() for process in processes)
    assert [process.returncode for process in processes] == [0, 0], first[-20:]
    ids = [line for line in first if "::" in line]
    assert ids == [line for line in second if "::" in line]
    assert len(ids) > 700 and len(set(ids)) == len(ids)
    assert not [name for name in ids if " at 0x" in name]
