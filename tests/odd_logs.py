"""Broken and odd logs, drawn by hypothesis, and what the right reading of each is: with Python's own modules, not with ours."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from hypothesis.internal.conjecture import providers

from studylib.data.readers import read
from studylib.errors import StudyError
from studylib.params.study import Log

SECONDS = 5.0
"""Of the processor, at most, for one call."""


@dataclass
class Case:
    """A file and its options, and what should come of it."""

    options: dict[str, Any]
    files: dict[str, bytes]
    right: Reading | None
    """None: it cannot be read rightly, so that only a sentence is right."""


@dataclass
class Reading:
    """The sessions as lists of ids, in the order of users, with the number of events that are left out."""

    sessions: list[list[str]]
    left_out: int
    may_refuse: bool = False
    """Whether a sentence is as right as reading it."""
    splits: list[list[int]] | None = field(default=None)


def draw(strategy: st.SearchStrategy, n: int, name: str) -> list:
    """The same ``n`` inputs each time."""
    drawn: list = []

    def collect(case):
        drawn.append(case)

    collect.__name__ = collect.__qualname__ = name  # the seed of hypothesis comes from it
    quiet = settings(
        max_examples=n, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    # Hypothesis also draws numbers that stand in the code at hand, so that a change of the library would change the inputs.
    with mock.patch.object(providers, "_get_local_constants", providers.Constants):
        quiet(given(strategy)(collect))()
    return drawn[:n]


def failures(cases: list[Case], folder: Path) -> list[str]:
    """What went wrong, a line for each case that did."""
    return [f"case {number}: {wrong}" for number, case in enumerate(cases) if (wrong := judge(case, folder))]


def judge(case: Case, folder: Path) -> str | None:
    path = folder / ("log" if len(case.files) == 1 else "folder")
    for name, content in case.files.items():
        file = path if len(case.files) == 1 else path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    shown = f"{case.options} {[content[:300] for content in case.files.values()]}"
    start = time.process_time()
    try:
        sessions = read(Log(path=str(path), **case.options))
    except StudyError as error:
        sentence, sessions = str(error), None
    except BaseException as error:
        return f"raw {type(error).__name__}: {str(error)[:100]!r}: {shown}"
    if time.process_time() - start > SECONDS:
        return f"took {time.process_time() - start:.1f} s: {shown}"
    if sessions is None:
        if len(sentence) > 300 or "\n" in sentence or not sentence.endswith((".", "?")):
            return f"no sentence of 300 letters: {sentence!r}: {shown}"
        if case.right is not None and not case.right.may_refuse:
            return f"refused, but is {case.right.sessions}: {sentence!r}: {shown}"
        return None
    got = [[str(item) for item in sessions.vocabulary[sessions[s]].tolist()] for s in range(len(sessions))]
    if case.right is None:
        return f"read in silence as {got}: {shown}"
    if got != case.right.sessions:
        return f"{got} is not {case.right.sessions}: {shown}"
    left_out = sum(drop.events for drop in sessions.drops if drop.reason != "blank line")
    if left_out != case.right.left_out:
        return f"{left_out} events are said to be left out, not {case.right.left_out}: {shown}"
    if case.right.splits is not None:
        parts = np.split(sessions.given.parts, sessions.offsets[1:-1])
        if [part.tolist() for part in parts] != case.right.splits:
            return f"another split than {case.right.splits}: {shown}"
    return None


# the right reading


class Wrong(Exception):
    """There is no right reading."""


def text_of(content: bytes) -> str:
    """The text of a file, with line feeds."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except Exception:
            raise Wrong from None
    if b"\0" in content or not content:
        raise Wrong
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Wrong from None
    if lone := re.search(r"\r(?!\n)", text):
        if "\n" in text:
            raise Wrong
        text = text.replace("\r", "\n") if lone else text
    return text


