"""GRU4Rec: its losses against float64 NumPy, its batches by hand, its gradients, and what it learns."""

import os
import subprocess
import sys
import warnings
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.models import batches, losses, neural
from studylib.models.baselines import Popularity
from studylib.models.batches import BATCHES, Batch, NegativeSampler, cut, pad, prefixes, sequences, session_parallel
from studylib.models.cells import GatheredRecurrence
from studylib.models.gru4rec import GRU4Rec, Network
from studylib.models.losses import algorithm_1, bpr, bpr_max, cross_entropy
from studylib.models.optimizer import Optimizer
from studylib.params.models import Gru4Rec

SMALL = {"embedding": 8, "hidden": 12, "negatives": 16, "batch_size": 8, "max_epochs": 2, "device": "cpu"}
PLAIN = {"dropout_items": 0.0, "dropout_embedding": 0.0, "dropout_hidden": 0.0, "l2": 0.0}
LOSSES = {
    "cross-entropy": cross_entropy,
    "bpr": bpr,
    "bpr-max": lambda *scores: bpr_max(*scores, regularisation=0.5),
    "algorithm-1": algorithm_1,
}


def numbered(*lengths):
    """Sessions whose events are numbered through: 0, 1, 2, ..."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sessions(np.arange(offsets[-1], dtype=np.int32), offsets, np.arange(offsets[-1]))


def as_lists(sessions):
    return [sessions[i].tolist() for i in range(len(sessions))]


def rule_log(n_items=15, n=150, seed=0, longest=9):
    """The next item is always seven further on."""
    random = np.random.default_rng(seed)
    walks = [[int(s + 7 * step) % n_items for step in range(random.integers(2, longest))] for s in range(n)]
    return Sessions.from_lists(walks)


def last_cases(sessions):
    return Cases(sessions, sessions.offsets[1:] - 1)


def untrained(n_items, popularity=None, **settings):
    """A model with initial weights in float64 and biases that are not zero."""
    torch.manual_seed(0)
    model = GRU4Rec(**{**SMALL, **PLAIN, **settings})
    model.popularity = np.ones(n_items) if popularity is None else np.array(popularity)
    model.sampler = NegativeSampler(model.popularity, model.settings.alpha, "cpu")
    model.network = Network(n_items, model.settings).double()
    nn.init.normal_(model.network.tables["bias"])
    return model


def gradients_of(model, batch, state=None):
    """The loss, the gradients, the rows of the item tables that they are for, and the state after."""
    taken = []

    def take(rows):
        taken.append(rows)
        tables = {name: table.detach() for name, table in model.network.tables.items()}
        return tables if rows is None else {name: table[rows] for name, table in tables.items()}

    loss, gradients, state = model.gradients(batch, state, take)
    return loss, gradients, taken[0], state


def draw_always(model, negatives):
    model.sampler.draw = lambda *shape: torch.tensor(negatives).reshape(shape)


# The losses


@pytest.fixture
def scores():
    """float64: five true items, seven negatives each, and where a negative is the true item."""
    torch.manual_seed(1)
    same = torch.rand(5, 7) < 0.3
    same[0], same[1] = False, True
    return torch.randn(5, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64), same


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(loss, positive, negatives):
    """The loss of one case with the negatives that count."""
    if loss == "cross-entropy":
        return np.log(np.exp([positive, *negatives]).sum()) - positive
    if loss == "bpr":
        return np.mean([-np.log(sigmoid(positive - n)) for n in negatives])
    share = np.exp(negatives) / np.exp(negatives).sum()
    beaten = (share * sigmoid(positive - negatives)).sum()
    return -beaten if loss == "algorithm-1" else -np.log(beaten) + 0.5 * (share * negatives**2).sum()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_its_formula(loss, scores):
    positive, negative, same = (tensor.numpy() for tensor in scores)
    rows = [0, 2, 3, 4]  # in row 1 no negative counts
    expected = np.mean([by_hand(loss, positive[i], negative[i][~same[i]]) for i in rows])
    given = (tensor[rows] for tensor in scores)
    assert float(LOSSES[loss](*given)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_has_the_gradient_of_its_finite_differences(loss, scores):
    positive, negative, same = scores[0].requires_grad_(), scores[1].requires_grad_(), scores[2]
    same[1, 0] = False  # at least one negative counts
    assert torch.autograd.gradcheck(lambda p, n: LOSSES[loss](p, n, same), (positive, negative))
    LOSSES[loss](positive, negative, same).backward()
    assert (negative.grad[same] == 0).all() and (negative.grad[~same] != 0).all()


def test_cross_entropy_of_scores_whose_exponentials_overflow():
    positive, negative = (
        torch.tensor([500.0, -500.0, 88.0]),
        torch.tensor([[499.0, -1e4], [300.0, 300.0], [90.0, 89.0]]),
    )
    same = torch.tensor([[False, False], [False, True], [True, True]])
    losses = [np.log1p(np.exp(-1)), 800.0, 0.0]
    for dtype in (torch.float32, torch.bfloat16):  # as of a product in bfloat16
        values = [positive.clone().requires_grad_(), negative.detach().to(dtype, copy=True).requires_grad_()]
        loss = cross_entropy(*values, same)
        loss.backward()
        assert loss.dtype == torch.float32 and values[1].grad.dtype == dtype
        assert loss.item() == pytest.approx(np.mean(losses), rel=1e-2 if dtype == torch.bfloat16 else 1e-6)
        assert all(value.grad.isfinite().all() for value in values) and values[0].grad[2] == 0


def product_and_its_parts():
    """Vectors, output rows, bias, targets and negatives, of which some are targets and one comes twice."""
    torch.manual_seed(2)
    vectors, output, bias = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((9, 4), (7, 4), (7,))
    )
    targets, negatives = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 6]), torch.tensor([2, 5, 5, 0, 4])
    return vectors, output, bias, targets, negatives


@pytest.mark.parametrize("whole", [False, True])
def test_cross_entropy_with_its_product_is_the_one_without(whole, monkeypatch):
    monkeypatch.setattr(losses._ProductCrossEntropy, "TOGETHER", 14)  # two or three cases at a time
    vectors, output, bias, targets, negatives = product_and_its_parts()
    if whole:
        expected = F.cross_entropy(vectors @ output.T + bias, targets)
        negatives = None
    else:
        positive, same = (vectors * output[targets]).sum(1) + bias[targets], negatives == targets[:, None]
        expected = cross_entropy(positive, vectors @ output[negatives].T + bias[negatives], same)
    loss = losses.product_cross_entropy(vectors, output, bias, targets, negatives)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    given = (vectors, output, bias)
    pairs = zip(torch.autograd.grad(3 * loss, given), torch.autograd.grad(3 * expected, given), strict=True)
    for gradient, other in pairs:
        torch.testing.assert_close(gradient, other)
    assert torch.autograd.gradcheck(losses.product_cross_entropy, (*given, targets, negatives))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("negatives_of", ["batch", "case"])
def test_where_every_negative_is_the_target_nothing_is_learnt(loss, negatives_of):
    model = untrained(6, loss=loss, negatives=1, negatives_of=negatives_of, regularisation=0.0)
    draw_always(model, [3] if negatives_of == "batch" else [3, 3])
    value, gradients, *_ = gradients_of(model, Batch(np.array([[1], [2]]), np.array([[3], [3]])))
    assert np.isfinite(float(value))
    assert all(gradient.abs().max() < 1e-12 for gradient in gradients.values())


def test_the_constant_inside_the_softmax_of_algorithm_1_changes_nothing(scores):
    """Line 17 subtracts the sum of all scores from each of them."""
    positive, negative, _ = scores
    shifted = negative - negative.sum(1, keepdim=True)
    printed = -(torch.softmax(shifted, 1) * torch.sigmoid(positive[:, None] - negative)).sum(1).mean()
    ours = algorithm_1(positive, negative, torch.zeros(5, 7, dtype=torch.bool))
    assert float(ours) == pytest.approx(float(printed), rel=1e-12)


def one_case(model, item, target):
    return gradients_of(model, Batch(np.array([[item]]), np.array([[target]])))


def all_scores(model, item):
    """float64 (n_items,): the scores after one item, through the network's own tables."""
    tables = {name: table.detach() for name, table in model.network.tables.items()}
    vector, _ = model.network(tables["input"][torch.tensor([[item]])])
    return (tables.get("output", tables["input"]) @ vector[0, 0] + tables["bias"][:, 0]).detach().numpy()


