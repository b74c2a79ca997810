"""SASRec: what a visit may look at, and that it is trained as GRU4Rec is."""

import numpy as np
import pytest
import torch

from studylib.data.sessions import Cases, Sessions
from studylib.models.batches import NegativeSampler, prefixes, sequences
from studylib.models.sasrec import AttentionNetwork, SASRec
from studylib.params.models import SasRec

SMALL = {"embedding": 8, "heads": 2, "dropout_items": 0.0, "dropout_embedding": 0.0, "dropout_hidden": 0.0}


def rule_log(n=150, seed=0, longest=9):
    """The next item is seven further on than the last but one; the last alone says nothing."""
    random = np.random.default_rng(seed)
    walks = []
    for _ in range(n):
        walk = random.integers(0, 15, 2).tolist()
        walks.append(
            walk + [(walk[step % 2] + 7 * (1 + step // 2)) % 15 for step in range(random.integers(1, longest))]
        )
    return Sessions.from_lists(walks)


def test_a_visit_looks_at_itself_and_those_before_it():
    torch.manual_seed(0)
    network = AttentionNetwork(9, 6, SasRec(**SMALL)).double().eval()
    vectors = torch.randn(2, 6, 8, dtype=torch.float64)
    outputs, state = network(vectors)
    assert state == []
    for step in range(6):
        changed = vectors.clone()
        changed[:, step] = torch.randn(8, dtype=torch.float64)
        differs = (network(changed)[0] - outputs).abs().amax((0, 2)) > 1e-9
        assert differs.tolist() == [at >= step for at in range(6)]
    torch.testing.assert_close(network(vectors[:, :4])[0], outputs[:, :4])


def test_the_same_items_in_another_order_are_another_session():
    torch.manual_seed(0)
    network = AttentionNetwork(9, 6, SasRec(**SMALL)).double().eval()
    vectors = torch.randn(1, 3, 8, dtype=torch.float64)
    swapped = vectors[:, [1, 0, 2]]
    assert (network(vectors)[0][:, -1] - network(swapped)[0][:, -1]).abs().max() > 1e-3


def test_sequences_and_prefixes_are_the_same_training():
    sessions = rule_log(n=20, longest=5)
    torch.manual_seed(0)
    model = SASRec(**SMALL, negatives=0, device="cpu")
    model.popularity = np.ones(sessions.n_items)
    model.sampler = NegativeSampler(model.popularity, 0, "cpu")
    model.network = model.build(sessions.n_items).double()
    tables = dict(model.network.tables)
    [one], [other] = (list(scheme(sessions, 1000, 20, np.random.default_rng(0))) for scheme in (sequences, prefixes))
    (loss, gradients, _), (loss_other, of_other, _) = (
        model.gradients(batch, None, lambda rows: {name: table.detach() for name, table in tables.items()})
        for batch in (one, other)
    )
    assert float(loss) == pytest.approx(float(loss_other), rel=1e-10)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, of_other[name], rtol=1e-7, atol=1e-11)


def test_learns_a_rule_that_the_last_visit_does_not_give_away():
    settings = {"embedding": 32, "batch_size": 16, "negatives": 12, "max_epochs": 40, "learning_rate": 0.005}
    model = SASRec(**SMALL | settings, history=8, device="cpu").fit(rule_log(n=400))
    log = rule_log(n=60, seed=1)
    cases = Cases(log, log.offsets[1:] - 1)
    right = model.score(cases.prefixes(8)).argmax(1) == cases.targets
    assert right.mean() > 0.9
    shuffled = model.score(cases.shuffled(8, 0).prefixes(8)).argmax(1) == cases.targets
    assert shuffled.mean() < right.mean() - 0.1
