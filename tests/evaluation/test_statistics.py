"""Bootstrap intervals, paired differences and shares of variance."""

import itertools

import numpy as np
import pandas as pd
import pytest

from studylib.evaluation import statistics
from studylib.evaluation.statistics import (
    MOST_DRAWN,
    bootstrap_means,
    bootstrap_seeds,
    detectable_difference,
    drawn_together,
    expected_best,
    holm,
    interval,
    paired_difference,
    two_sided_p,
    variance_shares,
)


def test_a_large_sample_has_the_normal_interval():
    values = np.random.default_rng(0).exponential(2.0, (4000, 1))
    low, high = interval(bootstrap_means(values, seed=1))
    error = values.std() / np.sqrt(4000)
    assert low[0] == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high[0] == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_the_level_is_that_of_the_interval():
    means = np.linspace([0.0, 10.0], [1.0, 20.0], 1001)
    assert np.allclose(interval(means), [[0.025, 10.25], [0.975, 19.75]])
    assert np.allclose(interval(means, 0.5), [[0.25, 12.5], [0.75, 17.5]])


def test_a_draw_takes_as_many_cases_as_there_are():
    # Of two cases 0 and 1 a draw has 0, 1 or 2 ones, with probabilities 1/4, 1/2, 1/4.
    means, counts = np.unique(bootstrap_means(np.array([[0.0], [1.0]]), resamples=4000), return_counts=True)
    assert means.tolist() == [0, 0.5, 1]
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_the_same_seed_gives_the_same_draws():
    values = np.random.default_rng(0).random((50, 2))
    np.testing.assert_array_equal(bootstrap_means(values, 100, seed=3), bootstrap_means(values, 100, seed=3))
    assert not np.array_equal(bootstrap_means(values, 100, seed=3), bootstrap_means(values, 100, seed=4))


def test_columns_share_the_draws():
    a, b = np.random.default_rng(0).random((2, 60))
    means = bootstrap_means(np.column_stack([a, b, a, a - b]), 300)
    assert (means[:, 0] == means[:, 2]).all()
    np.testing.assert_allclose(means[:, 0] - means[:, 1], means[:, 3], atol=1e-12)


def test_draws_in_several_blocks_differ():
    # 2 million cases: two draws a block.
    values = np.zeros((2_000_000, 1))
    values[::1000] = 1.0
    means = bootstrap_means(values, resamples=5)
    assert means.shape == (5, 1) and len(np.unique(means)) == 5
    np.testing.assert_allclose(means, 0.001, rtol=0.15)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    samples = random.random((300, 400)) < 0.3  # 400 experiments of 300 cases, one a column
    low, high = interval(np.hstack([bootstrap_means(samples[:, [c]], 400, seed=c) for c in range(400)]))
    covered = ((low <= 0.3) & (high >= 0.3)).mean()
    assert 0.91 <= covered <= 0.98


def test_shares_of_variance_of_a_balanced_design():
    factors = {"a": ["x", "y"], "b": [1, 2], "c": ["only"]}
    cells = pd.DataFrame(itertools.product(*factors.values()), columns=list(factors))
    cells = pd.concat([cells, cells], ignore_index=True)
    # a alone makes a difference of 2, a and b together one of 1 (an interaction), b alone none.
    cells["m"] = np.where(cells["a"] == "x", 2.0, 0.0) + np.where((cells["a"] == "x") == (cells["b"] == 1), 0.5, -0.5)
    shares = variance_shares(cells, "m", list(factors)).set_index("effect")["share"]
    assert shares.to_dict() == pytest.approx({"a": 0.8, "a × b": 0.2, "b": 0.0, "rest": 0.0}, abs=1e-9)
    alike = variance_shares(cells.assign(m=1.0), "m", list(factors))
    assert alike.to_numpy().tolist() == [["rest", 1.0]]


