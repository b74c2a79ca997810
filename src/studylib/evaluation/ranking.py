"""Ranks of the true next item: the one primitive of evaluation, from which every metric follows.

For each case, the scores of a model determine how many items score above the true one and how many others score the same.
A metric is a gain that depends on the position in the list; where items tie, the true one stands at each of the tied
positions with equal probability, and its gain is the mean over them. A model that gives all items one score therefore gets
the metrics of random guessing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from scipy.stats import rankdata

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError, quoted

TOP = 10
"""How many items from the head of each list are kept, for coverage@10."""

GAINS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "hr": lambda position, k: position <= k,
    "recall": lambda position, k: position <= k,
    "precision": lambda position, k: (position <= k) / k,
    "ndcg": lambda position, k: (position <= k) / np.log2(position + 1),
    "mrr": lambda position, k: (position <= k) / position,
}
"""Of each metric ``name@k``, the gain at a position (1 is the head of the list). One item is relevant in each case, so hit rate
and recall are the same, the ideal DCG is 1 (Shrimal & Patil 2024, section 4.1), and MAP would be MRR."""

WHOLE_LIST = {"mrr": lambda position: 1 / position, "accuracy": lambda position: position <= 1}
"""The metrics without a ``k``."""


def metric_gain(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The gain of a metric at positions (1 is the head of the list): of ``ndcg@10``, say, or ``mrr``.

    Raises:
        StudyError: there is no such metric.

    Example:
        >>> metric_gain("precision@2")(np.arange(1, 4)).tolist()
        [0.5, 0.5, 0.0]
    """
    if name in WHOLE_LIST:
        return WHOLE_LIST[name]
    kind, _, k = name.partition("@")
    if kind in GAINS and re.fullmatch("[1-9][0-9]{0,8}", k):
        return lambda position: GAINS[kind](position, int(k))
    known = ", ".join(GAINS)
    raise StudyError(
        f"There is no metric {quoted(name, 30)}: take one of {known} with the length of the list, such as ndcg@10, or "
        f"one of {' and '.join(WHOLE_LIST)}."
    )


Ties = Literal["mean", "conservative", "standard"]


class Scorer(Protocol):
    """What can be ranked: anything that scores every item as the next of a prefix."""

    has_repeats: bool
    """Whether any training session contains an item twice."""
    exclude_visited: bool | None
    """As in `rank_cases`, for validation cases."""
    memory: int | None
    """How many of the last events of a prefix the scores depend on; None: on all that the model sees."""

    def score(self, prefixes: Sessions) -> np.ndarray:
        """float (n, n_items): the higher, the likelier the item comes next."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the true items stand in the lists of a model.

    Attributes:
        above: int32 (n_cases,), items that score above the true one.
        tied: int32 (n_cases,), other items that score the same.
        top: int32 (n_cases, 10), the items at the head of the list, best first; -1 where the list is shorter. None for ranks
            that were kept: of their lists only what `listed_items` says is.
        listed: the length of each list: the catalogue's size, or the candidates and the true item.
        not_numbers: how many scores were not a number; they rank last.
        positives: int32 (n_cases, 2), how many items score above a threshold, and whether the true one does; None where
            no threshold was asked for.
    """

    above: np.ndarray
    tied: np.ndarray
    top: np.ndarray | None
    listed: int
    not_numbers: int = 0
    positives: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.above)

    def metric(self, name: str, ties: Ties = "mean") -> np.ndarray:
        """float64 (n_cases,): the gain of each case under the metric ``name`` (`metric_gain`).

        ``ties``: ``mean`` over the tied positions; ``conservative``, the true item after those that tie with it (as
        ReChorus counts); ``standard``, before them (as the official GRU4Rec counts).
        """
        gain = metric_gain(name)(np.arange(1, self.listed + 1, dtype=np.float64))
        if ties == "conservative":
            return gain[self.above + self.tied] * 1.0
        if ties == "standard":
            return gain[self.above] * 1.0
        cumulated = np.concatenate([[0.0], np.cumsum(gain)])
        return (cumulated[self.above + self.tied + 1] - cumulated[self.above]) / (self.tied + 1)

    def listed_items(self) -> np.ndarray:
        """int32: every item that is among the first ten of a list, as often as it is."""
        assert self.top is not None, "these ranks were kept without their lists"
        return self.top[self.top >= 0]


