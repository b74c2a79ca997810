"""Readers: from the files in which logs come to `Sessions`.

Each reader makes a table of events with polars and passes it to `Sessions.from_events`. The fast path only detects that
something is wrong; a second, slow pass over the file finds the line.
"""

from __future__ import annotations

import ast
import glob
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from studylib.data import times
from studylib.data.plain import ALWAYS_UNPACKED, MOST_UNPACKED, Text, plain
from studylib.data.sessions import TEST, TRAIN, VALIDATION, Drop, Given, Sessions, codes
from studylib.data.tables import (
    check_separator,
    counted,
    events,
    find_column,
    listed,
    read_table,
    suggest_separator,
)
from studylib.errors import StudyError, brief, quoted, sentence
from studylib.params.study import Log
from studylib.paths import located, project_root

RECHORUS_FILES = {TRAIN: "train.csv", VALIDATION: "dev.csv", TEST: "test.csv"}


def read(log: Log, path: Path | None = None) -> Sessions:
    """Read a log with its reader.

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
        if not path.exists():
            start = project_root()
            raise StudyError(
                sentence(path, f"there is no such file; check 'path' (a relative one starts at {brief(start, 100)}).")
            )
        needs = "folder" if log.reader == "rechorus" else "file"
        if not (path.is_dir() if needs == "folder" else path.is_file()):
            is_a = "folder" if path.is_dir() else "file" if path.is_file() else "device"
            raise StudyError(sentence(path, f"the reader '{log.reader}' needs a {needs}, and this is a {is_a}."))
        return _READERS[log.reader](log, path)


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
    """`Sessions.from_events`, whose errors name the file."""
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
    """One line per event; the default separator is ``,``. Columns are named or numbered from 0."""
    table, drops = read_table(path, log.separator or ",", log.header, event_columns(log))
    return _of_several_items(path, log, to_sessions(path, table, drops))


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


def _read_jsonl(log: Log, path: Path) -> Sessions:
    """One JSON object per line. Only the three fields are kept, so that the texts of reviews cost no memory."""
    columns = event_columns(log)
    schema = {str(field): pl.String for field in columns.values()}
    with plain(path) as text:
        try:
            # The name of a file is no pattern; the other readers of polars can be told so.
            objects = pl.scan_ndjson(glob.escape(str(text.file)), schema=schema).collect(engine="streaming")
        except pl.exceptions.PolarsError:
            for number, line in text.lines():
                _json_object(text, number, line)
            raise
        if not len(objects):
            raise text.error("the file is empty; it needs one event a line.")
        _check_objects(text, list(schema), objects.select({str(columns[role]) for role in ("session", "item")}))
        absent = [field for field in schema if objects[field].null_count() == len(objects)]
        if absent:
            first = next((dict(_json_object(text, *line)) for line in text.lines() if line[1].strip()), {})
            raise text.error(
                f"no line has a field {quoted(absent[0])}; the fields of the first line are {listed(first)}."
            )
        table = objects.select(pl.col(str(field)).alias(role) for role, field in columns.items())
        table, drops = events(path, table, lambda row: text.bad_line(*_filled_line(text, row), times.NO_TIME))
    return _of_several_items(path, log, to_sessions(path, table, drops))


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


def _check_objects(text: Text, fields: list[str], ids: pl.DataFrame) -> None:
    """Refuse objects that have a field twice, or a list, an object or half a character for an id.

    What might be one of these is found quickly, and looked at in its line.
    """
    line = pl.col("line")
    named = [json.dumps(field, ensure_ascii=False) for field in fields]
    twice = [line.str.replace(name, "", literal=True).str.contains(name, literal=True) for name in named]
    # A name may be written with escapes, its letters as \u00.. where they are ASCII.
    escape = r"\u00" if all(re.fullmatch("[ -~]+", name.strip('"')) and "/" not in name for name in named) else "\\"
    escaped = line.str.contains(escape, literal=True)
    lines = pl.scan_lines(text.file, glob=False).with_row_index("number", 1)
    suspects = lines.filter(escaped | pl.any_horizontal(twice)).filter(
        ~escaped | line.str.contains(r'\\[^"]*"\s*:') | pl.any_horizontal(twice)
    )
    for number, suspect in suspects.collect(engine="streaming").iter_rows():
        names = [name for name, _ in _json_object(text, number, suspect)]
        for field in fields:
            if names.count(field) > 1:
                raise text.bad_line(number, suspect, f"has the field {quoted(field, 30)} twice")
    for field in ids.columns:
        column = pl.col(field)
        odd = column.str.starts_with("[") | column.str.starts_with("{") | column.str.contains("\0", literal=True)
        for row in ids.select(odd.arg_true()).to_series():
            number, suspect = _filled_line(text, row)
            value = dict(_json_object(text, number, suspect))[field]
            if not isinstance(value, str) or "\0" in ids[field][row]:
                is_a = "a NUL or half a character" if isinstance(value, str) else "a list or an object"
                raise text.bad_line(number, suspect, f"has {is_a} for an id in {quoted(field, 30)}")


def _filled_line(text: Text, row: int) -> tuple[int, str]:
    """The line of an object, counted from 0."""
    return next(islice((line for line in text.lines() if line[1].strip(" \t\r\n")), row, None))


_IDS = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Date, pl.Datetime, pl.Decimal, pl.Null)
_TIMES = (pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Decimal, pl.Null)


def _read_parquet(log: Log, path: Path) -> Sessions:
    """A table of events with named columns."""
    if not path.stat().st_size:
        raise StudyError(sentence(path, "the file is empty; it needs one event a row."))
    try:
        return _of_table(log, path, pl.scan_parquet(path, glob=False), lambda names: _check_size(path, names))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, pa.ArrowException) as error:
        raise StudyError(
            sentence(path, f"cannot be read as a parquet file ({_first_line(error)}); write it anew.")
        ) from None


FRAME = Path("the DataFrame")
"""Stands for a path where a table in memory is read."""


def read_frame(log: Log, frame: pl.DataFrame) -> Sessions:
    """Read a table of events that is in memory, as `read` does one of the reader ``parquet``.

    Raises:
        StudyError: it lacks a column, or has one of another type.
    """
    with explained(FRAME):
        return _of_table(log, FRAME, frame.lazy(), lambda names: None)


def _of_table(log: Log, path: Path, scan: pl.LazyFrame, check: Callable[[list[str]], None]) -> Sessions:
    """``check``: looks at the names of the columns before they are read."""
    schema = scan.collect_schema()
    names = schema.names()
    picked = {role: names[find_column(path, column, names)] for role, column in event_columns(log).items()}
    _check_types(path, picked, schema)
    check(list(picked.values()))
    table = scan.select(pl.col(name).alias(role) for role, name in picked.items()).collect()
    named = [role for role, dtype in table.schema.items() if dtype in (pl.Categorical, pl.Enum, pl.Null)]
    table = table.with_columns(pl.col(named).cast(pl.String))

    def bad_time(row: int) -> StudyError:
        return StudyError(sentence(path, f"row {row + 1} {times.NO_TIME}: {quoted(str(table['time'][row]), 40)}."))

    rows, drops = events(path, table, bad_time)
    return _of_several_items(path, log, to_sessions(path, rows, drops))


def _check_types(path: Path, picked: dict[str, str], schema: pl.Schema) -> None:
    for role, name in picked.items():
        dtype = schema[name]
        allowed = dtype in (_TIMES if role == "time" else _IDS) or dtype.is_numeric()
        if not allowed:
            wanted = "numbers, dates or text" if role == "time" else "text or numbers"
            raise StudyError(
                sentence(
                    path,
                    f"the column {quoted(name)} has the type {quoted(str(dtype), 30)[1:-1]}; write it as {wanted}.",
                )
            )


def _check_size(path: Path, names: list[str]) -> None:
    """Refuse a file whose columns are far larger than it is, which no log's are."""
    metadata = pq.read_metadata(path)
    size = 16 * metadata.num_rows
    for group in range(metadata.num_row_groups):
        chunks = [metadata.row_group(group).column(column) for column in range(metadata.num_columns)]
        size += sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in names)
    if size > MOST_UNPACKED * path.stat().st_size + ALWAYS_UNPACKED:
        raise StudyError(
            sentence(
                path, f"unpacks to more than {MOST_UNPACKED} times its size, as no log does; check how it was written."
            )
        )


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
        raise StudyError(
            sentence(log.path, f"the reader '{log.reader}' needs the columns 'user' and 'item'; name both.")
        )
    columns = {"session": log.user, "item": log.item}
    return columns if log.time is None else {**columns, "time": log.time}


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
