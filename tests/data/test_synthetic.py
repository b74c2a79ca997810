import dataclasses

import numpy as np
import pytest

from studylib.data.readers import read
from studylib.data.sessions import Sessions, apply_filters
from studylib.data.splits import leave_one_out
from studylib.data.synthetic import generate, write_sequences
from studylib.errors import StudyError
from studylib.params.study import Data, Synthetic

SMALL = Synthetic(sessions=20_000, items=12, mean_length=10, max_session=60, successors=3)


@pytest.fixture(scope="module")
def small():
    return generate(SMALL, seed=1)


@pytest.fixture(scope="module")
def quickstart():
    """The log of the quickstart, its split as the ranking evaluation makes it, and its prefixes."""
    log = generate(Synthetic(), seed=0)
    split = leave_one_out(apply_filters(log.sessions, Data()))
    return log, split, split.test.prefixes(20)


def test_the_same_seed_gives_the_same_log_and_another_seed_another():
    assert generate(Synthetic(), 3).sessions.checksum == generate(Synthetic(), 3).sessions.checksum
    assert generate(Synthetic(), 3).sessions.checksum != generate(Synthetic(), 4).sessions.checksum


def test_arrays_are_as_sessions_has_them(small):
    sessions = small.sessions
    assert (sessions.items.dtype, sessions.offsets.dtype, sessions.vocabulary.dtype) == (np.int32, np.int64, np.int64)
    assert sessions.vocabulary.tolist() == list(range(12))
    assert len(sessions) == 20_000 and sessions.offsets[-1] == len(sessions.items)
    assert small.chain.successors.dtype == np.int32


def test_session_lengths(small):
    lengths = small.sessions.lengths
    assert lengths.min() == 1 and lengths.max() == 60
    assert lengths.mean() == pytest.approx(10, abs=5 * lengths.std() / np.sqrt(len(lengths)))
    assert (np.bincount(lengths, minlength=61)[1:] > 0).all()


def test_popularity_is_zipf():
    popularity = generate(Synthetic(items=50, popularity_exponent=1.5), 0).chain.popularity
    zipf = np.arange(1, 51) ** -1.5
    assert np.sort(popularity)[::-1] == pytest.approx(zipf / zipf.sum())
    assert not (np.diff(popularity) <= 0).all(), "an id must not tell its popularity"


@pytest.mark.parametrize("successors", [1, 4, 10])
def test_successors_are_distinct_and_follow_popularity(successors):
    chain = generate(Synthetic(items=200, popularity_exponent=2.0, successors=successors), 0).chain
    assert chain.successors.shape == (2, 200, successors)
    assert (np.diff(np.sort(chain.successors, axis=2), axis=2) > 0).all()
    assert (np.diff(chain.shares) < 0).all() and chain.shares.sum() == pytest.approx(1)
    chosen = np.bincount(chain.successors.ravel(), minlength=200)
    by_popularity = np.argsort(-chain.popularity)
    assert chosen[by_popularity[:20]].sum() > 5 * chosen[by_popularity[100:]].sum()


@pytest.mark.parametrize("first_visits", [0, 1])
def test_the_first_two_visits_have_no_more_to_follow_from(small, first_visits):
    """The first event is drawn by popularity; so is the second, with the weight of the item before the last."""
    sessions, chain = small.sessions, small.chain
    long_enough = sessions.offsets[:-1][sessions.lengths > first_visits]
    seen = np.bincount(sessions.items[long_enough + first_visits], minlength=12) / len(long_enough)
    expected = chain.popularity.copy()
    if first_visits:
        expected *= 1 - 0.5
        for page in range(12):
            expected[chain.successors[0, page]] += 0.5 * chain.shares * chain.popularity[page]
    assert seen == pytest.approx(expected, abs=5 * 0.5 / np.sqrt(len(long_enough)))


def test_transitions_of_the_log_are_those_of_the_chain(small):
    items, offsets = small.sessions.items, small.sessions.offsets
    position = np.arange(len(items)) - np.repeat(offsets[:-1], small.sessions.lengths)
    third = np.flatnonzero(position >= 2)
    counts = np.zeros((12, 12, 12))
    np.add.at(counts, (items[third - 2], items[third - 1], items[third]), 1)
    pairs = [(a, b) for a in range(12) for b in range(12)]
    expected = small.chain.probabilities(_prefixes(pairs, np.arange(12))).reshape(12, 12, 12)
    n = counts.sum(axis=2, keepdims=True)
    often = n * expected > 20
    z = ((counts - n * expected) / np.sqrt(n * expected * (1 - expected)))[often]
    assert often.sum() > 500
    assert np.abs(z).max() < 5 and z.std() == pytest.approx(1, abs=0.1)


def test_probabilities_written_out():
    chain = generate(SMALL, 1).chain
    chain = dataclasses.replace(chain, weights=(0.6, 0.1))
    prefixes = _prefixes([(4,), (2, 4), (9, 9, 2, 4), (4, 4)], np.arange(12))
    expected = np.zeros((4, 12))
    for row, visits in enumerate([(4,), (2, 4), (2, 4), (4, 4)]):
        expected[row] += chain.popularity * (0.4 if len(visits) == 1 else 0.3)
        for lag, weight in zip((1, 2)[: len(visits)], (0.6, 0.1), strict=False):
            for rank, successor in enumerate(chain.successors[lag - 1, visits[-lag]]):
                expected[row, successor] += weight * chain.shares[rank]
    assert chain.probabilities(prefixes) == pytest.approx(expected)
    assert chain.probabilities(prefixes).sum(axis=1) == pytest.approx(1)


