"""Shared by all tests: one thread each, the default Keras backend, and where the real data lies."""

import os
from pathlib import Path

import pytest

from studylib.execution import configure
from studylib.params import Execution

configure(Execution())


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real data; tests that need it are skipped where it is not."""
    root = os.environ.get("STUDYLIB_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("the real data is not here: set STUDYLIB_DATA to its folder")
    return Path(root).resolve()
