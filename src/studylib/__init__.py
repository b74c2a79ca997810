"""A reproducible study of recurrent networks for next-page and next-item recommendation.

As a library (`import studylib as sl`): `read` a log, `evaluate` models on it, `fit` one, `save` it and `load` it again. These
names are looked up when they are used, so that the import itself takes milliseconds.

Example:
    >>> import studylib as sl
    >>> log = sl.read("synthetic", synthetic={"sessions": 300, "items": 20})
    >>> model = sl.Markov().fit(log)
    >>> len(model.recommend([3, 7], k=5))
    5
"""

import importlib
import os

__version__ = "1.2.0"

# OpenMP reads it when PyTorch is loaded, so it is set before that. By default a waiting thread keeps its core busy, and two
# processes on one machine stop each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# OpenBLAS reads it when NumPy is loaded. The products of tables and tests are small: a second thread makes them slower, and their
# last digits depend on it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_WHERE = {
    "read": "api",
    "evaluate": "api",
    "save": "models.files",
    "load": "models.files",
    "StudyError": "errors",
    "Popularity": "models.baselines",
    "Markov": "models.baselines",
    "ItemKNN": "models.neighbours",
    "SessionKNN": "models.neighbours",
    "STAN": "models.stan",
    "EASE": "models.ease",
    "BPR": "models.factors",
    "GRU4Rec": "models.gru4rec",
    "SASRec": "models.sasrec",
    "Visitor": "models.visitor",
}
"""The module of each name that the package has."""

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_WHERE]