def reading(rows: list[tuple], may_refuse: bool = False) -> Reading | None:
    """Events as (user, item), with an exact time where the log has times: None for what is missing."""
    kept = [row for row in rows if None not in row]
    if not kept:
        return None
    if len({row[1] for row in kept}) == 1 and len(kept) > 1:
        return None  # a column of one value
    if any("\0" in row[1] for row in kept) or max(len(row[1]) for row in kept) > 10_000:
        return None
    sessions: dict[str, list] = defaultdict(list)
    for row in kept:
        sessions[row[0]].append(row)
    ordered = [sorted(sessions[user], key=lambda row: row[2:]) for user in in_order(sessions)]
    left_out = sum(None in row and any(value is not None for value in row) for row in rows)
    return Reading([[row[1] for row in events] for events in ordered], left_out, may_refuse)


def in_rows(*columns: list | None) -> list[tuple]:
    return list(zip(*(column for column in columns if column is not None), strict=True))


def in_order(ids) -> list[str]:
    """As numbers where all of them are, else as text."""
    if all(re.fullmatch(r"0|-?[1-9]\d*", name) and abs(int(name)) < 2**63 for name in ids):
        return sorted(ids, key=int)
    return sorted(ids)


def times_of(values: list[str | None]) -> list[Decimal | None]:
    """Exact times: all of them numbers, or all of them dates."""
    given_ones = [value for value in values if value is not None]
    for parse in (number, date):
        parsed = {value: parse(value) for value in given_ones}
        if None not in parsed.values():
            return [None if value is None else parsed[value] for value in values]
    raise Wrong


def number(text: str) -> Decimal | None:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if abs(value) < Decimal("1e20") else None


def date(text: str) -> Decimal | None:
    form = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)? ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
        text,
        re.ASCII,
    )
    if not form:
        return None
    day, hour, minute, second, fraction, zone = form.groups()
    hour, minute, second = int(hour or 0), int(minute or 0), int(second or 0)
    if minute > 59 or second > 60 or hour > 24 or (hour == 24 and (minute or second or fraction)):
        return None
    try:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    if zone not in (None, "Z", "UTC"):
        digits = re.sub(r"\D", "", zone)
        offset = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
        seconds -= -offset if zone[0] == "-" else offset
    return seconds + hour * 3600 + minute * 60 + second + Decimal(f"0.{fraction or 0}")


def right_events(content: bytes, separator: str, header: bool, columns: dict[str, str | int]) -> Reading | None:
    try:
        text = text_of(content)
        names, rows, may_refuse = table_of(text, separator, header)
        positions = {}
        for role, column in columns.items():
            if isinstance(column, int):
                if column >= len(names):
                    raise Wrong
                positions[role] = column
            else:
                if not header or names.count(column) != 1:
                    raise Wrong
                positions[role] = names.index(column)
        picked = {role: [(row[p] or None) if row else None for row in rows] for role, p in positions.items()}
        if header and any(isinstance(column, int) for column in columns.values()):
            for role, position in positions.items():
                name = names[position]
                is_time = role == "time" and (number(name) or date(name))
                if is_time or (role != "time" and (re.fullmatch(r"-?\d+", name) or name in picked[role])):
                    raise Wrong  # an event, not a header
        may_refuse |= not header and "time" not in columns  # its first line may look like one
        times = times_of(picked["time"]) if "time" in picked else None
    except Wrong:
        return None
    return reading(in_rows(picked["user"], picked["item"], times), may_refuse)


def table_of(text: str, separator: str, header: bool) -> tuple[list[str], list[list[str]], bool]:
    """Names, rows (a blank one has no fields), and whether a field holds what looks like events."""
    if len(separator) > 1:
        if "\x1f" in text:
            raise Wrong
        text, separator = text.replace(separator, "\x1f"), "\x1f"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines = text.split("\n")
    records, swallowed, last = [], False, 0
    try:
        for fields in reader:
            of_record = lines[last : reader.line_num]
            last = reader.line_num
            blank = not fields or (len(of_record) == 1 and not of_record[0].strip(" \r"))
            if blank and not records:
                continue
            records.append([] if blank else fields)
            if len(of_record) > 1 and all(line.count(separator) == len(records[0]) - 1 for line in of_record):
                swallowed = True
    except csv.Error:
        raise Wrong from None
    if not records or any(fields and len(fields) != len(records[0]) for fields in records):
        raise Wrong
    rows = records[1:] if header else records
    if not rows or (len(records[0]) == 1 and any(other in text for other in "\t|:,; ")):
        raise Wrong
    return records[0], rows, swallowed