@pytest.mark.parametrize("item_embedding", ["shared", "separate", "none"])
def test_full_loss_is_the_cross_entropy_over_the_catalogue(item_embedding):
    model = untrained(6, negatives=0, item_embedding=item_embedding)
    scores = all_scores(model, 2)
    loss, _, rows, _ = one_case(model, 2, 4)
    assert rows is None
    assert float(loss) == pytest.approx(np.log(np.exp(scores).sum()) - scores[4], rel=1e-9)


@pytest.mark.parametrize("loss", ["bpr", "bpr-max", "algorithm-1"])
def test_without_negatives_every_other_item_is_one(loss):
    model = untrained(6, negatives=0, loss=loss, regularisation=0.5)
    scores = all_scores(model, 2)
    assert float(one_case(model, 2, 4)[0]) == pytest.approx(by_hand(loss, scores[4], np.delete(scores, 4)), rel=1e-9)


@pytest.mark.parametrize("batch_negatives", [False, True])
@pytest.mark.parametrize("log_q", [True, False])
def test_sampled_loss_is_a_corrected_softmax_over_the_target_and_the_negatives(log_q, batch_negatives):
    popularity, draws, items, targets = [5, 1, 20, 3, 0, 8], [2, 3, 3, 0, 4], [1, 4, 0], [2, 5, 1]
    model = untrained(6, popularity, negatives=5, alpha=0.75, log_q=log_q, batch_negatives=batch_negatives)
    draw_always(model, draws)
    loss, *_ = gradients_of(model, Batch(np.array(items)[:, None], np.array(targets)[:, None]))

    share = np.maximum(popularity, 1) ** 0.75
    expected = 5 * share / share.sum()
    if batch_negatives:  # three targets more, each drawn as often as it is visited
        draws, expected = draws + targets, expected + 3 * np.array(popularity) / 37
    losses = []
    for item, target in zip(items, targets, strict=True):
        scores = all_scores(model, item) - np.log(expected) * log_q
        negatives = [scores[draw] for draw in draws if draw != target]  # the target is never its own negative
        losses.append(by_hand("cross-entropy", scores[target], negatives))
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-6)


