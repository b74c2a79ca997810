"""A network as an ONNX file, which other programs score with, without this library and without PyTorch.

The graph is put together node by node rather than traced: the recurrences are ONNX's own (GRU, LSTM) or its `Scan`, so that
sessions may have any number of events, and a file depends on no version of an exporter.

Inputs: ``items`` int64 (n, steps), indices of the items of each session, at most the last ``history`` events, padded at the end
with any index; ``lengths`` int64 (n,), how many of them are events, at least 1. Output: ``scores`` float32 (n, n_items). The
metadata has ``history`` and ``ids``, a JSON list with the id of each index.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from studylib.errors import StudyError, extra
from studylib.models.base import Recommender
from studylib.models.cells import LRU, GatheredRecurrence, MinGRU, MinLSTM, Recurrence, Surroundings
from studylib.models.gru4rec import Network
from studylib.models.neural import NeuralRecommender
from studylib.models.sasrec import AttentionNetwork

with extra("onnx"):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
"""Versions of the operators and of the format: those of 2022, which every runtime since then reads."""
MOST_BYTES = 2_000_000_000
"""Of the weights: a file cannot have more than 2 GB."""


def to_onnx(model: Recommender) -> bytes:
    """The content of the file; it scores in float32, whatever the precision of the training.

    Raises:
        StudyError: the model is no network, or too large for such a file.
    """
    if not isinstance(model, NeuralRecommender):
        raise StudyError(
            f"A model '{model.settings.label}' cannot be exported to ONNX, only GRU4Rec and SASRec can; use its model file."
        )
    size = sum(weight.numel() * 4 for weight in model.network.parameters())
    if size > MOST_BYTES:
        raise StudyError(f"The weights take {size / 1e9:.1f} GB, and an ONNX file holds at most 2; use its model file.")
    graph = _Graph()
    network = model.network
    tables = {name: graph.array(table) for name, table in network.tables.items()}
    items = graph("Transpose", "items", perm=[1, 0])
    x = graph("Gather", tables["input"], items)  # (steps, n, width), as ONNX's recurrences take it
    vectors = _recurrent(graph, network, x) if isinstance(network, Network) else _attention(graph, network, x)
    last = graph("Sub", graph("Unsqueeze", "lengths", graph.array([1])), graph.array([1]))
    vectors = graph("GatherND", graph("Transpose", vectors, perm=[1, 0, 2]), last, batch_dims=1)
    of_items = graph("MatMul", vectors, graph("Transpose", tables.get("output", tables["input"]), perm=[1, 0]))
    graph("Add", of_items, graph("Transpose", tables["bias"], perm=[1, 0]), name="scores")
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "studylib",
            [
                helper.make_tensor_value_info("items", TensorProto.INT64, ["n", "steps"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT64, ["n"]),
            ],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(model.vocabulary)])],
            graph.arrays,
        ),
        producer_name="studylib",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
    )
    helper.set_model_props(made, {"history": str(model.history), "ids": json.dumps(model.vocabulary.tolist())})
    onnx.checker.check_model(made)
    return made.SerializeToString(deterministic=True)


class _Graph:
    """Nodes as they are added; a call adds one and gives the name of its output.

    Args:
        outside: the graph around that of a `Scan`, which has the arrays of both and gives all names.
    """

    def __init__(self, outside: _Graph | None = None):
        self.outermost: _Graph = outside.outermost if outside else self
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self.names = 0

    def name(self) -> str:
        self.outermost.names += 1
        return f"v{self.outermost.names}"

    def array(self, values: Any) -> str:
        """Weights, or constants: numbers are float32, but whole ones int64."""
        if isinstance(values, Tensor):
            values = values.detach().cpu().numpy()
        values = np.asarray(values)
        values = values.astype(np.int64 if values.dtype.kind == "i" else np.float32)
        name = self.name()
        self.outermost.arrays.append(numpy_helper.from_array(values, name))
        return name

    def __call__(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        return self.several(kind, *inputs, names=[name or self.name()], **attributes)[0]

    def several(self, kind: str, *inputs: str, names: list[str], **attributes: Any) -> list[str]:
        """A node of several outputs."""
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def split(self, x: str, parts: int) -> list[str]:
        """Equal parts of the last axis."""
        return self.several("Split", x, names=[self.name() for _ in range(parts)], axis=-1)

    def scan(
        self, widths: list[int], inputs: list[str], step: Callable[[_Graph, list[str], list[str]], list[str]]
    ) -> list[str]:
        """Run over the steps of ``inputs`` (steps, n, ·) with states (n, width), zeros at first; gives the states of all steps.

        Args:
            step: adds the nodes of one step, from the states before it and its inputs to the states after it.
        """
        n = self("Slice", self("Shape", inputs[0]), self.array([1]), self.array([2]))
        zeros = [
            self("Expand", self.array(np.zeros((1, width))), self("Concat", n, self.array([width]), axis=0))
            for width in widths
        ]
        body = _Graph(self)
        before, of_step = [self.name() for _ in widths], [self.name() for _ in inputs]
        after = step(body, before, of_step)
        shown = [body("Identity", state) for state in after]
        of_body = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
            for names in ([*before, *of_step], [*after, *shown])
        ]
        made = helper.make_graph(body.nodes, "step", *of_body)
        names = [self.name() for _ in [*after, *shown]]
        self.several("Scan", *zeros, *inputs, names=names, body=made, num_scan_inputs=len(inputs))
        return names[len(widths) :]


def _recurrent(graph: _Graph, network: Network, x: str) -> str:
    """As `Network.forward`."""
    if network.decay:
        x = _weighted(graph, network.decay, network.tables["input"].shape[1], x)
    first = x
    for depth, (layer, around) in enumerate(zip(network.layers, network.surroundings, strict=True)):
        if depth and network.deep_input:
            x = graph("Concat", x, first, axis=-1)
        x = _after(graph, around, x, _layer(graph, layer, _map(graph, around.before, x)))
    return _map(graph, network.head, x)


def _weighted(graph: _Graph, decay: float, width: int, x: str) -> str:
    """The mean of the items so far, each weighted ``decay`` times the one after it."""
    weight = graph.array(np.full(width, decay))
    ones = graph("Expand", graph.array([1.0]), graph("Shape", x))

    def step(body: _Graph, before: list[str], inputs: list[str]) -> list[str]:
        return [body("Add", body("Mul", weight, state), new) for state, new in zip(before, inputs, strict=True)]

    total, weights = graph.scan([width, width], [x, ones], step)
    return graph("Div", total, weights)


def _map(graph: _Graph, module: nn.Module, x: str) -> str:
    """A layer without a state; dropout does nothing after the training."""
    if isinstance(module, nn.Sequential):
        for part in module:
            x = _map(graph, part, x)
        return x
    if isinstance(module, nn.Linear):
        return _linear(graph, module.weight, module.bias, x)
    if isinstance(module, nn.LayerNorm):
        scale, shift = graph.array(module.weight), graph.array(module.bias)
        return graph("LayerNormalization", x, scale, shift, axis=-1, epsilon=module.eps)
    if isinstance(module, nn.Tanh):
        return graph("Tanh", x)
    if isinstance(module, nn.GELU):
        share = graph("Add", graph("Erf", graph("Mul", x, graph.array(2**-0.5))), graph.array(1.0))
        return graph("Mul", graph("Mul", x, graph.array(0.5)), share)
    assert isinstance(module, nn.Identity | nn.Dropout), f"{type(module).__name__} has no place here yet"
    return x


def _linear(graph: _Graph, weight: Tensor, bias: Tensor | None, x: str) -> str:
    product = graph("MatMul", x, graph.array(weight.detach().t().contiguous()))
    return product if bias is None else graph("Add", product, graph.array(bias))


def _after(graph: _Graph, around: Surroundings, x: str, y: str) -> str:
    """As `Surroundings.after`."""
    if around.residual:
        y = graph("Add", y, _map(graph, around.around, x))
    if around.feed_forward is None:
        return y
    z = _map(graph, around.feed_forward, y)
    return graph("Add", z, y) if around.residual else z


def _layer(graph: _Graph, layer: nn.Module, x: str) -> str:
    """The outputs of a recurrent layer, (steps, n, hidden)."""
    if isinstance(layer, Recurrence):
        kind = "GRU" if isinstance(layer.layer, nn.GRU) else "LSTM"
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(layer.layer, name).detach().numpy(force=True) for name in names]
        return _standard(graph, kind, layer.sizes[0], weights, x)
    if isinstance(layer, GatheredRecurrence):
        # Its input is what goes into each gate: the product with an identity matrix.
        size = layer.sizes[0]
        kernel, bias = layer.kernel.detach().numpy(force=True), layer.bias.detach().numpy(force=True)
        return _standard(graph, "GRU", size, [np.eye(3 * size), kernel, np.zeros(3 * size), bias], x)
    return {MinGRU: _min_gru, MinLSTM: _min_lstm, LRU: _lru}[type(layer)](graph, layer, x)


_GATES = {"GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}
"""Of PyTorch's gates (r, z, n and i, f, g, o) in ONNX's order: z, r, h and i, o, f, c."""


def _standard(graph: _Graph, kind: str, size: int, weights: list[np.ndarray], x: str) -> str:
    """A recurrence that ONNX has. ``weights``: of the input, of the state, and their biases, rows by PyTorch's gates."""
    gates = _GATES[kind]
    into, kernel, *biases = (np.concatenate([np.split(rows, len(gates))[gate] for gate in gates]) for rows in weights)
    arrays = [graph.array(array[None]) for array in (into, kernel, np.concatenate(biases))]
    attributes: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    outputs = graph(kind, x, *arrays, hidden_size=size, **attributes)
    return graph("Squeeze", outputs, graph.array([1]))  # of the one direction