def right_sequences(content: bytes, separator: str, leading_user: bool) -> Reading | None:
    try:
        text = text_of(content)
    except Wrong:
        return None
    lines = [line.rstrip(" \t\r") for line in text.split("\n")]
    lines = [line for line in lines if line]
    sessions, left_out = [], 0
    for line in lines:
        parts = line.split(separator)
        if leading_user and not parts[0]:
            left_out += len(parts)
            continue
        parts = parts[leading_user:]
        if filled := [part for part in parts if part]:
            sessions.append(filled)
        left_out += len(parts) - sum(map(bool, parts))
    if not sessions or max(len(item) for session in sessions for item in session) > 10_000:
        return None
    one_column = all(separator not in line for line in lines)
    return Reading(sessions, left_out, may_refuse=one_column and any(other in text for other in "\t|:,; "))


def right_jsonl(content: bytes, columns: dict[str, str]) -> Reading | None:
    fields = list(columns.values())
    try:
        text = text_of(content)
        rows = []
        for line in text.split("\n"):
            if line.strip(" \t\r"):
                rows.append(json_row(line, fields))
        if not rows:
            raise Wrong
        picked = {role: [row.get(name) for row in rows] for role, name in columns.items()}
        times = times_of(picked["time"]) if "time" in picked else None
    except (Wrong, ValueError, RecursionError):
        return None
    return reading(in_rows(picked["user"], picked["item"], times))


def json_row(line: str, fields: list[str]) -> dict[str, str | None]:
    def refuse(constant):
        raise Wrong

    class Pairs(list):
        pass

    pairs = json.loads(line, object_pairs_hook=Pairs, parse_constant=refuse)
    if not isinstance(pairs, Pairs):
        raise Wrong
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in fields):
        raise Wrong
    row = {}
    for name, value in pairs:
        if name not in fields or value is None or value == "":
            continue
        if isinstance(value, list):
            raise Wrong
        if isinstance(value, bool):
            row[name] = "true" if value else "false"
        elif isinstance(value, float):
            exact = format(Decimal(repr(value)), "f")
            row[name] = exact.rstrip("0").rstrip(".") if "." in exact else exact
        else:
            row[name] = str(value)
        if re.search("[\0\ud800-\udfff]", row[name]):
            raise Wrong
    return row


# odd files

