import os
from pathlib import Path

import numpy as np
import pytest

from studylib.data import summary
from studylib.data.readers import read
from studylib.data.sessions import TEST, TRAIN, Sessions
from studylib.data.splits import split_by_parts
from studylib.data.summary import Extreme, summarize, unseen_targets, visits_per_page, visits_per_user
from studylib.params.study import Data

LISTS = [["d", "b", "d", "d"], ["b", "c"], ["a"], ["b", "c", "b", "e"], ["c"]]
"""Visits: a 1, b 4, c 3, d 3, e 1. Users: a 1, b 3, c 3, d 1, e 1. Repeats: two of d, one of b."""


def test_summary_by_hand():
    result = summarize(Sessions.from_lists(LISTS))
    assert result == summary.LogSummary(
        sessions=5,
        visits=12,
        pages=5,
        shortest=1,
        mean=12 / 5,
        longest=4,
        least_visits=Extreme("a", 1, 2),
        most_visits=Extreme("b", 4, 1),
        least_users=Extreme("a", 1, 3),
        most_users=Extreme("b", 3, 2),
        repeats=3,
        repeat_share=3 / 12,
        top_share=4 / 12,
        visited_once=2,
    )


def test_table_is_tidy_text():
    table = summarize(Sessions.from_lists(LISTS)).table()
    assert list(table.columns) == ["measure", "value"]
    values = dict(table.itertuples(index=False))
    assert values["most visited page (visits)"] == "4 (page b)"
    assert values["least visited page (users)"] == "1 (page a, as 2 others)"
    assert values["repeat visits"] == "3 (25.0% of the visits)"
    assert values["pages visited once"] == "2 (40.0% of the pages)"


def test_pages_that_nobody_visits_do_not_count():
    lists = Sessions.from_lists([[0, 7, 9], [7]])
    result = summarize(lists.select(np.array([False, True, True, True])))
    assert (result.pages, result.least_visits) == (2, Extreme(9, 1, 1))
    pages = visits_per_page(lists.select(np.array([False, True, True, True])))
    assert pages.to_dict("list") == {"visits": [1, 2], "pages": [1, 1]}


def test_top_share_is_of_one_page_in_a_hundred():
    lists = [[page] for page in range(250)] + [[0], [0], [1]]
    assert summarize(Sessions.from_lists(lists)).top_share == pytest.approx((3 + 2 + 1) / 253)


def test_distributions_by_hand():
    sessions = Sessions.from_lists(LISTS)
    assert visits_per_page(sessions).to_dict("list") == {"visits": [1, 3, 4], "pages": [2, 2, 1]}
    assert visits_per_user(sessions).to_dict("list") == {"visits": [1, 2, 4], "users": [2, 1, 2]}


@pytest.mark.parametrize("n_items", [3, 1000, 1_000_000])
def test_repeats_are_those_of_each_session(n_items):
    """Whatever the number of sessions whose pairs are sorted together (1,000,000 items: 4,294)."""
    rng = np.random.default_rng(n_items)
    lengths = rng.integers(1, 6, 20_000)
    items = rng.choice(np.concatenate([rng.integers(0, n_items, 20), [n_items - 1]]), lengths.sum()).astype(np.int32)
    sessions = Sessions(items, np.concatenate([[0], np.cumsum(lengths)]), np.arange(n_items))
    users = np.zeros(n_items, int)
    for session in range(len(sessions)):
        users[list(set(sessions[session].tolist()))] += 1
    result = summarize(sessions)
    assert result.repeats == len(items) - users.sum()
    assert result.most_users == Extreme(int(users.argmax()), users.max(), (users == users.max()).sum())


def test_unseen_targets():
    sessions = Sessions.from_lists([["a", "b", "c"], ["a", "d"], ["b", "a"], ["a", "e"]])
    parts = np.array([TRAIN, TRAIN, TEST, TRAIN, TEST, TRAIN, TEST, TRAIN, TEST], dtype=np.uint8)
    assert unseen_targets(split_by_parts("sessions", sessions, parts)) == (3, 0.75)


@pytest.mark.skipif(
    not os.environ.get("STUDYLIB_DATA"), reason="$STUDYLIB_DATA, the folder of the real data, is not set"
)
def test_live_streaming():
    path = Path(os.environ["STUDYLIB_DATA"]) / "live-streaming" / "100thousanddata.csv"
    sessions = read(Data(reader="sequences", path=str(path), separator="|"))
    result = summarize(sessions)
    assert result.most_visits == Extreme(2405, 13_543, 1)
    assert (result.visited_once, result.pages) == (27_633, 46_225)
    # Every line has 6 distinct pages, so that visits are users.
    assert (result.shortest, result.longest, result.repeats) == (6, 6, 0)
    assert result.most_users == result.most_visits
    assert visits_per_user(sessions).to_dict("list") == {"visits": [6], "users": [len(sessions)]}
