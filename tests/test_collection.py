"""The ids of the tests: the same whenever they are collected."""

import sys
import time

import pytest


class Ids:
    def pytest_collection_finish(self, session):
        self.ids = [item.nodeid for item in session.items]


def collected():
    """The ids, every file of tests imported anew."""
    of_this_run = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "tests"}
    for name in of_this_run:
        del sys.modules[name]
    plugin = Ids()
    assert pytest.main(["--collect-only", "-p", "no:cacheprovider", "tests"], [plugin]) == 0
    sys.modules.update(of_this_run)
    return plugin.ids


def test_the_same_ids_are_collected_seconds_apart():
    """pytest-xdist runs nothing where its workers disagree: on gzip's time of day or an address in an id.

    (On the order of a set they always do, each being a process with hashes of its own.)
    """
    first = collected()
    time.sleep(1.1)
    assert first == collected() and len(set(first)) == len(first) > 1000
    assert not [test for test in first if " at 0x" in test]
