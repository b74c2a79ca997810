"""The settings of every model, and where its class is: what `ranking.models` may name, with every default in one place.

An entry is a class: its ``model`` is the name in a params file, ``implementation`` the module and class below `studylib.models`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, Union

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studylib.params.kinds import (
    Batch,
    Count,
    Depth,
    Epochs,
    Exponent,
    Fraction,
    Label,
    Rate,
    Share,
    Weight,
    Whole,
    Width,
)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Architecture = Literal["lstm", "gru", "hybrid", "hybrid-gru-lstm"]
LAYERS = {"lstm": ["lstm"], "gru": ["gru"], "hybrid": ["lstm", "gru"], "hybrid-gru-lstm": ["gru", "lstm"]}
"""Recurrent layers of each architecture from the input on. The text of section 2 of Toledo & Rezende 2020 stacks the hybrid as
LSTM then GRU, its Table 3 as GRU then LSTM."""
Cell = Literal["gru", "lstm", "hybrid", "hybrid-gru-lstm", "mingru", "minlstm", "lru"]
CELLS = LAYERS | {name: [name] for name in ("mingru", "minlstm", "lru")}
"""Recurrent layers of each cell of GRU4Rec: those of the grid, and linear recurrences (`studylib.models.cells`)."""
Protocol = Literal["full", "sampled"]
Weighting = Literal["equal", "linear", "quadratic", "harmonic"]


class ModelParams(Section):
    implementation: ClassVar[str]
    draws: ClassVar[bool] = False
    """Whether its training draws random numbers; of one that does not, all seeds have the same."""
    model: str
    label: Label
    """How tables and figures call the model; its name where there is no label."""

    added: ClassVar[frozenset[str]] = frozenset()
    """Settings that came after results were kept: at its default such a setting is no determinant, so that these stay valid."""

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the model's class."""
        return self.model_dump(exclude={"model", "label", "tuned"})

    @property
    def determinants(self) -> dict[str, Any]:
        """The settings that determine the model's numbers, by which its results are kept."""
        at_default = {name for name in self.added if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(exclude={"label", "tuned"} | at_default)


class Tunable(ModelParams):
    tuned: Label | None = None
    """Take what this entry does not set from ``params/tuned/<data set>-<this>.yaml``, where `studylib tune` has put it."""
    validation: Protocol = "full"
    """The protocol of the validation NDCG@10 that settings and epochs are selected by: the whole catalogue, or the candidates."""


class Popularity(ModelParams):
    implementation: ClassVar[str] = "baselines.Popularity"
    model: Literal["popularity"] = "popularity"
    label: Label = "popularity"


class Markov(ModelParams):
    implementation: ClassVar[str] = "baselines.Markov"
    model: Literal["markov"] = "markov"
    label: Label = "markov"


class ItemKnn(Tunable):
    """Item-kNN; the defaults were selected on validation cases of `grocery`, `ml-100k`, `yelp` and `rsc15-100k`."""

    implementation: ClassVar[str] = "neighbours.ItemKNN"
    model: Literal["item-knn"] = "item-knn"
    label: Label = "item-knn"
    decay: Share = 0.7
    """The weight of an event relative to the one after it: 0, only the last event counts; 1, all count equally."""
    shrinkage: Weight = 10.0
    """Added to the number of sessions with each item."""


class SessionKnn(Tunable):
    """V-SKNN; the defaults were selected on validation cases, as those of `ItemKnn`."""

    implementation: ClassVar[str] = "neighbours.SessionKNN"
    model: Literal["session-knn"] = "session-knn"
    label: Label = "session-knn"
    neighbours: Count = 200
    sample: Count = 1000
    """The most recent sessions that share an item, among which the neighbours are sought."""
    weighting: Weighting = "harmonic"
    """Of the items of the current session in the similarity, by how long ago their events were."""
    score_weighting: Weighting = "harmonic"
    """Of a neighbour, by how long ago the event of the latest shared item was."""
    cosine: bool = True
    """Divide by the square root of the length of the past session."""
    idf: Weight = 1.0
    """How much more rare items count: the factor of the logarithm."""


class Stan(Tunable):
    """STAN with the weight of rare items of V-STAN; the defaults are within the ranges that its authors searched."""

    implementation: ClassVar[str] = "stan.STAN"
    model: Literal["stan"] = "stan"
    label: Label = "stan"
    neighbours: Count = 500
    sample: Count = 2500
    """As of `SessionKnn`."""
    recent: Weight = Field(1.0, gt=0)
    """After how many events an item of the current session weighs 1/e in the similarity."""
    days: Weight = Field(40.0, gt=0)
    """After how many days a past session weighs 1/e."""
    near: Weight = Field(2.0, gt=0)
    """At how many events from the latest shared item an item of a past session weighs 1/e."""
    idf: Weight = 1.0
    """As of `SessionKnn`."""


class Ease(Tunable):
    """EASE with recent events weighing more."""

    implementation: ClassVar[str] = "ease.EASE"
    model: Literal["ease"] = "ease"
    label: Label = "ease"
    l2: Weight = Field(300.0, gt=0)
    """Added to the number of sessions with each item."""
    decay: Share = 0.7
    """As of `ItemKnn`."""


class Bpr(Tunable):
    """Matrix factorisation by BPR; the defaults were selected on validation cases, as those of `ItemKnn`."""

    implementation: ClassVar[str] = "factors.BPR"
    draws: ClassVar[bool] = True
    model: Literal["bpr-mf"] = "bpr-mf"
    label: Label = "bpr-mf"
    factors: Width = 64
    learning_rate: Rate = 0.1
    l2: Weight = 0.01
    fold_in: Weight = Field(2.0, gt=0)
    """Times the mean of the factors of a session's items: the factors of the session."""
    max_epochs: Epochs = Field(200, ge=10, multiple_of=10)
    patience: Count = Field(30, ge=10)
    """Epochs without a better validation NDCG@10 after which training stops; it is evaluated every 10 epochs."""


class Trained(Tunable):
    """What the neural models share: one training loop, so that only their networks differ."""

    draws: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = frozenset({"positive", "arithmetic"})

    embedding: Width = 64
    dropout_items: Fraction = 0.2
    """Of whole events, so that the network does not depend on any single one."""
    dropout_embedding: Fraction = 0.5
    dropout_hidden: Fraction = 0.4

    loss: Literal["cross-entropy", "bpr-max", "bpr", "algorithm-1"] = "cross-entropy"
    positive: Literal["next", "current"] = "next"
    """The item whose score a loss raises: the next one, or the one that the network has just seen (Shrimal & Patil 2024,
    Algorithm 1, line 11)."""
    score_activation: Literal["linear", "elu"] = "linear"
    """`bpr-max` only: of the scores in training; it does not change their order."""
    regularisation: Weight = 1.0
    """`bpr-max` only: the weight of the negatives' squared scores."""
    negatives: Whole = 512
    """Sampled negatives; with 0, or as many as the catalogue has items, the whole catalogue is scored."""
    negatives_of: Literal["batch", "case"] = "batch"
    """All cases of a batch share their negatives, or each has its own."""
    batch_negatives: bool = False
    """The targets of the other cases of the batch are negatives too."""
    alpha: Exponent = 0.5
    """Negatives are drawn with probability proportional to popularity**alpha; 0 is uniform."""
    log_q: bool = True
    """`cross-entropy` only: correct the scores for how likely each item was drawn."""

    batches: Literal["sequences", "session-parallel", "prefixes"] = "sequences"
    batch_size: Batch = 64
    """Rows a step: sessions, lanes or prefixes."""
    optimizer: Literal["adam", "adagrad"] = "adam"
    momentum: Fraction = 0.0
    """`adagrad` only."""
    learning_rate: Rate = 6e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    """cosine: the rate falls to zero over ``max_epochs``."""
    l2: Weight = 1e-5
    """Weight decay of what a step moves."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's products, where the device has it; weights and losses stay in float32."""
    arithmetic: Literal["reference", "fast"] = "reference"
    """Of a recurrent network's training without a GPU. fast: the same network, losses and updates in fewer and larger operations,
    two halves of a batch at once where there are two threads, and dropout from a generator of its own. Its numbers are others,
    but the same for any number of threads."""
    max_epochs: Epochs = 20
    patience: Count = 5
    """Epochs without a better validation NDCG@10 after which training stops."""
    validation_cases: Count = 5000
    """How many validation cases are evaluated after each epoch, at most; the same ones for every seed."""

    @model_validator(mode="after")
    def _training_agrees(self) -> Trained:
        if self.batch_negatives and self.negatives_of == "case":
            raise ValueError("'batch_negatives' goes with 'negatives_of: batch'")
        if self.score_activation == "elu" and self.loss != "bpr-max":
            raise ValueError("'score_activation: elu' goes with 'loss: bpr-max'")
        if self.arithmetic == "fast" and self.precision != "float32":
            raise ValueError("'arithmetic: fast' goes with 'precision: float32'")
        return self


class Gru4Rec(Trained):
    """Sizes of Shrimal & Patil 2024, section 4.1.

    The other defaults were found on `grocery`, where test values stood beside the validation values that they were compared by.
    `studylib tune` tries them first, and keeps them only where the validation cases of a data set prefer nothing else.
    """

    implementation: ClassVar[str] = "gru4rec.GRU4Rec"
    model: Literal["gru4rec"] = "gru4rec"
    label: Label = "gru4rec"

    added: ClassVar[frozenset[str]] = Trained.added | {"normalise", "residual", "widening"}

    cell: Cell = "gru"
    layers: Depth = 1
    """How many times the recurrent layers of ``cell`` are stacked."""
    normalise: bool = False
    """Layer normalisation of the input of every recurrent layer and feed-forward network, and of the last output."""
    residual: bool = False
    """The input of a recurrent layer is added to its output."""
    widening: Whole = Field(0, le=16)
    """After every recurrent layer a feed-forward network (GELU), this many times as wide as ``hidden``; 0: none."""
    item_embedding: Literal["shared", "separate", "none"] = "shared"
    """Scores use the rows of the input embedding, or rows of their own; none: one-hot items go into the first layer."""
    hidden: Width = 128
    input_decay: Fraction = 0.0
    """The input is a mean of the items so far, each weighted this much relative to the one after it; 0: the current item."""
    deep_input: bool = False
    """Deeper recurrent layers see the input too."""
    feed_forward: Whole = Field(0, le=100)
    """Layers (tanh) between the recurrent ones and the scores."""

    @model_validator(mode="after")
    def _first_layer_takes_the_items(self) -> Gru4Rec:
        if self.item_embedding == "none" and self.cell not in ("gru", "hybrid-gru-lstm"):
            raise ValueError("'item_embedding: none' needs a GRU as the first layer: cell 'gru' or 'hybrid-gru-lstm'")
        return self


class SasRec(Trained):
    """Self-attention over the events (Kang & McAuley 2018), trained as GRU4Rec is."""

    implementation: ClassVar[str] = "sasrec.SASRec"
    model: Literal["sasrec"] = "sasrec"
    label: Label = "sasrec"

    blocks: Depth = 2
    heads: Width = 1
    dropout_embedding: Fraction = 0.4
    dropout_hidden: Fraction = 0.4
    learning_rate: Rate = 2e-3

    @model_validator(mode="after")
    def _has_no_state(self) -> SasRec:
        if self.arithmetic == "fast":
            raise ValueError("'arithmetic: fast' needs a recurrent network")
        if self.batches == "session-parallel":
            raise ValueError("'batches: session-parallel' needs a recurrent network: take 'sequences' or 'prefixes'")
        if self.embedding % self.heads:
            raise ValueError("'embedding' must be a multiple of 'heads'")
        return self


def _entries(kind: type[ModelParams]) -> list[type[ModelParams]]:
    """The classes below ``kind`` that name a model, in the order in which they are written."""
    return [e for c in kind.__subclasses__() for e in ([c] if "implementation" in vars(c) else []) + _entries(c)]


MODELS: dict[str, type[ModelParams]] = {entry.model_fields["model"].default: entry for entry in _entries(ModelParams)}
"""The entries by their names."""

if TYPE_CHECKING:  # a type checker cannot follow a union that is put together when the module is imported
    Model: TypeAlias = ModelParams
else:
    Model = Annotated[Union[tuple(MODELS.values())], Field(discriminator="model")]  # noqa: UP007 - of a tuple
