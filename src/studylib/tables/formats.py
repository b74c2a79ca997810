"""How a number is written in a table or a sentence: intervals, p-values and counts, each in one way."""

from __future__ import annotations


def interval(mean: float, low: float, high: float, digits: int = 3) -> str:
    """A mean with its interval: ``0.123 [0.120, 0.126]``."""
    return f"{_fixed(mean, digits)} [{_fixed(low, digits)}, {_fixed(high, digits)}]"


def percent_interval(mean: float, low: float, high: float, digits: int = 1) -> str:
    """Shares between 0 and 1 with their interval, as percentages: ``12.3 % [12.0 %, 12.6 %]``."""
    return f"{_percent(mean, digits)} [{_percent(low, digits)}, {_percent(high, digits)}]"


def p_value(p: float) -> str:
    """``0.012``, and ``< 0.001`` for what is smaller."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(number: int, noun: str) -> str:
    """``1 cell``, ``12 cells``, ``2 batch sizes``, ``3 boundaries``."""
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"
    return f"{number:,} {noun}"


def _percent(share: float, digits: int) -> str:
    return f"{_fixed(100 * share, digits)} %"


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding zero takes the sign off a rounded -0.0
