"""1,600 model files, kept results and tuned settings that are damaged, or made by hand with the right checksum.

Each gives what a reader of its own finds in it, or one sentence, in 5 seconds of the processor; the largest in 1 GB of memory.
"""

import io
import json
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from studylib.comparison import _is_ranks
from studylib.data.sessions import Sessions, checksum
from studylib.errors import StudyError
from studylib.grid import cell_store
from studylib.kept import Store
from studylib.models import build, files
from studylib.params import files as params_files
from studylib.params.models import Bpr, Ease, Gru4Rec, ItemKnn, Markov, Popularity, SasRec, SessionKnn

LOG = Sessions.from_lists([["a", "ü|b", "c"], ["a", "ü|b", "d"], ["c", "a"], ["d", "d", "a", 'e"\\']])
SMALL = {"embedding": 8, "batch_size": 8, "max_epochs": 1}
MODELS = [
    Popularity(), Markov(), ItemKnn(), SessionKnn(), Ease(), Bpr(factors=4, max_epochs=10), Gru4Rec(**SMALL, hidden=12),
    SasRec(**SMALL),
]  # fmt: skip
CONTENTS = {entry.model: files.to_bytes(build(entry, history=4, seed=3, device="cpu").fit(LOG)) for entry in MODELS}


def examples(number):
    return settings(
        max_examples=number, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def judged(read, place):
    """What ``read`` gives, or None where it says what is wrong; it raises nothing but a `StudyError` of one sentence."""
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return read()
    except StudyError as error:
        said = str(error)
        assert 0 < len(said) <= 300, said
        assert all(
            line.startswith(f"{place}") and line.isprintable() and line[-1] in ".?)" for line in said.split("\n")
        ), said
        return None
    finally:
        assert time.process_time() - started < 5


def parts(content):
    """The header of studylib and the arrays."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["studylib"])
    return header, safetensors.numpy.load(content)


def written(header, arrays):
    """A file with the right checksum, as `studylib.models.files` documents it."""
    header = {key: value for key, value in header.items() if key != "checksum"}
    names = sorted(arrays)
    described = json.dumps([header, names], sort_keys=True).encode()
    header["checksum"] = checksum(described, *(arrays[name] for name in names))
    return safetensors.numpy.save(arrays, {"studylib": json.dumps(header)})


HEADERS = [
    ("history", 0), ("history", -1), ("history", 10**12), ("history", "many"), ("history", None), ("history", True),
    ("history", 8),
    ("seed", -1), ("seed", 2**64), ("seed", [1]), ("version", 2), ("version", "x" * 5000), ("version", [[1]]), ("parameters", -3),
    ("epochs", "1"), ("trained_on", 7), ("trained_on", "x" * 10**5), ("model", None), ("model", []), ("model",
    {"model": "gru4rec"}),
    ("model", {"model": "sasrec", "embedding": 2**16, "blocks": 100}), ("model", {"model": "no-such"}), ("model",
    {}), ("more", 1),
    ("model", {"model": "gru4rec", "hidden": 2**16, "embedding": 2**16, "layers": 100}), ("model",
    {"model": "markov", "label": ""}),
    ("model", {"model": "bpr-mf", "factors": 5}), ("model", {"model": "item-knn", "decay": float("nan")}),
]  # fmt: skip

IDS = [
    "[" * 50_000, "{}", "null", "7", '"abcde"', "[1, 2, 3, 4, 5]", '["a", "a", "b", "c", "d"]', '["e", "d", "c", "b", "a"]',
    '["a", "b", "c", "d", "\\ud800"]', '["a", "b", "c", "d", ""]', '["", "b", "c", "d", "e"]', "[]", "NaN", "[[1], [2]]",
    json.dumps([str(n) for n in range(9)]), '["a", "b", "c", "d", null]', '["a", "a\\u0000", "c", "d", "e"]',
]  # fmt: skip

VALUES = [np.nan, np.inf, -np.inf, -1, 0, 1, 2**31 - 1, -(2**31), 1e38, 5]


@st.composite
def model_files(draw):
    """A model file in which something is otherwise."""
    name = draw(st.sampled_from(sorted(CONTENTS)))
    header, arrays = parts(CONTENTS[name])
    kind = draw(st.sampled_from(["bytes", "header", "value", "shape", "kind", "other", "missing", "ids", "settings"]))
    if kind == "bytes":
        content = bytearray(CONTENTS[name])
        for _ in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(content) - 1))
            content[at : at + draw(st.sampled_from([0, 1, 1, 9]))] = draw(st.binary(max_size=9))
        return bytes(content)
    if kind == "header":
        header = dict(header)
        key, value = draw(st.sampled_from(HEADERS))
        header[key] = value
    elif kind == "settings":
        settings = header["model"]
        settings[draw(st.sampled_from(sorted(settings)))] = draw(
            st.sampled_from([None, True, -1, 0, 1, 7, 2**16, 10**9, 0.5, "x", "", [], {}, float("inf")])
        )
    elif kind == "ids":
        ids = draw(st.sampled_from(IDS))
        arrays["vocabulary"] = np.frombuffer(ids.encode(), np.uint8)
    else:
        array = draw(st.sampled_from(sorted(arrays)))
        before = arrays[array]
        if kind == "missing":
            del arrays[array]
        elif kind == "other":
            _, others = parts(CONTENTS[draw(st.sampled_from(sorted(CONTENTS)))])
            arrays[array if draw(st.booleans()) else "state.more"] = others[draw(st.sampled_from(sorted(others)))]
        elif kind == "kind":
            arrays[array] = before.astype(draw(st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?"])))
        elif kind == "shape":
            arrays[array] = draw(st.sampled_from([
                lambda a: a[..., None], lambda a: a.reshape(-1)[:-1], lambda a: a.reshape(-1), lambda a: a[:0],
                lambda a: np.concatenate([a, a]),
                lambda a: a.T, lambda a: np.zeros((0, 2**40), a.dtype),
            ]))(np.atleast_1d(before)).copy(order="C")  # fmt: skip
        elif before.size:
            changed = before.copy().reshape(-1)
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                changed[draw(st.integers(0, changed.size - 1))] = np.array(draw(st.sampled_from(VALUES))).astype(
                    before.dtype
                )
            arrays[array] = changed.reshape(before.shape)
    return written(header, arrays)


def read_again(arrays, name):
    """Scores after each item, of the models that count, by loops over the arrays; None for the networks."""
    n = len(arrays["popularity"])
    popularity = arrays["popularity"].astype(float)
    if name == "popularity":
        return np.tile(popularity, (n, 1))
    names = {"markov": ("counts", "following", "rows"), "item-knn": ("data", "indices", "indptr")}.get(name)
    if names is None:
        return None
    data, columns, rows = (arrays[f"state.{array}"] for array in names)
    matrix = np.zeros((n, n))
    for row in range(n):
        for at in range(rows[row], rows[row + 1]):
            matrix[row, columns[at]] = data[at]
    if name == "markov":
        return matrix + popularity / (popularity.sum() + 1)
    return np.where(matrix > 0, matrix, -1 / (1 + popularity))


@examples(700)
@given(model_files())
def test_a_model_file_is_read_as_it_is_or_refused(folder, content):
    path = folder / "model.safetensors"
    path.write_bytes(content)
    model = judged(lambda: files.load(path), path)
    if model is None:
        return
    header, arrays = parts(content)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, arrays[f"state.{name}"])
    n = len(model.vocabulary)
    assert (
        model.popularity.dtype == np.int64
        and (model.popularity >= 0).all()
        and len(set(model.vocabulary.tolist())) == n
    )
    assert model.settings.model_dump(mode="json").items() >= header["model"].items()
    every_item = Sessions(np.arange(n, dtype=np.int32), np.arange(n + 1), model.vocabulary)
    scores = model.score(every_item)
    assert scores.shape == (n, n)
    expected = read_again(arrays, header["model"]["model"])
    if expected is not None:
        np.testing.assert_allclose(scores, expected, rtol=1e-6)


def harmful_files():
    """Model files that claim or hold more than they should, by what they do."""
    header, arrays = parts(CONTENTS["markov"])
    networks, weights = parts(CONTENTS["gru4rec"])
    bombs = {
        "nothing": b"\0" * 8,
        "a header of 10^18 bytes": (10**18).to_bytes(8, "little") + b"{}",
        "a header of 60 MB": (60_000_000).to_bytes(8, "little") + b" " * 60_000_000,
    }
    deep = safetensors.numpy.save(arrays, {"studylib": "[" * 100_000})
    claims = b'{"x":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'
    layers = networks["model"] | {"hidden": 2**16, "embedding": 2**16, "layers": 100}
    ids = json.dumps([*map(str, range(5000)), "z" * 200_000])
    bombs |= {
        "a deep header": deep,
        "a shape beyond the file": len(claims).to_bytes(8, "little") + claims + b"\0" * 64,
        "a network of 10 TB": written(networks | {"model": layers}, weights),
        "a history of 10^12": written(parts(CONTENTS["sasrec"])[0] | {"history": 2**31 - 1}, parts(CONTENTS["sasrec"])[1]),
        "one long id": written(header, arrays | {"vocabulary": np.frombuffer(ids.encode(), np.uint8),
        "popularity": np.ones(5001, np.int64)}),
        "deep ids": written(header, arrays | {"vocabulary": np.frombuffer(b"[" * 10**6, np.uint8)}),
        "an index out of the matrix": written(header, arrays | {"state.following": arrays["state.following"] + 10**6}),
        "an index before the matrix": written(header, arrays | {"state.following": arrays["state.following"] - 9}),
        "rows out of the matrix": written(header, arrays | {"state.rows": arrays["state.rows"] * 10**6}),
        "events beyond all": written(header, arrays | {"popularity": np.full(5, 2**62)}),
    }  # fmt: skip
    return bombs


BOMBS = harmful_files()

READ_ALL = """
import resource, sys
from pathlib import Path
from studylib.errors import StudyError
from studylib.models import files
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        files.load(path)
        print("read", path.name)
    except StudyError as error:
        print(error)
"""


def test_what_claims_much_is_refused_in_a_gigabyte(tmp_path):
    for number, content in enumerate(BOMBS.values()):
        (tmp_path / f"{number:02}").write_bytes(content)
    done = subprocess.run([sys.executable, "-c", READ_ALL, tmp_path], capture_output=True, text=True, timeout=300)
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(said) == len(BOMBS) and all(line.startswith(f"{tmp_path}/") and len(line) <= 300 for line in said), said


WORST = [
    "a deep header",
    "a network of 10 TB",
    "one long id",
    "deep ids",
    "an index out of the matrix",
    "a header of 60 MB",
    "events beyond all",
]


@pytest.mark.parametrize("name", WORST)
def test_the_command_says_it_in_a_sentence(tmp_path, name):
    (tmp_path / "m").write_bytes(BOMBS[name])
    command = [Path(sys.executable).with_name("studylib"), "recommend", tmp_path / "m", "--session", "a"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"studylib: {tmp_path / 'm'}: ") and len(done.stderr) <= 300 + len("studylib: \n")


CELL = {
    "architecture": "gru", "activation": "tanh", "optimizer": "sgd", "batch_size": 64, "seed": 0, "epochs": 5, "split": "x",
    **dict.fromkeys(["accuracy", "precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1"], 0.5),
    **dict.fromkeys(["hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr", "validation_accuracy", "validation_ndcg@10", "loss"], 0.25),
    "status": "ok", "reason": "finished", "parameters": 10, "curve": [0.5, float("nan")],
}  # fmt: skip
CELL_ARRAYS = {
    name: np.arange(4, dtype=np.int32) for name in ("above", "tied", "top", "validation_above", "validation_tied")
}
PROTOCOL = {"listed": 9, "not_numbers": 0, "top_share": 0.5, "percentile": 0.9, "coverage@10": 0.25}
RANKS = {"parameters": 3, "epochs": 2, "first_list": [1, 2], "protocols": {"full": PROTOCOL}}
RANKS_ARRAYS = {"full above": np.arange(4, dtype=np.int32), "full tied": np.zeros(4, np.int32)}
ODD = [
    None,
    True,
    -1,
    10**30,
    "x",
    "",
    [],
    {},
    [[]],
    float("nan"),
    {"listed": 3},
    [1, "x"],
    {"full": 3},
    {"other": {"listed": 9, "not_numbers": 0}},
]


def kept(folder, facts, content):
    """A result by hand: the arrays are the bytes of an npz file, whatever is in them."""
    sums = {"arrays": checksum(content), "facts": checksum(json.dumps(facts).encode())}
    (folder / "r.npz").write_bytes(content)
    (folder / "r.json").write_text(json.dumps({"checksums": sums, **facts}) + "\n")


def packed(arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zeros_that_claim(shape, size):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": shape})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("above.npy", header.getvalue() + b"\0" * size)
    return file.getvalue()


@st.composite
def results(draw):
    """A kept cell or ranks in which something is otherwise: which of the two, the facts and the content of the arrays' file."""
    kind, facts, arrays = draw(st.sampled_from([("cell", CELL, CELL_ARRAYS), ("ranks", RANKS, RANKS_ARRAYS)]))
    facts, arrays = dict(facts), dict(arrays)
    change = draw(st.sampled_from(["fact", "fact", "no fact", "array", "no array", "bytes", "nothing"]))
    if change == "fact":
        facts[draw(st.sampled_from(sorted(facts)))] = draw(st.sampled_from(ODD))
    elif change == "no fact":
        del facts[draw(st.sampled_from(sorted(facts)))]
    elif change in ("array", "no array"):
        name = draw(st.sampled_from(sorted(arrays)))
        if change == "no array":
            del arrays[name]
        else:
            arrays[name] = draw(st.sampled_from([
                np.zeros((2, 2), np.int32), np.zeros(3, np.int32), np.array(["x"]), np.full(4, -1, np.int32),
                np.full(4, 2**31 - 1, np.int32),
                np.zeros(4), np.full(4, np.nan), np.array(7, np.int32), np.zeros(4, bool), np.zeros((4, 10), np.int32),
            ]))  # fmt: skip
    content = packed(arrays)
    if change == "bytes":
        broken = bytearray(content)
        broken[draw(st.integers(0, len(broken) - 1))] ^= 1 << draw(st.integers(0, 7))
        content = bytes(broken[: draw(st.sampled_from([None, None, 40, 0]))])
    return kind, change, facts, arrays, content


@examples(500)
@given(results())
def test_a_kept_result_is_read_as_it_is_or_is_damaged(folder, result):
    kind, change, facts, arrays, content = result
    store = cell_store(folder) if kind == "cell" else Store(folder / "cells", "03_ranking_evaluation", _is_ranks)
    store.folder.mkdir(exist_ok=True)
    kept(store.folder, facts, content)
    place = store.folder / "r.json"
    read = judged(lambda: store.load("r"), place)
    if read is not None:
        assert json.dumps(read.facts) == json.dumps(facts)
        assert all((read.arrays[name] == array).all() for name, array in arrays.items())
        expected = {**(CELL if kind == "cell" else RANKS)}
        assert facts.keys() >= expected.keys()
        assert all(is_a(facts[name], value) for name, value in expected.items())
        assert all(array.dtype.kind == "i" for array in arrays.values()) or change == "bytes"
    else:
        assert change != "nothing"
        with pytest.warns(UserWarning, match="is damaged: set aside"):
            assert not store.has("r")


def is_a(found, model):
    """Whether a value is of the type of another; numbers may be NaN."""
    if isinstance(model, float):
        return type(found) in (int, float)
    return type(found) is type(model) or (isinstance(model, int) and found != found)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: (folder / "r.json").write_text("[" * 100_000),
        lambda folder: (folder / "r.json").write_text('{"checksums": ' * 50_000),
        lambda folder: (folder / "r.json").write_text(f'{{"checksums": {"9" * 5000}}}'),
        lambda folder: (folder / "r.json").write_text(" " * 2**25),
        lambda folder: (folder / "r.json").write_bytes(b"\xff\xfe" * 9),
        lambda folder: kept(folder, CELL, zeros_that_claim((10**12,), 100)),
        lambda folder: kept(folder, CELL, zeros_that_claim((10**12,), 10**8)),
        lambda folder: kept(folder, CELL, packed({"above": np.array([{}], dtype=object)})),
    ],
)  # fmt: skip
def test_a_kept_result_that_claims_much_is_damaged(tmp_path, write):
    store = cell_store(tmp_path)
    store.folder.mkdir()
    write(store.folder)
    assert judged(lambda: store.load("r"), store.folder / "r.json") is None


