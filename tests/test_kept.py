"""What is kept: whole or not there, checked when it is read, and never trained by reading."""

import io
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from studylib import kept
from studylib.comparison import _is_ranks
from studylib.data.sessions import checksum
from studylib.errors import StudyError
from studylib.grid import Training, cell_store, failed_cell
from studylib.kept import Result, Store, Work, complete, key
from studylib.params.study import Execution

RESULT = Result({"loss": float("nan"), "curve": [0.1, 2.5], "status": "ok"}, {"above": np.arange(5, dtype=np.int32)})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells", "02_grid_training")


def test_what_is_kept_comes_back(store):
    assert not store.has("a")
    store.keep("a", RESULT)
    assert store.has("a")
    back = store.load("a")
    assert json.dumps(back.facts) == json.dumps(RESULT.facts)
    np.testing.assert_array_equal(back.arrays["above"], RESULT.arrays["above"])
    assert back.arrays["above"].dtype == np.int32
    store.keep("b", RESULT)
    for suffix in ("json", "npz"):
        assert (store.folder / f"a.{suffix}").read_bytes() == (store.folder / f"b.{suffix}").read_bytes()
    assert sorted(path.name for path in store.folder.iterdir()) == ["a.json", "a.npz", "b.json", "b.npz"]


def test_how_a_result_was_made_changes_none_of_its_bytes_and_may_be_lost(store):
    store.keep("a", RESULT)
    store.keep("b", Result(RESULT.facts, RESULT.arrays, made={"train_seconds": 2.5, "processor": "one"}))
    for suffix in ("json", "npz"):
        assert (store.folder / f"a.{suffix}").read_bytes() == (store.folder / f"b.{suffix}").read_bytes()
    assert store.load("b").times == {"train_seconds": 2.5, "processor": "one"}
    assert np.isnan(store.load("a").times["train_seconds"]) and store.load("a").times["processor"] is None
    for content in (b"", b"[1]", b"{", b"\xff"):
        store.made("b").write_bytes(content)
        assert store.has("b") and store.load("b").made == {}


def test_the_model_is_kept_beside(store):
    store.keep("a", Result({}, {}, b"a model"))
    assert store.model("a").read_bytes() == b"a model" and store.model("a").parent.name == "models"


def damage(path, how):
    content = path.read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "flip": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    }
    path.write_bytes(changed[how])


@pytest.mark.parametrize("suffix", ["json", "npz"])
@pytest.mark.parametrize("how", ["cut", "empty", "flip"])
def test_what_is_damaged_is_set_aside_with_a_word_and_made_again(store, suffix, how):
    store.keep("a", RESULT)
    damage(store.folder / f"a.{suffix}", how)
    with pytest.raises(StudyError, match=r"a\.json is damaged: run notebook 02_grid_training"):
        store.load("a")
    with pytest.warns(UserWarning, match=r"a\.json is damaged: set aside as a\.damaged"):
        assert not store.has("a")
    assert (store.folder / "a.damaged").exists() and not store.has("a")
    store.keep("a", RESULT)
    assert store.has("a")


@pytest.mark.parametrize("content", ["[1]", "null", "{}", '{"checksums": 3}', '{"checksums": {}, "status": "ok"}', "7"])
def test_what_is_no_result_is_damaged(store, content):
    store.keep("a", RESULT)
    (store.folder / "a.json").write_text(content)
    with pytest.raises(StudyError, match="is damaged"):
        store.load("a")


def by_hand(store, facts, content):
    """A result with the right checksums, whatever is in it."""
    sums = {"arrays": checksum(content), "facts": checksum(json.dumps(facts).encode())}
    store.folder.mkdir()
    (store.folder / "a.npz").write_bytes(content)
    (store.folder / "a.json").write_text(json.dumps({"checksums": sums, **facts}))


def test_what_is_deep_or_claims_much_is_damaged(store):
    header, file = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("above.npy", header.getvalue())
    by_hand(store, {}, file.getvalue())
    for content in (None, "[" * 100_000, '{"a": ' * 50_000, f"[{'9' * 5000}]"):
        if content:
            (store.folder / "a.json").write_text(content)
        with pytest.raises(StudyError, match="is damaged"):
            store.load("a")


