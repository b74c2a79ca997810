"""The linear recurrences against a few lines of NumPy, and what stands around a recurrent layer."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from studylib.models import cells
from studylib.models.cells import LINEAR, Surroundings, recurrence, scan

N, STEPS, WIDTH, HIDDEN = 3, 6, 5, 4


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def of_size(*shape, complex_=False):
    return torch.randn(*shape, dtype=torch.complex128 if complex_ else torch.float64, requires_grad=True)


def layer_and_input(kind):
    layer = recurrence(kind, WIDTH, HIDDEN).double()
    return layer, of_size(N, STEPS, WIDTH), [of_size(N, size) for size in layer.sizes]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def min_gru(weights, x, state):
    gate, candidate = np.split(x @ weights["gates.weight"].T + weights["gates.bias"], 2, -1)
    z = sigmoid(gate)
    state = (1 - z) * state[0] + z * candidate
    return state, [state]


def min_lstm(weights, x, state):
    f, i, candidate = np.split(x @ weights["gates.weight"].T + weights["gates.bias"], 3, -1)
    f, i = sigmoid(f), sigmoid(i)
    state = f / (f + i) * state[0] + i / (f + i) * candidate
    return state, [state]


def lru(weights, x, state):
    turn = np.exp(-np.exp(weights["fading"]) + 1j * np.exp(weights["turning"]))
    real, imaginary = np.split(x @ weights["into.weight"].T + weights["into.bias"], 2, -1)
    state = turn * (state[0] + 1j * state[1]) + np.exp(weights["scale"]) * (real + 1j * imaginary)
    parts = [state.real, state.imag]
    return np.concatenate(parts, -1) @ weights["out.weight"].T + weights["out.bias"], parts


STEP_BY_STEP = {"mingru": min_gru, "minlstm": min_lstm, "lru": lru}


@pytest.mark.parametrize("kind", LINEAR)
def test_a_linear_recurrence_is_its_formula(kind):
    layer, x, state = layer_and_input(kind)
    outputs, after = layer(x, state)
    weights = {name: weight.numpy() for name, weight in layer.state_dict().items()}
    expected, moved = [], [tensor.detach().numpy() for tensor in state]
    for step in range(STEPS):
        output, moved = STEP_BY_STEP[kind](weights, x[:, step].detach().numpy(), moved)
        expected.append(output)
    np.testing.assert_allclose(outputs.detach().numpy(), np.stack(expected, 1), atol=1e-12)
    for tensor, array in zip(after, moved, strict=True):
        np.testing.assert_allclose(tensor.detach().numpy(), array, atol=1e-12)


@pytest.mark.parametrize("kind", ["gru", "lstm", *LINEAR])
def test_steps_one_by_one_are_all_steps_at_once(kind):
    layer, x, state = layer_and_input(kind)
    whole, after = layer(x, state)
    parts = []
    for step in range(STEPS):
        part, state = layer(x[:, step : step + 1], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    for tensor, same in zip(state, after, strict=True):
        torch.testing.assert_close(tensor, same)


@pytest.mark.parametrize("complex_", [False, True])
def test_the_gradient_of_a_scan_is_that_of_its_finite_differences(complex_):
    assert torch.autograd.gradcheck(
        scan, (of_size(N, STEPS, HIDDEN, complex_=complex_), of_size(N, STEPS, HIDDEN, complex_=complex_),
               of_size(N, HIDDEN, complex_=complex_))
    )  # fmt: skip


@pytest.mark.parametrize("steps", [1, 2, STEPS, 13])
@pytest.mark.parametrize("complex_", [False, True])
def test_a_scan_in_parallel_is_the_one_step_by_step(steps, complex_, monkeypatch):
    given = [of_size(N, steps, HIDDEN, complex_=complex_) for _ in range(2)] + [of_size(N, HIDDEN, complex_=complex_)]
    weights = torch.randn(N, steps, HIDDEN, dtype=given[0].dtype)

    def states_and_gradients():
        states = scan(*given)
        return states, *torch.autograd.grad((states * weights).sum().abs(), given)

    expected = states_and_gradients()
    monkeypatch.setattr(cells, "_step_by_step", cells._in_parallel)
    monkeypatch.setattr(cells, "_step_by_step_back", cells._in_parallel_back)
    for one, other in zip(states_and_gradients(), expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", LINEAR)
def test_the_gradient_of_a_linear_recurrence_is_that_of_its_finite_differences(kind):
    layer, x, state = layer_and_input(kind)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def outputs(x, *rest):
        given, changed = rest[: len(state)], dict(zip(names, rest[len(state) :], strict=True))
        y, after = torch.func.functional_call(layer, changed, (x, list(given)))
        return (y, *after)

    assert torch.autograd.gradcheck(outputs, (x, *state, *weights))


@pytest.mark.parametrize("kind", ["mingru", "minlstm"])
def test_a_state_is_a_mean_of_the_candidates(kind):
    layer = recurrence(kind, WIDTH, HIDDEN).double()
    layer.gates.weight.data[-HIDDEN:] = 0
    layer.gates.bias.data[-HIDDEN:] = 2.0
    outputs, _ = layer(of_size(N, 200, WIDTH), [torch.zeros(N, HIDDEN, dtype=torch.float64)])
    assert (outputs.diff(dim=1) > -1e-12).all() and outputs.max() < 2 + 1e-12 and (outputs[:, -1] > 1.99).all()


def test_a_linear_recurrent_unit_begins_with_moduli_of_its_ring_and_forgets():
    layer = recurrence("lru", WIDTH, 500)
    modulus = torch.exp(-layer.fading.exp())
    assert 0.8 < modulus.min() < 0.82 and 0.98 < modulus.max() < 0.99
    torch.testing.assert_close(layer.scale.exp() ** 2, 1 - modulus**2)


def test_what_stands_around_a_layer():
    x, y = of_size(N, STEPS, WIDTH), of_size(N, STEPS, HIDDEN)
    bare = Surroundings(WIDTH, HIDDEN, 0.5, normalise=False, residual=False, widening=0).eval()
    assert bare.before(x) is x and bare.after(x, y) is y and not list(bare.parameters())
    around = Surroundings(WIDTH, HIDDEN, 0.5, normalise=True, residual=True, widening=3).double().eval()
    torch.testing.assert_close(around.before(x), F.layer_norm(x, [WIDTH]))
    added = y + x @ around.around.weight.T
    norm, widen, _, _, narrow, _ = around.feed_forward
    assert widen.out_features == 3 * HIDDEN
    torch.testing.assert_close(around.after(x, y), added + narrow(F.gelu(widen(norm(added)))))
    same = Surroundings(HIDDEN, HIDDEN, 0.0, normalise=False, residual=True, widening=0)
    assert torch.equal(same.after(y, y), 2 * y)


def test_the_own_gru_is_that_of_torch_in_states_and_gradients():
    layer = recurrence("gru", WIDTH, HIDDEN, fast=True).double()
    x, before = of_size(N, STEPS, WIDTH), of_size(N, HIDDEN)
    weights = torch.randn(N, STEPS, HIDDEN, dtype=torch.float64)

    def states_and_gradients():
        states, [last] = layer(x, [before])
        loss = (states * weights).sum() + (last**2).sum()
        return states, last, *torch.autograd.grad(loss, [x, before, *layer.parameters()])

    own = states_and_gradients()
    layer.eval()  # scores come from torch's
    for one, other in zip(own, states_and_gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_gradient_of_the_own_gru_is_that_of_its_finite_differences():
    parameters = recurrence("gru", WIDTH, HIDDEN).double().layer.parameters()
    assert torch.autograd.gradcheck(cells.gru, (of_size(N, STEPS, WIDTH), of_size(N, HIDDEN), *parameters))
