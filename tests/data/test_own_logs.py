"""What the readers of events have in common: filters by a column, forms of times, nested fields, several files as one."""

import json

import polars as pl
import pytest

from studylib.data.datasets import source_files
from studylib.data.readers import files, read
from studylib.data.sessions import Drop, Sessions
from studylib.errors import StudyError
from studylib.params.study import Log

NAMED = {"user": "u", "item": "i", "time": "t"}
ROWS = [
    ("a", "x", 1, "view"),
    ("a", "y", 2, "cart"),
    ("b", "x", 3, "ping"),
    ("a", "z", 4, None),
    (None, "x", 5, "view"),
]
COLUMNS = {
    "u": [r[0] for r in ROWS],
    "i": [r[1] for r in ROWS],
    "t": [r[2] for r in ROWS],
    "type": [r[3] for r in ROWS],
}


def ids(sessions: Sessions) -> list[list]:
    return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))]


def write(path, reader: str, columns: dict) -> None:
    """A log in the format of a reader."""
    table = pl.DataFrame(columns)
    if reader == "parquet":
        table.write_parquet(path)
    elif reader == "events":
        table.write_csv(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_dicts()))


READERS = pytest.mark.parametrize("reader", ["events", "jsonl", "parquet"])
ENDINGS = {"events": "csv", "jsonl": "jsonl", "parquet": "parquet"}


# values that count


@READERS
def test_rows_are_kept_by_the_values_of_a_column(tmp_path, reader):
    write(tmp_path / "log", reader, COLUMNS)
    sessions = read(Log(reader=reader, path=str(tmp_path / "log"), events={"type": ["view", "cart"]}, **NAMED))
    assert ids(sessions) == [["x", "y"]]
    assert sessions.drops == (
        Drop("row with another 'type' than view, cart", 1, 2),
        Drop("row without a user, an item or a time", 0, 1),
    )


@READERS
def test_values_may_be_numbers_or_booleans_and_of_several_columns(tmp_path, reader):
    columns = {
        "u": ["a"] * 4,
        "i": ["x", "y", "z", "w"],
        "t": [1, 2, 3, 4],
        "n": [1, 2, 2, 2],
        "ok": [True, True, False, True],
    }
    write(tmp_path / "log", reader, columns)
    sessions = read(Log(reader=reader, path=str(tmp_path / "log"), events={"n": [2, 5], "ok": [True]}, **NAMED))
    assert ids(sessions) == [["y", "w"]]
    assert [drop.events for drop in sessions.drops] == [1, 1]


@READERS
def test_a_bad_time_is_that_of_a_row_that_counts(tmp_path, reader):
    columns = {"u": ["a"] * 3, "i": ["x", "y", "z"], "t": ["1", "soon", "later"], "type": ["view", "ping", "view"]}
    write(tmp_path / "log", reader, columns)
    number = {"events": "line 4", "jsonl": "line 3", "parquet": "row 3"}[reader]
    with pytest.raises(StudyError, match=rf"{number} has a time that is neither a number nor a date .*later"):
        read(Log(reader=reader, path=str(tmp_path / "log"), events={"type": ["view"]}, **NAMED))


def test_a_column_without_a_header_has_a_number(tmp_path):
    (tmp_path / "log").write_text("a,x,1,view\na,y,2,ping\na,z,3,view\n")
    options = {"header": False, "user": 0, "item": 1, "time": 2, "events": {"3": ["view"]}}
    assert ids(read(Log(reader="events", path=str(tmp_path / "log"), **options))) == [["x", "z"]]


@READERS
def test_values_or_columns_that_are_not_there_are_named(tmp_path, reader):
    write(tmp_path / "log", reader, COLUMNS)
    log = Log(reader=reader, path=str(tmp_path / "log"), **NAMED)
    with pytest.raises(StudyError, match="no event is left; 5 are left out as 'row with another 'type' than click'"):
        read(log.model_copy(update={"events": {"type": ["click"]}}))
    with pytest.raises(StudyError, match=r"'kind'; the (columns|fields of the first line) are 'u', 'i', 't', 'type'"):
        read(log.model_copy(update={"events": {"kind": ["view"]}}))


# forms of times


