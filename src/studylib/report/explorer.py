"""The map of the grid, in which a reader picks cells: its data, for `report/assets/explorer.js` to draw."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from studylib.evaluation.statistics import bootstrap_sums, drawn_together, interval
from studylib.figures import colours
from studylib.grid import KEYS
from studylib.report.embedded import box, rounded
from studylib.tables.grid import case_hits
from studylib.tables.names import written


def explorer(cells: pd.DataFrame, selected: pd.Series, baselines: pd.DataFrame) -> str:
    """HTML for the ``live`` of `studylib.notebook.Study.show`; without the script of the page nothing of it is seen.

    Accuracies are kept with five digits and losses with four, which is more than a drawing shows.

    Args:
        cells: of `grid.run_grid`, those that failed too.
        selected: the cell to begin with.
        baselines: their measures (`tables.grid.baseline_measures`).
    """
    levels = {key: list(dict.fromkeys(cells[key].tolist())) for key in KEYS}
    by_settings = {tuple(cell[key] for key in KEYS): cell for _, cell in cells.iterrows()}
    intervals = _intervals(cells)
    curves: dict[tuple, list] = {}
    packed = []
    for settings in itertools.product(*levels.values()):
        cell = by_settings[settings]
        training = tuple(value for key, value in zip(KEYS, settings, strict=True) if key != "epochs")
        curves[training] = max(curves.get(training, []), cell["curve"], key=len)
        packed.append(
            {
                "accuracy": [rounded(value) for value in (cell["accuracy"], *intervals[cell.name])],
                "cases": len(cell["above"]),
                "curve": list(curves).index(training),
                **({} if cell["status"] == "ok" else {"trouble": f"{cell['status']} ({cell['reason']})"}),
            }
        )
    data = {
        "factors": [[key.replace("_", " "), [_shown(value) for value in values]] for key, values in levels.items()],
        "start": [levels[key].index(selected[key]) for key in KEYS],
        "cells": packed,
        "curves": [[rounded(loss, significant=4) for loss in curve] for curve in curves.values()],
        "baselines": {_shown(name): rounded(value) for name, value in baselines["accuracy"].items()},
        "colours": {_shown(name): colour for name, colour in colours(levels["architecture"]).items()},
    }
    return box("explorer", data)


def _shown(level: str | int) -> str | int:
    return written(level) if isinstance(level, str) else level


def _intervals(cells: pd.DataFrame) -> pd.DataFrame:
    """The 95 % interval of each cell's accuracy over its test cases: a column a cell."""
    bounds: dict = {}
    for _, trained in cells[cells["status"] != "failed"].groupby("split"):
        sums, sizes = zip(*(drawn_together(case_hits(cell)[:, None]) for _, cell in trained.iterrows()), strict=True)
        low, high = interval(bootstrap_sums(np.hstack(sums), sizes[0]))
        bounds |= dict(zip(trained.index, zip(low, high, strict=True), strict=True))
    return pd.DataFrame(bounds).reindex(columns=cells.index)
