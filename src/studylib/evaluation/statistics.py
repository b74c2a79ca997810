"""Bootstrap confidence intervals, paired tests, equivalence tests and shares of variance."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import comb
from scipy.stats import norm

MOST_DRAWN = 4000
"""More sessions than these are resampled in as many runs of neighbours: the standard error is known to a hundredth from them, and
what neighbours have in common (the day of a log that drifts) counts as it should."""


def bootstrap_means(
    values: np.ndarray, resamples: int = 2000, seed: int | list[int] = 0, sessions: np.ndarray | None = None
) -> np.ndarray:
    """Means of the columns over cases resampled with replacement; the columns share the resamples.

    Args:
        values: float (n_cases, n_columns).
        sessions: int (n_cases,), the session of each case: cases of one session are dependent and are resampled together
            (cluster bootstrap). None: each case is a session.

    Returns:
        float64 (resamples, n_columns).
    """
    return bootstrap_sums(*drawn_together(values, sessions), resamples, seed)


def bootstrap_sums(sums: np.ndarray, sizes: np.ndarray, resamples: int = 2000, seed: int | list[int] = 0) -> np.ndarray:
    """`bootstrap_means` from what is drawn together: of `drawn_together`.

    A resample is a row of multinomial weights, so that one matrix product serves all columns of a block.
    """
    means = np.empty((resamples, sums.shape[1]))
    for rows, weights in _weights(len(sums), resamples, seed if isinstance(seed, int) else tuple(seed)):
        weights = weights.astype(np.float64)
        means[rows] = weights @ sums / (weights @ sizes)[:, None]
    return means


@functools.lru_cache(maxsize=4)
def _weights(n: int, resamples: int, seed: int | tuple[int, ...]) -> list[tuple[slice, np.ndarray]]:
    """How often each of ``n`` is drawn by each resample, in blocks: their rows, and int (n_rows, n). Many tables draw alike."""
    random = np.random.default_rng(seed)
    weights = []
    for rows in _blocks(n, resamples):
        size = rows.stop - rows.start
        drawn = random.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        weights.append((rows, counts.astype(np.min_scalar_type(n))))
    return weights


@functools.lru_cache(maxsize=4)
def _signs(n: int, resamples: int, seed: int) -> list[np.ndarray]:
    """Plus or minus one for each of ``n`` in each resample, in blocks: int8 (n_rows, n)."""
    random = np.random.default_rng(seed)
    sizes = [rows.stop - rows.start for rows in _blocks(n, resamples)]
    return [2 * random.integers(0, 2, (size, n), np.int8) - 1 for size in sizes]


def _blocks(n: int, resamples: int) -> list[slice]:
    """The rows of an array of ``n`` columns in parts that fit into memory."""
    block = max(1, 4_000_000 // n)
    return [slice(start, min(start + block, resamples)) for start in range(0, resamples, block)]


def drawn_together(values: np.ndarray, sessions: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The sums over the cases that are resampled together, float (n, n_columns), and their numbers, int (n,).

    ``values``, ``sessions``: as for `bootstrap_means`; at most `MOST_DRAWN` rows come of them.
    """
    sizes = np.ones(len(values), np.int64)
    if sessions is not None:
        order = np.argsort(sessions, kind="stable")
        begins = np.flatnonzero(np.diff(sessions[order], prepend=-1))
        values, sizes = np.add.reduceat(values[order], begins), np.diff(begins, append=len(order))
    if len(values) > MOST_DRAWN:
        begins = np.arange(MOST_DRAWN) * len(values) // MOST_DRAWN
        values, sizes = np.add.reduceat(values, begins), np.add.reduceat(sizes, begins)
    return values, sizes


def bootstrap_seeds(
    values: list[np.ndarray],
    shared: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    sessions: np.ndarray | None = None,
) -> np.ndarray:
    """Means over seeds and cases, both resampled: seeds with replacement, then the cases of each.

    With one seed only its cases are resampled, as in `bootstrap_means`. The variance between seeds contains that of their
    cases already, so that with several seeds the intervals are conservative (rather too wide than too narrow).

    Args:
        values: for each seed, float (n_cases, n_columns).
        shared: all seeds have the same cases, so that they share a resample of cases.
        sessions: as for `bootstrap_means`, of cases that all seeds share.

    Returns:
        float64 (resamples, n_columns).
    """
    places = range(len(values))
    drawn = np.random.default_rng([seed, len(values)]).integers(0, len(values), (len(values), resamples))
    alike = shared or len(values) == 1

    def of_seeds(place: int) -> list[np.ndarray]:
        if alike:
            return np.hsplit(bootstrap_means(np.hstack(values), resamples, [seed], sessions), len(values))
        return [bootstrap_means(v, resamples, [seed, place, other], sessions) for other, v in enumerate(values)]

    total = np.zeros((resamples, values[0].shape[1]))
    means = of_seeds(0)
    for place in places:
        means = means if alike or place == 0 else of_seeds(place)
        total = total + np.stack(means)[drawn[place], np.arange(resamples)]
    return total / len(values)


def expected_best(values: list[float]) -> np.ndarray:
    """float64 (n,): the expected highest of 1, 2, ... n values drawn from these without putting them back.

    What a search of so many trials would have reached (Dodge et al. 2019, Show Your Work, who put them back).
    """
    n = len(values)
    ascending, drawn = np.sort(values), np.arange(1, n + 1)
    # The i-th smallest is the highest of k drawn with probability C(i - 1, k - 1) / C(n, k).
    chance = comb(drawn[None, :] - 1, drawn[:, None] - 1) / comb(n, drawn)[:, None]
    return chance @ ascending


