"""Readers: from the files in which logs come to `Sessions`.

Each reader of events opens a file as a `tables.Source`; those of all files of a log are read as one table, which becomes
`Sessions` and is cut. The fast path only detects that something is wrong; a second, slow pass over the file finds the line.
"""

from __future__ import annotations

import ast
import glob
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from studylib.data.access_log import access_log
from studylib.data.plain import ALWAYS_UNPACKED, MOST_UNPACKED, Text, plain
from studylib.data.sessionize import cut
from studylib.data.sessions import TEST, TRAIN, VALIDATION, Drop, Given, Sessions, codes
from studylib.data.tables import (
    LEFT_OUT,
    Source,
    check_separator,
    counted,
    events,
    find_column,
    listed,
    read_table,
    separated,
    suggest_separator,
)
from studylib.errors import StudyError, brief, quoted, sentence
from studylib.params.study import Log
from studylib.paths import located, project_root

RECHORUS_FILES = {TRAIN: "train.csv", VALIDATION: "dev.csv", TEST: "test.csv"}


def read(log: Log, path: Path | None = None) -> Sessions:
    """Read a log with its reader, and cut it into sessions.

    Rows without a user, an item or a time are left out and counted in `Sessions.drops`, as are empty ids and blank lines.

    Args:
        log: the reader and its options. The filters are not applied (`sessions.apply_filters` does that).
        path: where the log is, if not at ``log.path``, which starts at the project's root if it is relative.

    Raises:
        StudyError: the file is missing, empty, damaged, not UTF-8, has a line that does not parse or lacks a column. The
            message names the file, the line and what to do.
    """
    assert log.reader is not None, "a log without a reader is one of the registry (`datasets.load`)"
    path = Path(path) if path is not None else log_path(log)
    with explained(path):
        if log.reader in _SOURCES:
            return cut(_read_events(log, path), log.sessions)
        if not path.exists():
            raise _missing(path)
        needs = "folder" if log.reader == "rechorus" else "file"
        if not (path.is_dir() if needs == "folder" else path.is_file()):
            raise _of_another_kind(log, path, needs)
        return _read_rechorus(log, path) if needs == "folder" else _read_sequences(log, path)


def files(log: Log, path: Path | None = None) -> list[Path]:
    """The files of which a log consists, in the order in which they are read.

    A path may name a file, a folder (the files in it that have one of the reader's `_NAMES`) or, where nothing has that name,
    be a pattern such as ``logs/2026-*.csv`` or ``logs/**/*.parquet``. Files are in the order of their names.

    Raises:
        StudyError: there is none.
    """
    path = Path(path) if path is not None else log_path(log)
    if log.reader == "rechorus":
        return list(rechorus_files(path).values())
    if path.is_file() or log.reader not in _SOURCES:
        return [path]
    if path.is_dir():
        names = [pattern + packed for pattern in _NAMES[log.reader] for packed in ("", ".gz")]
        called = {file for name in names for file in path.glob(name)}
        found = sorted(file for file in called if file.is_file() and file.name[0] not in "._")
        if not found:
            wanted = ", ".join(_NAMES[log.reader])
            raise StudyError(
                sentence(
                    path, f"no file in this folder is called {wanted}; check 'path', or give a pattern such as */*.csv."
                )
            )
        return found
    if path.exists():
        raise _of_another_kind(log, path, "file")
    found = sorted(file for file in map(Path, glob.glob(str(path), recursive=True)) if file.is_file())
    if not found:
        raise _missing(path)
    return found


_NAMES = {
    "events": ["*.csv", "*.tsv", "*.txt"],
    "jsonl": ["*.jsonl", "*.ndjson", "*.json"],
    "parquet": ["*.parquet"],
    "access-log": ["*log", "*log.[0-9]*"],
}
"""Patterns of the names of files that a reader takes from a folder, by the reader; packed ones end in ``.gz``."""


def _missing(path: Path) -> StudyError:
    start = brief(project_root(), 100)
    return StudyError(sentence(path, f"there is no such file; check 'path' (a relative one starts at {start})."))