def test_each_case_may_have_negatives_of_its_own():
    model = untrained(6, negatives=2, negatives_of="case", loss="bpr")
    draw_always(model, [[3, 0], [1, 4]])
    loss, *_ = gradients_of(model, Batch(np.array([[0, 5]]), np.array([[1, 3]])))
    vectors = model.network(model.network.tables["input"][torch.tensor([[0, 5]])])[0][0]
    scores = (vectors @ model.network.tables["input"].T + model.network.tables["bias"][:, 0]).detach().numpy()
    expected = [by_hand("bpr", scores[0, 1], scores[0, [3, 0]]), by_hand("bpr", scores[1, 3], scores[1, [1, 4]])]
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_current_item_as_the_positive_is_the_input_as_the_target(loss):
    batch = Batch(np.array([[0, 5, 1], [2, 4, 4]]), np.array([[5, 1, 3], [-1, 0, -1]]))
    inputs_as_targets = Batch(batch.inputs, np.where(batch.targets < 0, -1, batch.inputs))
    settings = {"negatives": 2, "negatives_of": "case", "loss": loss}
    current, following = untrained(6, positive="current", **settings), untrained(6, **settings)
    for model in (current, following):
        draw_always(model, [[3, 0], [1, 4], [2, 5], [0, 3]])
    loss, gradients, *_ = gradients_of(current, batch)
    expected_loss, expected, *_ = gradients_of(following, inputs_as_targets)
    assert float(loss) == float(expected_loss) != float(gradients_of(following, batch)[0])
    assert all((gradients[name] == expected[name]).all() for name in expected)


