"""What a study is: one pydantic model per section of a params file, with every default in one place.

The defaults are those of the quickstart, so an empty file is the quickstart.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from studylib.errors import brief, quoted
from studylib.params.kinds import (
    MOST_TRAININGS,
    NUMBER,
    Batch,
    Count,
    Duration,
    Epochs,
    Exponent,
    FilePath,
    Fraction,
    Label,
    Processes,
    Rate,
    Seed,
    Width,
    Zone,
)
from studylib.params.models import Architecture, Gru4Rec, ItemKnn, Markov, Model, Popularity, Section, SessionKnn
from studylib.paths import slug

Reader = Literal["sequences", "events", "jsonl", "rechorus", "parquet", "access-log"]
Activation = Literal["softmax", "tanh", "sigmoid"]
Optimizer = Literal["sgd", "adam", "rmsprop", "adagrad"]

_OF_EVENTS = {"user", "item", "time", "time_format", "events", "sessions"}
READER_OPTIONS = {
    "sequences": {"separator", "leading_user"},
    "events": {"separator", "header"} | _OF_EVENTS,
    "jsonl": _OF_EVENTS,
    "rechorus": set(),
    "parquet": _OF_EVENTS,
    "access-log": {"query", "sessions"},
}
"""The options that each reader takes, beside ``path``."""

MOST_COLUMNS = 1_000_000


class Synthetic(Section):
    """The generated log (`studylib.data.synthetic`)."""

    sessions: Count = Field(6000, ge=10)
    items: Count = Field(100, ge=10)
    mean_length: Annotated[float, NUMBER] = Field(6.0, gt=1, le=1e6)
    max_session: Count = Field(16, ge=2)
    popularity_exponent: Exponent = 1.0
    successors: Count = 4
    weights: tuple[Annotated[float, NUMBER], Annotated[float, NUMBER]] = (0.4, 0.45)
    """Probability that an event follows from the last item, and from the one before it; else it is drawn by popularity."""

    @field_validator("weights")
    @classmethod
    def _are_probabilities(cls, weights: tuple[float, float]) -> tuple[float, float]:
        if not (min(weights) >= 0 and sum(weights) < 1):
            raise ValueError("the two weights must not be negative and must sum to less than 1")
        return weights


class Cut(Section):
    """How the events of a user become sessions, in one of three ways."""

    gap: Duration | None = None
    """A session ends where nothing follows for longer than this, such as 30min."""
    day: Zone | None = None
    """A session ends with the day in this time zone; ``sessions: day`` is that of UTC."""
    column: str | int | None = None
    """The column of the session's id. With a column of users, ids may begin anew with each user."""

    @field_validator("column", mode="before")
    @classmethod
    def _is_a_column(cls, column: Any) -> Any:
        return _a_column(column)

    @model_validator(mode="after")
    def _one_way(self) -> Cut:
        if sum(way is not None for way in (self.gap, self.day, self.column)) != 1:
            raise ValueError("give one of 'gap' (such as 30min), 'day' (a time zone) and 'column'")
        return self


