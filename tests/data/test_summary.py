import os
from pathlib import Path

import numpy as np
import pytest

from studylib.data import summary
from studylib.data.readers import read
from studylib.data.sessions import TEST, TRAIN, Sessions
from studylib.data.splits import split_by_parts
from studylib.data.summary import Extreme, events_per_item, events_per_session, summarize, unseen_targets
from studylib.params.study import Data

LISTS = [["d", "b", "d", "d"], ["b", "c"], ["a"], ["b", "c", "b", "e"], ["c"]]
"""Events: a 1, b 4, c 3, d 3, e 1. Sessions: a 1, b 3, c 3, d 1, e 1. Repeats: two of d, one of b."""


def test_summary_by_hand():
    result = summarize(Sessions.from_lists(LISTS))
    assert result == summary.LogSummary(
        sessions=5,
        events=12,
        items=5,
        shortest=1,
        mean=12 / 5,
        longest=4,
        fewest_events=Extreme("a", 1, 2),
        most_events=Extreme("b", 4, 1),
        fewest_sessions=Extreme("a", 1, 3),
        most_sessions=Extreme("b", 3, 2),
        repeats=3,
        repeat_share=3 / 12,
        top_share=4 / 12,
        single_event_items=2,
    )


def test_table_is_tidy_text():
    table = summarize(Sessions.from_lists(LISTS)).table()
    assert list(table.columns) == ["measure", "value"]
    values = dict(table.itertuples(index=False))
    assert values["most events of an item"] == "4 (item b)"
    assert values["fewest sessions with an item"] == "1 (item a, tied with 2 others)"
    assert values["repeated items"] == "3 (25.0% of the events)"
    assert values["items that occur once"] == "2 (40.0% of the items)"


def test_items_that_do_not_occur_do_not_count():
    lists = Sessions.from_lists([[0, 7, 9], [7]])
    result = summarize(lists.select(np.array([False, True, True, True])))
    assert (result.items, result.fewest_events) == (2, Extreme(9, 1, 1))
    items = events_per_item(lists.select(np.array([False, True, True, True])))
    assert items.to_dict("list") == {"events": [1, 2], "items": [1, 1]}


def test_top_share_is_of_one_item_in_a_hundred():
    lists = [[item] for item in range(250)] + [[0], [0], [1]]
    assert summarize(Sessions.from_lists(lists)).top_share == pytest.approx((3 + 2 + 1) / 253)


def test_distributions_by_hand():
    sessions = Sessions.from_lists(LISTS)
    assert events_per_item(sessions).to_dict("list") == {"events": [1, 3, 4], "items": [2, 2, 1]}
    assert events_per_session(sessions).to_dict("list") == {"events": [1, 2, 4], "sessions": [2, 1, 2]}


@pytest.mark.parametrize("n_items", [3, 1000, 1_000_000])
def test_repeats_are_those_of_each_session(n_items):
    """Whatever the number of sessions whose pairs are sorted together (1,000,000 items: 4,294)."""
    rng = np.random.default_rng(n_items)
    lengths = rng.integers(1, 6, 20_000)
    items = rng.choice(np.concatenate([rng.integers(0, n_items, 20), [n_items - 1]]), lengths.sum()).astype(np.int32)
    sessions = Sessions(items, np.concatenate([[0], np.cumsum(lengths)]), np.arange(n_items))
    containing = np.zeros(n_items, int)
    for session in range(len(sessions)):
        containing[list(set(sessions[session].tolist()))] += 1
    result = summarize(sessions)
    assert result.repeats == len(items) - containing.sum()
    assert result.most_sessions == Extreme(
        int(containing.argmax()), containing.max(), (containing == containing.max()).sum()
    )


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
    assert result.most_events == Extreme(2405, 13_543, 1)
    assert (result.single_event_items, result.items) == (27_633, 46_225)
    # Every line has 6 distinct items, so that an item has as many events as sessions.
    assert (result.shortest, result.longest, result.repeats) == (6, 6, 0)
    assert result.most_sessions == result.most_events
    assert events_per_session(sessions).to_dict("list") == {"events": [6], "sessions": [len(sessions)]}
