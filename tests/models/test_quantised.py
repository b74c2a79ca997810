"""GRU4Rec in 8 bits: how weights are rounded, that the rounded network is the library's own, and which networks are refused."""

import numpy as np
import pytest

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models.baselines import Popularity
from studylib.models.gru4rec import GRU4Rec
from studylib.models.quantised import Rows, quantised

LOG = Sessions.from_lists([["a", "b", "c"], ["b", "c", "d"], ["a", "d"], ["c", "a", "b"]] * 5)


def small(**settings):
    defaults = {"embedding": 5, "hidden": 7, "max_epochs": 1, "negatives": 0}
    return GRU4Rec(history=3, device="cpu", **(defaults | settings)).fit(LOG)


def test_a_row_is_rounded_to_its_own_scale():
    matrix = np.array([[1.27, -0.634, 0.006], [0, 0, 0], [-1e-6, 4e-7, 0]], np.float32)
    rows = Rows.of(matrix)
    assert rows.values.dtype == np.int8 and rows.scales.dtype == np.float32
    assert rows.values.tolist() == [[127, -63, 1], [0, 0, 0], [-127, 51, 0]]
    assert (np.abs(rows.restored() - matrix) <= rows.scales[:, None] * 0.5001).all()


@pytest.mark.parametrize("settings", [{}, {"item_embedding": "separate"}, {"embedding": 7}, {"embedding": 1}])
def test_the_network_has_the_rounded_weights_and_the_model_keeps_its_own(settings):
    model = small(**settings)
    own = {name: array.copy() for name, array in model.state().items()}
    rounded, weights = quantised(model)
    assert type(rounded) is GRU4Rec and rounded.history == 3
    for name, array in rounded.state().items():
        weight = weights[name]
        if array.ndim == 1 or name == "tables.bias":
            assert isinstance(weight, np.ndarray) and (weight == own[name].ravel()).all() and (array == own[name]).all()
        else:
            assert (
                isinstance(weight, Rows)
                and (array == weight.restored()).all()
                and (array.shape[1] == 1 or (array != own[name]).any())
            )
    assert all((array == own[name]).all() for name, array in model.state().items())
    assert ("head.0.weight" in weights) == (model.settings.embedding != model.settings.hidden)
    scores = rounded.score(LOG)
    assert scores.dtype == np.float64 and np.abs(scores - model.score(LOG)).max() < 0.05


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "lstm"}, {"layers": 2}, {"item_embedding": "none"}, {"input_decay": 0.5}, {"feed_forward": 1},
        {"normalise": True}, {"residual": True}, {"widening": 2}, {"precision": "bfloat16"},
    ],
    ids=lambda settings: next(iter(settings)),
)  # fmt: skip
def test_another_network_is_refused_by_the_setting_that_it_has(settings):
    with pytest.raises(StudyError, match=f"^'{next(iter(settings))}: .* has no form in 8 bits: only '.*' has.$"):
        quantised(small(**settings))


def test_a_model_that_is_counted_is_refused():
    with pytest.raises(StudyError, match="'popularity' has no form in 8 bits: only GRU4Rec has"):
        quantised(Popularity().fit(LOG))
