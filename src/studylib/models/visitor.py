"""A visitor who is followed event by event: a recurrent network keeps the state of the session and moves it on by one step.

The scores are those of the whole session, whatever its length, where `Recommender.score` looks at its last ``history`` events. A
model without such a state keeps these events instead.

A step is a few products of a matrix and a vector. In PyTorch most of its time is spent on calling (0.45 ms a step of the default
network, of which the products are 0.02), so that here the layers of the network are taken over into NumPy, one function each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from scipy.special import erf, expit
from torch import nn

from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models.base import Recommender, best_items
from studylib.models.cells import LRU, GatheredRecurrence, MinGRU, MinLSTM, Recurrence, Surroundings
from studylib.models.gru4rec import GRU4Rec, Network

Map = Callable[[np.ndarray], np.ndarray]
"""Of a vector (width,) to another."""
Step = Callable[[np.ndarray, list[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]
"""Of an input (width,) and a state to an output (hidden,) and the next state."""


class Visitor:
    """One session as it goes on.

    Attributes:
        visited: the indices of the items so far; those of long ago may be removed.
        events: how many there were.

    Example:
        >>> from studylib.data.sessions import Sessions
        >>> model = GRU4Rec(max_epochs=1, device="cpu").fit(Sessions.from_lists([["a", "b", "c"]] * 20))
        >>> visitor = Visitor(model)
        >>> visitor.visit("a"), visitor.visit("nowhere"), len(visitor.recommend(k=2))
        (True, False, 2)
    """

    def __init__(self, model: Recommender):
        self.model = model
        self.follower = _follower(model)
        self.state = self.follower.start
        self.visited: list[int] = []
        self.events = 0

    def visit(self, item: object) -> bool:
        """Move the state on by one event; an item that the training never had is left out, and the answer is False."""
        index = self.model.index_of.get(str(item))
        if index is None:
            return False
        self.state = self.follower.step(index, self.state)
        self.visited.append(index)
        self.events += 1
        return True

    def copy(self) -> Visitor:
        """The session as it is now, which goes on by itself."""
        other = copy(self)  # the state is replaced at each event and never changed
        other.visited = self.visited.copy()
        return other

    def scores(self) -> np.ndarray:
        """float (n_items,): the higher, the likelier the item comes next; before the first event, its popularity."""
        return scores_of([self])[0]

    def recommend(self, k: int = 10, exclude_visited: bool = True) -> list:
        """The ``k`` items with the highest scores, as ids of the source, best first; see `Recommender.recommend`.

        Raises:
            StudyError: ``k`` is less than 1.
        """
        if k < 1:
            raise StudyError(f"{k} items cannot be recommended: 'k' must be at least 1.")
        scores = self.scores()
        if exclude_visited:
            scores[self.visited] = -np.inf
        return self.model.vocabulary[best_items(scores[None], k)[0]].tolist()


def scores_of(visitors: Sequence[Visitor]) -> np.ndarray:
    """float (n, n_items): the scores of several visitors of one model, in less time than of one after the other."""
    row = np.array([bool(visitor.visited) for visitor in visitors])
    states = [visitor.state for visitor in visitors if visitor.visited]
    scores = visitors[0].follower.scores(states) if states else np.empty((0, len(visitors[0].model.popularity)))
    if not row.all():
        all_scores = np.tile(visitors[0].model.popularity.astype(np.float32), (len(visitors), 1))
        all_scores[row] = scores
        scores = all_scores
    if np.isnan(scores.min()):
        scores[np.isnan(scores)] = -np.inf
    return scores


def _follower(model: Recommender) -> _InNumpy | _LastEvents:
    if not isinstance(model, GRU4Rec):
        return _LastEvents(model)
    made = _InNumpy.made
    network = made[model.network] = made.get(model.network) or _InNumpy(model.network)
    return network


class _LastEvents:
    """For a model without a state that moves on: its state is the last ``history`` events."""

    start: tuple[int, ...] = ()

    def __init__(self, model: Recommender):
        self.model = model

    def step(self, item: int, state: tuple[int, ...]) -> tuple[int, ...]:
        return (*state, item)[-self.model.history :]

    def scores(self, states: list[tuple[int, ...]]) -> np.ndarray:
        """float (n, n_items)."""
        offsets = np.cumsum([0, *map(len, states)])
        return np.array(
            self.model.score(Sessions(np.concatenate(states).astype(np.int32), offsets, self.model.vocabulary))
        )


class _InNumpy:
    """The network of a model, one step at a time. A state is the last output vector and the states of the layers."""

    made: ClassVar[WeakKeyDictionary[nn.Module, _InNumpy]] = WeakKeyDictionary()
    """Made once for a network and shared by all of its visitors."""

    def __init__(self, network: Network):
        self.decay, self.deep_input = network.decay, network.deep_input
        tables = {name: _array(table) for name, table in network.tables.items()}
        self.input, self.output = tables["input"], tables.get("output", tables["input"])
        self.bias = tables["bias"][:, 0]
        self.start: Any = None, [np.zeros(tensor.shape[1], np.float32) for tensor in network.start(1)]
        self.layers = [
            (_step(layer), _map(around.before), _after(around), len(layer.sizes))
            for layer, around in zip(network.layers, network.surroundings, strict=True)
        ]
        self.head = _map(network.head)

    def step(self, item: int, state: Any) -> Any:
        """The vector whose products with the items' rows are their scores, and the next state of the layers."""
        before_it = state[1]
        x, after, used = self.input[item], [], 0
        if self.decay:
            total, weight = x + self.decay * before_it[0], 1 + self.decay * before_it[1]
            x, after, used = total / weight, [total, weight], 2
        first = x
        for depth, (step, before, behind, size) in enumerate(self.layers):
            if depth and self.deep_input:
                x = np.concatenate([x, first])
            y, new = step(before(x), before_it[used : used + size])
            x, used = behind(x, y), used + size
            after = after + new
        return self.head(x), after

    def scores(self, states: list) -> np.ndarray:
        """float32 (n, n_items): each state's output vector times the items' rows, plus their bias."""
        vectors = torch.from_numpy(np.stack([vector for vector, _ in states]).astype(np.float32))
        return torch.addmm(torch.from_numpy(self.bias), vectors, torch.from_numpy(self.output).t()).numpy()


