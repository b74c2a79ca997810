"""Sessions cut by silence, by the day or by a column, on events whose sessions are worked out by hand."""

import polars as pl
import pytest

from studylib.data.readers import read
from studylib.data.sessionize import EDGES, cut, gap_table
from studylib.data.sessions import Drop, Sessions, apply_filters
from studylib.errors import StudyError
from studylib.params.files import study_params
from studylib.params.study import Cut, Log

HALF_AN_HOUR = Cut(gap="30min")


def ids(sessions: Sessions) -> list[list]:
    return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))]


def users(times: list, user: list | None = None) -> Sessions:
    """The events of users at these times, called a, b, c… in the order of the rows."""
    items = [chr(ord("a") + n) for n in range(len(times))]
    return Sessions.from_events(pl.DataFrame({"session": user or [1] * len(times), "item": items, "time": times}))


def test_a_session_ends_where_nothing_follows_for_longer_than_the_gap():
    sessions = cut(users([0, 1800, 3601, 3601, 9000]), HALF_AN_HOUR)
    assert ids(sessions) == [["a", "b"], ["c", "d"], ["e"]]  # 1,800 s are not longer than 30 minutes


def test_users_are_cut_apart_and_in_the_order_of_time():
    sessions = cut(users([50, 9000, 100, 0, 9001], [2, 1, 1, 2, 2]), HALF_AN_HOUR)
    assert ids(sessions) == [["c"], ["b"], ["d", "a"], ["e"]]
    assert sessions.times.tolist() == [100, 9000, 0, 50, 9001]
    assert sessions.cutting.users == 2 and sessions.cutting.sessions == 4


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_numbers_may_be_of_a_finer_unit_than_seconds(unit):
    start = 1_700_000_000
    times = [(start + seconds) * unit for seconds in (0, 1700, 3600)]
    assert ids(cut(users(times), HALF_AN_HOUR)) == [["a", "b"], ["c"]]


def test_a_day_ends_at_midnight_of_its_zone():
    times = [1_750_000_000 + hours * 3600 for hours in range(0, 30, 6)]  # 2025-06-15 15:06 UTC and on
    assert ids(cut(users(times), Cut(day="UTC"))) == [["a", "b"], ["c", "d", "e"]]
    assert ids(cut(users(times), Cut(day="Asia/Tokyo"))) == [["a", "b", "c", "d"], ["e"]]
    assert ids(cut(users([-1, 0]), Cut(day="UTC"))) == [["a"], ["b"]]


def test_each_gap_is_counted_once_in_its_bin():
    sessions = cut(users([0, 60, 60, 1860, 3661, 0], [1, 1, 1, 1, 1, 2]), HALF_AN_HOUR)
    table = gap_table(sessions.cutting).set_index("up to")
    assert table["gaps"].sum() == 4 and table["cuts"].sum() == 1
    assert table.loc[60, "gaps"] == 1 and table.loc[1, "gaps"] == 1 and table.loc[1800, "gaps"] == 1
    assert table.loc[3600, "cuts"] == table.loc[3600, "gaps"] == 1
    assert not table["cuts"][table.index <= 1800].any()


def test_the_bin_of_the_cut_ends_at_the_cut():
    edges = cut(users([0, 1]), Cut(gap="7min")).cutting.edges.tolist()
    assert 420 in edges and 420 not in EDGES and edges == sorted(edges)


def test_the_busiest_users_are_known_after_the_cut():
    sessions = cut(users(list(range(0, 300 * 3600, 3600)), [1] * 101 + list(range(2, 201))), HALF_AN_HOUR)
    assert sessions.cutting.busiest_share == pytest.approx(102 / 300)  # two of 200 users
    assert sessions.lengths.max() == 1


# from files


@pytest.fixture
def log(tmp_path):
    def log(content: str, **options) -> Sessions:
        (tmp_path / "log.csv").write_text(content)
        columns = {"user": "u", "item": "i", "time": "t"} | options
        return read(Log(reader="events", path=str(tmp_path / "log.csv"), **columns))

    return log


CLICKS = "u,s,i,t,type\na,1,x,100,view\na,1,y,1000,ping\na,2,z,2000,view\nb,1,x,0,view\n,9,x,0,view\nb,,w,0,view\n"


