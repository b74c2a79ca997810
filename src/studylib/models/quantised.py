"""A GRU4Rec whose weights have 8 bits, for where each byte counts: a page that carries it (`studylib.report.recommender`).

A matrix keeps an int8 for each number and a float32 scale for each row, the largest magnitude of the row over 127. Vectors stay
float32. What is judged and compared is the network of these weights and not the one that they were rounded from, and it scores in
float64: scores of float32 differ in their last digits by the order of a sum, which would decide between items that nearly tie.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from studylib.errors import StudyError
from studylib.models.base import Recommender
from studylib.models.gru4rec import GRU4Rec

ASKED = {
    "cell": ("gru",), "layers": (1,), "item_embedding": ("shared", "separate"), "input_decay": (0,), "feed_forward": (0,),
    "normalise": (False,), "residual": (False,), "widening": (0,), "precision": ("float32",),
}  # fmt: skip
"""The settings of the networks that are taken: an embedding, one GRU layer, a linear map where the sizes differ."""


@dataclass(frozen=True)
class Rows:
    """A matrix in 8 bits.

    Attributes:
        values: int8 (n, width), from -127 to 127.
        scales: float32 (n,).
    """

    values: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> Rows:
        """float32 (n, width), rounded to the nearest."""
        scales = np.abs(matrix).max(1) / np.float32(127)
        scales[scales == 0] = 1
        return cls(np.rint(matrix / scales[:, None]).astype(np.int8), scales)

    def restored(self) -> np.ndarray:
        """float32 (n, width): each value times the scale of its row, rounded to float32 once."""
        return self.values.astype(np.float32) * self.scales[:, None]


def quantised(model: Recommender) -> tuple[GRU4Rec, dict[str, Rows | np.ndarray]]:
    """A model like this one with weights of 8 bits, which scores in float64, and the weights by the names of `state`.

    Raises:
        StudyError: it is no GRU4Rec with the settings `ASKED`.
    """
    if not isinstance(model, GRU4Rec):
        raise StudyError(f"A model '{model.settings.label}' has no form in 8 bits: only GRU4Rec has.")
    for setting, values in ASKED.items():
        if (value := getattr(model.settings, setting)) not in values:
            wanted = " or ".join(str(value) for value in values)
            raise StudyError(f"'{setting}: {value}' has no form in 8 bits: only '{setting}: {wanted}' has.")
    weights: dict[str, Rows | np.ndarray] = {
        name: Rows.of(array) if array.ndim == 2 and name != "tables.bias" else array.ravel()
        for name, array in model.state().items()
    }
    rounded = copy(model)
    rounded.restore(
        {
            name: weight.restored() if isinstance(weight, Rows) else weight.reshape(array.shape)
            for (name, array), weight in zip(model.state().items(), weights.values(), strict=True)
        }
    )
    rounded.network.double()
    return rounded, weights