def test_elu_bends_the_scores_below_zero():
    settings = {"loss": "bpr-max", "negatives": 3, "regularisation": 0.5}
    model = untrained(6, score_activation="elu", **settings)
    draw_always(model, [3, 0, 5])
    scores = all_scores(model, 1)
    bent = np.where(scores > 0, scores, np.exp(scores) - 1)
    assert (scores[[2, 3, 0, 5]] < 0).any()
    assert float(one_case(model, 1, 2)[0]) == pytest.approx(by_hand("bpr-max", bent[2], bent[[3, 0, 5]]), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
def test_the_correction_makes_the_true_probabilities_the_optimum(alpha):
    """At scores that are the log-probabilities of the items, the expected gradient is zero, whatever negatives are drawn.

    The expectation is over all targets and, for one negative, over all draws. Without the correction, or with half of
    it, only scores shifted by log q would be an optimum.
    """
    probability, popularity = np.array([0.4, 0.05, 0.2, 0.1, 0.05, 0.2]), [5, 1, 20, 3, 0, 8]
    model = untrained(6, popularity, negatives=1, alpha=alpha)
    with torch.no_grad():
        model.network.tables["bias"][:, 0] = torch.from_numpy(np.log(probability))
        model.network.tables["input"].zero_()
        for parameter in model.network.head.parameters():
            parameter.zero_()
    share = np.maximum(popularity, 1) ** alpha
    expected = torch.zeros(6, dtype=torch.float64)
    for target, p in enumerate(probability):
        for draw, q in enumerate(share / share.sum()):
            draw_always(model, [draw])
            _, gradients, rows, _ = one_case(model, 0, target)
            expected[rows] += p * q * gradients["tables.bias"][:, 0]
    np.testing.assert_allclose(expected.numpy(), 0, atol=1e-7)


def test_negatives_are_drawn_in_proportion_to_powered_popularity():
    popularity = np.array([0, 1, 16, 81])
    sampler = NegativeSampler(popularity, 0.5, "cpu")
    share = np.array([1, 1, 4, 9]) / 15  # an item never seen is drawn as if seen once
    np.testing.assert_allclose(sampler.probability.numpy(), share, rtol=1e-6)
    np.testing.assert_allclose(sampler.share.numpy(), popularity / 98, rtol=1e-6)
    torch.manual_seed(0)
    drawn = np.bincount(sampler.draw(40_000).numpy(), minlength=4) / 40_000
    np.testing.assert_allclose(drawn, share, atol=0.01)
    assert NegativeSampler(popularity, 0, "cpu").probability.tolist() == [0.25] * 4


def test_draws_come_in_bulk_and_none_comes_twice(monkeypatch):
    monkeypatch.setattr(NegativeSampler, "BULK", 10)
    torch.manual_seed(0)
    sampler = NegativeSampler(np.ones(10_000_000), 0, "cpu")
    drawn = torch.cat([sampler.draw(*shape).reshape(-1) for shape in [(4,), (2, 3), (1,), (25,)]])
    assert len(drawn) == len(drawn.unique()) == 36
    assert sampler.draw(2, 3).shape == (2, 3)


# The network


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cell": "lstm", "layers": 2},
        {"cell": "hybrid", "deep_input": True},
        {"cell": "hybrid-gru-lstm", "feed_forward": 2},
        {"item_embedding": "none", "layers": 2},
        {"input_decay": 0.6, "deep_input": True, "layers": 2},
        {"cell": "mingru", "layers": 2, "residual": True},
        {"cell": "minlstm", "deep_input": True, "layers": 2},
        {"cell": "lru", "layers": 2, "normalise": True, "residual": True, "widening": 2},
    ],
)
def test_the_state_carries_all_that_a_session_was(settings):
    model = untrained(9, **settings)
    model.network.eval()
    vectors = torch.randn(3, 7, model.network.tables["input"].shape[1], dtype=torch.float64)
    whole, after = model.network(vectors)
    first, state = model.network(vectors[:, :4])
    second, last = model.network(vectors[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    for a, b in zip(last, after, strict=True):
        torch.testing.assert_close(a, b)
    restarted, _ = model.network(vectors[:, 4:])
    assert (restarted - second).abs().max() > 1e-3


def test_what_is_not_asked_for_has_no_weights_and_old_files_are_read():
    """Names of weights are those of model files: without the settings that came later they are as they were."""
    names = {"tables.input", "tables.bias", "head.0.weight", "head.0.bias"}
    names |= {f"layers.0.layer.{name}_{of}_l0" for name in ("weight", "bias") for of in ("ih", "hh")}
    assert set(untrained(9).network.state_dict()) == names
    plain, added = Gru4Rec(), Gru4Rec(normalise=True, residual=True, widening=4)
    assert not {"normalise", "residual", "widening"} & set(plain.determinants)
    assert {"normalise", "residual", "widening"} < set(added.determinants)


def test_a_one_hot_input_is_a_row_of_the_input_kernel():
    torch.manual_seed(0)
    gathered, reference = GatheredRecurrence(5).double(), nn.GRU(9, 5, batch_first=True).double()
    with torch.no_grad():
        reference.weight_hh_l0.copy_(gathered.kernel)
        reference.bias_hh_l0.copy_(gathered.bias)
        reference.bias_ih_l0.zero_()
    items = torch.randint(0, 9, (4, 6))
    expected, last = reference(nn.functional.one_hot(items, 9).double())
    outputs, [state] = gathered(reference.weight_ih_l0.T[items], [torch.zeros(4, 5, dtype=torch.float64)])
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(state, last[0])


def test_the_weighted_input_by_hand():
    model = untrained(9, input_decay=0.5)
    x = torch.tensor([[[8.0], [4.0], [2.0]]], dtype=torch.float64)
    weighted, [total, weight] = model.network._weighted(x, [torch.zeros(1, 1), torch.zeros(1, 1)])
    expected = [8, (4 + 0.5 * 8) / 1.5, (2 + 0.5 * 4 + 0.25 * 8) / 1.75]
    np.testing.assert_allclose(weighted[0, :, 0], expected)
    assert total.item() == 6 and weight.item() == 1.75


def test_dropout_falls_on_embedding_and_hidden_state_and_not_on_scores():
    for on in ({"dropout_embedding": 0.5}, {"dropout_hidden": 0.5}):
        model = untrained(9, **on)
        vectors = torch.randn(2, 3, 8, dtype=torch.float64)
        model.network.train()
        assert not torch.equal(model.network(vectors)[0], model.network(vectors)[0])
        model.network.eval()
        assert torch.equal(model.network(vectors)[0], model.network(vectors)[0])


def test_dropout_of_items_takes_out_whole_visits_in_training_alone(monkeypatch):
    model = untrained(40, dropout_items=0.5)
    given = []
    forward = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda x, state=None: given.append(x) or forward(x, state))
    gradients_of(model, Batch(np.arange(40).reshape(4, 10), np.arange(40).reshape(4, 10)))
    values = model.network.tables["input"].detach().reshape(4, 10, 8)
    out = (given[0] == 0).all(-1)
    assert 5 < out.sum() < 35
    np.testing.assert_allclose(given[0].detach()[~out], 2 * values[~out])
    test_prefixes = last_cases(rule_log()).prefixes()
    fitted = GRU4Rec(**SMALL, dropout_items=0.9).fit(rule_log())
    np.testing.assert_array_equal(fitted.score(test_prefixes), fitted.score(test_prefixes))


def test_the_initial_weights_are_drawn_in_one_order():
    """A set of names has another order in another process."""
    torch.manual_seed(4)
    tables = Network(9, Gru4Rec(item_embedding="separate", embedding=4)).tables
    torch.manual_seed(4)
    for name in ("input", "output"):
        torch.testing.assert_close(tables[name].detach(), torch.randn(9, 4) / 2)


def test_the_linear_map_is_there_where_the_sizes_differ():
    assert isinstance(untrained(9, embedding=12, hidden=12).network.head[-1], nn.Identity)
    assert isinstance(untrained(9, embedding=8, hidden=12).network.head[-1], nn.Linear)
    assert set(untrained(9).network.tables) == {"input", "bias"}
    assert untrained(9, item_embedding="separate").network.tables["output"].shape == (9, 8)
    assert untrained(9, item_embedding="none").network.tables["output"].shape == (9, 12)


def test_scores_are_those_of_the_gru_stepped_by_hand_without_dropout():
    train = rule_log()
    model = GRU4Rec(**SMALL, dropout_embedding=0.9, dropout_hidden=0.9).fit(train)
    test_prefixes = last_cases(train).prefixes().select(np.arange(train.offsets[-1] - len(train)) < 40)
    model.network.train()  # as training leaves it
    scores = model.score(test_prefixes)
    assert scores.shape == (len(test_prefixes), train.n_items) and scores.dtype == np.float32
    weights = {name: w.double().numpy() for name, w in model.network.state_dict().items()}
    gru = {name.rsplit(".", 1)[1]: w for name, w in weights.items() if name.startswith("layers.0.")}
    for prefix, row in zip(as_lists(test_prefixes), scores, strict=True):
        hidden = np.zeros(12)
        for item in prefix:
            x = gru["weight_ih_l0"] @ weights["tables.input"][item] + gru["bias_ih_l0"]
            h = gru["weight_hh_l0"] @ hidden + gru["bias_hh_l0"]
            reset, update = (sigmoid(x[i : i + 12] + h[i : i + 12]) for i in (0, 12))
            hidden = (1 - update) * np.tanh(x[24:] + reset * h[24:]) + update * hidden
        vector = weights["head.0.weight"] @ hidden + weights["head.0.bias"]
        np.testing.assert_allclose(row, weights["tables.input"] @ vector + weights["tables.bias"][:, 0], atol=1e-5)


# The batches


def test_cut_by_hand():
    assert as_lists(cut(numbered(7, 1, 3, 2), 3)) == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [8, 9, 10], [11, 12]]
    assert as_lists(cut(numbered(6), 3)) == [[0, 1], [1, 2, 3], [3, 4, 5]]
    assert as_lists(cut(numbered(4, 1), 2)) == [[0, 1], [1, 2], [2, 3]]
    assert len(cut(numbered(1, 1), 5)) == 0