SETTINGS = {
    "hidden": 128,
    "embedding": 64,
    "dropout_items": 0.0436,
    "negatives": 1024,
    "learning_rate": 0.0068,
    "l2": 1e-07,
    "log_q": True,
}
TUNED = "# Selected\n" + yaml.safe_dump(SETTINGS, sort_keys=False)


@st.composite
def tuned_texts(draw):
    text = TUNED
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 20))
        piece = draw(st.sampled_from(["", "\n", "[", "*a", "&a ", "!!int ", "- ", "label: x\n", "model: sasrec\n",
        "tuned: y\n", "<<: ", ": ", "9" * 30])
                     | st.characters(codec="utf-8"))  # fmt: skip
        text = text[:at] + piece + text[at + length :]
    return text


@examples(400)
@given(tuned_texts())
def test_tuned_settings_are_read_as_they_are_or_refused(folder, text):
    entry = Gru4Rec(tuned="gru4rec", label="mine")
    path = folder / params_files.tuned_path("yelp", "gru4rec")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    root, params_files.project_root = params_files.project_root, lambda: folder
    try:
        model = judged(lambda: params_files.tuned(entry, "yelp"), path)
    finally:
        params_files.project_root = root
    if model is None:
        return
    words = yaml.load(text, yaml.BaseLoader)
    assert model.label == "mine" and model.tuned == "gru4rec" and type(model) is Gru4Rec
    assert words.keys() == model.model_fields_set - {"label", "tuned", "model"}
    for key, word in words.items():
        value = getattr(model, key)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        assert float(word.replace("_", "")) == value if number else str(value).lower() == word.lower()
