"""Access logs of web servers in the combined format of Apache and nginx: which of their lines are events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import polars as pl

from studylib.data.plain import Text, plain
from studylib.data.tables import LEFT_OUT, Source
from studylib.params.study import Log

_LINE = (
    r"^(\S+) \S+ .*? ?\[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "
    r'"((?:[^"\\]|\\.)*)" (\d{3}) \S+ "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"'
)
"""Address, time, request, status and user agent: https://httpd.apache.org/docs/2.4/logs.html#combined."""
_TIME = "%d/%b/%Y:%H:%M:%S %z"

_ASSET = (
    r"(?i)\.(css|js|mjs|map|json|xml|txt|png|jpe?g|gif|svg|webp|avif|ico|bmp|woff2?|ttf|otf|eot|mp[34]|webm|ogg|wasm)$"
)
"""Of a path: what pages load, and what is there for programs (robots.txt, sitemap.xml)."""
_BOT = r"(?i)bot|crawl|spider|slurp|scrape|archiver|monitor|preview|fetch|scan|headless|lighthouse|curl|wget|python|java/|" \
    r"perl|ruby|php|go-http|okhttp|httpclient|axios|^-?$"  # fmt: skip
"""Of a user agent: words by which programs name themselves, and none at all."""

NO_LINE = "line that is not in the combined format"
REASONS = [
    NO_LINE,
    "request other than GET",
    "answer other than 200",
    "asset, such as a style or an image",
    "request of a bot",
]


@contextmanager
def access_log(log: Log, path: Path) -> Iterator[Source]:
    """Successful requests for pages: the item is a path, with its query if the log says so; a user is an address with a user
    agent. Everything else is left out and counted, each line for the first reason that applies.

    Raises:
        StudyError: most of the first lines are not in the combined format.
    """
    with plain(path) as text:
        _refuse_other_format(text)
        line = pl.col("line").str.strip_chars_end("\r")
        names = ["address", "time", "request", "status", "agent"]
        fields = line.str.extract_groups(_LINE).struct.rename_fields(names).struct.unnest()
        request = pl.col("request").str.extract_groups(r"^(\S+) (?:https?://[^/ ]*)?(\S*)(?: HTTP/[\d.]+)?$").struct
        rows = pl.scan_lines(text.file, glob=False).filter(line != "").select(fields)
        rows = rows.with_columns(
            method=request.field("1"),
            target=request.field("2"),
            time=pl.col("time").str.to_datetime(_TIME, strict=False, time_unit="us").dt.epoch("us") / 1e6,
        )
        page = pl.col("target").str.extract(r"^([^?#]*)")
        reasons = [
            pl.col("time").is_null(),
            (pl.col("method") != "GET").fill_null(True),
            pl.col("status") != "200",
            page.str.contains(_ASSET),
            pl.col("agent").str.contains(_BOT),
        ]
        left_out = pl.lit(None, pl.String)
        for reason, applies in reversed(list(zip(REASONS, reasons, strict=True))):
            left_out = pl.when(applies).then(pl.lit(reason)).otherwise(left_out)
        item = pl.col("target") if log.query else page
        rows = rows.with_columns(left_out.cast(pl.Enum(REASONS)).alias(LEFT_OUT)).select(
            "time",
            LEFT_OUT,
            session=pl.concat_str("address", "agent", separator=" "),
            item=pl.when(pl.col(LEFT_OUT).is_null()).then(item),
        )
        yield Source(rows, lambda row, what: text.error(f"an event {what}."))


def _refuse_other_format(text: Text) -> None:
    lines = [line for line in islice(text.lines(), 1000) if line[1].strip()]
    if not lines:
        raise text.error("the file is empty; it needs one request a line.")
    other = ~pl.Series([line for _, line in lines]).str.contains(_LINE)
    if other.mean() > 0.5:  # type: ignore[operator]
        what = (
            "is not in the combined format of Apache and nginx (address, time, request, status, size, referrer, agent)"
        )
        raise text.bad_line(*lines[int(other.arg_max())], what)  # type: ignore[arg-type]
