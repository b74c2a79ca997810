"""Times of a log: numbers or dates, in any of the types in which files have them."""

from __future__ import annotations

import polars as pl

from studylib.errors import quoted


def not_in(form: str | None) -> str:
    """What is wrong with a time that `parse` cannot read."""
    if form is not None:
        return f"has a time that is not written as 'time_format' says ({quoted(form, 40)})"
    return "has a time that is neither a number nor a date such as 2014-04-07 or 2014-04-07T10:51:09Z"


_LARGEST = 1e20
"""No unit of time gives larger numbers: in nanoseconds this is the year 5138."""
_DATE = (
    r"^(\d{4}-\d{2}-\d{2})(?:[T ]([01]\d|2[0-4]):([0-5]\d)(?::([0-5]\d|60)(?:[.,](\d+))?)?"
    r" ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?$"
)
"""ISO 8601 and what is near to it: date, hour, minute, second, fraction, zone."""


def forms(text: pl.Expr, form: str | None) -> list[pl.Expr]:
    """The usual forms of times that are text, each as Float64: what `parse` gives where all times have that form, without
    the memory that text takes. Null where a time has another form, or is null.
    """
    if form is not None:
        return [_seconds(text.cast(pl.String).str.to_datetime(form, strict=False, time_unit="us"))]
    number = text.cast(pl.Float64, strict=False)
    numbers = pl.when((number.abs() < _LARGEST) & (text.str.len_bytes() <= 15)).then(number)
    dates = [
        _seconds(pl.when(text.str.contains(looks)).then(text).str.to_datetime(form, strict=False, time_unit="us"))
        for looks, form in _USUAL.items()
    ]
    return [numbers, *dates]


_USUAL = {
    r"^\d{4}-\d\d-\d\d$": "%Y-%m-%d",
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$": "%Y-%m-%d %H:%M:%S",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$": "%Y-%m-%dT%H:%M:%SZ",
}


def _seconds(dates: pl.Expr) -> pl.Expr:
    return dates.dt.epoch("us") / 1e6


def parse(column: pl.Series, form: str | None = None) -> tuple[pl.Series, pl.Series | None]:
    """Times as numbers: numbers as they are, dates as seconds since 1970 (UTC where they name no zone).

    Args:
        column: numbers, dates or text.
        form: of text and numbers, as `strptime` takes it; None: numbers and ISO 8601.

    Returns:
        Float64, null where there is no time. And Int128, in units of 1e-18, where Float64 cannot tell apart what the column
        does (nanoseconds since 1970 need 61 bits of its 53); else None.
    """
    if column.dtype in (pl.Date, pl.Datetime):
        exact = _units(column.dt.epoch("ns"), 10**9) if getattr(column.dtype, "time_unit", None) == "ns" else None
        return column.cast(pl.Datetime("us")).dt.epoch("us") / 1e6, exact
    if form is not None and column.dtype == pl.String:
        return pl.select(forms(pl.lit(column), form)).to_series(), None
    numbers = column.cast(pl.Float64, strict=False)
    numbers = pl.select(pl.when(numbers.abs() < _LARGEST).then(numbers)).to_series()
    if column.dtype.is_numeric():
        whole = column.dtype.is_integer() and (numbers.abs().max() or 0) >= 2**53
        return numbers, _units(column, 10**18) if whole else _decimals(column) if column.dtype.is_decimal() else None
    if numbers.null_count() == column.null_count():
        # 15 digits and a decimal point are the longest text that Float64 holds for certain.
        return numbers, _decimals(column) if (column.str.len_bytes().max() or 0) > 15 else None
    iso = pl.select(pl.when(column.str.contains(r"^\d{4}-\d{2}-\d{2}")).then(column)).to_series()
    if len(iso) - iso.null_count() <= len(numbers) - numbers.null_count():
        return numbers, None
    return _dates(iso)


def _dates(iso: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    fine = (iso.str.len_bytes().max() or 0) > len("2014-04-07T10:51:09.123456") and iso.str.contains(r"[.,]\d{7}").any()
    if not fine:
        try:
            quick = iso.str.to_datetime(strict=False, time_unit="us")
        except pl.exceptions.ComputeError:  # the first date has a form that polars does not guess
            pass
        else:
            if quick.null_count() == iso.null_count():
                return quick.dt.epoch("us") / 1e6, None
    names = ["date", "hour", "minute", "second", "fraction", "zone"]
    parts = iso.str.extract_groups(_DATE).struct.unnest()
    parts.columns = names
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    digits = pl.col("zone").str.replace_all(r"\D", "")
    offset = sign * (digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0) * 3600)
    offset += sign * (digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0) * 60)
    clock = [pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hour", "minute", "second")]
    fraction = pl.col("fraction").fill_null("")
    within = clock[0] * 3600 + clock[1] * 60 + clock[2]
    table = parts.select(
        seconds=pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64) * 86400 + within - offset,
        micros=pl.col("fraction").fill_null("").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64),
        units=fraction.str.pad_end(18, "0").str.slice(0, 18).cast(pl.Int64),
        valid=within + (pl.col("fraction").is_not_null() & (clock[0] == 24)) <= 86400,
    )
    table = table.with_columns(pl.when("valid").then("seconds").alias("seconds"))
    exact = _units(table["seconds"], 10**18) + table["units"].cast(pl.Int128) if fine else None
    return (table["seconds"] * 10**6 + table["micros"]) / 1e6, exact


def _units(column: pl.Series, scale: int) -> pl.Series:
    return column.cast(pl.Int128) * pl.Series([scale], dtype=pl.Int128)


def _decimals(column: pl.Series) -> pl.Series:
    return column.cast(pl.Decimal(38, 18), strict=False).to_physical()
