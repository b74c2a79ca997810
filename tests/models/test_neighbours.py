"""Item-kNN and session-kNN against cases worked out by hand and against loops."""

from math import log, sqrt

import numpy as np
import pytest

from studylib.data.sessions import Cases, Sessions
from studylib.evaluation.ranking import rank_cases
from studylib.models.neighbours import ItemKNN, SessionKNN

# a in 3 sessions, b in 4, c in 2, d in 1, e in 0 (it is only ever a target). Visits: a 4, b 4, c 2, d 1.
# Together: ab 2, ac 1, bc 2, bd 1.
TRAIN = [["a", "b", "a"], ["b", "c"], ["a", "b", "c"], ["d", "b"], ["a"]]


def fitted(model, sessions=TRAIN):
    every_item = Sessions.from_lists([*sessions, ["e"]])
    return model.fit(every_item.select(np.arange(len(every_item.items)) < len(every_item.items) - 1))


def scores(model, prefix):
    """The scores after a prefix, by item."""
    items = np.array(["abcde".index(item) for item in prefix], np.int32)
    row = model.score(Sessions(items, np.array([0, len(items)]), model.vocabulary))[0]
    return dict(zip("abcde", row.tolist(), strict=True))


def ranks(model, sessions):
    every_item = Sessions.from_lists([[*items] for items in [*sessions, "abcde"]])
    return rank_cases(model, Cases(every_item, every_item.offsets[1:-1] - 1))["full"]


def test_the_ranks_of_item_knn_by_hand():
    # Cosines: ab 2/sqrt(12) = .577, ac 1/sqrt(6) = .408, bc 2/sqrt(8) = .707, bd 1/2 = .5; sessions do visit items twice.
    # After a: b, c, then a, d, e by popularity. After b: c, a, d, b, e. After c: b, a, c, d, e. After d: b, a, c, d, e.
    # After e: by popularity a and b, which tie, then c, d, e. After ab with decay 1: b .577 + 0, c .408 + .707, a .577, d .5.
    expected = {
        "ab": 1,
        "ac": 2,
        "ad": 4,
        "ae": 5,
        "bc": 1,
        "ba": 2,
        "bd": 3,
        "bb": 4,
        "ca": 2,
        "cd": 4,
        "db": 1,
        "ec": 3,
    }
    model = fitted(ItemKNN(shrinkage=0, decay=1))
    ranked = ranks(model, expected)
    assert (ranked.above + 1).tolist() == list(expected.values()) and not ranked.tied.any()
    tied = ranks(model, ["ea", "eb", "aba", "abb"])
    assert tied.above.tolist() == [0, 0, 1, 1] and tied.tied.tolist() == [1, 1, 1, 1]
    assert (ranks(model, ["abc", "abd", "abe"]).above + 1).tolist() == [1, 4, 5]
    assert model.parameters == 8  # four pairs, both ways


def test_the_scores_of_item_knn_by_hand():
    after = scores(fitted(ItemKNN(shrinkage=2, decay=0.5)), "aab")
    ab, ac, bc, bd = 2 / sqrt(5 * 6), 1 / sqrt(5 * 4), 2 / sqrt(6 * 4), 1 / sqrt(6 * 3)
    expected = {"a": ab, "b": 0.75 * ab, "c": bc + 0.75 * ac, "d": bd, "e": -1.0}
    assert after == pytest.approx(expected)
    last = scores(fitted(ItemKNN(shrinkage=0, decay=0)), "ab")
    assert last == pytest.approx({"a": 2 / sqrt(12), "b": -1 / 5, "c": 2 / sqrt(8), "d": 1 / 2, "e": -1.0})


# No item twice, with times: the sessions end in the order 1, 3, 0, 2.
PAST = [["a", "b", "c"], ["a", "d"], ["b", "d"], ["c", "d"]]
ENDS = [3, 1, 4, 2]
PLAIN = {"weighting": "equal", "score_weighting": "equal", "idf": 0, "cosine": False}


def past(**settings):
    model = SessionKNN(**PLAIN | settings)
    every_item = Sessions.from_lists([*PAST, ["e"]])
    times = np.array([*np.repeat(ENDS, [len(s) for s in PAST]), 5], float)
    every_item = Sessions(every_item.items, every_item.offsets, every_item.vocabulary, times)
    return model.fit(every_item.select(every_item.items < 4))


