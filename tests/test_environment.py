"""One environment, said three times: pyproject.toml, requirements.lock and environment.yml stay in step."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version

import yaml

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
    requirements = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    requirements += PROJECT["build-system"]["requires"]
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


def test_no_registry_is_named():
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile"):
        assert "://" not in (ROOT / name).read_text(), name
