"""Precision, recall and F1 of next-item prediction seen as multi-class classification, beside accuracy.

Toledo & Rezende 2020 report the three without a definition. Two readings are computed: the macro average over items, of
the item predicted for each case; and the micro average of all outputs above one half, which is what the metrics of Keras
computed at that time.
"""

from __future__ import annotations

import numpy as np


def macro_average(targets: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1, each averaged over the items that occur as target or as prediction.

    An item that is never predicted has precision 0, one that is never a target recall 0, and F1 is 0 where both are.

    Args:
        targets, predicted: int (n_cases,), indices of items.
    """
    items, codes = np.unique(np.concatenate([targets, predicted]), return_inverse=True)
    target, guess = codes[: len(targets)], codes[len(targets) :]
    hits = np.bincount(target[target == guess], minlength=len(items))
    n_target = np.bincount(target, minlength=len(items))
    n_guess = np.bincount(guess, minlength=len(items))
    precision = hits / np.maximum(n_guess, 1)
    recall = hits / np.maximum(n_target, 1)
    f1 = 2 * hits / (n_target + n_guess)
    return {"precision": precision.mean(), "recall": recall.mean(), "f1": f1.mean()}


def case_shares(targets: np.ndarray, right: np.ndarray, guesses: np.ndarray) -> dict[str, np.ndarray]:
    """The contribution of each case to `macro_average`, times the number of cases, so that their means are its values.

    How often an item is a target or a prediction is held fixed. Resampling cases then moves the mean as it moves an
    accuracy; counting the items of each resample anew would leave fewer items to average over, which is another measure.

    Args:
        targets, right: int and bool (n_cases,), indices of items, and whether each is predicted.
        guesses: int (n_guessed, 2), each item that is predicted, and for how many cases.

    Returns:
        ``precision, recall, f1``, each float64 (n_cases,); zero for a case whose prediction is wrong.
    """
    guessed, counts = guesses.T
    n_items = len(np.union1d(targets, guessed))
    of_item = np.zeros(1 + max(targets.max(), guessed.max()), np.int64)
    of_item[guessed] = counts
    hits = right * (len(targets) / n_items)
    n_target, n_guess = np.bincount(targets)[targets], of_item[targets]
    return {
        "precision": hits / np.maximum(n_guess, 1),
        "recall": hits / n_target,
        "f1": 2 * hits / (n_target + n_guess),
    }


def micro_average(positives: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 over all outputs of all cases together, where an output above one half is a prediction.

    All are zero where there is no prediction.

    Args:
        positives: int (n_cases, 2), outputs above one half, and whether the target's is one (`Ranks.positives`).
    """
    predictions, hits = positives.sum(0).tolist()
    cases = len(positives)
    return {
        "micro_precision": hits / predictions if predictions else 0.0,
        "micro_recall": hits / cases,
        "micro_f1": 2 * hits / (predictions + cases),
    }
