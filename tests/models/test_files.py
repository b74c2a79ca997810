"""Model files: the same scores again, no code in them, and damaged ones refused in a sentence."""

import errno
import json
import pickle

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.models import build, files
from studylib.models.baselines import Popularity
from studylib.params.models import (
    Bpr,
    Ease,
    Gru4Rec,
    ItemKnn,
    Markov,
    Popularity as PopularityParams,
    SasRec,
    SessionKnn,
    Stan,
)

LISTS = [["a", "ü|b", "c"], ["a", "ü|b", "d"], ["c", "a"], ["d", "d", "a", 'e"\\']]
SMALL = {"embedding": 8, "hidden": 12, "batch_size": 8, "max_epochs": 2}
MODELS = {
    "popularity": PopularityParams(),
    "markov": Markov(label="chain"),
    "gru4rec": Gru4Rec(label="small", **SMALL, negatives=3),
    "separate": Gru4Rec(**SMALL, item_embedding="separate", cell="hybrid", input_decay=0.5, feed_forward=1),
    "one-hot": Gru4Rec(**SMALL, item_embedding="none", loss="bpr", batches="session-parallel"),
    "sasrec": SasRec(embedding=8, max_epochs=2),
    "item-knn": ItemKnn(decay=0.7),
    "session-knn": SessionKnn(),
    "stan": Stan(),
    "ease": Ease(),
    "bpr-mf": Bpr(factors=4, max_epochs=10),
}
LOGS = {"text": Sessions.from_lists(LISTS), "numbers": Sessions.from_lists([[5, -3, 70], [70, 5], [2**40, 5, -3]])}


def fitted(params, log, seed=3):
    return build(params, history=4, seed=seed, device="cpu").fit(log)


def all_prefixes(log):
    events = np.setdiff1d(np.arange(len(log.items)), log.offsets[:-1])
    return Cases(log, events).prefixes()


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_a_model_comes_back_as_it_was(tmp_path, params, log):
    model = fitted(params, log)
    files.save(model, tmp_path / "new" / "m.safetensors")
    again = files.load(tmp_path / "new" / "m.safetensors")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["m.safetensors"]
    assert type(again) is type(model) and again.settings == model.settings
    np.testing.assert_array_equal(again.score(all_prefixes(log)), model.score(all_prefixes(log)))
    for name in ("vocabulary", "popularity"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
        assert getattr(again, name).dtype == getattr(model, name).dtype
    for name in ("history", "seed", "parameters", "epochs", "trained_on"):
        assert getattr(again, name) == getattr(model, name)
    assert again.trained_on == log.checksum and again.parameters > 0
    session = [log.vocabulary[1]]
    assert again.recommend(session) == model.recommend(session)
    assert files.to_bytes(again) == files.to_bytes(model) == (tmp_path / "new" / "m.safetensors").read_bytes()


def test_the_label_the_history_and_the_seed_are_kept(tmp_path):
    files.save(fitted(MODELS["gru4rec"], LOGS["text"]), tmp_path / "m")
    with safe_open(tmp_path / "m", "np") as file:
        header = json.loads(file.metadata()["studylib"])
    assert header["model"]["label"] == "small" and header["model"]["negatives"] == 3
    assert (header["history"], header["seed"], header["version"]) == (4, 3, files.VERSION)


def test_a_path_may_be_text(tmp_path):
    model = fitted(Markov(), LOGS["text"])
    files.save(model, str(tmp_path / "chain.safetensors"))
    assert files.load(str(tmp_path / "chain.safetensors")).recommend(["a"]) == model.recommend(["a"])
    with pytest.raises(StudyError, match="there is no such model file"):
        files.load("nowhere.safetensors")


def test_a_chain_without_a_step_comes_back(tmp_path):
    files.save(fitted(Markov(), Sessions.from_lists([["a"], ["b"]])), tmp_path / "m")
    assert files.load(tmp_path / "m").recommend(["b"]) == ["a"]


def test_what_is_not_contiguous_is_kept_as_it_reads(tmp_path):
    model = fitted(MODELS["gru4rec"], LOGS["text"])
    state = model.state()
    turned = {name: np.asfortranarray(array) for name, array in state.items()}
    model.state = lambda: turned
    files.save(model, tmp_path / "m")
    for name, array in files.load(tmp_path / "m").state().items():
        np.testing.assert_array_equal(array, state[name])


def test_a_model_of_another_device_loads_on_the_cpu(tmp_path):
    model = fitted(MODELS["gru4rec"], LOGS["text"])
    model.device = "cuda"  # as a model says that was trained on one
    files.save(model, tmp_path / "m")
    again = files.load(tmp_path / "m")
    assert again.device == "cpu" and {p.device.type for p in again.network.parameters()} == {"cpu"}


def test_nothing_is_pickled_or_unpickled(tmp_path, monkeypatch):
    model = fitted(MODELS["gru4rec"], LOGS["text"])

    def no(*arguments, **options):
        raise AssertionError("pickled")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, no)
    files.save(model, tmp_path / "m")
    assert files.load(tmp_path / "m").recommend(["a"]) == model.recommend(["a"])


