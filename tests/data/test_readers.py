"""Each reader on small files whose sessions are known, on real files, and on files that are wrong."""

import gzip
import json

import numpy as np
import polars as pl
import pytest

from studylib.data.readers import read
from studylib.data.sessions import TEST, TRAIN, VALIDATION, Drop, Sessions, apply_filters
from studylib.errors import StudyError
from studylib.params.study import Log


def ids(sessions: Sessions) -> list[list]:
    """The sessions as lists of ids."""
    return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))]


@pytest.fixture
def write(tmp_path):
    def write(content: bytes | str, name: str = "log.txt", packed: bool = False) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(content) if packed else content)
        return str(path)

    return write


NAMED = {"user": "u", "item": "i", "time": "t"}


# sequences


@pytest.mark.parametrize("separator", ["|", "::", " ", "\t", ",", ", "])
@pytest.mark.parametrize("packed", [False, True])
def test_sequences_keep_the_order_of_lines_and_ids(write, separator, packed):
    lines = [["9", "10", "9"], ["2"], ["10", "2"]]
    path = write("\n".join(separator.join(line) for line in lines) + "\n", packed=packed)
    sessions = read(Log(reader="sequences", path=path, separator=separator))
    assert ids(sessions) == [[9, 10, 9], [2], [10, 2]]
    assert sessions.vocabulary.tolist() == [2, 9, 10]  # numbers, not text, where all ids are
    assert sessions.items.dtype == np.int32 and sessions.offsets.dtype == np.int64
    assert sessions.times is None and sessions.drops == ()


def test_sequences_default_to_a_vertical_bar_and_keep_ids_with_leading_zeros(write):
    assert ids(read(Log(reader="sequences", path=write("007|7\n7|8")))) == [["007", "7"], ["7", "8"]]


def test_a_leading_user_is_no_item_and_users_without_items_are_counted(write):
    path = write("u1 a b\n\nu2\nu1 c a \n")
    sessions = read(Log(reader="sequences", path=path, separator=" ", leading_user=True))
    assert ids(sessions) == [["a", "b"], ["c", "a"]]
    assert sessions.drops == (Drop("blank line", 1, 0), Drop("user without an item", 1, 0))


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_an_id(write):
    assert ids(read(Log(reader="sequences", path=write(b"\xef\xbb\xbfa|b\r\n\r\nb|c\r\n")))) == [["a", "b"], ["b", "c"]]


# events


@pytest.mark.parametrize("separator", [",", "\t", "::", ";"])
@pytest.mark.parametrize("packed", [False, True])
def test_events_are_grouped_by_user_and_ordered_by_time(write, separator, packed):
    rows = [["u", "rating", "i", "t"], ["10", "5", "a", "3"], ["9", "5", "b", "1"], ["10", "4", "c", "1.5"]]
    text = "\n".join(separator.join(row) for row in rows) + "\n"
    by_name = read(Log(reader="events", path=write(text, packed=packed), separator=separator, **NAMED))
    assert ids(by_name) == [["b"], ["c", "a"]]
    assert by_name.times.tolist() == [1, 1.5, 3]
    by_number = Log(reader="events", path=write(text, packed=packed), separator=separator, user=0, item=2, time=3)
    assert read(by_number).checksum == by_name.checksum
    without_header = write(text.split("\n", 1)[1], packed=packed)
    by_number = by_number.model_copy(update={"path": without_header, "header": False})
    assert read(by_number).checksum == by_name.checksum


def test_events_of_equal_time_or_without_one_keep_the_order_of_the_file(write):
    path = write("u,i,t\na,z,5\na,y,5\nb,z,1\na,x,4\na,w,5\n")
    assert ids(read(Log(reader="events", path=path, **NAMED))) == [["x", "z", "y", "w"], ["z"]]
    assert ids(read(Log(reader="events", path=path, user="u", item="i"))) == [["z", "y", "x", "w"], ["z"]]


