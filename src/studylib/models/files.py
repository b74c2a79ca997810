"""Model files: a fitted model as safetensors, its arrays as tensors and all else as JSON in the header.

Nothing in a file is code, so that one from a stranger can be opened. The tensors: ``popularity``, ``vocabulary`` (int64, or the
JSON list of the text ids as bytes, because a header must not exceed 100 MB) and, each after ``state.``, what the model has
learnt. A checksum in the header covers everything.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from studylib.data.sessions import checksum
from studylib.errors import StudyError
from studylib.models import build
from studylib.models.base import Recommender
from studylib.params.models import Model
from studylib.paths import write

VERSION = 1
"""Raised whenever older code cannot read the files, or newer code the older files."""

_KEY = "studylib"
"""The one key of the header's metadata; of several, safetensors would not keep the order."""


def save(model: Recommender, path: Path) -> None:
    """Keep a fitted model in one file, the same bytes for the same model.

    Example:
        >>> from studylib.models.gru4rec import GRU4Rec
        >>> save(GRU4Rec().fit(sessions), Path("shop.safetensors"))  # doctest: +SKIP
        >>> load(Path("shop.safetensors")).recommend(["25401"])  # doctest: +SKIP
    """
    write(path, to_bytes(model))


def to_bytes(model: Recommender) -> bytes:
    """The content of the file, for a worker that has no disk of ours."""
    ids = model.vocabulary
    text = np.frombuffer(json.dumps(ids.tolist()).encode(), np.uint8)
    arrays = {
        "popularity": model.popularity,
        "vocabulary": ids.astype(np.int64) if ids.dtype.kind == "i" else text,
        **{f"state.{name}": array for name, array in model.state().items()},
    }
    # safetensors takes the memory of an array as it lies, whatever its strides.
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {
        "version": VERSION,
        "model": model.settings.model_dump(mode="json"),
        "history": model.history,
        "seed": model.seed,
        "parameters": model.parameters,
        "epochs": model.epochs,
        "trained_on": model.trained_on,
    }
    header["checksum"] = _checksum(header, arrays)
    return to_safetensors(arrays, {_KEY: json.dumps(header, sort_keys=True)})


def load(path: Path, device: str = "cpu") -> Recommender:
    """The fitted model of a file, on ``device`` wherever it was trained.

    Raises:
        StudyError: the file is missing, is no model file, is damaged, or is one of another version of studylib.
    """
    header, arrays = _read(path)
    try:
        settings = TypeAdapter(Model).validate_python(header["model"])
        model = build(settings, header["history"], header["seed"], device)
        ids = arrays["vocabulary"]
        model.vocabulary = ids if ids.dtype == np.int64 else np.array(json.loads(ids.tobytes()))
        model.popularity = arrays["popularity"]
        if model.popularity.shape != model.vocabulary.shape:
            raise ValueError("popularity and vocabulary differ in length")
        model.parameters, model.epochs = header["parameters"], header["epochs"]
        model.trained_on = header["trained_on"]
        model.restore({name[6:]: array for name, array in arrays.items() if name.startswith("state.")})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StudyError(f"{path}: its content is not what this version of studylib reads; train it again.") from error
    return model


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The header and the arrays of a file, undamaged and of this version."""
    try:
        with safe_open(path, "np") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
            if not isinstance(header, dict):
                raise StudyError(f"{path}: is a file of safetensors, but not a model file of studylib.")
            if header.get("version") != VERSION:
                raise StudyError(
                    f"{path}: has version {header.get('version')} of the model files, and this studylib reads version "
                    f"{VERSION}; train it again, or use the studylib that wrote it."
                )
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
    except FileNotFoundError:
        raise StudyError(
            f"{path}: there is no such model file; `studylib run` keeps its models in reports/<name>/models/, and where only "
            "their ranks are kept, `--only 03 --fresh` trains them again."
        ) from None
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise StudyError(f"{path}: is damaged, or no model file; copy it again, or train it again.") from error
    if header.pop("checksum", None) != _checksum(header, arrays):
        raise StudyError(f"{path}: is damaged, its checksum differs; copy it again, or train it again.")
    return header, arrays


def _checksum(header: dict, arrays: dict[str, np.ndarray]) -> str:
    names = sorted(arrays)
    described = json.dumps([header, names], sort_keys=True).encode()
    return checksum(described, *(arrays[name] for name in names))
