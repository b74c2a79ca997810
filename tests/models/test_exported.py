"""A network in an ONNX file scores as it does here, as onnxruntime reads it."""

import json

import numpy as np
import onnxruntime
import pytest

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models.baselines import Markov
from studylib.models.batches import pad
from studylib.models.exported import to_onnx
from studylib.models.gru4rec import GRU4Rec
from studylib.models.sasrec import SASRec

HISTORY = 6


def log():
    random = np.random.default_rng(0)
    return Sessions.from_lists([[f"p{i}" for i in random.integers(0, 30, random.integers(1, 12))] for _ in range(80)])


def scored(content, sessions, history=HISTORY):
    """What onnxruntime gives, in two batches of other shapes."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    recent = sessions.last_events(history)
    parts = [pad(recent, rows) for rows in (np.arange(1), np.arange(1, len(recent)))]
    return np.concatenate([session.run(None, {"items": items, "lengths": lengths})[0] for items, lengths in parts])


NETWORKS = {
    "gru": {},
    "gru, fast, separate rows": {"arithmetic": "fast", "item_embedding": "separate"},
    "one-hot items, two layers": {"item_embedding": "none", "layers": 2},
    "one-hot items, hybrid": {"item_embedding": "none", "cell": "hybrid-gru-lstm"},
    "lstm": {"cell": "lstm"},
    "hybrid": {"cell": "hybrid", "feed_forward": 2},
    "minGRU": {"cell": "mingru", "residual": True, "layers": 2},
    "minLSTM": {"cell": "minlstm", "normalise": True},
    "lru, a block": {"cell": "lru", "normalise": True, "residual": True, "widening": 2},
    "decaying input, deep": {"input_decay": 0.5, "deep_input": True, "layers": 2},
}


@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
def test_a_recurrent_network_scores_equally(settings):
    model = GRU4Rec(HISTORY, device="cpu", embedding=8, hidden=12, negatives=16, max_epochs=1, **settings).fit(log())
    np.testing.assert_allclose(scored(to_onnx(model), log()), model.score(log()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_scores_equally(heads):
    model = SASRec(HISTORY, device="cpu", embedding=8, heads=heads, negatives=16, max_epochs=1).fit(log())
    np.testing.assert_allclose(scored(to_onnx(model), log()), model.score(log()), atol=1e-5, rtol=0)


def test_the_file_says_its_ids_and_is_the_same_for_the_same_model():
    model = GRU4Rec(HISTORY, device="cpu", embedding=8, hidden=8, max_epochs=1).fit(log())
    content = to_onnx(model)
    said = onnxruntime.InferenceSession(content).get_modelmeta().custom_metadata_map
    assert json.loads(said["ids"]) == model.vocabulary.tolist() and said["history"] == str(HISTORY)
    assert content == to_onnx(model)


def test_what_is_no_network_or_too_large_is_refused_with_a_sentence(monkeypatch):
    with pytest.raises(StudyError, match=r"^A model 'markov' cannot be exported to ONNX, only GRU4Rec and SASRec can"):
        to_onnx(Markov().fit(log()))
    monkeypatch.setattr("studylib.models.exported.MOST_BYTES", 100)
    with pytest.raises(StudyError, match=r"^The weights take 0\.0 GB, and an ONNX file holds at most 2"):
        to_onnx(GRU4Rec(device="cpu", embedding=8, hidden=8, max_epochs=1).fit(log()))
