"""Readers: from the files in which logs come to `Sessions`.

Each reader makes a table of events with polars and passes it to `Sessions.from_events`. The fast path only detects that
something is wrong; a second, slow pass over the file finds the line.
"""

from __future__ import annotations

import csv
import glob
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import dropwhile, islice
from pathlib import Path

import numpy as np
import polars as pl

from studylib.data.sessions import TEST, TRAIN, VALIDATION, Drop, Given, Sessions, encode
from studylib.errors import StudyError
from studylib.params.study import Log
from studylib.paths import project_root

RECHORUS_FILES = {TRAIN: "train.csv", VALIDATION: "dev.csv", TEST: "test.csv"}

_SEPARATORS = ["\t", "|", "::", ",", ";", " "]
_STAND_IN = "\x1f"  # ASCII's "unit separator", for the separators of several characters, which no CSV parser takes


def read(log: Log, path: Path | None = None) -> Sessions:
    """Read a log with its reader.

    Rows without a user, an item or a time are left out and counted in `Sessions.drops`, as are blank lines.

    Args:
        log: the reader and its options. The filters are not applied (`sessions.apply_filters` does that).
        path: where the log is, if not at ``log.path``, which starts at the project's root if it is relative.

    Raises:
        StudyError: the file is missing, empty, not UTF-8, has a line that does not parse or lacks a column. The message
            names the file, the line and what to do.
    """
    assert log.reader is not None, "a log without a reader is one of the registry (`datasets.load`)"
    path = Path(path) if path is not None else log_path(log)
    if not path.exists():
        raise StudyError(f"{path}: there is no such file; check 'path' (a relative one starts at {project_root()}).")
    if path.is_dir() != (log.reader == "rechorus"):
        needs, is_a = ("folder", "file") if log.reader == "rechorus" else ("file", "folder")
        raise StudyError(f"{path}: the reader '{log.reader}' needs a {needs}, and this is a {is_a}.")
    return _READERS[log.reader](log, path)


def log_path(log: Log) -> Path:
    """The absolute form of ``log.path``: a relative path starts at the project's root."""
    assert log.path is not None, "a log with a reader has a path"
    return project_root() / Path(log.path).expanduser()


def rechorus_files(folder: Path) -> dict[int, Path]:
    """The files of a ReChorus folder by their part, plain or gzip.

    Raises:
        StudyError: one of them is missing.
    """
    files = {}
    for part, name in RECHORUS_FILES.items():
        candidates = [folder / name, folder / f"{name}.gz"]
        file = next((file for file in candidates if file.is_file()), None)
        if file is None:
            raise StudyError(
                f"{folder}: has no {name} (or {name}.gz); a ReChorus folder needs train.csv, dev.csv and test.csv."
            )
        files[part] = file
    return files


def _read_sequences(log: Log, path: Path) -> Sessions:
    """One line per session, ids in order; the default separator is ``|``. Sessions keep the order of the lines."""
    separator = log.separator or "|"
    with _explained(path):
        # White space at the end of a line is no part of an id; some editors begin a file with a byte order mark.
        lines = pl.read_lines(path, glob=False)["line"].str.strip_chars_end(" \t\r").str.strip_chars_start("\ufeff")
    blank = lines == ""
    if blank.all():
        raise StudyError(f"{path}: the file is empty; it needs one session a line.")
    broken = lines.str.contains(separator * 2, literal=True)
    broken |= lines.str.starts_with(separator) | lines.str.ends_with(separator)
    if broken.any():
        row = broken.arg_max()
        raise _bad_line(path, row + 1, lines[row], f"has an empty id between two separators {_quoted(separator)}")
    lines = lines.filter(~blank)
    items = lines.str.split(separator)
    if items.list.len().max() == 1:
        _suggest_separator(path, separator, lines.head(1000).to_list())
    drops = [Drop("blank line", int(blank.sum()), 0)]
    if log.leading_user:
        items = items.list.slice(1)
        alone = items.list.len() == 0
        if alone.all():
            raise StudyError(f"{path}: no line has an item after its user; check 'separator' and 'leading_user'.")
        items = items.filter(~alone)
        drops.append(Drop("user without an item", int(alone.sum()), 0))
    lengths = items.list.len().to_numpy()
    session = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    events = pl.DataFrame({"session": session, "item": items.explode(empty_as_null=False)})
    return Sessions.from_events(events, _counted(drops))


def _read_events(log: Log, path: Path) -> Sessions:
    """One line per event; the default separator is ``,``. Columns are named or numbered from 0."""
    columns = event_columns(log)
    table, drops = read_table(path, log.separator or ",", log.header, columns)
    return Sessions.from_events(table, drops)


