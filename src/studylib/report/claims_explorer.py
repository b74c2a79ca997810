"""The figure in which a reader filters the claims and opens them: its data, for ``claims_explorer.js`` to draw."""

from __future__ import annotations

import math

import pandas as pd

from studylib.evaluation.claims import FAMILY_WISE, NOT_TESTED, TOLEDO, UNDECIDED, VERDICTS, Part
from studylib.figures import VERDICTS as COLOURS, spanned
from studylib.paths import slug
from studylib.report.embedded import box, rounded
from studylib.tables.formats import p_value
from studylib.tables.names import written_words
from studylib.text import visible


def claims_explorer(claims: pd.DataFrame) -> str:
    """HTML for the ``live`` of `studylib.notebook.Study.show`.

    Args:
        claims: of `papers.results.claims` and `claims_about_time`.
    """
    groups = [
        {
            "paper": paper,
            "unit": unit,
            "axis": [rounded(end) for end in spanned(rows)] if rows["measured"].notna().any() else None,
            "claims": [_claim(claim) for claim in rows.to_dict("records")],
        }
        for (paper, unit), rows in claims.groupby(["paper", "unit"], sort=False)
    ]
    present = [verdict for verdict in VERDICTS if (claims["verdict"] == verdict).any()]
    colours = [[verdict, COLOURS.get(verdict, COLOURS[UNDECIDED])] for verdict in present]
    return box("claims-explorer", {"groups": groups, "verdicts": colours, "undecisive": NOT_TESTED})


def _claim(claim: dict) -> dict:
    """What the figure and the card say of a claim. What is none is left out."""
    own = written_words if claim["paper"] == TOLEDO else str  # the parts of the other paper have labels of the ranking
    without = {part.name: part for part in claim["parts_without_collapsed"] or []}
    beside = [_numbers(without.get(part.name)) for part in claim["parts"]] if without else None
    facts = {
        "words": visible(claim["claim"]),
        "row": f"claim-{slug(claim['claim'])}",
        "where": claim["where"],
        "verdict": claim["verdict"],
        "measured": _numbers(Part("", claim["measured"], claim["low"], claim["high"])),
        "holds": [[rounded(end) for end in ends] for ends in claim["holds"]],
        "parts": [[visible(own(part.name)), *(_numbers(part) or [])] for part in claim["parts"]],
        "beside": beside,
        "test": visible(own(claim["test"])),
        "rule": claim["rule"],
        "n": int(claim["n"]),
        "p": None if pd.isna(claim["p"]) else p_value(claim["p"], least=0.0),
        "corrected": claim[FAMILY_WISE],
        "without": claim["verdict_without_collapsed"],
        "with": claim["verdict_with_collapsed"],
        "on test cases": claim.get("verdict_on_test_cases"),
        "source": visible(claim["source"]),
        "figure": claim["figure"],
    }
    return {key: value for key, value in facts.items() if not _is_none(value)}


def _numbers(part: Part | None) -> list[float | None] | None:
    """Value and interval; None where nothing was measured."""
    return None if part is None or math.isnan(part.measured) else [rounded(number) for number in part[1:]]


def _is_none(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
