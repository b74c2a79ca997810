"""One run of the quickstart serves all tests of this folder."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from studylib.paths import project_root

COMMAND = [str(Path(sys.executable).parent / "studylib"), "run"]


@dataclass
class Done:
    code: int
    out: str
    err: str


def environment(**variables) -> dict[str, str]:
    """This process's environment, without what the tests set for themselves."""
    return {name: value for name, value in os.environ.items() if name not in ("STUDYLIB_REPORTS", "XLA_FLAGS")} | variables


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
    """The folder that the reports of the quickstart were written to, and how the command ended.

    One run for all workers: the first that needs it runs it, the others wait for it.
    """
    shared = (
        tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.getbasetemp()
    )
    reports, ended = shared / "reports", shared / "quickstart.json"
    with FileLock(shared / "quickstart.lock"):
        if not ended.exists():
            ended.write_text(json.dumps(asdict(studylib("params/quickstart.yaml", "--reports", reports))))
    return reports, Done(**json.loads(ended.read_text()))
