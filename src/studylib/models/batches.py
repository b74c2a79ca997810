"""Training batches: three ways to cut sessions into them, and the sampling of negatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from studylib.data.sessions import Cases, Sessions


@dataclass(frozen=True)
class Batch:
    """The inputs and targets of one training step.

    Attributes:
        inputs: int64 (n, steps), the items; after the end of a session its last item again.
        targets: int64 (n, steps), the item that came next; -1 where there is no case.
        lanes: None where every row starts from the initial state; else int64 (n,), the row of the previous batch that this
            one continues, and -1 where a new session begins.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lanes: np.ndarray | None = None


def sequences(sessions: Sessions, batch_size: int, history: int, random: np.random.Generator) -> Iterator[Batch]:
    """Every position is a case: one pass over sessions in batches of similar length, cut into pieces of at most
    ``history`` cases.
    """
    pieces = cut(sessions, history + 1)
    shuffled = random.permutation(len(pieces))
    by_length = shuffled[np.argsort(pieces.lengths[shuffled], kind="stable")]
    for start in random.permutation(np.arange(0, len(pieces), batch_size)):
        items, lengths = pad(pieces, by_length[start : start + batch_size])
        is_case = np.arange(1, items.shape[1]) < lengths[:, None]
        yield Batch(items[:, :-1], np.where(is_case, items[:, 1:], -1))


def prefixes(sessions: Sessions, batch_size: int, history: int, random: np.random.Generator) -> Iterator[Batch]:
    """Every prefix is a row of its own, and only its last position is a case (what ReChorus runs)."""
    targets = np.ones(len(sessions.items), dtype=bool)
    targets[sessions.offsets[:-1]] = False
    cases = Cases(sessions, random.permutation(np.flatnonzero(targets)))
    for start in range(0, len(cases), batch_size):
        rows = cases.take(slice(start, start + batch_size))
        inputs, lengths = pad(rows.prefixes(history), np.arange(len(rows)))
        is_case = np.arange(inputs.shape[1]) == lengths[:, None] - 1
        yield Batch(inputs, np.where(is_case, rows.targets.astype(np.int64)[:, None], -1))


def session_parallel(sessions: Sessions, lanes: int, history: int, random: np.random.Generator) -> Iterator[Batch]:
    """One step of ``lanes`` sessions side by side; the next session takes over where one ends (Hidasi et al. 2016, section 3.1.1;
    Shrimal & Patil 2024, section 2.2). When no session is left the lanes become fewer, so that no event is lost.

    ``history`` is not used: the state is carried from the first event of a session to its last.
    """
    waiting = random.permutation(np.flatnonzero(sessions.lengths > 1))
    first, last = sessions.offsets[:-1][waiting], sessions.offsets[1:][waiting] - 1
    lanes = min(lanes, len(waiting))
    at, end, begun = first[:lanes].copy(), last[:lanes].copy(), lanes
    continues = np.full(lanes, -1)
    while len(at):
        yield Batch(sessions.items[at, None].astype(np.int64), sessions.items[at + 1, None].astype(np.int64), continues)
        at += 1
        continues = np.arange(len(at))
        ended = np.flatnonzero(at == end)
        replaced, closed = np.split(ended, [max(0, min(len(ended), len(waiting) - begun))])
        following = np.arange(begun, begun + len(replaced))
        at[replaced], end[replaced], continues[replaced] = first[following], last[following], -1
        begun += len(replaced)
        if len(closed):
            open_lanes = np.delete(np.arange(len(at)), closed)
            at, end, continues = at[open_lanes], end[open_lanes], continues[open_lanes]


BATCHES: dict[str, Callable[..., Iterator[Batch]]] = {
    "sequences": sequences,
    "prefixes": prefixes,
    "session-parallel": session_parallel,
}


def cut(sessions: Sessions, length: int) -> Sessions:
    """Cut sessions into pieces of at most ``length`` events, from the end.

    Neighbouring pieces share an event, which is the last target of one and the first input of the next, so that every event
    but the first of a session is a target exactly once. Sessions of one event are left out.
    """
    n_pieces = np.maximum(-(-(sessions.lengths - 1) // (length - 1)), 0)
    session = np.repeat(np.arange(len(sessions)), n_pieces)
    last_piece = np.cumsum(n_pieces) - 1
    from_end = last_piece[session] - np.arange(len(session))
    end = sessions.offsets[1:][session] - from_end * (length - 1)
    start = np.maximum(end - length, sessions.offsets[:-1][session])
    lengths = end - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    events = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Sessions(sessions.items[events], offsets, sessions.vocabulary)


def pad(sessions: Sessions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sessions ``rows`` as int64 (n, longest), padded with their last item, and their lengths, int64 (n,)."""
    lengths = sessions.lengths[rows]
    column = np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    return sessions.items[sessions.offsets[rows][:, None] + column].astype(np.int64), lengths


class NegativeSampler:
    """Draws items in proportion to popularity**alpha (0: uniform).

    Items that do not occur in training are drawn as if they occurred once, so that every item can be a negative.

    Attributes:
        probability: float64 (n_items,), of an item at each draw.
        share: float64 (n_items,), of an item among the events, which is how often it is the target of another case.
    """

    BULK = 2**18
    """Items drawn at a time: a call a step would cost more than the draws."""

    def __init__(self, popularity: np.ndarray, alpha: float, device: str):
        weights = np.maximum(popularity, 1) ** alpha
        self.probability = torch.from_numpy(weights / weights.sum()).to(device)
        self.cumulated = self.probability.cumsum(0)
        self.share = torch.from_numpy(popularity / popularity.sum()).to(device)
        self.drawn, self.used = self.cumulated.new_empty(0, dtype=torch.int64), 0

    def draw(self, *shape: int) -> Tensor:
        """int64 of this shape, with replacement."""
        count = int(np.prod(shape))
        if self.used + count > len(self.drawn):
            uniform = torch.rand(max(self.BULK, count), dtype=torch.float64, device=self.cumulated.device)
            self.drawn = torch.searchsorted(self.cumulated, uniform).clamp_(max=len(self.cumulated) - 1)
            self.used = 0
        self.used += count
        return self.drawn[self.used - count : self.used].view(shape)
