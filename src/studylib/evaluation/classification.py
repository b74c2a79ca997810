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


def micro_average(outputs: np.ndarray, targets: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Precision, recall and F1 over all outputs of all cases together, where an output above ``threshold`` is a prediction.

    Zero where there is no prediction.

    Args:
        outputs: float (n_cases, n_items), the outputs of the network's activation.
        targets: int (n_cases,).
    """
    predictions = int((outputs > threshold).sum())
    hits = int((outputs[np.arange(len(targets)), targets] > threshold).sum())
    precision = hits / predictions if predictions else 0.0
    recall = hits / len(targets)
    f1 = 2 * hits / (predictions + len(targets))
    return {"micro_precision": precision, "micro_recall": recall, "micro_f1": f1}
