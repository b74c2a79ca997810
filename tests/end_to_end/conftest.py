"""One run of the quickstart serves all tests of this folder."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from studylib import kept, runner
from studylib.paths import project_root

STUDYLIB = str(Path(sys.executable).parent / "studylib")
COMMAND = [STUDYLIB, "run"]


@dataclass
class Done:
    code: int
    out: str
    err: str


def environment(**variables) -> dict[str, str]:
    """This process's environment, without what the tests set for themselves."""
    return {
        name: value for name, value in os.environ.items() if name not in ("STUDYLIB_REPORTS", "XLA_FLAGS")
    } | variables


def studylib(*arguments, cwd: Path | None = None) -> Done:
    """Run `studylib run` as a user does."""
    return command("run", *arguments, cwd=cwd)


def command(*arguments, cwd: Path | None = None) -> Done:
    """Run `studylib` as a user does."""
    done = subprocess.run(
        [STUDYLIB, *map(str, arguments)],
        cwd=cwd or project_root(),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=3600,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def quickstart(shared) -> tuple[Path, Done]:
    """The folder that the reports of the quickstart were written to, and how the command ended.

    One run for all workers: the first that needs it runs it, the others wait for it.
    """
    reports, ended = shared / "reports", shared / "quickstart.json"
    with FileLock(shared / "quickstart.lock"):
        if not ended.exists():
            ended.write_text(json.dumps(asdict(studylib("params/quickstart.yaml", "--reports", reports))))
    return reports, Done(**json.loads(ended.read_text()))


def run_in_process(name, output, params):
    """As `runner._execute`, without a kernel."""
    notebook = load_notebook_node(str(project_root() / "notebooks" / f"{name}.ipynb"))
    sections = params.model_dump(mode="json", exclude_unset=True) | {"name": params.name}
    notebook = parameterize_notebook(notebook, sections)
    shell = InteractiveShell.instance()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        with capture_output() as shown:
            done = shell.run_cell(cell.source)
        done.raise_error()
        cell.outputs = [
            nbformat.v4.new_output("display_data", dict(rich.data), metadata=dict(rich.metadata or {}))
            for rich in shown.outputs
        ]
    InteractiveShell.clear_instance()
    nbformat.write(notebook, output)


@pytest.fixture(scope="module")
def without_kernels(tmp_path_factory):
    """The notebooks of the studies of a module run in this process, and their trainings one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        patch.setattr(runner, "_execute", run_in_process)
        patch.setattr(kept, "fan_out", lambda function, tasks, *_: ((task, function(task)) for task in tasks))
        yield