def _of_another_kind(log: Log, path: Path, needs: str) -> StudyError:
    is_a = "folder" if path.is_dir() else "file" if path.is_file() else "device"
    return StudyError(sentence(path, f"the reader '{log.reader}' needs a {needs}, and this is a {is_a}."))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Whatever else goes wrong with a file is a sentence too."""
    try:
        yield
    except OSError as error:
        raise StudyError(sentence(path, f"cannot be read ({error.strerror or error}); check 'path'.")) from None
    except MemoryError:
        raise StudyError(sentence(path, "takes more memory than there is; read a part of it.")) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise StudyError(
            sentence(path, f"cannot be read ({_first_line(error)}); check it, or write it anew.")
        ) from None


def to_sessions(path: Path, table: pl.DataFrame, drops: tuple[Drop, ...]) -> Sessions:
    """`Sessions.from_events`, whose errors name the file. With a column ``user``, ids of sessions begin anew with each user."""
    if "user" in table.columns:
        user, session = codes(table["user"]), codes(table["session"])
        table = table.with_columns(session=pl.Series(user.astype(np.int64) * (session.max() + 1) + session))
    try:
        return Sessions.from_events(table, drops)
    except ValueError as error:
        raise StudyError(sentence(path, str(error))) from None


def log_path(log: Log) -> Path:
    """The absolute form of ``log.path``: a relative path starts at the project's root."""
    assert log.path is not None, "a log with a reader has a path"
    return located(log.path, "path")


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
                sentence(
                    folder, f"has no {name} (or {name}.gz); a ReChorus folder needs train.csv, dev.csv and test.csv."
                )
            )
        files[part] = file
    return files


def _read_sequences(log: Log, path: Path) -> Sessions:
    """One line per session, ids in order; the default separator is ``|``. Sessions keep the order of the lines."""
    separator = log.separator or "|"
    check_separator(path, separator, "\0")
    with plain(path) as text:
        # White space at the end of a line is no part of an id.
        lines = pl.read_lines(text.file, glob=False)["line"].str.strip_chars_end(" \t\r")
        blank = lines == ""
        if blank.all():
            raise text.error("the file is empty; it needs one session a line.")
        lines = lines.filter(~blank) if blank.any() else lines
        items = lines.str.split(separator)
        if items.list.len().max() == 1:
            suggest_separator(text, separator)
    drops = [Drop("blank line", int(blank.sum()), 0)]
    if log.leading_user:
        nameless = items.list.first() == ""
        drops.append(Drop("line without a user", int(nameless.sum()), int(items.filter(nameless).list.len().sum())))
        items = items.filter(~nameless).list.slice(1)
        alone = items.list.len() == 0
        drops.append(Drop("user without an item", int(alone.sum()), 0))
        items = items.filter(~alone)
        if not len(items):
            raise StudyError(
                sentence(path, "no line has an item after its user; check 'separator' and 'leading_user'.")
            )
    if _has_empty_id(lines, separator):
        filled = items.list.eval(pl.element().filter(pl.element() != ""))
        empty, gone = items.list.len().sum() - filled.list.len().sum(), filled.list.len() == 0
        drops.append(Drop("empty id between two separators", int(gone.sum()), int(empty)))
        items = filled.filter(~gone)
        if not len(items):
            raise StudyError(sentence(path, "no line has an id that is not empty; check 'separator'."))
    lengths = items.list.len().to_numpy()
    session = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    table = pl.DataFrame({"session": session, "item": items.explode(empty_as_null=False)})
    return to_sessions(path, table, counted(drops))


def _has_empty_id(lines: pl.Series, separator: str) -> bool:
    broken = lines.str.contains(separator * 2, literal=True)
    return bool((broken | lines.str.starts_with(separator) | lines.str.ends_with(separator)).any())


def _read_events(log: Log, path: Path) -> Sessions:
    """The events of all files of a log as one."""
    reader = _SOURCES[log.reader or ""]
    with ExitStack() as stack:
        return _of_sources(log, path, [stack.enter_context(reader(log, file)) for file in files(log, path)])


FRAME = Path("the DataFrame")
"""Stands for a path where a table in memory is read."""


def read_frame(log: Log, frame: pl.DataFrame) -> Sessions:
    """Read a table of events that is in memory, as `read` does one of the reader ``parquet``.

    Raises:
        StudyError: it lacks a column, or has one of another type.
    """
    with explained(FRAME):
        source = Source(*_of_table(log, FRAME, frame.lazy(), lambda names: None))
        return cut(_of_sources(log, FRAME, [source]), log.sessions)


