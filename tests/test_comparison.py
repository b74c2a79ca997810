"""The ranking evaluation on a small generated log, and the baselines by hand."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from studylib import comparison as comparisons, kept as keeping
from studylib.comparison import (
    COLUMNS,
    KEYS,
    LISTED,
    METRICS,
    compare,
    events_of_items,
    excludes_visited,
    split_datasets,
    to_csv,
    trainings_of,
)
from studylib.data.datasets import load
from studylib.data.sessions import Cases, Sessions
from studylib.data.splits import leave_one_out, with_candidates
from studylib.errors import StudyError
from studylib.evaluation.ranking import popularity, rank_cases
from studylib.execution import WorkerDied
from studylib.kept import TIMES
from studylib.models import build, files
from studylib.models.baselines import Markov, Popularity
from studylib.models.gru4rec import GRU4Rec
from studylib.params.models import MODELS, Gru4Rec, SasRec
from studylib.params.study import Execution, Ranking, RankingDataset

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
    assert table.columns.tolist() == [*COLUMNS, *(name for name in [*TIMES, *LISTED] if name not in COLUMNS)]
    assert not table.isna().any().any()
    expected = [
        ["synthetic", model, seed, protocol]
        for model in ("markov", "popularity", "small")
        for seed in (0, 1)
        for protocol in ("full", "sampled-9", "shuffled")
    ]
    assert table[KEYS].values.tolist() == expected
    test = first[0].first_splits["synthetic"].test
    assert set(table["cases"]) == {len(test)} and test.candidates.shape == (len(test), 9)
    assert not table["exclude_visited"].any()
    assert table[METRICS].to_numpy().min() >= 0 and table[METRICS].to_numpy().max() <= 1
    assert (table.loc[table["protocol"] == "sampled-9", ["hr@10", "recall@20"]] == 1).all().all()  # lists of ten
    small = table[table["model"] == "small"]
    assert set(small["epochs"]) == {2} and (small["train_seconds"] > 0).all() and small["mrr"].nunique() == 6
    to_csv(table, tmp_path / "ranking.csv")
    assert pd.read_csv(tmp_path / "ranking.csv").columns.tolist() == COLUMNS
    times = pd.read_csv(tmp_path / "ranking_times.csv")
    assert times.columns.tolist() == ["dataset", "model", "seed", *TIMES] and len(times) == 6


def test_rows_are_the_means_of_the_kept_ranks(first):
    comparison, folder = first
    assert 3 * len(list(folder.glob("ranks/*.npz"))) == len(comparison.table) == len(comparison.ranks)
    for row in comparison.table.to_dict("records"):
        ranks = comparison.ranks[tuple(row[key] for key in KEYS)]
        assert row["ndcg@10"] == ranks.metric("ndcg@10").mean()
    split = comparison.first_splits["synthetic"]
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
        split = comparison.first_splits["synthetic"]
        assert model.trained_on == split.train.checksum
        ranks = rank_cases(model, split.test, 20)["full"]
        np.testing.assert_array_equal(ranks.above, comparison.ranks["synthetic", label, 1, "full"].above)
        row = comparison.table.set_index(KEYS).loc[("synthetic", label, 1, "full")]
        assert row["coverage@10"] == len(np.unique(ranks.top[ranks.top >= 0])) / split.train.n_items
        assert (row["top_share"], row["percentile"]) == popularity(ranks.listed_items(), events_of_items(split))


def test_a_model_file_that_is_missing_trains_nothing(first, trained, tmp_path):
    for folder in ("ranks", "made"):
        shutil.copytree(first[1] / folder, tmp_path / folder)
    again = compare(Ranking(**SMALL), EXECUTION, 0, tmp_path)
    pd.testing.assert_frame_equal(again.table, first[0].table)
    assert trained == [] and not (tmp_path / "models").exists()


@pytest.fixture
def days(tmp_path):
    """A log that gives days: of each visitor's four events the first two have one day, and the last two."""
    random = np.random.default_rng(0)
    rows = [
        f"{user},{item},{place // 2}" for user in range(60) for place, item in enumerate(random.permutation(12)[:4])
    ]
    (tmp_path / "days.csv").write_text("user,item,day\n" + "\n".join(rows) + "\n")
    return {
        "name": "days", "reader": "events", "path": str(tmp_path / "days.csv"), "user": "user", "item": "item", "time": "day",
    }  # fmt: skip


