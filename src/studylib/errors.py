"""The one exception that is meant for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StudyError(Exception):
    """A mistake in the input that its author can mend.

    The message is one sentence that names the place and says what to do. The command line prints it without a
    traceback and exits with 1.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown ``name``: the known name most like it, else all known names."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; it must be one of {', '.join(known)}."