def _of_sources(log: Log, path: Path, sources: list[Source]) -> Sessions:
    marked = [replace(source, rows=_marked(source.rows, log.events)) for source in sources]
    table, drops = events(path, marked, log.time_format)
    return _of_several_items(path, log, to_sessions(path, table, drops))


def _marked(rows: pl.LazyFrame, wanted: Mapping[str, list]) -> pl.LazyFrame:
    """The rows without the columns of ``log.events``, and with the reason ``left out`` where a value is none of those wanted.

    A row in which nothing is given is a blank line, and left to be counted as one.
    """
    if not wanted:
        return rows
    reasons = [f"row with another {quoted(name, 40)} than {_listed(values)}" for name, values in wanted.items()]
    blank = pl.all_horizontal(pl.all().is_null())
    reason = pl.lit(None, pl.String)
    for name, values in reversed(list(enumerate(wanted.values()))):
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        other = ~pl.col(_filter(name)).cast(pl.String).is_in(texts).fill_null(False)
        reason = pl.when(other & ~blank).then(pl.lit(reasons[name])).otherwise(reason)
    marked = rows.with_columns(reason.cast(pl.Enum(list(dict.fromkeys(reasons)))).alias(LEFT_OUT))
    return marked.drop(_filter(number) for number in range(len(wanted)))


def _filter(number: int) -> str:
    """How the column of a filter is called in a table of events."""
    return f"filter {number}"


def _listed(values: list) -> str:
    return brief(", ".join(map(str, values)), 60)


def _separated(log: Log, path: Path) -> AbstractContextManager[Source]:
    """One line per event; the default separator is ``,``. Columns are named or numbered from 0."""
    return separated(path, log.separator or ",", log.header, event_columns(log))


def _of_several_items(path: Path, log: Log, sessions: Sessions) -> Sessions:
    """Refuse events that are all of one item: the column is not that of the items."""
    if sessions.n_items == 1 and len(sessions.items) > 1:
        raise StudyError(
            sentence(
                path,
                f"all {len(sessions.items):,} events are of one item, {quoted(sessions.vocabulary[0].item(), 40)}; "
                f"is {quoted(log.item, 40)} the right column for 'item'?",
            )
        )
    return sessions


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
    table = concat(tables)
    table = table.with_columns(session=pl.Series(codes(table["session"])))
    order = ["session", "time", *(["exact"] if "exact" in table.columns else [])]
    table = table.sort(order, maintain_order=True)
    sessions = to_sessions(folder, table, counted(drops))
    candidates = {}
    for part, file in files.items():
        lists = table.filter(pl.col("part") == part)["candidates"] if "candidates" in table.columns else None
        if lists is not None and lists.null_count() < len(lists):
            candidates[part] = _candidates(lists, sessions.vocabulary, file)
    assert sessions.given is not None, "the table has a column 'part'"
    return replace(sessions, given=Given(sessions.given.parts, candidates))


def concat(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """The events of several files, one after the other; if a file has the column ``exact``, all events do."""
    ids = ["session", "item"]
    if len({tuple(table.select(ids).dtypes) for table in tables}) > 1 or pl.Categorical in tables[0].select(ids).dtypes:
        tables = [table.with_columns(pl.col(ids).cast(pl.String)) for table in tables]
    table = pl.concat(tables, how="diagonal")
    if "exact" in table.columns:
        whole = table["time"].cast(pl.Decimal(38, 18)).to_physical()
        table = table.with_columns(pl.col("exact").fill_null(whole))
    return table


_PLAIN_ID = r"""(?:[^\s'"\\,\[\]]+|'[^\s'"\\,\[\]]+'|"[^\s'"\\,\[\]]+")"""


def _candidates(lists: pl.Series, vocabulary: np.ndarray, file: Path) -> np.ndarray:
    """int32 (n, n_candidates): the lists, printed as Python prints them, as indices into the vocabulary."""
    if lists.str.contains(rf"^\[{_PLAIN_ID}(?:, *{_PLAIN_ID})*\]$").fill_null(True).all():
        ids = lists.str.strip_chars("[] ").str.replace_all("['\" ]", "").str.split(",")
    else:
        ids = pl.Series([_python_list(text, file) for text in lists], dtype=pl.List(pl.String))
    counts = ids.list.len()
    if counts.null_count() or counts.n_unique() > 1:
        fewest = 0 if counts.null_count() else counts.min()
        raise StudyError(
            sentence(
                file,
                f"the lists in 'neg_items' have {fewest} to {counts.max()} items; "
                "every row needs equally many, or leave the column out to have candidates drawn.",
            )
        )
    ids = ids.explode(empty_as_null=False)
    known = pl.Series(vocabulary)
    wanted = ids.cast(pl.Int64, strict=False) if known.dtype.is_integer() else ids
    index = known.search_sorted(wanted.fill_null(known[0])).to_numpy().clip(max=len(known) - 1).astype(np.int32)
    missing = (wanted.is_null() | (known.gather(index) != wanted)).fill_null(True)
    if missing.any():
        raise StudyError(
            sentence(
                file,
                f"the item {quoted(ids[missing.arg_max()], 40)} in 'neg_items' occurs in no row of the data; take the three "
                "files of one split, or leave the column out to have candidates drawn.",
            )
        )
    return index.reshape(len(lists), counts[0])


def _python_list(text: str | None, file: Path) -> list[str] | None:
    """A list of ids as Python prints it."""
    if text is None:
        return None
    try:
        ids = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(item, str | int) for item in ids):
        raise StudyError(
            sentence(file, f"{quoted(text, 50)} in 'neg_items' is not a list of ids such as [1, 2]; mend it.")
        )
    return [str(item) for item in ids]


