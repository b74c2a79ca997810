"""Accuracy's companions: precision, recall and F1 of next-page prediction seen as classification.

Toledo & Rezende 2020 report the three without a definition. Two readings are computed: the macro average over pages, of
the page predicted for each case; and the micro average of all outputs above one half, which is what the metrics of the
Keras of that time counted.
"""

from __future__ import annotations

import numpy as np


def macro_average(targets: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1, each averaged over the pages that occur as target or as prediction.

    A page never predicted has precision 0, one that is never a target recall 0, and F1 is 0 where both are.

    Args:
        targets, predicted: int (n_cases,).
    """
    pages, codes = np.unique(np.concatenate([targets, predicted]), return_inverse=True)
    target, guess = codes[: len(targets)], codes[len(targets) :]
    hits = np.bincount(target[target == guess], minlength=len(pages))
    n_target = np.bincount(target, minlength=len(pages))
    n_guess = np.bincount(guess, minlength=len(pages))
    precision = hits / np.maximum(n_guess, 1)
    recall = hits / np.maximum(n_target, 1)
    f1 = 2 * hits / (n_target + n_guess)
    return {"precision": precision.mean(), "recall": recall.mean(), "f1": f1.mean()}


def case_shares(targets: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """What each case adds to `macro_average`, times the number of cases, so that the means over the cases are its values.

    How often a page is a target or a prediction is taken as given. Drawing cases again then moves the mean as it moves an
    accuracy, where counting the pages of each draw anew would give fewer pages, and with that another measure.

    Returns:
        ``precision, recall, f1``, each float64 (n_cases,); zero for a case that is not predicted.
    """
    pages, codes = np.unique(np.concatenate([targets, predicted]), return_inverse=True)
    target, guess = codes[: len(targets)], codes[len(targets) :]
    hits = (target == guess) * (len(targets) / len(pages))
    n_target = np.bincount(target, minlength=len(pages))[target]
    n_guess = np.bincount(guess, minlength=len(pages))[guess]
    return {"precision": hits / n_guess, "recall": hits / n_target, "f1": 2 * hits / (n_target + n_guess)}


def micro_average(positives: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 over all outputs of all cases together, where an output above one half is a prediction.

    Zero where there is no prediction.

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
