"""All models behind one interface: `build` makes the one that an entry of a params file names."""

from __future__ import annotations

import importlib

from studylib.errors import StudyError, quoted
from studylib.models.base import Recommender
from studylib.params.models import ModelParams


def implementation(entry: ModelParams) -> type[Recommender]:
    """The class of a model; only its own module is imported.

    Raises:
        StudyError: it lacks something without which it cannot be trained, ranked or kept.
    """
    module, name = entry.implementation.split(".")
    found = getattr(importlib.import_module(f"studylib.models.{module}"), name)
    lacks = [f"{method}()" for method in NEEDED if getattr(found, method) is getattr(Recommender, method)]
    if getattr(found, "settings_class", None) is not type(entry):
        lacks.append(f"settings_class = {type(entry).__name__}")
    if lacks:
        raise StudyError(
            f"The class {name} of the model {quoted(entry.model, 40)} lacks {', '.join(lacks)}: write it first."
        )
    return found


NEEDED = ("_fit", "score", "state", "restore")
"""What every model of `ranking.models` defines itself."""


def build(entry: ModelParams, history: int, seed: int, device: str, exclude_visited: bool | None = None) -> Recommender:
    """The model, not fitted.

    Args:
        entry: of ``ranking.models``.
        history: how many of the last events a prediction is based on.
        seed: of everything random in the training.
        device: ``auto``, ``cpu`` or ``cuda``.
        exclude_visited: as in ``ranking``.
    """
    model = implementation(entry)(history, seed, device, **entry.settings)
    model.settings = entry  # with its label
    model.exclude_visited = exclude_visited
    return model