IDS = st.sampled_from(
    ["a", "b", "c", "a", "b", "1", "2", "3", "007", "7", "-0", "+7", "1.0", "1e3", "", "", " ", " a", "é", "店", "x" * 300,
     '"', 'say "hi"', '5" tv', "a,b", "a\tb", "two\nlines", "two\r\nlines", "\x1f", "\u202e", "\u2028", "null", "NaN",
     "9223372036854775807", "9223372036854775808", "<script>", "$x$", "a|b", "a::b", "[1]", "{", "\x0b", "\ufeff", "x" * 10_001]
)  # fmt: skip
PLAIN_IDS = st.sampled_from(["a", "b", "c", "d", "e"]) | st.integers(0, 30).map(str)
NUMBERS = st.integers(0, 2000).map(str) | st.sampled_from(
    ["1396861869", "1396861870.5", "1396861869123456789", "1396861869123456788", "1396861869123456790", "9007199254740993",
     "9007199254740992", "-3", "1e3", ".5", "5.", "1396861869.123456789", "1396861869.123456788", "0.1"]
)  # fmt: skip
DATES = st.sampled_from(
    ["2014-04-07", "2014-04-07T10:51:09Z", "2014-04-07 10:51:09", "2014-04-07T10:51:09.277Z", "2014-04-07 10:51:09,123",
     "2014-04-07T24:00:00Z", "2014-04-07T10:51:09+02:00", "2014-04-07 10:51:09 +0200", "2014-04-07T10:51:60Z",
     "2014-04-07T10:51:09.123456789Z", "2014-04-07T10:51:09.123456788Z", "2014-04-07 10:51", "1969-12-31T23:59:59.5"]
)  # fmt: skip
NO_TIMES = st.sampled_from(
    ["2014-04-07 10:51:09 PM", "07/04/2014", "nan", "inf", "soon", "1e400", "2014-02-30", "2014-04-07T25:00:00", " 5",
     "1,5", "0x10", "1_000", "2014-04-07T10", "٣", "true", "", "12:30"]
)  # fmt: skip
SPECIAL = st.sampled_from(
    [b'"', b"'", b",", b"\t", b"|", b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"\xe9", b"\xef\xbb\xbf", b"\\", b"{", b"}", b"[",
     b"]", b":", b" ", b"\x1f", b"\x1a", b"0", b"", b"\xf0\x9f\x98\x80", b"::"]
)  # fmt: skip


@st.composite
def mutated(draw_, content: bytes) -> bytes:
    """A file, perhaps with a few bytes changed, other line ends, in another encoding, cut or packed."""
    for _ in range(draw_(st.sampled_from([0, 0, 0, 0, 0, 1, 1, 2, 3]))):
        at = draw_(st.integers(0, len(content)))
        content = content[:at] + draw_(SPECIAL) + content[at + draw_(st.integers(0, 2)) :]
    how = draw_(
        st.sampled_from(
            [*["as is"] * 12, "crlf", "cr", "cr crlf", "bom", "utf-16", "latin-1", "cut", "gzip", "members", "damaged"]
        )
    )
    if how in ("crlf", "cr", "cr crlf"):
        end = {"crlf": b"\r\n", "cr": b"\r", "cr crlf": b"\r\r\n"}[how]
        content = content.replace(b"\r\n", b"\n").replace(b"\n", end)
    elif how == "bom":
        content = b"\xef\xbb\xbf" + content
    elif how in ("utf-16", "latin-1"):
        content = content.decode("utf-8", "ignore").encode(how, "ignore")
    elif how == "cut":
        content = content[: draw_(st.integers(0, len(content)))]
    elif how == "gzip":
        content = gzip.compress(content, mtime=0)
    elif how == "members":
        half = len(content) // 2
        content = gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:], mtime=0)
    elif how == "damaged":
        content = gzip.compress(content, mtime=0)
        at = draw_(st.integers(2, len(content) - 1))
        content = content[:at] + draw_(SPECIAL) + content[at + 1 :]
    return content


@st.composite
def sequences(draw_) -> Case:
    separator = draw_(st.sampled_from(["|", "|", ",", "\t", " ", "::"]))
    leading_user = draw_(st.booleans())
    lines = draw_(st.lists(st.lists(PLAIN_IDS | PLAIN_IDS | IDS, min_size=1, max_size=5), max_size=6))
    content = draw_(mutated("\n".join(separator.join(line) for line in lines).encode()))
    options = {"reader": "sequences", "separator": separator, "leading_user": leading_user}
    return Case(options, {"log": content}, right_sequences(content, separator, leading_user))


@st.composite
def rows(draw_, ids=PLAIN_IDS | PLAIN_IDS | IDS) -> list[list[str]]:
    kind = draw_(
        st.sampled_from([NUMBERS, NUMBERS, DATES, DATES, NUMBERS | DATES, NUMBERS | NO_TIMES, DATES | NO_TIMES])
    )
    plain = draw_(st.booleans())
    ids = PLAIN_IDS if plain else ids
    return draw_(
        st.lists(
            st.tuples(ids, ids, kind | st.just("") if not plain else kind).map(list),
            min_size=draw_(st.sampled_from([0, 2, 2, 3])),
            max_size=7,
        )
    )