def test_a_drawn_order_of_equal_times_is_another_for_each_seed(days, trained, tmp_path):
    drawn = days | {"equal_times": "drawn"}
    ranking = Ranking(datasets=[drawn], models=["markov"], candidates=5, seeds=[4, 2])
    result = compare(ranking, EXECUTION, 0, tmp_path)
    assert trained == [("markov", 4), ("markov", 2)]
    splits = split_datasets(ranking, 0)
    assert {key: split.checksum for key, split in result.splits.items()} == {
        key: split.checksum for key, split in splits.items()
    }
    assert result.first_splits["days"].checksum == splits["days", 4].checksum != splits["days", 2].checksum
    assert splits["days", 4].test.tied.all() and len(splits["days", 4].test) == 60
    for seed in (2, 4):
        split = splits["days", seed]
        markov = rank_cases(Markov().fit(split.train), split.test, 20)["full"]
        np.testing.assert_array_equal(result.ranks["days", "markov", seed, "full"].above, markov.above)
    same = (splits["days", 4].test.targets == splits["days", 2].test.targets).mean()
    assert 0.3 < same < 0.7, "the last of two is one or the other"
    assert (splits["days", 4].test.session == splits["days", 2].test.session).all()
    in_file = split_datasets(Ranking(datasets=[days], models=["markov"], candidates=5, seeds=[4, 2]), 0)
    assert in_file["days", 4] is in_file["days", 2]


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
        "epochs": 1,
        "first_list": [3],
        "protocols": {"full": {"listed": 40, "not_numbers": 0} | dict.fromkeys(LISTED, 0.5)},
    }
    ranks = {"full above": np.zeros(1, int), "full tied": np.zeros(1, int)}
    monkeypatch.setattr(
        comparisons, "_train", lambda *arguments: dict.fromkeys(arguments[-1], keeping.Result(facts, ranks))
    )

    def train(seed=0, execution=EXECUTION, **changed):
        trained.clear()
        compare(Ranking(**SMALL | {"seeds": [0]} | changed), execution, seed, tmp_path)
        return [model for model, _ in trained]

    everything = ["markov", "small", "popularity"]
    assert train() == everything and train() == []
    assert train(models=["markov", GRU | {"hidden": 5}, "popularity"]) == ["small"]
    assert train(models=["markov", GRU | {"label": "other"}, "popularity"]) == ["other"]
    assert train(seeds=[0, 1]) == everything and trained == [("markov", 0), ("small", 1), ("popularity", 0)]
    assert train(history=5) == everything
    assert train(candidates=8) == everything
    assert train(exclude_visited=True) == everything == train(exclude_visited=False)
    assert train(seed=1) == everything  # other candidates, other orders
    assert train(execution=Execution(threads_per_worker=2)) == everything
    assert train() == []


def test_a_model_that_draws_nothing_is_trained_once_for_all_seeds(first, trained, tmp_path):
    again = compare(Ranking(**SMALL), EXECUTION, 0, tmp_path)
    assert trained == [("markov", 1), ("small", 1), ("small", 0), ("popularity", 1)]
    pd.testing.assert_frame_equal(again.table[COLUMNS], first[0].table[COLUMNS])
    ranks = {key[1:3]: ranks.above for key, ranks in again.ranks.items() if key[3] == "full"}
    assert (ranks["markov", 0] == ranks["markov", 1]).all() and (ranks["small", 0] != ranks["small", 1]).any()
    assert sorted(path.name.split("-1-")[0] for path in tmp_path.glob("models/*")) == [
        "synthetic-markov", "synthetic-popularity", "synthetic-small",
    ]  # fmt: skip


@pytest.mark.parametrize("entry", MODELS.values())
def test_which_models_draw_nothing(first, entry):
    """Of a model that says so, another seed has the same scores."""
    split = first[0].first_splits["synthetic"]
    scores = [build(entry(), 20, seed, "cpu").fit(split.train).score(split.test.prefixes(20)) for seed in (0, 1)]
    assert (scores[0] == scores[1]).all() != entry.draws


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
    split = first[0].first_splits["synthetic"]
    final = split.train.select(np.arange(len(split.train.items)) >= split.train.offsets[20])
    monkeypatch.setattr(comparisons, "prepare", lambda *arguments: replace(split, final=final))
    learnt = []
    monkeypatch.setattr(Popularity, "_fit", lambda self, train, validation: learnt.append((train, validation)))
    compare(Ranking(**SMALL | {"models": ["popularity"], "seeds": [0]}), EXECUTION, 0, tmp_path)
    assert learnt == [(final, None)]


