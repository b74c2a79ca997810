"""How the names of models, data sets, levels of the grid, metrics and protocols are written where people read them.

Tables, files and params have keys; a sentence, a figure and the page have the names that people write. What is not here is a
label of a user's own and stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

_WRITTEN = {
    # models
    "markov": "Markov",
    "markov-last": "Markov (last event)",
    "item-knn": "item-kNN",
    "session-knn": "session-kNN",
    "stan": "STAN",
    "ease": "EASE",
    "bpr-mf": "BPR-MF",
    "sasrec": "SASRec",
    "gru4rec": "GRU4Rec",
    "gru4rec-lstm": "GRU4Rec (LSTM)",
    "gru4rec-hybrid": "GRU4Rec (hybrid)",
    # data sets
    "live-streaming": "Live streaming",
    "grocery": "Amazon Grocery",
    "grocery-temporal": "Amazon Grocery (split in time)",
    "grocery-in-file-order": "Amazon Grocery (the file's order)",
    "amazon-sports": "Amazon Sports",
    "amazon-video-games": "Amazon Video Games",
    "ml-100k": "MovieLens-100K",
    "ml-100k-temporal": "MovieLens-100K (split in time)",
    "ml-1m": "MovieLens-1M",
    "yelp": "Yelp",
    "yelp-2022": "Yelp 2022",
    "rsc15-100k": "RSC15 (100k sample)",
    "rsc15-64": "RSC15 (1/64)",
    "yoochoose-1-64": "YooChoose 1/64",
    "diginetica": "Diginetica",
    "retailrocket": "RetailRocket",
    "synthetic": "the generated log",
    # levels of the grid
    "lstm": "LSTM",
    "gru": "GRU",
    "hybrid-gru-lstm": "hybrid (GRU first)",
    "sgd": "SGD",
    "adam": "Adam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "keras2": "Keras 2",
    "keras3": "Keras 3",
    # measures of the grid
    "f1": "F1",
}

_METRICS = {"hr": "HR", "ndcg": "NDCG", "recall": "Recall", "mrr": "MRR"}
_PROTOCOLS = {"full": "whole catalogue", "shuffled": "whole catalogue, prefixes shuffled"}


def written(key: object) -> str:
    """The name of a model, a data set or a level of the grid.

    Example:
        >>> written("gru4rec"), written("ml-1m"), written("my own model")
        ('GRU4Rec', 'MovieLens-1M', 'my own model')
    """
    return _WRITTEN.get(str(key), str(key))


class Label(str):
    """A key that is written as `written` has it wherever a sentence has a place for it, and stays itself elsewhere.

    Example:
        >>> f"{Label('gru4rec')}", Label("gru4rec") == "gru4rec"
        ('GRU4Rec', True)
    """

    def __format__(self, spec: str) -> str:
        return format(written(str(self)), spec)


@dataclass(frozen=True)
class Said:
    """What has labels for sentences: text in the fields that `LABELS` names is a `Label`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in LABELS and isinstance(value, str):
                object.__setattr__(self, field.name, Label(value))


LABELS = frozenset(
    {
        "dataset", "model", "other", "sampled_model", "highest_model", "lowest_model", "tied", "untied", "higher", "lower",
        "above", "below", "architecture", "over", "best", "network",
    }
)  # fmt: skip
"""Fields and columns of tables that hold keys, which people read as `written` has them."""


def written_words(text: str) -> str:
    """A text of ours in which keys stand between other words; of a user's own words it would make other ones.

    Example:
        >>> written_words("hybrid-gru-lstm: less gru")
        'hybrid (GRU first): less GRU'
    """
    return re.sub(r"[\w@]+(?:-[\w@]+)*", lambda word: written(word[0]), text)


def written_metric(key: str) -> str:
    """The name of a metric of the ranking.

    Example:
        >>> written_metric("ndcg@10"), written_metric("mrr")
        ('NDCG@10', 'MRR')
    """
    name, at, depth = key.partition("@")
    return _METRICS.get(name, name) + at + depth


def written_protocol(key: str) -> str:
    """What the target is ranked against.

    Example:
        >>> written_protocol("full"), written_protocol("sampled-99")
        ('whole catalogue', '99 negatives')
    """
    name, _, number = key.partition("-")
    return f"{number} negatives" if name == "sampled" else _PROTOCOLS.get(key, key)