@st.composite
def events(draw_) -> Case:
    separator = draw_(st.sampled_from([",", ",", "\t", ";", "|", "::"]))
    header = draw_(st.booleans())
    numbered = draw_(st.booleans()) or not header
    columns: dict[str, str | int] = (
        {"user": 0, "item": 1, "time": 2} if numbered else {"user": "u", "item": "i", "time": "t"}
    )
    if draw_(st.integers(0, 3)) == 0:
        del columns["time"]
    names = draw_(
        st.sampled_from([["u", "i", "t"]] * 12 + [["u", "i", "i"], ["1", "1", "1"], ["u", "x", "t"], ["a", "b", "c"]])
    )
    table = [names] * header + draw_(rows())
    out = io.StringIO()
    if draw_(st.integers(0, 2)) or len(separator) > 1:
        out.write("\n".join(separator.join(row) for row in table))
    else:
        csv.writer(out, delimiter=separator, lineterminator="\n").writerows(table)
    content = draw_(mutated(out.getvalue().encode()))
    options = {"reader": "events", "separator": separator, "header": header, **columns}
    return Case(options, {"log": content}, right_events(content, separator, header, columns))


VALUES = (
    st.integers(-5, 30)
    | PLAIN_IDS
    | IDS
    | st.sampled_from(
        [1.5, 1e3, 1e-7, 2**53 + 1, 2**70, True, None, [1], {"a": 1}, "\0", "\ud800", "😀", float("nan"), float("inf")]
    )
)
JSON_TIMES = (
    NUMBERS
    | DATES
    | st.integers(0, 10**19)
    | st.sampled_from([1.5, None, True, [], 1396861869123456789, 1396861869123456788])
)


@st.composite
def jsonl(draw_) -> Case:
    columns = {"user": "u", "item": "i", "time": "t"}
    if draw_(st.integers(0, 3)) == 0:
        del columns["time"]
    odd = draw_(st.booleans())
    lines = []
    kind = draw_(st.sampled_from([st.integers(0, 50), NUMBERS, DATES, JSON_TIMES]))
    for _ in range(draw_(st.sampled_from([0, 1, 2, 3, 4, 4, 5, 6]))):
        value = st.one_of(PLAIN_IDS, PLAIN_IDS, VALUES) if odd else PLAIN_IDS | st.integers(0, 20)
        row = {"u": draw_(value), "i": draw_(value), "t": draw_(kind)}
        if odd and draw_(st.integers(0, 5)) == 0:
            row["text"] = draw_(st.sampled_from(['"u": 1', 'say "u":', "\\", "a\nb", [[[]]], {"u": 2}]))
        line = json.dumps(row, ensure_ascii=draw_(st.booleans()))
        if odd:
            line = line.encode("utf-8", "replace").decode()
            if draw_(st.integers(0, 8)) == 0:
                line = line[:-1] + draw_(st.sampled_from([',"u":2}', ',"\\u0075":2}', ',"i":null}', ",}", "} x", ""]))
            if draw_(st.integers(0, 12)) == 0:
                line = draw_(
                    st.sampled_from(["[1]", "null", "1", '"x"', "", " ", "\t", "{}", "{'u':1}", '{"u":01}', "[" * 2000])
                )
        lines.append(line)
    content = draw_(mutated("\n".join(lines).encode("utf-8", "replace")))
    return Case({"reader": "jsonl", **columns}, {"log": content}, right_jsonl(content, columns))


