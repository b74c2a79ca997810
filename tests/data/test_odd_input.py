"""Odd logs, a few of those of tests/attack/test_readers.py, and one plain test for each way in which a log was read wrongly."""

import gzip
import json
import resource
import time

import polars as pl
import pytest

from studylib.data import plain, tables
from studylib.data.readers import read
from studylib.data.sessions import Drop
from studylib.errors import StudyError
from studylib.params.study import Log
from tests.odd_logs import FORMATS, draw, failures

NAMED = {"user": "u", "item": "i", "time": "t"}
EVENTS = {"reader": "events", **NAMED}
NUMBERED = {"reader": "events", "user": 0, "item": 1, "time": 2}
JSONL = {"reader": "jsonl", **NAMED}
PARQUET = {"reader": "parquet", **NAMED}


@pytest.fixture
def log(tmp_path):
    """A log of the given content: ids by session, and what was left out."""

    def log(options: dict, content: bytes | str):
        path = tmp_path / "log"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        sessions = read(Log(path=str(path), **options))
        return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))], sessions.drops

    return log


@pytest.fixture
def parquet(tmp_path):
    def parquet(**columns: pl.Series | list):
        pl.DataFrame(columns).write_parquet(tmp_path / "log.parquet")
        sessions = read(Log(path=str(tmp_path / "log.parquet"), **PARQUET))
        return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))], sessions.drops

    return parquet


@pytest.mark.parametrize("reader", FORMATS)
def test_an_odd_log_is_read_rightly_or_is_one_sentence(reader, tmp_path):
    assert not failures(draw(FORMATS[reader][0], 40, reader), tmp_path)


# empty ids

LEFT_OUT = (Drop("row without a user, an item or a time", 0, 3),)


def test_an_empty_id_is_no_id_in_any_format(log, parquet):
    right = ([["x", "y"]], LEFT_OUT)
    rows = [("a", "x", 1), ("", "x", 2), ("a", "", 3), ("a", None, 3), ("a", "y", 4)]
    as_json = "\n".join(json.dumps({"u": u, "i": i, "t": t}) for u, i, t in rows)
    assert log(JSONL, as_json) == right
    assert log(EVENTS, 'u,i,t\na,x,1\n"",x,2\na,"",3\na,,3\na,y,4\n') == right
    assert parquet(u=[r[0] for r in rows], i=[r[1] for r in rows], t=[r[2] for r in rows]) == right


def test_nan_in_a_column_of_numbers_is_missing(parquet):
    ids, drops = parquet(u=[1.0, float("nan"), 1.0], i=[3, 4, 5], t=[1.0, 2.0, float("nan")])
    assert ids == [[3]] and drops == (Drop("row without a user, an item or a time", 0, 2),)


def test_empty_ids_of_a_line_are_left_out_and_counted(log):
    ids, drops = log({"reader": "sequences"}, "a||b\n|\nb|c|\n")
    assert ids == [["a", "b"], ["b", "c"]] and drops == (Drop("empty id between two separators", 1, 4),)
    ids, drops = log({"reader": "sequences", "separator": "\t", "leading_user": True}, "u\ta\tb\n\ta\tc\n")
    assert ids == [["a", "b"]] and drops == (Drop("line without a user", 1, 3),)


# silent misreadings


@pytest.mark.parametrize("options", [EVENTS, {**NUMBERED, "header": False}])
def test_carriage_returns_end_lines(log, options):
    content = "u,i,t\ra,x,2\ra,y,1\r" if options is EVENTS else "a,x,2\ra,y,1\r"
    assert log(options, content) == ([["y", "x"]], ())


def test_two_kinds_of_line_ends_are_refused(log):
    with pytest.raises(StudyError, match=r"line 2 ends with a carriage return alone, others do not"):
        log(EVENTS, "u,i,t\na,x\r,2\na,y,1\n")


def test_a_quotation_mark_that_swallows_events_is_refused(log):
    with pytest.raises(StudyError, match=r"line 2 has a quotation mark that closes in line 4, and each line"):
        log(EVENTS, 'u,i,t\na,"x,1\nb,y,2\nc,z",3\n')
    with pytest.raises(StudyError, match=r"line 2 has a quotation mark within a field that begins with one"):
        log(EVENTS, 'u,i,t\na,"x,1\nb,"y",2\nc,z,3\n')


