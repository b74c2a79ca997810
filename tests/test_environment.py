"""One environment, said three times: pyproject.toml, requirements.lock and environment.yml stay in step."""

import ast
import re
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


def test_every_requirement_is_pinned():
    extras = PROJECT["project"]["optional-dependencies"].values()
    requirements = sum(extras, PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"])
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

RUN_WITHOUT_AN_IMPORT = {"ipykernel", "jupyterlab", "tensorflow"}
"""The kernel of the notebooks, `make lab`, and what Keras computes with."""


def test_only_what_runs_is_required():
    required = {name_of(r) for r in PROJECT["project"]["dependencies"]}
    used = {name_of(PACKAGE.get(name, name)) for name in imported("src")} - {"studylib"}
    assert required - used == RUN_WITHOUT_AN_IMPORT - {"ipykernel"}
    optional = {name_of(r) for extra in ("serve", "onnx") for r in PROJECT["project"]["optional-dependencies"][extra]}
    # dask: where there is a cluster; httptools: uvicorn takes it by itself
    assert used - required == {"dask", "distributed"} | optional - {"httptools"}
    for_tests = {name_of(r) for r in PROJECT["project"]["optional-dependencies"]["test"]}
    assert not for_tests & required
    tested = {name_of(PACKAGE.get(name, name)) for name in imported("tests")}
    assert tested - {"studylib", "tests"} <= required | for_tests | optional


def test_the_version_is_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/studylib/__init__.py"
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert first.group(1) == studylib.__version__


def test_no_registry_is_named():
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile"):
        assert "://" not in (ROOT / name).read_text(), name