ARRAYS: list[tuple[pa.DataType, Callable[[Any], Any]]] = [
    (pa.int64(), st.integers(-5, 20) | st.integers(2**60, 2**60 + 3)),
    (pa.uint64(), st.integers(0, 9) | st.integers(2**63, 2**63 + 2)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.string(), PLAIN_IDS | IDS),
    (pa.large_string(), PLAIN_IDS),
    (pa.dictionary(pa.int32(), pa.string()), PLAIN_IDS),
    (pa.bool_(), st.booleans()),
    (pa.null(), st.none()),
    (pa.list_(pa.int64()), st.lists(st.integers(0, 3), max_size=2)),
    (pa.list_(pa.int64(), 2), st.lists(st.integers(0, 3), min_size=2, max_size=2)),
    (pa.struct([("a", pa.int64())]), st.just({"a": 1})),
    (pa.binary(), st.binary(max_size=3)),
    (pa.duration("s"), st.just(timedelta(seconds=3))),
    (pa.time32("s"), st.just(datetime(2020, 1, 1, 3).time())),
]
SORTS = [
    (pa.int64(), st.integers(-5, 20)),
    (pa.int64(), st.integers(1396861869123456780, 1396861869123456790)),
    (pa.uint64(), st.integers(2**63, 2**63 + 9)),
    (pa.float64(), st.sampled_from([1.5, -2.0, 3.25, float("nan"), 1e10])),
    (pa.float64(), st.sampled_from([1.5, float("inf")])),
    (pa.string(), NUMBERS | NO_TIMES),
    (pa.string(), DATES),
    (pa.timestamp("ns"), st.integers(0, 5000)),
    (pa.timestamp("us", tz="UTC"), st.integers(0, 5000)),
    (pa.date32(), st.integers(0, 50)),
    (pa.decimal128(30, 9), st.integers(0, 5).map(Decimal)),
]
ODD_SORTS = ARRAYS[6:]


@st.composite
def parquet(draw_) -> Case:
    n = draw_(st.sampled_from([0, 1, 3, 4, 5, 6, 7]))
    common = ARRAYS[:5]
    types = {
        "u": draw_(st.sampled_from(common * 12 + ARRAYS)),
        "i": draw_(st.sampled_from(common * 12 + ARRAYS)),
        "t": draw_(st.sampled_from(SORTS * 4 + ODD_SORTS)),
    }
    table = {}
    full = draw_(st.booleans())
    for name, (dtype, values) in types.items():
        table[name] = pa.array([draw_(values if full else values | st.none()) for _ in range(n)], dtype)
    out = io.BytesIO()
    pq.write_table(pa.table(table), out)
    content = out.getvalue()
    right = right_parquet(pa.table(table))
    if draw_(st.integers(0, 2)) == 0:
        at = draw_(st.integers(0, len(content) - 1))
        content = draw_(
            st.sampled_from([content[:at], content[:at] + draw_(SPECIAL) + content[at + 1 :], content[at:]])
        )
        try:
            right = right_parquet(pq.ParquetFile(io.BytesIO(content)).read(["u", "i", "t"]))
        except Exception:
            right = None
        if right is None:  # what pyarrow refuses may be where nobody looks
            return Case({"reader": "parquet", "user": "u", "item": "i", "time": "t"}, {"log": content}, None)
        right.may_refuse = True
    return Case({"reader": "parquet", "user": "u", "item": "i", "time": "t"}, {"log": content}, right)


def right_parquet(table: pa.Table) -> Reading | None:
    picked = {}
    for name in ("u", "i"):
        dtype = table[name].type
        if (
            pa.types.is_nested(dtype)
            or pa.types.is_binary(dtype)
            or pa.types.is_duration(dtype)
            or pa.types.is_time(dtype)
        ):
            return None
        texts = ["true" if v is True else "false" if v is False else v for v in table[name].to_pylist()]
        picked[name] = [None if v is None or v == "" else str(v) for v in texts]
    values = table["t"]
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        times = values.cast(pa.int32() if pa.types.is_date(values.type) else pa.int64()).to_pylist()
    elif pa.types.is_floating(values.type):
        times = [None if v is None or v != v else v for v in values.to_pylist()]
        if float("inf") in times:
            return None
    elif pa.types.is_integer(values.type) or pa.types.is_decimal(values.type):
        times = values.to_pylist()
    elif pa.types.is_string(values.type):
        try:
            times = times_of([v or None for v in values.to_pylist()])
        except Wrong:
            return None
    else:
        return None
    return reading(in_rows(picked["u"], picked["i"], times))


