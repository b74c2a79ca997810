"""What does not look right in a log: a sentence for what is wrong, and none for a log like others."""

import numpy as np
import polars as pl
import pytest

from studylib.data.concerns import concerns
from studylib.data.datasets import load
from studylib.data.sessionize import cut
from studylib.data.sessions import Sessions
from studylib.params.study import Cut, Log


def timed(times: list, session: list | None = None) -> Sessions:
    items = [n % 7 for n in range(len(times))]
    return Sessions.from_events(
        pl.DataFrame({"session": session or [1, 2] * (len(times) // 2), "item": items, "time": times})
    )


def only(sessions: Sessions) -> str:
    (sentence,) = concerns(sessions)
    assert len(sentence) <= 300
    return sentence


@pytest.mark.parametrize("dataset", ["synthetic"])
def test_a_log_like_others_gives_no_concern(dataset):
    assert concerns(load(Log(dataset=dataset))) == []
    assert concerns(timed(list(range(100)))) == [] == concerns(timed(list(range(100, 0, -1))))


def test_one_item_in_all():
    assert only(Sessions.from_lists([["shop", "shop"], ["shop"]])) == (
        "All events are of one item, 'shop': is it the right column?"
    )


def test_one_session_in_all():
    assert only(Sessions.from_lists([["a", "b", "c"]])) == "There is one session in all: is it the right user column?"


def test_repeats_of_the_item_before():
    repeating = [["a", "a", "a", "a", "a", "a", "b"], ["b"]]
    assert "83% of the events after the first of a session repeat the item before them" in only(
        Sessions.from_lists(repeating)
    )
    assert not concerns(Sessions.from_lists([["a", "a", "a", "a", "a", "b"], ["b", "b"][:1]])), (
        "80 % are not more than 80 %"
    )


def test_times_that_are_all_equal_or_in_no_order():
    assert "All times are equal" in only(timed([5] * 20))
    random = np.random.default_rng(0).permutation(200).tolist()
    assert "The source is in no order of time: it has" in only(timed(random))
    nearly = list(range(200))
    nearly[10], nearly[90] = nearly[90], nearly[10]
    assert concerns(timed(nearly)) == []


def test_ids_that_differ_by_case_or_by_a_slash():
    sessions = Sessions.from_lists([["/cart", "/Cart", "/cart/"], ["/a", "/b", "/B"]])
    by_case, by_slash = concerns(sessions)
    assert by_case == (
        "4 items differ from another only by upper and lower case, such as '/B' and '/b': are they the same?"
    )
    assert (
        by_slash
        == "2 items differ from another only by a slash at the end, such as '/cart' and '/cart/': are they the same?"
    )
    assert concerns(Sessions.from_lists([[1, 2], [3, 1]])) == []


def test_a_handful_of_sessions_that_make_half_of_the_events():
    lists = [["a", "b"]] * 199 + [["a", "b", "c"] * 200]
    assert only(Sessions.from_lists(lists)).startswith("2 of 200 sessions make 60% of the events")
    assert concerns(Sessions.from_lists(lists[-50:])) == [], "one of fifty may well make half of the events"


def test_busy_users_are_found_after_the_cut():
    user, times = [n for n in range(1, 200) for _ in range(2)] + [0] * 600, [*range(398), *range(0, 600 * 9000, 9000)]
    sessions = cut(timed(times, user), Cut(gap="30min"))
    assert sessions.lengths.max() == 2
    assert only(sessions).startswith("2 of 200 users make 60% of the events")


def test_what_data_call_a_thing_is_quoted_and_short():
    sessions = Sessions.from_lists([["<b>" + "x" * 500], ["<B>" + "X" * 500]])
    assert "'<B>X" in only(sessions) and "…" in only(sessions)
    assert len(only(Sessions.from_lists([["x" * 500], ["x" * 500]]))) < 300