def test_quoted_fields_may_hold_separators_and_line_ends(write):
    path = write('u,i,t\n"a","x, ""y""",1\n\n"a","two\nlines",2\n')
    sessions = read(Log(reader="events", path=path, **NAMED))
    assert ids(sessions) == [['x, "y"', "two\nlines"]]
    assert sessions.drops == (Drop("blank line", 0, 1),)


def test_the_columns_of_recbole_can_be_named_with_or_without_their_type(write):
    path = write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t3.0\t881250949\n", "a.inter")
    columns = {"user": "user_id:token", "item": "item_id:token", "time": "timestamp:float"}
    short = {role: name.split(":")[0] for role, name in columns.items()}
    for names in (columns, short):
        assert ids(read(Log(reader="events", path=path, separator="\t", **names))) == [[7]]


def test_rows_with_an_empty_field_are_left_out_and_counted(write):
    path = write("u,i,t\na,x,1\na,,2\n,y,3\nc,x,\n\nb,y,4\n")
    sessions = read(Log(reader="events", path=path, **NAMED))
    assert ids(sessions) == [["x"], ["y"]]
    # "c" had no other row, so that a session is gone with it.
    assert sessions.drops == (Drop("blank line", 0, 1), Drop("row without a user, an item or a time", 1, 3))


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ("2014-04-07T10:51:09.277Z", "2014-04-07T10:51:10.000Z", 0.723),
        ("2018-07-07 22:09:11", "2018-07-07 22:10:11", 60),
        ("2018-07-07", "2018-07-08", 86400),
        ("2018-07-07T22:09:11+02:00", "2018-07-07T22:09:11+00:00", 7200),
        ("1396861869", "1396861870.5", 1.5),
    ],
)
def test_times_are_numbers_or_dates(write, first, second, seconds):
    path = write(f"u,i,t\na,later,{second}\na,sooner,{first}\n")
    sessions = read(Log(reader="events", path=path, **NAMED))
    assert ids(sessions) == [["sooner", "later"]]
    assert np.diff(sessions.times) == pytest.approx(seconds, abs=1e-6)


def test_a_date_is_seconds_since_1970(write):
    sessions = read(Log(reader="events", path=write("u,i,t\na,x,1970-01-02 00:00:01\n"), **NAMED))
    assert sessions.times.tolist() == [86401]


# jsonl


@pytest.mark.parametrize("packed", [False, True])
def test_jsonl_reads_three_fields_of_each_object(write, packed):
    reviews = [
        {"asin": "B2", "reviewerID": "A1", "unixReviewTime": 20, "reviewText": "l\nm", "helpful": [0, 1]},
        {"reviewerID": "A1", "asin": "B1", "unixReviewTime": 10, "higher": {"a": 1}},
        {"reviewerID": "A0", "asin": "B2", "unixReviewTime": 30},
        {"reviewerID": "A2", "asin": None, "unixReviewTime": 30},
        {"reviewerID": "A1", "unixReviewTime": 30},
    ]
    path = write("\n\n".join(map(json.dumps, reviews)), "reviews.json.gz" if packed else "reviews.json", packed)
    sessions = read(Log(reader="jsonl", path=path, user="reviewerID", item="asin", time="unixReviewTime"))
    assert ids(sessions) == [["B2"], ["B1", "B2"]]
    assert sessions.times.tolist() == [30, 10, 20]
    assert sessions.drops == (Drop("row without a user, an item or a time", 1, 2),)


def test_the_name_of_a_file_is_no_pattern(tmp_path):
    for reader, text in {
        "jsonl": '{"u": "a", "i": "x", "t": 1}\n',
        "events": "u,i,t\na,x,1\n",
        "sequences": "x\n",
    }.items():
        path = tmp_path / f"[a] {{b}} *? $c$ {reader}"
        path.write_text(text, encoding="utf-8")
        columns = {} if reader == "sequences" else {"user": "u", "item": "i", "time": "t"}
        assert ids(read(Log(reader=reader, path=str(path), **columns))) == [["x"]]