def _array(tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _map(module: nn.Module) -> Map:
    """A layer without a state; dropout does nothing after the training."""
    if isinstance(module, nn.Sequential):
        maps = [_map(part) for part in module if not isinstance(part, nn.Identity | nn.Dropout)]

        def all_of_them(x: np.ndarray) -> np.ndarray:
            for each in maps:
                x = each(x)
            return x

        return all_of_them
    if isinstance(module, nn.Linear):
        weight, bias = _array(module.weight), 0 if module.bias is None else _array(module.bias)
        return lambda x: weight @ x + bias
    if isinstance(module, nn.LayerNorm):
        weight, bias, epsilon = _array(module.weight), _array(module.bias), module.eps

        def normalised(x: np.ndarray) -> np.ndarray:
            x = x - x.mean()
            return x / np.sqrt(x @ x / len(x) + epsilon) * weight + bias

        return normalised
    functions: dict[type[nn.Module], Map] = {
        nn.Identity: lambda x: x,
        nn.Tanh: np.tanh,
        nn.GELU: lambda x: x / 2 * (1 + erf(x / np.float32(np.sqrt(2)))),
    }
    return functions[type(module)]


def _after(around: Surroundings) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """As `Surroundings.after`."""
    feed_forward = None if around.feed_forward is None else _map(around.feed_forward)
    beside = _map(around.around)

    def after(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        y = y + beside(x) if around.residual else y
        if feed_forward is None:
            return y
        return feed_forward(y) + y if around.residual else feed_forward(y)

    return after


def _step(layer: nn.Module) -> Step:
    """One step of a recurrent layer."""
    if isinstance(layer, Recurrence):
        weights = [
            _array(getattr(layer.layer, f"{name}_l0")) for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        ]
        return _gru(*weights) if isinstance(layer.layer, nn.GRU) else _lstm(*weights)
    if isinstance(layer, GatheredRecurrence):
        return _gru(None, None, _array(layer.kernel), _array(layer.bias))
    return {MinGRU: _min_gru, MinLSTM: _min_lstm, LRU: _lru}[type(layer)](layer)


def _gru(kernel, input_bias, recurrent, bias) -> Step:
    size = recurrent.shape[1]

    def step(x, state):
        inputs = x if kernel is None else kernel @ x + input_bias
        hidden = recurrent @ state[0] + bias
        gates = expit(inputs[: 2 * size] + hidden[: 2 * size])
        candidate = np.tanh(inputs[2 * size :] + gates[:size] * hidden[2 * size :])
        hidden = candidate + gates[size:] * (state[0] - candidate)
        return hidden, [hidden]

    return step


def _lstm(kernel, input_bias, recurrent, bias) -> Step:
    size, both = recurrent.shape[1], input_bias + bias

    def step(x, state):
        gates = kernel @ x + recurrent @ state[0] + both
        i, f = expit(gates[:size]), expit(gates[size : 2 * size])
        carry = f * state[1] + i * np.tanh(gates[2 * size : 3 * size])
        hidden = expit(gates[3 * size :]) * np.tanh(carry)
        return hidden, [hidden, carry]

    return step


def _min_gru(layer: MinGRU) -> Step:
    gates, size = _map(layer.gates), layer.sizes[0]

    def step(x, state):
        values = gates(x)
        z = expit(values[:size])
        hidden = state[0] + z * (values[size:] - state[0])
        return hidden, [hidden]

    return step


def _min_lstm(layer: MinLSTM) -> Step:
    gates, size = _map(layer.gates), layer.sizes[0]

    def step(x, state):
        values = gates(x)
        f, i = expit(values[:size]), expit(values[size : 2 * size])
        hidden = (f * state[0] + i * values[2 * size :]) / (f + i)
        return hidden, [hidden]

    return step


def _lru(layer: LRU) -> Step:
    into, out, size = _map(layer.into), _map(layer.out), layer.sizes[0]
    modulus, angle, scale = (
        np.exp(-np.exp(_array(layer.fading))),
        np.exp(_array(layer.turning)),
        np.exp(_array(layer.scale)),
    )
    cosine, sine = modulus * np.cos(angle), modulus * np.sin(angle)

    def step(x, state):
        new, (real, imaginary) = into(x), state
        state = [
            cosine * real - sine * imaginary + scale * new[:size],
            sine * real + cosine * imaginary + scale * new[size:],
        ]
        return out(np.concatenate(state)), state

    return step
