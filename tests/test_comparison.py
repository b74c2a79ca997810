"""The ranking evaluation on a small generated log, and the baselines by hand."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from studylib import comparison as comparisons
from studylib import kept as keeping
from studylib.comparison import COLUMNS, KEYS, METRICS, Comparison, compare, excludes_visited, to_csv
from studylib.data.sessions import Cases, Sessions
from studylib.data.splits import Split, leave_one_out, with_candidates
from studylib.errors import StudyError
from studylib.evaluation.ranking import Ranks, rank_cases
from studylib.execution import WorkerDied
from studylib.models import files
from studylib.models.baselines import Markov, Popularity
from studylib.models.gru4rec import GRU4Rec
from studylib.params.models import Gru4Rec, SasRec
from studylib.params.study import Execution, Ranking
from studylib.tables.ranking import (
    best_of_groups,
    by_prefix_length,
    by_target_frequency,
    intervals,
    order_sensitivity,
    pairs,
    popularity_bias,
    reversed_pairs,
    split_in_time,
)

GRU = {"model": "gru4rec", "label": "small", "embedding": 4, "hidden": 4, "negatives": 8, "max_epochs": 2}
LOG = {"dataset": "synthetic", "synthetic": {"sessions": 150, "items": 40, "mean_length": 4, "max_session": 20}}
SMALL = {"datasets": [LOG], "models": ["markov", GRU, "popularity"], "candidates": 9, "seeds": [1, 0]}
EXECUTION = Execution(workers=1)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A comparison by one worker, and the folder where its ranks and models are kept."""
    folder = tmp_path_factory.mktemp("study")
    return compare(Ranking(**SMALL), EXECUTION, 0, folder), folder


@pytest.fixture
def trained(monkeypatch):
    """Run the trainings in this process and note them."""
    trained = []

    def here(function, tasks, execution, running):
        for task in tasks:
            trained.append((task.model, task.seed))
            yield task, function(task)

    monkeypatch.setattr(keeping, "fan_out", here)
    return trained


def test_a_row_for_each_model_seed_and_protocol_with_all_columns(first, tmp_path):
    table = first[0].table
    assert table.columns.tolist() == COLUMNS
    assert not table.isna().any().any()
    expected = [
        ["synthetic", model, seed, protocol]
        for model in ("markov", "popularity", "small")
        for seed in (0, 1)
        for protocol in ("full", "sampled-9", "shuffled")
    ]
    assert table[KEYS].values.tolist() == expected
    test = first[0].splits["synthetic"].test
    assert set(table["cases"]) == {len(test)} and test.candidates.shape == (len(test), 9)
    assert not table["exclude_visited"].any()
    assert table[METRICS].to_numpy().min() >= 0 and table[METRICS].to_numpy().max() <= 1
    assert (table.loc[table["protocol"] == "sampled-9", ["hr@10", "recall@20"]] == 1).all().all()  # lists of ten
    small = table[table["model"] == "small"]
    assert set(small["epochs"]) == {2} and (small["train_seconds"] > 0).all() and small["mrr"].nunique() == 6
    to_csv(table, tmp_path / "ranking.csv")
    assert pd.read_csv(tmp_path / "ranking.csv").columns.tolist() == COLUMNS


def test_rows_are_the_means_of_the_kept_ranks(first):
    comparison, folder = first
    assert 3 * len(list(folder.glob("ranks/*.npz"))) == len(comparison.table) == len(comparison.ranks)
    for row in comparison.table.to_dict("records"):
        ranks = comparison.ranks[tuple(row[key] for key in KEYS)]
        assert row["ndcg@10"] == ranks.metric("ndcg@10").mean()
    split = comparison.splits["synthetic"]
    markov = rank_cases(Markov().fit(split.train), split.test, 20)
    for protocol in ("full", "sampled-9"):
        kept_ranks = comparison.ranks["synthetic", "markov", 1, protocol]
        np.testing.assert_array_equal(kept_ranks.above, markov[protocol].above)
    shuffled = rank_cases(Markov().fit(split.train), split.test.shuffled(20, 0), 20)["full"]
    assert (shuffled.above != markov["full"].above).any()
    np.testing.assert_array_equal(comparison.ranks["synthetic", "markov", 1, "shuffled"].above, shuffled.above)