class Log(Section):
    """The source of a log and its filters: a name of the registry, or a reader with a path and its options."""

    dataset: str | None = None
    reader: Reader | None = None
    path: FilePath | None = None
    separator: str | None = None
    header: bool = True
    leading_user: bool = False
    user: str | int | None = None
    item: str | int | None = None
    time: str | int | None = None
    time_format: str | None = None
    """How times are written, if not as numbers or ISO 8601: ``%d/%m/%Y %H:%M:%S``."""
    events: dict[str, list[str | int | bool]] = {}
    """The values of a column that count, such as ``type: [view, cart]``; rows with others are left out."""
    sessions: Cut | None = None
    """None: all events of a user are one session."""
    query: bool = False
    """`access-log` only: whether the query is a part of the item."""
    synthetic: Synthetic = Synthetic()

    max_sessions: Count | None = None
    min_length: Count = Field(2, ge=2)
    min_item_support: Count | None = None
    """Items of fewer events are left out, once; sessions that this makes too short go, too."""
    k_core: Count | None = None
    """Items and sessions of fewer events are left out until there are none."""
    collapse_repeats: bool = False

    @field_validator("user", "item", "time", mode="before")
    @classmethod
    def _is_a_column(cls, column: Any) -> Any:
        return _a_column(column)

    @field_validator("sessions", mode="before")
    @classmethod
    def _a_day_is_that_of_utc(cls, sessions: Any) -> Any:
        return {"day": "UTC"} if sessions == "day" else sessions

    @field_validator("events")
    @classmethod
    def _some_values_count(cls, events: dict[str, list]) -> dict[str, list]:
        if not all(events.values()):
            raise ValueError("each column needs a list of the values that count, such as type: [view, cart]")
        return events

    @field_validator("time_format")
    @classmethod
    def _has_directives(cls, form: str | None) -> str | None:
        if form is not None and "%" not in form:
            raise ValueError("must name the parts of a time, such as %d/%m/%Y %H:%M:%S")
        return form

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
        named = self.model_fields_set & {"path", *set().union(*READER_OPTIONS.values())}
        if self.reader is None:
            if named:
                raise ValueError(f"'dataset' knows its own files: leave out {', '.join(sorted(named))}")
        elif self.path is None:
            raise ValueError(f"the reader {self.reader!r} needs a 'path'")
        elif unknown := named - {"path"} - READER_OPTIONS[self.reader]:
            options = ", ".join(sorted(READER_OPTIONS[self.reader])) or "none"
            raise ValueError(
                f"the reader {self.reader!r} has no option {', '.join(sorted(unknown))} (it has: {options})"
            )
        return self

    @property
    def names_times(self) -> bool:
        """Whether a log of a reader has times: a column of them, or a format that has them always."""
        return self.time is not None or self.reader == "access-log"

    @model_validator(mode="after")
    def _times_are_there(self) -> Log:
        if not self.names_times:
            if self.sessions and self.sessions.column is None:
                raise ValueError("'sessions' are cut by time: name the column of the times ('time')")
            if self.time_format is not None:
                raise ValueError("'time_format' is that of a column: name it ('time')")
        if self.reader == "access-log" and self.sessions and self.sessions.column is not None:
            raise ValueError("an access log has no column of sessions: cut it by 'gap' or 'day'")
        return self


def _a_column(column: Any) -> Any:
    number = isinstance(column, int) and not isinstance(column, bool) and 0 <= column < MOST_COLUMNS
    if not (column is None or isinstance(column, str) or number):
        raise ValueError("must be the name of a column or its number from 0 on")
    return column


