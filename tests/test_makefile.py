"""What `make` says and removes, in a small checkout without an environment."""

import os
import shutil
import subprocess

import pytest

from studylib.paths import project_root

ROOT = project_root()
KEPT_BY_GIT = ["reports/README.md", "reports/study/grid.csv", "reports/study/cells/a.json"]
RESULTS = [
    "reports/mine.html",
    "reports/mine/ranking.csv",
    "reports/mine/cells/a.json",
    "reports/mine/models/a.safetensors",
]
CACHES = [".venv/installed", ".pytest_cache/a", ".ruff_cache/a", ".mypy_cache/a", "src/__pycache__/a.pyc"]


@pytest.fixture
def checkout(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for name in [*KEPT_BY_GIT, *RESULTS, *CACHES, "tests/a.py", "notebooks/a.ipynb"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for arguments in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
"""Without what a make around these tests says to those within."""


def make(folder, target, answer=None):
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=folder,
        input=answer,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def left(folder, names):
    return [name for name in names if (folder / name).exists()]


def test_clean_removes_the_environment_and_caches_and_no_result(checkout):
    make(checkout, "clean")
    assert left(checkout, CACHES) == []
    assert left(checkout, [*KEPT_BY_GIT, *RESULTS]) == [*KEPT_BY_GIT, *RESULTS]


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_clean_results_asks_first(checkout, answer):
    out = make(checkout, "clean-results", answer)
    assert "reports/mine" in out and "[y/N]" in out and "Nothing was removed." in out
    assert left(checkout, [*KEPT_BY_GIT, *RESULTS, *CACHES]) == [*KEPT_BY_GIT, *RESULTS, *CACHES]


def test_clean_results_removes_what_git_does_not_keep(checkout):
    make(checkout, "clean-results", "y\n")
    assert left(checkout, RESULTS) == []
    assert left(checkout, [*KEPT_BY_GIT, *CACHES]) == [*KEPT_BY_GIT, *CACHES]


def test_a_python_without_the_lock_is_refused_before_anything_is_installed(checkout):
    # What `make` runs in place of Python: one that has another version, and would say so if it were to install something.
    other = checkout / "python3.14"
    other.write_text("#!/bin/sh\ncase $2 in *version_info*) exit 1;; esac\ntouch installed\n")
    other.chmod(0o755)
    (checkout / ".venv" / "installed").unlink()
    for name in ("requirements.lock", "pyproject.toml"):
        (checkout / name).touch()
    command = ["make", "--no-print-directory", f"PYTHON={other}", ".venv/installed"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode != 0 and not (checkout / "installed").exists()
    [said] = done.stdout.splitlines()
    assert said.startswith("Python 3.11, 3.12 or 3.13 is needed") and said.endswith("make PYTHON=/path/to/python3.13")


def test_help_prints_every_target_with_its_comment(checkout):
    lines = make(checkout, "help").splitlines()
    named = {line.split()[1]: line.split(maxsplit=2)[2] for line in lines}
    declared = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert sorted(named) == sorted(declared.split()[1:])
    assert all(len(comment) > 10 for comment in named.values())