def popularity(items: np.ndarray, events: np.ndarray) -> tuple[float, float]:
    """How popular items are, against the whole catalogue.

    Args:
        items: int (n,), drawn, recommended or true items, as often as they occur.
        events: int (n_items,), how many events each item of the catalogue has in training.

    Returns:
        The share of ``items`` that is among the 1 % of the catalogue with the most events; their mean popularity as the share of
        the catalogue that has fewer events or as many (ties at their mean, so that an item drawn at random has 0.5).
    """
    percentile = (rankdata(events) - 0.5) / len(events)
    hits = np.zeros(len(events), dtype=bool)
    hits[np.argsort(-events, kind="stable")[: max(1, len(events) // 100)]] = True
    return float(hits[items].mean()), float(percentile[items].mean())


def rank_scores(
    scores: np.ndarray, target: np.ndarray, items: np.ndarray | None = None, threshold: float | None = None
) -> Ranks:
    """Rank the true item of each row.

    Args:
        scores: float (n, n_listed). A score that is not a number ranks last.
        target: int (n,), the column of the true item.
        items: int32 (n, n_listed), the item of each column; None where column and item are the same.
        threshold: also count the scores above it.
    """
    rows, listed = np.arange(len(scores)), scores.shape[1]
    not_numbers = 0
    if np.isnan(scores.min(initial=0.0)):
        missing = np.isnan(scores)
        not_numbers = int(missing.sum())
        scores = np.where(missing, -np.inf, scores)
    true = scores[rows, target][:, None]
    above = (scores > true).sum(1, dtype=np.int32)
    tied = (scores == true).sum(1, dtype=np.int32) - 1
    if not_numbers:
        tied -= (missing & (true == -np.inf)).sum(1, dtype=np.int32)
        last = missing[rows, target]
        above[last], tied[last] = listed - 1, 0
    top = np.full((len(scores), TOP), -1, np.int32)
    head = torch.from_numpy(scores).topk(min(TOP, listed)).indices.numpy()
    top[:, : head.shape[1]] = head if items is None else np.take_along_axis(items, head, 1)
    positives = None
    if threshold is not None:
        positives = np.column_stack([(scores > threshold).sum(1), true[:, 0] > threshold]).astype(np.int32)
    return Ranks(above, tied, top, listed, not_numbers, positives)


def rank_cases(
    model: Scorer,
    cases: Cases,
    history: int | None = None,
    exclude_visited: bool | None = None,
    threshold: float | None = None,
) -> dict[str, Ranks]:
    """Score the cases once and rank the true items under every protocol that the cases allow.

    Args:
        model: fitted.
        cases: with candidates, if the sampled protocol is wanted.
        history: how many of the last events of each prefix the model sees; None for all.
        exclude_visited: leave the items of the whole prefix out of the list; the true item always stays. None: where no
            training session contains an item twice.
        threshold: also count the scores above it, over the whole catalogue.

    Returns:
        ``full`` (the whole catalogue) and, with candidates, ``sampled-<n>``, as `Ranks` over the cases.
    """
    if exclude_visited is None:
        exclude_visited = not model.has_repeats
    if model.memory == 1 and not exclude_visited and cases.candidates is None:
        return {"full": _ranked_by_last_event(model, cases, threshold)}
    batches: dict[str, list[Ranks]] = {}
    n_items = cases.sessions.n_items
    batch = max(1, min(1024, 4_000_000 // n_items))
    for start in range(0, len(cases), batch):
        rows = cases.take(slice(start, start + batch))
        scores, targets = model.score(rows.prefixes(history)), rows.targets
        if exclude_visited:
            scores = _without_seen(scores, rows)
        batches.setdefault("full", []).append(rank_scores(scores, targets, threshold=threshold))
        if rows.candidates is not None:
            items = np.column_stack([targets, rows.candidates])
            first_column = np.zeros(len(rows), np.int64)
            sampled = rank_scores(np.take_along_axis(scores, items, 1), first_column, items)
            batches.setdefault(f"sampled-{rows.candidates.shape[1]}", []).append(sampled)
    return {protocol: joined(ranks) for protocol, ranks in batches.items()}


def _ranked_by_last_event(model: Scorer, cases: Cases, threshold: float | None) -> Ranks:
    """As `rank_cases`, of a model that looks at the last event alone: one list is for all cases that share it.

    In a sorted list a binary search tells how many items are above the true one, and how many score the same.
    """
    last, targets = cases.prefixes(1).items, cases.targets
    order = np.argsort(last, kind="stable")
    begins = np.flatnonzero(np.diff(last[order], prepend=-1))
    ends = np.append(begins[1:], len(order))
    n_items = cases.sessions.n_items
    above, tied = np.empty((2, len(cases)), np.int32)
    top = np.full((len(cases), TOP), -1, np.int32)
    positives = None if threshold is None else np.empty((len(cases), 2), np.int32)
    batch = max(1, 4_000_000 // n_items)
    for start in range(0, len(begins), batch):
        lists = slice(start, start + batch)
        scores = model.score(cases.take(order[begins[lists]]).prefixes(1))
        head = torch.from_numpy(scores).topk(min(TOP, n_items)).indices.numpy()
        for row, ascending, begin, end, first in zip(
            scores, np.sort(scores, 1), begins[lists], ends[lists], head, strict=True
        ):
            alike = order[begin:end]
            true = row[targets[alike]]
            least, most = (np.searchsorted(ascending, true, side) for side in ("left", "right"))
            above[alike], tied[alike] = n_items - most, most - least - 1
            top[alike, : len(first)] = first
            if positives is not None:
                positives[alike, 0], positives[alike, 1] = (row > threshold).sum(), true > threshold
    return Ranks(above, tied, top, n_items, 0, positives)


def validation_ndcg(model: Scorer, cases: Cases, history: int, protocol: str) -> float:
    """Mean NDCG@10 of the validation cases, by which settings are selected and training is stopped early.

    Args:
        model: fitted.
        history: how many of the last events of each prefix the model sees.
        protocol: ``full`` or ``sampled``.

    Raises:
        StudyError: the protocol is ``sampled`` and the cases have no candidates.
    """
    if protocol == "sampled" and cases.candidates is None:
        raise StudyError("'validation: sampled' needs validation cases with candidates (`with_candidates`).")
    ranks = rank_cases(model, cases, history, model.exclude_visited)
    name = "full" if cases.candidates is None or protocol == "full" else f"sampled-{cases.candidates.shape[1]}"
    return float(ranks[name].metric("ndcg@10").mean())


def _without_seen(scores: np.ndarray, cases: Cases) -> np.ndarray:
    """A copy of the scores with minus infinity for the items of the prefixes, but for the targets."""
    seen = cases.prefixes()
    scores = scores.copy()
    true = scores[np.arange(len(cases)), cases.targets]
    scores[seen.session_of_event, seen.items] = -np.inf
    scores[np.arange(len(cases)), cases.targets] = true
    return scores


def joined(ranks: list[Ranks], in_order: Callable[[list[np.ndarray]], np.ndarray] = np.concatenate) -> Ranks:
    """The ranks of several parts of the cases as one. ``in_order``: makes one array of those of the parts."""
    above, tied = (in_order([getattr(r, name) for r in ranks]) for name in ("above", "tied"))
    top = in_order([r.top for r in ranks if r.top is not None])
    positives = (
        None if ranks[0].positives is None else in_order([r.positives for r in ranks if r.positives is not None])
    )
    return Ranks(above, tied, top, ranks[0].listed, sum(r.not_numbers for r in ranks), positives)