def test_the_models_of_the_first_seed_are_kept_and_give_the_kept_ranks(first):
    comparison, folder = first
    paths = {path.name.split("-1-")[0]: path for path in folder.glob("models/*")}
    assert sorted(paths) == ["synthetic-markov", "synthetic-popularity", "synthetic-small"]
    assert len(list(folder.glob("models/*"))) == 3  # none of the other seed, nothing half written
    for name, path in paths.items():
        model, label = files.load(path), name.removeprefix("synthetic-")
        assert (folder / "ranks" / f"{path.stem}.json").exists() and model.settings.label == label
        split = comparison.splits["synthetic"]
        assert model.trained_on == split.train.checksum
        ranks = rank_cases(model, split.test, 20)["full"]
        np.testing.assert_array_equal(ranks.top, comparison.ranks["synthetic", label, 1, "full"].top)


def test_a_model_file_that_is_missing_trains_nothing(first, trained, tmp_path):
    shutil.copytree(first[1] / "ranks", tmp_path / "ranks")
    again = compare(Ranking(**SMALL), EXECUTION, 0, tmp_path)
    pd.testing.assert_frame_equal(again.table, first[0].table)
    assert trained == [] and not (tmp_path / "models").exists()


def test_what_is_kept_is_not_trained_again(first, trained, monkeypatch):
    def fit(*arguments):
        raise AssertionError("trained again")

    for model in (Markov, Popularity, GRU4Rec):
        monkeypatch.setattr(model, "fit", fit)
    again = compare(Ranking(**SMALL), Execution(workers=2), 0, first[1])
    assert trained == []
    pd.testing.assert_frame_equal(again.table, first[0].table)
    conservative = compare(Ranking(**SMALL | {"ties": "conservative"}), EXECUTION, 0, first[1])
    assert trained == [] and (conservative.table["mrr"] <= first[0].table["mrr"] + 1e-12).all()
    assert (conservative.table["mrr"] < first[0].table["mrr"] - 1e-3).any()


def test_another_setting_trains_what_it_touches(first, trained, monkeypatch, tmp_path):
    facts = {
        "parameters": 1,
        "train_seconds": 0.0,
        "epochs": 1,
        "protocols": {"full": {"listed": 40, "not_numbers": 0}},
    }
    ranks = {"full above": np.zeros(1, int), "full tied": np.zeros(1, int), "full top": np.zeros((1, 10), int)}
    monkeypatch.setattr(comparisons, "_train", lambda *arguments: {arguments[-2]: keeping.Result(facts, ranks)})

    def train(seed=0, execution=EXECUTION, **changed):
        trained.clear()
        compare(Ranking(**SMALL | {"seeds": [0]} | changed), execution, seed, tmp_path)
        return [model for model, _ in trained]

    everything = ["markov", "small", "popularity"]
    assert train() == everything and train() == []
    assert train(models=["markov", GRU | {"hidden": 5}, "popularity"]) == ["small"]
    assert train(models=["markov", GRU | {"label": "other"}, "popularity"]) == ["other"]
    assert train(seeds=[0, 1]) == everything and trained[0] == ("markov", 1)
    assert train(history=5) == everything
    assert train(candidates=8) == everything
    assert train(exclude_visited=True) == everything == train(exclude_visited=False)
    assert train(seed=1) == everything  # other candidates, other orders
    assert train(execution=Execution(threads_per_worker=2)) == everything
    assert train() == []


