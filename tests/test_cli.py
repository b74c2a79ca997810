"""The command: quick where nothing is trained, ids that pipe, warnings and mistakes as one sentence each on standard error."""

import io
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import onnxruntime
import pytest

import studylib as package
from studylib import cli
from studylib.data.sessions import Sessions
from studylib.models import files
from studylib.models.baselines import Markov
from studylib.models.gru4rec import GRU4Rec

# After b: c twice, a once; after a: b. Visits: b four, c three, a two.
CHAIN = Markov().fit(Sessions.from_lists([["b", "c"], ["b", "c"], ["b", "a"], ["c", "a", "b"]]))


@pytest.fixture
def chain(tmp_path):
    files.save(CHAIN, tmp_path / "chain.safetensors")
    return str(tmp_path / "chain.safetensors")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "network.safetensors"
    files.save(
        GRU4Rec(device="cpu", embedding=4, hidden=4, max_epochs=1).fit(Sessions.from_lists([["b", "c"]] * 9)), path
    )
    return path


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


def answered(out):
    return [json.loads(line) for line in out.splitlines()]


def test_many_sessions_from_a_file_one_line_of_json_each(recommend, chain, tmp_path):
    (tmp_path / "visits.txt").write_text("b\nc|b\n\nx|b|\n", encoding="utf-8-sig")
    code, out, err = recommend(chain, "--sessions", tmp_path / "visits.txt", "-k", "2")
    lists = CHAIN.recommend([["b"], ["c", "b"], [], ["b"]], 2, scores=True)
    assert code == 0 and answered(out) == [
        {"items": [item for item, _ in best], "scores": [score for _, score in best]} for best in lists
    ]
    assert err == "studylib: 1 event of 1 session was left out, never seen in training.\n"
    code, out, _ = recommend(chain, "--sessions", tmp_path / "visits.txt", "--include-visited")
    assert code == 0 and [len(line["items"]) for line in answered(out)] == [3, 3, 3, 3]


def test_many_sessions_as_json_lines_from_standard_input(recommend, chain, monkeypatch):
    lines = '{"session": "s 1", "items": ["b"]}\n["c", "b"]\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    code, out, err = recommend(chain, "--sessions", "-", "--json", "-k", "1")
    first, second = answered(out)
    assert (code, err) == (0, "") and first["session"] == "s 1" and first["items"] == ["c"]
    assert second.keys() == {"items", "scores"} and second["items"] == ["a"]


def test_more_lines_than_are_read_at_once(recommend, chain, tmp_path, monkeypatch):
    monkeypatch.setattr("studylib.lines.TOGETHER", 2)
    (tmp_path / "visits.txt").write_text("b\nx\nc\ny|x|b\na\n")
    code, out, err = recommend(chain, "--sessions", tmp_path / "visits.txt", "-k", "1")
    assert code == 0 and [line["items"] for line in answered(out)] == [["c"], ["b"], ["a"], ["c"], ["b"]]
    assert err == "studylib: 3 events of 2 sessions were left out, never seen in training.\n"


@pytest.mark.parametrize(
    "line",
    ["b", "7", "null", '{"session": 1}', '{"items": "b"}', '["b", null]', '["b", ["c"]]', '{"x": NaN, "items": []}'],
)
def test_a_line_that_is_no_session_is_named(recommend, chain, tmp_path, line):
    (tmp_path / "visits.jsonl").write_text(f'["b"]\n{line}\n')
    code, out, err = recommend(chain, "--sessions", tmp_path / "visits.jsonl", "--json")
    assert (code, out) == (1, "") and "visits.jsonl: line 2 is not a JSON list of ids" in err and len(err) <= 310


def test_sessions_come_from_one_place_that_can_be_read(recommend, chain, tmp_path):
    code, _, err = recommend(chain, "--session", "b", "--sessions", "-")
    assert code == 2 and "Usage:" in err and "give one of '--session' and '--sessions'" in err
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe")
    for path, said in {"none.txt": "there is no such file", "odd.txt": "not UTF-8", "": "cannot be read"}.items():
        code, out, err = recommend(chain, "--sessions", tmp_path / path)
        assert code == 1 and out == "" and said in err and len(err.splitlines()) == 1