@contextmanager
def _jsonl(log: Log, path: Path) -> Iterator[Source]:
    """One JSON object per line. Only the fields that are asked for are kept, so that the texts of reviews cost no memory.

    ``user.id`` is the field of that name, or else the field ``id`` of the object ``user``.
    """
    columns = {role: str(field) for role, field in event_columns(log).items()}
    with plain(path) as text:
        ways = {field: _way(text, field) for field in columns.values()}
        schema = _schema(text, list(ways.values()))
        try:
            # The name of a file is no pattern; the other readers of polars can be told so.
            scan = pl.scan_ndjson(glob.escape(str(text.file)), schema=schema)
            picked = [_at(way).alias(field) for field, way in ways.items()]
            objects = scan.select(picked).collect(engine="streaming")
        except pl.exceptions.PolarsError:
            for number, line in text.lines():
                _check_ways(text, number, line, list(ways.values()))
            raise
        if not len(objects):
            raise text.error("the file is empty; it needs one event a line.")
        _check_objects(text, ways, objects.select({columns[role] for role in ("session", "item")}))
        absent = [field for field in ways if objects[field].null_count() == len(objects)]
        if absent:
            first = next((dict(_json_object(text, *line)) for line in text.lines() if line[1].strip()), {})
            raise text.error(
                f"no line has a field {quoted(absent[0])}; the fields of the first line are {listed(first)}."
            )
        table = objects.lazy().select(pl.col(field).alias(role) for role, field in columns.items())
        yield Source(table, lambda row, what: text.bad_line(*_filled_line(text, row), what))


def _way(text: Text, field: str) -> list[str]:
    """The names of the objects that a field lies in, and its own: ``user.id`` is one name if the first line that has a part of
    it says so.
    """
    parts = field.split(".")
    for number, line in text.lines() if len(parts) > 1 else ():
        pairs = dict(_json_object(text, number, line))
        if field in pairs:
            break
        if isinstance(pairs.get(parts[0]), _Pairs):
            return parts
    return [field]


def _schema(text: Text, ways: list[list[str]]) -> dict[str, pl.DataType]:
    """Of the objects: text for each field, in the objects that it lies in."""

    def dtype(rests: list[list[str]]) -> pl.DataType:
        if not all(rests):
            if any(rests):
                raise text.error(f"{quoted(max(rests)[0], 40)} lies in a field that is named, too; name one of both.")
            return pl.String()
        return pl.Struct({name: dtype(inner) for name, inner in _grouped(rests).items()})

    return {name: dtype(rests) for name, rests in _grouped(ways).items()}


def _grouped(ways: list[list[str]]) -> dict[str, list[list[str]]]:
    """What is left of the ways by their first name."""
    groups: dict[str, list[list[str]]] = {}
    for first, *rest in ways:
        groups.setdefault(first, []).append(rest)
    return groups


def _at(way: list[str]) -> pl.Expr:
    first, *rest = way
    field = pl.col(first)
    for name in rest:
        field = field.struct.field(name)
    return field