@pytest.mark.parametrize("length", [2, 3, 5, 21])
def test_every_visit_but_the_first_is_a_target_once(length):
    sessions = numbered(*np.random.default_rng(0).integers(1, 40, 60))
    pieces = cut(sessions, length)
    targets = [visit for piece in as_lists(pieces) for visit in piece[1:]]
    assert sorted(targets) == sorted(set(sessions.items.tolist()) - set(sessions.offsets[:-1].tolist()))
    assert pieces.lengths.max() <= length and pieces.lengths.min() >= 2
    assert all(np.diff(piece).tolist() == [1] * (len(piece) - 1) for piece in as_lists(pieces))


def test_pad_by_hand():
    items, lengths = pad(numbered(3, 1, 2), np.array([2, 0]))
    assert items.tolist() == [[4, 5, 5], [0, 1, 2]] and items.dtype == np.int64
    assert lengths.tolist() == [2, 3]
    assert pad(numbered(3, 1, 2), np.array([1]))[0].tolist() == [[3]]


def cases_of(batch):
    """The (input, target) pairs that count; events are numbered through, so that each pair is next to each other."""
    rows, columns = np.nonzero(batch.targets >= 0)
    return list(zip(batch.inputs[rows, columns].tolist(), batch.targets[rows, columns].tolist(), strict=True))


@pytest.mark.parametrize("scheme", BATCHES)
def test_every_scheme_has_every_case_once_an_epoch(scheme):
    sessions = numbered(*np.random.default_rng(0).integers(1, 30, 103))
    passes = [list(BATCHES[scheme](sessions, 10, 6, np.random.default_rng(seed))) for seed in (1, 1, 2)]
    cases, again, other = ([case for batch in batches for case in cases_of(batch)] for batches in passes)
    starts = set(sessions.offsets[:-1].tolist())
    assert sorted(cases) == [(visit - 1, visit) for visit in range(len(sessions.items)) if visit not in starts]
    assert cases == again != other
    assert all(batch.inputs.shape == batch.targets.shape and len(batch.inputs) <= 10 for batch in passes[0])


def test_sequences_lie_beside_those_of_like_length():
    sessions = numbered(*np.random.default_rng(0).integers(2, 30, 103))
    lengths = [(batch.targets >= 0).sum(1) for batch in sequences(sessions, 10, 50, np.random.default_rng(1))]
    assert len(lengths) == 11 and max(np.ptp(batch_lengths) for batch_lengths in lengths) <= 5
    longest = [batch_lengths.max() for batch_lengths in lengths]
    assert longest != sorted(longest)  # batches come in random order, not from short to long


def test_prefixes_end_where_their_target_follows():
    sessions = numbered(5, 3)
    rows = []
    for batch in prefixes(sessions, 4, 3, np.random.default_rng(0)):
        for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
            [end] = np.flatnonzero(targets >= 0)
            rows.append((inputs[: end + 1].tolist(), int(targets[end])))
    assert sorted(rows, key=lambda row: row[1]) == [
        ([0], 1), ([0, 1], 2), ([0, 1, 2], 3), ([1, 2, 3], 4), ([5], 6), ([5, 6], 7),
    ]  # fmt: skip


def test_session_parallel_by_hand(monkeypatch):
    class InOrder:
        def permutation(self, sessions):
            return sessions

    steps = list(session_parallel(numbered(3, 1, 4, 2, 2), 2, 20, InOrder()))
    assert [batch.inputs[:, 0].tolist() for batch in steps] == [[0, 4], [1, 5], [8, 6], [10]]
    assert [batch.targets[:, 0].tolist() for batch in steps] == [[1, 5], [2, 6], [9, 7], [11]]
    assert [batch.lanes.tolist() for batch in steps] == [[-1, -1], [0, 1], [-1, 1], [-1]]


