"""What a study is: one pydantic model per section of a params file, with every default in one place.

The defaults are those of the quickstart, so an empty file is the quickstart.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from studylib.errors import StudyError, nearest

Reader = Literal["sequences", "events", "jsonl", "rechorus", "parquet"]
Architecture = Literal["lstm", "gru", "hybrid", "hybrid-gru-lstm"]
LAYERS = {"lstm": ["lstm"], "gru": ["gru"], "hybrid": ["lstm", "gru"], "hybrid-gru-lstm": ["gru", "lstm"]}
"""Recurrent layers of each architecture from the input on. The text of section 2 of Toledo & Rezende 2020 stacks the hybrid as
LSTM then GRU, its Table 3 as GRU then LSTM."""
Activation = Literal["softmax", "tanh", "sigmoid"]
Protocol = Literal["full", "sampled"]
Weighting = Literal["equal", "linear", "quadratic", "harmonic"]
Optimizer = Literal["sgd", "adam", "rmsprop", "adagrad"]

READER_OPTIONS = {
    "sequences": {"separator", "leading_user"},
    "events": {"separator", "header", "user", "item", "time"},
    "jsonl": {"user", "item", "time"},
    "rechorus": set(),
    "parquet": {"user", "item", "time"},
}
"""The options that each reader takes, beside ``path``."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Synthetic(Section):
    """The generated log (`studylib.data.synthetic`)."""

    sessions: int = Field(6000, ge=10)
    items: int = Field(100, ge=10)
    mean_length: float = Field(6.0, gt=1)
    max_session: int = Field(16, ge=2)
    popularity_exponent: float = Field(1.0, ge=0)
    successors: int = Field(4, ge=1)
    weights: tuple[float, float] = (0.4, 0.45)
    """Probability that a visit follows from the last page, and from the one before it; else it follows popularity."""

    @field_validator("weights")
    @classmethod
    def _are_probabilities(cls, weights: tuple[float, float]) -> tuple[float, float]:
        if min(weights) < 0 or sum(weights) >= 1:
            raise ValueError("the two weights must not be negative and must sum to less than 1")
        return weights


class Log(Section):
    """Where a log comes from and what of it is kept: a name of the registry, or a reader with a path and its options."""

    dataset: str | None = None
    reader: Reader | None = None
    path: str | None = None
    separator: str | None = None
    header: bool = True
    leading_user: bool = False
    user: str | int | None = None
    item: str | int | None = None
    time: str | int | None = None
    synthetic: Synthetic = Synthetic()

    max_sessions: int | None = Field(None, ge=1)
    min_length: int = Field(2, ge=2)
    k_core: int | None = Field(None, ge=1)
    collapse_repeats: bool = False

    @field_validator("user", "item", "time", mode="before")
    @classmethod
    def _is_a_column(cls, column: Any) -> Any:
        if column is not None and (isinstance(column, bool) or not isinstance(column, str | int)):
            raise ValueError("must be the name of a column or its number from 0 on")
        return column

    @field_validator("separator")
    @classmethod
    def _tab_may_be_written(cls, separator: str | None) -> str | None:
        return "\t" if separator == r"\t" else separator  # YAML keeps the backslash unless it is in double quotes

    @model_validator(mode="after")
    def _one_source(self) -> Log:
        if (self.dataset is None) == (self.reader is None):
            raise ValueError("give either 'dataset' (a name of the registry) or 'reader' with its 'path'")
        if "synthetic" in self.model_fields_set and self.dataset != "synthetic":
            raise ValueError("'synthetic' goes with 'dataset: synthetic' alone")
        given = self.model_fields_set & {"path", *set().union(*READER_OPTIONS.values())}
        if self.dataset is not None:
            if given:
                raise ValueError(f"'dataset' knows its own files: leave out {', '.join(sorted(given))}")
        elif self.path is None:
            raise ValueError(f"the reader {self.reader!r} needs a 'path'")
        elif unknown := given - {"path"} - READER_OPTIONS[self.reader]:
            options = ", ".join(sorted(READER_OPTIONS[self.reader])) or "none"
            raise ValueError(
                f"the reader {self.reader!r} has no option {', '.join(sorted(unknown))} (it has: {options})"
            )
        return self


