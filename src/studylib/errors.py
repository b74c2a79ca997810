"""The one exception whose message is meant for the user, and what keeps its sentences short."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LONGEST = 300
"""Letters of a message, at most."""


class StudyError(Exception):
    """An error in the input that the user can correct.

    The message is one sentence that names the place and says what to do. The command line prints it without a
    traceback and exits with status 1.
    """


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the import of packages that come with an extra of this one: where they are missing, a sentence says so.

    Raises:
        StudyError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("studylib"):
            raise
        raise StudyError(f"{error.name} is not installed, which this needs: pip install 'studylib[{name}]'.") from None


def brief(text: object, limit: int = 60) -> str:
    """A text in at most ``limit`` letters, its middle left out where it is longer, and what cannot be printed escaped.

    Example:
        >>> brief("x" * 100, 9), brief("one\\ntwo")
        ('xxxx…xxxx', 'one\\\\ntwo')
    """
    text = str(text)
    half = (limit - 1) // 2
    ends = text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in ends)
    return shown if len(shown) <= limit else f"{shown[:half]}…{shown[-half:]}"


def quoted(value: object, limit: int = 60) -> str:
    """A value as Python writes it, in at most ``limit`` letters.

    Example:
        >>> quoted("a"), quoted(10**5000)
        ("'a'", 'a number of more than 4,300 digits')
    """
    try:
        return brief(repr(value), limit)
    except ValueError:
        return "a number of more than 4,300 digits"


def sentence(place: object, rest: str) -> str:
    """``place: rest`` in at most `LONGEST` letters: of a long place, such as a path, the middle is left out."""
    rest = brief(rest, LONGEST - 42)
    return f"{brief(place, LONGEST - 2 - len(rest))}: {rest}"


def nearest(name: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown ``name``: the most similar known name, else the known names, as many as are read."""
    known = sorted(known)
    match = difflib.get_close_matches(name[:100], known, n=1)
    if match:
        return f"; did you mean {brief(match[0])!r}?"
    named = [brief(name, 40) for name in known]
    while len(", ".join(named)) > 120:
        named.pop()
    others = len(known) - len(named)
    return f"; it must be one of {', '.join(named)}{f' and {others} more' if others else ''}."
