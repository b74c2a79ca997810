"""From a params file, or a notebook's parameters cell, to a validated study; what is wrong becomes one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from studylib.errors import StudyError, nearest
from studylib.params.models import MODELS, ModelParams
from studylib.params.study import StudyParams
from studylib.paths import project_root, slug


def load_params(path: str | Path) -> StudyParams:
    """Read a params file.

    Raises:
        StudyError: the file is missing, is no YAML, or has an unknown key or a value out of range; the message
            names the file, the key and, for an unknown name, the nearest known one.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such params file; params/quickstart.yaml is one to copy.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read as text ({error}).") from None
    try:
        sections = yaml.load(text, _EachKeyOnce) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise StudyError(f"{path}: is not valid YAML{where}: {getattr(error, 'problem', error)}.") from None
    if not isinstance(sections, dict):
        raise StudyError(f"{path}: must hold sections such as 'data:' and 'grid:', not a {type(sections).__name__}.")
    return study_params({"name": path.stem, **sections}, source=str(path))


class _EachKeyOnce(yaml.SafeLoader):
    """YAML takes the last of two equal keys in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def study_params(sections: dict[str, Any], source: str = "params") -> StudyParams:
    """Validate the sections of a study, from a notebook's parameters cell or a params file.

    Raises:
        StudyError: as `load_params`; ``source`` is what the message calls their origin.
    """
    try:
        return StudyParams.model_validate({name: values for name, values in sections.items() if values is not None})
    except ValidationError as error:
        raise StudyError("\n".join(_sentence(problem, source) for problem in error.errors())) from None


def _sentence(problem: ErrorDetails, source: str, section: tuple = ()) -> str:
    """What is wrong, in a sentence; ``section`` is where in a study the file's keys belong."""
    location = [part for part in problem["loc"] if part != "[key]" and part not in MODELS]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"{source}: unknown key {key!r}{nearest(str(location[-1]), _known_keys(section + problem['loc'][:-1]))}"
    if problem["type"] == "union_tag_invalid":
        expected = [tag.strip(" '") for tag in problem["ctx"]["expected_tags"].split(",")]
        return f"{source}: {key}: there is no model {problem['ctx']['tag']!r}{nearest(problem['ctx']['tag'], expected)}"
    if problem["loc"][-1:] == ("[key]",) and problem["type"] == "literal_error":
        expected = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"{source}: unknown key {key!r}{nearest(problem['input'], expected)}"
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        expected = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"{source}: {key}: unknown value {problem['input']!r}{nearest(problem['input'], expected)}"
    message = _PLAIN.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    value = "" if isinstance(problem["input"], dict | list) else f" (given: {problem['input']!r})"
    return f"{source}: {key or 'the file'}: {message[0].lower()}{message[1:]}{value}."


_PLAIN = {
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "model_attributes_type": "must be a name, or keys with values",
    "list_type": "must be a list",
    "missing": "is missing",
    "union_tag_not_found": "needs a 'model', the name of one",
}
"""Messages of pydantic in terms of a params file instead of Python."""


def _known_keys(location: tuple) -> list[str]:
    """The keys of the section at ``location``, a path of field names, list positions and model tags."""
    section: type[BaseModel] = StudyParams
    for part in location:
        if isinstance(part, int):
            continue
        if part in MODELS:
            section = MODELS[part]
            continue
        annotation = section.model_fields[part].annotation
        inner = [annotation, *get_args(annotation)]
        section = next((t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)), section)
    return list(section.model_fields)


def tuned_path(dataset: str, name: str) -> Path:
    """Where `studylib tune` writes the selected settings, relative to the project's root."""
    return Path("params") / "tuned" / f"{slug(dataset)}-{slug(name)}.yaml"


def tuned(model: ModelParams, dataset: str) -> ModelParams:
    """The model with the settings that `studylib tune` selected for a data set; what the entry itself sets takes precedence,
    and without a file of selected settings the entry is returned as it is.

    Raises:
        StudyError: the file has an unknown key or a value out of range.
    """
    name = getattr(model, "tuned", None)
    path = project_root() / tuned_path(dataset, name) if name else None
    if path is None or not path.exists():
        return model
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    unset = {key: value for key, value in settings.items() if key not in model.model_fields_set}
    try:
        return with_settings(model, unset)
    except ValidationError as error:
        section = ("ranking", "models", model.model)
        raise StudyError("\n".join(_sentence(problem, str(path), section) for problem in error.errors())) from None


def with_settings(model: ModelParams, settings: dict[str, Any]) -> ModelParams:
    """The model with other settings, validated."""
    return type(model).model_validate({**model.model_dump(exclude_unset=True), **settings})