def _check_ways(text: Text, number: int, line: str, ways: list[list[str]]) -> None:
    """Refuse a line in which one of the ways leads through what is no object, or through a name that is there twice."""
    pairs = _json_object(text, number, line)
    for way in ways:
        at: Any = pairs
        for depth, name in enumerate(way):
            names = [other for other, _ in at]
            if names.count(name) > 1:
                raise text.bad_line(number, line, f"has the field {quoted(name, 30)} twice")
            at = dict(at).get(name)
            if at is None or depth == len(way) - 1:
                break
            if not isinstance(at, _Pairs):
                raise text.bad_line(number, line, f"has no object in the field {quoted(name, 30)}")


def _json_object(text: Text, number: int, line: str) -> list[tuple[str, Any]]:
    """The fields of the object in a line, doubled ones too; of a blank line none."""
    if not line.strip(" \t\r\n"):
        return []
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs, parse_constant=_no_number, parse_int=str)
    except RecursionError:
        raise text.bad_line(number, line, "is nested too deeply") from None
    except ValueError as error:
        what = f"is not a JSON object ({error.msg})" if isinstance(error, json.JSONDecodeError) else f"has {error}"
        raise text.bad_line(number, line, what) from None
    if not isinstance(pairs, _Pairs):
        raise text.bad_line(number, line, "is not a JSON object")
    return pairs


class _Pairs(list):
    """The fields of a JSON object, in their order."""


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant}, which is no number")


def _check_objects(text: Text, ways: dict[str, list[str]], ids: pl.DataFrame) -> None:
    """Refuse objects that have a field twice, or a list, an object or half a character for an id.

    What might be one of these is found quickly, and looked at in its line.
    """
    line = pl.col("line")
    starts = {tuple(way[: depth + 1]) for way in ways.values() for depth in range(len(way))}
    named: dict[str, int] = {}  # how often a line has each name, at least: id of user.id and of item.id
    for start in starts:
        name = json.dumps(start[-1], ensure_ascii=False)
        named[name] = named.get(name, 0) + 1
    twice = [line.str.count_matches(name, literal=True) > times for name, times in named.items()]
    # A name may be written with escapes, its letters as \u00.. where they are ASCII.
    escape = r"\u00" if all(re.fullmatch("[ -~]+", name.strip('"')) and "/" not in name for name in named) else "\\"
    escaped = line.str.contains(escape, literal=True)
    lines = pl.scan_lines(text.file, glob=False).with_row_index("number", 1)
    suspects = lines.filter(escaped | pl.any_horizontal(twice)).filter(
        ~escaped | line.str.contains(r'\\[^"]*"\s*:') | pl.any_horizontal(twice)
    )
    for number, suspect in suspects.collect(engine="streaming").iter_rows():
        _check_ways(text, number, suspect, list(ways.values()))
    for field in ids.columns:
        column = pl.col(field)
        odd = column.str.starts_with("[") | column.str.starts_with("{") | column.str.contains("\0", literal=True)
        for row in ids.select(odd.arg_true()).to_series():
            number, suspect = _filled_line(text, row)
            value: Any = _json_object(text, number, suspect)
            for name in ways[field]:
                value = dict(value)[name]
            if not isinstance(value, str) or "\0" in ids[field][row]:
                is_a = "a NUL or half a character" if isinstance(value, str) else "a list or an object"
                raise text.bad_line(number, suspect, f"has {is_a} for an id in {quoted(field, 30)}")


def _filled_line(text: Text, row: int) -> tuple[int, str]:
    """The line of an object, counted from 0."""
    return next(islice((line for line in text.lines() if line[1].strip(" \t\r\n")), row, None))


_IDS = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Date, pl.Datetime, pl.Decimal, pl.Null)
_TIMES = (pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Decimal, pl.Null)


