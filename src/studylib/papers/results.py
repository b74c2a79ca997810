"""What a study keeps, read in one go to be held against the papers, and the table of their claims. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from studylib.evaluation.claims import COLUMNS, DETAILS, FAMILY_WISE, WITHOUT_COLLAPSED, family_wise, parts_of
from studylib.grid import other_settings, read_grid, read_log, split_by_seed
from studylib.kept import FAILED
from studylib.papers.shrimal_patil import ranking_claims
from studylib.papers.toledo_rezende import grid_claims, time_claims
from studylib.params.study import StudyParams
from studylib.paths import times_of, write_table
from studylib.tables.formats import interval
from studylib.tables.grid import ON_LATER, on_later, seconds_an_epoch

LABELS = ["dataset", "model", "protocol", "metric", "higher", "lower"]
"""Columns of text in the tables of the ranking: a label that reads as a number, or as `nan`, is a text as well."""


@dataclass(frozen=True)
class Results:
    """What a study keeps.

    Attributes:
        params: of the study.
        cells: of `studylib.grid.read_grid`, without those that failed, on the cases that decide
            (`studylib.tables.grid.on_later`).
        on_test_cases: the same cells on the test cases of the paper's split; the same table where there are no others.
        other_settings: cells with the other optimizer settings (`studylib.grid.other_settings`); no rows where there are none.
        baselines: ``baselines.csv``: of `studylib.tables.grid.baseline_measures`.
        targets: by the checksum of each split of the cells, and for the later cases by `ON_LATER`: the item that truly came
            next in each case.
        measured: ``intervals.csv``.
        differences: ``pairs.csv``.
        order: ``order_sensitivity.csv``.
        scale: ``scale.csv``; no rows where there is none.
        ablation, steps: ``ablation.csv`` and ``ablation_intervals.csv``; no rows where there is none.
    """

    params: StudyParams
    cells: pd.DataFrame
    on_test_cases: pd.DataFrame
    other_settings: pd.DataFrame
    baselines: pd.DataFrame
    targets: dict[str, np.ndarray]
    measured: pd.DataFrame
    differences: pd.DataFrame
    order: pd.DataFrame
    scale: pd.DataFrame
    ablation: pd.DataFrame
    steps: pd.DataFrame


def read_results(params: StudyParams, folder: Path, path: Callable[[str, str], Path]) -> Results:
    """Read what notebooks 02 and 03 of a study have written.

    Args:
        folder: of the study.
        path: the path of a result, by its name and the notebook that writes it (`studylib.notebook.Study.result`).

    Raises:
        StudyError: something is not there yet, or damaged.
    """
    path("grid.csv", "02_grid_training")
    sessions, later = read_log(params.data, params.seed)

    def cells(grid):
        rows = read_grid(sessions, params.data, grid, params.execution, folder, later)
        return rows[rows["status"] != FAILED].reset_index(drop=True)

    def table(name: str, notebook: str = "03_ranking_evaluation") -> pd.DataFrame:
        return read_table(path(f"{name}.csv", notebook))

    targets = {
        split.checksum: split.test.targets for split in split_by_seed(sessions, params.data, params.grid).values()
    }
    if later is not None:
        targets[ON_LATER] = later.targets
    on_test_cases = cells(params.grid)
    decisive = on_later(on_test_cases)
    other = on_later(cells(other_settings(params.grid))) if params.grid.compare_settings else decisive.iloc[:0]
    return Results(
        params,
        cells=decisive,
        on_test_cases=on_test_cases,
        other_settings=other,
        baselines=table("baselines", "02_grid_training").set_index("architecture"),
        targets=targets,
        measured=table("intervals"),
        differences=table("pairs"),
        order=table("order_sensitivity"),
        scale=table("scale", "02_grid_training") if params.grid.scale else pd.DataFrame(),
        ablation=table("ablation") if params.ranking.ablation else pd.DataFrame(),
        steps=table("ablation_intervals") if params.ranking.ablation else table("intervals").iloc[:0],
    )


def read_table(path: Path) -> pd.DataFrame:
    """A table of the ranking, its `LABELS` as they were written."""
    numbers = pd.read_csv(path, nrows=0).columns.difference(LABELS)
    missing = {column: [""] for column in numbers}
    return pd.read_csv(path, dtype=dict.fromkeys(LABELS, str), keep_default_na=False, na_values=missing)


def claims(results: Results) -> pd.DataFrame:
    """The claims of both papers, as in ``claims.csv``: `COLUMNS`, `WITHOUT_COLLAPSED` and `FAMILY_WISE`; and their `DETAILS`.

    Where there are later cases, these decide; ``measured_on_test_cases`` and so on is what the paper's own split says.
    """
    rows = [
        *grid_claims(results.cells, results.targets),
        *ranking_claims(results.measured, results.differences, results.order, results.steps, results.params.ranking),
    ]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *WITHOUT_COLLAPSED, *DETAILS])
    table[FAMILY_WISE] = family_wise(table)
    if results.on_test_cases is results.cells:
        return table
    beside = pd.DataFrame(grid_claims(results.on_test_cases, results.targets), columns=COLUMNS)
    columns = {name: f"{name}_on_test_cases" for name in ("measured", "low", "high", "verdict")}
    return table.merge(beside.rename(columns=columns)[["claim", *columns.values()]], on="claim", how="left")


def claims_about_time(results: Results) -> pd.DataFrame:
    """Those about durations, which are not the same from run to run: as in ``claims_times.csv``, the columns of `claims`."""
    rows = time_claims(seconds_an_epoch(results.cells), results.params.execution.workers == 1)
    table = pd.DataFrame(rows, columns=[*COLUMNS, *WITHOUT_COLLAPSED, *DETAILS])
    return table.assign(**{FAMILY_WISE: family_wise(table)})


def to_csv(claims: pd.DataFrame, about_time: pd.DataFrame, path: Path) -> None:
    """Write ``claims.csv``, and beside it ``claim_parts.csv`` and ``claims_times.csv``."""
    write_table(path, claims.drop(columns=DETAILS))
    write_table(path.with_name("claim_parts.csv"), parts_of(claims))
    write_table(times_of(path), about_time.drop(columns=DETAILS))


def shown_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims as a reader sees them: both verdicts, each with what was measured and its interval."""

    def texts(suffix: str) -> list[str | None]:
        numbers = claims[[f"{column}{suffix}" for column in ("measured", "low", "high")]].to_numpy(float)
        digits = np.where(np.abs(numbers).max(axis=1) < 0.002, 5, 3)  # more for what would read as zero
        return [
            None if np.isnan(row[0]) else interval(row[0], row[1], row[2], int(d))
            for row, d in zip(numbers, digits, strict=True)
        ]

    both = {
        FAMILY_WISE: "verdict, family-wise",
        "verdict_without_collapsed": "verdict without collapsed cells",
        "measured_without_collapsed": "measured without them",
    }
    shown = claims.assign(measured=texts(""), measured_without_collapsed=texts("_without_collapsed"))
    if "verdict_on_test_cases" in claims:
        shown = shown.assign(measured_on_test_cases=texts("_on_test_cases"))
        both |= {"verdict_on_test_cases": "verdict on the test cases", "measured_on_test_cases": "measured on them"}
    shown = shown.rename(columns=both)
    return shown[
        ["claim", "verdict", "measured", *both.values(), "n", "figure", "source", "paper", "where", "test", "rule"]
    ]
