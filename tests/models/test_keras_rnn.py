"""The gathered networks against the plain one-hot construction of Toledo & Rezende 2020, built from Keras's own layers."""

import keras
import numpy as np
import pytest
from keras import ops

from studylib.data.sessions import Cases, Sessions
from studylib.models.keras_network import ACTIVATIONS, build_network, cross_entropy, make_optimizer
from studylib.models.keras_rnn import KerasRNN
from studylib.params.models import LAYERS

N_ITEMS, UNITS, STEPS = 11, 6, 5
# Pages repeat within and across sequences, lengths differ, and one sequence is full.
ITEMS = np.array(
    [
        [3, 3, 7, -1, -1],
        [3, 0, -1, -1, -1],
        [7, 3, 3, 3, 10],
        [9, -1, -1, -1, -1],
        [0, 1, 0, 1, -1],
        [3, 7, -1, -1, -1],
    ],
    np.int32,
)
TARGETS = np.array([7, 3, 1, 0, 10, 7], np.int32)
ARCHITECTURES = list(LAYERS)


@pytest.fixture
def float64():
    # Keras remembers the policy of the first layer that was ever built.
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def one_hot_network(architecture, activation, gate="sigmoid", masked=True):
    """`Masking`, the recurrent layers on one-hot vectors, `Dense`, `Activation`: the paper's construction."""
    layers = {
        "lstm": lambda **kwargs: keras.layers.LSTM(UNITS, recurrent_activation=gate, **kwargs),
        "gru": lambda **kwargs: keras.layers.GRU(UNITS, reset_after=False, recurrent_activation=gate, **kwargs),
    }
    first, *deeper = LAYERS[architecture]
    network = keras.Sequential([keras.Input((STEPS, N_ITEMS)), *([keras.layers.Masking()] if masked else [])])
    network.add(layers[first](return_sequences=bool(deeper)))
    for kind in deeper:
        network.add(layers[kind]())
    network.add(keras.layers.Dense(N_ITEMS))
    network.add(keras.layers.Activation(activation))
    return network


def plain_cross_entropy(targets, outputs):
    """Keras's own loss of the outputs. On TensorFlow it would take the logits of a sigmoid for those of a softmax (seen in
    Keras 3.15, which remembers them on the tensor); the product makes it look at the outputs, as Keras 2 did."""
    return keras.losses.categorical_crossentropy(targets, outputs * 1.0)


def one_hot(items):
    return np.eye(N_ITEMS + 1)[items][..., :N_ITEMS]


def copy_weights(ours, plain):
    """Ours are (kernel, bias, recurrent kernel, ...), Keras's (kernel, recurrent kernel, bias, ...)."""
    kernel, bias, recurrent, *rest = ours.get_weights()
    plain.set_weights([kernel, recurrent, bias, *rest])


def in_our_order(plain):
    kernel, recurrent, bias, *rest = plain.get_weights()
    return [kernel, bias, recurrent, *rest]


