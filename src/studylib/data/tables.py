"""Tables of events: separated text, and what all tables have in common.

Most files are plain enough that polars and the `csv` module cannot but agree about them: each line is a record of as many fields
as the first, and quotation marks enclose whole fields. They are read with polars. All others are read with `csv`, record by
record: that finds the line which is wrong, or what the file says.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import dropwhile, islice
from pathlib import Path

import polars as pl

from studylib.data import times
from studylib.data.plain import LONGEST_LINE, STAND_IN, Text, plain
from studylib.data.sessions import Drop
from studylib.errors import StudyError, brief, quoted, sentence

MOST_COLUMNS = 10_000
"""A table of more is none: its separator occurs in its text, or it is one line."""
SEPARATORS = ["\t", "|", "::", ",", ";", " "]

_BATCH = 1 << 20
"""Records that are held as Python's texts before they become a part of a table."""

csv.field_size_limit(LONGEST_LINE)  # that of `csv` is 131,072 letters, which a review can have


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
        StudyError: as `readers.read`.
    """
    check_separator(path, separator, '"\0')
    with plain(path, separator) as text:
        table = _Table(text, separator, header)
        positions = {role: find_column(path, column, table.names, header) for role, column in columns.items()}
        _refuse_event_as_header(table, positions, columns)
        positions |= {role: table.names.index(name) for role, name in (optional or {}).items() if name in table.names}
        rows = table.read(positions)
        _refuse_swapped_header(table, rows, columns)

        def bad_time(row: int) -> StudyError:
            number, fields = next(islice(table.records(), row + header, None))
            what = times.NO_TIME if number > 1 or header else f"{times.NO_TIME} (if it is a header, set 'header: true')"
            return text.bad_line(number, separator.join(fields), what)

        return events(path, rows, bad_time)


class _Table:
    """A file of separated text.

    Attributes:
        names: the fields of the first record, in their order.
    """

    def __init__(self, text: Text, separator: str, header: bool) -> None:
        self.text, self.separator, self.header = text, separator, header
        self.mark = STAND_IN if len(separator.encode()) > 1 else separator
        self.time: int | None = None
        self.names: list[str] = []
        self.names = next(self.records(), (0, []))[1]
        if not self.names:
            raise text.error("the file is empty; it needs one event a line.")
        if len(self.names) == 1:
            suggest_separator(text, separator)
        if len(self.names) > MOST_COLUMNS:
            raise text.error(
                f"the first line has {len(self.names):,} columns, and {MOST_COLUMNS:,} are the most; check the separator "
                f"{shown_separator(separator)}."
            )

    def read(self, positions: dict[str, int]) -> pl.DataFrame:
        """The columns at ``positions`` as text, one row per record; null where a field is empty."""
        self.time = positions.get("time")
        rows = self._quickly(positions) if self._is_regular() else self._by_record(positions)
        if not len(rows):
            raise self.text.error("has a header but no events; if its only line is an event, set 'header: false'.")
        return rows

    def _is_regular(self) -> bool:
        """Whether each line is one record of as many fields as the first."""
        line, n = pl.col("line"), len(self.names)
        mark = rf"\x{{{ord(self.mark):x}}}"
        field = rf'(?:"(?:[^"]|"")*"|[^"{mark}]*)'
        suspect = (line.str.count_matches(self.mark, literal=True) != n - 1) | line.str.contains('"', literal=True)
        regular = line == ""
        if n <= 100:  # the pattern of a wider table would be too large
            regular |= line.str.contains(rf"^{field}(?:{mark}{field}){{{n - 1}}}$")
        lines = pl.scan_lines(self.text.file, glob=False)
        starts = bool(next(self.text.lines())[1].strip())  # polars does not skip blank lines before a first event
        return starts and not lines.filter(suspect).select((~regular).any()).collect(engine="streaming").item()

    def _quickly(self, positions: dict[str, int]) -> pl.DataFrame:
        table = pl.scan_csv(self.text.file, separator=self.mark, has_header=self.header, infer_schema=False, glob=False)
        names = table.collect_schema().names()
        picked = [pl.col(names[position]).alias(role) for role, position in positions.items()]
        return table.select(picked).collect(engine="streaming")

    def _by_record(self, positions: dict[str, int]) -> pl.DataFrame:
        parts, rows = [], []
        schema = dict.fromkeys(positions, pl.String)
        wanted = list(positions.values())
        for number, fields in islice(self.records(), self.header, None):
            if fields and len(fields) != len(self.names):
                separator = shown_separator(self.separator)
                raise self.text.bad_line(
                    number,
                    self.separator.join(fields),
                    f"has {len(fields)} fields separated by {separator} where the first line has {len(self.names)}",
                )
            rows.append([fields[position] or None for position in wanted] if fields else [None] * len(wanted))
            if len(rows) == _BATCH:
                parts.append(pl.DataFrame(rows, schema, orient="row"))
                rows = []
        return pl.concat([*parts, pl.DataFrame(rows, schema, orient="row")])

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """The number of its last line and the fields of every record, from the first that is not blank.

        A blank line is a record without fields.
        """
        return dropwhile(lambda record: not record[1], self._records())

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        lines: list[tuple[int, str]] = []  # of the record

        def fed() -> Iterator[str]:
            for line in self.text.lines():
                lines.append(line)
                yield line[1]

        reader = csv.reader(fed(), delimiter=self.mark, strict=True)
        while True:
            lines.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                what = "has a quotation mark that is not closed"
                if "expected after" in str(error):
                    what = "has a quotation mark within a field that begins with one"
                raise self.text.bad_line(*lines[0], what) from None
            if len(lines) > 1:
                self._refuse_swallowed(lines)
            blank = not fields or (len(lines) == 1 and not lines[0][1].strip(" \r\n"))
            yield lines[-1][0], [] if blank else fields

    def _refuse_swallowed(self, lines: list[tuple[int, str]]) -> None:
        """Refuse a field that opens with a quotation mark and closes lines later, where all these lines are events."""
        parts = [line.rstrip("\r\n").split(self.mark) for _, line in lines]
        if any(len(fields) != len(self.names) for fields in parts):
            return
        if self.time is not None and times.parse(pl.Series([fields[self.time] for fields in parts]))[0].has_nulls():
            return
        raise self.text.bad_line(
            *lines[0], f"has a quotation mark that closes in line {lines[-1][0]}, and each line between is an event"
        )


def _refuse_event_as_header(table: _Table, positions: dict[str, int], columns: Mapping[str, str | int]) -> None:
    """Refuse numbered columns whose header, which then nobody has named, has a number for an id or a time."""
    numbered = {role: table.names[positions[role]] for role, column in columns.items() if isinstance(column, int)}
    if not table.header:
        return
    for role, name in numbered.items():
        number = re.fullmatch(r"-?\d+", name) if role != "time" else not times.parse(pl.Series([name]))[0].has_nulls()
        if number:
            raise _event_as_header(table, name, "a time" if role == "time" else "a number")


def _event_as_header(table: _Table, name: str, what: str) -> StudyError:
    return table.text.error(
        f"the first line should be a header but looks like an event ({quoted(name, 40)} is {what}); set "
        "'header: false', or name the columns."
    )


def _refuse_swapped_header(table: _Table, rows: pl.DataFrame, columns: Mapping[str, str | int]) -> None:
    """Refuse numbered columns where the header is an event, or the first event a header.

    A header of ids, some of which occur again, is an event. A first event without a time is a header if it has a text where all
    others have numbers.
    """
    roles = [role for role in ("session", "item") if isinstance(columns[role], int)]
    if table.header:
        for role in roles:
            name = table.names[columns[role]]  # type: ignore[index]
            if (rows[role] == name).any():
                raise _event_as_header(table, name, "an id of later lines")
    elif "time" not in columns and len(rows) > 2:
        first = [rows[role][0] or "" for role in roles]
        if any(re.fullmatch(r"-?\d+", name) for name in first):
            return
        for role in roles:
            others = rows[role][1:].drop_nulls()
            numbers = others.head(1).cast(pl.Int64, strict=False)
            if len(numbers) and not numbers.has_nulls() and not others.cast(pl.Int64, strict=False).has_nulls():
                raise table.text.error(
                    f"the first line looks like a header ({quoted(rows[role][0], 40)} stands above numbers); set "
                    "'header: true'."
                )


def find_column(path: Path, column: str | int, names: list[str], header: bool = True) -> int:
    """The position of a named or numbered column. RecBole's ``item_id:token`` may be called ``item_id``."""
    if isinstance(column, int):
        if 0 <= column < len(names):
            return column
        raise StudyError(
            sentence(path, f"there is no column {column}; columns are numbered from 0 to {len(names) - 1}.")
        )
    if not header:
        raise StudyError(
            sentence(path, f"without a header the column {quoted(column)} needs its number, counted from 0.")
        )
    for known in (names, [name.split(":")[0] for name in names]):
        if known.count(column) > 1:
            raise StudyError(
                sentence(path, f"the column {quoted(column)} is there twice; name it by its number from 0.")
            )
        if column in known:
            return known.index(column)
    raise StudyError(sentence(path, f"there is no column {quoted(column)}; the columns are {listed(names)}."))


