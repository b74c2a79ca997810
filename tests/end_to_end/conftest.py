"""One run of the quickstart serves all tests of this folder."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from studylib.paths import project_root

COMMAND = [str(Path(sys.executable).parent / "studylib"), "run"]


@dataclass
class Done:
    code: int
    out: str
    err: str


def environment(**variables) -> dict[str, str]:
    """This process's environment, without what the tests set for themselves."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STUDYLIB_REPORTS")} | variables


def studylib(*arguments, cwd: Path | None = None) -> Done:
    """Run `studylib run` as a user does."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd or project_root(),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory) -> tuple[Path, Done]:
    """The folder that the reports of the quickstart were written to, and how the command ended."""
    reports = tmp_path_factory.mktemp("reports")
    return reports, studylib("params/quickstart.yaml", "--reports", reports)