@pytest.mark.parametrize("settings", [{}, {"cell": "hybrid", "input_decay": 0.5}, {"item_embedding": "none"}])
def test_session_parallel_has_the_states_of_each_session_alone(settings):
    """With fixed weights; a state that is not reset, or of another lane, would differ."""
    sessions = numbered(*np.random.default_rng(3).integers(1, 9, 30))
    model = untrained(sessions.n_items, negatives=0, **settings)
    alone = {}
    for session in range(len(sessions)):
        items = torch.from_numpy(sessions[session][None].astype(np.int64))
        outputs, _ = model.network(model.network.tables["input"][items])
        alone |= dict(zip(sessions[session].tolist(), outputs[0].detach(), strict=True))
    seen, state = 0, None
    for batch in session_parallel(sessions, 4, 20, np.random.default_rng(0)):
        before = model._carry(state, torch.from_numpy(batch.lanes))
        outputs, _ = model.network(
            model.network.tables["input"][torch.from_numpy(batch.inputs)], [s.double() for s in before]
        )
        for item, output in zip(batch.inputs[:, 0].tolist(), outputs[:, 0].detach(), strict=True):
            torch.testing.assert_close(output, alone[item])
            seen += 1
        _, _, _, state = gradients_of(model, batch, state)
        assert not any(tensor.requires_grad for tensor in state)
    assert seen == len(sessions.items) - len(sessions)


@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
@pytest.mark.parametrize("settings", [{}, {"item_embedding": "separate", "cell": "lstm"}, {"input_decay": 0.5}])
def test_sequences_and_prefixes_are_the_same_training(loss, settings):
    """Over sessions no longer than the history, with the whole catalogue, no dropout and all cases in one batch."""
    sessions = rule_log(longest=7, n=20)
    model = untrained(sessions.n_items, negatives=0, loss=loss, **settings)
    [one], [other] = (list(scheme(sessions, 1000, 20, np.random.default_rng(0))) for scheme in (sequences, prefixes))
    (loss_one, of_one, *_), (loss_other, of_other, *_) = gradients_of(model, one), gradients_of(model, other)
    assert float(loss_one) == pytest.approx(float(loss_other), rel=1e-10)
    for name, gradient in of_one.items():
        torch.testing.assert_close(gradient, of_other[name], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "settings", [{}, {"item_embedding": "separate"}, {"item_embedding": "none", "loss": "bpr-max"}]
)
def test_rows_have_the_gradient_of_the_whole_table(settings):
    sessions = rule_log(n_items=40, n=6)
    model = untrained(40, negatives=4, **settings)
    draw_always(model, [39, 7, 7, 0])
    [batch] = sequences(sessions, 1000, 20, np.random.default_rng(0))
    loss, gradients, rows, _ = gradients_of(model, batch)
    used = set(sessions.items.tolist()) | {39, 7, 0}
    assert set(rows.tolist()) == used and len(used) < 40

    tables = model.network.tables
    vectors, _ = model.network(tables["input"][torch.from_numpy(batch.inputs)])
    is_case, targets = torch.from_numpy(batch.targets >= 0), torch.from_numpy(batch.targets[batch.targets >= 0])
    whole = model._loss(
        vectors[is_case], targets, torch.tensor([39, 7, 7, 0]), torch.arange(40), dict(tables), len(targets)
    )
    whole.backward()
    assert float(loss) == pytest.approx(float(whole.detach()), rel=1e-10)
    for name, parameter in model.network.named_parameters():
        gradient = gradients[name]
        if name.startswith("tables."):
            gradient = torch.zeros_like(parameter).index_copy_(0, rows, gradient)
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-8, atol=1e-12)


# The optimizer


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_adam_over_all_rows_is_that_of_torch(l2, fast):
    ours, theirs = untrained(5).network, untrained(5).network
    optimizer, reference = (
        Optimizer(ours, Gru4Rec(l2=l2, learning_rate=0.01), fast),
        torch.optim.Adam(theirs.parameters(), 0.01, weight_decay=l2),
    )
    for _ in range(5):
        for parameter in theirs.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.take(None)
        optimizer.step({name: parameter.grad for name, parameter in theirs.named_parameters()})
        reference.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.data, other.data)


def test_adam_by_rows_makes_up_for_the_steps_without_them():
    """Against `torch.optim.Adam`, for which the gradients of the other rows are zero; a row not made up for is far off."""
    torch.manual_seed(0)
    network = untrained(30).network
    table = network.tables["input"]
    dense = nn.Parameter(table.detach().clone())
    start = dense.detach().clone()
    optimizer, reference = Optimizer(network, Gru4Rec(learning_rate=0.01, l2=0)), torch.optim.Adam([dense], 0.01)
    random = np.random.default_rng(0)
    for step in range(500):
        if step in (100, 200, 300):  # as at the end of an epoch
            optimizer.flush()
            optimizer.rate = reference.param_groups[0]["lr"] = {100: 0.02, 200: 0.005, 300: 0.01}[step]
        if step == 300:  # the corrections for the start at zero have long faded
            optimizer.steps += Optimizer.SETTLED
            optimizer.last_step += Optimizer.SETTLED
            reference.state[dense]["step"] += Optimizer.SETTLED
        rows = torch.from_numpy(np.unique(random.zipf(1.5, 6).clip(max=30) - 1))
        gradient = torch.randn(len(rows), 8, dtype=torch.float64)
        taken = optimizer.take(rows)["input"]

        torch.testing.assert_close(taken, dense.detach()[rows], atol=1e-5, rtol=0)
        optimizer.step({"tables.input": gradient})
        dense.grad = torch.zeros_like(dense).index_copy_(0, rows, gradient)
        reference.step()
    optimizer.flush()
    moved = (dense.detach() - start).abs().mean()
    assert (table.detach() - dense.detach()).abs().mean() < 1e-4 * moved
    assert moved > 0.05