def test_probabilities_follow_the_vocabulary(small):
    """A compacted log has other indices; the items that are left keep their probabilities, up to what was lost."""
    whole = small.chain.probabilities(_prefixes([(3, 7), (7, 3), (11,)], np.arange(12)))
    kept = np.array([0, 3, 7, 8, 11])
    compact = small.chain.probabilities(_prefixes([(1, 2), (2, 1), (4,)], kept))
    assert compact == pytest.approx(whole[:, kept] / whole[:, kept].sum(axis=1, keepdims=True))


def test_ceiling_written_out(quickstart):
    log, _, prefixes = quickstart
    first = prefixes.select(np.arange(len(prefixes.items)) < prefixes.offsets[7])
    hit_rate = ndcg = mrr = 0.0
    for row in log.chain.probabilities(first):
        for rank, probability in enumerate(sorted(row, reverse=True), start=1):
            hit_rate += probability * (rank <= 3) / 7
            ndcg += probability * (rank <= 3) / np.log2(1 + rank) / 7
            mrr += probability / rank / 7
    assert log.chain.ceiling(first, [3]) == pytest.approx({"hr@3": hit_rate, "ndcg@3": ndcg, "mrr": mrr})


def test_ceiling_is_the_same_in_pieces(quickstart, monkeypatch):
    log, _, prefixes = quickstart
    at_once = log.chain.ceiling(prefixes, (5, 10))
    monkeypatch.setattr("studylib.data.synthetic.CHUNK", 7 * 300)
    assert log.chain.ceiling(prefixes, (5, 10)) == pytest.approx(at_once)


def test_ceiling_is_what_ranking_by_the_true_probabilities_reaches(quickstart):
    log, _, prefixes = quickstart
    probabilities = log.chain.probabilities(prefixes)
    ranks = np.argsort(np.argsort(-probabilities, axis=1), axis=1) + 1
    rng = np.random.default_rng(0)
    cumulative = probabilities.cumsum(axis=1)
    drawn = np.stack([np.searchsorted(row, rng.random(40) * row[-1], side="right") for row in cumulative])
    rank = np.take_along_axis(ranks, drawn, axis=1).ravel()
    simulated = {
        "hr@5": rank <= 5,
        "hr@10": rank <= 10,
        "ndcg@5": (rank <= 5) / np.log2(rank + 1),
        "ndcg@10": (rank <= 10) / np.log2(rank + 1),
        "mrr": 1 / rank,
    }
    ceiling = log.chain.ceiling(prefixes)
    assert ceiling.keys() == simulated.keys()
    for metric, values in simulated.items():
        assert values.mean() == pytest.approx(ceiling[metric], abs=4 * values.std() / np.sqrt(len(rank))), metric


def test_models_of_less_memory_stay_below_the_ceiling(quickstart):
    """On the targets that happened: popularity < true first-order chain < true chain, which is near the ceiling."""
    log, split, prefixes = quickstart
    first_order = dataclasses.replace(log.chain, weights=(log.chain.weights[0], 0.0))
    popularity = np.bincount(split.train.items, minlength=split.train.n_items)

    def hit_rate(scores):
        target_scores = np.take_along_axis(scores, split.test.targets[:, None], axis=1)
        return ((scores > target_scores).sum(axis=1) < 5).mean()

    by_popularity = hit_rate(np.tile(popularity, (len(prefixes), 1)))
    by_last = hit_rate(first_order.probabilities(prefixes))
    by_chain = hit_rate(log.chain.probabilities(prefixes))
    ceiling = log.chain.ceiling(prefixes)["hr@5"]
    assert by_popularity + 0.1 < by_last < by_chain - 0.05
    assert by_chain == pytest.approx(ceiling, abs=4 * 0.5 / np.sqrt(len(prefixes)))


def test_impossible_options_are_refused():
    with pytest.raises(StudyError, match="10 items are too few for 11 successors"):
        generate(Synthetic(items=10, successors=11), 0)
    with pytest.raises(StudyError, match="at most 8 events cannot have a mean of 8"):
        generate(Synthetic(max_session=8, mean_length=8), 0)


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_written_sequences_are_the_sessions(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("studylib.data.synthetic.CHUNK", chunk)
    lists = [["b"], ["a", "c", "a"], ["c"], ["b", "b"]]
    write_sequences(Sessions.from_lists(lists), tmp_path / "log.txt", separator=", ")
    assert (tmp_path / "log.txt").read_text() == "b\na, c, a\nc\nb, b\n"


def test_a_written_log_reads_back(tmp_path):
    sessions = generate(Synthetic(sessions=500), 0).sessions
    write_sequences(sessions, tmp_path / "log.txt")
    back = read(Data(reader="sequences", path=str(tmp_path / "log.txt"), separator="|"))
    assert back.checksum == sessions.compact().checksum


def _prefixes(lists, vocabulary):
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return Sessions(np.concatenate(lists).astype(np.int32), offsets, vocabulary)
