"""Class metrics against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from studylib.evaluation.classification import case_shares, macro_average, micro_average
from studylib.evaluation.ranking import rank_scores


@pytest.mark.parametrize("n", [1, 7, 400])
def test_macro_average_is_that_over_the_pages_that_occur(n):
    random = np.random.default_rng(n)
    targets, predicted = random.integers(0, 30, n), random.integers(10, 45, n)
    predicted[::3] = targets[::3]
    items = np.union1d(targets, predicted)  # fewer than the vocabulary: some only as target, some only as prediction
    expected = precision_recall_fscore_support(targets, predicted, labels=items, average="macro", zero_division=0)
    measured = macro_average(targets, predicted)
    assert list(measured) == ["precision", "recall", "f1"]
    assert list(measured.values()) == pytest.approx(expected[:3])


def test_macro_average_by_hand():
    # Page 1: precision 1/2, recall 1, F1 2/3. Page 2: never predicted. Page 3: never a target.
    measured = macro_average(np.array([1, 2, 2]), np.array([1, 1, 3]))
    assert measured == pytest.approx({"precision": 1 / 6, "recall": 1 / 3, "f1": 2 / 9})


def test_the_shares_of_the_cases_add_up_to_the_macro_average():
    random = np.random.default_rng(1)
    targets, predicted = random.integers(0, 30, 300), random.integers(10, 45, 300)
    guesses = np.column_stack(np.unique(predicted, return_counts=True))
    shares = case_shares(targets, predicted == targets, guesses)
    assert {name: share.mean() for name, share in shares.items()} == pytest.approx(macro_average(targets, predicted))
    assert all((share[targets != predicted] == 0).all() and len(share) == 300 for share in shares.values())


@pytest.mark.parametrize("highest", [0.4, 0.6, 1.0])
def test_micro_average_is_that_of_all_outputs_above_one_half(highest):
    random = np.random.default_rng(0)
    scores, targets = random.random((200, 8)) * highest, random.integers(0, 8, 200)
    expected = precision_recall_fscore_support(np.eye(8)[targets], scores > 0.5, average="micro", zero_division=0)
    measured = micro_average(rank_scores(scores, targets, threshold=0.5).positives)
    assert list(measured) == ["micro_precision", "micro_recall", "micro_f1"]
    assert list(measured.values()) == pytest.approx(expected[:3])