class Data(Log):
    """The log of notebooks 01 and 02 and its 80/20 split (Toledo & Rezende 2020, section 2)."""

    dataset: str | None = "synthetic"
    max_length: Count = 40
    """Input events before the target; the last ones are kept (40 steps in Tables 1-3)."""
    test_fraction: Fraction = Field(0.2, gt=0)
    split_seed: Seed | None = None
    """None: the seed of the run, so that a seed stands for another split and another initialisation."""
    later: bool = False
    """Judge each network also on the sessions after the first ``max_sessions`` (`studylib.grid.later_cases`)."""

    @model_validator(mode="before")
    @classmethod
    def _reader_replaces_default(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("reader") is not None:
            return {"dataset": None, **values}
        return values

    @model_validator(mode="after")
    def _later_than_something(self) -> Data:
        if self.later and self.max_sessions is None:
            raise ValueError("'later: true' judges on what comes after the first 'max_sessions': give their number")
        return self


class Scale(Section):
    """Networks and other models by the number of sessions that they learn from, judged on the same later sessions."""

    sessions: list[Count]
    """How many are drawn from all but the last ``test_sessions`` of the log; a tenth of them are for validation."""
    test_sessions: Count = 20_000
    architectures: list[Architecture] = ["lstm", "gru", "hybrid", "hybrid-gru-lstm"]
    activation: Activation = "softmax"
    optimizer: Optimizer = "rmsprop"
    batch_size: Batch = 64
    max_epochs: Epochs = 100
    patience: Count = 5
    """Epochs without a better validation NDCG@10 after which the training of an architecture stops."""
    models: list[Model] = []
    """Beside the architectures; GRU4Rec is stopped as its own settings say."""
    seeds: list[Seed] = [0]

    @field_validator("sessions", "architectures", "seeds")
    @classmethod
    def _are_distinct(cls, values: list) -> list:
        return _not_empty_and_distinct(values)

    @field_validator("models", mode="before")
    @classmethod
    def _names_are_models(cls, values: Any) -> Any:
        return _models(values)

    @property
    def labels(self) -> list[str]:
        """Of the architectures and then the models."""
        return [*self.architectures, *(model.label for model in self.models)]

    @model_validator(mode="after")
    def _labels_are_distinct(self) -> Scale:
        if len(set(map(slug, self.labels))) < len(self.labels):
            raise ValueError("two entries of 'scale' have one label: give each a label of its own")
        return self


class Building(Section):
    """How the networks are built and what they learn from, where Toledo & Rezende 2020 do not say."""

    gates: Literal["sigmoid", "hard sigmoid"] = "sigmoid"
    """hard: the default of Keras before 2.3."""
    padding: Literal["masked", "zeros"] = "masked"
    """zeros: vectors of zeros before the events of each session, up to ``max_length`` steps, as any other step."""
    softmax_loss: Literal["exact", "clipped"] = "exact"
    """clipped: from probabilities within 1e-7 and 1 - 1e-7, as Keras of that time."""
    validation: Literal["held out", "learnt"] = "held out"
    """learnt: networks learn from all sessions but the test's, so that validation selects nothing."""


class Variants(Section):
    """Cells of a grid that are trained once more for each other way of building them."""

    architectures: list[Architecture] = ["lstm", "gru", "hybrid", "hybrid-gru-lstm"]
    activations: list[Activation] = ["softmax"]
    optimizers: list[Optimizer] = ["rmsprop"]
    batch_sizes: list[Batch] = [64]
    epochs: list[Epochs] = [20, 50, 100]
    ways: dict[Label, Building]
    """By label; all of these cells must be cells of the grid."""


class Grid(Section):
    """The cells of Toledo & Rezende 2020, Table 4, for each architecture of Tables 1-3."""

    architectures: list[Architecture] = ["lstm", "gru", "hybrid"]
    activations: list[Activation] = ["softmax"]
    optimizers: list[Optimizer] = ["rmsprop"]
    optimizer_settings: Literal["keras2", "keras3"] = "keras2"
    compare_settings: bool = False
    """Train the softmax cells of the fewest epochs with the other optimizer settings too."""
    learning_rate: dict[Optimizer, Rate] = {}
    batch_sizes: list[Batch] = [64]
    epochs: list[Epochs] = [5, 10]
    units: Width = 128
    seeds: list[Seed] = [0]
    building: Building = Building()
    variants: Variants | None = None
    scale: Scale | None = None

    @field_validator("architectures", "activations", "optimizers", "batch_sizes", "epochs", "seeds")
    @classmethod
    def _are_distinct(cls, values: list) -> list:
        return _not_empty_and_distinct(values)

    @model_validator(mode="after")
    def _has_the_cells_of_its_variants(self) -> Grid:
        factors = ("architectures", "activations", "optimizers", "batch_sizes", "epochs")
        for factor in factors if self.variants else ():
            if missing := set(getattr(self.variants, factor)) - set(getattr(self, factor)):
                raise ValueError(f"the {factor} of 'variants' must be of the grid's, which have no {min(missing)!r}")
        return self

    @model_validator(mode="after")
    def _can_be_trained(self) -> Grid:
        lists = (self.architectures, self.activations, self.optimizers, self.batch_sizes, self.epochs, self.seeds)
        _refuse_too_many(math.prod(len(values) for values in lists), "cells")
        return self


class RankingDataset(Log):
    """One data set of the ranking evaluation."""

    name: Label | None = None
    """How tables and figures call it; the registry's name where there is one."""
    split: Literal["leave-one-out", "temporal", "given"] | None = None
    """None: as given where the source has a split of its own, else leave-one-out."""
    equal_times: Literal["as in the file", "drawn"] = "as in the file"
    """The order of events of a session that have one time; drawn: anew for each seed."""
    test_fraction: Fraction = Field(0.1, gt=0, lt=0.5)
    """`temporal` only: the share of all events after the point in time, and again before it for validation."""
    windows: Annotated[int, NUMBER] = Field(1, ge=1, le=100)
    """`temporal` only: the last so many shares of ``test_fraction`` are tests, each of models that are trained anew on what came
    before it."""

    @model_validator(mode="after")
    def _has_a_name(self) -> RankingDataset:
        if self.dataset is None and not self.name:
            raise ValueError("a data set that is not of the registry needs a 'name'")
        return self

    @model_validator(mode="after")
    def _windows_are_in_time(self) -> RankingDataset:
        if self.windows > 1 and self.split != "temporal":
            raise ValueError("'windows' goes with 'split: temporal'")
        if self.test_fraction * (self.windows + 1) >= 1:
            raise ValueError(
                f"{self.windows} 'windows' of 'test_fraction', and as much for validation, leave nothing to train on"
            )
        return self

    @property
    def label(self) -> str:
        return self.name or self.dataset or ""


class InMemory(RankingDataset):
    """A data set that is no file but `Sessions` (`studylib.evaluate`): its name, and how it is split."""

    @model_validator(mode="after")
    def _one_source(self) -> InMemory:
        return self


class Ablation(Section):
    """The effect of each choice of the training: GRU4Rec changed one step at a time."""

    datasets: list[str]
    """Of the ranking's data sets, by their labels."""
    seeds: list[Seed] = [0]
    steps: list[Gru4Rec]
    """Each needs a label, and keeps what the steps before it have set."""

    @field_validator("steps", mode="before")
    @classmethod
    def _steps_add_up(cls, steps: Any) -> Any:
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            return steps
        # A key that no step can have is complained of in the step that has it alone.
        known = Gru4Rec.model_fields.keys()
        return list(
            itertools.accumulate(steps, lambda before, step: {k: before[k] for k in known & before.keys()} | step)
        )

    @field_validator("steps")
    @classmethod
    def _steps_have_labels(cls, steps: list[Gru4Rec]) -> list[Gru4Rec]:
        if len({slug(step.label) for step in steps}) < max(2, len(steps)):
            raise ValueError("there must be at least two steps, each with a label of its own")
        return steps


class Ranking(Section):
    """The ranking evaluation of Shrimal & Patil 2024, section 4.1."""

    datasets: list[RankingDataset] = [RankingDataset(dataset="synthetic")]
    models: list[Model] = [Popularity(), Markov(), Gru4Rec()]
    history: Count = 20
    """How many of the last events of a prefix a model sees (Shrimal & Patil 2024, section 4.1)."""
    candidates: Count = 99
    exclude_visited: bool | None = None
    """Leave the items of the session out of the lists; None: where no training session contains an item twice."""
    ties: Literal["mean", "conservative", "standard"] = "mean"
    seeds: list[Seed] = [0]
    ablation: Ablation | None = None
    recommender: RankingDataset | None = None
    """A data set on which a GRU4Rec is trained for the readers of the page to try; None: the first that can be shown of those
    that the study compares (`studylib.report.recommender`)."""

    @field_validator("datasets", mode="before")
    @classmethod
    def _names_are_datasets(cls, values: Any) -> Any:
        return [_dataset(value) for value in values] if isinstance(values, list) else values

    @field_validator("recommender", mode="before")
    @classmethod
    def _name_is_a_dataset(cls, value: Any) -> Any:
        return _dataset(value)

    @field_validator("models", mode="before")
    @classmethod
    def _names_are_models(cls, values: Any) -> Any:
        return _models(values)

    @field_validator("datasets", "models")
    @classmethod
    def _not_empty(cls, values: list) -> list:
        if not values:
            raise ValueError("the list must not be empty")
        return values

    @field_validator("seeds")
    @classmethod
    def _are_distinct(cls, values: list) -> list:
        return _not_empty_and_distinct(values)

    @model_validator(mode="after")
    def _labels_are_distinct(self) -> Ranking:
        """In the names of files too, where "a b" and "a-b" are one label."""
        for kind, entries in (("model", self.models), ("data set", self.datasets)):
            labels = {slug(entry.label): entry.label for entry in entries}
            for entry in entries:
                if labels.pop(slug(entry.label), None) is None:
                    raise ValueError(
                        f"two entries are the {kind} {quoted(entry.label)} in the names of files: "
                        "give each a label of its own"
                    )
        return self

    @model_validator(mode="after")
    def _can_be_trained(self) -> Ranking:
        _refuse_too_many(len(self.datasets) * len(self.models) * len(self.seeds), "trainings")
        if self.ablation:
            steps = self.ablation
            _refuse_too_many(len(steps.datasets) * len(steps.steps) * len(steps.seeds), "trainings of the ablation")
        return self

    @model_validator(mode="after")
    def _ablation_has_its_datasets(self) -> Ranking:
        labels = [dataset.label for dataset in self.datasets]
        if self.ablation and (unknown := [name for name in self.ablation.datasets if name not in labels]):
            known = brief(", ".join(labels), 100)
            raise ValueError(f"the ablation's data set {quoted(unknown[0])} is none of the ranking's: {known}")
        return self

    @model_validator(mode="after")
    def _recommender_has_a_label_of_its_own(self) -> Ranking:
        if self.recommender and slug(self.recommender.label) in [slug(dataset.label) for dataset in self.datasets]:
            raise ValueError(
                f"the recommender's data set {quoted(self.recommender.label, 40)} is one of the ranking's, whose network is "
                "shown anyway: leave 'recommender' out"
            )
        return self

    @property
    def parts(self) -> list[Ranking]:
        """All evaluations that the study makes: this one, that of the ablation and that of the recommender's data set."""
        return [self, *([self.ablated] if self.ablation else []), *([self.tried] if self.recommender else [])]

    @property
    def tried(self) -> Ranking:
        """The evaluation that has the network for the readers of the page to try."""
        if self.recommender is None:
            return self
        changed = {"datasets": [self.recommender], "models": [Gru4Rec()], "seeds": self.seeds[:1]}
        return self.model_copy(update=changed | {"ablation": None, "recommender": None})

    @property
    def ablated(self) -> Ranking:
        """The evaluation of the ablation's steps in place of the models.

        Raises:
            ValueError: there is no ablation.
        """
        if self.ablation is None:
            raise ValueError("there is no 'ranking.ablation'")
        datasets = [dataset for dataset in self.datasets if dataset.label in self.ablation.datasets]
        changed = {"datasets": datasets, "models": self.ablation.steps, "seeds": self.ablation.seeds}
        return self.model_copy(update=changed | {"ablation": None, "recommender": None})


def _dataset(value: Any) -> Any:
    """A name alone is a data set of the registry."""
    return {"dataset": value} if isinstance(value, str) else value


def _models(values: Any) -> Any:
    """A name alone is a model with its defaults."""
    return [{"model": v} if isinstance(v, str) else v for v in values] if isinstance(values, list) else values


def _not_empty_and_distinct(values: list) -> list:
    if not values or len(set(values)) < len(values):
        raise ValueError("the list must not be empty and must not name a value twice")
    return values


def _refuse_too_many(number: int, what: str) -> None:
    if number > MOST_TRAININGS:
        raise ValueError(f"the lists ask for {number:,} {what}, more than {MOST_TRAININGS:,}: shorten them")


class Execution(Section):
    backend: Literal["loky", "dask"] = "loky"
    """Processes of this machine, or the workers of a Dask cluster."""
    scheduler: str | None = None
    """The address of the cluster's scheduler, such as ``tcp://host:8786``; `dask` only."""
    workers: Literal["auto"] | Processes = "auto"
    """`loky` only: trainings side by side; auto: as many as the machine has cores for."""
    threads_per_worker: Processes = 1
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


OWN_LOG_MODELS = (Popularity(), Markov(), ItemKnn(), SessionKnn(), Gru4Rec())
"""What is compared on a log of one's own, unless the study names models."""
OWN_LOG_BUDGET = "10min"
"""Of these models: on two cores some trials of GRU4Rec on 20,000 sessions, and the page within a quarter of an hour."""


class StudyParams(Section):
    """One study: `reports/<name>.html` and `reports/<name>/`."""

    name: str = "quickstart"
    seed: Seed = 0
    data: Data = Data()
    grid: Grid = Grid()
    ranking: Ranking = Ranking()
    execution: Execution = Execution()
    budget: Duration | None = None
    """Of a log of one's own: how long networks and BPR may take in all, such as 20min (`studylib.budget`). None: as long as they
    take with their settings, but `OWN_LOG_BUDGET` where the study names no models either."""

    @property
    def is_own_log(self) -> bool:
        """Whether the study is of a log of one's own: ``data`` with a reader, and no ``grid``, not even an empty one. It knows
        nothing of the papers."""
        return self.data.reader is not None and "grid" not in self.model_fields_set

    @model_validator(mode="after")
    def _own_log_is_declared_once(self) -> StudyParams:
        """The models of the ranking are judged on a log of one's own, unless the ranking names data sets."""
        given = self.ranking.model_fields_set
        if self.is_own_log and "datasets" not in given:
            log = {
                key: getattr(self.data, key) for key in self.data.model_fields_set & RankingDataset.model_fields.keys()
            }
            split = "temporal" if self.data.names_times else "leave-one-out"  # what comes later is not known to anyone
            datasets = [RankingDataset(**{"name": self.name, "split": split, "test_fraction": 0.1} | log)]
            models = self.ranking.models if "models" in given else list(OWN_LOG_MODELS)
            ranking = Ranking(**dict(self.ranking) | {"datasets": datasets, "models": models})
            object.__setattr__(self, "ranking", ranking)
            if self.budget is None and "models" not in given:
                object.__setattr__(self, "budget", OWN_LOG_BUDGET)
        return self

    @model_validator(mode="after")
    def _budget_is_for_one_log(self) -> StudyParams:
        if self.budget is not None and not (self.is_own_log and len(self.ranking.datasets) == 1):
            raise ValueError("'budget' is for a study of one log of one's own ('data' with a reader, and no 'grid')")
        return self

    @field_validator("name")
    @classmethod
    def _is_a_file_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name):
            raise ValueError(
                "must be a letter or digit and at most 99 more, or hyphens and underscores, as it names files"
            )
        if re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9]", name.lower()):
            raise ValueError("is a name that Windows keeps for itself, take another")
        return name
