"""A visitor followed event by event gets what the whole session gets."""

import numpy as np
import pytest

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models.baselines import Markov
from studylib.models.gru4rec import GRU4Rec
from studylib.models.sasrec import SASRec
from studylib.models.visitor import Visitor, scores_of

SESSIONS = 1000


def log():
    random = np.random.default_rng(0)
    return Sessions.from_lists(
        [
            [f"p{(s + 7 * step) % 40}" for step in range(random.integers(2, 12))]
            for s in random.integers(0, 40, SESSIONS)
        ]
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cell": "lstm", "item_embedding": "separate"},
        {"cell": "mingru", "residual": True, "layers": 2},
        {"cell": "lru", "normalise": True, "residual": True, "widening": 2},
        {"cell": "minlstm", "feed_forward": 2},
        {"item_embedding": "none", "layers": 2},
        {"input_decay": 0.5, "deep_input": True, "layers": 2},
    ],
)
def test_the_scores_are_those_of_the_whole_session(settings):
    sessions = log()
    model = GRU4Rec(20, device="cpu", embedding=8, hidden=12, negatives=16, max_epochs=1, **settings).fit(sessions)
    whole = model.score(sessions)
    lists = [model.vocabulary[sessions[n]].tolist() for n in range(SESSIONS)]
    for n, items in enumerate(lists):
        visitor = Visitor(model)
        assert all(visitor.visit(item) for item in items)
        np.testing.assert_allclose(visitor.scores(), whole[n], atol=1e-5)
        if n < 20:
            assert visitor.recommend(5) == model.recommend(items, 5)
            assert visitor.recommend(5, exclude_visited=False) == model.recommend(items, 5, exclude_visited=False)


def test_a_visitor_without_an_event_gets_the_most_popular_items_and_unknown_ones_are_left_out():
    model = GRU4Rec(device="cpu", embedding=8, hidden=12, max_epochs=1).fit(log())
    visitor = Visitor(model)
    assert visitor.recommend(3) == model.recommend([], 3)
    assert not visitor.visit("nowhere") and visitor.recommend(3) == model.recommend([], 3)
    with pytest.raises(StudyError, match="'k' must be at least 1"):
        visitor.recommend(0)


@pytest.mark.parametrize(
    "model", [SASRec(5, device="cpu", blocks=1, embedding=8, max_epochs=1), Markov(5)], ids=["sasrec", "markov"]
)
def test_a_model_without_a_state_is_followed_by_its_last_events(model):
    sessions = log()
    model.fit(sessions)
    for n in range(20):
        items = model.vocabulary[sessions[n]].tolist()
        visitor = Visitor(model)
        assert all(visitor.visit(item) for item in items) and len(visitor.state) <= 5
        assert visitor.recommend(5) == model.recommend(items, 5)


def test_the_scores_of_several_visitors_are_those_of_each():
    model = GRU4Rec(device="cpu", embedding=8, hidden=12, max_epochs=1).fit(log())
    visitors = [Visitor(model) for _ in range(4)]
    for visitor, items in zip(visitors, (["p1"], [], ["p2", "p9", "p3"], ["nowhere"]), strict=True):
        for item in items:
            visitor.visit(item)
    together = scores_of(visitors)
    assert together.shape == (4, 40)
    for visitor, scores in zip(visitors, together, strict=True):
        np.testing.assert_allclose(scores, visitor.scores(), atol=1e-5)
    assert together[1].tolist() == together[3].tolist() == model.popularity.tolist()