def events(
    path: Path, table: pl.DataFrame, bad_time: Callable[[int], StudyError]
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Parse the times and leave out the rows that lack a user, an item or a time.

    An empty text and a number that is not one (NaN) are no id and no time, in all formats.

    Args:
        table: columns ``session``, ``item`` and perhaps ``time``, as they stand in the file.
        bad_time: returns the error for the row (counted from 0) whose time does not parse.

    Returns:
        The events; with the column ``exact`` where `times.parse` gives it.
    """
    roles = [role for role in ("session", "item", "time") if role in table.columns]
    table = table.with_columns(_without_empty(table[role]).alias(role) for role in roles)
    if "time" in roles:
        numbers, exact = times.parse(table["time"])
        bad = numbers.is_null() & table["time"].is_not_null()
        if bad.any():
            raise bad_time(int(bad.arg_max()))  # type: ignore[arg-type]
        table = table.with_columns(time=numbers)
        if exact is not None:
            table = table.with_columns(exact=exact)
    empty = table.select(pl.all_horizontal(pl.col(roles).is_null())).to_series()
    complete = table.select(pl.all_horizontal(pl.col(roles).is_not_null())).to_series()
    kept = table if complete.all() else table.filter(complete)
    if not len(kept):
        raise StudyError(sentence(path, "no row has a value in each of the columns; check 'user', 'item' and 'time'."))
    lost = int((~complete & ~empty).sum())
    gone = table["session"].drop_nulls().n_unique() - kept["session"].n_unique() if lost else 0
    drops = [Drop("blank line", 0, int(empty.sum())), Drop("row without a user, an item or a time", gone, lost)]
    return kept, counted(drops)


def _without_empty(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String and (column == "").any():
        return pl.select(pl.when(column != "").then(column)).to_series()
    return column.fill_nan(None) if column.dtype.is_float() else column


def counted(drops: list[Drop]) -> tuple[Drop, ...]:
    """One `Drop` per reason, without those that dropped nothing."""
    reasons = dict.fromkeys(drop.reason for drop in drops)
    same = {reason: [drop for drop in drops if drop.reason == reason] for reason in reasons}
    summed = [Drop(reason, sum(d.sessions for d in ds), sum(d.events for d in ds)) for reason, ds in same.items()]
    return tuple(drop for drop in summed if drop.sessions or drop.events)


def check_separator(path: Path, separator: str, forbidden: str) -> None:
    """Refuse a separator that cannot be one: a line end, or one of the characters ``forbidden``."""
    if any(character in separator for character in "\r\n" + STAND_IN + forbidden):
        raise StudyError(sentence(path, f"{shown_separator(separator)} cannot be the 'separator'; take another."))


def suggest_separator(text: Text, separator: str) -> None:
    """Refuse a file of lines of one field in most of which there is another separator."""
    lines = [line.strip("\r\n") for _, line in islice(text.lines(), 1000)]
    lines = [line for line in lines if line]
    for other in SEPARATORS:
        if other != separator and sum(other in line for line in lines) > len(lines) / 2:
            raise text.error(
                f"everything is in one column, because the separator {shown_separator(separator)} does not occur; "
                f"{shown_separator(other)} does, so try 'separator: {shown_separator(other)}' "
                f"(the first line is {quoted(lines[0], 40)})."
            )


def shown_separator(separator: str) -> str:
    return brief(json.dumps(separator, ensure_ascii=False), 20)


def listed(names) -> str:
    """Names for a sentence, as many as are read."""
    shown: list[str] = []
    for name in names:
        if sum(map(len, shown)) > 100:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(quoted(name, 30))
    return ", ".join(shown) or "none"
