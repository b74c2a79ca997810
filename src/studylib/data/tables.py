"""Tables of events: separated text, and what all tables have in common.

Most files are plain enough that polars and the `csv` module cannot but agree about them: each line is a record of as many fields
as the first, and quotation marks enclose whole fields. They are read with polars. All others are read with `csv`, record by
record: that finds the line which is wrong, or what the file says.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile, islice
from pathlib import Path

import polars as pl

from studylib.data import times
from studylib.data.plain import LONGEST_LINE, STAND_IN, Text, plain
from studylib.data.sessions import Drop, own_categories
from studylib.errors import StudyError, brief, quoted, sentence

MOST_COLUMNS = 10_000
"""A table of more is none: its separator occurs in its text, or it is one line."""
LEFT_OUT = "left out"
SEPARATORS = ["\t", "|", "::", ",", ";", " "]

_BATCH = 1 << 20
"""Records that are held as Python's texts before they become a part of a table."""

csv.field_size_limit(LONGEST_LINE)  # that of `csv` is 131,072 letters, which a review can have


@dataclass(frozen=True)
class Source:
    """The events of one file.

    Attributes:
        rows: columns ``session`` and ``item``, perhaps ``user``, ``time`` and others, as they stand in the file; perhaps
            `LEFT_OUT`, an Enum of reasons, null where an event is kept.
        bad_row: the error for a row, counted from 0, of which it is said what is wrong.
    """

    rows: pl.LazyFrame
    bad_row: Callable[[int, str], StudyError]


