"""Cells of a grid made by hand."""

from itertools import product

import numpy as np
import pandas as pd

from studylib.grid import CLASS_METRICS, RANKING_METRICS

LEVELS = {
    "architecture": ["lstm", "gru", "hybrid"],
    "activation": ["softmax"],
    "optimizer": ["adam", "sgd"],
    "batch_size": [64],
    "epochs": [5, 20],
    "seed": [0],
}


def make_cells(accuracy, n_cases=200, validation=lambda cell: 0.1, **levels):
    """Cells that predict each test case with the probability that ``accuracy(cell)`` says."""
    levels = LEVELS | levels
    rows = []
    for number, values in enumerate(product(*levels.values())):
        cell = dict(zip(levels, values, strict=True))
        hits = np.random.default_rng([number, n_cases]).random(n_cases) < accuracy(cell)
        measures = dict.fromkeys([*CLASS_METRICS, *RANKING_METRICS], hits.mean())
        cell |= {"split": f"of seed {cell['seed']}", "validation_ndcg@10": validation(cell), "parameters": 100}
        cell |= {"above": np.where(hits, 0, 3), "tied": np.zeros(n_cases, int), "status": "ok", "reason": "finished"}
        cell |= {"validation_above": np.array([0, 20]), "validation_tied": np.zeros(2, int)}
        rows.append(cell | measures)
    return pd.DataFrame(rows)
