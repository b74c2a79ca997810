"""GRU4Rec: its losses against float64 NumPy, its batches by hand, and what it learns."""

import warnings

import numpy as np
import pytest
import torch

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.models import gru4rec
from studylib.models.baselines import Popularity
from studylib.models.gru4rec import GRU4Rec, NegativeSampler, Network, batches, cut, pad

SMALL = {"embedding": 8, "hidden": 12, "negatives": 16, "batch_size": 8, "max_epochs": 2, "device": "cpu"}


def numbered(*lengths):
    """Sessions whose visits are numbered through: 0, 1, 2, ..."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sessions(np.arange(offsets[-1], dtype=np.int32), offsets, np.arange(offsets[-1]))


def as_lists(sessions):
    return [sessions[i].tolist() for i in range(len(sessions))]


class FixedDraws:
    """A sampler that draws what it is told."""

    def __init__(self, popularity, alpha, draws=None):
        self.log_q, self.draws = NegativeSampler(popularity, alpha, "cpu").log_q, draws

    def draw(self, count):
        return torch.tensor(self.draws)


@pytest.fixture
def model():
    """An untrained network over six items, the vectors of five positions, and their targets."""
    torch.manual_seed(0)
    model = GRU4Rec(**SMALL)
    model.network = Network(6, 8, 12, 0.4)
    with torch.no_grad():
        model.network.bias.copy_(torch.randn(6))
    return model, torch.randn(5, 8), torch.tensor([2, 0, 5, 2, 1])


def as_float64(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


def test_full_loss_is_the_cross_entropy_over_the_catalogue(model):
    model, vectors, targets = model
    v, items, bias = as_float64(vectors, model.network.items.weight, model.network.bias)
    scores = v @ items.T + bias
    expected = np.mean([np.log(np.exp(s).sum()) - s[t] for s, t in zip(scores, targets, strict=True)])
    assert float(model._loss(vectors, targets, None).detach()) == pytest.approx(expected, rel=1e-6)


def test_sampled_loss_is_a_corrected_softmax_over_the_target_and_the_negatives(model):
    model, vectors, targets = model
    popularity, draws = np.array([5, 1, 20, 3, 0, 8]), [2, 3, 3, 0, 4]
    v, items, bias = as_float64(vectors, model.network.items.weight, model.network.bias)
    share = np.maximum(popularity, 1) ** 0.75
    scores = v @ items.T + bias - np.log(share / share.sum())
    losses = []
    for s, target in zip(scores, targets.tolist(), strict=True):
        negatives = [s[draw] for draw in draws if draw != target]  # the target is never its own negative
        losses.append(np.log(np.exp([s[target], *negatives]).sum()) - s[target])
    loss = model._loss(vectors, targets, FixedDraws(popularity, 0.75, draws))
    assert float(loss.detach()) == pytest.approx(np.mean(losses), rel=1e-6)


def test_a_target_among_the_negatives_costs_nothing(model):
    model, vectors, _ = model
    loss = model._loss(vectors, torch.full((5,), 3), FixedDraws(np.ones(6), 1.0, [3, 3, 3]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(p.grad is None or not p.grad.isnan().any() for p in model.network.parameters())


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
def test_the_correction_makes_the_true_probabilities_the_optimum(model, alpha):
    """At scores that are the log-probabilities of the items, the expected gradient is zero, whatever negatives are drawn.

    The expectation is over all targets and, for one negative, over all draws. Without the correction, or with half of
    it, only scores shifted by log q would be an optimum.
    """
    model, *_ = model
    probability = np.array([0.4, 0.05, 0.2, 0.1, 0.05, 0.2])
    popularity = np.array([5, 1, 20, 3, 0, 8])
    with torch.no_grad():
        model.network.bias.copy_(torch.from_numpy(np.log(probability)))
    share = np.maximum(popularity, 1) ** alpha
    expected = 0.0
    for target, p in enumerate(probability):
        for draw, q in enumerate(share / share.sum()):
            sampler = FixedDraws(popularity, alpha, [draw])
            expected = expected + p * q * model._loss(torch.zeros(1, 8), torch.tensor([target]), sampler)
    expected.backward()
    np.testing.assert_allclose(model.network.bias.grad.numpy(), 0, atol=1e-7)


def test_negatives_are_drawn_in_proportion_to_powered_popularity():
    popularity = np.array([0, 1, 16, 81])
    sampler = NegativeSampler(popularity, 0.5, "cpu")
    share = np.array([1, 1, 4, 9]) / 15  # an item never seen is drawn as if seen once
    np.testing.assert_allclose(sampler.log_q.numpy(), np.log(share), rtol=1e-6)
    torch.manual_seed(0)
    drawn = np.bincount(sampler.draw(40_000).numpy(), minlength=4) / 40_000
    np.testing.assert_allclose(drawn, share, atol=0.01)


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
    items, lengths = pad(numbered(3, 1, 2), np.array([2, 0]))  # the last session is filled up, too
    assert items.tolist() == [[4, 5, 0], [0, 1, 2]] and items.dtype == np.int64
    assert lengths.tolist() == [2, 3]
    assert pad(numbered(3, 1, 2), np.array([1]))[0].tolist() == [[3]]


def test_batches_hold_every_session_once_beside_those_of_like_length():
    sessions = numbered(*np.random.default_rng(0).integers(2, 30, 103))
    seen, widths = [], []
    for items, lengths in batches(sessions, 10, np.random.default_rng(1)):
        assert len(items) <= 10 and items.shape[1] == lengths.max()
        widths.append((lengths.max() - lengths.min(), lengths.min()))
        seen += [row[:length].tolist() for row, length in zip(items, lengths, strict=True)]
    assert sorted(seen) == sorted(as_lists(sessions))
    assert len(widths) == 11 and max(width for width, _ in widths) <= 5
    shortest = [first for _, first in widths]
    assert shortest != sorted(shortest)  # batches come in random order, not from short to long
    again = [items.tolist() for items, _ in batches(sessions, 10, np.random.default_rng(1))]
    other = [items.tolist() for items, _ in batches(sessions, 10, np.random.default_rng(2))]
    assert again == [items.tolist() for items, _ in batches(sessions, 10, np.random.default_rng(1))] != other


def rule_log(n_items=15, n=150, seed=0, longest=9):
    """The next item is always seven further on."""
    random = np.random.default_rng(seed)
    walks = [[int(s + 7 * step) % n_items for step in range(random.integers(2, longest))] for s in range(n)]
    return Sessions.from_lists(walks)


def last_cases(sessions):
    return Cases(sessions, sessions.offsets[1:] - 1)


@pytest.mark.parametrize("negatives", [0, 16])
def test_padding_takes_no_part_in_training(monkeypatch, negatives):
    train = rule_log()
    prefixes = last_cases(train).prefixes()
    settings = SMALL | {"negatives": negatives, "batch_size": 40}
    plain = GRU4Rec(**settings).fit(train)

    padded = 0

    def pad_with_another_item(sessions, rows):
        nonlocal padded
        items, lengths = pad(sessions, rows)
        padded += (lengths < items.shape[1]).sum()
        return np.where(np.arange(items.shape[1]) < lengths[:, None], items, 11), lengths

    monkeypatch.setattr(gru4rec, "pad", pad_with_another_item)
    other = GRU4Rec(**settings).fit(train)
    assert padded > 50
    np.testing.assert_allclose(other.score(prefixes), plain.score(prefixes), atol=1e-6)


def test_scores_are_those_of_the_gru_stepped_by_hand_without_dropout():
    train = rule_log()
    model = GRU4Rec(**SMALL | {"dropout": 0.9}).fit(train)
    prefixes = last_cases(train).prefixes().select(np.arange(train.offsets[-1] - len(train)) < 40)
    model.network.train()  # as training leaves it
    scores = model.score(prefixes)
    assert scores.shape == (len(prefixes), train.n_items)
    weights = {name: w.double().numpy() for name, w in model.network.state_dict().items()}
    for prefix, row in zip(as_lists(prefixes), scores, strict=True):
        hidden = np.zeros(12)
        for item in prefix:
            x = weights["gru.weight_ih_l0"] @ weights["items.weight"][item] + weights["gru.bias_ih_l0"]
            h = weights["gru.weight_hh_l0"] @ hidden + weights["gru.bias_hh_l0"]
            reset, update = (1 / (1 + np.exp(-x[i : i + 12] - h[i : i + 12])) for i in (0, 12))
            hidden = (1 - update) * np.tanh(x[24:] + reset * h[24:]) + update * hidden
        vector = weights["out.weight"] @ hidden + weights["out.bias"]
        np.testing.assert_allclose(row, weights["items.weight"] @ vector + weights["bias"], atol=1e-5)


@pytest.mark.parametrize("negatives", [0, 16])
def test_learns_a_rule_to_near_certainty_in_short_and_cut_sessions(negatives):
    settings = {"negatives": negatives, "embedding": 16, "hidden": 24, "batch_size": 16, "learning_rate": 0.01}
    model = GRU4Rec(**settings, dropout=0.1, max_epochs=15, history=4, device="cpu").fit(rule_log(longest=14))
    cases = last_cases(rule_log(n=60, seed=1))
    scores = torch.from_numpy(model.score(cases.prefixes(4)))
    assert (scores.argmax(1).numpy() == cases.targets).all()
    true = scores.softmax(1).numpy()[np.arange(len(cases)), cases.targets]
    assert true.min() > 0.8 and true.mean() > 0.9
    np.testing.assert_array_equal(model.score(cases.prefixes()), scores)  # whatever was before the last four visits


def test_the_same_seed_gives_the_same_numbers():
    train = rule_log()
    prefixes = last_cases(train).prefixes()
    one, two, other = (GRU4Rec(**SMALL, seed=seed).fit(train) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.score(prefixes), two.score(prefixes))
    assert one.curve == two.curve
    assert not np.array_equal(one.score(prefixes), other.score(prefixes))


def test_early_stopping_restores_the_best_epoch(monkeypatch):
    train, values, scores = rule_log(), iter([0.1, 0.3, 0.2, 0.3, 0.1, 0.9]), []
    prefixes = last_cases(train).prefixes()

    def judge(model, cases, history):
        assert history == 20
        scores.append(model.score(prefixes))
        ranks = type("Ranks", (), {"metric": lambda self, name: np.array([next(values)])})
        return {"full": ranks()}

    monkeypatch.setattr(gru4rec, "rank_cases", judge)
    model = GRU4Rec(**SMALL | {"max_epochs": 50}, patience=3).fit(train, last_cases(train))
    assert model.epochs == 5  # the second is the best, an equal one is no better
    assert [point["validation_ndcg@10"] for point in model.curve] == [0.1, 0.3, 0.2, 0.3, 0.1]
    np.testing.assert_array_equal(model.score(prefixes), scores[1])
    assert not np.array_equal(scores[1], scores[4])


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
    model = GRU4Rec(**SMALL | {"negatives": 0, "max_epochs": 30, "dropout": 0.0, "learning_rate": 0.03}).fit(train)
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
    with pytest.raises(StudyError, match="no training session has two visits"):
        GRU4Rec().fit(Sessions.from_lists([["a"], ["b"]]))