def _read_rechorus(log: Log, folder: Path) -> Sessions:
    """ReChorus's folder, with its split and, where it has them, its candidates.

    A user's history is in the framework's order: by time, and rows of equal time as they stand in train.csv,
    dev.csv and test.csv, one after the other.
    """
    files = rechorus_files(folder)
    columns = {"session": "user_id", "item": "item_id", "time": "time"}
    tables: list[pl.DataFrame] = []
    drops: list[Drop] = []
    for part, file in files.items():
        table, dropped = read_table(file, "\t", True, columns, optional={"candidates": "neg_items"})
        tables.append(table.with_columns(part=pl.lit(part, pl.UInt8)))
        drops += dropped
    table = pl.concat(tables, how="diagonal")
    table = table.with_columns(session=pl.Series(encode(table["session"])[0]))
    table = table.sort("session", "time", maintain_order=True)
    sessions = Sessions.from_events(table, _counted(drops))
    candidates = {}
    for part, file in files.items():
        lists = table.filter(pl.col("part") == part)["candidates"] if "candidates" in table.columns else None
        if lists is not None and lists.null_count() < len(lists):
            candidates[part] = _candidates(lists, sessions.vocabulary, file)
    assert sessions.given is not None, "the table has a column 'part'"
    return replace(sessions, given=Given(sessions.given.parts, candidates))


def _candidates(lists: pl.Series, vocabulary: np.ndarray, file: Path) -> np.ndarray:
    """int32 (n, n_candidates): the lists, printed as Python prints them, as indices into the vocabulary."""
    ids = lists.str.strip_chars("[] ").str.replace_all("['\" ]", "").str.split(",")
    counts = ids.list.len()
    if counts.null_count() or counts.n_unique() > 1:
        fewest = 0 if counts.null_count() else counts.min()
        raise StudyError(
            f"{file}: the lists in 'neg_items' have {fewest} to {counts.max()} items; "
            "every row needs equally many, or leave the column out to have candidates drawn."
        )
    ids = ids.explode(empty_as_null=False)
    known = pl.Series(vocabulary)
    wanted = ids.cast(pl.Int64, strict=False) if known.dtype.is_integer() else ids
    index = known.search_sorted(wanted.fill_null(known[0])).to_numpy().clip(max=len(known) - 1).astype(np.int32)
    missing = (wanted.is_null() | (known.gather(index) != wanted)).fill_null(True)
    if missing.any():
        raise StudyError(
            f"{file}: the item {ids[missing.arg_max()]!r} in 'neg_items' occurs in no row of the data; take the three "
            "files of one and the same split, or leave the column out to have candidates drawn."
        )
    return index.reshape(len(lists), counts[0])


def _read_jsonl(log: Log, path: Path) -> Sessions:
    """One JSON object per line. Only the three fields are kept, so that the texts of reviews cost no memory."""
    columns = event_columns(log)
    _refuse_empty(path)
    schema = {str(field): pl.String for field in columns.values()}
    with _explained(path, lambda: _find_bad_json(path)):
        # The name of a file is no pattern; the other readers of polars can be told so.
        objects = pl.scan_ndjson(glob.escape(str(path)), schema=schema).collect(engine="streaming")
    if not len(objects):
        raise StudyError(f"{path}: the file is empty; it needs one event a line.")
    absent = [field for field in schema if objects[field].null_count() == len(objects)]
    if absent:
        first: dict = next((json.loads(text) for _, text in _lines(path) if text.strip()), {})
        raise StudyError(
            f"{path}: no line has a field {absent[0]!r}; the fields of the first line are {_listed(first)}."
        )
    table = objects.select(pl.col(str(field)).alias(role) for role, field in columns.items())
    filled = (line for line in _lines(path) if line[1].strip())
    table, drops = _events(path, table, lambda row: _bad_line(path, *next(islice(filled, row, None)), _NO_TIME))
    return Sessions.from_events(table, drops)


def _find_bad_json(path: Path) -> None:
    for number, text in _lines(path):
        try:
            value = json.loads(text) if text.strip() else {}
        except json.JSONDecodeError as error:
            raise _bad_line(path, number, text, f"is not a JSON object ({error.msg})") from None
        if not isinstance(value, dict):
            raise _bad_line(path, number, text, "is not a JSON object")


