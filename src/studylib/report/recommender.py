"""A network that runs in the page: readers pick items, see its next ten and change the order (`report/assets/recommender.js`).

The page has its weights in 8 bits (`studylib.models.quantised`), at most `MOST_BYTES` of it, and asks nobody for anything.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np

from studylib.comparison import Comparison, excludes_visited
from studylib.data import synthetic
from studylib.errors import StudyError
from studylib.evaluation.ranking import rank_cases
from studylib.models.base import best_items
from studylib.models.files import load
from studylib.models.gru4rec import GRU4Rec
from studylib.models.quantised import Rows, quantised
from studylib.params.models import Gru4Rec
from studylib.params.study import Ranking, RankingDataset
from studylib.tables.names import Said
from studylib.text import visible

MOST_BYTES = 1_000_000
"""Of the network in the page, with the names of its items."""
CASES = 5_000
"""Test cases on which the rounded weights are compared with the model's own, at most: the first ones."""
LISTED = 10
START = 4
"""Events of the session to begin with, at most: the last ones of the first test case that has so many."""


@dataclass(frozen=True)
class InPage(Said):
    """A network for the page, and what its 8 bits change.

    Attributes:
        dataset, model: labels.
        network: of the rounded weights.
        html: for the ``live`` of `studylib.notebook.Study.show`; without the script of the page nothing of it is seen.
        session: the names of the items that it begins with.
        lists: the names of its ten after this session: in order, and reversed.
        cases: how many test cases were compared.
        unchanged: the share of their lists of ten that are the same with the rounded weights and with the model's own.
        before, after: NDCG@10 against the whole catalogue with the model's own weights and with the rounded ones.
        origin: what its items are, a sentence with a space behind it; empty where they are the reader's own.
    """

    dataset: str
    model: str
    network: GRU4Rec
    html: str
    session: list[str]
    lists: dict[str, list[str]]
    cases: int
    unchanged: float
    before: float
    after: float
    origin: str

    @property
    def kept(self) -> int:
        """How many items both of ``lists`` have."""
        first, second = self.lists.values()
        return len({*first} & {*second})


def in_page(comparison: Comparison, ranking: Ranking) -> tuple[InPage | None, list[str]]:
    """The first GRU4Rec of a ranking that can be shown, and for each before it why it cannot, as a sentence."""
    reasons: list[str] = []
    for dataset in ranking.datasets:
        for entry in ranking.models:
            if not isinstance(entry, Gru4Rec):
                continue
            try:
                return _in_page(comparison, ranking, dataset, entry.label), reasons
            except StudyError as reason:
                reasons.append(f"{entry.label} on {dataset.label}: {reason}")
    return None, reasons


def _in_page(comparison: Comparison, ranking: Ranking, dataset: RankingDataset, label: str) -> InPage:
    if dataset.dataset not in (None, "synthetic"):
        raise StudyError("A public data set is not handed on in a page.")
    path = comparison.models.get((dataset.label, label))
    if path is None:
        raise StudyError("The file of the model is not kept; remove ranks/ of this study to train it again.")
    model = load(path)
    network, weights = quantised(model)
    generated = dataset.dataset == "synthetic"
    names = [synthetic.item_name(item) if generated else visible(item) for item in model.vocabulary.tolist()]
    split = comparison.first_splits[dataset.label]
    first = int((split.test.prefix_lengths >= START).argmax())
    session = split.test.take(slice(first, first + 1)).prefixes(min(START, ranking.history)).items.tolist()
    html = live(network, weights, names, session)
    if len(html) > MOST_BYTES:
        raise StudyError(
            f"In 8 bits it takes {len(html) / 1e6:.1f} MB, and a page has room for {MOST_BYTES / 1e6:.0f}."
        )
    ids = model.vocabulary[session].tolist()
    orders = {"in order": ids, "reversed": ids[::-1]}
    lists = {
        order: [names[model.index_of[str(item)]] for item in network.recommend(events, LISTED)]
        for order, events in orders.items()
    }
    cases = split.test.take(slice(CASES))
    before, after = (
        rank_cases(each, cases, ranking.history, excludes_visited(ranking, split))["full"] for each in (model, network)
    )
    assert before.top is not None and after.top is not None, "they were just made"
    return InPage(
        dataset=dataset.label,
        model=label,
        network=network,
        html=html,
        session=[names[item] for item in session],
        lists=lists,
        cases=len(cases),
        unchanged=float((before.top == after.top).all(1).mean()),
        before=float(before.metric("ndcg@10", ranking.ties).mean()),
        after=float(after.metric("ndcg@10", ranking.ties).mean()),
        origin="The shop is generated, and the names of its items are made up. " if generated else "",
    )


def live(network: GRU4Rec, weights: dict[str, Rows | np.ndarray], names: list[str], session: list[int]) -> str:
    """The HTML that ``recommender.js`` makes a recommender of, in ASCII.

    Args:
        network, weights: of `quantised`.
        names: of the items, in the order of the vocabulary; text, whatever is in it.
        session: the items to begin with, by their indices.
    """
    events = network.popularity.astype(np.float64)
    popular = best_items(events[None], LISTED)[0]
    data = {
        "items": names,
        "session": session,
        "history": network.history,
        "popular": [[int(item), int(events[item])] for item in popular],
        "weights": {name: _packed(weight) for name, weight in weights.items()},
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<div class="recommender" hidden><script type="application/json">{text}</script></div>'


def _packed(weight: Rows | np.ndarray) -> dict[str, str] | str:
    """Arrays in base64, numbers of several bytes with the lowest first."""
    if isinstance(weight, Rows):
        return {"values": _base64(weight.values), "scales": _base64(weight.scales.astype("<f4"))}
    return _base64(weight.astype("<f4"))


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