def test_adagrad_with_momentum_by_hand():
    network = untrained(4).network
    optimizer = Optimizer(network, Gru4Rec(optimizer="adagrad", momentum=0.5, learning_rate=0.1, l2=0))
    bias = network.tables["bias"].detach().numpy().copy()
    square, velocity = np.zeros((4, 1)), np.zeros((4, 1))
    for rows, gradient in (([1, 3], 2.0), ([3], -1.0), ([1, 3], 0.5)):
        optimizer.take(torch.tensor(rows))
        optimizer.step({"tables.bias": torch.full((len(rows), 1), gradient, dtype=torch.float64)})
        square[rows] += gradient**2
        velocity[rows] = 0.5 * velocity[rows] - 0.1 * gradient / (square[rows] + 1e-6) ** 0.5
        bias[rows] += velocity[rows]
    optimizer.flush()
    np.testing.assert_allclose(network.tables["bias"].detach().numpy(), bias, rtol=1e-10)


def test_the_cosine_schedule_ends_near_zero(monkeypatch):
    rates = []
    monkeypatch.setattr(Optimizer, "step", lambda self, gradients: rates.append(self.rate))
    GRU4Rec(**SMALL | {"max_epochs": 4, "batch_size": 1000}, schedule="cosine", learning_rate=0.1).fit(rule_log())
    assert rates == pytest.approx([0.1, 0.1 * (2 + 2**0.5) / 4, 0.05, 0.1 * (2 - 2**0.5) / 4])


# The training


@pytest.mark.parametrize("negatives", [0, 12])
def test_padding_takes_no_part_in_training(monkeypatch, negatives):
    train = rule_log()
    settings = SMALL | {"negatives": negatives, "batch_size": 40}
    test_prefixes = last_cases(train).prefixes()
    plain = GRU4Rec(**settings).fit(train)

    padded = 0

    def pad_with_another_item(sessions, rows):
        nonlocal padded
        items, lengths = pad(sessions, rows)
        padded += (lengths < items.shape[1]).sum()
        return np.where(np.arange(items.shape[1]) < lengths[:, None], items, items[:, :1]), lengths

    monkeypatch.setattr(batches, "pad", pad_with_another_item)
    other = GRU4Rec(**settings).fit(train)
    assert padded > 50
    np.testing.assert_allclose(other.score(test_prefixes), plain.score(test_prefixes), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"negatives": 0},
        {},
        {"cell": "hybrid", "batches": "prefixes"},
        {"batches": "session-parallel", "item_embedding": "none", "learning_rate": 0.02},
        {
            "loss": "bpr-max",
            "score_activation": "elu",
            "regularisation": 0.1,
            "optimizer": "adagrad",
            "learning_rate": 0.1,
        },
        {"loss": "bpr", "item_embedding": "separate", "batch_negatives": True},
        {"precision": "bfloat16", "max_epochs": 30},
    ],
)
def test_learns_a_rule_to_near_certainty_in_short_and_cut_sessions(settings):
    chosen = {"embedding": 16, "hidden": 24, "batch_size": 16, "negatives": 12, "max_epochs": 15, "learning_rate": 0.01}
    chosen |= {"dropout_embedding": 0.1, "dropout_hidden": 0.1} | settings
    model = GRU4Rec(**chosen, history=4, device="cpu").fit(rule_log(longest=14))
    cases = last_cases(rule_log(n=60, seed=1))
    scores = model.score(cases.prefixes(4))
    assert (scores.argmax(1) == cases.targets).all()
    np.testing.assert_array_equal(model.score(cases.prefixes()), scores)  # whatever was before the last four events
    if model.settings.loss == "cross-entropy" and model.settings.precision == "float32":
        true = torch.from_numpy(scores).softmax(1).numpy()[np.arange(len(cases)), cases.targets]
        assert true.min() > 0.8 and true.mean() > 0.9


@pytest.mark.parametrize("batches", BATCHES)
def test_the_same_seed_gives_the_same_numbers(batches):
    train = rule_log()
    test_prefixes = last_cases(train).prefixes()
    one, two, other = (GRU4Rec(**SMALL, batches=batches, seed=seed).fit(train) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.score(test_prefixes), two.score(test_prefixes))
    assert one.curve == two.curve
    assert not np.array_equal(one.score(test_prefixes), other.score(test_prefixes))


FAST = {
    "gru": {},
    "linear recurrences": {"cell": "lru", "layers": 2, "normalise": True, "residual": True, "widening": 2},
    "hybrid": {"cell": "hybrid"},
    "lanes": {"batches": "session-parallel"},
    "negatives of each case": {"negatives_of": "case"},
    "the whole catalogue": {"negatives": 0, "loss": "bpr-max"},
}
"""Settings for fast arithmetic, by what they are about."""


@pytest.mark.parametrize("arithmetic", ["reference", "fast"])
@pytest.mark.parametrize("settings", FAST.values(), ids=FAST)
def test_the_numbers_are_the_same_with_one_thread_and_two(settings, arithmetic):
    train, threads, states = rule_log(), torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            states.append(GRU4Rec(**SMALL | settings, arithmetic=arithmetic, seed=3).fit(train).state())
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    for name, weight in states[0].items():
        np.testing.assert_array_equal(weight, states[1][name], err_msg=name)