def test_the_scores_of_session_knn_by_hand():
    # Shared with ab: abc both, ad and bd one each.
    assert scores(past(), "ab") == {"a": 3.0, "b": 3.0, "c": 2.0, "d": 2.0, "e": -1.0}
    # Linear: a counts 1/2, b counts 1.
    assert scores(past(weighting="linear"), "ab") == {"a": 2.0, "b": 2.5, "c": 1.5, "d": 1.5, "e": -1.0}
    assert scores(past(weighting="quadratic"), "ab")["c"] == 1.25
    assert scores(past(weighting="harmonic"), "cab")["d"] == pytest.approx(1 / 3 + 1 / 2 + 1)
    # The latest shared item: b in abc and bd, a in ad, two steps from the end.
    assert scores(past(score_weighting="harmonic"), "ab")["d"] == 1 + 1 / 2
    assert scores(past(score_weighting="linear"), "cab")["d"] == pytest.approx(1 / 3 + 2 / 3 + 1)
    assert scores(past(score_weighting="quadratic"), "cab")["d"] == pytest.approx(1 / 9 + 4 / 9 + 1)
    # Lengths 3 and 2; c is in two of four sessions, d in three.
    assert scores(past(cosine=True), "ab")["c"] == pytest.approx(2 / sqrt(3))
    assert scores(past(cosine=True), "ab")["d"] == pytest.approx(2 / sqrt(2))
    weighted = scores(past(idf=2), "ab")
    assert (weighted["c"], weighted["d"]) == pytest.approx((2 * (1 + 2 * log(2)), 2 * (1 + 2 * log(4 / 3))))


def test_the_sample_is_the_most_recent_and_the_neighbours_the_most_similar():
    # Sessions that share an item with ab, the most recent first: bd (4), abc (3), ad (1).
    assert scores(past(sample=1), "ab")["c"] == -1 / 3 and scores(past(sample=1), "ab")["d"] == 1.0
    assert scores(past(sample=2), "ab")["c"] == 2.0 and scores(past(sample=2), "ab")["d"] == 1.0
    assert scores(past(neighbours=1), "ab")["c"] == 2.0 and scores(past(neighbours=1), "ab")["d"] == -1 / 4
    # Of equals the more recent: after d alone, bd.
    assert [scores(past(neighbours=1), "d")[item] for item in "abc"] == [-1 / 3, 1.0, -1 / 3]
    # Without times, the last session.
    assert [scores(fitted(SessionKNN(**PLAIN, neighbours=1), PAST), "d")[item] for item in "abc"] == [
        -1 / 3,
        -1 / 3,
        1.0,
    ]


def test_the_ranks_of_session_knn_by_hand():
    # After a: d by ad; b, c by abc. After b: abc, bd. After c: abc, cd. After d: a, b, c tie. After ab: c 2, d 2.
    # After ad: ad 2, abc 1, bd 1, cd 1: b 2, c 2. After bc: abc 2, bd 1, cd 1: a 2, d 2. After e: d (3 events), a, b, c (2).
    expected = {"ab": (0, 2), "ae": (3, 0), "bd": (0, 2), "be": (3, 0), "ca": (0, 2), "da": (0, 2), "de": (3, 0),
                "abc": (0, 1), "abe": (2, 0), "adb": (0, 1), "bcd": (0, 1), "ed": (0, 0), "ea": (1, 2)}  # fmt: skip
    ranked = ranks(past(), expected)
    assert list(zip(ranked.above.tolist(), ranked.tied.tolist(), strict=True)) == list(expected.values())
    assert past().parameters == 9


WEIGHTS = {
    "equal": lambda step, length: 1.0,
    "linear": lambda step, length: (length - step + 1) / length,
    "quadratic": lambda step, length: ((length - step + 1) / length) ** 2,
    "harmonic": lambda step, length: 1 / step,
}