def _read_parquet(log: Log, path: Path) -> Sessions:
    """A table of events with named columns."""
    columns = event_columns(log)
    _refuse_empty(path)
    try:
        names = pl.scan_parquet(path, glob=False).collect_schema().names()
        picked = {role: names[_find_column(path, column, names)] for role, column in columns.items()}
        table = (
            pl.scan_parquet(path, glob=False)
            .select(pl.col(name).alias(role) for role, name in picked.items())
            .collect()
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StudyError(f"{path}: cannot be read as a parquet file ({_first_line(error)}).") from None

    def bad_time(row: int) -> StudyError:
        return StudyError(f"{path}: row {row + 1} {_NO_TIME}: {str(table['time'][row])!r}.")

    events, drops = _events(path, table, bad_time)
    return Sessions.from_events(events, drops)


_READERS = {
    "sequences": _read_sequences,
    "events": _read_events,
    "jsonl": _read_jsonl,
    "rechorus": _read_rechorus,
    "parquet": _read_parquet,
}


def event_columns(log: Log) -> dict[str, str | int]:
    """The names or numbers of the columns ``session``, ``item`` and, where the log has times, ``time``.

    Raises:
        StudyError: the log names no user or no item.
    """
    if log.user is None or log.item is None:
        raise StudyError(f"{log.path}: the reader '{log.reader}' needs the columns 'user' and 'item'; name both.")
    columns = {"session": log.user, "item": log.item}
    return columns if log.time is None else {**columns, "time": log.time}


def read_table(
    path: Path, separator: str, header: bool, columns: Mapping[str, str | int], optional: dict[str, str] | None = None
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Read the columns of a table of separated text.

    Args:
        separator: one or more characters. Fields may be in double quotes.
        columns: name or number (from 0) of the columns ``session``, ``item`` and, where wanted, ``time``.
        optional: further columns that are read only where they are there.

    Returns:
        The events in the order of the file (ids as text, times Float64), and what was left out.

    Raises:
        StudyError: as `read`.
    """
    _refuse_empty(path)
    with _explained(path):
        source: Path | bytes = path
        if len(separator.encode()) > 1:
            with _open(path) as file:
                source = file.read().replace(separator.encode(), _STAND_IN.encode())
        mark = separator if source is path else _STAND_IN
        table = pl.scan_csv(source, separator=mark, has_header=header, infer_schema=False, glob=False)
        names = table.collect_schema().names()
        if len(names) == 1:
            _suggest_separator(path, separator, [text for _, text in islice(_lines(path), 100)])
        picked = {role: names[_find_column(path, column, names, header)] for role, column in columns.items()}
        time = columns.get("time")
        if header and isinstance(time, int) and not _times(pl.Series([names[time]])).has_nulls():
            raise StudyError(
                f"{path}: the first line should be a header but looks like an event ({names[time]!r} is a time); set "
                "'header: false', or name the columns."
            )
        picked |= {role: name for role, name in (optional or {}).items() if name in names}
        line = pl.col("line")
        # A quoted field may hold separators, so that a differing line is only a suspect.
        suspect = (line.str.count_matches(mark, literal=True) != len(names) - 1) & (line.str.strip_chars() != "")
        if pl.scan_lines(source, glob=False).select(suspect.any()).collect(engine="streaming").item():
            _find_ragged(path, separator, len(names))
        picked_columns = [pl.col(name).alias(role) for role, name in picked.items()]
        rows = table.select(picked_columns).collect(engine="streaming")
    if not len(rows):
        raise StudyError(f"{path}: has a header but no events; if its only line is an event, set 'header: false'.")

    def bad_time(row: int) -> StudyError:
        records = dropwhile(lambda record: not record[1], _records(path, separator))  # as polars does
        number, fields = next(islice(records, row + header, None))
        what = _NO_TIME if number > 1 or header else f"{_NO_TIME} (if it is a header, set 'header: true')"
        return _bad_line(path, number, separator.join(fields), what)

    return _events(path, rows, bad_time)


def _find_column(path: Path, column: str | int, names: list[str], header: bool = True) -> int:
    """The position of a named or numbered column. RecBole's ``item_id:token`` may be called ``item_id``."""
    if isinstance(column, int):
        if 0 <= column < len(names):
            return column
        raise StudyError(f"{path}: there is no column {column}; columns are numbered from 0 to {len(names) - 1}.")
    if not header:
        raise StudyError(f"{path}: without a header the column {column!r} needs its number, counted from 0.")
    for known in (names, [name.split(":")[0] for name in names]):
        if column in known:
            return known.index(column)
    raise StudyError(f"{path}: there is no column {column!r}; the columns are {_listed(names)}.")


_NO_TIME = "has a time that is neither a number nor a date such as 2014-04-07 or 2014-04-07T10:51:09Z"


def _events(path: Path, table: pl.DataFrame, bad_time) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Parse the times and leave out the rows that lack a user, an item or a time.

    Args:
        table: columns ``session``, ``item`` and perhaps ``time``, as they stand in the file.
        bad_time: returns the error for the row (counted from 0) whose time does not parse.
    """
    if "time" in table.columns:
        times = _times(table["time"])
        bad = times.is_null() & table["time"].is_not_null()
        if bad.any():
            raise bad_time(bad.arg_max())
        table = table.with_columns(time=times)
    roles = [role for role in ("session", "item", "time") if role in table.columns]
    empty = table.select(pl.all_horizontal(pl.col(roles).is_null())).to_series()
    complete = table.select(pl.all_horizontal(pl.col(roles).is_not_null())).to_series()
    kept = table if complete.all() else table.filter(complete)
    if not len(kept):
        raise StudyError(f"{path}: no row has a value in each of the columns; check 'user', 'item' and 'time'.")
    lost = int((~complete & ~empty).sum())
    gone = table["session"].drop_nulls().n_unique() - kept["session"].n_unique() if lost else 0
    drops = [Drop("blank line", 0, int(empty.sum())), Drop("row without a user, an item or a time", gone, lost)]
    return kept, _counted(drops)


def _times(column: pl.Series) -> pl.Series:
    """Float64: numbers as they are, dates as seconds since 1970 (UTC where they name no zone); null where neither."""
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
    numbers = column.cast(pl.Float64, strict=False)
    numbers = pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()
    if column.dtype.is_numeric() or numbers.null_count() == column.null_count():
        return numbers
    iso = pl.select(pl.when(column.str.contains(r"^\d{4}-\d{2}-\d{2}")).then(column)).to_series()
    if len(iso) - iso.null_count() <= len(numbers) - numbers.null_count():
        return numbers
    return iso.str.to_datetime(strict=False, time_unit="us").dt.epoch("us") / 1e6


def _counted(drops: list[Drop]) -> tuple[Drop, ...]:
    """One `Drop` per reason, without those that dropped nothing."""
    reasons = dict.fromkeys(drop.reason for drop in drops)
    same = {reason: [drop for drop in drops if drop.reason == reason] for reason in reasons}
    summed = [Drop(reason, sum(d.sessions for d in ds), sum(d.events for d in ds)) for reason, ds in same.items()]
    return tuple(drop for drop in summed if drop.sessions or drop.events)


def _open(path: Path):
    """The bytes of a file, unpacked if it is gzip by its first two bytes."""
    file = path.open("rb")
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if packed else file


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of every line, one by one.

    Raises:
        StudyError: a line is not UTF-8, or the gzip file is damaged.
    """
    number = 0
    with _open(path) as file:
        try:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            byte = f"its byte {error.start + 1} is 0x{error.object[error.start]:02x}"
            raise StudyError(
                f"{path}: line {number} is not UTF-8 ({byte}); "
                "save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`."
            ) from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise StudyError(f"{path}: the gzip file is damaged after line {number} ({error}); get it again.") from None


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The number of its last line and the fields of every record; a blank line is a record without fields."""
    mark = separator if len(separator.encode()) == 1 else _STAND_IN
    reader = csv.reader((text.replace(separator, mark) for _, text in _lines(path)), delimiter=mark)
    for fields in reader:
        yield reader.line_num, fields


def _find_ragged(path: Path, separator: str, n_fields: int) -> None:
    for number, fields in _records(path, separator):
        if fields and len(fields) != n_fields:
            expected = f"has {len(fields)} fields separated by {_quoted(separator)} where the first line has {n_fields}"
            raise _bad_line(path, number, separator.join(fields), expected)


@contextmanager
def _explained(path: Path, find_bad_line=None) -> Iterator[None]:
    """Turn what polars says about a file into a sentence that names the line."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        for number, text in _lines(path):  # finds what is not UTF-8
            if find_bad_line is None and text.count('"') % 2:
                raise _bad_line(path, number, text, "has a quotation mark that is not closed") from None
        if find_bad_line is not None:
            find_bad_line()
        raise StudyError(f"{path}: cannot be read ({_first_line(error)}).") from None


def _refuse_empty(path: Path) -> None:
    with _explained(path), _open(path) as file:
        if not file.read(1):
            raise StudyError(f"{path}: the file is empty; it needs one event a line.")


def _suggest_separator(path: Path, separator: str, lines: list[str]) -> None:
    """Refuse lines of one field in most of which there is another separator."""
    for other in _SEPARATORS:
        if other != separator and sum(other in line for line in lines) > len(lines) / 2:
            raise StudyError(
                f"{path}: everything is in one column, because the separator {_quoted(separator)} does not occur; "
                f"{_quoted(other)} does, so try 'separator: {_quoted(other)}' (the first line is {_shown(lines[0])})."
            )


def _bad_line(path: Path, number: int, text: str, what: str) -> StudyError:
    return StudyError(f"{path}: line {number} {what}: {_shown(text)}; mend or remove the line.")


def _quoted(separator: str) -> str:
    return json.dumps(separator, ensure_ascii=False)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _listed(names) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
