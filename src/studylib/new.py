"""`studylib new`: a look at the beginning of a log, and the params file that it suggests."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from studylib.errors import StudyError, quoted, sentence
from studylib.paths import slug

LOOKED_AT = 1000
"""Lines, or rows, that the guesses are from."""
LONGEST = 100_000
"""Letters of a line that are looked at."""

NAMES = {
    "user": ("user", "visitor", "customer", "client", "member", "reviewer", "uid", "session"),
    "item": (
        "item",
        "product",
        "url",
        "page",
        "path",
        "sku",
        "asin",
        "movie",
        "film",
        "track",
        "song",
        "article",
        "video",
    ),
    "time": ("timestamp", "time", "date", "datetime", "at", "ts", "when", "day"),
}
"""Words in the name of a column by what it has, the likeliest first."""

ACCESS_LOG = re.compile(r'^\S+ \S+ .* \[[^\]]+\] "[A-Z]+ .*" \d{3} ')
FORMATS = {
    r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2}": "%d/%m/%Y %H:%M:%S",
    r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}": "%d/%m/%Y %H:%M",
    r"\d{1,2}/\d{1,2}/\d{4}": "%d/%m/%Y",
    r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}:\d{2}": "%d.%m.%Y %H:%M:%S",
    r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}": "%d.%m.%Y %H:%M",
    r"\d{1,2}\.\d{1,2}\.\d{4}": "%d.%m.%Y",
}
"""Dates that are neither numbers nor ISO 8601. Whether the day or the month comes first, the values say where one is over 12."""


def suggested(log: Path) -> str:
    """The text of a params file for a log, with what was guessed as comments.

    Raises:
        StudyError: the log cannot be read, or none of its columns looks like that of the items.
    """
    return _written(log, *_guessed(log))


def _guessed(log: Path) -> tuple[dict[str, Any], list[str]]:
    """The section ``data``, and what was seen, a sentence each."""
    if not log.exists():
        raise StudyError(f"{log}: there is no such file.")
    if log.is_dir():
        first = next((path for path in sorted(log.iterdir()) if path.is_file() and path.name[0] not in "._"), None)
        if first is None:
            raise StudyError(f"{log}: there is no file in this folder.")
        data, seen = _guessed(first)
        return data, [f"The first file of the folder, {quoted(first.name)}, was looked at.", *seen]
    if log.suffix.lower() == ".parquet":
        try:
            table = pl.read_parquet(log, n_rows=LOOKED_AT)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise StudyError(sentence(str(log), f"cannot be read as Parquet: {error}.")) from None
        return _of_events(
            "parquet", {}, {name: [*map(str, column)] for name, column in table.to_dict(as_series=False).items()}
        )
    lines = _lines(log)
    if not lines:
        raise StudyError(f"{log}: is empty.")
    if ACCESS_LOG.match(lines[0]):
        return {"reader": "access-log", "sessions": {"gap": "30min"}}, ["It looks like the access log of a web server."]
    if lines[0].lstrip().startswith("{"):
        return _of_events("jsonl", {}, _json_columns(log, lines))
    separator = _separator(lines)
    if separator is None:
        raise StudyError(f"{log}: no separator is in every line; write a params file by hand, as the README has it.")
    rows = list(csv.reader(lines, delimiter=separator))
    widths = {len(row) for row in rows}
    names = rows[0]
    header = len(set(names)) == len(names) and not any(re.fullmatch(r"[-+]?\d+([.,]\d+)?", cell) for cell in names)
    if len(widths) > 1 or not (header and _named(names, "item")):
        seen = [f"Each line looks like a session: ids with {quoted(separator)} between them."]
        return {"reader": "sequences", "separator": separator}, seen
    columns = {name: [row[place] for row in rows[1:]] for place, name in enumerate(names)}
    return _of_events("events", {"separator": separator}, columns)


def _lines(log: Path) -> list[str]:
    """The first lines of a text file, plain or gzip, without their ends."""
    try:
        opened = gzip.open if log.suffix.lower() == ".gz" else open
        with opened(log, "rt", encoding="utf-8-sig") as file:
            lines = [file.readline(LONGEST).rstrip("\r\n") for _ in range(LOOKED_AT)]
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise StudyError(sentence(str(log), f"cannot be read as text ({type(error).__name__}).")) from None
    return [line for line in lines if line.strip()]


def _separator(lines: list[str]) -> str | None:
    """Of the usual separators that are in every line, the one that is there most often."""
    counts = {separator: [line.count(separator) for line in lines[:100]] for separator in ",;\t|"}
    usable = {separator: sum(counts[separator]) for separator in counts if min(counts[separator]) > 0}
    return max(usable, key=lambda separator: usable[separator]) if usable else None


def _json_columns(log: Path, lines: list[str]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for line in lines:
        try:
            fields = _flat(json.loads(line))
        except (ValueError, RecursionError, AttributeError):
            raise StudyError(f"{log}: begins like JSON lines, but a line is no JSON object.") from None
        for name, value in fields.items():
            columns.setdefault(name, []).append(str(value))
    return columns


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields of fields by names with a dot between them: ``user.id``."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _named(names: list[str], kind: str) -> str | None:
    """The column whose name has the likeliest word of a kind in it."""
    for word in NAMES[kind]:
        for name in names:
            if (
                word in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
                or name.lower() == f"{word}id"
            ):
                return name
    return None


def _of_events(reader: str, options: dict[str, Any], columns: dict[str, list[str]]) -> tuple[dict[str, Any], list[str]]:
    """The section for a table of events, from the names of its columns and the values of its first rows."""
    names = list(columns)
    data: dict[str, Any] = {"reader": reader, **options}
    seen = []
    for kind in NAMES:
        name = _named([name for name in names if name not in data.values()], kind)
        if name is None:
            continue
        data[kind] = name
        example = next((value for value in columns[name] if value), "")
        seen.append(f"{kind}: the column {quoted(name)}, such as {quoted(example, 60)}; {_distinct(columns[name])}.")
    if "item" not in data or "user" not in data:
        missing = "item" if "item" not in data else "user"
        raise StudyError(
            f"No column looks like that of the {missing}s; write a params file by hand, with '{missing}:' one of: "
            + quoted(", ".join(names), 120)
            + "."
        )
    if "time" in data:
        form = _time_format(columns[data["time"]])
        if form:
            data["time_format"] = form
            seen.append(f"time_format: {form}, from the first values.")
        if "session" not in data["user"].lower():
            data["sessions"] = {"gap": "30min"}
            seen.append(
                "sessions: a session ends after 30 minutes without an event; leave it out where a user is a session."
            )
    return data, seen


def _distinct(values: list[str]) -> str:
    return f"{len(set(values)):,} different ones in the first {len(values):,} rows"


def _time_format(values: list[str]) -> str | None:
    for pattern, form in FORMATS.items():
        if all(re.fullmatch(pattern, value) for value in values if value):
            first, second = zip(*(map(int, re.split(r"[/.]", value)[:2]) for value in values if value), strict=True)
            return (
                form.replace("%d", "%1").replace("%m", "%d").replace("%1", "%m")
                if max(second) > 12 >= max(first)
                else form
            )
    return None


def _written(log: Path, data: dict[str, Any], seen: list[str]) -> str:
    """The params file: what was seen as comments, then the one declaration of the log."""
    remarks = "".join(f"# {line}\n" for line in seen)
    section = "".join(f"  {key}: {_yaml(value)}\n" for key, value in (data | {"path": str(log.absolute())}).items())
    return (
        f"# A first guess about {quoted(log.name)}: look at it, and run it with `studylib run`.\n{remarks}"
        f"name: {slug(log.name.split('.')[0])[:100] or 'log'}\ndata:\n{section}"
        "budget: 10min  # how long its networks may take in all; without it they have their defaults\n"
        "# ranking: {models: [popularity, markov, session-knn, gru4rec], seeds: [0, 1, 2]}  # intervals cover these seeds\n"
    )


def _yaml(value: Any) -> str:
    """A value in YAML that is JSON, on one line."""
    return json.dumps(value, ensure_ascii=False)