def slow_session_knn(train, prefix, settings):
    """Session-kNN by loops, as its docstring describes it."""
    past = sorted(range(len(train)), key=lambda s: -train.times[train.offsets[s + 1] - 1])
    step = {item: len(prefix) - position for position, item in enumerate(prefix)}  # the latest visit of an item
    shared = {s: set(train[s].tolist()) & set(prefix) for s in past}
    sample = [s for s in past if shared[s]][: settings["sample"]]

    def similarity(s):
        total = sum(WEIGHTS[settings["weighting"]](step[item], len(prefix)) for item in shared[s])
        return total / sqrt(len(set(train[s].tolist()))) if settings["cosine"] else total

    score = np.zeros(train.n_items)
    for s in sorted(sample, key=lambda s: -round(similarity(s), 9))[: settings["neighbours"]]:
        latest = min(step[item] for item in shared[s])
        for item in set(train[s].tolist()):
            containing = sum(item in train[other] for other in range(len(train)))
            weight = WEIGHTS[settings["score_weighting"]](latest, len(prefix))
            score[item] += similarity(s) * weight * (1 + settings["idf"] * log(len(train) / containing))
    return score


@pytest.mark.parametrize("weighting", WEIGHTS)
@pytest.mark.parametrize("cosine", [False, True])
def test_session_knn_is_that_of_loops(weighting, cosine):
    random = np.random.default_rng(3)
    offsets = np.concatenate([[0], np.cumsum(random.integers(1, 9, 120))])
    items = random.integers(0, 25, offsets[-1]).astype(np.int32)
    train = Sessions(items, offsets, np.arange(26), random.permutation(offsets[-1]).astype(float))
    score_weighting = {"equal": "harmonic", "linear": "equal"}.get(weighting, "linear")
    settings = {"neighbours": 12, "sample": 30, "weighting": weighting, "score_weighting": score_weighting}
    settings |= {"cosine": cosine, "idf": 1.5}
    model = SessionKNN(**settings).fit(train)
    starts = np.concatenate([[0], np.cumsum(random.integers(1, 14, 60))])
    prefixes = Sessions(random.integers(0, 26, starts[-1]).astype(np.int32), starts, train.vocabulary)
    scored = model.score(prefixes)
    for case in range(len(prefixes)):
        expected = slow_session_knn(train, prefixes[case].tolist(), settings)
        np.testing.assert_allclose(np.maximum(scored[case], 0), expected, rtol=1e-9, atol=1e-12)


def test_a_long_prefix_keeps_its_latest_step():
    # Sixty items in a row that a session shares: the sum of powers must still tell the last one.
    items = np.arange(61, dtype=np.int32)
    train = Sessions(items, np.array([0, 61]), np.arange(61))
    model = SessionKNN(**PLAIN | {"score_weighting": "harmonic"}).fit(train)
    prefix = Sessions(np.concatenate([items[:60], items[:1]]), np.array([0, 61]), train.vocabulary)
    assert model.score(prefix)[0, 60] == 60.0
    late = Sessions(np.concatenate([items[:59], np.full(3, 60, np.int32)]), np.array([0, 62]), train.vocabulary)
    assert model.score(late)[0, 59] == 60.0


@pytest.mark.parametrize("model", [ItemKNN(), SessionKNN(cosine=True)])
def test_a_restored_model_scores_the_same(model):
    fitted(model)
    other = type(model)(**model.settings.model_dump(exclude={"model", "label"}))
    other.vocabulary, other.popularity = model.vocabulary, model.popularity
    state = model.state()
    assert all(isinstance(array, np.ndarray) for array in state.values())
    other.restore(state)
    for prefix in ("a", "ab", "cd", "e"):
        assert scores(other, prefix) == scores(model, prefix)


def test_items_are_recommended_in_the_order_of_their_scores():
    assert fitted(ItemKNN(shrinkage=0, decay=0)).recommend(["b"], k=2) == ["c", "a"]
    assert past(weighting="linear").recommend(["a", "b"], k=5) == ["c", "d", "e"]


@pytest.mark.parametrize("model", [ItemKNN(), SessionKNN()])
def test_a_model_that_has_recommended_can_be_fitted_again(model):
    first = fitted(model).recommend(["b"], k=2)
    assert fitted(model).recommend(["b"], k=2) == first