class Data(Log):
    """The log of notebooks 01 and 02 and its 80/20 split (Toledo & Rezende 2020, section 2)."""

    dataset: str | None = "synthetic"
    max_length: int = Field(40, ge=1)
    """Input visits before the target; the last ones are kept (40 steps in Tables 1-3)."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int | None = None
    """None: the seed of the run, so that a seed stands for another split and another initialisation."""

    @model_validator(mode="before")
    @classmethod
    def _reader_replaces_default(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("reader") is not None:
            return {"dataset": None, **values}
        return values


class Grid(Section):
    """The cells of Toledo & Rezende 2020, Table 4, for each architecture of Tables 1-3."""

    architectures: list[Architecture] = ["lstm", "gru", "hybrid"]
    activations: list[Activation] = ["softmax"]
    optimizers: list[Optimizer] = ["adam", "rmsprop"]
    optimizer_settings: Literal["keras2", "keras3"] = "keras2"
    compare_settings: bool = False
    """Train the softmax cells of the fewest epochs with the other optimizer settings too."""
    learning_rate: dict[Optimizer, Annotated[float, Field(gt=0)]] = {}
    batch_sizes: list[Annotated[int, Field(ge=1)]] = [64]
    epochs: list[Annotated[int, Field(ge=1)]] = [5, 15]
    units: int = Field(128, ge=1)
    seeds: list[Annotated[int, Field(ge=0)]] = [0]

    @field_validator("architectures", "activations", "optimizers", "batch_sizes", "epochs", "seeds")
    @classmethod
    def _some_and_distinct(cls, values: list) -> list:
        if not values or len(set(values)) < len(values):
            raise ValueError("the list must not be empty and must not name a value twice")
        return values


class RankingDataset(Log):
    """One data set of the ranking evaluation."""

    name: str | None = None
    """How tables and figures call it; the registry's name where there is one."""
    split: Literal["leave-one-out", "temporal", "given"] | None = None
    """None: as given where the source has a split of its own, else leave-one-out."""
    test_fraction: float = Field(0.1, gt=0, lt=0.5)
    """`temporal` only: the share of all events after the point in time, and again before it for validation."""

    @model_validator(mode="after")
    def _has_a_name(self) -> RankingDataset:
        if self.dataset is None and not self.name:
            raise ValueError("a data set that is not of the registry needs a 'name'")
        return self

    @property
    def label(self) -> str:
        return self.name or self.dataset or ""


class ModelParams(Section):
    label: str
    """How tables and figures call the model; its name where there is no label."""

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the model's class."""
        return self.model_dump(exclude={"model", "label", "tuned"})


class Tunable(ModelParams):
    tuned: str | None = None
    """Take what this entry does not set from ``params/tuned/<data set>-<this>.yaml``, where `studylib tune` has put it."""
    validation: Protocol = "full"
    """Against which items the NDCG@10 of the validation cases is measured that settings and epochs are chosen by: the whole
    catalogue, or the candidates."""


class Popularity(ModelParams):
    model: Literal["popularity"] = "popularity"
    label: str = "popularity"


class Markov(ModelParams):
    model: Literal["markov"] = "markov"
    label: str = "markov"


class ItemKnn(Tunable):
    """Item-kNN; the defaults were chosen on validation cases of `grocery`, `ml-100k`, `yelp` and `rsc15-100k`."""

    model: Literal["item-knn"] = "item-knn"
    label: str = "item-knn"
    decay: float = Field(0.7, ge=0, le=1)
    """What a visit weighs against the one after it: 0, only the last visit counts; 1, all count alike."""
    shrinkage: float = Field(10.0, ge=0)
    """Added to the number of sessions with each item."""


class SessionKnn(Tunable):
    """V-SKNN; the defaults were chosen on validation cases, as those of `ItemKnn`."""

    model: Literal["session-knn"] = "session-knn"
    label: str = "session-knn"
    neighbours: int = Field(200, ge=1)
    sample: int = Field(1000, ge=1)
    """The most recent sessions that share an item, among which the neighbours are sought."""
    weighting: Weighting = "harmonic"
    """Of the items of the current session in the similarity, by how long ago they were visited."""
    score_weighting: Weighting = "harmonic"
    """Of a neighbour, by how long ago the latest item was visited that it shares."""
    cosine: bool = True
    """Divide by the square root of the length of the past session."""
    idf: float = Field(1.0, ge=0)
    """How much more rare items count: the factor of the logarithm."""


class Bpr(Tunable):
    """Matrix factorisation by BPR; the defaults were chosen on validation cases, as those of `ItemKnn`."""

    model: Literal["bpr-mf"] = "bpr-mf"
    label: str = "bpr-mf"
    factors: int = Field(64, ge=1)
    learning_rate: float = Field(0.1, gt=0)
    l2: float = Field(0.01, ge=0)
    fold_in: float = Field(2.0, gt=0)
    """Times the mean of the factors of the visited items, which stands for the user."""
    max_epochs: int = Field(200, ge=10, multiple_of=10)
    patience: int = Field(30, ge=10)
    """Epochs without a better validation NDCG@10 after which training stops; it is looked at every 10 epochs."""


