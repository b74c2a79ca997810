"""`Sessions` and `Cases` on data small enough to be worked out by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from studylib.data.sessions import (
    CONTEXT,
    TEST,
    TRAIN,
    VALIDATION,
    Cases,
    Drop,
    Given,
    Sessions,
    apply_filters,
    encode,
)
from studylib.errors import StudyError
from studylib.params.study import Log


def ids(sessions: Sessions) -> list[list]:
    return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))]


def log(**filters) -> Log:
    return Log(reader="sequences", path="-", **filters)


# ids


@pytest.mark.parametrize(
    ("column", "codes", "vocabulary"),
    [
        (["10", "9", "10"], [1, 0, 1], [9, 10]),  # as numbers
        (["-3", "5", "0"], [0, 2, 1], [-3, 0, 5]),
        (["10", "9", "b"], [0, 1, 2], ["10", "9", "b"]),  # as text
        (["007", "7", "7"], [0, 1, 1], ["007", "7"]),
        (["007", "8"], [0, 1], ["007", "8"]),
        (["+7", "8"], [0, 1], ["+7", "8"]),
        (["-0", "1"], [0, 1], ["-0", "1"]),
        (["1.0", "2"], [0, 1], ["1.0", "2"]),
        (["é", "z", "Z", "z"], [2, 1, 0, 1], ["Z", "z", "é"]),  # by code point
        ([10**15, 3, 10**15], [1, 0, 1], [3, 10**15]),
        ([-5, 10**7, 4], [0, 2, 1], [-5, 4, 10**7]),
        ([7, 7], [0, 0], [7]),
        (["99999999999999999999", "1"], [1, 0], ["1", "99999999999999999999"]),  # larger than int64
    ],
)
def test_ids_are_numbered_in_ascending_order(column, codes, vocabulary):
    numbered, names = encode(pl.Series(column))
    assert numbered.dtype == np.int32 and numbered.tolist() == codes
    assert names.tolist() == vocabulary


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt16, pl.UInt64, pl.String, pl.Categorical])
def test_a_column_of_numbers_may_have_any_type(dtype):
    column = pl.Series([4, 2, 4]).cast(pl.String).cast(dtype)
    codes, names = encode(column)
    assert codes.tolist() == [1, 0, 1] and names.tolist() == [2, 4]


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_ids_of_other_columns_are_not_in_the_vocabulary(dtype):
    others = pl.Series(["x3", "other", "ids"]).cast(
        pl.Categorical
    )  # polars numbers all categories of a process together
    codes, names = encode(pl.Series(["x4", "x2", "x4"]).cast(dtype))
    assert codes.tolist() == [1, 0, 1] and names.tolist() == ["x2", "x4"]
    assert encode(others)[1].tolist() == ["ids", "other", "x3"]


def test_small_integers_do_not_overflow():
    codes, names = encode(pl.Series([-128, 127], dtype=pl.Int8))
    assert codes.tolist() == [0, 1] and names.tolist() == [-128, 127]


@pytest.mark.parametrize(("low", "high"), [(-50, 50), (0, 2**62)])
def test_random_ids_are_numbered_as_numpy_does(low, high):
    numbers = np.random.default_rng(0).integers(low, high, 1000)
    texts = np.char.add("x", numbers.astype(str))
    columns = [pl.Series(numbers), pl.Series(numbers.astype(str).tolist()), pl.Series(texts.tolist())]
    for column, wanted in zip(columns, [numbers, numbers, texts], strict=True):
        names, codes = np.unique(wanted, return_inverse=True)
        numbered, vocabulary = encode(column)
        np.testing.assert_array_equal(numbered, codes)
        np.testing.assert_array_equal(vocabulary, names)


# from events


def test_events_are_ordered_by_session_and_time_and_equal_times_keep_the_order_of_the_rows():
    events = pl.DataFrame(
        {
            "session": ["b", "a", "b", "a", "b", "a"],
            "item": [5, 1, 3, 9, 4, 2],
            "time": [2, 7, 1, 7, 2, 6],
            "part": [VALIDATION, TEST, TRAIN, CONTEXT, TEST, TRAIN],
        }
    )
    sessions = Sessions.from_events(events)
    assert ids(sessions) == [[2, 1, 9], [3, 5, 4]]
    assert sessions.times.tolist() == [6, 7, 7, 1, 2, 2] and sessions.times.dtype == np.float64
    assert sessions.given.parts.tolist() == [TRAIN, TEST, CONTEXT, TRAIN, VALIDATION, TEST]
    assert sessions.given.parts.dtype == np.uint8 and sessions.given.candidates == {}
    assert ids(Sessions.from_events(events.drop("time"))) == [[1, 9, 2], [5, 3, 4]]


def test_events_in_order_give_the_same_sessions_as_shuffled_ones():
    random = np.random.default_rng(3)
    events = pl.DataFrame(
        {"session": random.integers(0, 40, 500), "item": random.integers(0, 30, 500), "time": random.permutation(500)}
    )
    ordered = Sessions.from_events(events.sort("session", "time"))
    shuffled = Sessions.from_events(events)
    assert ordered.checksum == shuffled.checksum
    by_hand = [
        group.sort("time")["item"].to_list()
        for _, group in events.sort("session").group_by("session", maintain_order=True)
    ]
    assert ids(shuffled) == by_hand


def test_sessions_have_a_length_and_give_their_items():
    sessions = Sessions.from_lists([["a", "b"], ["b", "c", "b"]])
    assert len(sessions) == 2 and sessions.n_items == 3
    assert sessions.lengths.tolist() == [2, 3] and sessions.session_of_event.tolist() == [0, 0, 1, 1, 1]
    assert sessions[1].tolist() == [1, 2, 1]
    assert sessions.items.dtype == np.int32 and sessions.offsets.dtype == np.int64


# checksum


def test_the_checksum_knows_every_part_of_the_sessions():
    events = {"session": [1, 1, 2, 2], "item": [3, 4, 3, 5], "time": [1, 2, 3, 4], "part": [0, 2, 0, 2]}
    base = Sessions.from_events(pl.DataFrame(events))
    candidates = {TEST: np.array([[0], [1]], np.int32), VALIDATION: np.zeros((0, 1), np.int32)}
    full = replace(base, given=Given(base.given.parts, candidates))
    others = [
        Sessions.from_events(pl.DataFrame({**events, key: value}))
        for key, value in (
            ("session", [1, 1, 1, 2]),
            ("item", [3, 4, 3, 6]),
            ("time", [1, 2, 3, 5]),
            ("part", [0, 2, 2, 2]),
        )
    ]
    others += [full, replace(base, given=None), replace(base, times=None)]
    assert len({s.checksum for s in [base, *others]}) == len(others) + 1
    assert Sessions.from_events(pl.DataFrame(events), (Drop("x", 1, 1),)).checksum == base.checksum
    reordered = replace(base, given=Given(base.given.parts, dict(reversed(candidates.items()))))
    assert reordered.checksum == full.checksum


# select and compact


@pytest.fixture
def given() -> Sessions:
    """Three sessions with times, a split and candidates."""
    sessions = Sessions.from_lists([[10, 20, 30], [20, 40], [50, 10, 60, 70]])
    parts = np.array([TRAIN, VALIDATION, TEST, TRAIN, TEST, TRAIN, TRAIN, VALIDATION, TEST], np.uint8)
    candidates = {
        VALIDATION: np.array([[3, 4], [1, 2]], np.int32),
        TEST: np.array([[3, 4], [0, 2], [1, 3]], np.int32),
    }
    return replace(sessions, times=np.arange(9.0), given=Given(parts, candidates))


def test_select_keeps_times_parts_and_candidates_of_the_kept_events(given):
    kept = given.select(np.array([1, 0, 1, 0, 0, 0, 1, 1, 1], bool), "a reason")
    assert ids(kept) == [[10, 30], [10, 60, 70]]
    assert kept.times.tolist() == [0, 2, 6, 7, 8]
    assert kept.given.parts.tolist() == [TRAIN, TEST, TRAIN, VALIDATION, TEST]
    assert kept.given.candidates[VALIDATION].tolist() == [[1, 2]]
    assert kept.given.candidates[TEST].tolist() == [[3, 4], [1, 3]]
    assert kept.drops == (Drop("a reason", 1, 4),)
    assert kept.vocabulary is given.vocabulary


def test_select_counts_nothing_without_a_reason_or_a_drop(given):
    everything = np.ones(9, bool)
    assert given.select(everything, "a reason").drops == () == given.select(~everything).drops
    assert len(given.select(~everything)) == 0
    assert given.select(everything).checksum == given.checksum


def test_compact_keeps_items_and_candidates_and_renumbers_both(given):
    last = given.select(np.array([0] * 5 + [1] * 4, bool)).compact()
    # 10 and 50 to 70 are visited; 20, 30 and 40 are candidates of what is kept.
    assert last.vocabulary.tolist() == [10, 20, 30, 40, 50, 60, 70]
    first = given.select(np.array([1, 1, 0] + [0] * 6, bool)).compact()
    assert first.vocabulary.tolist() == [10, 20, 40, 50]
    assert ids(first) == [[10, 20]]
    assert first.vocabulary[first.given.candidates[VALIDATION]].tolist() == [[40, 50]]
    assert first.items.dtype == first.given.candidates[VALIDATION].dtype == np.int32


# filters


def test_short_sessions_are_dropped_and_counted():
    sessions = Sessions.from_lists([["a"], ["b", "c"], ["d", "e", "f"], ["g"]])
    kept = apply_filters(sessions, log())
    assert ids(kept) == [["b", "c"], ["d", "e", "f"]]
    assert kept.vocabulary.tolist() == ["b", "c", "d", "e", "f"]
    assert kept.drops == (Drop("session of fewer than 2 events", 2, 2),)
    assert ids(apply_filters(sessions, log(min_length=3))) == [["d", "e", "f"]]


def test_immediate_repeats_are_collapsed_within_a_session_and_before_the_length_counts():
    sessions = Sessions.from_lists([["a", "a", "b", "a", "a", "a"], ["a", "a"], ["a", "c"]])
    kept = apply_filters(sessions, log(collapse_repeats=True))
    assert ids(kept) == [["a", "b", "a"], ["a", "c"]]  # the "a" after another session's "a" is no repeat
    assert kept.drops == (Drop("immediate repeat of an item", 0, 4), Drop("session of fewer than 2 events", 1, 1))
    assert ids(apply_filters(sessions, log())) == ids(sessions)


def test_the_first_sessions_are_counted_after_the_short_ones_are_gone():
    sessions = Sessions.from_lists([["a"], ["b", "c"], ["d", "e"], ["f", "g", "h"]])
    kept = apply_filters(sessions, log(max_sessions=2))
    assert ids(kept) == [["b", "c"], ["d", "e"]]
    assert kept.drops[1] == Drop("after the first 2 sessions", 1, 3)
    assert ids(apply_filters(sessions, log(max_sessions=9))) == ids(sessions)[1:]


def test_the_k_core_is_taken_until_nothing_changes():
    # "x" goes, then the third session has one visit and goes, then "c" has one visit and goes.
    sessions = Sessions.from_lists([["a", "b", "c"], ["a", "b"], ["c", "x"]])
    kept = apply_filters(sessions, log(k_core=2))
    assert ids(kept) == [["a", "b"], ["a", "b"]]
    assert sum(d.events for d in kept.drops) == 3 and sum(d.sessions for d in kept.drops) == 1
    assert kept.vocabulary.tolist() == ["a", "b"]


def test_rare_items_are_left_out_once_and_counted():
    # "x" goes, then the third session is too short; "c" has one event now, which no second round looks at.
    sessions = Sessions.from_lists([["a", "b", "c"], ["a", "b"], ["c", "x"]])
    kept = apply_filters(sessions, log(min_item_support=2))
    assert ids(kept) == [["a", "b", "c"], ["a", "b"]]
    assert kept.drops == (
        Drop("item of fewer than 2 events (min_item_support): 1 items", 0, 1),
        Drop("session of fewer than 2 events", 1, 1),
    )
    both = apply_filters(sessions, log(min_item_support=2, k_core=2))
    assert ids(both) == [["a", "b"], ["a", "b"]]
    assert both.drops[2:] == (Drop("outside the 2-core (k_core): 1 items", 0, 1),)
    assert apply_filters(sessions, log(k_core=2)).drops == (Drop("outside the 2-core (k_core): 2 items", 1, 3),)


def test_the_source_may_have_events_in_another_order_than_that_of_time():
    def disorder(times: list[int]) -> float:
        table = pl.DataFrame({"session": [1, 2] * (len(times) // 2), "item": times, "time": times})
        return Sessions.from_events(table).disorder

    assert disorder([1, 1, 2, 2, 3, 3]) == 0 and disorder([3, 3, 2, 2, 1, 1]) == 1
    assert disorder([1, 1, 3, 2, 2, 3]) == 1 / 4


def test_of_a_long_session_the_last_events_and_the_target_are_kept():
    sessions = Sessions.from_lists([["a", "b", "c", "d"], ["a", "b"]])
    kept = apply_filters(sessions, log(), max_length=2)
    assert ids(kept) == [["b", "c", "d"], ["a", "b"]]
    assert kept.drops == (Drop("before the last 2 input events", 0, 1),)


def test_a_log_of_which_nothing_is_left_is_refused():
    with pytest.raises(StudyError, match=r"No session of 2 or more events is left \(the longest of 2 has 1\); lower"):
        apply_filters(Sessions.from_lists([["a"], ["b"]]), log())
    with pytest.raises(StudyError, match="lower 'min_length' or 'k_core'"):
        apply_filters(Sessions.from_lists([["a", "b"], ["c", "d"]]), log(k_core=2))


# cases


@pytest.fixture
def cases() -> Cases:
    sessions = Sessions.from_lists([[1, 2, 3], [4, 5], [6, 7, 8, 9]])
    return Cases(sessions, np.array([1, 2, 4, 8]), np.array([[0], [1], [2], [3]], np.int32))


def test_cases_know_target_session_and_prefix(cases):
    assert len(cases) == 4
    assert (cases.targets + 1).tolist() == [2, 3, 5, 9]
    assert cases.session.tolist() == [0, 0, 1, 2]
    assert cases.prefix_lengths.tolist() == [1, 2, 1, 3]
    assert ids(cases.prefixes()) == [[1], [1, 2], [4], [6, 7, 8]]


def test_a_history_keeps_the_last_events_of_each_prefix(cases):
    assert ids(cases.prefixes(2)) == [[1], [1, 2], [4], [7, 8]]
    assert ids(cases.prefixes(1)) == [[1], [2], [4], [8]]
    assert cases.prefixes(2).items.dtype == np.int32


def test_taken_cases_keep_their_candidates(cases):
    taken = cases.take(np.array([3, 0]))
    assert taken.events.tolist() == [8, 1] and taken.candidates.tolist() == [[3], [0]]
    assert cases.take(slice(1, 3)).events.tolist() == [2, 4]
    assert replace(cases, candidates=None).take(slice(2)).candidates is None


def test_shuffled_cases_have_the_same_targets_after_the_same_visits_in_another_order():
    offsets = np.concatenate([[0], np.cumsum(np.random.default_rng(0).integers(2, 15, 80))])
    sessions = Sessions(np.arange(offsets[-1], dtype=np.int32), offsets, np.arange(offsets[-1]))
    events = np.concatenate([offsets[1:] - 1, offsets[:-1] + 1])
    cases = Cases(sessions, events, np.zeros((160, 3), np.int32))
    shuffled = cases.shuffled(6, seed=1)
    assert shuffled.targets.tolist() == cases.targets.tolist() and shuffled.candidates is None
    moved = 0
    for case, (after, before) in enumerate(zip(ids(shuffled.prefixes()), ids(cases.prefixes()), strict=True)):
        assert after[:-6] == before[:-6], "what no model sees stays where it is"
        assert sorted(after[-6:]) == before[-6:], case  # ids ascend within a session
        moved += after != before
    assert moved > 60
    assert shuffled.prefixes().items.dtype == np.int32
    again, other = cases.shuffled(6, seed=1), cases.shuffled(6, seed=2)
    assert again.sessions.items.tolist() == shuffled.sessions.items.tolist() != other.sessions.items.tolist()


def test_all_orders_of_a_shuffled_prefix_are_as_likely():
    one = Sessions.from_lists([[0, 1, 2, 3]])
    cases = Cases(one, np.full(6000, 3))
    orders, counts = np.unique(cases.shuffled(20, 0).prefixes().items.reshape(-1, 3), axis=0, return_counts=True)
    assert len(orders) == 6 and counts.min() > 850 and counts.max() < 1150


def test_the_share_of_visits_that_are_visits_again():
    assert Sessions.from_lists([["b", "c"], ["a", "b", "a", "a"]]).has_repeats
    assert not Sessions.from_lists([["a", "b"], ["a"]]).has_repeats
    assert not Sessions.from_lists([["a"]]).has_repeats


def timed():
    """Two sessions; in the first the second to fourth event have one time, and the second session begins with that time."""
    items, times = [4, 1, 2, 3, 0, 5, 6], [0.0, 7.0, 7.0, 7.0, 9.0, 9.0, 9.0]
    return Sessions(np.array(items, np.int32), np.array([0, 5, 7]), np.arange(7), np.array(times))


def test_tied_is_what_has_the_time_of_the_event_before_it_in_its_session():
    assert timed().tied.tolist() == [False, False, True, True, False, False, True]
    assert Cases(timed(), np.array([1, 3, 6])).tied.tolist() == [False, True, True]
    assert not replace(timed(), times=None).tied.any()


def test_only_items_of_one_time_and_session_change_places_and_every_order_comes():
    sessions = timed()
    orders = set()
    for seed in range(200):
        drawn = sessions.with_ties_drawn(seed)
        assert drawn.items[[0, 4]].tolist() == [4, 0] and sorted(drawn.items[1:4].tolist()) == [1, 2, 3]
        assert sorted(drawn.items[5:].tolist()) == [5, 6] and drawn.times is sessions.times
        orders.add(tuple(drawn.items.tolist()))
        assert drawn.content == sessions.content
    assert len(orders) == 6 * 2
    assert (
        len({sessions.content, sessions.last_events(3).content, replace(sessions, items=sessions.items * 0).content})
        == 3
    )
    assert sessions.with_ties_drawn(3).items.tolist() == sessions.with_ties_drawn(3).items.tolist()
    untimed = replace(sessions, times=None)
    assert untimed.with_ties_drawn(1).items.tolist() == untimed.items.tolist()
