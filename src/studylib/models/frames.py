"""Tables of events in and of recommendations out, pandas or polars, whichever was given."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl

from studylib.data import times
from studylib.errors import StudyError, nearest, quoted


def sessions_of(frame: Any, user: str, item: str, time: str | None) -> tuple[pl.Series, list[list]]:
    """The users of a table of events in the order of their first rows, and the ids of the items of each.

    Events are in the order of ``time``, and where times are equal, or there is no such column, in that of the rows. Rows
    without a user, an item or a time are left out with a warning that counts them.

    Raises:
        StudyError: it is no table, lacks a column, or has one that cannot be read.
    """
    columns = {"user": user, "item": item} | ({} if time is None else {"time": time})
    table = _picked(frame, columns)
    if time is not None:
        table = table.with_columns(time=times.parse(_text_or_number(table["time"]))[0])
    whole = table.drop_nulls()
    if left_out := len(table) - len(whole):
        rows = "1 row" if left_out == 1 else f"{left_out:,} rows"
        without = "a user or an item" if time is None else "a user, an item or a time"
        warnings.warn(f"{rows} without {without} {'was' if left_out == 1 else 'were'} left out", stacklevel=3)
    if time is not None:
        # By their first rows first: a sort by time would lose the order of the users.
        order = whole["user"].unique(maintain_order=True)
        grouped = whole.sort("time", maintain_order=True).group_by("user").agg("item")
        grouped = pl.DataFrame({"user": order}).join(grouped, on="user", how="left", maintain_order="left")
    else:
        grouped = whole.group_by("user", maintain_order=True).agg("item")
    return grouped["user"], grouped["item"].to_list()


def of_lists(
    frame: Any, user: str, users: pl.Series, best: list[tuple[np.ndarray, np.ndarray]], ids: np.ndarray
) -> Any:
    """A table of the kind of ``frame``: the column of the users, ``item``, ``rank`` from 1 on and ``score``.

    Args:
        best: for each user the indices of the items, best first, and their scores.
        ids: of the items.
    """
    lengths = np.array([len(items) for items, _ in best], np.int64)
    items, scores = (np.concatenate([row[part] for row in best]) if best else np.zeros(0) for part in (0, 1))
    ranks = np.arange(1, lengths.sum() + 1) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    table = pl.DataFrame(
        {
            user: users.gather(np.repeat(np.arange(len(users)), lengths)),
            "item": ids[items.astype(np.int64)],
            "rank": ranks,
            "score": scores.astype(np.float64),
        }
    )
    return table if isinstance(frame, pl.DataFrame) else table.to_pandas()


def _picked(frame: Any, columns: dict[str, str]) -> pl.DataFrame:
    names = getattr(frame, "columns", None)
    if names is None or not hasattr(frame, "shape"):
        raise StudyError(
            f"{quoted(frame, 40)} is no table of events: give a pandas or polars DataFrame, or sessions to recommend()."
        )
    if columns["user"] in ("item", "rank", "score"):
        raise StudyError(f"The users' column {quoted(columns['user'])} has the name of one of the answer: rename it.")
    for role, name in columns.items():
        if name not in list(names):
            rest = nearest(name, map(str, names))
            raise StudyError(f"The table has no column {quoted(name, 40)}; name that of the {role} with '{role}'{rest}")
    try:
        if not isinstance(frame, pl.DataFrame):
            frame = pl.from_pandas(frame[list(dict.fromkeys(columns.values()))])
        return frame.select(
            (_id(frame[name]) if role == "item" else frame[name]).alias(role) for role, name in columns.items()
        )
    except Exception as error:  # polars and pyarrow raise many for what they cannot read
        raise StudyError("The table has a column of mixed kinds: make ids text or numbers, all of a column.") from error


def _id(column: pl.Series) -> pl.Series:
    """Numbers that pandas has made floats, because some were missing, are whole again."""
    if column.dtype.is_float() and (column.drop_nulls() == column.drop_nulls().round()).all():
        return column.fill_nan(None).cast(pl.Int64)
    return column


def _text_or_number(column: pl.Series) -> pl.Series:
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum, pl.Null) else column
