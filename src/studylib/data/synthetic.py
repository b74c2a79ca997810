"""A generated log with Zipf popularity and Markov structure, whose best possible prediction is known exactly.

The next event follows the mixture transition distribution model of order 2 (Raftery 1985, "A model for high-order
Markov chains", J. R. Stat. Soc. B 47): with one probability it is a successor of the last item, with another a
successor of the item before it, else it is drawn by popularity. A first-order Markov chain captures a part of this only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from scipy.optimize import brentq

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.params.study import Synthetic

TAIL = 3.0
"""How fast long sessions become rare: P(length > x) falls as x**-TAIL. Lengths of real logs have such a long tail."""

CHUNK = 2_000_000
"""Probabilities held at once by `Chain.ceiling`, and events written at once by `write_sequences`."""

COLOURS = ("red", "orange", "yellow", "green", "blue", "violet", "brown", "black", "white", "grey")
THINGS = ("lamp", "chair", "cup", "book", "coat", "clock", "bag", "bowl", "ring", "kite")


def item_name(item: int) -> str:
    """A name for an id, which is easier to keep in mind than a number and means as little.

    Example:
        >>> item_name(0), item_name(42), item_name(142)
        ('red lamp', 'yellow coat', 'yellow coat 2')
    """
    number, place = divmod(item, 100)
    return f"{COLOURS[place % 10]} {THINGS[place // 10]}" + (f" {number + 1}" if number else "")


@dataclass(frozen=True, eq=False)
class Chain:
    """The process that a log was generated from.

    Ids are those of the source, 0 to items - 1, not indices into a vocabulary, so the chain also serves a log from
    which whole sessions, their beginnings or items that do not occur were left out. Where events between others were left
    out (k-core, collapsed repeats) it no longer is the process of the log.

    Attributes:
        popularity: float64 (items,), the probability of each id for an event that follows from no other.
        successors: int32 (2, items, k), the k distinct successors of each id, as the last event and as the
            one before it.
        shares: float64 (k,), the probabilities of an id's successors, descending.
        weights: how often an event follows from the last one and from the one before it. The weight of an event that a
            session does not have yet goes to popularity.
    """

    popularity: np.ndarray
    successors: np.ndarray
    shares: np.ndarray
    weights: tuple[float, float]

    def probabilities(self, prefixes: Sessions) -> np.ndarray:
        """The distribution of the next item after each prefix, given that it is one of the vocabulary.

        Only the last two events matter. A prefix of one event is taken as the start of its session, so a history
        must not be cut to less than two.

        Returns:
            float64 (n, prefixes.n_items) in the order of ``prefixes.vocabulary``; each row sums to 1.
        """
        lengths = prefixes.lengths
        by_popularity = np.ones(len(prefixes))
        by_successors = np.zeros((len(prefixes), len(self.popularity)))
        for lag, weight, successors in zip((1, 2), self.weights, self.successors, strict=True):
            rows = np.flatnonzero(lengths >= lag)
            origins = prefixes.vocabulary[prefixes.items[prefixes.offsets[1:][rows] - lag]]
            by_popularity[rows] -= weight
            by_successors[rows[:, None], successors[origins]] += weight * self.shares
        joint = (by_successors + by_popularity[:, None] * self.popularity)[:, prefixes.vocabulary]
        return joint / joint.sum(axis=1, keepdims=True)

    def ceiling(self, prefixes: Sessions, ks: Sequence[int] = (5, 10)) -> dict[str, float]:
        """The expected metrics of the best possible ranking, the one by the true probabilities, after these prefixes.

        The expectation is over the next item, and exact. It is not a bound on the metrics of one test set, which vary
        around it as the targets that happened do. The whole vocabulary is ranked. Items of equal probability may be
        ranked in any order without changing it.

        Returns:
            ``hr@k`` and ``ndcg@k`` for each k, and ``mrr``; each the mean over the prefixes, between 0 and 1.
        """
        at_rank = np.zeros(prefixes.n_items)  # the probability that the next item is the one at this rank
        step = max(1, CHUNK // len(self.popularity))
        for start in range(0, len(prefixes), step):
            probabilities = self.probabilities(_slice(prefixes, start, start + step))
            probabilities.sort(axis=1)
            at_rank += probabilities[:, ::-1].sum(axis=0)
        at_rank /= len(prefixes)
        ranks = np.arange(1, prefixes.n_items + 1)
        gains = at_rank / np.log2(ranks + 1)
        hit_rates = {f"hr@{k}": float(at_rank[:k].sum()) for k in ks}
        ndcgs = {f"ndcg@{k}": float(gains[:k].sum()) for k in ks}
        return {**hit_rates, **ndcgs, "mrr": float((at_rank / ranks).sum())}


@dataclass(frozen=True, eq=False)
class SyntheticLog:
    """A generated log and the process that it came from."""

    sessions: Sessions
    chain: Chain


def generate(options: Synthetic, seed: int) -> SyntheticLog:
    """Generate a log; the same options and seed give the same log.

    Lengths are 1 plus a geometric-like number whose rate varies from session to session (a discretised Lomax
    distribution), cut off at ``max_session`` and with the mean that was asked for. Sessions of one event do occur.

    Returns:
        The log. Its vocabulary is all ids from 0 to items - 1 (int64), whether they occur or not.

    Raises:
        StudyError: there are fewer items than successors, or no length up to ``max_session`` has this mean.
    """
    if options.successors > options.items:
        raise StudyError(
            f"synthetic: {options.items:,} items are too few for {options.successors:,} successors each: "
            "raise 'items' or lower 'successors'."
        )
    if options.mean_length >= options.max_session:
        raise StudyError(
            f"synthetic: sessions of at most {options.max_session:,} events cannot have a mean of "
            f"{options.mean_length:,}: raise 'max_session' or lower 'mean_length'."
        )
    rng = np.random.default_rng(seed)
    chain = _draw_chain(options, rng)
    lengths = _draw_lengths(options, rng)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return SyntheticLog(Sessions(_walk(chain, offsets, rng), offsets, np.arange(options.items)), chain)


def _draw_chain(options: Synthetic, rng: np.random.Generator) -> Chain:
    items, k = options.items, options.successors
    zipf = np.arange(1, items + 1) ** -options.popularity_exponent
    by_rank = rng.permutation(items).astype(np.int32)  # so that an id tells nothing of its popularity
    popularity = np.empty(items)
    popularity[by_rank] = zipf / zipf.sum()
    # The items are dealt into k hands by their popularity; an item's successors are one of each hand, drawn by
    # popularity. So they are distinct without drawing anything twice.
    successors = np.empty((2, items, k), np.int32)
    for table in successors:
        hand_of = (rng.integers(k, size=(items, 1)) + np.arange(k)) % k
        for hand in range(k):
            table[hand_of == hand] = by_rank[hand::k][_draw(_cumulative(zipf[hand::k]), items, rng)]
    shares = 1 / np.arange(1, k + 1)
    return Chain(popularity, successors, shares / shares.sum(), options.weights)


def _draw_lengths(options: Synthetic, rng: np.random.Generator) -> np.ndarray:
    shorter = np.arange(options.max_session)
    # The mean of a length is the sum of P(length > x) over x = 0, 1, ...
    scale = brentq(lambda scale: ((1 + shorter / scale) ** -TAIL).sum() - options.mean_length, 1e-6, 1e12)
    beyond_first = scale * rng.pareto(TAIL, options.sessions)
    return 1 + np.minimum(beyond_first, options.max_session - 1).astype(np.int64)


def _walk(chain: Chain, offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int32 (n_events,): the items, drawn step by step for all sessions that are still running."""
    lengths = np.diff(offsets)
    longest_first = np.argsort(-lengths, kind="stable")
    starts = offsets[:-1][longest_first]
    running = len(lengths) - np.cumsum(np.bincount(lengths))  # sessions of more than t events
    by_popularity, by_share = _cumulative(chain.popularity), _cumulative(chain.shares)
    items = np.empty(offsets[-1], np.int32)
    last = before = np.empty(0, np.int32)
    for t in range(lengths.max()):
        n = running[t]
        source = rng.random(n)
        first, second = chain.weights[0] * (t >= 1), chain.weights[1] * (t >= 2)
        drawn = np.empty(n, np.int32)
        follows = [source < first, (source >= first) & (source < first + second)]
        for successors, origins, rows in zip(
            chain.successors, (last, before), map(np.flatnonzero, follows), strict=True
        ):
            if len(rows):
                drawn[rows] = successors[origins[rows], _draw(by_share, len(rows), rng)]
        rest = np.flatnonzero(source >= first + second)
        drawn[rest] = _draw(by_popularity, len(rest), rng)
        items[starts[:n] + t] = drawn
        last, before = drawn, last
    return items