def two_sided_p(means: np.ndarray) -> float:
    """The bootstrap p value of no difference, from resampled means of a difference, (resamples,); agrees with `interval`."""
    beyond = min(np.sum(means <= 0), np.sum(means >= 0))
    return float(min(1.0, 2 * (1 + beyond) / (len(means) + 1)))


def least_two_sided_p(resamples: int) -> float:
    """What `two_sided_p` is where all of so many draws are on one side: an upper bound of p, and no more than that."""
    return 2 / (resamples + 1)


def detectable_difference(
    difference: np.ndarray, power: float = 0.8, level: float = 0.05, sizes: np.ndarray | None = None
) -> float:
    """The minimal detectable difference: the smallest true mean that a paired test of as many cases finds with this power.

    (z(1 - level / 2) + z(power)) standard errors, for a single comparison, without correction for multiple comparisons.

    Args:
        difference: float (n_cases,), the paired differences, of which only the standard deviation matters.
        sizes: as of `paired_difference`; the differences are then sums.
    """
    sizes = np.ones(len(difference)) if sizes is None else sizes
    away = difference - sizes * (difference.sum() / sizes.sum())
    error = np.sqrt((away**2).sum() * len(away) / (len(away) - 1)) / sizes.sum()
    return float((norm.ppf(1 - level / 2) + norm.ppf(power)) * error)


def interval(means: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The percentile confidence interval of resampled means (resamples, n_columns): (low, high), each (n_columns,)."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def variance_shares(cells: pd.DataFrame, measure: str, factors: list[str]) -> pd.DataFrame:
    """The shares of the variance of a measure over the cells that main effects and two-way interactions explain.

    Type II sums of squares over the total sum of squares; in a full factorial grid they and the residual add up to 1. The
    shares are descriptive, not a test: cells of one training are not independent. (statsmodels' `anova_lm` also tests, for
    which it divides by the residual degrees of freedom: a grid of two factors with one cell per combination has none.)

    Args:
        cells: one row per cell, with a column for the measure and for each factor.
        measure, factors: names of columns.

    Returns:
        Columns ``effect`` (a factor, two factors joined by `` × ``, or ``rest``: the residual) and ``share``, largest first.
    """
    varying: list[tuple[str, ...]] = [(factor,) for factor in factors if cells[factor].nunique() > 1]
    pairs = [first + second for first, second in itertools.combinations(varying, 2)]
    values = cells[measure].to_numpy(float)
    total = float(((values - values.mean()) ** 2).sum())
    if not varying or total == 0:
        return pd.DataFrame({"effect": ["rest"], "share": [1.0]})
    # The columns of a design are indicators: its normal equations have whole numbers, and their zero eigenvalues, of columns that
    # others add up to, are clear.
    levels = [cells.groupby(list(effect), sort=False).ngroup().to_numpy() for effect in varying + pairs]
    design = np.column_stack([np.ones(len(values)), *(np.eye(level.max() + 1)[level] for level in levels)])
    ends = np.cumsum([1, *(level.max() + 1 for level in levels)])
    columns = {effect: np.arange(*ends[n : n + 2]) for n, effect in enumerate(varying + pairs)}
    products, with_values = design.T @ design, design.T @ (values - values.mean())

    def unexplained(effects: list) -> float:
        chosen = np.concatenate([[0], *(columns[effect] for effect in effects)])
        inverse = np.linalg.pinv(products[np.ix_(chosen, chosen)], rcond=1e-10, hermitian=True)
        return total - float(with_values[chosen] @ inverse @ with_values[chosen])

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
        mean, low, high: the mean difference and its 95 % bootstrap confidence interval.
        p: of the sign-flip permutation test of no difference; not corrected for multiple comparisons.
        least_p: what ``p`` is where no permutation is as far from zero: an upper bound.
        equivalent: whether the 95 % interval lies within the margin: two one-sided tests (TOST) at 2.5 % each.
    """

    mean: float
    low: float
    high: float
    p: float
    least_p: float
    equivalent: bool


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    margin: float,
    resamples: int = 2000,
    seed: int = 0,
    sizes: np.ndarray | None = None,
) -> Difference:
    """Compare two models case by case.

    Args:
        first, second: float (n_cases,), a measure of each case; with ``sizes`` float (n,), its sum over cases that are drawn
            together.
        margin: of equivalence, in units of the measure.
        sizes: int (n,), how many cases each sum is of. None: at most `MOST_DRAWN` sums of neighbours are drawn.
    """
    sums = (first - second)[:, None]
    sums, sizes = drawn_together(sums) if sizes is None else (sums, sizes)
    mean = float(sums.sum() / sizes.sum())
    low, high = (float(bound[0]) for bound in interval(bootstrap_sums(sums, sizes, resamples, seed)))
    signs = _signs(len(sums), resamples, seed)
    flipped = np.concatenate([of_block.astype(np.float64) @ sums[:, 0] for of_block in signs]) / sizes.sum()
    least = 1 / (resamples + 1)
    p = float(least * (1 + np.sum(np.abs(flipped) >= abs(mean) - 1e-12)))
    return Difference(mean, low, high, p, least, -margin < low and high < margin)


def holm(p_values: list[float]) -> list[float]:
    """P values corrected for multiple comparisons (Holm 1979), in their order."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected.tolist()