class Trained(Tunable):
    """What the neural models share: one training loop, so that only their networks differ."""

    embedding: int = Field(64, ge=1)
    dropout_items: float = Field(0.2, ge=0, lt=1)
    """Of whole visits: the network learns to do without any one of them."""
    dropout_embedding: float = Field(0.5, ge=0, lt=1)
    dropout_hidden: float = Field(0.4, ge=0, lt=1)

    loss: Literal["cross-entropy", "bpr-max", "bpr", "algorithm-1"] = "cross-entropy"
    score_activation: Literal["linear", "elu"] = "linear"
    """`bpr-max` only: of the scores in training; it does not change their order."""
    regularisation: float = Field(1.0, ge=0)
    """`bpr-max` only: the weight of the negatives' squared scores."""
    negatives: int = Field(512, ge=0)
    """Sampled negatives; with 0, or as many as the catalogue has items, the whole catalogue is scored."""
    negatives_of: Literal["batch", "case"] = "batch"
    """All cases of a batch share their negatives, or each has its own."""
    batch_negatives: bool = False
    """The targets of the other cases of the batch are negatives too."""
    alpha: float = Field(0.5, ge=0)
    """Negatives are drawn with probability proportional to popularity**alpha; 0 is uniform."""
    log_q: bool = True
    """`cross-entropy` only: correct the scores for how likely each item was drawn."""

    batches: Literal["sequences", "session-parallel", "prefixes"] = "sequences"
    batch_size: int = Field(64, ge=1)
    """Rows a step: sessions, lanes or prefixes."""
    optimizer: Literal["adam", "adagrad"] = "adam"
    momentum: float = Field(0.0, ge=0, lt=1)
    """`adagrad` only."""
    learning_rate: float = Field(6e-3, gt=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    """cosine: the rate falls to zero over ``max_epochs``."""
    l2: float = Field(1e-5, ge=0)
    """Weight decay of what a step moves."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's products, where the device has it; weights and losses stay in float32."""
    max_epochs: int = Field(20, ge=1)
    patience: int = Field(5, ge=1)
    """Epochs without a better validation NDCG@10 after which training stops."""
    validation_cases: int = Field(5000, ge=1)
    """Looked at after each epoch, at most; the same ones whatever the seed."""

    @model_validator(mode="after")
    def _training_agrees(self) -> Trained:
        if self.batch_negatives and self.negatives_of == "case":
            raise ValueError("'batch_negatives' goes with 'negatives_of: batch'")
        if self.score_activation == "elu" and self.loss != "bpr-max":
            raise ValueError("'score_activation: elu' goes with 'loss: bpr-max'")
        return self


class Gru4Rec(Trained):
    """Sizes of Shrimal & Patil 2024, section 4.1.

    The other defaults were found on `grocery`, where test values stood beside the validation values that they were compared by.
    `studylib tune` tries them first, and keeps them only where the validation cases of a data set prefer nothing else.
    """

    model: Literal["gru4rec"] = "gru4rec"
    label: str = "gru4rec"

    cell: Architecture = "gru"
    layers: int = Field(1, ge=1)
    """How many times the recurrent layers of ``cell`` are stacked."""
    item_embedding: Literal["shared", "separate", "none"] = "shared"
    """Scores use the rows of the input embedding, or rows of their own; none: one-hot items go into the first layer."""
    hidden: int = Field(128, ge=1)
    input_decay: float = Field(0.0, ge=0, lt=1)
    """The input is a weighted mean of the items so far, each worth this much of the one after it; 0: the current item."""
    deep_input: bool = False
    """Deeper recurrent layers see the input too."""
    feed_forward: int = Field(0, ge=0)
    """Layers (tanh) between the recurrent ones and the scores."""

    @model_validator(mode="after")
    def _first_layer_takes_the_items(self) -> Gru4Rec:
        if self.item_embedding == "none" and self.cell not in ("gru", "hybrid-gru-lstm"):
            raise ValueError("'item_embedding: none' needs a GRU as the first layer: cell 'gru' or 'hybrid-gru-lstm'")
        return self


class SasRec(Trained):
    """Self-attention over the visits (Kang & McAuley 2018), trained as GRU4Rec is."""

    model: Literal["sasrec"] = "sasrec"
    label: str = "sasrec"

    blocks: int = Field(2, ge=1)
    heads: int = Field(1, ge=1)
    dropout_embedding: float = Field(0.4, ge=0, lt=1)
    dropout_hidden: float = Field(0.4, ge=0, lt=1)
    learning_rate: float = Field(2e-3, gt=0)

    @model_validator(mode="after")
    def _has_no_state(self) -> SasRec:
        if self.batches == "session-parallel":
            raise ValueError("'batches: session-parallel' needs a recurrent network: take 'sequences' or 'prefixes'")
        if self.embedding % self.heads:
            raise ValueError("'embedding' must be a multiple of 'heads'")
        return self


Model = Annotated[Popularity | Markov | ItemKnn | SessionKnn | Bpr | Gru4Rec | SasRec, Field(discriminator="model")]


class Ablation(Section):
    """What the choices of the training are worth: GRU4Rec changed one step at a time."""

    datasets: list[str]
    """Of the ranking's data sets, by their labels."""
    seeds: list[Annotated[int, Field(ge=0)]] = [0]
    steps: list[Gru4Rec]
    """Each needs a label, and keeps what the steps before it have set."""

    @field_validator("steps", mode="before")
    @classmethod
    def _steps_add_up(cls, steps: Any) -> Any:
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            return steps
        return list(itertools.accumulate(steps, lambda before, step: {**before, **step}))

    @field_validator("steps")
    @classmethod
    def _steps_have_labels(cls, steps: list[Gru4Rec]) -> list[Gru4Rec]:
        if len({step.label for step in steps}) < max(2, len(steps)):
            raise ValueError("there must be at least two steps, each with a label of its own")
        return steps


class Ranking(Section):
    """The ranking evaluation of Shrimal & Patil 2024, section 4.1."""

    datasets: list[RankingDataset] = [RankingDataset(dataset="synthetic")]
    models: list[Model] = [Popularity(), Markov(), Gru4Rec()]
    history: int = Field(20, ge=1)
    """The last visits of a prefix that a model sees (Shrimal & Patil 2024, section 4.1)."""
    candidates: int = Field(99, ge=1)
    exclude_visited: bool | None = None
    """Take the items that a visitor has seen out of the lists; None: where no training session visits an item twice."""
    ties: Literal["mean", "conservative", "standard"] = "mean"
    seeds: list[Annotated[int, Field(ge=0)]] = [0]
    ablation: Ablation | None = None

    @field_validator("datasets", mode="before")
    @classmethod
    def _names_are_datasets(cls, values: Any) -> Any:
        return [{"dataset": v} if isinstance(v, str) else v for v in values] if isinstance(values, list) else values

    @field_validator("models", mode="before")
    @classmethod
    def _names_are_models(cls, values: Any) -> Any:
        return [{"model": v} if isinstance(v, str) else v for v in values] if isinstance(values, list) else values

    @field_validator("datasets", "models")
    @classmethod
    def _some(cls, values: list) -> list:
        if not values:
            raise ValueError("the list must not be empty")
        return values

    @field_validator("seeds")
    @classmethod
    def _some_and_distinct(cls, values: list) -> list:
        if not values or len(set(values)) < len(values):
            raise ValueError("the list must not be empty and must not name a value twice")
        return values

    @model_validator(mode="after")
    def _labels_are_distinct(self) -> Ranking:
        for kind, labels in (("model", self.models), ("data set", self.datasets)):
            seen = [x.label for x in labels]
            if twice := next((x for x in seen if seen.count(x) > 1), None):
                raise ValueError(f"two entries are the {kind} {twice!r}: give each a label of its own")
        return self

    @model_validator(mode="after")
    def _ablation_has_its_datasets(self) -> Ranking:
        labels = [dataset.label for dataset in self.datasets]
        if self.ablation and (unknown := [name for name in self.ablation.datasets if name not in labels]):
            raise ValueError(f"the ablation's data set {unknown[0]!r} is none of the ranking's: {', '.join(labels)}")
        return self

    @property
    def ablated(self) -> Ranking:
        """The evaluation of the ablation's steps in place of the models.

        Raises:
            ValueError: there is no ablation.
        """
        if self.ablation is None:
            raise ValueError("there is no 'ranking.ablation'")
        datasets = [dataset for dataset in self.datasets if dataset.label in self.ablation.datasets]
        changed = {"datasets": datasets, "models": self.ablation.steps, "seeds": self.ablation.seeds, "ablation": None}
        return self.model_copy(update=changed)


class Execution(Section):
    backend: Literal["loky", "dask"] = "loky"
    """Processes of this machine, or the workers of a Dask cluster."""
    scheduler: str | None = None
    """The address of the cluster's scheduler, such as ``tcp://host:8786``; `dask` only."""
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """`loky` only: trainings side by side; auto: as many as the machine has cores for."""
    threads_per_worker: int = Field(1, ge=1)
    keras_backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("workers", mode="before")
    @classmethod
    def _auto_or_a_number(cls, workers: Any) -> Any:
        if workers != "auto" and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ValueError("must be 'auto' or a number from 1 on")
        return workers

    @model_validator(mode="after")
    def _dask_has_a_scheduler(self) -> Execution:
        if (self.backend == "dask") != (self.scheduler is not None):
            raise ValueError("'scheduler' (such as tcp://host:8786) goes with 'backend: dask', and the other way round")
        return self


class StudyParams(Section):
    """One study: `reports/<name>.html` and `reports/<name>/`."""

    name: str = Field("quickstart", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    seed: int = Field(0, ge=0)
    data: Data = Data()
    grid: Grid = Grid()
    ranking: Ranking = Ranking()
    execution: Execution = Execution()


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
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def study_params(sections: dict[str, Any], source: str = "params") -> StudyParams:
    """Validate the sections of a study, as a notebook's parameters cell or a params file gives them.

    Raises:
        StudyError: as `load_params`; ``source`` is how the message calls their origin.
    """
    try:
        return StudyParams.model_validate({name: values for name, values in sections.items() if values is not None})
    except ValidationError as error:
        raise StudyError("\n".join(_sentence(problem, source) for problem in error.errors())) from None


def _sentence(problem: dict, source: str, section: tuple = ()) -> str:
    """What is wrong, in a sentence; ``section`` is where in a study the file's keys belong."""
    location = [part for part in problem["loc"] if part != "[key]" and part not in _TAGS]
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
    given = "" if isinstance(problem["input"], dict | list) else f" (given: {problem['input']!r})"
    return f"{source}: {key or 'the file'}: {message[0].lower()}{message[1:]}{given}."


_PLAIN = {
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "model_attributes_type": "must be a name, or keys with values",
    "list_type": "must be a list",
    "missing": "is missing",
    "union_tag_not_found": "needs a 'model', the name of one",
}
"""What pydantic says in the words of Python, in those of a params file."""

_MODELS = {cls.model_fields["model"].default: cls for cls in get_args(get_args(Model)[0])}
_TAGS = frozenset(_MODELS)


def _known_keys(location: tuple) -> list[str]:
    """The keys of the section at ``location``, a path of field names, list positions and model tags."""
    section: type[BaseModel] = StudyParams
    for part in location:
        if isinstance(part, int):
            continue
        if part in _MODELS:
            section = _MODELS[part]
            continue
        annotation = section.model_fields[part].annotation
        inner = [annotation, *get_args(annotation)]
        section = next((t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)), section)
    return list(section.model_fields)


def tuned_path(dataset: str, name: str) -> Path:
    """Where `studylib tune` writes the settings it has chosen, from the project's root on."""
    return Path("params") / "tuned" / f"{slug(dataset)}-{slug(name)}.yaml"


def tuned(model: Model, dataset: str) -> Model:
    """The model with the settings that were chosen for a data set: what the entry itself sets stays, and where nothing was
    chosen the defaults do.

    Raises:
        StudyError: the file has an unknown key or a value out of range.
    """
    name = getattr(model, "tuned", None)
    path = project_root() / tuned_path(dataset, name) if name else None
    if path is None or not path.exists():
        return model
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    chosen = {key: value for key, value in settings.items() if key not in model.model_fields_set}
    try:
        return with_settings(model, chosen)
    except ValidationError as error:
        section = ("ranking", "models", model.model)
        raise StudyError("\n".join(_sentence(problem, str(path), section) for problem in error.errors())) from None


def with_settings(model: Model, settings: dict[str, Any]) -> Model:
    """The model with other settings, validated."""
    return type(model).model_validate({**model.model_dump(exclude_unset=True), **settings})


def slug(label: str) -> str:
    """A label as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def project_root() -> Path:
    """The folder that holds ``notebooks/`` and ``params/``; where relative paths of a params file start."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def reports_root() -> Path:
    """``reports/`` of the project, or the folder that `studylib run --reports` names (``$STUDYLIB_REPORTS``)."""
    return Path(os.environ.get("STUDYLIB_REPORTS") or project_root() / "reports").resolve()
