"""How a figure that a reader can work with brings its data into the page: as JSON, for a script in `report/assets` to draw."""

from __future__ import annotations

import json
import math


def box(name: str, data: dict) -> str:
    """HTML for the ``live`` of `studylib.notebook.Study.show`; without the script of the page nothing of it is seen.

    Args:
        name: the class by which the script knows it.
        data: what JSON can say; nothing in it can end the element.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<div class="live {name}" hidden><script type="application/json">{text}</script></div>'


def rounded(value: float, digits: int = 5, significant: int | None = None) -> float | None:
    """A number with the digits that a drawing needs; None (which JSON knows) for what is none."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{significant}g}") if significant else round(float(value), digits)
