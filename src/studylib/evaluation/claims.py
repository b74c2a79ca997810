"""How a claim of a paper becomes a row of ``claims.csv``: parts with intervals, and a rule that judges them.

A claim has one part or several: that softmax is the best activation is that it is above each of the others. The intervals of the
parts are simultaneous ones (max-|t|), so that a claim of many parts is no easier to refute by chance than one of a single part.
What is measured for each claim is in `studylib.papers.toledo_rezende` and `studylib.papers.shrimal_patil`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from studylib.evaluation.statistics import holm

COLUMNS = [
    "paper",
    "claim",
    "where",
    "measured",
    "low",
    "high",
    "n",
    "test",
    "rule",
    "p",
    "verdict",
    "figure",
    "source",
]
"""The columns of ``claims.csv``; ``p`` is that of the verdict (`p_of`), ``figure`` a name as in `studylib.notebook.Study.show`
or empty, ``source`` the table of the study from which the number is made, with its rows. Then come those of `WITHOUT_COLLAPSED`,
and `FAMILY_WISE`."""

WITHOUT_COLLAPSED = [
    *[f"{column}_without_collapsed" for column in ("measured", "low", "high", "verdict")],
    "verdict_with_collapsed",
]
"""The same without the networks that put one item first for everyone, for claims about means over cells; empty for others. The
last is the verdict over all cells where it is another one, for the claim is undecided then."""

FAMILY_WISE = "verdict_family_wise"
"""The verdict after a correction for the number of claims of its paper (`family_wise`)."""

DETAILS = ["unit", "holds", "parts", "parts_without_collapsed"]
"""What else a row has for ``claim_parts.csv`` and the figure of the claims: one of `UNITS`, `Rule.holds`, all parts, and those
without the collapsed cells (None where the claim is not about means over cells)."""

DIFFERENCE, SCENARIOS, RELATIVE, VALUE = UNITS = (
    "difference of a measure", "share of the scenarios", "relative difference", "value of a metric",
)  # fmt: skip
"""What the numbers of a claim are; those of one unit can be drawn on one axis."""

TOLEDO, SHRIMAL = "Toledo & Rezende 2020", "Shrimal & Patil 2024"
REPRODUCED, REACHABLE, CONTRADICTED, UNDECIDED = "reproduced", "reachable", "contradicted", "undecided"
"""Verdicts: what is claimed holds in the paper's own setting; it holds with other settings than the paper's; it does not hold;
the intervals leave it open."""
NOT_TESTED = "not tested"
"""The verdict on a claim about data that the study does not have, whatever other data show; its ``test`` has the command that
runs it."""
VERDICTS = [REPRODUCED, REACHABLE, UNDECIDED, CONTRADICTED, NOT_TESTED]
NO_CELLS = "no cells left"
"""The verdict without collapsed cells where no other cell has the levels that a claim is about."""


class Part(NamedTuple):
    """One of the numbers that a claim is about, with its interval."""

    name: str
    measured: float
    low: float
    high: float


@dataclass(frozen=True)
class Rule:
    """What verdict follows from the intervals of the parts.

    Attributes:
        words: the rule as it stands beside the verdict.
        side: of an interval (low, high): 1 where it speaks for the claim, -1 where it speaks against it, else 0.
        favour: how much a measured value speaks for the claim; it orders the parts of one side.
        holds: the ranges of values (one or two) in which an interval that speaks for the claim lies.
        of_all: whether the claim is about all parts, so that one refutes it, or about any, so that one proves it.
    """

    words: str
    side: Callable[[float, float], int]
    favour: Callable[[float], float]
    holds: tuple[tuple[float, float], ...]
    of_all: bool = True

    def judge(self, parts: list[Part]) -> tuple[str, Part]:
        """The verdict, and the part that decides it: the least favourable one, or for a claim about any part the most."""
        sign = 1 if self.of_all else -1
        decisive = min(parts, key=lambda p: (sign * self.side(p.low, p.high), sign * self.favour(p.measured)))
        verdict = {1: REPRODUCED, -1: CONTRADICTED, 0: UNDECIDED}[self.side(decisive.low, decisive.high)]
        return verdict, decisive


def above(bound: float = 0.0) -> Rule:
    """Every part is above the bound."""
    words = f"holds where every interval is above {bound:.3g}; does not hold where one is below"
    holds = ((bound, math.inf),)
    return Rule(words, lambda low, high: 1 if low > bound else -1 if high < bound else 0, lambda value: value, holds)


def inside(lowest: float, highest: float) -> Rule:
    """Every part is between the two: an equivalence test, as `studylib.tables.grid` has it."""
    words = f"holds where every interval is within {lowest:.3g} and {highest:.3g}; does not hold where one is wholly outside"
    middle = (lowest + highest) / 2
    holds = ((lowest, highest),)
    return Rule(words, lambda low, high: _within(low, high, lowest, highest), lambda value: -abs(value - middle), holds)


def outside(lowest: float, highest: float) -> Rule:
    """At least one part is not between the two."""
    words = f"holds where one interval is wholly outside {lowest:.3g} and {highest:.3g}; does not hold where every one is within"
    middle = (lowest + highest) / 2
    return Rule(
        words,
        lambda low, high: -_within(low, high, lowest, highest),
        lambda value: abs(value - middle),
        ((-math.inf, lowest), (highest, math.inf)),
        of_all=False,
    )


def _within(low: float, high: float, lowest: float, highest: float) -> int:
    return 1 if lowest <= low and high <= highest else -1 if high < lowest or low > highest else 0


NEVER = Rule(
    "holds where no interval reaches above 0; does not hold where one is above 0",
    lambda low, high: 1 if high <= 0 else -1 if low > 0 else 0,
    lambda value: -value,
    ((-math.inf, 0.0),),
)
SOMEWHERE = Rule(
    "holds where one interval is above 0; does not hold where none reaches above 0",
    lambda low, high: 1 if low > 0 else -1 if high <= 0 else 0,
    lambda value: value,
    ((0.0, math.inf),),
    of_all=False,
)


def simultaneous_intervals(observed: dict[str, float], draws: dict[str, np.ndarray], level: float = 0.95) -> list[Part]:
    """Simultaneous confidence intervals (max-|t|): with the probability ``level`` all of them cover.

    Each reaches as many standard errors to either side, which come from resampling, as the part that is furthest off stays
    within in 95 % of the draws (Romano & Wolf 2005). A part that no draw moves has an interval of no width.

    Args:
        observed: the value of each part; there may be none.
        draws: float (resamples,) of each part, all of the same draws.
    """
    if not observed:
        return []
    values, resampled = np.array(list(observed.values())), np.column_stack(list(draws.values()))
    error = resampled.std(0)
    error[error < 1e-12] = 0.0  # sums in another order, not another value
    off = np.abs(resampled - values)[:, error > 0] / error[error > 0]
    reach = np.quantile(off.max(1), level) * error if off.size else error
    numbers = zip(observed, values, values - reach, values + reach, strict=True)
    return [Part(name, *(round(float(number), 12) for number in triple)) for name, *triple in numbers]


def p_of(rule: Rule, parts: list[Part]) -> float:
    """The p-value of a verdict: how small the level may be made before the claim is left open, and with it the verdict.

    Intervals of another level are wider by the ratio of its normal quantile to that of 95 %. For claims of several parts, whose
    intervals are simultaneous ones, the p-value is rather too large than too small.
    """

    def decides(width: float) -> bool:
        widened = [p._replace(low=p.measured - width * (p.measured - p.low),
                              high=p.measured + width * (p.high - p.measured)) for p in parts]  # fmt: skip
        return rule.judge(widened)[0] != UNDECIDED

    least, most = 0.0, 20.0
    if decides(most):
        return 0.0
    for _ in range(40):
        middle = (least + most) / 2
        least, most = (middle, most) if decides(middle) else (least, middle)
    return round(float(2 * norm.sf(norm.isf(0.025) * least)), 9)


def parts_of(claims: pd.DataFrame) -> pd.DataFrame:
    """Every part of every claim, as in ``claim_parts.csv``.

    Args:
        claims: columns ``paper, claim`` and `DETAILS`.

    Returns:
        Columns ``paper, claim, part, unit, measured, low, high``, and the last three without the collapsed cells.
    """
    numbers = ["measured", "low", "high"]
    rows = []
    for claim in claims.to_dict("records"):
        without = {part.name: part for part in claim["parts_without_collapsed"] or []}
        for part in claim["parts"]:
            beside = without.get(part.name, Part(part.name, *[math.nan] * 3))
            rows.append((claim["paper"], claim["claim"], part.name, claim["unit"], *part[1:], *beside[1:]))
    columns = ["paper", "claim", "part", "unit", *numbers, *(f"{name}_without_collapsed" for name in numbers)]
    return pd.DataFrame(rows, columns=columns)


def family_wise(claims: pd.DataFrame) -> list[str]:
    """The verdicts that stay after a correction for the number of claims of each paper that could be tested (Holm, 5 %).

    Args:
        claims: columns ``paper, p, verdict``.
    """
    verdicts = claims["verdict"].copy()
    for _, tested in claims[claims["verdict"] != NOT_TESTED].groupby("paper"):
        corrected = np.array(holm(tested["p"].tolist()))
        verdicts[tested.index[corrected >= 0.05]] = UNDECIDED
    return verdicts.tolist()


def row(
    paper: str,
    claim: str,
    where: str,
    parts: list[Part],
    n: int,
    test: str,
    rule: Rule,
    figure: str,
    parts_without_collapsed: list[Part] | None = None,
    own_setting: bool = True,
    source: str = "",
    unit: str = DIFFERENCE,
) -> dict[str, object]:
    """A row of ``claims.csv``: the part that decides, and the verdict; and its `DETAILS`.

    A claim about means over cells is undecided where its verdict without the collapsed cells is another one.

    Args:
        parts_without_collapsed: the same parts without the collapsed cells; an empty list where no cell is left, None where the
            claim is not about means over cells.
        own_setting: whether what was measured has the settings that the paper prints.
        unit: one of `UNITS`.
    """
    verdict, part = rule.judge(parts)
    if verdict == REPRODUCED and not own_setting:
        verdict = REACHABLE
    test += f"; {len(parts)} parts, the decisive one: {part.name}" if len(parts) > 1 else ""
    without = _without_collapsed(parts_without_collapsed, rule)
    if parts_without_collapsed and without["verdict_without_collapsed"] != verdict:
        without["verdict_with_collapsed"] = verdict
        test += f"; with all cells {verdict}, without the collapsed ones {without['verdict_without_collapsed']}"
        verdict = UNDECIDED
    p = p_of(rule, parts)
    values = (paper, claim, where, part.measured, part.low, part.high, n, test, rule.words, p, verdict, figure, source)
    details = (unit, rule.holds, parts, parts_without_collapsed)
    return dict(zip(COLUMNS, values, strict=True)) | without | dict(zip(DETAILS, details, strict=True))


def _without_collapsed(parts: list[Part] | None, rule: Rule) -> dict[str, object]:
    values: tuple = (*[float("nan")] * 3, None if parts is None else NO_CELLS, None)
    if parts:
        verdict, part = rule.judge(parts)
        values = (part.measured, part.low, part.high, verdict, None)
    return dict(zip(WITHOUT_COLLAPSED, values, strict=True))


def decides_nothing(found: dict[str, object], why: str) -> dict[str, object]:
    """A row of which what was measured stands there and decides nothing, with the reason."""
    return found | {"verdict": NOT_TESTED, "test": f"{found['test']}; {why}: {found['verdict']}"}


def not_tested(paper: str, claim: str, where: str, command: str) -> dict[str, object]:
    """The row of a claim about what the study does not have; ``command`` gets it."""
    nothing = float("nan")
    values = (paper, claim, where, nothing, nothing, nothing, 0, f"`{command}`", "", nothing, NOT_TESTED, "", "")
    nothing_else: dict[str, object] = dict(zip(DETAILS, (VALUE, (), [], None), strict=True))
    return dict(zip(COLUMNS, values, strict=True)) | _without_collapsed(None, NEVER) | nothing_else
