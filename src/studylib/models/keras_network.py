"""The networks, losses and optimizers of Toledo & Rezende 2020 (Tables 1-3) in Keras 3, written with `keras.ops` alone.

The paper feeds one-hot vectors to `LSTM(128)`, `Dense` and `Activation`. A one-hot vector times the input kernel is a row
of that kernel, so the rows are gathered and no one-hot tensor is ever made; the network and its training are the same.

`KERAS_BACKEND` must be set before this module is imported (`studylib.execution.configure` does).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from studylib.errors import extra
from studylib.params.models import LAYERS

with extra("keras"):
    import keras
    from keras import ops

ACTIVATIONS: dict[str, Callable] = {"softmax": ops.softmax, "tanh": ops.tanh, "sigmoid": ops.sigmoid}

GATES: dict[str, Callable] = {
    "sigmoid": ops.sigmoid,
    "hard sigmoid": lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0),
}
"""The activation of the gates; the hard one is that of Keras before 2.3, which Keras 3 has under this name with another slope."""

UNROLLED_STEPS = 8
"""Sequences up to this length are trained with the steps written out one after another."""


@keras.saving.register_keras_serializable("studylib")
class GatheredInput(keras.layers.Layer):
    """Input kernel and bias of a recurrent layer, applied to item indices: (batch, steps) to (batch, steps, width).

    Index -1 is padding: masked, or else a vector of zeros like any other.
    """

    def __init__(self, n_items: int, width: int, kernel_initializer, bias_initializer, masked: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.n_items, self.width, self.masked = n_items, width, masked
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(self.n_items, self.width), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.width,), initializer=self.bias_initializer, name="bias")

    def call(self, items):
        # The product makes the kernel's gradient dense: on TensorFlow that of a gathered variable has one entry per event,
        # and the optimizers of Keras 3 square such entries without summing those of the same row first.
        rows = ops.take(self.kernel * 1.0, ops.maximum(items, 0), axis=0)
        return (rows if self.masked else rows * ops.cast(items >= 0, rows.dtype)[:, :, None]) + self.bias

    def compute_mask(self, items, mask=None):
        return items >= 0 if self.masked else None


class RecurrentCell(keras.layers.Layer):
    """A step from an input that is multiplied by the input kernel already, (batch, gates x units)."""

    gates: int

    def __init__(self, units: int, recurrent_initializer, gate: Callable = ops.sigmoid, **kwargs):
        super().__init__(**kwargs)
        self.units, self.output_size, self.gate = units, units, gate
        self.recurrent_initializer = recurrent_initializer

    def build(self, input_shape):
        shape = (self.units, self.gates * self.units)
        self.recurrent_kernel = self.add_weight(
            shape=shape, initializer=self.recurrent_initializer, name="recurrent_kernel"
        )


class LSTMCell(RecurrentCell):
    """As `keras.layers.LSTMCell`; gates in its order: input, forget, candidate, output."""

    gates = 4

    def __init__(self, units: int, *args, **kwargs):
        super().__init__(units, *args, **kwargs)
        self.state_size = [units, units]

    def call(self, inputs, states, training=False):
        hidden, carry = states
        i, f, c, o = ops.split(inputs + ops.matmul(hidden, self.recurrent_kernel), 4, axis=-1)
        carry = self.gate(f) * carry + self.gate(i) * ops.tanh(c)
        hidden = self.gate(o) * ops.tanh(carry)
        return hidden, [hidden, carry]

    @staticmethod
    def bias_initializer(shape, dtype=None):
        """Zeros, and ones for the forget gate."""
        units = shape[0] // 4
        return ops.cast(ops.repeat(ops.array([0.0, 1.0, 0.0, 0.0]), units), dtype or "float32")


class GRUCell(RecurrentCell):
    """As `keras.layers.GRUCell` with ``reset_after=False``, the default of Keras 2; gates: update, reset, candidate."""

    gates = 3
    bias_initializer = "zeros"

    def __init__(self, units: int, *args, **kwargs):
        super().__init__(units, *args, **kwargs)
        self.state_size = units

    def call(self, inputs, states, training=False):
        hidden = states[0] if isinstance(states, list | tuple) else states
        recurrent_gates, recurrent_candidate = (
            self.recurrent_kernel[:, : 2 * self.units],
            self.recurrent_kernel[:, 2 * self.units :],
        )
        z, r = ops.split(self.gate(inputs[:, : 2 * self.units] + ops.matmul(hidden, recurrent_gates)), 2, axis=-1)
        candidate = ops.tanh(inputs[:, 2 * self.units :] + ops.matmul(r * hidden, recurrent_candidate))
        hidden = z * hidden + (1 - z) * candidate
        return hidden, [hidden]


CELLS = {"lstm": LSTMCell, "gru": GRUCell}


def build_network(
    architecture: str, n_items: int, units: int, steps: int, seed: int = 0, gates: str = "sigmoid", masked: bool = True
) -> keras.Model:
    """The network up to the linear `Dense` layer: int32 (batch, steps), -1 for padding, to float32 (batch, n_items).

    Initial weights are Keras's (uniform after Glorot, orthogonal for the recurrent kernels), each drawn from a seed of its
    own: Keras's default draws from the random state of the whole process, which other threads move too.
    """
    first, *deeper = LAYERS[architecture]
    seeds = iter(np.random.SeedSequence(seed).generate_state(5).tolist())
    unroll = steps <= UNROLLED_STEPS

    def kernels() -> dict:
        return {
            "kernel_initializer": keras.initializers.GlorotUniform(next(seeds)),
            "recurrent_initializer": keras.initializers.Orthogonal(seed=next(seeds)),
        }

    items = keras.Input((steps,), dtype="int32")
    initial = kernels()
    gate = GATES[gates]
    cell = CELLS[first](units, initial["recurrent_initializer"], gate)
    x = GatheredInput(n_items, cell.gates * units, initial["kernel_initializer"], cell.bias_initializer, masked)(items)
    x = keras.layers.RNN(cell, return_sequences=bool(deeper), unroll=unroll)(x)
    for kind in deeper:
        if kind == "lstm":
            x = keras.layers.LSTM(units, unroll=unroll, recurrent_activation=gate, **kernels())(x)
        else:
            x = keras.layers.GRU(units, reset_after=False, unroll=unroll, recurrent_activation=gate, **kernels())(x)
    return keras.Model(
        items, keras.layers.Dense(n_items, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)))(x)
    )


def cross_entropy(activation: str, clipped: bool = False) -> Callable:
    """Categorical cross-entropy of the activation's output, as a function of the linear layer's.

    For softmax it is computed from the logarithm, unless ``clipped`` asks for what Keras does with probabilities as well:
    outputs are divided by their sum and clipped to [1e-7, 1 - 1e-7]. Where a tanh output has a negative sum the clipped value
    is constant and the gradient zero.
    """

    def loss(targets, logits):
        targets = ops.cast(ops.reshape(targets, (-1, 1)), "int32")
        if activation == "softmax" and not clipped:
            return -ops.take_along_axis(ops.log_softmax(logits), targets, axis=-1)[:, 0]
        outputs = ACTIVATIONS[activation](logits)
        share = ops.take_along_axis(outputs, targets, axis=-1)[:, 0] / ops.sum(outputs, axis=-1)
        epsilon = keras.config.epsilon()
        return -ops.log(ops.clip(share, epsilon, 1 - epsilon))

    return loss


class MeanOverRows(keras.losses.Loss):
    """The mean of a loss over the rows of a batch, weighted: rows of weight zero do not count."""

    def __init__(self, of_each: Callable):
        super().__init__(reduction="mean_with_sample_weight")
        self.call = of_each


class Keras2RMSprop(keras.optimizers.RMSprop):
    """RMSprop as in Keras 2: the constant that keeps the divisor from zero stands outside the root."""

    def update_step(self, gradient, variable, learning_rate):
        gradient, rate = ops.cast(gradient, variable.dtype), ops.cast(learning_rate, variable.dtype)
        mean_square = self._velocities[self._get_variable_index(variable)]
        self.assign(mean_square, self.rho * mean_square + (1 - self.rho) * ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(mean_square) + self.epsilon))


class Keras2Adagrad(keras.optimizers.Adagrad):
    """Adagrad as in Keras 2: an accumulator that starts at zero, the constant outside the root."""

    def update_step(self, gradient, variable, learning_rate):
        gradient, rate = ops.cast(gradient, variable.dtype), ops.cast(learning_rate, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(accumulator, ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(accumulator) + self.epsilon))


def make_optimizer(
    name: str, settings: str = "keras2", learning_rate: float | None = None
) -> keras.optimizers.Optimizer:
    """An optimizer with the defaults of Keras 2.3 (``keras2``) or of Keras 3 (``keras3``).

    Both agree on SGD (0.01) and Adam (0.001). They differ in RMSprop, where Keras 3 adds 1e-7 under the root, and in
    Adagrad, whose rate was 0.01 with an accumulator of zero and is 0.001 with one of 0.1.
    """
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    if name == "sgd":
        return keras.optimizers.SGD(**rate)
    if name == "adam":
        return keras.optimizers.Adam(**rate)
    if name == "rmsprop":
        return (Keras2RMSprop if settings == "keras2" else keras.optimizers.RMSprop)(**rate)
    if settings == "keras2":
        return Keras2Adagrad(**{"learning_rate": 0.01, "initial_accumulator_value": 0.0, **rate})
    return keras.optimizers.Adagrad(**rate)