def test_a_reader_that_has_enough_ends_it_quietly(chain, tmp_path):
    (tmp_path / "visits.txt").write_text("b\n" * 50_000)
    command = [sys.executable, "-m", "studylib", "recommend", chain, "--sessions", str(tmp_path / "visits.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["items"] == ["c", "a"]
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 1


def test_a_network_is_written_for_onnxruntime(studylib, network, chain, tmp_path):
    made = tmp_path / "network.onnx"
    assert studylib("export", network, "--onnx", made) == (0, f"{made}\n", "")
    assert [i.name for i in onnxruntime.InferenceSession(made.read_bytes()).get_inputs()] == ["items", "lengths"]
    code, out, err = studylib("export", chain, "--onnx", tmp_path / "chain.onnx")
    assert code == 1 and out == "" and err.startswith("studylib: A model 'markov' cannot be exported to ONNX")
    assert not (tmp_path / "chain.onnx").exists()


def test_a_network_learns_from_a_new_log_into_a_file_of_its_own(studylib, network, tmp_path):
    before = network.read_bytes()
    (tmp_path / "new.csv").write_text("who;what\n1;b\n1;d\n2;d\n")
    made = tmp_path / "updated.safetensors"
    options = ["-o", "user=who", "-o", "item=what", "-o", "separator=;"]
    code, out, err = studylib("update", network, tmp_path / "new.csv", *options, "--to", made)
    assert (code, out) == (0, f"{made}\n")
    assert "studylib: left out: session of fewer than 2 events (1 session, 1 event).\n" in err
    assert err.endswith("studylib: learnt from 2 events of 1 session; new items: 1.\n")
    assert files.load(made).vocabulary.tolist() == ["b", "c", "d"] and network.read_bytes() == before
    assert studylib("update", network, tmp_path / "new.csv", *options)[1].endswith("network-updated.safetensors\n")
    (tmp_path / "new.jsonl").write_text('{"who": 1, "what": "b"}\n{"who": 1, "what": "c"}\n')
    assert studylib("update", network, tmp_path / "new.jsonl", *options[:4], "--to", made)[0] == 0


@pytest.mark.parametrize(
    "option, said",
    [
        ("user", "--option user: must be a key and a value, such as user=visitor."),
        ("usr=who", "--option: unknown key 'usr'; did you mean 'user'?"),
        ("min_length=1", "--option: min_length: input should be greater than or equal to 2"),
        ("user=[", "--option: a value is no YAML"),
        ("item=b", "--option item: is given twice; leave one out."),
        ("path=new.csv", "--option path: is given twice"),
        ("user=visitor", "new.csv: there is no such file"),
    ],
)
def test_a_wrong_option_of_a_new_log_is_a_sentence(studylib, network, tmp_path, option, said):
    code, out, err = studylib("update", network, tmp_path / "new.csv", "-o", "item=what", "-o", option)
    assert code == 1 and out == "" and said in err and len(err.splitlines()) == 1


def test_a_counted_model_is_not_updated(studylib, chain, tmp_path):
    (tmp_path / "new.csv").write_text("user,item\n1,b\n1,c\n")
    code, _, err = studylib("update", chain, tmp_path / "new.csv", "-o", "user=user", "-o", "item=item")
    assert code == 1 and err.startswith("studylib: A model 'markov' is counted, not trained by gradients")


def test_an_extra_that_is_missing_is_named(studylib, chain, tmp_path, monkeypatch):
    for module in ("studylib.serve", "studylib.models.exported"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in ("prometheus_client", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    for arguments, extra in ((["serve", chain], "serve"), (["export", chain, "--onnx", tmp_path / "x"], "onnx")):
        code, _, err = studylib(*arguments)
        assert code == 1 and err.endswith(f"pip install 'studylib[{extra}]'.\n")


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
    code, out, err = studylib("run", tmp_path / "mine.yaml", "--only", "6")
    assert code == 2 and out == "" and "--only" in err


def test_models_are_evaluated_without_notebooks(studylib, tmp_path):
    rows = [f"v{n // 4},{n % 4 + n // 4 % 3}" for n in range(200)]
    (tmp_path / "clicks.csv").write_text("visitor,url\n" + "\n".join(rows) + "\n")
    of_log = ("-o", "user=visitor", "-o", "item=url", "--models", "popularity,markov", "--metrics", "recall@3")
    code, out, err = studylib("evaluate", tmp_path / "clicks.csv", *of_log)
    header, first, second = out.splitlines()
    assert code == 0 and header.split() == ["model", "metric", "mean", "low", "high", "n"], err
    assert first.split()[:2] == ["popularity", "recall@3"] and first.split()[-1] == "50"
    assert second.split()[:2] == ["markov", "recall@3"] and 0.9 < float(second.split()[2]) <= 1
    code, out, err = studylib(
        "evaluate", tmp_path / "clicks.csv", "-o", "user=visitor", "-o", "item=url", "--models", "gru4re"
    )
    assert code == 1 and "gru4rec" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == [tmp_path / "clicks.csv"], "nothing is kept"
