"""Where a number is from: the table and the row in which it can be looked up, so that a sentence with the number leads there.

`sourced` gives a number its `Source` where it is read; it stays a number in every other way, and what is computed from it has no
source. `studylib.tables.formats` hands the source on to what it writes, `studylib.text.words` puts it into the HTML, and the page
makes links of it (`studylib.report.sources`).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True)
class Source:
    """A row of a table.

    Attributes:
        table: the name of the result, or of the table in a notebook (`studylib.notebook.Study.table`).
        row: columns with the keys that the row has there; without any it is the table as a whole.
    """

    table: str
    row: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.table}.csv{': ' * bool(self.row)}{', '.join(f'{column} {key}' for column, key in self.row)}"


class _Whole(int):
    source: Source


class _Fraction(float):
    source: Source


class _Words(str):
    source: Source


def source(table: str, /, **row: object) -> Source:
    """Where a number is from.

    Example:
        >>> str(source("intervals", dataset="grocery", model="stan"))
        'intervals.csv: dataset grocery, model stan'
    """
    return Source(table, tuple((column, str(key)) for column, key in row.items()))


def sourced(value: Any, where: Source | None) -> Any:
    """A number, or words of ours with numbers in them, with its source; the value itself without one.

    Example:
        >>> share = sourced(0.25, source("shares"))
        >>> share == 0.25, f"{share:.0%}", source_of(share), source_of(2 * share)
        (True, '25%', Source(table='shares', row=()), None)
    """
    if where is None or isinstance(value, bool):
        return value
    made: Any
    if isinstance(value, Integral):
        made = _Whole(int(value))
    elif isinstance(value, Real):
        made = _Fraction(float(value))
    else:
        made = _Words(str(value))
    made.source = where
    return made


def all_sourced(where: Source, *values: Any) -> tuple:
    """Several numbers of one row."""
    return tuple(sourced(value, where) for value in values)


def source_of(*values: object) -> Source | None:
    """The source of the first of the values that has one."""
    return next((value.source for value in values if isinstance(value, (_Whole, _Fraction, _Words))), None)