@st.composite
def rechorus(draw_) -> Case:
    ids = (
        st.integers(1, 6).map(str)
        if draw_(st.booleans())
        else PLAIN_IDS | IDS.filter(lambda name: "\n" not in name and "\t" not in name)
    )
    files, rows_ = {}, []
    right: Reading | None = None
    broken = False
    for part, name in enumerate(("train", "dev", "test")):
        n = draw_(st.integers(0 if name != "train" else 1, 3))
        table = [[draw_(ids), draw_(ids), draw_(st.integers(0, 9).map(str))] for _ in range(n)]
        content = "".join("\t".join(row) + "\n" for row in [["user_id", "item_id", "time"], *table]).encode()
        content = draw_(mutated(content)) if draw_(st.integers(0, 5)) == 0 else content
        files[f"{name}.csv"] = content
        try:
            names, records, odd = table_of(text_of(content), "\t", True)
            positions = [names.index(column) for column in ("user_id", "item_id", "time")]
            picked = [[(row[p] or None) if row else None for p in positions] for row in records]
            times = times_of([row[2] for row in picked])
            if odd or not any(None not in row for row in picked):
                raise Wrong
            rows_ += [(row[0], (row[1], part), when) for row, when in zip(picked, times, strict=True)]
        except (Wrong, ValueError):
            broken = True
    if not broken:
        events_ = [(user, item[0], when) for user, item, when in rows_]
        kept = [row for row in rows_ if None not in (row[0], row[1][0], row[2])]
        right = reading(events_)
        if right is not None:
            by_user: dict[str, list] = defaultdict(list)
            for row in kept:
                by_user[row[0]].append(row)
            right.splits = [[r[1][1] for r in sorted(by_user[u], key=lambda r: r[2])] for u in in_order(by_user)]
        elif len({row[1][0] for row in kept}) == 1:
            return draw_(rechorus())  # one item alone is no fault here
    return Case({"reader": "rechorus"}, files, right)


# logs of one's own

KINDS = st.sampled_from(["view", "view", "view", "cart", "ping", ""])
STEPS = st.sampled_from([0, 600, 1799, 1800, 1800, 1801, 7200, 86400, -5000])


@st.composite
def clicks(draw_) -> Case:
    """Events of a few users, cut by silence or by the day, of some types alone, in one file or in three."""
    unit = draw_(st.sampled_from([1, 1000, 10**6, 10**9, None]))  # None: dates
    at, rows_ = 1_700_000_000, []
    for _ in range(draw_(st.integers(1, 14))):
        at += draw_(STEPS)
        when = f"{datetime.fromtimestamp(at, UTC):%d/%m/%Y %H:%M:%S}" if unit is None else str(at * unit)
        ids = st.sampled_from(["a", "a", "a", "a", "7", ""])
        rows_.append([draw_(ids), draw_(PLAIN_IDS), when if draw_(st.integers(0, 9)) else "", draw_(KINDS), at])
    how = draw_(st.sampled_from([{"gap": "30min"}, {"gap": "0.5 h"}, "day", None]))
    wanted = draw_(st.sampled_from([{}, {"type": ["view"]}, {"type": ["view", "cart"]}]))
    reader = draw_(st.sampled_from(["events", "jsonl", "parquet"]))
    names = (
        {"user": "u", "item": "i", "time": "t"} if reader == "events" else {"user": "u.id", "item": "v.id", "time": "t"}
    )
    options = {"reader": reader, **names, "events": wanted, "sessions": how}
    options |= {"time_format": "%d/%m/%Y %H:%M:%S"} if unit is None else {}
    parts = [rows_] if draw_(st.booleans()) or len(rows_) < 3 else [rows_[:1], rows_[1:2], rows_[2:]]
    ending = {"events": "csv", "jsonl": "json", "parquet": "parquet"}[reader]
    files = {f"{n}.{ending}": a_file(reader, part) for n, part in enumerate(parts)}
    return Case(options, files, right_clicks(rows_, wanted.get("type"), how))


