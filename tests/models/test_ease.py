"""EASE against the regressions that it is the closed form of."""

import numpy as np
import pytest

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models import ease
from studylib.models.ease import EASE
from studylib.models.neighbours import incidence


def log(n=40, n_items=7):
    random = np.random.default_rng(0)
    return Sessions.from_lists([random.choice(n_items, 3).tolist() for _ in range(n)])


def test_the_weights_of_an_item_are_those_of_a_ridge_regression_on_all_others():
    sessions, l2 = log(), 2.5
    model = EASE(l2=l2).fit(sessions)
    occurs = incidence(sessions).toarray()
    for item in range(sessions.n_items):
        others = np.arange(sessions.n_items) != item
        x, y = occurs[:, others], occurs[:, item]
        expected = np.linalg.solve(x.T @ x + l2 * np.eye(x.shape[1]), x.T @ y)
        np.testing.assert_allclose(model.weights[others, item], expected, atol=1e-6)
        assert model.weights[item, item] == 0
    assert model.parameters == 7 * 6


def test_the_events_of_a_prefix_weigh_less_the_longer_ago_they_are():
    model = EASE(decay=0.5).fit(log())
    (scores,) = model.score(Sessions(np.array([1, 4, 1], np.int32), np.array([0, 3]), model.vocabulary))
    np.testing.assert_allclose(scores, 1.25 * model.weights[1] + 0.5 * model.weights[4], rtol=1e-6)


def test_a_catalogue_that_is_too_large_is_one_sentence(monkeypatch):
    monkeypatch.setattr(ease, "MOST_ITEMS", 5)
    with pytest.raises(StudyError, match=r"7 items are more than 5: leave it out, or filter the log"):
        EASE().fit(log())


@pytest.mark.parametrize("weights", [np.zeros((7, 6), np.float32), np.zeros((7, 7))])
def test_weights_of_another_catalogue_are_refused(weights):
    model = EASE().fit(log())
    with pytest.raises(ValueError, match="not those of the catalogue"):
        model.restore({"weights": weights})
