"""From a params file, or a notebook's parameters cell, to a validated study; what is wrong becomes one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from studylib.errors import LONGEST, StudyError, brief, nearest, quoted, sentence
from studylib.params.models import MODELS, ModelParams
from studylib.params.study import Log, StudyParams
from studylib.paths import carried, project_root, slug

MOST_BYTES, MOST_VALUES, DEEPEST = 100_000, 20_000, 20
"""Of a file: its size, the keys and values in it, and how deep they lie in each other. The largest one of the study has 3,000
bytes, 300 keys and values, and is 6 deep."""


def load_params(path: str | Path) -> StudyParams:
    """Read a params file. A section or value that is null counts as left out.

    Raises:
        StudyError: the file is missing, is no YAML, or has an unknown key or a value out of range; the message
            names the file, the key and, for an unknown name, the nearest known one.
    """
    path = Path(path)
    sections = _read(carried(path))
    if not isinstance(sections, dict | None):
        kind = "list" if isinstance(sections, list) else "single value"
        raise StudyError(sentence(path, f"must hold sections such as 'data:' and 'grid:', not a {kind}."))
    given = {name: values for name, values in (sections or {}).items() if values is not None or name != "name"}
    return study_params({"name": path.stem, **given}, source=str(path))


def _read(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        StudyError: it is missing, is no YAML, or is beyond `MOST_BYTES`, `MOST_VALUES` or `DEEPEST`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise StudyError(sentence(path, f"has more than {MOST_BYTES:,} bytes, which no params file needs."))
        text = content.decode()
    except FileNotFoundError:
        example = "there is no such params file; params/quickstart.yaml is one to copy."
        raise StudyError(sentence(path, example)) from None
    except UnicodeDecodeError:
        raise StudyError(sentence(path, "cannot be read as text (it is not UTF-8).")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StudyError(sentence(path, f"cannot be read as text ({reason}).")) from None
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise StudyError(sentence(path, f"is not valid YAML{where}: {brief(problem, 150)}.")) from None


class _PlainLoader(yaml.SafeLoader):
    """Keys with values, lists and plain values as YAML 1.2 has them, without what makes a small file a large one.

    YAML 1.1 takes the last of two equal keys in silence, ``1:30`` for 90, ``010`` for 8 and ``no`` for false. Whatever looks
    like none of `_PLAIN_VALUES` is text, and is a number or not as its key says.
    """

    yaml_implicit_resolvers: dict = {}

    def __init__(self, stream: str):
        super().__init__(stream)
        self.depth = self.values = 0
        self.size_of: dict[yaml.Node | None, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node whose values count at each place where an alias repeats them."""
        event, before = self.peek_event(), self.values
        is_alias = isinstance(event, yaml.AliasEvent)
        self.depth += 1
        self.values += 1
        if not is_alias and event.tag is not None:
            raise _refused("params take no tags (!): leave it out", event)
        if isinstance(event, yaml.ScalarEvent) and re.search("[\ud800-\udfff]", event.value):
            try:  # JSON escapes the letters beyond 16 bits in pairs
                event.value = event.value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise _refused("an escaped letter is half of a pair", event) from None
        if self.depth > DEEPEST:
            raise _refused(f"more than {DEEPEST} levels lie in each other", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if is_alias and node not in self.size_of:
            raise _refused("an alias lies in what it stands for", event)
        self.values += self.size_of[node] if is_alias else 0
        if self.values > MOST_VALUES:
            raise _refused(f"there are more than {MOST_VALUES:,} keys and values", event)
        self.size_of[node] = self.values - before
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a key must be a word", key)
            if key.value in seen:
                raise _refused(f"the key {quoted(key.value)} occurs twice", key)
            if key.value == "<<":
                raise _refused("params take no merge keys (<<): write the keys out", key)
            seen.add(key.value)
        # Every key is text, also one that looks like a number.
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def _refused(problem: str, place: Any) -> yaml.MarkedYAMLError:
    """The error of an event or a node."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


_PLAIN_VALUES = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]{0,18})",
    "float": r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
"""What a word without quotes is, if it is not text (YAML 1.2, section 10.3.2, the decimal numbers). More digits than an int64 has
stay text, because Python takes a second for a number of 100,000."""

for _kind, _looks in _PLAIN_VALUES.items():
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_looks})\Z"), None)
_PlainLoader.add_constructor("tag:yaml.org,2002:map", _PlainLoader.construct_mapping)


def study_params(sections: dict[str, Any], source: str = "params") -> StudyParams:
    """Validate the sections of a study, from a notebook's parameters cell or a params file.

    Raises:
        StudyError: as `load_params`; ``source`` is what the message calls their origin.
    """
    may_be_empty = StudyParams.model_fields.keys() - {"name"}
    given = {name: values for name, values in sections.items() if values is not None or name not in may_be_empty}
    # The parameters cell of a notebook has sections without keys, which say nothing; but who writes 'grid: {}' asks for the grid.
    for name in ("data", "ranking", "execution"):
        if given.get(name) == {}:
            del given[name]
    return validated(StudyParams, given, source)


def refuse_name_of_another(params: StudyParams, reports: Path) -> None:
    """Keep a study from overwriting the results of the params file whose name it has.

    In the project's ``reports`` they belong to that file alone. Where and how trainings run (``execution``) may differ.

    Raises:
        StudyError: ``params/<name>.yaml`` is another study.
    """
    file = project_root() / carried(Path("params", f"{params.name}.yaml"))
    if reports.resolve() != (project_root() / "reports").resolve() or not file.exists():
        return
    owner = load_params(file)
    if owner.name == params.name and _of_results(owner) != _of_results(params):
        raise StudyError(
            sentence(
                f"name: {params.name}",
                f"reports/{params.name} has the results of params/{file.name}, which says something else; "
                "give this study a 'name' of its own (papermill: -p name mine).",
            )
        )


def _of_results(params: StudyParams) -> dict[str, Any]:
    return params.model_dump(exclude={"execution"})


Validated = TypeVar("Validated", bound=BaseModel)


def validated(section: type[Validated], values: dict[str, Any], source: str) -> Validated:
    """A section from its values.

    Raises:
        StudyError: as `load_params`; ``source`` is what the message calls their origin.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise StudyError(_sentences(error, source, section)) from None


READERS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""The reader of a file by the end of its name; of any other `events`."""


def log_options(path: Path, options: list[str]) -> Log:
    """The log of a file with what else a params file says of one (`given_options`).

    Raises:
        StudyError: an option is unknown, or has a value out of range.
    """
    reader = READERS.get(path.suffix.lower(), "events")
    return validated(Log, {"reader": reader, "path": str(path.absolute()), **given_options(options)}, "--option")


def given_options(options: list[str]) -> dict[str, Any]:
    """Options of a command, each ``key=value`` (``user=visitor``, ``header=false``), their values read as in a params file.

    Raises:
        StudyError: one is no such pair, or is given twice.
    """
    given: dict[str, Any] = {}
    try:
        for option in options:
            key, equals, value = option.partition("=")
            if not equals:
                raise StudyError(sentence(f"--option {brief(key)}", "must be a key and a value, such as user=visitor."))
            if key in given or key == "path":
                raise StudyError(sentence(f"--option {brief(key)}", "is given twice; leave one out."))
            given[key] = yaml.load(value, _PlainLoader)
    except yaml.YAMLError:
        raise StudyError(sentence("--option", "a value is no YAML; put it into quotes within the quotes.")) from None
    return given


def _sentences(error: ValidationError, source: str, section: type[BaseModel]) -> str:
    """What is wrong, a mistake a line, as many as a reader takes in; ``section`` is what was validated."""
    problems = error.errors(include_url=False)
    mistakes = [_mistake(problem, section) for problem in problems[:5]]
    for shown in range(len(mistakes), 0, -1):
        others = len(problems) - shown
        lines = [*mistakes[:shown], *([f"{others:,} more mistakes."] if others else [])]
        text = "\n".join(sentence(source, line) for line in lines)
        if len(text) <= LONGEST:
            return text
    return sentence(source, f"{mistakes[0]} ({len(problems) - 1:,} more mistakes.)" if others else mistakes[0])


def _mistake(problem: ErrorDetails, section: type[BaseModel]) -> str:
    """One mistake and its key, without the place."""
    kind, given, where = problem["type"], problem["input"], problem["loc"]
    is_key = where[-1:] == ("[key]",) and kind != "extra_forbidden"
    # Without pydantic's mark of a key, and the tag of a model.
    steps = where[:-1] if is_key else where[:3] + where[4:] if where[:2] == ("ranking", "models") else where
    key = ".".join(map(str, steps))
    if kind == "extra_forbidden":
        return f"unknown key {quoted(key, 80)}{nearest(str(where[-1]), _known_keys(section, where[:-1]))}"
    if kind == "union_tag_invalid":
        tag, tags = problem["ctx"]["tag"], problem["ctx"]["expected_tags"]
        return f"{brief(key)}: there is no model {quoted(tag)}{nearest(tag, _words(tags))}"
    if kind == "literal_error" and isinstance(given, str):
        rest = nearest(given, _words(problem["ctx"]["expected"]))
        return (
            f"unknown key {quoted(key, 80)}{rest}" if is_key else f"{brief(key)}: unknown value {quoted(given)}{rest}"
        )
    message = _PLAIN.get(kind, problem["msg"].removeprefix("Value error, "))
    value = "" if isinstance(given, dict | list | tuple | set) else f" (given: {quoted(given)})"
    place = f"{brief(key)}: " if key else ""
    return f"{place}{message[0].lower()}{message[1:]}{value}."


def _words(expected: str) -> list[str]:
    """The names in a message of pydantic: ``'a', 'b' or 'c'``."""
    return [name.strip(" '") for name in expected.replace(" or ", ", ").split(",")]


_PLAIN = {
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "model_attributes_type": "must be a name, or keys with values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "missing": "is missing",
    "union_tag_not_found": "needs a 'model', the name of one",
}
"""Messages of pydantic in terms of a params file instead of Python."""


def _known_keys(section: type[BaseModel], location: tuple) -> list[str]:
    """The keys at ``location``, a path of field names, list positions and model tags below ``section``."""
    for part in location:
        if isinstance(part, int):
            continue
        if part in MODELS:
            section = MODELS[part]
            continue
        if part not in section.model_fields:  # a name that the file itself gives, as to a variant
            continue
        annotation = section.model_fields[part].annotation
        inner = [annotation, *get_args(annotation)]
        section = next((t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)), section)
    return list(section.model_fields)


def tuned_path(dataset: str, name: str) -> Path:
    """Where `studylib tune` writes the selected settings, relative to the project's root."""
    return Path("params") / "tuned" / f"{slug(dataset)}-{slug(name)}.yaml"


def _tuned_file(model: ModelParams, dataset: str) -> Path | None:
    """The file whose settings a model asks for, where it is there."""
    name = getattr(model, "tuned", None)
    path = project_root() / carried(tuned_path(dataset, name)) if name else None
    return path if path and path.exists() else None


def tuned(model: ModelParams, dataset: str) -> ModelParams:
    """The model with the settings that `studylib tune` selected for a data set; what the entry itself sets takes precedence,
    and without a file of selected settings the entry is returned as it is.

    Raises:
        StudyError: the file is damaged, or has an unknown key or a value out of range.
    """
    path = _tuned_file(model, dataset)
    if path is None:
        return model
    settings = _read(path)
    if not isinstance(settings, dict) or settings.keys() & {"model", "label", "tuned"}:
        raise StudyError(sentence(path, "must hold settings of a model, each with a value; remove it, or tune again."))
    unset = {key: value for key, value in settings.items() if key not in model.model_fields_set}
    try:
        return with_settings(model, unset)
    except ValidationError as error:
        raise StudyError(_sentences(error, str(path), type(model))) from None


TRIALS, DATA = "# Each trial in turn:", "# Checksum of the data:"
"""How the lines of a file of selected settings begin that have the validation value of every trial, and `Sessions.content` of the
data that they were selected on."""


def trials(model: ModelParams, dataset: str) -> list[float]:
    """The validation value of every trial by which `studylib tune` selected settings; none where they are not kept."""
    path = _tuned_file(model, dataset)
    try:
        return [float(value) for value in _line(path, TRIALS).split()] if path else []
    except ValueError:
        raise StudyError(sentence(str(path), f"the line '{TRIALS}' must have numbers alone; tune again.")) from None


def selected_on(path: Path) -> str | None:
    """`Sessions.content` of the data that the settings in a file were selected on; None where it does not say."""
    return _line(path, DATA).strip() or None


def tuned_on(model: ModelParams, dataset: str) -> str | None:
    """The same of the file that a model takes its settings from, if it takes any."""
    path = _tuned_file(model, dataset)
    return selected_on(path) if path else None


def _line(path: Path, beginning: str) -> str:
    """The rest of the line that begins so; empty where there is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix(beginning) for line in lines if line.startswith(beginning)), "")


def with_settings(model: ModelParams, settings: dict[str, Any]) -> ModelParams:
    """The model with other settings, validated."""
    return type(model).model_validate({**model.model_dump(exclude_unset=True), **settings})
