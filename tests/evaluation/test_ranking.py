"""Ranks and their metrics against slow implementations, enumerated ties, and scikit-learn."""

from itertools import pairwise, permutations
from math import log2

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, top_k_accuracy_score

from studylib.data.sessions import Cases, Sessions
from studylib.errors import LONGEST, StudyError
from studylib.evaluation.ranking import TOP, metric_gain, popularity, rank_cases, rank_scores, validation_ndcg

METRICS = ["hr@1", "hr@5", "recall@20", "precision@3", "ndcg@3", "ndcg@10", "mrr", "mrr@2", "mrr@20", "accuracy"]


def gain(name, position):
    """The metrics, written out."""
    kind, _, k = name.partition("@")
    if position > (int(k) if k else 10**9):
        return 0.0
    return {
        "hr": 1.0,
        "recall": 1.0,
        "precision": 1 / float(k or 1),
        "ndcg": 1 / log2(position + 1),
        "mrr": 1 / position,
        "accuracy": float(position == 1),
    }[kind]


def random_scores(n, n_items, levels, seed=0):
    """Scores of few levels, so that many tie, and a target for each row."""
    random = np.random.default_rng(seed)
    return random.integers(0, levels, (n, n_items)).astype(np.float32), random.integers(0, n_items, n)


@pytest.mark.parametrize("name", METRICS)
def test_ties_count_as_the_mean_over_all_orders_of_the_tied_items(name):
    scores, targets = random_scores(40, 5, levels=3)
    expected = []
    for row, target in zip(scores.tolist(), targets, strict=True):
        orders = [o for o in permutations(range(5)) if all(row[a] >= row[b] for a, b in pairwise(o))]
        expected.append(np.mean([gain(name, order.index(target) + 1) for order in orders]))
    np.testing.assert_allclose(rank_scores(scores, targets).metric(name), expected)


@pytest.mark.parametrize(
    "name", ["ndgc@10", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "map@10", "mrr@ 5", "", "@5", "x" * 999]
)
def test_an_unknown_metric_is_a_sentence(name):
    with pytest.raises(StudyError, match=r"There is no metric '.*': take one of hr, .*, such as ndcg@10") as error:
        metric_gain(name)
    assert len(str(error.value)) <= LONGEST


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_a_slow_implementation(name):
    scores, targets = random_scores(200, 60, levels=25)
    ranks = rank_scores(scores, targets)
    expected = {"mean": [], "conservative": [], "standard": []}
    for row, target in zip(scores, targets, strict=True):
        first = 1 + sum(score > row[target] for score in row)
        last = sum(score >= row[target] for score in row)
        expected["standard"].append(gain(name, first))
        expected["conservative"].append(gain(name, last))
        expected["mean"].append(np.mean([gain(name, position) for position in range(first, last + 1)]))
    for ties, values in expected.items():
        np.testing.assert_allclose(ranks.metric(name, ties), values, err_msg=ties)
        assert ranks.metric(name, ties).dtype == np.float64