def test_jsonl_reads_dates_as_yelp_writes_them(write):
    rows = [
        {"user_id": "u", "business_id": b, "date": d} for b, d in [("y", "2018-07-07 22:09:11"), ("x", "2017-01-01")]
    ]
    path = write("\n".join(map(json.dumps, rows)))
    assert ids(read(Log(reader="jsonl", path=path, user="user_id", item="business_id", time="date"))) == [["x", "y"]]


# parquet


def test_parquet_reads_named_columns_of_any_type(tmp_path):
    days = pl.Series(["2020-01-02", "2020-01-01", "2020-01-03", None]).str.to_datetime()
    table = pl.DataFrame({"u": ["b", "b", "a", "a"], "i": [30, 4, 4, 5], "t": days, "other": [1.0] * 4})
    path = tmp_path / "log.parquet"
    table.write_parquet(path)
    sessions = read(Log(reader="parquet", path=str(path), **NAMED))
    assert ids(sessions) == [[4], [4, 30]]
    assert np.diff(sessions.times[1:]).tolist() == [86400]
    assert sessions.drops == (Drop("row without a user, an item or a time", 0, 1),)


# rechorus


@pytest.fixture
def rechorus(write, tmp_path):
    """A folder of two users whose rows are not in the order of users; user 10 has two events of time 5."""

    def folder(packed: bool = False, **changes: str):
        files = {
            "train": "user_id\titem_id\ttime\n10\t3\t5\n9\t1\t1\n10\t2\t4\n",
            "dev": "user_id\titem_id\ttime\tneg_items\n10\t1\t5\t[4, 5]\n9\t2\t2\t[3, 4]\n",
            "test": "user_id\titem_id\ttime\tneg_items\n9\t4\t3\t[5, 3]\n10\t5\t9\t[4, 4]\n",
        }
        for name, text in {**files, **changes}.items():
            if text is not None:
                write(text, f"folder/{name}.csv" + ".gz" * packed, packed)
        return Log(reader="rechorus", path=str(tmp_path / "folder"))

    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_rechorus_gives_histories_split_and_candidates(rechorus, packed):
    sessions = read(rechorus(packed))
    assert ids(sessions) == [[1, 2, 4], [2, 3, 1, 5]]  # equal times: train before dev
    assert sessions.given.parts.tolist() == [TRAIN, VALIDATION, TEST, TRAIN, TRAIN, VALIDATION, TEST]
    candidates = {part: sessions.vocabulary[c].tolist() for part, c in sessions.given.candidates.items()}
    assert candidates == {VALIDATION: [[3, 4], [4, 5]], TEST: [[5, 3], [4, 4]]}  # in the order of users
    assert sessions.given.candidates[TEST].dtype == np.int32


def test_rechorus_candidates_follow_their_events_where_a_user_has_several(rechorus):
    test = "user_id\titem_id\ttime\tneg_items\n10\t4\t9\t[1, 2]\n10\t5\t8\t[2, 3]\n"
    sessions = read(rechorus(test=test))
    assert ids(sessions)[1] == [2, 3, 1, 5, 4]
    assert sessions.vocabulary[sessions.given.candidates[TEST]].tolist() == [[2, 3], [1, 2]]


def test_rechorus_without_candidates_has_only_the_split(rechorus):
    header = "user_id\titem_id\ttime\n"
    sessions = read(rechorus(dev=header + "10\t1\t5\n", test=header + "10\t5\t9\n"))
    assert sessions.given.candidates == {}
    assert np.bincount(sessions.given.parts).tolist() == [3, 1, 1]