def test_tuned_settings_are_those_of_their_data_set(first, trained, monkeypatch, tmp_path):
    monkeypatch.setattr("studylib.params.files.project_root", lambda: tmp_path)
    path = tmp_path / "params" / "tuned" / "synthetic-mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("{hidden: 7, embedding: 99}")
    set_here = Ranking(**SMALL | {"models": [GRU | {"tuned": "mine"}], "seeds": [0]})
    left_open = [{key: value for key, value in GRU.items() if key != "hidden"} | {"tuned": "mine"}]
    table = compare(set_here, EXECUTION, 0, tmp_path / "one").table
    assert (
        table["parameters"].unique().tolist()
        == first[0].table.query("model == 'small'")["parameters"].unique().tolist()
    )
    table = compare(Ranking(**SMALL | {"models": left_open, "seeds": [0]}), EXECUTION, 0, tmp_path / "two").table
    items = 40 * 4 + 40  # the tables; then three gates, and the map from 7 to 4
    assert table["parameters"].unique().tolist() == [items + 3 * 7 * (4 + 7 + 2) + 4 * (7 + 1)]
    assert trained == [("small", 0)] * 2


def test_validation_sessions_of_their_own_are_learnt_from_before_the_test(first, trained, monkeypatch, tmp_path):
    split = first[0].splits["synthetic"]
    final = split.train.select(np.arange(len(split.train.items)) >= split.train.offsets[20])
    monkeypatch.setattr(comparisons, "prepare", lambda *arguments: replace(split, final=final))
    learnt = []
    monkeypatch.setattr(Popularity, "_fit", lambda self, train, validation: learnt.append((train, validation)))
    compare(Ranking(**SMALL | {"models": ["popularity"], "seeds": [0]}), EXECUTION, 0, tmp_path)
    assert learnt == [(final, None)]


def test_any_number_of_workers_gives_the_same_table(first, tmp_path):
    two = compare(Ranking(**SMALL), Execution(workers=2), 0, tmp_path)
    columns = [column for column in COLUMNS if column != "train_seconds"]
    pd.testing.assert_frame_equal(two.table[columns], first[0].table[columns], check_exact=True)
    for kept in ("ranks/*.npz", "models/*.safetensors"):
        here, there = ({p.name: p.read_bytes() for p in folder.glob(kept)} for folder in (tmp_path, first[1]))
        assert here == there and here


def test_a_worker_that_died_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(keeping, "fan_out", lambda f, tasks, *_: ((t, WorkerDied("it died")) for t in tasks))
    with pytest.raises(StudyError, match="markov on synthetic, seed 1: it died"):
        compare(Ranking(**SMALL), EXECUTION, 0, tmp_path)


def test_intervals_are_over_cases_that_count_with_their_mean_over_seeds(first):
    comparison = first[0]
    measured = intervals(comparison, Ranking(**SMALL), seed=0, metrics=["mrr", "hr@5"])
    assert len(measured) == 3 * 3 * 2  # protocols, models, metrics
    row = measured[(measured["model"] == "small") & (measured["protocol"] == "full")].iloc[0]
    seeds = [comparison.ranks["synthetic", "small", seed, "full"].metric("mrr") for seed in (0, 1)]
    assert row["mean"] == pytest.approx(np.mean(seeds)) and row["n"] == len(seeds[0])
    error = np.mean(seeds, axis=0).std() / np.sqrt(row["n"])
    assert [row["mean"] - row["low"], row["high"] - row["mean"]] == pytest.approx([1.96 * error] * 2, rel=0.2)


def test_groups_of_visits_by_hand(first):
    ranking = Ranking(**SMALL | {"history": 6})
    curves = by_prefix_length(first[0], ranking, 0, ["hr@10", "mrr"])
    lengths = first[0].splits["synthetic"].test.prefix_lengths
    sizes = {"1": (lengths == 1).sum(), "2": (lengths == 2).sum(), "3": (lengths == 3).sum(), "4": (lengths == 4).sum()}
    sizes["5+"] = (lengths >= 5).sum()
    enough = {name: n for name, n in sizes.items() if n >= 20}
    assert 2 <= len(enough) < len(sizes) and "5+" in enough
    assert curves["visits"].unique().tolist() == list(enough)
    assert curves["metric"].unique().tolist() == ["hr@10", "mrr"]
    markov = curves[(curves["model"] == "markov") & (curves["metric"] == "hr@10")].set_index("visits")
    assert markov["n"].to_dict() == enough
    hits = first[0].ranks["synthetic", "markov", 0, "full"].metric("hr@10")
    assert markov.loc["1", "mean"] == pytest.approx(hits[lengths == 1].mean())
    assert markov.loc["5+", "mean"] == pytest.approx(hits[lengths >= 5].mean())
    assert (curves["low"] <= curves["mean"]).all() and (curves["mean"] <= curves["high"]).all()


