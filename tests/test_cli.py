"""The command: quick where nothing is trained, ids that pipe, warnings and mistakes as one sentence each on standard error."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import studylib as package
from studylib import cli
from studylib.data.sessions import Sessions
from studylib.models import files
from studylib.models.baselines import Markov

# After b: c twice, a once; after a: b. Visits: b four, c three, a two.
CHAIN = Markov().fit(Sessions.from_lists([["b", "c"], ["b", "c"], ["b", "a"], ["c", "a", "b"]]))


@pytest.fixture
def chain(tmp_path):
    files.save(CHAIN, tmp_path / "chain.safetensors")
    return str(tmp_path / "chain.safetensors")


@pytest.fixture
def studylib(monkeypatch, capsys):
    def run(*arguments):
        """The exit code, standard output and standard error."""
        monkeypatch.setattr(sys, "argv", ["studylib", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as done:
            code = done.code
            if isinstance(code, str):  # as Python does at the end
                print(code, file=sys.stderr)
                code = 1
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def recommend(studylib):
    return lambda *arguments: studylib("recommend", *arguments)


def test_ids_one_a_line(recommend, chain):
    assert recommend(chain, "--session", "b") == (0, "c\na\n", "")
    assert recommend(chain, "--session", "c|b", "-k", "1") == (0, "a\n", "")
    assert recommend(chain, "--session", "c|b", "--include-visited") == (0, "c\na\nb\n", "")
    assert recommend(chain, "--session", "c, b", "--separator", ", ") == (0, "a\n", "")
    assert recommend(chain, "--session", "a|b|c") == (0, "", "")


def test_unknown_ids_are_one_sentence_beside_the_result(recommend, chain):
    said = "studylib: 2 events were left out, never seen in training: x, y.\n"
    assert recommend(chain, "--session", "x|b|y") == (0, "c\na\n", said)
    popular = (
        "studylib: 1 event was left out, never seen in training: x; the most popular items are recommended instead.\n"
    )
    assert recommend(chain, "--session", "x") == (0, "b\nc\na\n", popular)


def test_mistakes_are_one_sentence(recommend, chain):
    def refused(words, *arguments):
        code, out, err = recommend(*arguments)
        assert code == 1 and out == "" and words in err and len(err.splitlines()) == 1

    refused("there is no such model file", "none.safetensors", "--session", "b")
    refused("--separator: must not be empty", chain, "--session", "b", "--separator", "")
    Path(chain).write_bytes(Path(chain).read_bytes()[:-1])
    refused("chain.safetensors: is damaged", chain, "--session", "b")


def test_usage_errors_are_explained(recommend, chain):
    for option, arguments in {"--session": [chain], "-k": [chain, "--session", "b", "-k", "0"]}.items():
        code, out, err = recommend(*arguments)
        assert code == 2 and out == "" and "Usage:" in err and f"'{option}'" in err


def test_the_installed_command(chain):
    command = [Path(sys.executable).parent / "studylib", "recommend", chain, "--session", "q|b", "-k", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "c\n")
    assert done.stderr == "studylib: 1 event was left out, never seen in training: q.\n"


HEAVY = {"torch", "keras", "tensorflow", "numpy", "polars", "pandas", "papermill", "matplotlib", "sklearn"}


def modules_of(*arguments):
    """The exit code of a command, and which of `HEAVY` it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "studylib", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done, HEAVY & {line.rpartition("|")[2].strip() for line in lines}


def test_a_wrong_params_file_is_known_before_anything_heavy_is_imported(tmp_path):
    (tmp_path / "odd.yaml").write_text("grid: {epoch: [1]}")
    for command in (["run"], ["tune", "--dataset", "shop", "--model", "gru4rec"]):
        done, heavy = modules_of(*command, str(tmp_path / "odd.yaml"))
        assert done.returncode == 1 and "did you mean 'epochs'?" in done.stderr and heavy == set()


def test_the_version_in_either_way_of_starting():
    done, heavy = modules_of("--version")
    assert (done.returncode, done.stdout, heavy) == (0, f"studylib {package.__version__}\n", set())


def test_the_shell_completes_commands():
    asked = {**os.environ, "_STUDYLIB_COMPLETE": "complete_bash", "COMP_WORDS": "studylib recomm", "COMP_CWORD": "1"}
    done = subprocess.run(
        [Path(sys.executable).parent / "studylib"], capture_output=True, text=True, timeout=300, env=asked
    )
    assert done.stdout.split() == ["recommend"]


def test_a_notebook_is_named_by_its_number(studylib, monkeypatch, tmp_path):
    """Both ways of writing it, and no other number."""
    (tmp_path / "mine.yaml").write_text("seed: 1")
    asked = []
    runner = types.ModuleType("studylib.runner")
    runner.run_study = lambda study, only, *rest, **more: asked.append((study.seed, only)) or "page"
    monkeypatch.setitem(sys.modules, "studylib.runner", runner)
    for number in ("3", "03"):
        assert studylib("run", tmp_path / "mine.yaml", "--only", number) == (0, "page\n", "")
    assert studylib("run", tmp_path / "mine.yaml") == (0, "page\n", "")
    assert asked == [(1, "03"), (1, "03"), (1, None)]
    code, out, err = studylib("run", tmp_path / "mine.yaml", "--only", "5")
    assert code == 2 and out == "" and "--only" in err