def test_rows_that_are_left_out_keep_no_session_alive(log):
    whole = log(CLICKS, sessions={"gap": "20min"})
    assert ids(whole) == [["x", "y", "z"], ["x", "w"]]
    assert ids(log(CLICKS, sessions={"gap": "20min"}, events={"type": ["view"]})) == [["x"], ["z"], ["x", "w"]]


def test_anonymous_events_are_left_out_and_counted_and_no_session(log):
    sessions = log(CLICKS, sessions={"gap": "20min"})
    assert sessions.drops == (Drop("row without a user, an item or a time", 0, 1),)
    assert log("u,i,t\n,x,1\n,y,2\na,x,3\na,z,4\n").lengths.tolist() == [2]


def test_a_column_of_sessions_begins_anew_with_each_user(log):
    sessions = log(CLICKS, sessions={"column": "s"})
    assert ids(sessions) == [["x", "y"], ["z"], ["x"]]
    assert sessions.drops == (Drop("row without a user, an item or a time", 1, 2),)
    assert ids(log(CLICKS, sessions={"column": "s"}, user=None)) == [["x", "x", "y"], ["z"], ["x"]]


def test_without_sessions_a_user_is_one_session(log):
    sessions = log(CLICKS)
    assert ids(sessions) == [["x", "y", "z"], ["x", "w"]] and sessions.cutting is None


def test_filters_come_after_the_cut(log):
    content = "u,i,t\n" + "".join(f"a,{i},{t}\n" for i, t in [("x", 0), ("x", 9999), ("y", 10000), ("z", 99999)])
    options = {"user": "u", "item": "i", "time": "t", "sessions": {"gap": "30 min"}}
    sessions = apply_filters(log(content, sessions={"gap": "30 min"}), Log(reader="events", path="-", **options))
    assert ids(sessions) == [["x", "y"]]
    assert sessions.drops == (Drop("session of fewer than 2 events", 2, 2),)
    assert sessions.cutting.sessions == 3


# params


def test_a_day_may_be_written_as_a_word():
    assert Log(reader="events", path="-", time="t", sessions="day").sessions == Cut(day="UTC")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sessions": {"gap": 1800}}, "must be a length of time with its unit .s, min, h or d., such as 30min"),
        ({"sessions": {"gap": "30"}}, "such as 30min"),
        ({"sessions": {"gap": "0s"}}, "such as 30min"),
        ({"sessions": {"gap": "9999999d"}}, "such as 30min"),
        (
            {"sessions": {"gap": "30min", "day": "UTC"}},
            "give one of 'gap' .such as 30min., 'day' .a time zone. and 'col",
        ),
        ({"sessions": {}}, "give one of 'gap'"),
        ({"sessions": {"day": "Europe/Atlantis"}}, "must be a time zone such as UTC or Europe/Berlin"),
        ({"sessions": {"day": "../x"}}, "must be a time zone"),
        ({"sessions": {"gapp": "30min"}}, "unknown key 'data.sessions.gapp'; did you mean 'gap'"),
        ({"sessions": "gap"}, "must be keys with values"),
        ({"sessions": "day", "time": None}, "'sessions' are cut by time: name the column of the times .'time'."),
        ({"time_format": "%d", "time": None}, "'time_format' is that of a column: name it"),
        ({"time_format": "d/m/Y"}, "must name the parts of a time, such as %d/%m/%Y"),
        ({"events": {"type": []}}, "each column needs a list of the values that count"),
        ({"events": {"type": "view"}}, "must be a list"),
        ({"query": True}, "the reader 'events' has no option query"),
    ],
)
def test_a_cut_that_cannot_be_is_one_sentence(data, message):
    log = {"reader": "events", "path": "-", "user": "u", "item": "i", "time": "t"} | data
    with pytest.raises(StudyError, match=message) as error:
        study_params({"data": {key: value for key, value in log.items() if value is not None}})
    assert len(str(error.value)) <= 300


def test_an_access_log_has_no_column_of_sessions():
    with pytest.raises(StudyError, match="an access log has no column of sessions: cut it by 'gap' or 'day'"):
        study_params({"data": {"reader": "access-log", "path": "-", "sessions": {"column": "s"}}})


def test_the_sessions_of_a_data_set_of_the_registry_are_its_own():
    with pytest.raises(StudyError, match="'dataset' knows its own files: leave out sessions"):
        study_params({"data": {"dataset": "ml-1m", "sessions": "day"}})
