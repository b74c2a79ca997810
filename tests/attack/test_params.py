"""2,500 params files and parameters cells that are right, wrong, odd or made to do harm: read right, or refused in a sentence.

Within 5 seconds of the processor each, the worst through the command as well.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from studylib.paths import project_root
from tests.params import odd

PUBLISHED = [path.read_text(encoding="utf-8") for path in sorted((project_root() / "params").glob("*.yaml"))]


def examples(number):
    return settings(
        max_examples=number, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("odd") / "mine.yaml"


@examples(600)
@given(odd.right)
def test_what_is_right_is_read_as_it_is(path, case):
    odd.check_right(path, case)


@examples(600)
@given(odd.wrong())
def test_what_is_wrong_is_named(path, case):
    odd.check_wrong(path, case)


@examples(800)
@given(odd.odd(PUBLISHED))
def test_what_is_odd_is_read_right_or_refused(path, text):
    odd.check_odd(path, text)


@examples(400)
@given(odd.cells)
def test_a_parameters_cell_of_anything(sections):
    odd.check_cell(sections)


def ladder(rung, first="a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n", rungs=12):
    return first + "".join(rung.format(i=i, before=i - 1) for i in range(1, rungs))


HARMFUL = {
    "lists in lists": "[" * 100_000,
    "keys in keys": "{a: " * 30_000,
    "dashes": "- " * 45_000,
    "question marks": "? " * 45_000,
    "indented": "".join(f"{' ' * i}a:\n" for i in range(400)),
    "many keys": "".join(f"k{i}: 1\n" for i in range(10_000)),
    "too many keys": "".join(f"k{i}: 1\n" for i in range(200_000)),
    "too many values": f"seed: [{'1,' * 49_000}]",
    "aliases of aliases": ladder("a{i}: &a{i} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"),
    "a chain of aliases": ladder("a{i}: &a{i} [*a{before}]\n", rungs=300),
    "aliases in a model": "ranking: {models: [&a {model: &b [x, x, x, x, x, x, x, x], label: [*b, *b, *b, *b, *b, *b, *b]},"
    + "*a, " * 3000 + "]}",
    "an alias of itself": "data: &a {b: *a}",
    "a list of itself": "grid: {seeds: &a [*a]}",
    "merge keys": "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
    "a seed of 5,000 digits": f"seed: {'9' * 5000}",
    "a seed of 90,000 digits": f"seed: {'9' * 90_000}",
    "a seed in base 60": f"seed: {'1:' * 45_000}1",
    "a hexadecimal seed": f"seed: 0x{'f' * 90_000}",
    "a rate of 90,000 digits": f"grid: {{learning_rate: {{adam: 0.{'0' * 90_000}1}}}}",
    "a rate beyond all": "grid: {learning_rate: {adam: 1.0e+999}}",
    "a long name": f"name: {'a' * 90_000}",
    "a long key": f'? "{"k" * 90_000}"\n: 1',
    "a long unknown model": f"ranking: {{models: [{'gru4rec' * 10_000}]}}",
    "a long label twice": "ranking: {models: [" + ", ".join([f"{{model: markov, label: {'m' * 40_000}}}"] * 2) + "]}",
    "a long data set of the ablation": f"ranking: {{ablation: {{datasets: [{'d' * 90_000}], steps: "
    "[{label: a}, {label: b}]}}",
    "many steps, each with a key of its own": "ranking: {ablation: {datasets: [synthetic], steps: ["
    + ", ".join(f"{{label: a{i}, x{i}: 1}}" for i in range(3000)) + "]}}",
    "many steps with mistakes": "ranking: {ablation: {datasets: [synthetic], steps: [{loss: 1, hidden: 0, batches: 2}, "
    + ", ".join(f"{{label: a{i}}}" for i in range(5000)) + "]}}",
    "many models": f"ranking: {{models: [{', '.join(f'{{model: markov, label: a{i}}}' for i in range(3000))}]}}",
    "a grid of 120 million cells": f"grid: {{seeds: {list(range(10_000))}, epochs: {list(range(1, 4000))}}}",
    "blanks": " " * 99_999,
    "line ends": "\n" * 99_999,
    "a comment": "#" * 99_999,
    "quotes": f'name: "{chr(92)}n' + "\\n" * 45_000 + '"',
    "a file of 10 MB": "# comment\n" * 1_000_000,
    "NUL": "name: a\0b",
    "half a pair": r'name: "\ud800"',
    "tags": "seed: !!python/object/apply:os.system [true]",
    "an integer by tag": "seed: !!int abc",
    "no date": "seed: 2020-13-45",
    "two documents": "seed: 1\n---\nseed: 2",
    "a directive": "%YAML 3.0\n---\nseed: 1",
    "unclosed": "grid: {seeds: [1, 2",
    "a model as a section": "gru4rec: 1",
    "a mark of pydantic as a key": "'[key]': 1",
    "true for a number": "grid: {epochs: [true]}",
    "no number": "grid: {learning_rate: {adam: .nan}}",
    "infinite": "grid: {learning_rate: {adam: .inf}}",
    "a seed beyond 32 bits": f"seed: {2**32}",
    "out of the folder": "name: ../../etc/x",
    "an absolute name": "name: /etc/x",
    "a device": "name: nul",
    "columns from the end": "data: {reader: events, path: x, user: -1}",
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_what_does_harm_is_refused_or_harmless(path, name):
    path.write_text(HARMFUL[name], encoding="utf-8")
    said = odd.outcome(path)
    harmless = {"many models", "blanks", "line ends", "a comment"}
    assert isinstance(said, str) != (name in harmless), said


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "utf16.yaml").write_bytes("seed: 1\n".encode("utf-16"))
    for place in (
        tmp_path,
        tmp_path / "none.yaml",
        Path("/dev/zero"),
        tmp_path / "utf16.yaml",
        tmp_path / ("x" * 5000),
        Path("a\0b"),
    ):
        with pytest.raises(odd.StudyError) as raised:
            odd.load_params(place)
        said = str(raised.value)
        assert len(said) <= 300 and said.isprintable()


WORST = [
    "lists in lists", "too many keys", "aliases of aliases", "merge keys", "a seed of 5,000 digits", "a seed in base 60",
    "many steps, each with a key of its own", "a grid of 120 million cells", "half a pair", "tags",
    "out of the folder", "a long key", "an alias of itself", "a list of itself", "a hexadecimal seed", "a rate beyond all",
    "a long unknown model", "a file of 10 MB", "two documents", "unclosed", "true for a number", "infinite",
    "a seed beyond 32 bits", "columns from the end",
]  # fmt: skip


@pytest.mark.parametrize("name", WORST)
def test_the_command_says_it_in_a_sentence(path, name):
    path.write_text(HARMFUL[name], encoding="utf-8")
    command = [Path(sys.executable).with_name("studylib"), "run", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"studylib: {path}: ") and len(done.stderr) <= 300 + len("studylib: \n")