@pytest.fixture
def content():
    return files.to_bytes(fitted(MODELS["markov"], LOGS["text"]))


def refused(path, content, words):
    path.write_bytes(content)
    with pytest.raises(StudyError, match=words) as error:
        files.load(path)
    assert str(error.value).startswith(f"{path}: ") and len(str(error.value).splitlines()) == 1


def test_every_flipped_bit_is_seen(tmp_path, content):
    for position in range(len(content)):
        for bit in (position % 8, 5):  # 5: from one case to the other
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            refused(tmp_path / "m", flipped, "damaged|not a model file|version")


def test_every_shorter_or_longer_file_is_refused(tmp_path, content):
    for length in range(len(content)):
        refused(tmp_path / "m", content[:length], "is damaged, or no model file; copy it again, or train it again")
    refused(tmp_path / "m", content + b"\0", "is damaged")


def test_other_files_are_refused(tmp_path):
    refused(tmp_path / "m", b"PK\x03\x04" + bytes(range(256)), "is damaged, or no model file")
    refused(tmp_path / "m", b"31883|31304\n" * 20, "is damaged, or no model file")
    other = safetensors.numpy.save({"w": np.zeros(3)}, {"format": "pt"})
    refused(tmp_path / "m", other, "is a file of safetensors, but not a model file of studylib")
    refused(tmp_path / "m", safetensors.numpy.save({"w": np.zeros(3)}), "not a model file of studylib")
    with pytest.raises(StudyError, match=r"there is no such model file; .*--only 03 --fresh"):
        files.load(tmp_path / "none.safetensors")
    with pytest.raises(StudyError, match="is damaged, or no model file"):
        files.load(tmp_path)


def rewritten(content, change):
    """The file with another content, and the right checksum for it."""
    arrays = safetensors.numpy.load(content)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["studylib"])
    del header["checksum"]
    change(header, arrays)
    header["checksum"] = files._checksum(header, arrays)
    return safetensors.numpy.save(arrays, {"studylib": json.dumps(header)})


def test_a_file_of_another_version_says_so(tmp_path, content):
    newer = rewritten(content, lambda header, arrays: header.update(version=2))
    refused(
        tmp_path / "m", newer, "has version 2 of the model files, and this studylib reads version 1; train it again"
    )


@pytest.mark.parametrize("name", ["markov", "gru4rec"])
def test_arrays_of_wrong_shapes_and_settings_of_other_models_are_refused(tmp_path, name):
    content = files.to_bytes(fitted(MODELS[name], LOGS["text"]))
    (tmp_path / "same").write_bytes(rewritten(content, lambda header, arrays: None))
    files.load(tmp_path / "same")
    learnt = [key for key in safetensors.numpy.load(content) if key.startswith("state.")]
    changes = [
        lambda header, arrays: header["model"].update(model="transformer"),
        lambda header, arrays: header["model"].update(no_such_setting=1),
        lambda header, arrays: header.pop("history"),
        lambda header, arrays: arrays.update(popularity=arrays["popularity"][1:]),
        lambda header, arrays: arrays.update(vocabulary=np.arange(3)),
        lambda header, arrays: arrays.pop("vocabulary"),
    ]
    for key in learnt:
        changes += [
            lambda header, arrays, key=key: arrays.pop(key),
            lambda header, arrays, key=key: arrays.update({key: arrays[key][:-1].copy()}),
            lambda header, arrays, key=key: arrays.update({key: arrays[key][..., None].copy()}),
        ]
    for change in changes:
        refused(
            tmp_path / "m", rewritten(content, change), "is not what this version of studylib reads; train it again"
        )


