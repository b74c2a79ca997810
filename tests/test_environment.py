"""One environment, said three times: pyproject.toml, requirements.lock and environment.yml stay in step."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version

import yaml

import studylib
from studylib.paths import project_root

ROOT = project_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = dict(
    re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line).groups()
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line and not line.startswith("#")
)
LOCK = {re.sub(r"[-_.]+", "-", name).lower(): pinned for name, pinned in LOCK.items()}


def name_of(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement).group()).lower()


EXTRAS = PROJECT["project"]["optional-dependencies"]


def test_every_requirement_is_pinned():
    requirements = PROJECT["project"]["dependencies"] + sum(EXTRAS.values(), PROJECT["build-system"]["requires"])
    assert not {name_of(r) for r in requirements} - set(LOCK)
    for requirement in requirements:
        if minimum := re.search(r">=([\d.]+)", requirement):
            pinned = [int(x) for x in re.findall(r"\d+", LOCK[name_of(requirement)])]
            assert pinned >= [int(x) for x in minimum.group(1).split(".")], requirement


def test_what_is_installed_is_what_is_pinned():
    for name, pinned in LOCK.items():
        try:
            assert version(name).split("+")[0] == pinned, name
        except PackageNotFoundError:
            raise AssertionError(f"{name} is pinned but not installed") from None


def test_conda_users_get_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python="))
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert [int(x) for x in python.removeprefix("python=").split(".")] >= [int(x) for x in lowest.split(".")]
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["-r requirements.lock", "-e ."]


def imported(folder):
    """The names of the packages that the Python files of a folder import, by the names of their modules."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names |= {alias.name.split(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module.split(".")[0]} if isinstance(node, ast.ImportFrom) and node.module else set()
    return names - sys.stdlib_module_names


PACKAGE = {
    "pydantic_core": "pydantic",
    "IPython": "ipykernel",
    "bs4": "beautifulsoup4",
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
}
"""Where a package is not called as its module is; IPython comes with ipykernel."""

RUN_WITHOUT_AN_IMPORT = {"jupyterlab", "tensorflow"}
"""`make lab`, and what Keras computes with."""


def test_only_what_runs_is_required():
    required = [
        name_of(r) for r in sum((EXTRAS[name] for name in EXTRAS if name != "test"), PROJECT["project"]["dependencies"])
    ]
    assert len(set(required)) == len(required), "a package is in one place"
    used = {name_of(PACKAGE.get(name, name)) for name in imported("src")} - {"studylib"}
    # httptools: uvicorn takes it by itself
    assert set(required) - used == RUN_WITHOUT_AN_IMPORT | {"httptools"} and used <= set(required)
    for_tests = {name_of(r) for r in EXTRAS["test"]}
    assert not for_tests & set(required)
    tested = {name_of(PACKAGE.get(name, name)) for name in imported("tests")}
    assert tested - {"studylib", "tests"} <= set(required) | for_tests


def modules_of(extra):
    """What Python calls the packages of an extra."""
    modules = {name_of(package): module for module, package in PACKAGE.items()}
    return [modules.get(name, name.replace("-", "_")) for name in map(name_of, EXTRAS[extra])]


WITHOUT_EXTRAS = """
import sys

for module in {modules}:
    sys.modules[module] = None
import numpy as np, pandas as pd
import studylib as sl
from studylib import kept

kept.fan_out = lambda function, tasks, execution, running: ((task, function(task)) for task in tasks)
random = np.random.default_rng(0)
clicks = pd.DataFrame({{"visitor": random.integers(0, 30, 200), "url": random.integers(0, 20, 200)}})
log = sl.read(clicks, user="visitor", item="url")
small = {{"max_epochs": 1, "hidden": 4, "embedding": 4}}
counted = ["popularity", "markov", "item-knn", "session-knn", "ease", {{"model": "bpr-mf", "max_epochs": 10}}]
table = sl.evaluate(log, [*counted, {{"model": "gru4rec", **small}}, {{"model": "sasrec", "max_epochs": 1, "embedding": 4}}])
assert len(table) == 16 and len(sl.GRU4Rec(**small).fit(log).recommend([3], k=5)) == 5
import studylib.cli
for module, extra in {{"runner": "notebooks", "figures": "notebooks", "tuning": "tune", "cluster": "cluster",
                      "models.keras_network": "keras", "serve": "serve", "models.exported": "onnx"}}.items():
    try:
        __import__(f"studylib.{{module}}")
    except sl.StudyError as error:
        assert f"is not installed, which this needs: pip install 'studylib[{{extra}}]'." in str(error), error
        print(module)
"""


def test_the_library_needs_no_extra_and_says_which_one_is_missing():
    modules = [module for extra in EXTRAS for module in modules_of(extra)]
    # PyTorch has these itself.
    script = WITHOUT_EXTRAS.format(modules=[name for name in modules if name not in ("filelock", "jinja2")])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [
        "runner",
        "figures",
        "tuning",
        "cluster",
        "models.keras_network",
        "serve",
        "models.exported",
    ]


def test_the_versions_of_python_are_said_alike():
    said = [line.rsplit(" ", 1)[1] for line in PROJECT["project"]["classifiers"]]
    versions = [tuple(map(int, version.split("."))) for version in said]
    makefile = (ROOT / "Makefile").read_text()
    lowest, beyond = re.search(r"not \((.*?)\) <= sys.version_info < \((.*?)\)", makefile).groups()
    assert f"Python {', '.join(said[:-1])} or {said[-1]} is needed" in makefile
    assert lowest == "{}, {}".format(*versions[0]) and beyond == f"{versions[-1][0]}, {versions[-1][1] + 1}"
    assert PROJECT["project"]["requires-python"] == f">={said[0]}"


def test_the_version_is_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/studylib/__init__.py"
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert first.group(1) == studylib.__version__


def test_no_registry_is_named():
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile"):
        assert "://" not in (ROOT / name).read_text(), name


def test_triton_is_loaded_before_tensorflow_can_be(tmp_path):
    """Where torch is the one for CUDA: the other way round the process ends with a segmentation fault."""
    (tmp_path / "triton.py").write_text("")  # this torch may have none
    script = (
        "import sys; from studylib.execution import configure; from studylib.params.study import Execution; "
        "configure(Execution()); assert 'triton' in sys.modules and 'tensorflow' not in sys.modules"
    )
    paths = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": paths}, check=True)
