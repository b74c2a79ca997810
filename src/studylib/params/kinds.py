"""The kinds of values in a params file and the range of each, so that what cannot be trained is refused before anything runs."""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field


def _is_no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _is_a_label(label: str) -> str:
    if not label.strip():
        raise ValueError("must not be empty")
    return label


def _is_a_path(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("must be the path of a file")
    return path


SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""The units of a `Duration`."""


def seconds(duration: str) -> float:
    """Of a duration such as ``30min``, ``30 min``, ``1.5h`` or ``2d``.

    Raises:
        ValueError: it is none, or is not between a second and ten years.
    """
    form = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|min|h|d)", duration, re.ASCII)
    length = float(form[1]) * SECONDS[form[2]] if form else 0.0
    if not 1 <= length <= 3650 * 86400:
        raise ValueError("must be a length of time with its unit (s, min, h or d), such as 30min")
    return length


def _is_a_duration(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a length of time with its unit (s, min, h or d), such as 30min")
    seconds(value)
    return value


def _is_a_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no relative path, a folder
        raise ValueError("must be a time zone such as UTC or Europe/Berlin") from None
    return name


NUMBER = BeforeValidator(_is_no_boolean)
"""Python takes true for 1."""

Seed = Annotated[int, NUMBER, Field(ge=0, le=2**32 - 1)]
"""What all generators of random numbers take."""
Count = Annotated[int, NUMBER, Field(ge=1, le=2**31 - 1)]
"""Of items, events, sessions or cases; those are numbered by int32."""
Whole = Annotated[int, NUMBER, Field(ge=0, le=2**31 - 1)]
"""The same, or none."""
Width = Annotated[int, NUMBER, Field(ge=1, le=2**16)]
"""Of a layer or a vector."""
Depth = Annotated[int, NUMBER, Field(ge=1, le=100)]
"""How many layers."""
Batch = Annotated[int, NUMBER, Field(ge=1, le=2**20)]
Epochs = Annotated[int, NUMBER, Field(ge=1, le=100_000)]
Processes = Annotated[int, NUMBER, Field(ge=1, le=1024)]
"""Or threads."""
Rate = Annotated[float, NUMBER, Field(gt=0, le=3e38)]
"""By which a step of training is multiplied, as far as float32 has it."""
Share = Annotated[float, NUMBER, Field(ge=0, le=1)]
Fraction = Annotated[float, NUMBER, Field(ge=0, lt=1)]
"""A share that is not all."""
Weight = Annotated[float, NUMBER, Field(ge=0, le=1e6, allow_inf_nan=False)]
Exponent = Annotated[float, NUMBER, Field(ge=0, le=10, allow_inf_nan=False)]
"""Of a popularity, which may be in the millions."""
Label = Annotated[str, AfterValidator(_is_a_label)]
"""A name in tables and figures; in the name of a file it is a `studylib.paths.slug`."""
Duration = Annotated[str, BeforeValidator(_is_a_duration)]
"""A length of time, `seconds` long."""
Zone = Annotated[str, AfterValidator(_is_a_zone)]
"""A time zone by its name, such as Europe/Berlin."""
FilePath = Annotated[str, AfterValidator(_is_a_path)]

MOST_TRAININGS = 100_000
"""Cells of a grid, or trainings of a ranking, at most: a year on two cores has no more."""
