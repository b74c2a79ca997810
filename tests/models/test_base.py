"""`recommend` of every model: one session and many, unknown ids, equals, what was visited."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.models.base import Recommender, best_items
from studylib.models.baselines import Markov, Popularity
from studylib.models.gru4rec import GRU4Rec

TRAIN = Sessions.from_lists([[30, 10, 20], [10, 20], [10, 30, 20, 20]])  # 20 four times, 10 three, 30 two
SMALL = {"embedding": 8, "hidden": 12, "negatives": 0, "batch_size": 8, "max_epochs": 1, "device": "cpu"}


class Fixed(Recommender):
    """Scores by hand, one row for each last visit; notes how many sessions each call of `score` got, and how long."""

    def __init__(self, scores):
        self.scores, self.calls = np.array(scores, np.float32), []

    def _fit(self, train: Sessions, validation: Cases | None) -> None: ...

    def score(self, prefixes):
        self.calls.append(prefixes.lengths.tolist())
        return self.scores[prefixes.items[prefixes.offsets[1:] - 1]]


def fixed(*rows):
    """Over the ids a, b, c, ..., all of them visited equally often."""
    return Fixed(rows).fit(Sessions.from_lists([[*"abcdefgh"[: len(rows)]]]))


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def random_log(n=300, items=40, longest=30, seed=0):
    random = np.random.default_rng(seed)
    return Sessions.from_lists([random.integers(0, items, random.integers(1, longest)).tolist() for _ in range(n)])


@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("model", [Popularity(), Markov(), GRU4Rec(**SMALL)], ids=lambda m: type(m).__name__)
def test_many_sessions_get_what_each_gets_alone_and_what_a_full_sort_of_its_scores_gives(model, exclude):
    log = random_log()
    model.fit(log)
    sessions = [log.vocabulary[log[i]].tolist() for i in range(len(log))]
    listed = model.recommend(sessions, 7, exclude_visited=exclude)
    assert len(listed) == 300 and all(isinstance(item, int) for item in listed[0])
    for i in range(0, 300, 7):
        scores = model.score(Sessions(log[i], np.array([0, len(log[i])]), log.vocabulary))[0]
        expected = np.argsort(-scores, kind="stable")
        if exclude:
            expected = expected[~np.isin(expected, log[i])]
        assert listed[i] == log.vocabulary[expected[:7]].tolist()
        assert listed[i] == model.recommend(sessions[i], 7, exclude_visited=exclude)


def test_one_call_of_score_for_many_sessions_and_few_rows_at_a_time_for_many_items(monkeypatch):
    model = fixed([3, 2, 1], [1, 3, 2], [2, 1, 3])
    assert model.recommend([["a", "b"], ["c"], [], ["b"]], 2, exclude_visited=False) == [
        ["b", "c"],
        ["c", "a"],
        ["a", "b"],
        ["b", "c"],
    ]
    assert model.calls == [[1, 1, 2]]  # those of equal length together, none for the session without events
    model.calls.clear()
    model.recommend([["a"]] * 600)
    assert [len(call) for call in model.calls] == [256, 256, 88]
    wide = Popularity().fit(Sessions(np.array([0, 1], np.int32), np.array([0, 2]), np.arange(100_000)))
    sizes = []
    monkeypatch.setattr(wide, "score", lambda prefixes: sizes.append(len(prefixes)) or np.zeros((len(prefixes), 5)))
    assert wide.recommend([[3]] * 200, 1) == [[0]] * 200 and sizes == [80, 80, 40]


def test_equals_come_in_the_order_of_the_vocabulary_and_the_impossible_never():
    scores = np.array([[1, 2, 1, 2, 1, 0], [0, 0, 0, 0, 0, 0], [-np.inf, 5, -np.inf, -np.inf, -np.inf, 4]])
    assert [row.tolist() for row in best_items(scores, 3)] == [[1, 3, 0], [0, 1, 2], [1, 5]]
    assert [row.tolist() for row in best_items(scores, 4)] == [[1, 3, 0, 2], [0, 1, 2, 3], [1, 5]]
    assert best_items(scores, 9)[0].tolist() == [1, 3, 0, 2, 4, 5]
    assert best_items(np.full((2, 3), -np.inf), 2)[1].tolist() == []
    random = np.random.default_rng(0).integers(0, 9, (50, 200)).astype(np.float32)
    for row, best in zip(random, best_items(random, 20), strict=True):
        assert best.tolist() == np.argsort(-row, kind="stable")[:20].tolist()


def test_a_score_that_is_not_a_number_is_never_recommended():
    model = fixed([np.nan, 1, -np.inf, 2], *[[0] * 4] * 3)
    assert model.recommend(["a"], exclude_visited=False) == ["d", "b"]
    assert np.isnan(model.scores[0, 0])  # what the model gave is left as it is


def test_visited_items_anywhere_in_the_session_are_left_out_or_kept():
    model = fixed([4, 3, 2, 1], *[[1, 2, 3, 4]] * 3)
    assert model.recommend(["b", "d", "a", "a"]) == ["c"]
    assert model.recommend(["b", "d", "a"], 2, exclude_visited=False) == ["a", "b"]
    assert model.recommend([*"abcd"]) == []


def test_ids_are_those_of_the_source_as_text_or_numbers():
    model = Markov().fit(TRAIN)
    expected = model.recommend([10])
    assert expected == [20, 30]
    for session in (["10"], np.array([10]), np.array(["10"]), (10,)):
        assert model.recommend(session) == expected and model.recommend([session]) == [expected]
    text = Markov().fit(Sessions.from_lists([["1", "b"], ["1", "c"], ["1", "c"]]))
    assert text.recommend([1]) == text.recommend(["1"]) == ["c", "b"]


def test_another_fit_knows_the_new_ids():
    model = Popularity().fit(TRAIN)
    assert model.recommend([20]) == [10, 30]
    assert model.fit(Sessions.from_lists([["x", "y"], ["x"]])).recommend(["y"]) == ["x"]


@pytest.mark.parametrize("model", [Popularity(), Markov(), GRU4Rec(**SMALL)], ids=lambda m: type(m).__name__)
def test_unknown_ids_are_left_out_with_one_warning_that_counts_them(model):
    model.fit(TRAIN)
    with pytest.warns(UserWarning, match=r"^2 events were left out, never seen in training: 7, 40$") as raised:
        assert model.recommend([7, 10, 40]) == model.recommend([10])
    assert len(raised) == 1 and raised[0].filename == __file__
    with pytest.warns(
        UserWarning, match=r"^1 event was .* training: 7; the most popular items are recommended instead$"
    ):
        assert model.recommend([7], k=2) == [20, 10]
    many = [[1, 10], [2, 3, 3], [30], [], [4, 5, 6]]
    message = (
        r"^7 events were left out, never seen in training: 1, 2, 3, 4, 5 and 1 more; "
        r"the most popular items are recommended to 2 of 5 sessions$"
    )
    with pytest.warns(UserWarning, match=message) as raised:
        listed = model.recommend(many, k=2)
    popular = [20, 10]
    assert listed == [model.recommend([10], 2), popular, model.recommend([30], 2), popular, popular]
    assert len(raised) == 1


def test_a_session_without_events_gets_the_popular_items():
    assert Markov().fit(TRAIN).recommend([]) == [20, 10, 30]
    assert Markov().fit(TRAIN).recommend([[], []], 1) == [[20], [20]]


def test_no_items_cannot_be_asked_for():
    with pytest.raises(StudyError, match="'k' must be at least 1"):
        Popularity().fit(TRAIN).recommend([10], 0)


def test_scores_come_beside_the_ids_and_those_of_the_popular_are_their_events():
    model = fixed([4, 3, 2, 1], *[[1, 2, 3, 4]] * 3)
    assert model.recommend(["a"], 2, scores=True) == [("b", 3.0), ("c", 2.0)]
    assert model.recommend([["a"], ["b", "d"]], 1, scores=True) == [[("b", 3.0)], [("c", 3.0)]]
    assert all(type(score) is float for _, score in model.recommend(["a"], scores=True))
    assert Markov().fit(TRAIN).recommend([], 2, scores=True) == [(20, 4.0), (10, 3.0)]


@pytest.mark.parametrize(
    "given, said",
    [
        ("/cart", r"^'/cart' is one id, not a session: put it into a list, such as \['/cart'\]\.$"),
        (b"a", r"^b'a' is one id"),
        ([["a"], "b"], r"^'b' is one id, not a session"),
        (7, r"^7 is not a session: give a list of ids"),
        ([["a"], 7], r"^7 is not a session"),
        (pl.DataFrame({"user": [1], "item": ["a"]}), r"give it to recommend_many\(\)"),
    ],
)
def test_what_is_no_session_is_refused_with_a_sentence(given, said):
    with pytest.raises(StudyError, match=said):
        fixed([1, 2], [2, 1]).recommend(given)


EVENTS = {"visitor": [9, 4, 9, 4], "page": ["a", "b", "b", "d"], "at": [5, 1, 2, 1]}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_table_in_and_a_table_of_the_same_kind_out(kind):
    model = fixed([4, 3, 2, 1], [1, 2, 5, 4], *[[1, 2, 3, 4]] * 2)
    columns = {"user": "visitor", "item": "page"}
    found = model.recommend_many(kind(EVENTS), **columns, k=2)
    assert type(found) is kind and list(found.columns) == ["visitor", "item", "rank", "score"]
    rows = [tuple(row) for row in found.to_numpy().tolist()]
    # 9: a then b; 4: b then d. Of 9 a and b are left out, of 4 b and d.
    assert rows == [(9, "c", 1, 5.0), (9, "d", 2, 4.0), (4, "c", 1, 3.0), (4, "a", 2, 1.0)]
    in_time = model.recommend_many(kind(EVENTS), **columns, time="at", k=1)
    # By time 9 has b, then a; the users stay in the order of their first rows.
    assert [tuple(row) for row in in_time.to_numpy().tolist()] == [(9, "c", 1, 2.0), (4, "c", 1, 3.0)]


def test_a_table_gives_what_lists_give_and_keeps_kinds():
    log = random_log()
    model = Markov().fit(log)
    frame = pl.DataFrame({"user": log.session_of_event, "item": log.items})
    found = model.recommend_many(frame, k=3)
    lists = model.recommend([log[n].tolist() for n in range(len(log))], 3)
    assert found.group_by("user", maintain_order=True).agg("item")["item"].to_list() == lists
    assert found.schema == {"user": pl.Int32, "item": pl.Int64, "rank": pl.Int64, "score": pl.Float64}
    assert found.group_by("user").agg(pl.col("rank").max())["rank"].unique().to_list() == [3]
    nobody = model.recommend_many(frame.clear())
    assert nobody.shape == (0, 4) and nobody.columns == ["user", "item", "rank", "score"]


def test_times_may_be_dates_and_ids_that_pandas_made_floats_are_whole():
    dates = pd.DataFrame(
        {"user": [1, 1, 1], "item": [20, None, 10], "time": ["2026-11-02", "2026-11-03", "2026-11-01T08:00"]}
    )
    model = Markov().fit(TRAIN)
    with pytest.warns(UserWarning, match=r"^1 row without a user, an item or a time was left out$"):
        found = model.recommend_many(dates, time="time", exclude_visited=False, k=1)
    assert found["item"].tolist() == model.recommend([10, 20], 1, exclude_visited=False)


@pytest.mark.parametrize(
    "frame, columns, said",
    [
        ([["a"]], {}, r"is no table of events: give a pandas or polars DataFrame"),
        (pl.DataFrame(EVENTS), {}, r"no column 'user'; name that of the user with 'user'; it must be one of at, page, visitor"),
        (pd.DataFrame(EVENTS), {"user": "visitr"}, r"no column 'visitr'.*did you mean 'visitor'\?"),
        (pl.DataFrame({"item": [1], "what": ["a"]}), {"user": "item", "item": "what"}, "has the name of one of the answer"),
        (pl.DataFrame({"user": [1], "item": ["a"]}), {"k": 0}, r"'k' must be at least 1"),
        (pd.DataFrame({"user": [1, "b"], "item": ["a", "b"]}), {}, "a column of mixed kinds"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_refused_with_a_sentence(frame, columns, said):
    with pytest.raises(StudyError, match=said) as refused:
        fixed([1, 2], [2, 1]).recommend_many(frame, **columns)
    assert len(str(refused.value)) <= 300


def test_the_best_of_a_large_catalogue_whatever_the_groups_in_which_they_are_sought():
    random = np.random.default_rng(1)
    for n_items, k in ((5000, 3), (5003, 10), (1999, 19)):
        scores = random.normal(size=(20, n_items)).astype(np.float32).round(2)  # with ties
        scores[random.random(scores.shape) < 0.3] = -np.inf
        for row, best in zip(scores, best_items(scores, k), strict=True):
            assert best.tolist() == np.argsort(-row, kind="stable")[:k].tolist()
