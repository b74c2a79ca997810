"""A network that goes on learning: it keeps what it had, takes in new items and learns what is new."""

import numpy as np
import pytest

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models import files
from studylib.models.gru4rec import GRU4Rec
from studylib.models.sasrec import SASRec

OLD = Sessions.from_lists([[f"m{(start + step) % 12}" for step in range(5)] for start in range(12)] * 8)
NEW = Sessions.from_lists([["a1", "a2", "m3", "z9"], ["m3", "z9", "a1", "a2"]] * 200)
"""After m3 now z9, after z9 a1, after a1 a2; in the order of ids a1 and a2 stand before all old items, z9 behind them."""

SMALL = {"embedding": 16, "hidden": 16, "negatives": 0, "batch_size": 16, "max_epochs": 20, "device": "cpu"}


def quiet(**settings):
    return GRU4Rec(**SMALL | settings, dropout_embedding=0.0, dropout_hidden=0.0, dropout_items=0.0)


@pytest.fixture(scope="module")
def old():
    return quiet().fit(OLD)


def test_the_rows_of_old_items_and_all_other_weights_go_on_from_where_they_were(old, monkeypatch):
    begins = {}
    monkeypatch.setattr(GRU4Rec, "_train", lambda model, *rest: begins.update(model.state()))
    grown = old.update(NEW)
    assert grown.vocabulary.tolist() == sorted([*OLD.vocabulary.tolist(), "a1", "a2", "z9"])
    rows = np.isin(grown.vocabulary, OLD.vocabulary)
    for name, weight in old.state().items():
        np.testing.assert_array_equal(begins[name][rows] if name.startswith("tables.") else begins[name], weight)
    new_rows = begins["tables.input"][~rows]
    assert (new_rows.std(1) > 0).all() and 0.1 < new_rows.std() < 0.4  # as in any training: 1 / 4
    counted = dict(zip(grown.vocabulary.tolist(), grown.popularity.tolist(), strict=True))
    assert counted["z9"] == 400 and counted["m3"] == 40 + 400 and counted["m4"] == 40


def test_it_learns_what_is_new_forgets_no_rule_and_leaves_the_old_model_as_it_was(old):
    before, weights = old.recommend(["m5"], 1), {name: w.copy() for name, w in old.state().items()}
    assert before == ["m6"]
    grown = old.update(NEW)
    assert grown.recommend([["m3"], ["m3", "z9"], ["a1"]], 1) == [["z9"], ["a1"], ["a2"]]
    assert [grown.recommend([f"m{n}"], 1) for n in (5, 6, 7, 8)] == [[f"m{n}"] for n in (6, 7, 8, 9)]
    assert old.recommend(["m5"], 1) == before and old.recommend(["m3"], 1) == ["m4"]
    for name, weight in old.state().items():
        np.testing.assert_array_equal(weight, weights[name])
    assert grown.epochs == old.epochs + old.UPDATE_EPOCHS and grown.trained_on != old.trained_on


@pytest.mark.parametrize("arithmetic", ["reference", "fast"])
def test_the_same_update_of_a_model_from_its_file(old, tmp_path, arithmetic):
    model = quiet(arithmetic=arithmetic, max_epochs=3).fit(OLD)
    files.save(model, tmp_path / "old.safetensors")
    loaded = files.load(tmp_path / "old.safetensors")
    updated = loaded.update(NEW)
    assert files.to_bytes(updated) == files.to_bytes(model.update(NEW))
    files.save(updated, tmp_path / "new.safetensors")
    assert files.load(tmp_path / "new.safetensors").recommend(["m3"], 1) == ["z9"]


def test_attention_is_updated_too():
    settings = {"embedding": 16, "blocks": 1, "negatives": 0, "batch_size": 16, "max_epochs": 10, "device": "cpu"}
    model = SASRec(dropout_embedding=0.0, dropout_hidden=0.0, dropout_items=0.0, **settings).fit(OLD)
    grown = model.update(NEW)
    assert grown.score(NEW).shape == (400, 15) and grown.recommend(["m3"], 1) == ["z9"]


def test_numbers_and_text_are_ids_of_one_catalogue():
    numbers = quiet().fit(Sessions.from_lists([[9, 10, 11]] * 20))
    grown = numbers.update(Sessions.from_lists([[10, 11, 12]] * 20))
    assert grown.vocabulary.tolist() == [9, 10, 11, 12] and grown.popularity.tolist() == [20, 40, 40, 20]
    mixed = numbers.update(Sessions.from_lists([["10", "b"]] * 20))
    assert mixed.vocabulary.tolist() == ["10", "11", "9", "b"] and mixed.popularity.tolist() == [40, 20, 20, 20]
    assert mixed.recommend(["9"], 1) == ["10"]


def test_nothing_to_learn_is_a_sentence(old):
    with pytest.raises(StudyError, match="There is nothing to learn"):
        old.update(Sessions.from_lists([["z9"], ["m3"]]))