def test_the_best_of_the_first_and_the_last_group_in_words():
    rows = [
        ("shop", model, "hr@10", visits, mean, mean - 0.01, mean + 0.01)
        for model, means in {"markov": (0.3, 0.2, 0.1), "gru4rec": (0.2, 0.9, 0.5)}.items()
        for visits, mean in zip(("1", "2", "3+"), means, strict=True)
    ]
    columns = ["dataset", "model", "metric", "visits", "mean", "low", "high"]
    curves = pd.DataFrame(rows, columns=columns).sort_values("visits", kind="stable")
    assert best_of_groups(curves, "visits", "with a prefix of {}") == (
        "On **shop** the best HR@10 is with a prefix of 1 markov (0.300 [0.290, 0.310]) and with a prefix of 3+ gru4rec "
        "(0.500 [0.490, 0.510])."
    )


def made_up(positions, models, train=((0,), (1,)), targets=None):
    """A comparison of one data set of 200 items, from the positions of the true items under each protocol and seed."""
    n = len(next(iter(positions.values())))
    targets = np.zeros(n, int) if targets is None else targets
    every = Sessions.from_lists([*map(list, train), *([0, int(t)] for t in targets), list(range(200))])
    visits = sum(map(len, train))
    cases = Cases(every, visits + 1 + 2 * np.arange(n))
    split = Split("made up", every.select(np.arange(len(every.items)) < visits), cases.take([]), cases, "")
    ranks = {
        ("shop", *key): Ranks(np.array(p) - 1, np.zeros(n, np.int32), np.full((n, 10), -1), 200)
        for key, p in positions.items()
    }
    seeds = sorted({key[1] for key in positions})
    ranking = Ranking(datasets=[{"dataset": "synthetic", "name": "shop"}], models=models, seeds=seeds)
    return Comparison(pd.DataFrame(), ranks, {"shop": split}), ranking


def test_every_two_models_are_compared_with_correction():
    random = np.random.default_rng(0)
    hit = random.random(600) < 0.5
    better = np.where(hit | (random.random(600) < 0.2), 1, 30)
    positions = {("markov", 0): np.where(hit, 1, 30), ("popularity", 0): np.where(hit, 2, 40), ("item-knn", 0): better}
    sampled = {(*key, "sampled-9"): p for key, p in positions.items()}
    every, ranking = made_up({(*key, "full"): p for key, p in positions.items()} | sampled,
                             ["popularity", "markov", "item-knn"])  # fmt: skip
    table = pairs(every, ranking, 0, "hr@10")
    assert table["protocol"].tolist() == ["full"] * 3 + ["sampled-9"] * 3
    found = table[:3].set_index(["higher", "lower"])
    assert set(found.index) == {("item-knn", "popularity"), ("item-knn", "markov"), ("popularity", "markov")}
    first = found.loc[("item-knn", "markov")]
    gained = (better == 1).mean() - hit.mean()
    assert first["difference"] == pytest.approx(gained) and first["low"] < gained < first["high"]
    assert first["p"] == pytest.approx(3 / 2001), "the smallest of three, so three times as much"
    same = found.loc[("popularity", "markov")]
    assert (same["difference"], same["p"], same["equivalent"]) == (0, 1, True) and not first["equivalent"]
    alone, one = made_up({("markov", 0, "full"): [1, 2]}, ["markov"])
    assert pairs(alone, one, 0, "mrr").empty


