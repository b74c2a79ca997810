"""BPR matrix factorisation through `implicit`: what it learns, that it is repeatable, and how prefixes are folded in."""

import numpy as np
import pytest

from studylib.data.sessions import Cases, Sessions
from studylib.data.splits import leave_one_out
from studylib.evaluation.ranking import rank_cases
from studylib.models.baselines import Popularity
from studylib.models.factors import BPR, ROUND

SMALL = {"factors": 8, "max_epochs": 40, "learning_rate": 0.2}


@pytest.fixture(scope="module")
def split():
    """Two groups of visitors, who each keep to their own ten of the twenty items."""
    random = np.random.default_rng(0)
    lists = [random.choice(np.arange(10) + 10 * (s % 2), 6, replace=False).tolist() for s in range(400)]
    return leave_one_out(Sessions.from_lists(lists))


def same(first, second):
    return all(np.array_equal(first.state()[name], second.state()[name]) for name in first.state())


def test_it_learns_which_items_go_together(split):
    model = BPR(**SMALL).fit(split.train, split.validation)
    hits = rank_cases(model, split.test)["full"].metric("hr@10").mean()
    chance = rank_cases(Popularity().fit(split.train), split.test)["full"].metric("hr@10").mean()
    assert hits > 0.95 > 0.7 > chance
    # A session that no training has seen is folded in as any other.
    new = Sessions(np.array([11, 13], np.int32), np.array([0, 2]), split.train.vocabulary)
    assert set(np.argsort(-model.score(new)[0])[:10]) == set(range(10, 20))
    assert model.parameters == 20 * 9 + 400 * 8


def test_a_seed_gives_the_same_factors_and_another_seed_others(split):
    first, again, other = (BPR(**SMALL, seed=seed).fit(split.train) for seed in (0, 0, 1))
    assert same(first, again) and not same(first, other)


def test_a_prefix_is_the_mean_of_its_items(split):
    model = BPR(**SMALL, fold_in=3.0).fit(split.train)
    prefixes = Sessions(np.array([4, 4, 7, 2], np.int32), np.array([0, 3, 4]), split.train.vocabulary)
    users = 3 * np.array([(2 * model.items[4] + model.items[7]) / 3, model.items[2]])
    np.testing.assert_allclose(model.score(prefixes), users @ model.items.T + model.bias, rtol=1e-5, atol=1e-6)
    backwards = Sessions(np.array([7, 4, 4], np.int32), np.array([0, 3]), split.train.vocabulary)
    np.testing.assert_allclose(model.score(backwards)[0], model.score(prefixes)[0], rtol=1e-5, atol=1e-6)


def test_the_best_round_is_kept_and_training_stops_after_its_patience(split, monkeypatch):
    values = iter([0.1, 0.5, 0.3, 0.4, 0.2, 0.9])
    monkeypatch.setattr("studylib.models.factors.validation_ndcg", lambda *arguments: next(values))
    model = BPR(**SMALL | {"max_epochs": 100}, patience=3 * ROUND).fit(split.train, split.validation)
    assert model.epochs == 5 * ROUND and [p["validation_ndcg@10"] for p in model.curve] == [0.1, 0.5, 0.3, 0.4, 0.2]
    assert same(model, BPR(**SMALL | {"max_epochs": 2 * ROUND}).fit(split.train))


def test_without_validation_it_trains_all_epochs(split):
    nothing = Cases(split.train, np.zeros(0, np.int64))
    assert BPR(**SMALL).fit(split.train, nothing).epochs == 40


def test_a_restored_model_scores_the_same(split):
    model, other = BPR(**SMALL).fit(split.train), BPR(**SMALL)
    other.vocabulary, other.popularity = model.vocabulary, model.popularity
    other.restore(model.state())
    prefixes = split.test.prefixes()
    np.testing.assert_array_equal(other.score(prefixes), model.score(prefixes))