def _linear_recurrence(graph: _Graph, size: int, keep: str, new: str) -> str:
    """h_t = keep_t h_{t-1} + new_t."""
    return graph.scan(
        [size], [keep, new], lambda body, before, inputs: [body("Add", body("Mul", inputs[0], before[0]), inputs[1])]
    )[0]


def _min_gru(graph: _Graph, layer: MinGRU, x: str) -> str:
    z, candidate = graph.split(_map(graph, layer.gates, x), 2)
    z = graph("Sigmoid", z)
    keep = graph("Sub", graph.array(1.0), z)
    return _linear_recurrence(graph, layer.sizes[0], keep, graph("Mul", z, candidate))


def _min_lstm(graph: _Graph, layer: MinLSTM, x: str) -> str:
    f, i, candidate = graph.split(_map(graph, layer.gates, x), 3)
    f, i = graph("Sigmoid", f), graph("Sigmoid", i)
    both = graph("Add", f, i)
    new = graph("Mul", graph("Div", i, both), candidate)
    return _linear_recurrence(graph, layer.sizes[0], graph("Div", f, both), new)


def _lru(graph: _Graph, layer: LRU, x: str) -> str:
    modulus = np.exp(-np.exp(layer.fading.detach().numpy(force=True)))
    angle = np.exp(layer.turning.detach().numpy(force=True))
    scale = graph.array(layer.scale.detach().exp())
    cosine, sine = graph.array(modulus * np.cos(angle)), graph.array(modulus * np.sin(angle))
    new = [graph("Mul", scale, part) for part in graph.split(_map(graph, layer.into, x), 2)]

    def step(body: _Graph, before: list[str], inputs: list[str]) -> list[str]:
        (real, imaginary), (new_real, new_imaginary) = before, inputs
        turned_real = body("Sub", body("Mul", cosine, real), body("Mul", sine, imaginary))
        turned_imaginary = body("Add", body("Mul", sine, real), body("Mul", cosine, imaginary))
        return [body("Add", turned_real, new_real), body("Add", turned_imaginary, new_imaginary)]

    parts = graph.scan(layer.sizes, new, step)
    return _map(graph, layer.out, graph("Concat", *parts, axis=-1))


