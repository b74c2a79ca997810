"""Model files: a fitted model as safetensors, its arrays as tensors and all else as JSON in the header.

Nothing in a file is code, so that one from a stranger can be opened. The tensors: ``popularity``, ``vocabulary`` (int64, or the
JSON list of the text ids as bytes, because a header must not exceed 100 MB) and, each after ``state.``, what the model has
learnt. A checksum in the header covers everything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from safetensors import safe_open
from safetensors.numpy import save as to_safetensors

from studylib.data.sessions import Sessions, checksum
from studylib.errors import StudyError, quoted, sentence
from studylib.models import build
from studylib.models.base import Recommender
from studylib.params.kinds import Count, Seed, Whole
from studylib.params.models import Model, Section
from studylib.paths import write

VERSION = 1
"""Raised whenever older code cannot read the files, or newer code the older files."""

_KEY = "studylib"
"""The one key of the header's metadata; of several, safetensors would not keep the order."""


def save(model: Recommender, path: str | Path) -> None:
    """Keep a fitted model in one file, the same bytes for the same model.

    Example:
        >>> from studylib.models.gru4rec import GRU4Rec
        >>> save(GRU4Rec().fit(sessions), "shop.safetensors")  # doctest: +SKIP
        >>> load("shop.safetensors").recommend(["25401"])  # doctest: +SKIP
    """
    write(Path(path), to_bytes(model))


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


def is_whole(model: Recommender) -> bool:
    """Whether all that a model has learnt is numbers. One that has diverged is not worth a file, and `load` refuses it."""
    return all(_finite(array) for array in model.state().values())


def load(path: str | Path, device: str = "cpu") -> Recommender:
    """The fitted model of a file, on ``device`` wherever it was trained.

    Raises:
        StudyError: the file is missing, is no model file, is damaged, or is one of another version of studylib.
    """
    path = Path(path)
    header, arrays = _read(path)
    try:
        return _restored(_Header.model_validate(header), arrays, device)
    except Exception as error:  # whatever a file from a stranger makes fail
        message = "its content is not what this version of studylib reads; train it again."
        raise StudyError(sentence(path, message)) from error


class _Header(Section):
    version: Literal[1]
    model: Model
    history: Count
    seed: Seed
    parameters: Annotated[int, Field(ge=0)]
    epochs: Whole
    trained_on: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _restored(header: _Header, arrays: dict[str, np.ndarray], device: str) -> Recommender:
    """The model of a header and the arrays of its file.

    Raises:
        Exception: they do not belong together, or are not what a model learns.
    """
    model = build(header.model, header.history, header.seed, device)
    model.parameters, model.epochs, model.trained_on = header.parameters, header.epochs, header.trained_on
    model.vocabulary, model.popularity = _vocabulary(arrays.pop("vocabulary")), arrays.pop("popularity")
    events = model.popularity
    if events.dtype != np.int64 or events.shape != model.vocabulary.shape or not (events >= 0).all():
        raise ValueError("the popularity is not a number of events for each item")
    if events.sum(dtype=np.float64) >= 2**53:
        raise ValueError("there are more events than can be counted")
    if not all(name.startswith("state.") and _finite(array) for name, array in arrays.items()):
        raise ValueError("there are arrays that no model has, or values that are not numbers")
    state = {name.removeprefix("state."): array for name, array in arrays.items()}
    model.restore(state)
    first_item = Sessions(np.zeros(1, np.int32), np.array([0, 1]), model.vocabulary)
    if model.state().keys() != state.keys() or model.score(first_item).shape != (1, len(events)):
        raise ValueError("the arrays are those of another model")
    return model


def _vocabulary(array: np.ndarray) -> np.ndarray:
    """(n_items,), int64 or str: the distinct ids in ascending order."""
    ids = array
    if array.dtype != np.int64:
        texts = json.loads(array.astype(np.uint8, casting="no").tobytes())
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("the vocabulary is no list of text")
        "".join(texts).encode()  # half of a pair cannot be printed
        # An array of text gives every id the room of the longest.
        if 4 * len(texts) * max(map(len, texts)) > MOST_TEXT:
            raise ValueError("the ids are too long")
        ids = np.array(texts)
    if ids.ndim != 1 or not len(ids) or not (ids[1:] > ids[:-1]).all():
        raise ValueError("the ids are not distinct and in order")
    return ids


MOST_TEXT = 2**30
"""Bytes of a vocabulary of text in memory, at most."""


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


MOST_HEADER = 2**20
"""Bytes of the header of a file, at most; that of the largest network has some 100,000."""


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The header and the arrays of a file, undamaged and of this version."""
    try:
        with path.open("rb") as file:
            if int.from_bytes(file.read(8), "little") > MOST_HEADER:
                raise ValueError("the header is too long")
        with safe_open(path, "np") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
            if not isinstance(header, dict):
                raise StudyError(sentence(path, "is a file of safetensors, but not a model file of studylib."))
            if header.get("version") != VERSION:
                raise StudyError(
                    sentence(
                        path,
                        f"has version {quoted(header.get('version'), 20)} of the model files, and this studylib reads version "
                        f"{VERSION}; train it again, or use the studylib that wrote it.",
                    )
                )
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
    except FileNotFoundError:
        message = (
            "there is no such model file; `studylib run` keeps its models in reports/<name>/models/, and where only their ranks "
            "are kept, `--only 03 --fresh` trains them again."
        )
        raise StudyError(sentence(path, message)) from None
    except StudyError:
        raise
    except Exception as error:  # safetensors raises many for what it cannot read
        message = "is damaged, or no model file; copy it again, or train it again."
        raise StudyError(sentence(path, message)) from error
    if header.pop("checksum", None) != _checksum(header, arrays):
        raise StudyError(sentence(path, "is damaged, its checksum differs; copy it again, or train it again."))
    return header, arrays


def _checksum(header: dict, arrays: dict[str, np.ndarray]) -> str:
    names = sorted(arrays)
    described = json.dumps([header, names], sort_keys=True).encode()
    return checksum(described, *(arrays[name] for name in names))
