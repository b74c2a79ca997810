"""`studylib recommend`: plain ids that pipe, warnings and mistakes as one sentence each on standard error."""

import subprocess
import sys
from pathlib import Path

import pytest

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
        monkeypatch.setattr(sys, "argv", ["studylib", "recommend", *arguments])
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


def test_ids_one_a_line(studylib, chain):
    assert studylib(chain, "--session", "b") == (0, "c\na\n", "")
    assert studylib(chain, "--session", "c|b", "-k", "1") == (0, "a\n", "")
    assert studylib(chain, "--session", "c|b", "--include-visited") == (0, "c\na\nb\n", "")
    assert studylib(chain, "--session", "c, b", "--separator", ", ") == (0, "a\n", "")
    assert studylib(chain, "--session", "a|b|c") == (0, "", "")


def test_unknown_ids_are_one_sentence_beside_the_result(studylib, chain):
    said = "studylib: 2 events were left out, never seen in training: x, y.\n"
    assert studylib(chain, "--session", "x|b|y") == (0, "c\na\n", said)
    popular = (
        "studylib: 1 event was left out, never seen in training: x; the most popular items are recommended instead.\n"
    )
    assert studylib(chain, "--session", "x") == (0, "b\nc\na\n", popular)


def test_mistakes_are_one_sentence(studylib, chain):
    def refused(words, *arguments):
        code, out, err = studylib(*arguments)
        assert code == 1 and out == "" and words in err and len(err.splitlines()) == 1

    refused("there is no such model file", "none.safetensors", "--session", "b")
    refused("--separator: must not be empty", chain, "--session", "b", "--separator", "")
    Path(chain).write_bytes(Path(chain).read_bytes()[:-1])
    refused("chain.safetensors: is damaged", chain, "--session", "b")


def test_usage_errors_are_explained(studylib, chain):
    for option, arguments in {"--session": [chain], "-k": [chain, "--session", "b", "-k", "0"]}.items():
        code, out, err = studylib(*arguments)
        assert code == 2 and out == "" and "Usage:" in err and f"'{option}'" in err


def test_the_installed_command(chain):
    command = [Path(sys.executable).parent / "studylib", "recommend", chain, "--session", "q|b", "-k", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "c\n")
    assert done.stderr == "studylib: 1 event was left out, never seen in training: q.\n"