def test_rechorus_candidates_of_text_ids(rechorus):
    header = "user_id\titem_id\ttime\tneg_items\n"
    sessions = read(
        rechorus(
            train="user_id\titem_id\ttime\nu\ta\t1\nu\tb\t2\n",
            dev=header + "u\tc\t3\t['d', 'd']\n",
            test=header + "u\td\t4\t['a', 'b']\n",
        )
    )
    assert sessions.vocabulary[sessions.given.candidates[TEST]].tolist() == [["a", "b"]]
    assert sessions.vocabulary[sessions.given.candidates[VALIDATION]].tolist() == [["d", "d"]]


def test_rechorus_refuses_a_candidate_that_is_not_in_the_data(rechorus):
    header = "user_id\titem_id\ttime\tneg_items\n"
    with pytest.raises(
        StudyError, match=r"dev\.csv: the item '77' in 'neg_items' occurs in no row.*leave the column out"
    ):
        read(rechorus(dev=header + "10\t1\t5\t[4, 77]\n"))


def test_rechorus_refuses_lists_of_different_lengths(rechorus):
    header = "user_id\titem_id\ttime\tneg_items\n"
    with pytest.raises(StudyError, match=r"test\.csv: the lists in 'neg_items' have 1 to 2 items"):
        read(rechorus(test=header + "10\t5\t9\t[4, 4]\n9\t4\t3\t[5]\n"))


def test_rechorus_refuses_a_folder_that_lacks_a_file(rechorus):
    with pytest.raises(StudyError, match=r"folder: has no dev\.csv \(or dev\.csv\.gz\); a ReChorus folder needs"):
        read(rechorus(dev=None))


def test_rechorus_names_the_file_of_a_missing_column(rechorus):
    with pytest.raises(
        StudyError, match=r"dev\.csv: there is no column 'time'; the columns are 'user_id', 'item_id'\."
    ):
        read(rechorus(dev="user_id\titem_id\n10\t1\n"))


# what is wrong with a file


EVENTS = {"reader": "events", **NAMED}
SEQUENCES = {"reader": "sequences"}
JSONL = {"reader": "jsonl", **NAMED}
PARQUET = {"reader": "parquet", **NAMED}
NUMBERED = {"reader": "events", "user": 0, "item": 1, "time": 2}


def cut(content: bytes) -> bytes:
    """A gzip file without its end. It has the time in it, so that the cases below need ids of their own."""
    return gzip.compress(content)[:-9]