def test_any_number_of_workers_gives_the_same_table(first, tmp_path):
    two = compare(Ranking(**SMALL), Execution(workers=2), 0, tmp_path)
    columns = [column for column in COLUMNS if column not in TIMES]
    pd.testing.assert_frame_equal(two.table[columns], first[0].table[columns], check_exact=True)
    for kept in ("ranks/*.npz", "models/*.safetensors"):
        here, there = ({p.name: p.read_bytes() for p in folder.glob(kept)} for folder in (tmp_path, first[1]))
        assert here == there and here


def test_a_worker_that_died_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(keeping, "fan_out", lambda f, tasks, *_: ((t, WorkerDied("it died")) for t in tasks))
    with pytest.raises(StudyError, match="markov on synthetic, seed 1: it died"):
        compare(Ranking(**SMALL), EXECUTION, 0, tmp_path)


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


def test_the_ablation_is_of_its_data_sets_alone(tmp_path):
    steps = [{"label": "first", "loss": "bpr"}, {"label": "second", "loss": "cross-entropy"}]
    datasets = [LOG, LOG | {"name": "other"}]
    ranking = Ranking(**SMALL | {"datasets": datasets}, ablation={"datasets": ["other"], "seeds": [3], "steps": steps})
    work = trainings_of(split_datasets(ranking, 0), ranking.ablated, EXECUTION, 0, tmp_path)
    assert {(training.dataset, training.model) for training in work.names} == {("other", "first"), ("other", "second")}


@pytest.mark.parametrize("threshold", [None, 1.0])
@pytest.mark.parametrize("kind", [Markov, Popularity])
def test_one_list_for_all_cases_with_the_same_last_event(first, monkeypatch, kind, threshold):
    split = first[0].first_splits["synthetic"]
    cases = replace(split.test, candidates=None)
    model = kind().fit(split.train)
    scored = []
    monkeypatch.setattr(
        kind, "score", lambda self, prefixes, own=kind.score: scored.append(len(prefixes)) or own(self, prefixes)
    )
    ranks = rank_cases(model, cases, None, False, threshold)["full"]
    assert sum(scored) == len(np.unique(cases.prefixes(1).items)) < len(cases)
    monkeypatch.setattr(kind, "memory", None)
    one_by_one = rank_cases(model, cases, None, False, threshold)["full"]
    assert one_by_one.tied.any() and sum(scored) > len(cases)
    for name in ("above", "tied", "top", *(["positives"] if threshold else [])):
        np.testing.assert_array_equal(getattr(ranks, name), getattr(one_by_one, name))
    assert ranks.listed == one_by_one.listed and (ranks.positives is None) == (threshold is None)


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
        training = comparisons.Training("shop", model.label, 0)
        return comparisons._name(training, split, model, Ranking(), Execution(), 0)

    # As they were before there was `positive`.
    assert name(Gru4Rec()) == name(Gru4Rec(positive="next")) == "shop-gru4rec-0-e3b3ca901e38"
    assert name(SasRec()) == "shop-sasrec-0-c84bf80c26c3"
    assert name(Gru4Rec(positive="current")) not in (name(Gru4Rec()), name(Gru4Rec(hidden=64)))


def test_in_windows_each_case_is_ranked_by_a_model_of_what_came_before(trained, tmp_path):
    log = {"dataset": "synthetic", "name": "rolling", "split": "temporal", "windows": 3, "synthetic": LOG["synthetic"]}
    sessions = load(RankingDataset(dataset="synthetic", synthetic=LOG["synthetic"]))
    timed = replace(sessions, times=np.arange(len(sessions.items), dtype=np.float64))
    ranking = Ranking(datasets=[log], models=["popularity"], candidates=9)
    split = with_candidates(comparisons.split_log(timed, ranking.datasets[0]), 9, 0)
    splits = {("rolling", 0): split}
    work = trainings_of(splits, ranking, EXECUTION, 0, tmp_path)
    keeping.complete(work, EXECUTION)
    found = comparisons.collected(work, splits, ranking)
    assert trained == [("popularity", 0)] and found.table["cases"].tolist() == [len(split.test)] * 3
    for window in split.windows:
        rows = np.searchsorted(split.test.events, window.test.events)
        alone = rank_cases(Popularity().fit(window.train), window.test, 20)
        for protocol in ("full", "sampled-9"):
            ranks = found.ranks["rolling", "popularity", 0, protocol]
            np.testing.assert_array_equal(ranks.above[rows], alone[protocol].above)
            np.testing.assert_array_equal(ranks.tied[rows], alone[protocol].tied)
    [model] = tmp_path.glob("models/*")
    assert files.load(model).trained_on == split.windows[-1].train.checksum
    assert events_of_items(split).sum() == len(split.windows[0].train.items) < len(split.windows[1].train.items)