def test_quotation_marks_are_read_as_python_does(log):
    assert log(EVENTS, 'u,i,t\na,5" tv,1\na,"6"" tv",2\na,"two\nlines",3\n')[0] == [['5" tv', '6" tv', "two\nlines"]]


@pytest.mark.parametrize(
    "times",
    [
        ["1396861869123456790", "1396861869123456788", "1396861869123456789"],
        ["1396861869.123456790", "1396861869.123456788", "1396861869.123456789"],
        ["2014-04-07T10:51:09.123456790Z", "2014-04-07T10:51:09.123456788Z", "2014-04-07T10:51:09.123456789Z"],
    ],
)
def test_times_are_ordered_to_the_nanosecond(log, times):
    assert log(EVENTS, "u,i,t\n" + "".join(f"a,{i},{t}\n" for i, t in zip("xyz", times, strict=True)))[0] == [
        ["y", "z", "x"]
    ]


def test_whole_numbers_of_a_parquet_file_are_ordered_to_the_nanosecond(parquet):
    times = [1396861869123456790, 1396861869123456788, 1396861869123456789]
    for column in (pl.Series(times), pl.Series(times).cast(pl.Datetime("ns")), pl.Series(times, dtype=pl.UInt64)):
        assert parquet(u=["a"] * 3, i=["0", "8", "9"], t=column)[0] == [[8, 9, 0]]


def test_nanoseconds_of_several_files_are_ordered(tmp_path):
    for name, rows in {
        "train": "1\t7\t20\n1\t8\t1396861869123456790",
        "dev": "1\t9\t1396861869123456788",
        "test": "1\t7\t30",
    }.items():
        (tmp_path / f"{name}.csv").write_text(f"user_id\titem_id\ttime\n{rows}\n")
    sessions = read(Log(reader="rechorus", path=str(tmp_path)))
    assert sessions.vocabulary[sessions.items].tolist() == [7, 7, 9, 8]


def test_a_nul_is_refused(log):
    with pytest.raises(StudyError, match=r"line 3 has a NUL character"):
        log(EVENTS, "u,i,t\na,x,1\na,x\0,2\n")
    for value in (r"\u0000", r"\ud800"):
        with pytest.raises(StudyError, match=r"line 2 has a NUL or half a character for an id in 'i'"):
            log(JSONL, '{"u":1,"i":"a","t":1}\n{"u":1,"i":"a' + value + '","t":2}')


def test_an_id_with_a_nul_in_parquet_is_refused(parquet):
    with pytest.raises(StudyError, match=r"an item's id has a NUL character: 'a\\x00'"):
        parquet(u=[1, 1], i=["a", "a\0"], t=[1, 2])


@pytest.mark.parametrize("content", ["1,1,1\n2,2,2\n2,3,3\n", "a,x,1\na,y,2\n"])
def test_an_event_is_no_header(log, content):
    with pytest.raises(StudyError, match=r"the first line should be a header but looks like an event"):
        log(NUMBERED, content)
    with pytest.raises(StudyError, match=r"the first line should be a header but looks like an event"):
        log({"reader": "events", "user": 0, "item": 1}, content)


def test_a_header_is_no_event(log):
    with pytest.raises(StudyError, match=r"the first line looks like a header \('user' stands above numbers\)"):
        log({"reader": "events", "user": 0, "item": 1, "header": False}, "user,item\n1,2\n1,3\n")


@pytest.mark.parametrize("line", ['{"u":1,"i":2,"i":3,"t":2}', r'{"u":1,"i":2,"\u0069":3,"t":2}'])
def test_a_doubled_field_is_refused(log, line):
    with pytest.raises(StudyError, match=r"line 2 has the field 'i' twice"):
        log(JSONL, '{"u":1,"i":2,"t":1,"text":"\\"i\\": "}\n' + line)


def test_a_column_that_is_there_twice_is_refused(log):
    with pytest.raises(StudyError, match="the column 'i' is there twice; name it by its number"):
        log(EVENTS, "u,i,i,t\na,x,y,1\n")


