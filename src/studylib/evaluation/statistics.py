"""Intervals, paired tests and shares of variance: how sure a comparison is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests


def bootstrap_means(
    values: np.ndarray, resamples: int = 2000, seed: int | list[int] = 0, sessions: np.ndarray | None = None
) -> np.ndarray:
    """Means of the columns over cases drawn again with replacement; the columns share the draws.

    The draws are the weights of a multinomial over the cases, in blocks, so that one matrix product serves all columns.

    Args:
        values: float (n_cases, n_columns).
        sessions: int (n_cases,), the session of each case: those of one are alike and are drawn together. None: each case is
            of a session of its own.

    Returns:
        float64 (resamples, n_columns).
    """
    random = np.random.default_rng(seed)
    values, sizes = _sums(values, sessions)
    n_cases = len(values)
    block = max(1, 4_000_000 // n_cases)
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = random.integers(0, n_cases, (size, n_cases)) + np.arange(size)[:, None] * n_cases
        weights = np.bincount(drawn.ravel(), minlength=size * n_cases).reshape(size, n_cases)
        means[start : start + size] = weights @ values / (weights @ sizes)[:, None]
    return means


def _sums(values: np.ndarray, sessions: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The sums of the cases of each session, float (n_sessions, n_columns), and how many they are, int (n_sessions,)."""
    if sessions is None:
        return values, np.ones(len(values), np.int64)
    order = np.argsort(sessions, kind="stable")
    begins = np.flatnonzero(np.diff(sessions[order], prepend=-1))
    return np.add.reduceat(values[order], begins), np.diff(begins, append=len(order))