@pytest.mark.parametrize("change", [
    {"curve": 3}, {"curve": ["x"]}, {"accuracy": "0.5"}, {"epochs": True}, {"status": None},
    {"above": np.zeros((2, 2), np.int32)},
    {"above": np.zeros(3)}, {"tied": np.zeros(9, np.int32)},
])  # fmt: skip
def test_a_cell_of_other_types_is_damaged_also_with_the_right_checksum(tmp_path, change):
    split = SimpleNamespace(checksum="x")
    cell = failed_cell(Training("gru", "tanh", "sgd", 64, 0), 5, split, "out of memory")
    store = cell_store(tmp_path)
    store.keep("a", cell)
    assert store.load("a").facts["reason"] == "out of memory"
    arrays = {name: value for name, value in change.items() if isinstance(value, np.ndarray)}
    store.keep("a", Result(cell.facts | {k: v for k, v in change.items() if k not in arrays}, cell.arrays | arrays))
    with pytest.raises(StudyError, match="is damaged"):
        store.load("a")


PROTOCOL = {"listed": 9, "not_numbers": 0, "top_share": 0.5, "percentile": 0.9, "coverage@10": 0.25}


@pytest.mark.parametrize("change", [
    {"protocols": 3}, {"protocols": {"full": 3}}, {"protocols": {"other": {}}}, {"epochs": "5"},
    {"first_list": ["x"]}, {"first_list": ""}, {"first_list": {}}, {"protocols": {}}, {"full tied": np.zeros(3, np.int32)},
    {"full above": np.full(2, -1, np.int32)}, {"full above": np.full(2, 9, np.int32)}, {"full tied": np.zeros(2)},
])  # fmt: skip
def test_ranks_of_other_types_are_damaged_also_with_the_right_checksum(tmp_path, change):
    facts = {"parameters": 3, "epochs": 2, "first_list": [1], "protocols": {"full": PROTOCOL}}
    arrays = {
        "full above": np.zeros(2, np.int32),
        "full tied": np.zeros(2, np.int32),
    }
    store = Store(tmp_path / "ranks", "03_ranking_evaluation", _is_ranks)
    store.keep("a", Result(facts, arrays))
    assert store.load("a").facts == facts
    changed = {name: value for name, value in change.items() if isinstance(value, np.ndarray)}
    store.keep("a", Result(facts | {k: v for k, v in change.items() if k not in changed}, arrays | changed))
    with pytest.raises(StudyError, match="is damaged"):
        store.load("a")


def test_a_result_without_its_arrays_is_damaged(store):
    store.keep("a", RESULT)
    (store.folder / "a.npz").unlink()
    with pytest.raises(StudyError, match="is damaged"):
        store.load("a")


def test_reading_what_is_not_there_names_the_notebook(store):
    with pytest.raises(StudyError, match=r"b\.json is not there yet: run notebook 02_grid_training"):
        store.load("b")


def test_a_failed_result_can_be_read_and_is_made_again(store):
    store.keep("a", Result({"status": kept.FAILED}))
    assert not store.has("a") and store.load("a").facts == {"status": "failed"}


def test_only_what_is_missing_is_trained_and_a_training_may_give_several(store, monkeypatch):
    monkeypatch.setattr(kept, "fan_out", lambda f, tasks, *_: ((task, f(task)) for task in tasks))
    trained = []

    def train(task, items):
        trained.append((task, items))
        return {item: Result({"item": item}) for item in items}

    names = {(task, n): f"{task}{n}" for task in "ab" for n in (1, 2)}
    work = Work(store, names, lambda item: item[0], train, None, "trainings", dict)
    store.keep("a2", RESULT)
    for _ in range(2):
        complete(work, Execution())
    assert trained == [("a", [("a", 1)]), ("b", [("b", 1), ("b", 2)])]
    assert store.load("b2").facts == {"item": ["b", 2]} and store.load("a2").facts["status"] == "ok"
    assert {wanted: result.facts.get("item") for wanted, result in work.kept().items()}[("b", 1)] == ["b", 1]
    assert work.tasks() == {"a": [("a", 1), ("a", 2)], "b": [("b", 1), ("b", 2)]}


def test_a_key_is_of_all_that_determines():
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1}) != key({"a": 1, "b": 3})
    assert len(key({})) == 20 and len(key({}, 12)) == 12
