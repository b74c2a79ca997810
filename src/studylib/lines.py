"""Recommendations for many sessions, a line of text in and a line of JSON out."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from studylib.errors import StudyError, quoted, sentence
from studylib.models.base import Recommender
from studylib.tables.formats import count

TOGETHER = 1000
"""Lines that are read before the first of them is answered."""


def answers(
    model: Recommender,
    path: Path,
    separator: str | None,
    k: int,
    exclude_visited: bool,
    aside: Callable[[str], None],
) -> Iterator[str]:
    """For each line a line ``{"items": [...], "scores": [...]}``, best first; line n answers line n.

    A blank line is a session without events. Ids that training never saw are left out and counted at the end.

    Args:
        path: of the file, ``-`` is standard input.
        separator: between two ids; None: each line is a JSON list of ids, or an object with them in ``items`` whose other
            fields are repeated in its answer.
        k, exclude_visited: as in `Recommender.recommend`.
        aside: takes a sentence for the user.

    Raises:
        StudyError: the file cannot be read, or a line is not of that kind; the message names the line.
    """
    unknown = sessions = 0
    with _opened(path) as lines:
        numbered = enumerate(lines, 1)
        while part := list(islice(numbered, TOGETHER)):
            read = [_fields(path, number, line, separator) for number, line in part]
            lists = [fields["items"] for fields in read]
            for items in lists:
                new = sum(str(item) not in model.index_of for item in items)
                unknown, sessions = unknown + new, sessions + (new > 0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of unknown ids, which are counted here
                found = model.recommend(lists, k, exclude_visited, scores=True)
            for fields, best in zip(read, found, strict=True):
                ids, scores = [item for item, _ in best], [score for _, score in best]
                yield json.dumps({**fields, "items": ids, "scores": scores})
    if unknown:
        events, verb = count(unknown, "event"), "was" if unknown == 1 else "were"
        aside(f"{events} of {count(sessions, 'session')} {verb} left out, never seen in training.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Iterator[str]]:
    name = "standard input" if str(path) == "-" else path
    try:
        if str(path) == "-":
            sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
            yield sys.stdin
        else:
            with path.open(encoding="utf-8-sig") as file:
                yield file
    except UnicodeDecodeError:
        raise StudyError(sentence(name, "cannot be read as text (it is not UTF-8); convert it.")) from None
    except FileNotFoundError:
        raise StudyError(sentence(name, "there is no such file of sessions; check --sessions.")) from None
    except (IsADirectoryError, PermissionError) as error:
        raise StudyError(sentence(name, f"cannot be read ({error.strerror}); check --sessions.")) from None


def _fields(path: Path, number: int, line: str, separator: str | None) -> dict[str, Any]:
    """What a line says: its ``items``, a list of ids, and whatever else is to be in its answer."""
    line = line.rstrip(" \t\r\n")
    if separator is not None:
        return {"items": [item for item in line.split(separator) if item]}
    try:
        fields = json.loads(line, parse_constant=_no_number) if line.strip() else []
    except (ValueError, RecursionError):
        fields = None
    fields = {"items": fields} if isinstance(fields, list) else fields
    items = fields.get("items") if isinstance(fields, dict) else None
    if not isinstance(items, list) or not all(type(item) in (str, int) for item in items):
        kind = 'a JSON list of ids, or an object such as {"session": 7, "items": ["a", "b"]}'
        raise StudyError(sentence(path, f"line {number:,} is not {kind}: {quoted(line, 60)}."))
    return fields  # type: ignore[return-value]


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