def test_a_paired_difference_sees_what_is_there():
    random = np.random.default_rng(1)
    base = random.binomial(1, 0.3, 4000).astype(float)
    better = np.maximum(base, random.binomial(1, 0.1, 4000))
    there = paired_difference(better, base, margin=0.01)
    assert there.mean == pytest.approx((better - base).mean()) and 0 < there.low < there.mean < there.high
    assert there.p == pytest.approx(1 / 2001) and not there.equivalent
    same = paired_difference(base, base, margin=0.01)
    assert (same.mean, same.low, same.high, same.p, same.equivalent) == (0, 0, 0, 1, True)
    few = paired_difference(random.permutation(base[:50]), base[:50], margin=0.01)
    assert few.p > 0.05 and not few.equivalent, "too few cases show no difference, and no equivalence either"


def test_the_permutation_test_keeps_its_level():
    random = np.random.default_rng(2)
    p = [paired_difference(*random.normal(size=(2, 60)), 0.1, resamples=400, seed=s).p for s in range(300)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


def test_a_paired_difference_by_other_means():
    values = np.random.default_rng(3).binomial(1, [0.3, 0.4], (500, 2)).astype(float)
    found = paired_difference(*values.T, 0.05, 300, seed=7)
    difference = values[:, 0] - values[:, 1]
    means = bootstrap_means(values, 300, seed=7) @ [1, -1]
    assert found.mean == pytest.approx(difference.mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist())
    signs = 2 * np.random.default_rng(7).integers(0, 2, (300, 500), np.int8) - 1
    assert found.p == (1 + (np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9).sum()) / 301
    assert found.equivalent == (found.low > -0.05 and found.high < 0.05)


def test_a_paired_difference_of_sums_is_that_of_their_cases():
    random = np.random.default_rng(4)
    values = random.binomial(1, [0.3, 0.35], (3 * MOST_DRAWN, 2)).astype(float)
    all_cases = paired_difference(*values.T, 0.05, 300)
    sums, sizes = drawn_together(values)
    grouped = paired_difference(*sums.T, 0.05, 300, sizes=sizes)
    assert len(sums) == MOST_DRAWN and grouped == all_cases
    assert grouped.mean == pytest.approx((values[:, 0] - values[:, 1]).mean())
    difference = values[:, 0] - values[:, 1]
    of_sums = detectable_difference(sums[:, 0] - sums[:, 1], sizes=sizes)
    assert of_sums == pytest.approx(detectable_difference(difference), rel=0.05)
    assert detectable_difference(difference) == pytest.approx(
        (1.959964 + 0.841621) * difference.std(ddof=1) / np.sqrt(len(difference)), rel=1e-5
    )


def test_cases_of_one_session_are_drawn_together():
    random = np.random.default_rng(5)
    each = random.random((60, 2))
    copies = random.integers(1, 6, 60)  # the cases of a session are all the same
    session = np.repeat(np.arange(60), copies)
    shuffled = random.permutation(len(session))
    values = each[session]
    means = bootstrap_means(values, seed=1, sessions=session)
    np.testing.assert_allclose(bootstrap_means(values[shuffled], seed=1, sessions=session[shuffled]), means)
    deviation = (values - values.mean(0)).T @ np.eye(60)[session]  # of the sums of the sessions
    np.testing.assert_allclose(means.std(0), np.sqrt((deviation**2).sum(1)) / len(session), rtol=0.08)
    np.testing.assert_allclose(means.mean(0), values.mean(0), rtol=0.02)
    assert (means.std(0) > 1.3 * bootstrap_means(values, seed=1).std(0)).all()
    alone = np.arange(len(values)) * 3
    np.testing.assert_array_equal(bootstrap_means(values, seed=1, sessions=alone), bootstrap_means(values, seed=1))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_a_saturated_grid_has_shares_too():
    cells = pd.DataFrame({"a": ["x", "y", "x", "y"], "b": [1, 1, 2, 2], "m": [0.0, 1.0, 0.0, 3.0]})
    shares = variance_shares(cells, "m", ["a", "b"]).set_index("effect")["share"]
    assert shares.sum() == pytest.approx(1) and shares["rest"] == pytest.approx(0, abs=1e-9)
    assert variance_shares(cells[:2], "m", ["a", "b"])["effect"].tolist() == ["a", "rest"]


def test_one_seed_is_its_cases():
    values = np.random.default_rng(0).random((80, 2))
    for shared in (False, True):
        np.testing.assert_array_equal(bootstrap_seeds([values], shared, seed=3), bootstrap_means(values, seed=[3]))


def test_seeds_and_cases_are_both_drawn():
    random = np.random.default_rng(0)
    agree = [random.normal(0.0, 1.0, (400, 1)) for _ in range(4)]
    cases = np.sqrt(sum(v.var() / 400 for v in agree)) / 4
    assert cases < bootstrap_seeds(agree).std() < 1.6 * cases
    differ = [v + shift for v, shift in zip(agree, (-3, -1, 1, 3), strict=True)]
    spread = np.std([v.mean() for v in differ])
    assert bootstrap_seeds(differ).std() == pytest.approx(np.sqrt(spread**2 / 4 + cases**2), rel=0.06)
    # The same cases for all: more seeds that agree do not make them more.
    assert bootstrap_seeds([agree[0]] * 4, shared=True).std() == pytest.approx(agree[0].std() / 20, rel=0.06)


def test_intervals_over_seeds_and_cases_cover_the_truth():
    random, covered = np.random.default_rng(3), 0
    for experiment in range(200):
        seeds = [random.normal(random.normal(0, 0.05), 1.0, (300, 1)) for _ in range(5)]
        low, high = interval(bootstrap_seeds(seeds, resamples=200, seed=experiment))
        covered += low[0] <= 0 <= high[0]
    assert covered >= 0.92 * 200


def test_p_agrees_with_the_interval():
    means = np.linspace(-0.024, 0.976, 1001)
    assert two_sided_p(means) == pytest.approx(2 * 26 / 1002) and interval(means[:, None])[0][0] > 0
    assert two_sided_p(-means) == two_sided_p(means)
    assert two_sided_p(means + 1) == pytest.approx(2 / 1002)
    assert two_sided_p(np.zeros(10)) == 1


def test_a_detectable_difference_is_detected_four_times_in_five():
    random = np.random.default_rng(4)
    spread = random.choice([-1.0, 0.0, 1.0], 10_000, p=[0.1, 0.8, 0.1])
    true = detectable_difference(spread[:300])
    detected = [
        paired_difference(random.choice(spread, 300) - spread.mean() + true, np.zeros(300), 1, 400, seed).p < 0.05
        for seed in range(300)
    ]
    assert 0.72 < np.mean(detected) < 0.88


def test_many_sessions_are_drawn_in_runs_of_neighbours(monkeypatch):
    random = np.random.default_rng(0)
    values = random.random((1003, 2))
    sums, sizes = drawn_together(values)
    assert sums.shape == (1003, 2) and (sizes == 1).all()
    alone = bootstrap_means(values).std(0)
    monkeypatch.setattr(statistics, "MOST_DRAWN", 100)
    sums, sizes = drawn_together(values)
    assert sums.shape == (100, 2) and set(sizes.tolist()) == {10, 11} and sizes.sum() == 1003
    np.testing.assert_allclose(sums.sum(0), values.sum(0))
    np.testing.assert_allclose(sums[0], values[:10].sum(0))
    np.testing.assert_allclose(bootstrap_means(values).std(0), alone, rtol=0.25)
    alike = np.repeat(random.random(101), 10)[:1003, None]  # neighbours that are one: the error of a hundred sessions
    assert bootstrap_means(alike).std() > 2.5 * alike.std() / np.sqrt(len(alike))
    of_two = np.repeat(np.arange(502), 2)[:1003]
    sums, sizes = drawn_together(values, of_two)
    assert len(sums) == 100 and sizes.sum() == 1003


def test_the_expected_best_of_so_many_trials():
    values = [0.3, 0.1, 0.2, 0.4]
    best = expected_best(values)
    for k in range(1, 5):
        every = [max(drawn) for drawn in itertools.combinations(values, k)]
        assert best[k - 1] == pytest.approx(np.mean(every))
    assert expected_best([0.7]).tolist() == [0.7] and expected_best([]).shape == (0,)