def read_table(
    path: Path, separator: str, header: bool, columns: Mapping[str, str | int], optional: dict[str, str] | None = None
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Read the columns of a table of separated text (`separated`).

    Returns:
        The events in the order of the file (ids as text or numbers, times Float64), and what was left out.
    """
    with separated(path, separator, header, columns, optional) as source:
        return events(path, [source])


@contextmanager
def separated(
    path: Path, separator: str, header: bool, columns: Mapping[str, str | int], optional: dict[str, str] | None = None
) -> Iterator[Source]:
    """The columns of a table of separated text.

    Args:
        separator: one or more characters. Fields may be in double quotes.
        columns: name or number (from 0) of the columns ``session``, ``item`` and, where wanted, ``time`` and others.
        optional: further columns that are read only where they are there.

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

        def bad_row(row: int, what: str) -> StudyError:
            number, fields = next(islice(table.records(), row + header, None))
            hint = "" if number > 1 or header else " (if it is a header, set 'header: true')"
            return text.bad_line(number, separator.join(fields), what + hint)

        yield Source(rows, bad_row)


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

    def read(self, positions: dict[str, int]) -> pl.LazyFrame:
        """The columns at ``positions`` as text, one row per record; null where a field is empty."""
        self.time = positions.get("time")
        rows = self._quickly(positions) if self._is_regular() else self._by_record(positions).lazy()
        if rows.head(1).collect().is_empty():
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

    def _quickly(self, positions: dict[str, int]) -> pl.LazyFrame:
        table = pl.scan_csv(self.text.file, separator=self.mark, has_header=self.header, infer_schema=False, glob=False)
        names = table.collect_schema().names()
        picked = [pl.col(names[position]).alias(role) for role, position in positions.items()]
        return table.select(picked)

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


def _refuse_swapped_header(table: _Table, rows: pl.LazyFrame, columns: Mapping[str, str | int]) -> None:
    """Refuse numbered columns where the header is an event, or the first event a header.

    A header of ids, some of which occur again, is an event. A first event without a time is a header if it has a text where all
    others have numbers.
    """
    roles = [role for role in ("session", "item") if isinstance(columns.get(role), int)]
    if table.header and roles:
        names = {role: table.names[columns[role]] for role in roles}  # type: ignore[index]
        again = rows.select((pl.col(role) == name).any() for role, name in names.items()).collect(engine="streaming")
        for role, occurs in again.row(0, named=True).items():
            if occurs:
                raise _event_as_header(table, names[role], "an id of later lines")
    elif "time" not in columns and roles:
        first, rest = rows.head(1).collect(), rows.select(roles).slice(1)
        if any(re.fullmatch(r"-?\d+", first[role][0] or "") for role in roles):
            return
        given, numbers = pl.col(roles).count(), pl.col(roles).cast(pl.Int64, strict=False).count()
        n_given = rest.select(given).collect(engine="streaming").row(0)
        n_numbers = rest.select(numbers).collect(engine="streaming").row(0)
        n_rest = rest.select(pl.len()).collect(engine="streaming").item()
        for role, others, as_numbers in zip(roles, n_given, n_numbers, strict=True):
            if n_rest > 1 and 0 < others == as_numbers:
                raise table.text.error(
                    f"the first line looks like a header ({quoted(first[role][0], 40)} stands above numbers); set "
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
    path: Path, sources: Sequence[Source], time_format: str | None = None
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Read the events of one log: parse the times, and leave out the rows that lack a user, an item or a time.

    An empty text and a number that is not one (NaN) are no id and no time, in all formats.

    Args:
        sources: the files, read as one.
        time_format: of times that are text, as `strptime` takes it.

    Returns:
        The events; ids as numbers, categories or text, ``time`` Float64, and with the column ``exact`` where `times.parse` gives
        it.
    """
    table = _typed(_one_table([source.rows for source in sources]), time_format)
    reason = table[LEFT_OUT] if LEFT_OUT in table.columns else None
    drops = []
    if reason is not None:
        drops = _left_out(table["session"], reason)
        table = table.drop(LEFT_OUT).filter(reason.is_null())
    roles = [role for role in ("session", "user", "item", "time") if role in table.columns]
    if "time" in roles:
        parsed, exact = times.parse(table["time"], time_format)
        bad = parsed.is_null() & table["time"].is_not_null()
        if bad.any():
            row = int(bad.arg_max())  # type: ignore[arg-type]
            row = row if reason is None else reason.is_null().arg_true()[row]
            raise _bad_row(sources, row, times.not_in(time_format))
        table = table.with_columns(time=parsed)
        if exact is not None:
            table = table.with_columns(exact=exact)
    empty = table.select(pl.all_horizontal(pl.col(roles).is_null())).to_series()
    complete = table.select(pl.all_horizontal(pl.col(roles).is_not_null())).to_series()
    kept = table if complete.all() else table.filter(complete)
    if not len(kept):
        most = max(drops, key=lambda drop: drop.events, default=None)
        if most is not None:
            raise StudyError(
                sentence(path, f"no event is left; {most.events:,} are left out as '{most.reason}': check this.")
            )
        raise StudyError(sentence(path, "no row has a value in each of the columns; check 'user', 'item' and 'time'."))
    lost = int((~complete & ~empty).sum())
    gone = table["session"].drop_nulls().n_unique() - kept["session"].n_unique() if lost else 0
    blank = Drop("blank line", 0, int(empty.sum()))
    return kept, counted([blank, *drops, Drop("row without a user, an item or a time", gone, lost)])


def _one_table(tables: list[pl.LazyFrame]) -> pl.LazyFrame:
    """The rows of several files, one after the other; a column that has not one type in all of them is text."""
    if len(tables) == 1:
        return tables[0]
    schemas = [table.collect_schema() for table in tables]
    mixed = [name for name in schemas[0] if len({schema[name] for schema in schemas}) > 1]
    return pl.concat([table.with_columns(pl.col(mixed).cast(pl.String)) for table in tables])


def _typed(rows: pl.LazyFrame, time_format: str | None) -> pl.DataFrame:
    """The rows, with text as what takes less memory and says the same: numbers where all of a column are, else categories.

    A first pass over the files learns what that is, so that a large log is never there as text.
    """
    schema = rows.collect_schema()
    text = [name for name, dtype in schema.items() if dtype == pl.String]
    rows = rows.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in text)
    rows = rows.with_columns(pl.col(name).fill_nan(None) for name, dtype in schema.items() if dtype.is_float())
    ids = [name for name in text if name in ("session", "user", "item")]
    learn = [_is_integers(pl.col(name)).alias(name) for name in ids]
    forms = times.forms(pl.col("time"), time_format) if "time" in text else []
    learn += [(form.count() == pl.col("time").count()).alias(f"form {n}") for n, form in enumerate(forms)]
    if learn:
        found = rows.select(learn).collect(engine="streaming").row(0, named=True)
        types = [pl.col(name).cast(pl.Int64 if found[name] else own_categories()) for name in ids]
        types += [form.alias("time") for n, form in enumerate(forms) if found[f"form {n}"]][:1]
        rows = rows.with_columns(types)
    return rows.collect(engine="streaming")


def _is_integers(ids: pl.Expr) -> pl.Expr:
    """Whether all are integers as they are printed: "007" and "+7" are text."""
    return ids.cast(pl.Int64, strict=False).cast(pl.String).eq_missing(ids).all()


def _left_out(session: pl.Series, reason: pl.Series) -> list[Drop]:
    """What is left out for each reason, one after the other: who is gone with the second had something left after the first."""
    drops = []
    before = session.drop_nulls().n_unique()
    for number, name in enumerate(reason.dtype.categories):
        out = (reason.to_physical() == number).fill_null(False)
        if out.any():
            rest = ((reason.to_physical() > number) | reason.is_null()).fill_null(True)
            after = session.filter(rest).drop_nulls().n_unique()
            drops.append(Drop(name, before - after, int(out.sum())))
            before = after
    return drops


def _bad_row(sources: Sequence[Source], row: int, what: str) -> StudyError:
    """Of the file that has the row."""
    for source in sources[:-1]:
        rows = source.rows.select(pl.len()).collect(engine="streaming").item()
        if row < rows:
            return source.bad_row(row, what)
        row -= rows
    return sources[-1].bad_row(row, what)


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
