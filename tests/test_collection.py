"""The ids of the tests: the same whenever they are collected."""

import json
import subprocess
import sys

from studylib.paths import project_root

COLLECT_TWICE = """
import json, sys, time
import pytest

class Ids:
    def pytest_collection_finish(self, session):
        self.ids = [item.nodeid for item in session.items]

def collected():
    plugin = Ids()
    assert pytest.main(["--collect-only", "-p", "no:cacheprovider", "tests"], [plugin]) == 0
    return plugin.ids

first = collected()
for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
    del sys.modules[name]
time.sleep(1.1)
print(json.dumps([first, collected()]))
"""


def test_the_same_ids_are_collected_seconds_apart():
    """pytest-xdist runs nothing where its workers disagree: on gzip's time of day or an address in an id.

    (On the order of a set they always do, each being a process with hashes of its own.)
    """
    done = subprocess.run([sys.executable, "-c", COLLECT_TWICE], cwd=project_root(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first == second and len(set(first)) == len(first) > 1000
    assert not [test for test in first if " at 0x" in test]
