"""The one exception whose message is meant for the user."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StudyError(Exception):
    """An error in the input that the user can correct.

    The message is one sentence that names the place and says what to do. The command line prints it without a
    traceback and exits with status 1.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown ``name``: the most similar known name, else all known names."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; it must be one of {', '.join(known)}."