def a_file(reader: str, rows_: list[list]) -> bytes:
    if reader == "events":
        return ("u,i,t,type\n" + "".join(",".join(row[:4]) + "\n" for row in rows_)).encode()
    objects = [{"u": {"id": u, "n": 1}, "v": {"id": i}, "t": t, "type": kind} for u, i, t, kind, _ in rows_]
    if reader == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in objects).encode()
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(objects), out)
    return out.getvalue()


def right_clicks(rows_: list[list], wanted: list[str] | None, how: Any) -> Reading | None:
    counted = [row for row in rows_ if wanted is None or row[3] in wanted]
    kept = [row for row in counted if "" not in row[:3]]
    if not kept or (len({row[1] for row in kept}) == 1 and len(kept) > 1):
        return None
    sessions = []
    for user in in_order({row[0] for row in kept}):
        before = None
        for _, item, _, _, at in sorted((row for row in kept if row[0] == user), key=lambda row: row[4]):
            if how == "day":
                ends = before is not None and before // 86400 != at // 86400
            else:
                ends = how is not None and before is not None and at - before > 1800
            if before is None or ends:
                sessions.append([])
            sessions[-1].append(item)
            before = at
    # With a filter, a file may have no field that is ever filled: a column that is not there.
    may_refuse = wanted is not None and not any(row[3] for row in rows_)
    return Reading(sessions, len(rows_) - len(kept), may_refuse)


REQUESTS = st.sampled_from(
    ["GET / HTTP/1.1", "GET /a HTTP/1.1", "GET /a?x=1 HTTP/2.0", "GET /b/ HTTP/1.0", "POST /a HTTP/1.1", "GET /s.css?v HTTP/1.1",
     "GET http://h.org/c HTTP/1.1", "-", "", r"\x16\x03", "GET", r"GET /\"q\" HTTP/1.1", "HEAD / HTTP/1.1", "GET /d"]
)  # fmt: skip
AGENTS = st.sampled_from(["Firefox", "Firefox", r"a \"b\" [c]", "Googlebot/2.1", "-", "", "curl/8"])


@st.composite
def access_logs(draw_) -> Case:
    lines, rows_, left_out = [], [], 0
    for _ in range(draw_(st.integers(1, 9))):
        address, request, agent = draw_(st.sampled_from(["1.2.3.4", "::1"])), draw_(REQUESTS), draw_(AGENTS)
        status, second = draw_(st.sampled_from([200, 200, 200, 304, 404])), draw_(st.integers(0, 59))
        lines.append(f'{address} - - [10/Oct/2025:13:55:{second:02} +0100] "{request}" {status} 5 "-" "{agent}"')
        target = re.fullmatch(r"GET (?:http://h\.org)?(/\S*)( HTTP/\S+)?", request)
        path = target and target[1].split("?")[0]
        program = agent in ("Googlebot/2.1", "-", "", "curl/8")
        if path and status == 200 and not path.endswith(".css") and not program:
            rows_.append((f"{address} {agent}", path, second))
        else:
            left_out += 1
    if draw_(st.integers(0, 4)) == 0 and len(lines) > 1:
        lines.append("no line of a server")
        left_out += 1
    right = reading(rows_)
    if right is not None:
        right.left_out = left_out
    return Case({"reader": "access-log"}, {"log": "\n".join(lines).encode()}, right)


FORMATS = {
    "clicks": (clicks(), 500),
    "access_log": (access_logs(), 300),
    "sequences": (sequences(), 600),
    "events": (events(), 1200),
    "jsonl": (jsonl(), 800),
    "parquet": (parquet(), 500),
    "rechorus": (rechorus(), 200),
}
"""The inputs of each reader, and how many are drawn."""