def test_ties_by_hand():
    # Two items above, the true one among four that tie: positions 3 to 6.
    ranks = rank_scores(np.array([[9.0, 8, 5, 5, 5, 5, 1]]), np.array([3]))
    assert (ranks.above.tolist(), ranks.tied.tolist(), ranks.listed) == ([2], [3], 7)
    assert ranks.metric("hr@5").tolist() == [3 / 4]
    assert ranks.metric("mrr")[0] == pytest.approx((1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 4)
    assert ranks.metric("mrr", "standard").tolist() == [1 / 3]
    assert ranks.metric("mrr", "conservative").tolist() == [1 / 6]


@pytest.mark.parametrize("name", METRICS)
def test_constant_scores_are_random_guessing(name):
    ranks = rank_scores(np.full((3, 50), 0.7, np.float32), np.array([0, 20, 49]))
    np.testing.assert_allclose(ranks.metric(name), np.mean([gain(name, position) for position in range(1, 51)]))


def test_metrics_are_those_of_scikit_learn():
    scores, targets = random_scores(300, 40, levels=30)
    relevant = np.eye(40)[targets]
    ranks = rank_scores(scores, targets)
    for k in (5, 10):  # which averages over ties, too
        assert ranks.metric(f"ndcg@{k}").mean() == pytest.approx(ndcg_score(relevant, scores, k=k), rel=1e-6)
    mrr = label_ranking_average_precision_score(relevant, scores)  # which counts ties conservatively
    assert ranks.metric("mrr", "conservative").mean() == pytest.approx(mrr)

    distinct = np.random.default_rng(1).permuted(np.tile(np.arange(40.0), (300, 1)), axis=1)
    ranks = rank_scores(distinct, targets)
    for name, k in {"accuracy": 1, "hr@5": 5, "hr@10": 10, "recall@20": 20}.items():
        expected = top_k_accuracy_score(targets, distinct, k=k, labels=range(40))
        assert ranks.metric(name).mean() == pytest.approx(expected), name
    assert ranks.metric("mrr").mean() == pytest.approx(label_ranking_average_precision_score(relevant, distinct))


def test_a_score_that_is_not_a_number_ranks_last_and_is_counted():
    nan, inf = np.nan, np.inf
    scores = np.array(
        [
            [nan, 2.0, -inf, 1.0],  # the true score is none: last, after minus infinity
            [nan, nan, nan, nan],  # last, even where all are none
            [nan, 2.0, nan, 1.0],  # others rank behind
            [nan, 2.0, nan, -inf],  # even behind minus infinity
        ]
    )
    ranks = rank_scores(scores, np.array([0, 1, 3, 3]))
    assert ranks.above.tolist() == [3, 3, 1, 1]
    assert ranks.tied.tolist() == [0, 0, 0, 0]
    assert ranks.not_numbers == 9
    assert ranks.top[2, :2].tolist() == [1, 3]
    assert not np.isnan(ranks.metric("mrr")).any()


@pytest.mark.filterwarnings("error")
def test_infinite_scores_are_ordered_as_numbers():
    inf = np.inf
    scores = np.array([[inf, 2.0, -inf, inf], [inf, 2.0, -inf, -inf], [3e38, 3e38, inf, -inf]], np.float32)
    ranks = rank_scores(scores, np.array([0, 2, 1]))
    assert (ranks.above.tolist(), ranks.tied.tolist()) == ([0, 2, 1], [1, 1, 1])
    assert ranks.not_numbers == 0


def test_heads_of_lists_and_coverage():
    scores = np.array([[0.1, 0.5, 0.3], [0.9, 0.2, 0.8]])
    ranks = rank_scores(scores, np.array([0, 0]))
    assert ranks.top.tolist() == [[1, 2, 0] + [-1] * 7, [0, 2, 1] + [-1] * 7]
    listed = rank_scores(scores, np.array([0, 0]), items=np.array([[40, 7, 12], [40, 3, 7]], np.int32))
    assert listed.top.tolist() == [[7, 12, 40] + [-1] * 7, [40, 7, 3] + [-1] * 7]
    assert sorted(listed.listed_items()) == [3, 7, 7, 12, 40, 40]
    long = rank_scores(np.random.default_rng(0).random((2, 100)), np.array([0, 0]))
    assert long.top.shape == (2, TOP)


def test_scores_above_a_threshold_are_counted():
    scores = np.array([[0.6, 0.5, 0.7], [0.1, 0.9, 0.2], [0.1, 0.2, np.nan]])
    ranks = rank_scores(scores, np.array([0, 0, 2]), threshold=0.5)
    assert ranks.positives.tolist() == [[2, 1], [1, 0], [0, 0]]


def test_popularity_by_hand():
    events = np.array([5, 1, 1, 0])  # ranks 4, 2.5, 2.5 and 1 of four; one item is the most popular 1 %
    assert popularity(np.array([0, 3]), events) == (0.5, ((4 - 0.5) / 4 + (1 - 0.5) / 4) / 2)
    assert popularity(np.array([1, 1, 0, 2]), events) == (0.25, (3 * 2 / 4 + 3.5 / 4) / 4)
    assert popularity(np.arange(4), events) == (0.25, 0.5), "the catalogue itself"


N_ITEMS = 12


class Table:
    """A model whose scores depend on the last event and on how many events it sees; many tie."""

    has_repeats, exclude_visited, memory = True, None, None

    def __init__(self):
        self.scores = np.random.default_rng(5).integers(0, 6, (N_ITEMS, 4, N_ITEMS)).astype(np.float32)

    def score(self, prefixes):
        last = prefixes.items[prefixes.offsets[1:] - 1]
        return self.scores[last, np.minimum(prefixes.lengths, 4) - 1]


@pytest.fixture(scope="module")
def cases():
    """More cases than a batch holds, with candidates; sessions contain repeated items."""
    random = np.random.default_rng(6)
    offsets = np.concatenate([[0], np.cumsum(random.integers(2, 7, 1500))])
    sessions = Sessions(random.integers(0, N_ITEMS, offsets[-1]).astype(np.int32), offsets, np.arange(N_ITEMS))
    events = np.sort(np.concatenate([offsets[1:] - 1, offsets[:-1] + 1])[:2600])
    targets = sessions.items[events]
    candidates = np.array([random.choice(np.delete(np.arange(N_ITEMS), t), 5, replace=False) for t in targets])
    return Cases(sessions, events, candidates.astype(np.int32))


def slow_ranks(cases, history, exclude_visited):
    """Above and tied by loops, for the whole catalogue and for the candidates."""
    model, full, sampled = Table(), [], []
    for event, candidates in zip(cases.events, cases.candidates, strict=True):
        start = max(o for o in cases.sessions.offsets if o <= event)
        prefix, target = cases.sessions.items[start:event].tolist(), int(cases.sessions.items[event])
        seen = len(prefix) if history is None else min(len(prefix), history)
        scores = model.scores[prefix[-1], min(seen, 4) - 1]
        for ranks, others in ((full, range(N_ITEMS)), (sampled, candidates.tolist())):
            left = [i for i in others if i != target and not (exclude_visited and i in prefix)]
            above = sum(scores[i] > scores[target] for i in left)
            ranks.append((above, sum(scores[i] == scores[target] for i in left)))
    return np.array(full), np.array(sampled)


@pytest.mark.parametrize(("history", "exclude_visited"), [(None, False), (2, False), (2, True)])
def test_cases_are_ranked_under_both_protocols(cases, history, exclude_visited):
    assert len(cases) > 2 * 1024
    cases = cases if history == 2 and exclude_visited else cases.take(slice(700, 1900))
    ranks = rank_cases(Table(), cases, history, exclude_visited)
    assert list(ranks) == ["full", "sampled-5"]
    for ranked, expected in zip(ranks.values(), slow_ranks(cases, history, exclude_visited), strict=True):
        np.testing.assert_array_equal(np.column_stack([ranked.above, ranked.tied]), expected)
    assert (ranks["full"].listed, ranks["sampled-5"].listed) == (N_ITEMS, 6)
    assert len(ranks["full"]) == len(ranks["full"].top) == len(cases)


def test_candidates_are_ranked_as_a_list_of_their_own(cases):
    subset = cases.take(slice(0, 50))
    ranks = rank_cases(Table(), subset, 3)["sampled-5"]
    lists = np.column_stack([subset.targets, subset.candidates])
    scores = Table().score(subset.prefixes(3))[np.arange(50)[:, None], lists]
    expected = rank_scores(scores, np.zeros(50, np.int64), lists.astype(np.int32))
    np.testing.assert_array_equal(ranks.above, expected.above)
    assert all(set(top[top >= 0]) == set(items) for top, items in zip(ranks.top, lists, strict=True))


def test_visited_items_are_out_and_the_true_one_never(cases):
    class Proud(Table):
        """Scores what was just visited highest."""

        def score(self, prefixes):
            scores = super().score(prefixes)
            scores[np.arange(len(prefixes)), prefixes.items[prefixes.offsets[1:] - 1]] = 99
            return scores

    again = cases.sessions.items[cases.events - 1] == cases.targets
    assert 50 < again.sum() < len(cases) / 2
    ranks = rank_cases(Proud(), cases, 1, exclude_visited=True, threshold=50.0)["full"]
    assert (ranks.metric("accuracy")[again] == 1).all()
    assert (ranks.positives[again] == 1).all() and (ranks.positives[~again] == 0).all()
    prefixes = cases.prefixes()
    for case in range(300):
        visited = set(prefixes[case].tolist()) - {int(cases.targets[case])}
        free = N_ITEMS - len(visited)
        assert visited.isdisjoint(ranks.top[case, :free].tolist())


def test_visited_items_are_left_out_by_default_where_training_never_visits_twice(cases):
    class Twice(Table):
        has_repeats = True

    class Once(Table):
        has_repeats = False

    subset = cases.take(slice(700, 1900))
    for model, excluded in ((Twice(), False), (Once(), True)):
        explicit, default = rank_cases(model, subset, 2, excluded)["full"], rank_cases(model, subset, 2)["full"]
        np.testing.assert_array_equal(default.above, explicit.above)
    assert (rank_cases(Once(), subset, 2)["full"].above < rank_cases(Twice(), subset, 2)["full"].above).any()


def test_the_validation_value_is_that_of_its_protocol(cases):
    subset = cases.take(slice(700, 1900))
    ranks = rank_cases(Table(), subset, 2, False)
    full, sampled = (float(r.metric("ndcg@10").mean()) for r in ranks.values())
    assert (
        validation_ndcg(Table(), subset, 2, "full") == full != sampled == validation_ndcg(Table(), subset, 2, "sampled")
    )
    explicit = Table()
    explicit.exclude_visited = True
    assert (
        validation_ndcg(explicit, subset, 2, "full")
        == rank_cases(Table(), subset, 2, True)["full"].metric("ndcg@10").mean()
        > full
    )
    with pytest.raises(StudyError, match="needs validation cases with candidates"):
        validation_ndcg(Table(), Cases(cases.sessions, cases.events[:5]), 2, "sampled")


def test_without_candidates_there_is_one_protocol(cases):
    assert list(rank_cases(Table(), Cases(cases.sessions, cases.events[:5]))) == ["full"]


@pytest.mark.parametrize("name", METRICS)
def test_a_model_that_scores_all_alike_guesses_at_random_under_every_protocol(cases, name):
    class Alike:
        has_repeats, memory = True, None

        def score(self, prefixes):
            return np.full((len(prefixes), N_ITEMS), 0.3, np.float32)

    for ranks in rank_cases(Alike(), cases, 3).values():
        expected = np.mean([gain(name, position) for position in range(1, ranks.listed + 1)])
        np.testing.assert_allclose(ranks.metric(name), expected)
