"""STAN against loops that follow its definition."""

from math import exp, inf, log, sqrt

import numpy as np
import pytest

from studylib.data.sessions import Sessions
from studylib.models import stan
from studylib.models.stan import DAY, STAN

SETTINGS = {"neighbours": 12, "sample": 30, "recent": 1.5, "days": 20.0, "near": 2.0, "idf": 1.5}


def slow_stan(train, ends, prefix, settings):
    """float64 (n_items,): the scores, one past session and one item at a time. ``ends``: when each session ended, in days."""
    steps = {item: len(prefix) - place for place, item in enumerate(prefix)}  # of the last event of each item
    places = [{item: place for place, item in enumerate(train[s].tolist())} for s in range(len(train))]
    shared = [set(steps) & set(of) for of in places]
    latest_first = sorted(range(len(train)), key=lambda s: -ends[s])
    sample = [s for s in latest_first if shared[s]][: settings["sample"]]

    def similarity(s):
        total = sum(exp(-(steps[item] - 1) / settings["recent"]) for item in shared[s])
        return total / sqrt(len(places[s]) * len(prefix)) * exp(-(max(ends) - ends[s]) / settings["days"])

    scores = np.zeros(train.n_items)
    for s in sorted(sample, key=lambda s: -round(similarity(s), 9))[: settings["neighbours"]]:
        last = min(shared[s], key=lambda item: steps[item])
        for item, place in places[s].items():
            rare = 1 + settings["idf"] * log(len(train) / sum(item in of for of in places))
            scores[item] += similarity(s) * exp(-abs(place - places[s][last]) / settings["near"]) * rare
    return scores


def made(with_times, seed=3):
    """A log of 120 sessions and sixty prefixes, one of which has nothing in common with any session."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(random.integers(1, 9, 120))])
    items = random.integers(0, 25, offsets[-1]).astype(np.int32)
    ends = random.permutation(120) / 4 if with_times else np.arange(120.0)
    times = np.repeat(ends * DAY, np.diff(offsets)) if with_times else None
    train = Sessions(items, offsets, np.arange(26), times)
    starts = np.concatenate([[0], np.cumsum([*random.integers(1, 14, 59), 1])])
    prefixes = Sessions(np.append(random.integers(0, 25, starts[-2]), 25).astype(np.int32), starts, train.vocabulary)
    return train, ends, prefixes


@pytest.mark.parametrize("with_times", [True, False])
@pytest.mark.parametrize("most_events", [40, 4_000_000])
def test_stan_is_that_of_loops(with_times, most_events, monkeypatch):
    monkeypatch.setattr(stan, "MOST_EVENTS", most_events)
    train, ends, prefixes = made(with_times)
    scored = STAN(**SETTINGS).fit(train).score(prefixes)
    for case in range(len(prefixes)):
        of_one_age = {} if with_times else {"days": inf}
        expected = slow_stan(train, ends, prefixes[case].tolist(), SETTINGS | of_one_age)
        np.testing.assert_allclose(np.maximum(scored[case], 0), expected, rtol=1e-9, atol=1e-12)
    assert (scored[-1] < 0).all() and scored[-1].argmax() == np.bincount(train.items).argmax(), "by popularity"


def test_the_item_that_follows_is_above_one_that_is_as_often_there():
    train = Sessions.from_lists([["a", "b", "c", "d"], ["e", "c", "b", "d"]] * 3)
    first, *rest = STAN(near=1).fit(train).recommend(["a", "b"], k=4)
    assert first == "c" and rest[0] == "d"


def test_a_restored_model_scores_the_same():
    train, _, prefixes = made(with_times=True)
    model = STAN(**SETTINGS).fit(train)
    other = STAN(**SETTINGS)
    other.vocabulary, other.popularity = model.vocabulary, model.popularity
    other.restore(model.state())
    np.testing.assert_array_equal(other.score(prefixes), model.score(prefixes))
    with pytest.raises(ValueError, match="one age"):
        other.restore(model.state() | {"ages": np.zeros(3)})