@pytest.mark.parametrize(
    ("options", "content", "message"),
    [
        # empty
        (SEQUENCES, b"", "the file is empty; it needs one session a line"),
        (SEQUENCES, b"\n \n", "the file is empty; it needs one session a line"),
        (EVENTS, b"", "the file is empty; it needs one event a line"),
        pytest.param(EVENTS, gzip.compress(b""), "the file is empty; it needs one event a line", id="empty-gzip"),
        (EVENTS, b"u,i,t\n", "has a header but no events"),
        (EVENTS, b"u,i,t\na,,1\n", "no row has a value in each of the columns"),
        (JSONL, b"", "the file is empty"),
        (JSONL, b"\n\n", "the file is empty"),
        (PARQUET, b"", "the file is empty"),
        # a line that does not parse
        (EVENTS, b"u,i,t\na,x,1\n\nb,y\n", "line 4 has 2 fields separated by \",\" where the first line has 3: 'b,y'"),
        (EVENTS, b"u,i,t\na,x,1\nb,y,2,3\n", "line 3 has 4 fields .* 3: 'b,y,2,3'"),
        (EVENTS, b'u,i,t\na,"x,\ny",1\nb,y\n', "line 4 has 2 fields"),
        (EVENTS, b'u,i,t\na,x,1\nb,"5 tv,2\n', r"line 3 has a quotation mark that is not closed: 'b,\"5 tv,2'"),
        ({**EVENTS, "separator": "::"}, b"u::i::t\na::x::1\nb::2\n", 'line 3 has 2 fields separated by "::"'),
        (EVENTS, b"u,i,t\na,x,1\n\nb,y,soon\n", "line 4 has a time that is neither a number nor a date.*'b,y,soon'"),
        (EVENTS, b"\n\nu,i,t\n\na,x,soon\n", "line 5 has a time .*'a,x,soon'"),
        (EVENTS, b'u,i,t\na,"x\ny",2014-04-07\nb,y,soon\n', "line 4 has a time .*'b,y,soon'"),
        (EVENTS, b"u,i,t\na,x,07/04/2014\n", "line 2 has a time"),  # April or July?
        (EVENTS, b"u,i,t\na,x,1\na,x,nan\n", "line 3 has a time"),
        (
            {**NUMBERED, "header": False},
            b"u,i,t\na,x,1\n",
            r"line 1 has a time .* \(if it is a header, set 'header: true'\)",
        ),
        (JSONL, b'{"u":1,"i":2,"t":3}\n\n{"u":1,"i"\n', 'line 3 is not a JSON object .*: \'{"u":1,"i"\''),
        (JSONL, b'{"u":1,"i":2,"t":3}\n[1]\n', r"line 2 is not a JSON object: '\[1\]'"),
        (JSONL, b'{"u":1,"i":2,"t":3}\n\n{"u":1,"i":2,"t":"x"}\n', 'line 3 has a time .*"t":"x"}\''),
        (PARQUET, b"u,i,t\na,x,1\n", "cannot be read as a parquet file"),
        # columns
        (EVENTS, b"u,page,t\na,x,1\n", "there is no column 'i'; the columns are 'u', 'page', 't'"),
        (NUMBERED, b"u,i\na,x\n", "there is no column 2; columns are numbered from 0 to 1"),
        (NUMBERED, b"a,x,1\nb,y,2\n", "looks like an event .*'header: false'"),
        ({**EVENTS, "header": False}, b"a,x,1\n", "without a header the column 'u' needs its number"),
        ({"reader": "events", "user": "u"}, b"u,i\na,x\n", "needs the columns 'user' and 'item'"),
        (
            JSONL,
            b'{"u":1,"page":2,"t":3}\n',
            "no line has a field 'i'; the fields of the first line are 'u', 'page', 't'",
        ),
        # the separator
        (
            SEQUENCES,
            b"a;b\nc;d\ne\n",
            r'everything is in one column.* "\|" does not occur; ";" does.*separator: ";".*a;b',
        ),
        ({**SEQUENCES, "separator": ","}, b"a\tb\nc\td\n", r'"," does not occur; "\\t" does'),
        ({**SEQUENCES, "separator": " ", "leading_user": True}, b"u\nv\n", "no line has an item after its user"),
        (EVENTS, b"u::i::t\na::x::1\n", 'everything is in one column.*separator: "::"'),
        ({**NUMBERED, "header": False}, b"1\t2\t3\n4\t5\t6\n", r'everything is in one column.*separator: "\\t"'),
        # bytes
        (SEQUENCES, b"a|b\nc|\xe9\n", "line 2 is not UTF-8 .its byte 3 is 0xe9.; save the file as UTF-8"),
        (EVENTS, b"u,i,t,name\na,x,1,\nb,y,2,\xe9\n", "line 3 is not UTF-8"),
        ({**EVENTS, "separator": "::"}, b"u::i::t\na::\xe9::1\n", "line 2 is not UTF-8"),
        (JSONL, b'{"u":1,"i":2,"t":3}\n{"u":1,"i":"\xe9","t":3}\n', "line 2 is not UTF-8"),
        pytest.param(SEQUENCES, cut(b"a|b\n" * 999), "the gzip file is damaged", id="damaged-gzip-sequences"),
        pytest.param(
            EVENTS,
            cut(b"u,i,t\n" + b"a,b,1\n" * 999),
            "the gzip file is damaged",
            id="damaged-gzip-events",
        ),
        pytest.param(
            JSONL,
            cut(b'{"u":1,"i":2,"t":3}\n' * 999),
            "the gzip file is damaged",
            id="damaged-gzip-jsonl",
        ),
    ],
)
def test_one_sentence_says_what_is_wrong_with_a_file(write, options, content, message):
    path = write(content)
    with pytest.raises(StudyError, match=message) as error:
        read(Log(path=path, **options))
    sentence = str(error.value)
    assert path in sentence and "\n" not in sentence and sentence.endswith(".")


