"""Intervals: how far a mean over cases could be from what more such cases would give."""

from __future__ import annotations

import numpy as np


def bootstrap_means(values: np.ndarray, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Means of the columns over cases drawn again with replacement; the columns share the draws.

    The draws are the weights of a multinomial over the cases, in blocks, so that one matrix product serves all columns.

    Args:
        values: float (n_cases, n_columns).

    Returns:
        float64 (resamples, n_columns).
    """
    random = np.random.default_rng(seed)
    n_cases = len(values)
    block = max(1, 4_000_000 // n_cases)
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = random.integers(0, n_cases, (size, n_cases)) + np.arange(size)[:, None] * n_cases
        weights = np.bincount(drawn.ravel(), minlength=size * n_cases).reshape(size, n_cases)
        means[start : start + size] = weights @ values / n_cases
    return means


def interval(means: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of resampled means: (low, high), each (n_columns,)."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