@contextmanager
def _parquet(log: Log, path: Path) -> Iterator[Source]:
    """A table of events with named columns; ``user.id`` is the column of that name, or else the field ``id`` of ``user``."""
    if not path.stat().st_size:
        raise StudyError(sentence(path, "the file is empty; it needs one event a row."))
    try:
        scan = pl.scan_parquet(path, glob=False)
        yield Source(*_of_table(log, path, scan, lambda names: _check_size(path, names)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, pa.ArrowException) as error:
        raise StudyError(
            sentence(path, f"cannot be read as a parquet file ({_first_line(error)}); write it anew.")
        ) from None


def _of_table(
    log: Log, path: Path, table: pl.LazyFrame, check: Callable[[list[str]], None]
) -> tuple[pl.LazyFrame, Callable[[int, str], StudyError]]:
    """The rows of a table with typed columns, and the error for one of them. ``check``: looks at the columns that are read."""
    schema = table.collect_schema()
    picked = {role: _column(path, column, schema) for role, column in event_columns(log).items()}
    check(list(dict.fromkeys(name for name, _, _ in picked.values())))
    columns = []
    for role, (name, field, dtype) in picked.items():
        _check_type(path, name, role, dtype, log.time_format)
        as_text = dtype in (pl.Categorical, pl.Enum, pl.Null) or (role == "time" and log.time_format is not None)
        columns.append((field.cast(pl.String) if as_text else field).alias(role))
    rows = table.select(columns)

    def bad_row(row: int, what: str) -> StudyError:
        shown = rows.slice(row, 1).select(pl.col("time").cast(pl.String)).collect().item()
        return StudyError(sentence(path, f"row {row + 1} {what}: {quoted(shown, 40)}."))

    return rows, bad_row


def _column(path: Path, column: str | int, schema: pl.Schema) -> tuple[str, pl.Expr, pl.DataType]:
    """The name of a column, what is read of it, and its type."""
    names = schema.names()
    first, *rest = str(column).split(".")
    if column in names or not (rest and first in names and schema[first] == pl.Struct):
        name = names[find_column(path, column, names)]
        return name, pl.col(name), schema[name]
    field, dtype = pl.col(first), schema[first]
    for name in rest:
        inner = {part.name: part.dtype for part in dtype.fields} if dtype == pl.Struct else {}
        if name not in inner:
            raise StudyError(
                sentence(path, f"{quoted(first, 30)} has no field {quoted(name, 30)}; it has {listed(inner)}.")
            )
        field, dtype = field.struct.field(name), inner[name]
    return first, field, dtype


def _check_type(path: Path, name: str, role: str, dtype: pl.DataType, time_format: str | None) -> None:
    allowed = dtype in (_TIMES if role == "time" else _IDS) or dtype.is_numeric()
    if not allowed:
        wanted = "numbers, dates or text" if role == "time" else "text or numbers"
        raise StudyError(
            sentence(
                path,
                f"the column {quoted(name)} has the type {quoted(str(dtype), 30)[1:-1]}; write it as {wanted}.",
            )
        )
    if role == "time" and time_format is not None and dtype in (pl.Date, pl.Datetime):
        raise StudyError(sentence(path, f"the column {quoted(name)} has dates; leave 'time_format' out."))


def _check_size(path: Path, names: list[str]) -> None:
    """Refuse a file whose columns are far larger than it is, which no log's are."""
    metadata = pq.read_metadata(path)
    size = 16 * metadata.num_rows
    for group in range(metadata.num_row_groups):
        chunks = [metadata.row_group(group).column(column) for column in range(metadata.num_columns)]
        wanted = (
            chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in names or chunk.path_in_schema in names
        )
        size += sum(chunk.total_uncompressed_size for chunk in wanted)
    if size > MOST_UNPACKED * path.stat().st_size + ALWAYS_UNPACKED:
        raise StudyError(
            sentence(
                path, f"unpacks to more than {MOST_UNPACKED} times its size, as no log does; check how it was written."
            )
        )


_SOURCES: dict[str, Callable[[Log, Path], AbstractContextManager[Source]]] = {
    "events": _separated,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "access-log": access_log,
}
"""How a file of events is opened, by the reader."""


def event_columns(log: Log) -> dict[str, str | int]:
    """The names or numbers of the columns ``session``, ``item``, where the log has them ``user`` and ``time``, and those of
    filters.

    A session is all that a user did, unless the log has a column of sessions.

    Raises:
        StudyError: the log names no user or no item.
    """
    session = log.sessions.column if log.sessions and log.sessions.column is not None else None
    if log.item is None or (log.user is None and session is None):
        raise StudyError(
            sentence(log.path, f"the reader '{log.reader}' needs the columns 'user' and 'item'; name both.")
        )
    named = {"session": session, "user": log.user} if session is not None else {"session": log.user}
    columns = {role: column for role, column in named.items() if column is not None}
    columns |= {"item": log.item} | ({} if log.time is None else {"time": log.time})
    for number, name in enumerate(log.events):
        columns[_filter(number)] = int(name) if name.isdecimal() and not log.header else name
    return columns


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