def test_a_column_of_one_page_per_line_without_any_separator_is_read(write):
    assert ids(read(Log(reader="sequences", path=write("a\nb\n")))) == [["a"], ["b"]]


def test_a_missing_parquet_column_is_named_with_those_that_are_there(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"u": [1], "page": [2], "t": [3]}).write_parquet(path)
    with pytest.raises(StudyError, match="there is no column 'i'; the columns are 'u', 'page', 't'"):
        read(Log(path=str(path), **PARQUET))


def test_a_parquet_time_that_is_no_time_is_named_by_its_row(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"u": [1, 1], "i": [2, 3], "t": ["5", "soon"]}).write_parquet(path)
    with pytest.raises(StudyError, match=r"row 2 has a time that is neither .*: 'soon'"):
        read(Log(path=str(path), **PARQUET))


@pytest.mark.parametrize("options", [SEQUENCES, EVENTS, JSONL, PARQUET, {"reader": "rechorus"}])
def test_a_missing_file_is_named(tmp_path, options):
    with pytest.raises(StudyError, match=r"nowhere\.csv: there is no such file; check 'path'"):
        read(Log(path=str(tmp_path / "nowhere.csv"), **options))


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path, write):
    with pytest.raises(StudyError, match="the reader 'sequences' needs a file, and this is a folder"):
        read(Log(path=str(tmp_path), **SEQUENCES))
    with pytest.raises(StudyError, match="the reader 'rechorus' needs a folder, and this is a file"):
        read(Log(path=write("a|b"), reader="rechorus"))


def test_a_relative_path_starts_at_the_project(write, monkeypatch, tmp_path):
    write("a|b")
    monkeypatch.setattr("studylib.paths.project_root", lambda: tmp_path)
    assert ids(read(Log(reader="sequences", path="log.txt"))) == [["a", "b"]]


# real files


def test_the_live_streaming_log(data_root):
    log = Log(reader="sequences", path=str(data_root / "live-streaming/100thousanddata.csv"))
    sessions = read(log)
    assert len(sessions) == 100_000 and set(sessions.lengths) == {6} and sessions.n_items == 46_225
    most_visited = np.bincount(sessions.items).argmax()
    assert sessions.vocabulary[most_visited] == 2405 and (sessions.items == most_visited).sum() == 13_543
    first = apply_filters(sessions, log.model_copy(update={"max_sessions": 4117}))
    assert len(first) == 4117 and first.n_items == 4862
    assert first.vocabulary[first[0]].tolist() == [25401, 31883, 31304, 39462, 31468, 20359]


def test_movielens_100k(data_root):
    path = str(data_root / "ml-100k/u.data")
    sessions = read(Log(reader="events", path=path, separator="\t", header=False, user=0, item=1, time=3))
    assert (len(sessions.items), len(sessions), sessions.n_items) == (100_000, 943, 1682)
    assert (sessions.lengths.min(), sessions.lengths.max()) == (20, 737)
    assert (np.diff(sessions.times)[sessions.session_of_event[1:] == sessions.session_of_event[:-1]] >= 0).all()


def test_yelp(data_root):
    path = str(data_root / "yelp/Yelp.txt")
    sessions = read(Log(reader="sequences", path=path, separator=" ", leading_user=True))
    assert (len(sessions), len(sessions.items), sessions.n_items) == (30_431, 316_354, 20_033)
    repeats = sum(len(set(items)) < len(items) for items in ids(sessions))
    assert repeats / len(sessions) == pytest.approx(0.23, abs=0.005)