def test_the_pairs_that_the_other_protocol_turns_over():
    rows = [
        ("shop", "full", "a", "b", 0.001),
        ("shop", "full", "a", "c", 0.001),
        ("shop", "full", "b", "c", 0.2),
        ("shop", "sampled-9", "b", "a", 0.01),
        ("shop", "sampled-9", "c", "a", 0.2),
        ("shop", "sampled-9", "c", "b", 0.001),
        ("other", "sampled-9", "c", "a", 0.001),
    ]
    differences = pd.DataFrame(rows, columns=["dataset", "protocol", "higher", "lower", "p"])
    full, sampled = (differences[differences["protocol"] == protocol] for protocol in ("full", "sampled-9"))
    assert reversed_pairs(full, sampled).to_numpy().tolist() == [["shop", "a", "b"]]
    assert reversed_pairs(full, sampled, alpha=0.3)["below"].tolist() == ["b", "c", "c"]


def test_a_data_set_under_one_split_in_time_as_well():
    later = {"dataset": "grocery", "name": "later", "split": "temporal"}
    filtered = {"dataset": "grocery", "name": "filtered", "split": "temporal", "k_core": 5}
    assert split_in_time(Ranking(datasets=["yelp", later, "grocery", filtered])) == {"grocery": "later"}
    assert split_in_time(Ranking(datasets=["yelp", later])) == {}


def test_visited_items_are_left_out_where_no_training_session_visits_twice():
    for log, expected in (([["a", "b", "c"]] * 3, True), ([["a", "b", "a", "c", "d"]] * 3, False)):
        split = leave_one_out(Sessions.from_lists(log))
        assert excludes_visited(Ranking(), split) is expected
        assert [excludes_visited(Ranking(exclude_visited=choice), split) for choice in (True, False)] == [True, False]


def test_the_ablation_is_a_comparison_of_its_steps(tmp_path):
    steps = [{"label": "first", **{k: v for k, v in GRU.items() if k not in ("model", "label")}, "loss": "bpr"},
             {"label": "second", "loss": "cross-entropy"}]  # fmt: skip
    ranking = Ranking(**SMALL, ablation={"datasets": ["synthetic"], "seeds": [3], "steps": steps})
    result = compare(ranking.ablated, EXECUTION, 0, tmp_path)
    assert result.table[["model", "seed"]].drop_duplicates().to_numpy().tolist() == [["first", 3], ["second", 3]]
    assert result.table["mrr"].nunique() == 6


def test_pairs_compare_the_mean_over_the_seeds():
    positions = {("markov", 0): [1, 1, 30, 30], ("markov", 1): [1, 30, 30, 30], ("popularity", 0): [1, 30, 30, 30]}
    positions[("popularity", 1)] = positions[("popularity", 0)]
    every, ranking = made_up({(*key, "full"): p for key, p in positions.items()}, ["popularity", "markov"])
    row = pairs(every, ranking, 0, "hr@10").iloc[0]
    assert (row["higher"], row["lower"], row["difference"]) == ("markov", "popularity", 1 / 8)


def test_what_the_order_is_worth():
    ordered, shuffled = [1] * 60 + [30] * 40, [1] * 30 + [30] * 70
    positions = {("markov", 0, "full"): ordered, ("markov", 0, "shuffled"): shuffled}
    positions |= {("popularity", 0, "full"): ordered, ("popularity", 0, "shuffled"): ordered}
    every, ranking = made_up(positions, ["markov", "popularity"])
    markov, popularity = order_sensitivity(every, ranking, 0, "hr@10").to_dict("records")
    assert (markov["ordered"], markov["shuffled"], markov["lost"], markov["share"]) == (
        0.6,
        0.3,
        pytest.approx(0.3),
        0.5,
    )
    assert 0.15 < markov["low"] < 0.3 < markov["high"] < 0.45
    assert [popularity[c] for c in ("lost", "low", "high", "share")] == [0, 0, 0, 0]


def test_order_is_worth_nothing_to_models_that_do_not_look_at_it(first):
    table = order_sensitivity(first[0], Ranking(**SMALL), 0, "mrr").set_index("model")
    assert table.loc["popularity", "lost"] == 0 and table.loc["markov", "low"] > 0