def _attention(graph: _Graph, network: AttentionNetwork, x: str) -> str:
    """As `AttentionNetwork.forward`."""
    steps = graph("Slice", graph("Shape", x), graph.array([0]), graph.array([1]))
    positions = graph("Slice", graph.array(network.positions), graph.array([0]), steps)
    x = graph("Add", x, graph("Unsqueeze", positions, graph.array([1])))
    numbers = graph("Range", graph.array(0), graph("Squeeze", steps), graph.array(1))
    later = graph("Less", graph("Unsqueeze", numbers, graph.array([1])), numbers)  # (steps, steps)
    mask = graph("Where", later, graph.array(-np.inf), graph.array(0.0))
    for block in network.blocks:
        x = graph("Add", x, _attended(graph, block.self_attn, mask, _map(graph, block.norm1, x)))
        inner = graph("Relu", _map(graph, block.linear1, _map(graph, block.norm2, x)))
        x = graph("Add", x, _map(graph, block.linear2, inner))
    return _map(graph, network.norm, x)


def _attended(graph: _Graph, attention: nn.MultiheadAttention, mask: str, x: str) -> str:
    """Scaled dot products over the steps of ``x`` (steps, n, width), by heads."""
    projected = graph.split(_linear(graph, attention.in_proj_weight, attention.in_proj_bias, x), 3)
    by_heads = graph.array([0, 0, attention.num_heads, attention.head_dim])
    query, key, value = (graph("Reshape", part, by_heads) for part in projected)
    query = graph("Transpose", query, perm=[1, 2, 0, 3])  # (n, heads, steps, ·)
    key, value = graph("Transpose", key, perm=[1, 2, 3, 0]), graph("Transpose", value, perm=[1, 2, 0, 3])
    scores = graph("Mul", graph("MatMul", query, key), graph.array(attention.head_dim**-0.5))
    weights = graph("Softmax", graph("Add", scores, mask), axis=-1)
    mixed = graph("Transpose", graph("MatMul", weights, value), perm=[2, 0, 1, 3])
    return _map(graph, attention.out_proj, graph("Reshape", mixed, graph.array([0, 0, attention.embed_dim])))
