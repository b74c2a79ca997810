"""Each split's labelling of hand-made events, and the candidates drawn for its cases."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from studylib.data.sessions import CONTEXT, TEST, TRAIN, VALIDATION, Cases, Given, Sessions
from studylib.data.splits import (
    draw_candidates,
    leave_one_out,
    split_as_given,
    split_by_parts,
    split_by_time,
    split_sessions,
    with_candidates,
)
from studylib.errors import StudyError


def ids(sessions: Sessions) -> list[list]:
    return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))]


def pairs(cases: Cases) -> list[tuple]:
    """(prefix, target) of each case, as ids."""
    names = cases.sessions.vocabulary
    return list(zip(ids(cases.prefixes()), names[cases.targets].tolist(), strict=True))


@pytest.fixture
def shop() -> Sessions:
    """50 sessions of 2 to 9 events among 40 items, with times."""
    random = np.random.default_rng(0)
    lengths = random.integers(2, 10, 50)
    n = lengths.sum()
    events = {
        "session": np.repeat(np.arange(50), lengths),
        "item": random.integers(0, 40, n),
        "time": np.arange(n) // 3,
    }
    return Sessions.from_events(pl.DataFrame(events))


# leave one out


def test_leave_one_out_tests_the_last_visit_and_validates_on_the_one_before():
    split = leave_one_out(Sessions.from_lists([[1, 2, 3, 4], [5, 6, 7], [8, 9]]))
    assert ids(split.train) == [[1, 2], [5], [8]]
    assert pairs(split.validation) == [([1, 2], 3), ([5], 6)]  # two events give no validation case
    assert pairs(split.test) == [([1, 2, 3], 4), ([5, 6], 7), ([8], 9)]


# whole sessions


def test_whole_sessions_are_held_out_and_only_their_last_page_is_a_target(shop):
    split = split_sessions(shop, test_fraction=0.2, seed=1)
    assert (len(split.test), len(split.validation), len(split.train)) == (10, 4, 36)
    last = set((shop.offsets[1:] - 1).tolist())
    assert set(split.test.events) <= last and set(split.validation.events) <= last
    held_out = set(split.test.session) | set(split.validation.session)
    assert len(held_out) == 14
    assert ids(split.train) == [session for s, session in enumerate(ids(shop)) if s not in held_out]
    assert (split.test.prefix_lengths == shop.lengths[split.test.session] - 1).all()


def test_the_seed_decides_which_sessions_are_held_out(shop):
    first, again, other = (split_sessions(shop, 0.2, seed) for seed in (1, 1, 2))
    assert first.checksum == again.checksum != other.checksum
    np.testing.assert_array_equal(first.test.events, again.test.events)
    assert set(first.test.session) != set(other.test.session)


def test_no_validation_sessions_may_be_asked_for(shop):
    split = split_sessions(shop, 0.2, 0, validation_fraction=0)
    assert len(split.validation) == 0 and len(split.train) == 40


# time


def test_one_point_in_time_divides_all_sessions():
    events = {"session": [1] * 5 + [2] * 3 + [3] * 2, "item": range(10), "time": [0, 1, 2, 8, 9, 3, 6, 7, 4, 5]}
    split = split_by_time(Sessions.from_events(pl.DataFrame(events)), test_fraction=0.2)
    assert ids(split.train) == [[0, 1, 2], [5], [8, 9]]  # times 0 to 5
    assert pairs(split.validation) == [([5], 6), ([5, 6], 7)]  # 6 and 7
    assert pairs(split.test) == [([0, 1, 2], 3), ([0, 1, 2, 3], 4)]  # 8 and 9


def test_a_visit_without_a_prefix_is_no_case_and_no_training():
    events = {"session": [1, 1, 1, 2, 2], "item": range(5), "time": [0, 1, 2, 8, 9]}
    split = split_by_time(Sessions.from_events(pl.DataFrame(events)), test_fraction=0.4)
    assert ids(split.train) == [[0]]
    assert pairs(split.test) == [([3], 4)]  # 8 and 9 are test, but 8 has nothing before it
    assert pairs(split.validation) == [([0], 1), ([0, 1], 2)]


def test_equal_times_are_on_the_same_side(shop):
    split = split_by_time(shop, 0.1)
    learned = split.train.times.max()
    assert learned < shop.times[split.validation.events].min() <= shop.times[split.validation.events].max()
    assert shop.times[split.validation.events].max() < shop.times[split.test.events].min()


def test_each_window_is_tested_by_what_came_before_it():
    events = {"session": [1] * 5 + [2] * 3 + [3] * 2, "item": range(10), "time": [0, 1, 2, 8, 9, 3, 6, 7, 4, 5]}
    split = split_by_time(Sessions.from_events(pl.DataFrame(events)), test_fraction=0.2, windows=2)
    first, last = split.windows
    assert ids(first.train) == [[0, 1, 2], [5]] and ids(last.train) == [[0, 1, 2], [5], [8, 9]]  # to 3, to 5
    assert pairs(first.validation) == [([8], 9)]  # 5; 4 has nothing before it
    assert pairs(first.test) == pairs(last.validation) == [([5], 6), ([5, 6], 7)]
    assert pairs(last.test) == pairs(split_by_time(Sessions.from_events(pl.DataFrame(events)), 0.2).test)
    # Together: the cases of both in the order of the events, over what the first knows.
    assert pairs(split.test) == [([0, 1, 2], 3), ([0, 1, 2, 3], 4), ([5], 6), ([5, 6], 7)]
    assert split.train is first.train and split.validation is first.validation
    assert split.kind == "temporal, 2 windows" and split.checksum not in (first.checksum, last.checksum)
    of_windows = split.in_order([np.full(len(window.test), number) for number, window in enumerate(split.trainings)])
    assert of_windows.tolist() == [1, 1, 0, 0]


def test_the_cases_of_all_windows_have_the_candidates_of_their_windows(shop):
    split = with_candidates(split_by_time(shop, 0.1, windows=3), 7, seed=0)
    assert split.test.candidates.shape == (len(split.test), 7) and len(split.test) == sum(
        len(w.test) for w in split.windows
    )
    for window in split.windows:
        rows = np.searchsorted(split.test.events, window.test.events)
        np.testing.assert_array_equal(split.test.candidates[rows], window.test.candidates)
        assert window.validation.candidates.shape == (len(window.validation), 7)
    assert (split.windows[0].test.candidates[:5] != split.windows[1].test.candidates[:5]).any()


def test_one_window_is_a_split_as_any_other(shop):
    split = split_by_time(shop, 0.1)
    assert split.windows == () and split.trainings == (split,) and split.kind == "temporal"


def test_a_split_by_time_needs_times():
    with pytest.raises(StudyError, match="'temporal' needs times"):
        split_by_time(Sessions.from_lists([[1, 2], [3, 4]]), 0.1)


# as given


def test_a_given_split_keeps_the_candidates_of_its_cases():
    sessions = Sessions.from_lists([[1, 2, 3], [4, 5], [6, 7]])
    parts = np.array([TRAIN, VALIDATION, TEST, TEST, TEST, CONTEXT, TEST], np.uint8)
    candidates = {TEST: np.array([[0], [1], [2], [3]], np.int32)}
    split = split_as_given(replace(sessions, given=Given(parts, candidates)))
    assert ids(split.train) == [[1]]
    assert pairs(split.test) == [([1, 2], 3), ([4], 5), ([6], 7)]  # 4 has no prefix, and its candidates go with it
    assert split.test.candidates.tolist() == [[0], [2], [3]]
    assert pairs(split.validation) == [([1], 2)] and split.validation.candidates is None


def test_validation_sessions_of_their_own_are_learnt_from_before_the_test():
    sessions = Sessions.from_lists([["a", "b"], ["b", "c"], ["a", "d", "e"]])

    def final(*parts):
        given = Given(np.array(parts, np.uint8), {})
        return with_candidates(split_as_given(replace(sessions, given=given)), 1, 0).final

    assert ids(final(TRAIN, TRAIN, VALIDATION, VALIDATION, TEST, TEST, TEST)) == [["a", "b"], ["b", "c"]]
    assert final(TRAIN, TRAIN, TRAIN, VALIDATION, TEST, TEST, TEST) is None  # a visit of a session that is learnt from
    assert final(TRAIN, TRAIN, TRAIN, TRAIN, TEST, TEST, TEST) is None
    assert leave_one_out(sessions).final is None


def test_only_the_given_split_uses_given_candidates():
    sessions = Sessions.from_lists([[1, 2, 3], [4, 5, 6]])
    parts = np.array([TRAIN, VALIDATION, TEST] * 2, np.uint8)
    given = Given(parts, {TEST: np.array([[4], [0]], np.int32)})
    assert leave_one_out(replace(sessions, given=given)).test.candidates is None


def test_a_source_without_a_split_is_refused():
    with pytest.raises(StudyError, match="'given' needs a source with a split of its own"):
        split_as_given(Sessions.from_lists([[1, 2]]))


@pytest.mark.parametrize("part", [TRAIN, TEST])
def test_a_split_without_training_or_test_is_refused(part):
    sessions = Sessions.from_lists([[1, 2], [3, 4]])
    with pytest.raises(StudyError, match="use more sessions or another split"):
        split_by_parts("mine", sessions, np.full(4, part, np.uint8))


def test_the_checksum_is_that_of_the_labelling():
    sessions = Sessions.from_lists([[1, 2, 3], [4, 5, 6]])
    parts = np.array([TRAIN, TRAIN, TEST] * 2, np.uint8)
    other = np.array([TRAIN, VALIDATION, TEST, TRAIN, TRAIN, TEST], np.uint8)
    one, same, two = (split_by_parts(k, sessions, p).checksum for k, p in (("a", parts), ("b", parts), ("a", other)))
    assert one == same != two


# candidates


def test_candidates_are_never_items_of_the_session_at_any_time(shop):
    split = with_candidates(leave_one_out(shop), 30, seed=0)
    for cases in (split.validation, split.test):
        assert cases.candidates.shape == (len(cases), 30) and cases.candidates.dtype == np.int32
        assert cases.candidates.min() >= 0 and cases.candidates.max() < shop.n_items
        for session, row in zip(cases.session, cases.candidates, strict=True):
            assert not set(row) & set(shop[session])


def test_candidates_are_uniform_over_the_other_items():
    sessions = Sessions.from_lists([[0, 1], [2, 3, 4, 5, 6, 7, 8, 9]])
    cases = leave_one_out(sessions).test
    drawn = draw_candidates(cases, 8000, np.random.RandomState(0))
    counts = np.bincount(drawn[0], minlength=10)
    assert counts[:2].tolist() == [0, 0]
    assert counts[2:].min() > 900 and counts[2:].max() < 1100  # 1000 each, standard deviation 30
    assert np.unique(drawn[1]).tolist() == [0, 1]


def test_candidates_are_the_same_for_the_same_seed_only(shop):
    first, again, other = (with_candidates(leave_one_out(shop), 9, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.test.candidates, again.test.candidates)
    np.testing.assert_array_equal(first.validation.candidates, again.validation.candidates)
    assert (first.test.candidates != other.test.candidates).any()
    assert first.checksum == leave_one_out(shop).checksum


def test_candidates_are_drawn_in_the_order_of_time_and_session():
    """What ReChorus's procedure does, written out: rows in order of time and user, then each visited item again."""
    random = np.random.default_rng(1)
    rows = [(user, item, random.integers(0, 4)) for user in range(12) for item in random.permutation(20)[:4]]
    sessions = Sessions.from_events(pl.DataFrame(rows, schema=["session", "item", "time"], orient="row"))
    visited = [set(sessions[user].tolist()) for user in range(12)]
    last = sorted(range(12), key=lambda user: (sessions.times[sessions.offsets[user + 1] - 1], user))
    n_items = sessions.n_items
    state = np.random.RandomState(7)
    expected = np.zeros((12, 6), int)
    drawn = state.randint(0, n_items, (12, 6))
    for row, user in zip(drawn, last, strict=True):
        for j in range(6):
            while row[j] in visited[user]:
                row[j] = state.randint(0, n_items)
        expected[user] = row
    cases = leave_one_out(sessions).test
    random = np.random.RandomState(7)
    np.testing.assert_array_equal(draw_candidates(cases, 6, random), expected)
    assert random.randint(0, 2**31) == state.randint(0, 2**31), "what is drawn next is not what it would have been"


def test_candidates_that_the_source_brings_along_are_kept():
    sessions = Sessions.from_lists([[1, 2, 3], [4, 5, 6]])
    given = Given(np.array([TRAIN, VALIDATION, TEST] * 2, np.uint8), {TEST: np.array([[4], [0]], np.int32)})
    split = split_as_given(replace(sessions, given=given))
    assert with_candidates(split, 1, seed=0).test.candidates.tolist() == [[4], [0]]
    assert with_candidates(split, 7, seed=0).test.candidates.shape == (2, 7)  # another number has to be drawn


def test_a_session_of_every_item_has_no_candidates():
    cases = leave_one_out(Sessions.from_lists([[1, 2, 3], [1, 2]])).test
    with pytest.raises(StudyError, match="contains all 3 items"):
        draw_candidates(cases, 1, np.random.RandomState(0))