def bootstrap_seeds(values: list[np.ndarray], shared: bool = False, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Means over seeds and cases that are both drawn again: seeds with replacement, then the cases of each.

    With one seed the cases alone are drawn, as `bootstrap_means` does. The spread between seeds holds that of their cases
    already, so that with several the intervals are rather too wide than too narrow.

    Args:
        values: for each seed float (n_cases, n_columns).
        shared: all seeds have the same cases, so a draw of cases is the same for all.

    Returns:
        float64 (resamples, n_columns).
    """
    places = range(len(values))
    drawn = np.random.default_rng([seed, len(values)]).integers(0, len(values), (len(values), resamples))
    total = 0.0
    for place in places:
        cases = [[seed] if shared or len(values) == 1 else [seed, place, own] for own in places]
        means = np.stack([bootstrap_means(v, resamples, c) for v, c in zip(values, cases, strict=True)])
        total = total + means[drawn[place], np.arange(resamples)]
    return total / len(values)


def two_sided_p(means: np.ndarray) -> float:
    """The p value, that there is no difference, from resampled means (resamples,) of one; it agrees with their interval."""
    beyond = min(np.sum(means <= 0), np.sum(means >= 0))
    return float(min(1.0, 2 * (1 + beyond) / (len(means) + 1)))


def detectable_difference(difference: np.ndarray, power: float = 0.8, level: float = 0.05) -> float:
    """The smallest true mean that a paired test of as many cases finds with a probability of ``power``.

    (z(1 - level / 2) + z(power)) standard errors, of one comparison without correction for others.

    Args:
        difference: float (n_cases,), the paired differences; their spread is what counts.
    """
    error = np.std(difference, ddof=1) / np.sqrt(len(difference))
    return float((norm.ppf(1 - level / 2) + norm.ppf(power)) * error)


def interval(means: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of resampled means: (low, high), each (n_columns,)."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def variance_shares(cells: pd.DataFrame, measure: str, factors: list[str]) -> pd.DataFrame:
    """How much of the variance of a measure over the cells each factor explains, alone and together with another.

    Type II sums of squares of the main effects and two-way interactions over the total; for a grid in which every
    combination occurs they add up to 1 with the rest. It describes the cells and tests nothing: cells of one training
    are not independent. (statsmodels' `anova_lm` also tests, for which it divides by the degrees of freedom of the rest: a
    grid of one cell a combination of two factors has none.)

    Returns:
        Columns ``effect`` (a factor, two factors joined by `` × ``, or ``rest``) and ``share``, the largest first.
    """
    varying = [(factor,) for factor in factors if cells[factor].nunique() > 1]
    pairs = [first + second for first, second in itertools.combinations(varying, 2)]
    values = cells[measure].to_numpy(float)
    total = float(((values - values.mean()) ** 2).sum())
    if not varying or total == 0:
        return pd.DataFrame({"effect": ["rest"], "share": [1.0]})
    columns = {
        effect: pd.get_dummies(cells[list(effect)].astype(str).agg("|".join, axis=1)).to_numpy(float)
        for effect in varying + pairs
    }

    def unexplained(effects: list) -> float:
        design = np.column_stack([np.ones(len(values)), *(columns[effect] for effect in effects)])
        fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
        return float(((values - fitted) ** 2).sum())

    squares = {}
    for effects in (varying, pairs):
        model = varying if effects is varying else varying + pairs
        for effect in effects:
            squares[" × ".join(effect)] = unexplained([e for e in model if e != effect]) - unexplained(model)
    squares["rest"] = unexplained(varying + pairs)
    shares = pd.DataFrame({"effect": squares.keys(), "share": np.maximum(list(squares.values()), 0.0) / total})
    return shares.sort_values("share", ascending=False, ignore_index=True, kind="stable")


@dataclass(frozen=True)
class Difference:
    """A paired difference of two means over the same cases.

    Attributes:
        mean, low, high: with its 95 % bootstrap interval.
        p: of the sign-flip permutation test that there is no difference; to be corrected for how many are made.
        equivalent: whether the 90 % interval is within the margin, which is the equivalence test (two one-sided tests) at 5 %.
    """

    mean: float
    low: float
    high: float
    p: float
    equivalent: bool


def paired_difference(
    first: np.ndarray, second: np.ndarray, margin: float, resamples: int = 2000, seed: int = 0
) -> Difference:
    """Compare two models case by case.

    Args:
        first, second: float (n_cases,), a measure of each case.
        margin: differences smaller than this are of no interest.
    """
    return paired_differences(np.column_stack([first, second]), [(0, 1)], margin, resamples, seed)[0]


def paired_differences(
    values: np.ndarray,
    pairs: list[tuple[int, int]],
    margin: float,
    resamples: int = 2000,
    seed: int = 0,
    sessions: np.ndarray | None = None,
) -> list[Difference]:
    """Compare models case by case, all pairs with the same draws and the same signs.

    Args:
        values: float (n_cases, n_columns), a measure of each case.
        pairs: the columns to be compared, the first of a pair less the second.
        margin: differences smaller than this are of no interest.
        sessions: as for `bootstrap_means`; the signs of the cases of one are flipped together.
    """
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    mean, n_cases = values.mean(0), len(values)
    difference = mean[first] - mean[second]
    means = bootstrap_means(values, resamples, seed, sessions)
    sums, _ = _sums(values, sessions)
    low, high = interval(means[:, first] - means[:, second])
    inner_low, inner_high = interval(means[:, first] - means[:, second], 0.9)
    random, block = np.random.default_rng(seed), max(1, 4_000_000 // len(sums))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    signs = (2.0 * random.integers(0, 2, (size, len(sums)), np.int8) - 1 for size in sizes)
    flipped = np.concatenate([some @ sums for some in signs]) / n_cases
    flipped = flipped[:, first] - flipped[:, second]  # flipping a difference is flipping both of its terms
    p = (1 + np.sum(np.abs(flipped) >= np.abs(difference) - 1e-12, axis=0)) / (resamples + 1)
    equivalent = (-margin < inner_low) & (inner_high < margin)
    return [
        Difference(*map(float, numbers), bool(same))
        for *numbers, same in zip(difference, low, high, p, equivalent, strict=True)
    ]


def holm(p_values: list[float]) -> list[float]:
    """P values corrected for how many there are (Holm 1979)."""
    return multipletests(p_values, method="holm")[1].tolist()
