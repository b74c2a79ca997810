"""The tables of the ranking, on a small generated log and on ranks made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from studylib.comparison import Comparison, compare, of_lists
from studylib.data.sessions import Cases, Sessions
from studylib.data.splits import Split, leave_one_out
from studylib.evaluation.ranking import Ranks
from studylib.params.files import DATA
from studylib.params.study import Execution, Ranking
from studylib.tables.ranking import (
    ablation_steps,
    best_possible,
    by_prefix_length,
    by_target_frequency,
    by_tie,
    in_file_order,
    intervals,
    judged_data,
    order_sensitivity,
    pairs,
    popularity_bias,
    reversed_pairs,
    second_entries,
    shown_differences,
    shown_order,
    split_in_time,
    tuned_elsewhere,
    wide_by_tie,
    wide_intervals,
)

GRU = {"model": "gru4rec", "label": "small", "embedding": 4, "hidden": 4, "negatives": 8, "max_epochs": 2}
LOG = {"dataset": "synthetic", "synthetic": {"sessions": 150, "items": 40, "mean_length": 4, "max_session": 20}}
SMALL = {"datasets": [LOG], "models": ["markov", GRU, "popularity"], "candidates": 9, "seeds": [1, 0]}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return compare(Ranking(**SMALL), Execution(workers=1), 0, folder), folder


def test_what_is_judged(first):
    split = first[0].first_splits["synthetic"]
    models = [*SMALL["models"], {"model": "item-knn", "tuned": "none-such"}]
    broken = first[0].ranks["synthetic", "small", 0, "full"]
    comparison = replace(
        first[0], ranks=first[0].ranks | {("synthetic", "small", 0, "full"): replace(broken, not_numbers=3)}
    )
    table = judged_data(comparison, Ranking(**SMALL | {"models": models, "exclude_visited": True}))
    assert table.to_dict("records") == [
        {
            "dataset": "synthetic", "split": "leave-one-out", "training_sessions": len(split.train), "items": 40,
            "test_cases": len(split.test), "equal_times": "times not known",
            "visited_items": "left out", "at_defaults": "item-knn", "not_numbers": "small",
        }
    ]  # fmt: skip
    unremarkable = judged_data(first[0], Ranking(**SMALL)).iloc[0]
    assert unremarkable["visited_items"] == "stay" and unremarkable[["at_defaults", "not_numbers"]].isna().all()


def test_settings_that_were_selected_on_other_data_are_known(first, monkeypatch, tmp_path):
    monkeypatch.setattr("studylib.params.files.project_root", lambda: tmp_path)
    (tmp_path / "params" / "tuned").mkdir(parents=True)
    content = first[0].first_splits["synthetic"].test.sessions.content
    models = []
    for name, line in {"this": f"{DATA} {content}", "other": f"{DATA} {content[::-1]}", "old": "# By hand"}.items():
        (tmp_path / "params" / "tuned" / f"synthetic-{name}.yaml").write_text(f"{line}\nalpha: 0.3")
        models.append({"model": "gru4rec", "label": name, "tuned": name})
    ranking = Ranking(models=["markov", {"model": "gru4rec", "tuned": "none"}, *models])
    assert tuned_elsewhere(first[0], ranking) == [("synthetic", "other")]


def test_the_best_possible_is_known_where_the_log_is_as_generated(first):
    possible = best_possible(first[0], Ranking(**SMALL), 0)
    assert first[0].table.query("protocol == 'full'")["ndcg@10"].max() < possible["ndcg@10"]["synthetic"] < 1
    for changed in ({"exclude_visited": True}, {"history": 1}, {"datasets": [LOG | {"k_core": 2}]}):
        assert not any(best_possible(first[0], Ranking(**SMALL | changed), 0).values())


def test_a_column_a_metric_with_intervals_as_text(first):
    measured = intervals(first[0], Ranking(**SMALL), 0, ["mrr", "hr@5"])
    wide = wide_intervals(measured, ["hr@5", "mrr"])
    assert wide.columns.tolist() == ["dataset", "protocol", "model", "hr@5", "mrr"] and len(wide) == 9
    row = measured.query("model == 'small' and protocol == 'full' and metric == 'mrr'").iloc[0]
    text = wide.query("model == 'small' and protocol == 'full'")["mrr"].item()
    assert text == f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def test_steps_of_an_ablation_are_in_their_order(first):
    measured = intervals(first[0], Ranking(**SMALL), 0, ["mrr"])
    steps = ablation_steps(first[0], measured[measured["protocol"] != "shuffled"])
    assert steps["model"].tolist() == ["markov", "small", "popularity"]
    assert steps.columns.tolist() == ["dataset", "model", "mrr, full", "mrr, sampled-9", "train_seconds", "epochs"]
    assert steps["epochs"].tolist()[1] == 2.0 and steps["mrr, full"].str.contains(r"^0\.\d{3} \[").all()


def test_intervals_are_over_seeds_and_their_cases(first):
    comparison = first[0]
    measured = intervals(comparison, Ranking(**SMALL), seed=0, metrics=["mrr", "hr@5"])
    assert len(measured) == 3 * 3 * 2  # protocols, models, metrics
    row = measured[(measured["model"] == "small") & (measured["protocol"] == "full")].iloc[0]
    seeds = [comparison.ranks["synthetic", "small", seed, "full"].metric("mrr") for seed in (0, 1)]
    assert row["mean"] == pytest.approx(np.mean(seeds)) and row["n"] == len(seeds[0])
    # Of two seeds a draw has both, or one of them twice, as often.
    means, both = np.mean(seeds, axis=1), np.mean(seeds, axis=0)
    of_cases = (both.var() + np.var(seeds, axis=1).mean()) / 2 / row["n"]
    error = np.sqrt(of_cases + means.var() / 2)
    assert error > 1.01 * both.std() / np.sqrt(row["n"])
    assert [row["mean"] - row["low"], row["high"] - row["mean"]] == pytest.approx([1.96 * error] * 2, rel=0.2)


def test_groups_of_prefix_lengths_by_hand(first):
    ranking = Ranking(**SMALL | {"history": 6})
    curves = by_prefix_length(first[0], ranking, 0, ["hr@10", "mrr"])
    lengths = first[0].first_splits["synthetic"].test.prefix_lengths
    sizes = {"1": (lengths == 1).sum(), "2": (lengths == 2).sum(), "3": (lengths == 3).sum(), "4": (lengths == 4).sum()}
    sizes["5+"] = (lengths >= 5).sum()
    enough = {name: n for name, n in sizes.items() if n >= 20}
    assert 2 <= len(enough) < len(sizes) and "5+" in enough
    assert curves["prefix_length"].unique().tolist() == list(enough)
    assert curves["metric"].unique().tolist() == ["hr@10", "mrr"]
    markov = curves[(curves["model"] == "markov") & (curves["metric"] == "hr@10")].set_index("prefix_length")
    assert markov["n"].to_dict() == enough
    hits = first[0].ranks["synthetic", "markov", 0, "full"].metric("hr@10")
    assert markov.loc["1", "mean"] == pytest.approx(hits[lengths == 1].mean())
    assert markov.loc["5+", "mean"] == pytest.approx(hits[lengths >= 5].mean())
    assert (curves["low"] <= curves["mean"]).all() and (curves["mean"] <= curves["high"]).all()


def made_up(positions, models, train=((0,), (1,)), targets=None):
    """A comparison of one data set of 200 items, from the positions of the true items under each protocol and seed."""
    n = len(next(iter(positions.values())))
    targets = np.zeros(n, int) if targets is None else targets
    every = Sessions.from_lists([*map(list, train), *([0, int(t)] for t in targets), list(range(200))])
    visits = sum(map(len, train))
    cases = Cases(every, visits + 1 + 2 * np.arange(n))
    split = Split("made up", every.select(np.arange(len(every.items)) < visits), cases.take([]), cases, "")
    ranks = {("shop", *key): Ranks(np.array(p) - 1, np.zeros(n, np.int32), None, 200) for key, p in positions.items()}
    seeds = sorted({key[1] for key in positions})
    ranking = Ranking(datasets=[{"dataset": "synthetic", "name": "shop"}], models=models, seeds=seeds)
    return Comparison(pd.DataFrame(), ranks, {("shop", s): split for s in seeds}), ranking


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
    full = table[:3].set_index(["higher", "lower"])
    assert set(full.index) == {("item-knn", "popularity"), ("item-knn", "markov"), ("popularity", "markov")}
    first = full.loc[("item-knn", "markov")]
    gained = (better == 1).mean() - hit.mean()
    assert first["difference"] == pytest.approx(gained) and first["low"] < gained < first["high"]
    assert first["p"] == pytest.approx(3 * 2 / 2001), "the smallest of three, so three times as much; of either side"
    same = full.loc[("popularity", "markov")]
    assert (same["difference"], same["p"], same["equivalent"]) == (0, 1, True) and not first["equivalent"]
    shown = shown_differences(table[:3]).set_index(["higher", "lower"])
    assert shown.loc[("popularity", "markov")].tolist() == ["shop", "0.0000 [0.0000, 0.0000]", "1.000", "yes"]
    assert shown.loc[("item-knn", "markov"), "equivalent"] == "not shown"
    alone, one = made_up({("markov", 0, "full"): [1, 2]}, ["markov"])
    assert pairs(alone, one, 0, "mrr").empty and shown_differences(pairs(alone, one, 0, "mrr")).empty


def test_pairs_whose_order_is_opposite_under_the_other_protocol():
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


def test_a_data_set_in_the_order_of_its_file_as_well():
    drawn, later = {"dataset": "grocery", "equal_times": "drawn"}, {"split": "temporal", "name": "later"}
    in_file = {"dataset": "grocery", "name": "in file"}
    ranking = Ranking(datasets=["yelp", drawn, in_file, drawn | later])
    assert in_file_order(ranking) == {"grocery": "in file"} and split_in_time(ranking) == {"grocery": "later"}
    assert second_entries(ranking) == {"in file", "later"}
    assert in_file_order(Ranking(datasets=["yelp", drawn])) == {} == in_file_order(Ranking(datasets=[in_file, "yelp"]))


def test_pairs_compare_the_mean_over_the_seeds():
    positions = {("markov", 0): [1, 1, 30, 30], ("markov", 1): [1, 30, 30, 30], ("popularity", 0): [1, 30, 30, 30]}
    positions[("popularity", 1)] = positions[("popularity", 0)]
    every, ranking = made_up({(*key, "full"): p for key, p in positions.items()}, ["popularity", "markov"])
    row = pairs(every, ranking, 0, "hr@10").iloc[0]
    assert (row["higher"], row["lower"], row["difference"]) == ("markov", "popularity", 1 / 8)


def test_what_shuffled_prefixes_cost():
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
    shown = shown_order(order_sensitivity(every, ranking, 0, "hr@10"))
    assert shown["share"].tolist() == ["50%", "0%"] and shown["lost"][1] == "0.0000 [0.0000, 0.0000]"
    assert 0.15 < markov["low"] < 0.3 < markov["high"] < 0.45
    assert [popularity[c] for c in ("lost", "low", "high", "share")] == [0, 0, 0, 0]


def test_shuffling_costs_nothing_where_a_model_does_not_look_at_the_order(first):
    table = order_sensitivity(first[0], Ranking(**SMALL), 0, "mrr").set_index("model")
    assert table.loc["popularity", "lost"] == 0 and table.loc["markov", "low"] > 0


def test_groups_of_target_frequencies():
    # Item 1 was seen 4 times in training, item 2 60 times, item 3 never.
    targets = np.repeat([1, 2, 3], [30, 40, 19])
    positions = [1] * 15 + [30] * 15 + [1] * 40 + [30] * 19
    train = [[1, 1], [1, 1], [2] * 60]
    every, ranking = made_up({("markov", 0, "full"): positions}, ["markov"], train, targets)
    table = by_target_frequency(every, ranking, 0, ["hr@10"])
    assert table[["target_frequency", "mean", "n"]].values.tolist() == [["1-4", 0.5, 30], ["50+", 1.0, 40]]
    assert table.loc[0, "low"] < 0.4 and table.loc[0, "high"] > 0.6


def test_groups_are_those_of_each_seed_where_its_targets_are_its_own():
    """With a drawn order of equal times: item 1 was seen 4 times in training, item 2 60 times."""
    train = [[1, 1], [1, 1], [2] * 60]
    found = [1] * 30 + [
        30
    ] * 60  # with the first seed 30 targets are item 1 and found, with the second 60, half of them found
    targets = {0: np.repeat([1, 2], [30, 60]), 1: np.repeat([1, 2], [60, 30])}
    made = {s: made_up({("markov", s, "full"): found}, ["markov"], train, targets[s]) for s in targets}
    ranks = made[0][0].ranks | made[1][0].ranks
    splits = made[0][0].splits | made[1][0].splits
    ranking = made[0][1].model_copy(update={"seeds": [0, 1]})
    every = Comparison(pd.DataFrame(), ranks, splits)
    table = by_target_frequency(every, ranking, 0, ["hr@10"])
    assert table[["target_frequency", "mean", "n"]].values.tolist() == [["1-4", 60 / 90, 45], ["50+", 0.0, 45]]
    lists = {
        "dataset": "shop",
        "model": "markov",
        "protocol": "full",
        "top_share": 0,
        "percentile": 0,
        "coverage@10": 0,
    }
    table = pd.DataFrame([lists | {"seed": s} for s in targets])
    bias = popularity_bias(replace(every, table=table), ranking).set_index("model")
    assert bias.loc["targets", "percentile"] == pytest.approx((199.5 + 198.5) / 2 / 200)


def test_the_popularity_bias_by_hand():
    # Of 200 items two are the most visited 1 %: 7 and 8; then 9 with one visit; 197 were never visited.
    train = [[7, 7, 7, 8], [8, 9]]
    every, ranking = made_up({("markov", 0, "full"): [1, 1]}, ["markov"], train, np.array([7, 9]))
    top = np.array([[7, 9] + [-1] * 8, [8, 0] + [-1] * 8], np.int32)
    lists = of_lists(replace(every.ranks["shop", "markov", 0, "full"], top=top), every.first_splits["shop"])
    row = {"dataset": "shop", "model": "markov", "seed": 0, "protocol": "full", **lists}
    markov, true = popularity_bias(replace(every, table=pd.DataFrame([row])), ranking).to_dict("records")
    never, nine, eight, seven = 98.5 / 200, 197.5 / 200, 198.5 / 200, 199.5 / 200
    assert markov["top_share"] == 2 / 4 and markov["percentile"] == pytest.approx((seven + nine + eight + never) / 4)
    assert markov["coverage@10"] == 4 / 200 and np.isnan(true["coverage@10"])
    assert true["model"] == "targets" and true["top_share"] == 1 / 2
    assert true["percentile"] == pytest.approx((seven + nine) / 2)


def test_cases_are_apart_by_whether_their_target_is_tied():
    """Sixty sessions whose targets are found where they are tied, and thirty whose targets are not."""
    times = np.concatenate([np.tile([0.0, 1.0, 1.0], 60), np.tile([0.0, 1.0, 2.0], 30)])
    sessions = Sessions(np.tile(np.arange(3, dtype=np.int32), 90), np.arange(0, 271, 3), np.arange(3), times)
    split = leave_one_out(sessions)
    above = np.where(split.test.tied, 0, 2).astype(np.int32)
    ranks = {("days", "markov", 0, "full"): Ranks(above, np.zeros_like(above), None, 3)}
    comparison = Comparison(pd.DataFrame(), ranks, {("days", 0): split})
    ranking = Ranking(datasets=[{"name": "days", "reader": "events", "path": "-"}], models=["markov"])
    table = by_tie(comparison, ranking, 0, ["accuracy"])
    assert table[["target", "mean", "n"]].values.tolist() == [
        ["a time of its own", 0.0, 30],
        ["the time of the event before", 1.0, 60],
    ]
    wide = wide_by_tie(table, "accuracy")
    assert wide.columns.tolist() == ["dataset", "model", "a time of its own", "the time of the event before"]
    assert wide.iloc[0, 3].startswith("1.0000")
    untied = replace(comparison, splits={("days", 0): leave_one_out(replace(sessions, times=None))})
    assert by_tie(untied, ranking, 0, ["accuracy"]).empty and wide_by_tie(by_tie(untied, ranking, 0), "mrr").empty