def both(architecture, activation, optimizer, eager=True):
    keras.utils.set_random_seed(1)
    ours = build_network(architecture, N_ITEMS, UNITS, STEPS)
    plain = one_hot_network(architecture, activation)
    # A positive sum keeps the normalised outputs of tanh away from the clipping, where both gradients are zero.
    ours.layers[-1].bias.assign(np.linspace(0.2, 0.6, N_ITEMS))
    copy_weights(ours, plain)
    ours.compile(make_optimizer(optimizer, "keras3"), cross_entropy(activation), run_eagerly=eager)
    plain.compile(make_optimizer(optimizer, "keras3"), plain_cross_entropy, run_eagerly=eager)
    return ours, plain


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("activation", "optimizer"),
    [("tanh", "sgd"), ("sigmoid", "sgd"), *(("softmax", name) for name in ("sgd", "adam", "rmsprop", "adagrad"))],
)
def test_one_step_is_that_of_the_one_hot_network(float64, architecture, activation, optimizer):
    ours, plain = both(architecture, activation, optimizer)
    before = ours.get_weights()
    outputs = ACTIVATIONS[activation](ours(ITEMS))
    np.testing.assert_allclose(ops.convert_to_numpy(outputs), plain.predict_on_batch(one_hot(ITEMS)), atol=1e-12)
    loss = ours.train_on_batch(ITEMS, TARGETS)
    expected = plain.train_on_batch(one_hot(ITEMS), np.eye(N_ITEMS)[TARGETS])
    assert float(loss) == pytest.approx(float(expected), abs=1e-9)
    for start, mine, theirs in zip(before, ours.get_weights(), in_our_order(plain), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
        assert np.abs(mine - start).max() > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hard_gates_and_padding_that_is_not_masked_are_those_of_the_one_hot_network(float64, architecture):
    def hard(x):
        """As Keras 2.2 has it: 0.2 x + 0.5 between 0 and 1."""
        return ops.maximum(0.0, ops.minimum(1.0, 0.2 * x + 0.5))

    keras.utils.set_random_seed(1)
    ours = build_network(architecture, N_ITEMS, UNITS, STEPS, gates="hard sigmoid", masked=False)
    plain = one_hot_network(architecture, "softmax", hard, masked=False)
    copy_weights(ours, plain)
    outputs = ops.convert_to_numpy(ops.softmax(ours(ITEMS)))
    np.testing.assert_allclose(outputs, plain.predict_on_batch(one_hot(ITEMS)), atol=1e-12)
    soft = build_network(architecture, N_ITEMS, UNITS, STEPS, masked=False)
    masked = build_network(architecture, N_ITEMS, UNITS, STEPS, gates="hard sigmoid")
    for other in (soft, masked):
        other.set_weights(ours.get_weights())
        assert np.abs(ops.convert_to_numpy(ops.softmax(other(ITEMS))) - outputs).max() > 1e-6


def test_the_clipped_loss_of_softmax_has_no_gradient_where_it_is_clipped():
    targets, far = np.array([0, 1]), np.array([[0.0, 40.0], [0.3, 0.1]])
    exact, clipped = cross_entropy("softmax"), cross_entropy("softmax", clipped=True)
    np.testing.assert_allclose(ops.convert_to_numpy(exact(targets, far))[0], 40.0, rtol=1e-6)
    values = ops.convert_to_numpy(clipped(targets, far))
    np.testing.assert_allclose(values, [-np.log(1e-7), np.log1p(np.exp(0.2))], rtol=1e-5)


def test_unmasked_padding_stands_before_the_events_up_to_all_steps():
    model = KerasRNN("gru", units=3, max_length=4, batch_size=4, padding="zeros", seed=1)
    model.prepare(Sessions.from_lists([[0, 1, 2], [1, 2], [2, 1, 0, 1, 2, 0]]))
    assert model.inputs.tolist() == [[-1, -1, 0, 1], [-1, -1, -1, 1], [1, 0, 1, 2]]
    assert model.score(Sessions.from_lists([[0, 1], [2, 1]])).shape == (2, 3)


@pytest.mark.parametrize(
    ("architecture", "activation", "optimizer"),
    [("lstm", "softmax", "adam"), ("gru", "sigmoid", "rmsprop"), ("hybrid", "softmax", "adagrad")],
)
def test_five_compiled_steps_in_single_precision_stay_close(architecture, activation, optimizer):
    ours, plain = both(architecture, activation, optimizer, eager=False)
    for _ in range(5):
        ours.train_on_batch(ITEMS, TARGETS)
        plain.train_on_batch(one_hot(ITEMS), np.eye(N_ITEMS)[TARGETS])
    for mine, theirs in zip(ours.get_weights(), in_our_order(plain), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_nothing(architecture):
    keras.utils.set_random_seed(2)
    short = build_network(architecture, N_ITEMS, UNITS, STEPS)
    long = build_network(architecture, N_ITEMS, UNITS, 40)
    long.set_weights(short.get_weights())
    padded = np.full((len(ITEMS), 40), -1, np.int32)
    padded[:, :STEPS] = ITEMS
    np.testing.assert_allclose(short.predict_on_batch(ITEMS), long.predict_on_batch(padded), atol=1e-6)


def test_tanh_with_a_negative_sum_has_no_gradient():
    network = build_network("gru", N_ITEMS, UNITS, STEPS)
    bias = np.full(N_ITEMS, -2.0)
    bias[np.unique(TARGETS)] = 0.9
    network.layers[-1].bias.assign(bias)
    network.compile(make_optimizer("sgd"), cross_entropy("tanh"))
    before = network.get_weights()
    network.train_on_batch(ITEMS, TARGETS)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


def test_optimizers_of_keras_2_follow_their_formulas():
    gradient = np.array([0.5, -2e-4, 3.0])
    start = np.array([1.0, 1.0, 1.0])
    expected = {
        "sgd": start - 0.01 * gradient,
        "rmsprop": start - 0.001 * gradient / (np.sqrt(0.1 * gradient**2) + 1e-7),
        "adagrad": start - 0.01 * gradient / (np.sqrt(gradient**2) + 1e-7),
        "adam": start - 0.001 * gradient / (np.abs(gradient) + 1e-7 / np.sqrt(1 - 0.999)),
    }
    for name, value in expected.items():
        variable = keras.Variable(start, dtype="float64")
        make_optimizer(name, "keras2").apply([ops.convert_to_tensor(gradient)], [variable])
        np.testing.assert_allclose(ops.convert_to_numpy(variable), value, rtol=1e-6, err_msg=name)


def sessions_with_a_rule(n=60):
    """The next item is always the last plus one."""
    return Sessions.from_lists([[(s + step) % N_ITEMS for step in range(2 + s % 5)] for s in range(n)])


def test_training_learns_and_checkpoints_equal_separate_runs():
    train = sessions_with_a_rule()
    once = KerasRNN("gru", optimizer="adam", batch_size=16, epochs=6, units=16, learning_rate=0.02, seed=3)
    once.fit(train)
    steps = KerasRNN("gru", optimizer="adam", batch_size=16, epochs=99, units=16, learning_rate=0.02, seed=3)
    steps.prepare(train)
    steps.train_to(2)
    steps.train_to(6)
    prefixes = Cases(train, train.offsets[1:] - 1).prefixes()
    np.testing.assert_array_equal(once.score(prefixes), steps.score(prefixes))
    assert once.curve == steps.curve
    assert once.curve[-1]["loss"] < once.curve[0]["loss"]


def test_a_prefix_longer_than_the_network_counts_with_its_last_events():
    train = Sessions.from_lists([[1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 1]])
    model = KerasRNN("lstm", units=4, epochs=1, max_length=3)
    model.fit(train)
    long = Cases(train, train.offsets[1:] - 1)
    assert model.inputs.shape == (2, 3)
    np.testing.assert_array_equal(model.score(long.prefixes()), model.score(long.prefixes(3)))