@READERS
@pytest.mark.parametrize(
    ("form", "first", "second", "seconds"),
    [
        ("%d/%m/%Y", "24/11/2026", "25/11/2026", 86400),
        ("%d.%m.%Y %H:%M", "24.11.2026 09:05", "24.11.2026 10:06", 3660),
        ("%m/%d/%Y %I:%M:%S %p", "11/24/2026 11:00:00 AM", "11/24/2026 01:00:00 PM", 7200),
        ("%d/%b/%Y %H:%M:%S %z", "24/Nov/2026 10:00:00 +0200", "24/Nov/2026 10:00:00 +0000", 7200),
        ("%Y%m%d", 20261130, 20261201, 86400),
    ],
)
def test_times_are_written_as_the_log_says(tmp_path, reader, form, first, second, seconds):
    write(tmp_path / "log", reader, {"u": ["a", "a"], "i": ["later", "sooner"], "t": [second, first]})
    sessions = read(Log(reader=reader, path=str(tmp_path / "log"), time_format=form, **NAMED))
    assert ids(sessions) == [["sooner", "later"]] and sessions.times[1] - sessions.times[0] == seconds


@READERS
def test_a_time_in_another_form_is_named(tmp_path, reader):
    write(tmp_path / "log", reader, {"u": ["a", "a"], "i": ["x", "y"], "t": ["24/11/2026", "2026-11-25"]})
    with pytest.raises(
        StudyError, match=r"has a time that is not written as 'time_format' says \('%d/%m/%Y'\).*2026-11-25"
    ):
        read(Log(reader=reader, path=str(tmp_path / "log"), time_format="%d/%m/%Y", **NAMED))


def test_dates_of_a_parquet_file_need_no_form(tmp_path):
    days = pl.Series(["2020-01-02", "2020-01-01"]).str.to_date()
    write(tmp_path / "log", "parquet", {"u": [1, 1], "i": [2, 3], "t": days})
    with pytest.raises(StudyError, match="the column 't' has dates; leave 'time_format' out"):
        read(Log(reader="parquet", path=str(tmp_path / "log"), time_format="%Y", **NAMED))


# nested fields

NESTED = {"user": "user.id", "item": "page.url.path", "time": "t"}


@pytest.mark.parametrize("reader", ["jsonl", "parquet"])
def test_fields_may_lie_in_each_other(tmp_path, reader):
    columns = {
        "user": [{"id": 7, "name": "u"}, {"id": 7, "name": "v"}, {"id": None, "name": "w"}],
        "page": [{"url": {"path": path}, "id": n} for n, path in enumerate(["/b", "/a", "/c"])],
        "t": [2, 1, 3],
    }
    write(tmp_path / "log", reader, columns)
    sessions = read(Log(reader=reader, path=str(tmp_path / "log"), **NESTED))
    assert ids(sessions) == [["/a", "/b"]]
    assert sessions.drops == (Drop("row without a user, an item or a time", 0, 1),)
    assert ids(read(Log(reader=reader, path=str(tmp_path / "log"), user="user.id", item="page.id", time="t"))) == [
        [1, 0]
    ]


@pytest.mark.parametrize("reader", ["jsonl", "parquet"])
def test_a_name_with_a_dot_is_a_name_where_there_is_one(tmp_path, reader):
    write(tmp_path / "log", reader, {"user.id": ["a", "a"], "user": ["b", "c"], "i": ["x", "y"], "t": [1, 2]})
    assert ids(read(Log(reader=reader, path=str(tmp_path / "log"), user="user.id", item="i", time="t"))) == [["x", "y"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"user": "a", "i": 1, "t": 1}', "line 2 has no object in the field 'user'"),
        ('{"user": [1], "i": 1, "t": 1}', "line 2 has no object in the field 'user'"),
        ('{"user": {"id": [1]}, "i": 1, "t": 1}', "line 2 has a list or an object for an id in 'user.id'"),
        ('{"user": {"id": 1, "id": 2}, "i": 1, "t": 1}', "line 2 has the field 'id' twice"),
        (r'{"user": {"id": 1, "\u0069d": 2}, "i": 1, "t": 1}', "line 2 has the field 'id' twice"),
    ],
)
def test_a_nested_field_that_cannot_be_read_is_named_by_its_line(tmp_path, line, message):
    (tmp_path / "log").write_text('{"user": {"id": 1}, "i": 1, "t": 1, "id": 3}\n' + line + "\n")
    with pytest.raises(StudyError, match=message):
        read(Log(reader="jsonl", path=str(tmp_path / "log"), user="user.id", item="i", time="t"))