def _cumulative(weights: np.ndarray) -> np.ndarray:
    cumulative = np.cumsum(weights)
    return cumulative / cumulative[-1]


def _draw(cumulative: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return np.searchsorted(cumulative, rng.random(n), side="right")


def write_sequences(sessions: Sessions, path: str | Path, separator: str = "|") -> None:
    """Write one line per session, its ids in order, as the reader ``sequences`` reads it.

    Args:
        sessions: of any size; they are written in pieces.
        path: the file, which is replaced.
        separator: what stands between ids; none may contain it.
    """
    ids = pl.Series(sessions.vocabulary).cast(pl.String)
    ends = np.searchsorted(sessions.offsets, np.arange(CHUNK, len(sessions.items) + CHUNK, CHUNK), side="left")
    with open(path, "wb") as file:
        start = 0
        for end in np.unique(np.minimum(ends, len(sessions))):
            piece = _slice(sessions, start, end)
            piece_ids = ids.gather(piece.items).to_arrow()
            lines = pl.Series(pa.LargeListArray.from_arrays(piece.offsets, piece_ids)).list.join(separator)
            lines.to_frame().write_csv(file, include_header=False, quote_style="never")
            start = end


def _slice(sessions: Sessions, start: int, end: int) -> Sessions:
    """Sessions ``start`` to ``end``, without copying their events."""
    offsets = sessions.offsets[start : end + 1]
    return Sessions(sessions.items[offsets[0] : offsets[-1]], offsets - offsets[0], sessions.vocabulary)
