"""The wheel, installed where there is no checkout: the notebooks and params that it carries, `studylib run` and the library."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pandas as pd
import pytest
import yaml

from studylib.paths import project_root
from tests.end_to_end.conftest import environment

LOG = {"synthetic": {"sessions": 300, "items": 30, "mean_length": 4}}
TINY = {
    "data": LOG,
    "grid": {"architectures": ["gru"], "epochs": [1], "units": 4},
    "ranking": {
        "datasets": [{"dataset": "synthetic", **LOG}],
        "models": ["popularity"],
        "candidates": 9,
    },
    "execution": {"workers": 1},
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the programs of an environment with the wheel, and with the packages of this one but not its checkout."""
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = [
        "wheel",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(project_root()),
    ]
    subprocess.run([*pip, *built], check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=False)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    [wheel] = folder.glob("*.whl")
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder / "venv" / "bin"


@pytest.fixture
def run(installed, tmp_path):
    def run(program, *arguments):
        share = Path(
            sys.prefix, "share", "jupyter"
        )  # the templates of nbconvert, which the packages do not have with them
        variables = environment(JUPYTER_PATH=str(share))
        variables.pop("PYTHONPATH", None)
        return subprocess.run(
            [str(installed / program), *map(str, arguments)],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
        )

    return run


def test_a_study_runs_in_an_empty_folder_and_writes_its_reports_there(run, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    done = run("studylib", "run", "mine.yaml")
    assert done.returncode == 0, done.stderr
    page = tmp_path / "reports" / "mine.html"
    assert done.stdout == f"{page}\n" and page.read_text(encoding="utf-8").count("<figure") > 5
    assert len(pd.read_csv(tmp_path / "reports" / "mine" / "grid.csv")) == 1
    assert "an installed package" in (tmp_path / "reports" / "mine" / "provenance.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml", "reports"]


def test_the_params_of_the_study_are_carried(run, tmp_path):
    script = (
        "import studylib; from studylib.params.files import load_params, tuned; from studylib.params.models import Gru4Rec; "
        "study = load_params('params/quickstart.yaml'); "
        "print(studylib.__file__); print(study.name, len(tuned(Gru4Rec(tuned='gru4rec'), 'grocery').model_fields_set) > 1)"
    )
    done = run("python", "-c", script)
    assert done.returncode == 0, done.stderr
    file, said = done.stdout.splitlines()
    assert not Path(file).is_relative_to(project_root()) and said == "quickstart True"
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "quickstart.yaml").write_text("name: own\n")
    assert run("python", "-c", script).stdout.splitlines()[1].startswith("own "), "what is in the folder comes first"
    assert "there is no such params file" in run("studylib", "run", "params/absent.yaml").stderr