def test_a_missing_field_of_an_object_is_named(tmp_path):
    write(tmp_path / "log", "parquet", {"user": [{"id": 1}], "i": [1], "t": [1]})
    with pytest.raises(StudyError, match="'user' has no field 'key'; it has 'id'"):
        read(Log(reader="parquet", path=str(tmp_path / "log"), user="user.key", item="i", time="t"))
    write(tmp_path / "log", "jsonl", {"user": [{"id": 1}], "i": [1], "t": [1]})
    with pytest.raises(StudyError, match=r"no line has a field 'user\.key'"):
        read(Log(reader="jsonl", path=str(tmp_path / "log"), user="user.key", item="i", time="t"))
    with pytest.raises(StudyError, match="'id' lies in a field that is named, too; name one of both"):
        read(Log(reader="jsonl", path=str(tmp_path / "log"), user="user.id", item="user", time="t"))


# several files


@READERS
def test_a_folder_or_a_pattern_is_read_as_one(tmp_path, reader):
    ending = ENDINGS[reader]
    write(tmp_path / f"2.{ending}", reader, {"t": [5, 1], "i": ["late", "x"], "u": ["a", "b"]})
    write(tmp_path / f"1.{ending}", reader, {"u": ["a", "b"], "i": ["early", "y"], "t": [5, 2], "more": [0, 0]})
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "README.md").write_text("no log\n")
    right = [["early", "late"], ["x", "y"]]  # of equal time: in the order of the files
    for path in (tmp_path, tmp_path / f"*.{ending}", f"{tmp_path.parent}/**/{tmp_path.name}/[12].{ending}"):
        assert ids(read(Log(reader=reader, path=str(path), **NAMED))) == right
    with pytest.raises(StudyError, match=r"no file in this folder is called \*.*; check 'path', or give a pattern"):
        read(Log(reader="parquet" if reader == "events" else "events", path=str(tmp_path), **NAMED))
    with pytest.raises(StudyError, match="there is no such file; check 'path'"):
        read(Log(reader=reader, path=str(tmp_path / "nothing*"), **NAMED))


@pytest.mark.parametrize(
    ("one", "other", "right"),
    [
        ({"u": ["1"], "i": ["7"], "t": ["3"]}, {"u": ["1"], "i": ["x"], "t": ["2"]}, [["x", "7"]]),
        ({"u": [1], "i": [7], "t": [3]}, {"u": [1], "i": [8], "t": [2.5]}, [[8, 7]]),
        ({"u": ["1"], "i": ["7"], "t": ["1396861869123456790"]}, {"u": ["1"], "i": ["8"], "t": ["30"]}, [[8, 7]]),
    ],
)
@READERS
def test_files_may_hold_ids_of_other_kinds(tmp_path, reader, one, other, right):
    write(tmp_path / f"1.{ENDINGS[reader]}", reader, one)
    write(tmp_path / f"2.{ENDINGS[reader]}", reader, other)
    assert ids(read(Log(reader=reader, path=str(tmp_path), **NAMED))) == right


@READERS
def test_what_is_wrong_with_one_of_several_files_names_it(tmp_path, reader):
    columns = {"u": ["a", "a"], "i": ["x", "y"], "t": ["1", "2"]}
    write(tmp_path / f"1.{ENDINGS[reader]}", reader, columns)
    write(tmp_path / f"2.{ENDINGS[reader]}", reader, columns | {"t": ["3", "2020-01-01"]})  # a date among numbers
    number = {"events": "line 3", "jsonl": "line 2", "parquet": "row 2"}[reader]
    with pytest.raises(StudyError, match=rf"/2\.\w+: {number} has a time"):
        read(Log(reader=reader, path=str(tmp_path), **NAMED))


def test_the_files_of_a_log_are_known_by_what_the_params_call_them(tmp_path, monkeypatch):
    monkeypatch.setattr("studylib.paths.project_root", lambda: tmp_path)
    (tmp_path / "logs").mkdir()
    for name in ("b.csv", "a.csv"):
        write(tmp_path / "logs" / name, "events", COLUMNS)
    for path in ("logs", "logs/*.csv", "./logs/[ab].csv"):
        log = Log(reader="events", path=path, **NAMED)
        assert [file.name for file in files(log)] == ["a.csv", "b.csv"]
        assert list(source_files(log)) == ["logs/a.csv", "logs/b.csv"]
    assert list(source_files(Log(reader="events", path="logs/b.csv", **NAMED))) == ["logs/b.csv"]