def test_a_column_of_one_value_is_no_column_of_items(log, parquet):
    message = r"all 3 events are of one item, 'shop'; is 'i' the right column for 'item'\?"
    for options, content in (
        (EVENTS, "u,i,t\na,shop,1\na,shop,2\nb,shop,3\n"),
        (JSONL, "\n".join(json.dumps({"u": u, "i": "shop", "t": 1}) for u in "aab")),
    ):
        with pytest.raises(StudyError, match=message):
            log(options, content)


def test_a_separator_within_ids_of_candidates_is_kept(tmp_path):
    rows = {"train": "u\ta b\t1\nu\tab\t2", "dev": "u\tc\t3\t['a b', 'c']", "test": "u\td\t4\t['c', 'ab']"}
    for name, text in rows.items():
        header = "user_id\titem_id\ttime" + "\tneg_items" * (name != "train")
        (tmp_path / f"{name}.csv").write_text(f"{header}\n{text}\n")
    sessions = read(Log(reader="rechorus", path=str(tmp_path)))
    candidates = {part: sessions.vocabulary[c].tolist() for part, c in sessions.given.candidates.items()}
    assert list(candidates.values()) == [[["a b", "c"]], [["c", "ab"]]]


# raw errors


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2014-04-07 10:51:09,5", 1396867869.5),
        ("2014-04-07T24:00:00Z", 1396915200),
        ("2014-04-07 12:51:09 +0200", 1396867869),
        ("2014-04-07 10:51:09 PM", None),
        ("2014-04-07T25:00:00", None),
        ("2014-02-30", None),
        ("9" * 30, None),
    ],
)
def test_a_time_is_read_or_named(log, tmp_path, value, seconds):
    content = f'u,i,t\na,x,"{value}"\n'
    if seconds is None:
        with pytest.raises(StudyError, match=r"line 2 has a time that is neither a number nor a date"):
            log(EVENTS, content)
    else:
        log(EVENTS, content)
        assert read(Log(path=str(tmp_path / "log"), **EVENTS)).times.tolist() == [seconds]


@pytest.mark.parametrize(
    "dtype", [pl.List(pl.Int64), pl.Array(pl.Int64, 1), pl.Struct({"a": pl.Int64}), pl.Duration("us"), pl.Binary]
)
def test_a_parquet_column_of_another_type_is_named(parquet, dtype):
    odd = pl.Series([None, None], dtype=dtype)
    with pytest.raises(StudyError, match=r"the column 'i' has the type .*; write it as text or numbers"):
        parquet(u=[1, 1], i=odd, t=[1, 2])
    with pytest.raises(StudyError, match=r"the column 't' has the type .*; write it as numbers, dates or text"):
        parquet(u=[1, 1], i=[1, 2], t=odd)


def test_parquet_ids_and_times_of_categories_and_large_numbers_are_read(parquet):
    big = pl.Series([2**63 + 1, 5], dtype=pl.UInt64)
    times = pl.Series(["2014-04-08", "2014-04-07"], dtype=pl.Categorical)
    assert parquet(u=pl.Series(["a", "a"], dtype=pl.Categorical), i=big, t=times)[0] == [["5", str(2**63 + 1)]]
    with pytest.raises(StudyError, match=r"cannot be read as a parquet file \(Integers with more than 64 bits"):
        parquet(u=[1, 1], i=pl.Series([2**100, 5], dtype=pl.Int128), t=[1, 2])


def test_a_long_field_that_is_no_id_is_read(log):
    assert log(EVENTS, 'u,i,t,text\na,x,1,"' + 'z\n"",' * 100_000 + '"\na,y,2,\n')[0] == [["x", "y"]]


def test_a_byte_order_mark_is_no_part_of_the_text_in_any_format(log):
    mark = b"\xef\xbb\xbf"
    assert log(EVENTS, mark + b"u,i,t\na,x,1\n")[0] == [["x"]]
    assert log(JSONL, mark + b'{"u":"a","i":"x","t":1}\n')[0] == [["x"]]
    assert log({"reader": "sequences"}, mark + "a|b\n\ufeffa|b\n".encode())[0] == [["a", "b"], ["\ufeffa", "b"]]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32"])