@pytest.mark.parametrize("settings", FAST.values(), ids=FAST)
def test_fast_arithmetic_has_the_loss_and_the_gradients_of_the_reference(settings):
    """In float64, of a batch of five sessions, which is an uneven number of parts."""
    settings = {"negatives": 4} | settings
    [batch] = islice(BATCHES[settings.get("batches", "sequences")](rule_log(n=5), 5, 20, np.random.default_rng(0)), 1)
    found = []
    for arithmetic in ("reference", "fast"):
        model = untrained(40, arithmetic=arithmetic, **settings)
        model.masks = [None] * (1 + model.fast)
        n_cases = int((batch.targets >= 0).sum())
        draw_always(model, [39, 7, 7, 0] * (n_cases if model.settings.negatives_of == "case" else 1))
        found.append(gradients_of(model, batch))
    (loss, gradients, _, state), (of_fast, gradients_of_fast, _, state_of_fast) = found
    assert float(of_fast) == pytest.approx(float(loss), rel=1e-10)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradients_of_fast[name], gradient, rtol=1e-8, atol=1e-12)
    for tensor, other in zip(state, state_of_fast, strict=True):
        torch.testing.assert_close(tensor, other)


def test_early_stopping_restores_the_best_epoch(monkeypatch):
    train, values, scores = rule_log(), iter([0.1, 0.3, 0.2, 0.3, 0.1, 0.9]), []
    test_prefixes = last_cases(train).prefixes()

    def judge(model, cases, history, protocol):
        assert (history, protocol) == (20, "full")
        scores.append(model.score(test_prefixes))
        return next(values)

    monkeypatch.setattr(neural, "validation_ndcg", judge)
    model = GRU4Rec(**SMALL | {"max_epochs": 50}, patience=3).fit(train, last_cases(train))
    assert model.epochs == 5  # the second is the best, an equal one is no better
    assert [point["validation_ndcg@10"] for point in model.curve] == [0.1, 0.3, 0.2, 0.3, 0.1]
    np.testing.assert_array_equal(model.score(test_prefixes), scores[1])
    assert not np.array_equal(scores[1], scores[4])


def test_of_many_validation_cases_the_same_few_are_looked_at(monkeypatch):
    train, seen = rule_log(), []
    monkeypatch.setattr(neural, "validation_ndcg", lambda model, cases, *_: seen.append(cases.events.tolist()) or 0.1)
    for seed in (0, 1):
        GRU4Rec(**SMALL, validation_cases=20, seed=seed).fit(train, last_cases(train))
    assert len(seen) == 4 and all(events == seen[0] for events in seen)
    assert len(set(seen[0])) == 20 and set(seen[0]) < set(last_cases(train).events.tolist())


def test_without_validation_it_goes_through_all_epochs():
    train = rule_log()
    assert GRU4Rec(**SMALL).fit(train, Cases(train, np.zeros(0, np.int64))).epochs == 2


def test_an_item_never_seen_in_training_is_itself():
    log = rule_log()
    vocabulary = np.array([*log.vocabulary.tolist(), 99])
    train = Sessions(log.items, log.offsets, vocabulary)
    model = GRU4Rec(**SMALL).fit(train)
    zero, unseen = model.score(Sessions(np.array([0, 15], np.int32), np.array([0, 1, 2]), vocabulary))
    assert len(zero) == 16 and np.isfinite(unseen).all()
    assert not np.allclose(zero, unseen)
    alone = model.score(Sessions(np.array([15], np.int32), np.array([0, 1]), vocabulary))
    np.testing.assert_allclose(alone[0], unseen, atol=1e-6)
    assert zero[15] != zero[0]


def test_recommend_gives_ids_of_the_source():
    train = Sessions.from_lists([["a", "b", "c"], ["a", "b", "d"], ["a", "b", "c"], ["c", "a"]])
    model = GRU4Rec(**SMALL | {"negatives": 0, "max_epochs": 30, **PLAIN, "learning_rate": 0.03}).fit(train)
    scores = model.score(Sessions.from_lists([["a", "b"]]))  # the first two of the vocabulary, in the same order
    order = [train.vocabulary[i] for i in np.argsort(-scores[0])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.recommend(["a", "b"], k=4, exclude_visited=False) == order
        assert order[0] == "c"  # which followed twice
        assert model.recommend(["a", "b"], k=10) == [item for item in order if item not in "ab"]
        assert model.recommend(["a", "b"], k=1) == ["c"]


def test_recommend_leaves_out_what_it_does_not_know():
    train = Sessions.from_lists([[30, 10, 20], [10, 20], [10, 30, 20, 20]])  # 20 four times, 10 three, 30 two
    model = GRU4Rec(**SMALL).fit(train)
    with pytest.warns(UserWarning, match=r"never seen in training: 7, 40$"):
        assert model.recommend([7, 10, 40]) == model.recommend([10])
    for fitted in (model, Popularity().fit(train)):
        with pytest.warns(UserWarning, match=r"never seen in training: 7; the most popular items are recommended"):
            assert fitted.recommend([7], k=2) == [20, 10]
    assert Popularity().fit(train).recommend([20], k=5) == [10, 30]


def test_sessions_of_one_visit_are_refused_in_a_sentence():
    with pytest.raises(StudyError, match="no training session has two events"):
        GRU4Rec().fit(Sessions.from_lists([["a"], ["b"]]))


def test_waiting_threads_leave_the_processor_to_others():
    for given, taken in [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]:
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        said = subprocess.run(
            [sys.executable, "-c", "import studylib, torch"],
            env=environment | {"OMP_DISPLAY_ENV": "true"} | given,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"OMP_WAIT_POLICY = '{taken}'" in said.stderr
