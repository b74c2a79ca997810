"""How a number is written in a table or a sentence: intervals, p-values and counts, each in one way.

What is written has the source of its number (`studylib.sources`), if it has one.
"""

from __future__ import annotations

from studylib.sources import source_of, sourced


def fixed(value: float, digits: int) -> str:
    """``0.123``; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding zero takes the sign off a rounded -0.0


def interval(mean: float, low: float, high: float, digits: int = 3) -> str:
    """A mean with its interval: ``0.123 [0.120, 0.126]``."""
    text = f"{fixed(mean, digits)} [{fixed(low, digits)}, {fixed(high, digits)}]"
    return sourced(text, source_of(mean, low, high))


def percent_interval(mean: float, low: float, high: float, digits: int = 1) -> str:
    """Shares between 0 and 1 with their interval, as percentages: ``12.3% [12.0%, 12.6%]``."""
    text = f"{fixed(100 * mean, digits)}% [{fixed(100 * low, digits)}%, {fixed(100 * high, digits)}%]"
    return sourced(text, source_of(mean, low, high))


def points(*shares: float, digits: int = 1) -> str:
    """Shares between 0 and 1 as percentage points: ``1.2 points``; of two ``1.2 to 3.4 points``, unless both read the same."""
    text = f"{' to '.join(dict.fromkeys(fixed(100 * share, digits) for share in shares))} points"
    return sourced(text, source_of(*shares))


def p_value(p: float, least: float) -> str:
    """``0.012``; ``≤ 0.012`` where it is the least that so many draws can give, and ``< 0.001`` for what is smaller."""
    bound = "≤ " if p <= least * (1 + 1e-9) else ""
    return "< 0.001" if p < 0.001 else f"{bound}{p:.3f}"


def count(number: int, noun: str) -> str:
    """``1 cell``, ``12 cells``, ``2 batch sizes``, ``3 boundaries``."""
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"
    return sourced(f"{number:,} {noun}", source_of(number))