def test_utf_16_is_named(log, codec):
    for options in (EVENTS, JSONL, {"reader": "sequences"}):
        with pytest.raises(StudyError, match=r"is no text or is UTF-16; save it as UTF-8"):
            log(options, "u,i,t\na,x,1\n".encode(codec))


@pytest.mark.parametrize(
    "line",
    [
        '{"u":' + "[" * 100_000,
        '{"u":1,"i":2,"t":3,"x":' + "[" * 5000 + "]" * 5000 + "}",
        '{"u":[1],"i":2,"t":3}',
        '{"u":NaN}',
    ],
)
def test_json_that_no_log_has_is_one_sentence(log, line):
    # From Python 3.13 on its own reader goes deeper than that of polars, which names no line.
    said = r"line 1 (is nested too deeply|is not a JSON object|has a list|has NaN)|DepthLimitExceeded"
    with pytest.raises(StudyError, match=said) as error:
        log(JSONL, line)
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize("path", ["~nosuchuser/log", "x" * 5000, "/dev/zero", "/proc/self/mem/x", "."])
@pytest.mark.parametrize("options", [EVENTS, JSONL, PARQUET, {"reader": "sequences"}, {"reader": "rechorus"}])
def test_a_path_where_no_log_is_is_one_sentence(path, options):
    if path == "." and options["reader"] == "rechorus":
        path = "~nosuchuser"
    with pytest.raises(StudyError, match=r"path|needs a") as error:
        read(Log(path=path, **options))
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize("separator", ['"', "\n", "\0", "\r", "\x1f", 'a"'])
def test_a_separator_that_cannot_be_one_is_refused(log, separator):
    with pytest.raises(StudyError, match="cannot be the 'separator'"):
        log({**EVENTS, "separator": separator}, "u,i,t\na,x,1\n")


# limits


def test_a_packed_file_that_unpacks_to_what_no_log_has_is_refused(log, monkeypatch):
    monkeypatch.setattr(plain, "ALWAYS_UNPACKED", 1 << 20)
    with pytest.raises(StudyError, match="unpacks to more than 200 times its size, as no log does"):
        log(EVENTS, gzip.compress(b"u,i,t\n" + b"a,x,1\n" * 500_000))


def test_a_line_that_is_too_long_is_refused_before_it_is_held(log):
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StudyError, match="line 2 is longer than 8 MB; check the line ends and the separator"):
        log(EVENTS, gzip.compress(b"u,i,t\na," + b"x" * 30_000_000 + b",1\n"))
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # of the content above 30 MB


def test_a_table_has_at_most_ten_thousand_columns(log):
    with pytest.raises(StudyError, match="the first line has 1,000,000 columns, and 10,000 are the most"):
        log(EVENTS, ",".join(["x"] * 1_000_000))


def test_ids_that_numpy_cannot_hold_are_refused(log):
    with pytest.raises(StudyError, match=r"an item's id has 10,001 letters \('x+…x+'\), and 10,000 are the most"):
        log(EVENTS, f"u,i,t\na,{'x' * 10_001},1\na,y,2\n")
    many = "".join(f"a,i{n},1\n" for n in range(14_000))
    with pytest.raises(
        StudyError, match=r"the ids of 14,001 items, the longest of 10,000 letters, take more than 512 MB"
    ):
        log(EVENTS, f"u,i,t\na,{'x' * 10_000},1\n{many}")


def test_what_is_named_in_a_sentence_is_short(log, tmp_path):
    header = ",".join(f"column {'x' * 100} {n}" for n in range(500))
    with pytest.raises(StudyError, match=r"there is no column 'u'; the columns are .* more") as error:
        log(EVENTS, header + "\n" + "," * 499)
    assert len(str(error.value)) <= 300


def test_a_file_read_record_by_record_is_put_together_from_its_parts(log, monkeypatch):
    monkeypatch.setattr(tables, "_BATCH", 3)
    rows = [f"a,i{n},{n}\n" for n in range(10)]
    assert log(EVENTS, 'u,i,t\na,"in""ch",-1\na,5" tv,-2\n' + "".join(rows))[0] == [
        ['5" tv', 'in"ch', *(f"i{n}" for n in range(10))]
    ]