def test_groups_by_how_often_the_true_item_was_seen():
    # Item 1 was seen 4 times in training, item 2 60 times, item 3 never.
    targets = np.repeat([1, 2, 3], [30, 40, 19])
    positions = [1] * 15 + [30] * 15 + [1] * 40 + [30] * 19
    train = [[1, 1], [1, 1], [2] * 60]
    every, ranking = made_up({("markov", 0, "full"): positions}, ["markov"], train, targets)
    table = by_target_frequency(every, ranking, 0, ["hr@10"])
    assert table[["seen", "mean", "n"]].values.tolist() == [["1-4", 0.5, 30], ["50+", 1.0, 40]]
    assert table.loc[0, "low"] < 0.4 and table.loc[0, "high"] > 0.6


def test_the_popularity_of_lists_by_hand():
    # Of 200 items two are the most visited 1 %: 7 and 8; then 9 with one visit; 197 were never visited.
    train = [[7, 7, 7, 8], [8, 9]]
    every, ranking = made_up({("markov", 0, "full"): [1, 1]}, ["markov"], train, np.array([7, 9]))
    every.ranks["shop", "markov", 0, "full"].top[:, :2] = [[7, 9], [8, 0]]
    markov, true = popularity_bias(every, ranking).to_dict("records")
    never, nine, eight, seven = 98.5 / 200, 197.5 / 200, 198.5 / 200, 199.5 / 200
    assert markov["top_share"] == 2 / 4 and markov["percentile"] == pytest.approx((seven + nine + eight + never) / 4)
    assert true["model"] == "targets" and true["top_share"] == 1 / 2
    assert true["percentile"] == pytest.approx((seven + nine) / 2)


def test_baselines_by_hand():
    # Visits: a 5, b 4, c 3, d 1, e 0. After a: b three times, c once; after b: c twice, a once; after c: a once; after d: b.
    vocabulary = np.array(["a", "b", "c", "d", "e"])
    train = Sessions.from_lists([["a", "b", "c"], ["a", "b", "c", "a", "b"], ["d", "b", "a", "c"], ["a"], ["e"]])
    train = train.select(train.items != 4)
    assert (train.vocabulary == vocabulary).all()

    # Each case: a session whose last page is the target.
    listed = ["ab", "ac", "ad", "ba", "bc", "be", "ca", "cd", "db", "de", "ea", "eb", "abc"]
    sessions = Sessions.from_lists([[*pages] for pages in listed])
    cases = Cases(sessions, sessions.offsets[1:] - 1)
    popularity = rank_cases(Popularity().fit(train), cases)["full"]
    assert (popularity.above + 1).tolist() == [2, 3, 4, 1, 3, 5, 1, 4, 2, 5, 1, 2, 3]

    # After a: b, then c, then a and d and e by popularity; after e, never seen, by popularity alone.
    markov = rank_cases(Markov().fit(train), cases)["full"]
    assert (markov.above + 1).tolist() == [1, 2, 4, 2, 1, 5, 1, 4, 1, 5, 1, 2, 1]
    assert not popularity.tied.any() and not markov.tied.any()
    assert (Markov().fit(train).parameters, Popularity().fit(train).parameters) == (6, 5)


def test_a_setting_that_came_later_changes_no_kept_key_while_it_has_its_default():
    split = with_candidates(leave_one_out(Sessions.from_lists([[*"abc"], [*"bcda"], [*"dae"]])), 1, 0)

    def name(model):
        run = comparisons.Run("shop", model.label, 0)
        return comparisons._name(run, split, model, Ranking(), Execution(), 0)

    # As they were before there was `positive`.
    assert name(Gru4Rec()) == name(Gru4Rec(positive="next")) == "shop-gru4rec-0-e3b3ca901e38"
    assert name(SasRec()) == "shop-sasrec-0-c84bf80c26c3"
    assert name(Gru4Rec(positive="current")) not in (name(Gru4Rec()), name(Gru4Rec(hidden=64)))