@pytest.mark.parametrize(
    "name", ["popularity", "markov", "gru4rec", "sasrec", "item-knn", "session-knn", "stan", "ease", "bpr-mf"]
)
def test_values_that_no_model_learns_are_refused(tmp_path, name):
    content = files.to_bytes(fitted(MODELS[name], LOGS["text"]))
    learnt = safetensors.numpy.load(content)
    spoilt = [lambda header, arrays: arrays.update(popularity=-arrays["popularity"])]
    spoilt += [lambda header, arrays: arrays.update({"state.more": np.zeros(3)})]
    for key in learnt:
        if learnt[key].dtype.kind == "f":
            spoilt += [lambda header, arrays, key=key: arrays.update({key: arrays[key] * np.nan})]
        elif key != "vocabulary":
            spoilt += [lambda header, arrays, key=key: arrays.update({key: np.asarray(arrays[key] - 100)})]
            spoilt += [lambda header, arrays, key=key: arrays.update({key: np.asarray(arrays[key] + 2**30)})] * (
                key != "popularity"
            )
    for change in spoilt:
        refused(
            tmp_path / "m", rewritten(content, change), "is not what this version of studylib reads; train it again"
        )


def test_counts_and_similarities_are_not_negative(tmp_path):
    for name, key in (("markov", "state.counts"), ("item-knn", "state.data")):
        content = files.to_bytes(fitted(MODELS[name], LOGS["text"]))
        negative = rewritten(content, lambda header, arrays, key=key: arrays.update({key: -arrays[key]}))
        refused(tmp_path / "m", negative, "is not what this version of studylib reads")


@pytest.mark.parametrize(
    "ids",
    ["[" * 50_000, "{}", "7", '"abcd"', "[1, 2, 3, 4, 5]", '["a", "b", "c", "d", "d"]', '["e", "d", "c", "b", "a"]', "[]",
     '["a", "b", "c", "d", "\\ud800"]'],
)  # fmt: skip
def test_ids_are_distinct_texts_in_order(tmp_path, content, ids):
    text = np.frombuffer(ids.encode(), np.uint8)
    refused(
        tmp_path / "m", rewritten(content, lambda header, arrays: arrays.update(vocabulary=text)), "is not what this"
    )


def test_what_a_file_claims_takes_no_memory(tmp_path, content):
    deep = safetensors.numpy.save({"w": np.zeros(3)}, {"studylib": "[" * 100_000})
    refused(tmp_path / "m", deep, "is damaged, or no model file")
    refused(tmp_path / "m", (10**18).to_bytes(8, "little") + b"{}", "is damaged, or no model file")
    huge = {"model": "gru4rec", "hidden": 2**16, "embedding": 2**16, "layers": 100}
    network = files.to_bytes(fitted(MODELS["gru4rec"], LOGS["text"]))
    refused(tmp_path / "m", rewritten(network, lambda header, arrays: header.update(model=huge)), "is not what this")
    ids = json.dumps([*map(str, range(10_000, 15_000)), "z" * 100_000]).encode()
    long = {"vocabulary": np.frombuffer(ids, np.uint8), "popularity": np.ones(5001, np.int64)}
    refused(tmp_path / "m", rewritten(content, lambda header, arrays: arrays.update(long)), "is not what this")


def test_a_model_that_has_diverged_is_not_whole():
    model = fitted(MODELS["bpr-mf"], LOGS["text"])
    assert files.is_whole(model)
    model.bias = model.bias * np.nan
    assert not files.is_whole(model)


def test_half_a_file_never_takes_the_place_of_a_whole_one(tmp_path, monkeypatch):
    model = fitted(MODELS["popularity"], LOGS["text"])
    files.save(model, tmp_path / "m")

    def full_disk(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("studylib.paths.os.fsync", full_disk)
    with pytest.raises(StudyError, match=r"m: cannot be written \(No space left on device\); make room"):
        files.save(model, tmp_path / "m")
    assert isinstance(files.load(tmp_path / "m"), Popularity)
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]
