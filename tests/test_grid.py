"""The grid: which cells there are, and that each is trained once, whatever happens on the way."""

import json
import math
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from studylib import grid as grids, kept as keeping, machine
from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.evaluation.classification import case_shares, macro_average
from studylib.evaluation.ranking import Ranks, rank_cases
from studylib.execution import WorkerDied, fan_out
from studylib.grid import (
    AGAIN,
    COLUMNS,
    KEYS,
    SECOND,
    Training,
    baselines,
    cell_store,
    cells_of,
    count_cells,
    expand,
    filter_log,
    judge,
    judge_later,
    later_cases,
    other_settings,
    read_grid,
    run_grid,
    split_log,
    to_csv,
    train_cells,
    variants,
)
from studylib.kept import TIMES
from studylib.models.baselines import Markov
from studylib.params.study import Data, Execution, Grid
from studylib.tables.grid import ON_LATER, baseline_measures, by_case, on_later, seconds_an_epoch, time_ratio

DATA = Data(max_length=1)
TINY = {"architectures": ["gru"], "optimizers": ["adam"], "batch_sizes": [16], "epochs": [3, 1], "units": 3}
GRID = Grid(**TINY | {"seeds": [1, 0]})
EXECUTION = Execution()


@pytest.fixture(scope="module")
def log():
    """Fifty short sessions in which the next item is the last plus one, most of the time."""
    random = np.random.default_rng(0)
    return Sessions.from_lists([[int(s + step) % 8 for step in range(3)] for s in random.integers(0, 8, 50)])


@pytest.fixture
def trained(monkeypatch):
    """Run the trainings in this process and note them."""
    trained = []

    def here(function, tasks, execution, running):
        for task in reversed(tasks):
            trained.append(task)
            yield task, function(task)

    monkeypatch.setattr(keeping, "fan_out", here)
    return trained


@pytest.fixture
def instant(monkeypatch):
    """Cells without a network, whose measures say where they come from."""

    def cells(training, epochs, split, data, grid, later):
        results = [grids.failed_cell(training, e, split, "not trained") for e in epochs]
        for result in results:
            result.facts.update(loss=len(split.train) + grid.units, status="ok")
        return results[::-1]

    monkeypatch.setattr(grids, "train_cells", cells)


def comparable(cells):
    return cells.drop(columns=TIMES).to_json(orient="records")


def test_the_grid_of_the_paper_has_324_cells():
    paper = Grid(
        architectures=["lstm", "gru", "hybrid"],
        activations=["softmax", "tanh", "sigmoid"],
        optimizers=["sgd", "adam", "rmsprop", "adagrad"],
        batch_sizes=[64, 128, 256],
        epochs=[20, 50, 100],
    )
    trainings = expand(paper)
    assert len(set(trainings)) * len(paper.epochs) == 324
    assert trainings[0] == Training("lstm", "softmax", "sgd", 64, 0)
    assert trainings[1] == Training("lstm", "softmax", "sgd", 128, 0)
    assert trainings[-1] == Training("hybrid", "sigmoid", "adagrad", 256, 0)
    assert [t.seed for t in expand(Grid(**TINY | {"seeds": [5, 3]}))] == [5, 3]


@pytest.fixture(scope="module")
def kept(log, tmp_path_factory):
    """The cells of two trainings in this process, and the folder where they are kept."""
    folder = tmp_path_factory.mktemp("cells")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "fan_out", lambda function, tasks, *_: ((t, function(t)) for t in tasks))
        return run_grid(log, DATA, GRID, EXECUTION, folder), folder


def test_a_row_for_each_cell_with_all_columns(log, kept, tmp_path):
    cells, folder = kept
    assert cells[KEYS].values.tolist() == [
        ["gru", "softmax", "adam", 16, 1, 0],
        ["gru", "softmax", "adam", 16, 1, 1],
        ["gru", "softmax", "adam", 16, 3, 0],
        ["gru", "softmax", "adam", 16, 3, 1],
    ]
    assert not cells[COLUMNS].isna().any().any()
    assert cells["status"].tolist() == ["ok"] * 4
    assert [len(curve) for curve in cells["curve"]] == [1, 1, 3, 3]
    assert [curve[-1] for curve in cells["curve"]] == cells["loss"].tolist()
    assert cells["curve"][2][:1] == cells["curve"][0] != cells["curve"][1]  # one epoch is on the way to three
    for _, cell in cells.iterrows():
        ranks = Ranks(np.array(cell["above"]), np.array(cell["tied"]), None, 8)
        assert len(ranks) == 10
        for metric in ("accuracy", "hr@5", "mrr"):
            assert ranks.metric(metric).mean() == pytest.approx(cell[metric])
        targets = split_log(log, DATA, cell["seed"]).test.targets
        assert macro_average(targets, np.array(cell["top"]))["f1"] == pytest.approx(cell["f1"])
    # Input kernel 8 x 9 and bias 9, recurrent 3 x 9, dense 3 x 8 and 8.
    assert cells["parameters"][0] == 72 + 9 + 27 + 24 + 8
    assert len(list((folder / "cells").glob("*.json"))) == len(list((folder / "cells").glob("*.npz"))) == 4

    to_csv(cells, tmp_path / "grid.csv")
    written = pd.read_csv(tmp_path / "grid.csv")
    assert written.columns.tolist() == COLUMNS and len(written) == 4
    times = pd.read_csv(tmp_path / "grid_times.csv")
    assert times.columns.tolist() == [*KEYS, *TIMES] and (times["train_seconds"] > 0).all()
    assert set(times["processor"]) == {machine.processor()}


def test_any_number_of_workers_gives_the_same_cells(log, kept, tmp_path):
    cells, folder = kept
    assert comparable(run_grid(log, DATA, GRID, Execution(workers=2), tmp_path)) == comparable(cells)
    assert {path.name for path in folder.rglob("*")} == {path.name for path in tmp_path.rglob("*")}


def test_an_interrupted_grid_goes_on_with_what_is_missing(log, kept, trained, tmp_path):
    cells, folder = kept
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    of = {path: json.loads(path.read_text()) for path in (tmp_path / "cells").glob("*.json")}
    (lost,) = [path for path, cell in of.items() if (cell["seed"], cell["epochs"]) == (1, 3)]
    lost.rename(lost.with_suffix(".part"))  # the process was stopped while it wrote
    before = {path: path.stat().st_mtime_ns for path in of if path != lost}
    assert comparable(run_grid(log, DATA, GRID, EXECUTION, tmp_path)) == comparable(cells)
    assert [training.seed for training in trained] == [1]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_is_kept_is_not_trained_again(log, trained, instant, tmp_path):
    """The key of a cell: everything that its numbers depend on, and nothing else."""

    def run(data=DATA, execution=EXECUTION, sessions=log, **changed):
        trained.clear()
        cells = run_grid(sessions, data, Grid(**TINY | {"optimizers": ["adam", "sgd"]} | changed), execution, tmp_path)
        return cells, [training.optimizer for training in trained]

    first, optimizers = run()
    assert optimizers == ["sgd", "adam"]
    again, optimizers = run()
    assert optimizers == [] and comparable(again) == comparable(first)
    assert run(execution=Execution(workers=4, device="cpu"))[1] == []
    assert run(epochs=[1])[1] == [] and len(run(epochs=[1])[0]) == 2
    assert run(optimizers=["adam"])[1] == []

    assert run(learning_rate={"sgd": 0.5})[1] == ["sgd"]
    assert run(learning_rate={"sgd": 0.5})[1] == []
    assert run(optimizers=["rmsprop", "adam", "sgd"])[1] == ["rmsprop"]
    assert run(optimizers=["rmsprop", "sgd"], optimizer_settings="keras3")[1] == ["rmsprop"]
    assert run(epochs=[1, 3, 5])[1] == ["sgd", "adam"]
    assert run(units=4)[0]["loss"].tolist() == [36 + 4] * 4
    for changed in (
        {"data": Data(max_length=2)},
        {"data": Data(max_length=1, split_seed=9)},
        {"data": Data(max_length=1, test_fraction=0.3)},
        {"execution": Execution(workers=1, threads_per_worker=2)},
        {"execution": Execution(workers=1, keras_backend="torch")},
        {"sessions": Sessions(log.items[::-1].copy(), log.offsets, log.vocabulary)},
    ):
        assert run(**changed)[1] == ["sgd", "adam"], changed
    assert run()[1] == []


def test_a_seed_is_another_split_unless_that_is_fixed(log):
    assert split_log(log, DATA, 0).checksum != split_log(log, DATA, 1).checksum
    fixed = Data(max_length=1, split_seed=0)
    assert split_log(log, fixed, 1).checksum == split_log(log, DATA, 0).checksum


@pytest.mark.parametrize(
    ("rate", "status", "reason"),
    [(1e-12, "stuck", "the loss stays at 2"), (1e38, "diverged", "the loss is (inf|nan) after epoch 2")],
)
def test_trainings_that_lead_nowhere_are_cells_too(log, rate, status, reason):
    training = Training("gru", "softmax", "sgd", 16, 0)
    grid = Grid(**TINY | {"epochs": [2], "learning_rate": {"sgd": rate}})
    (result,) = train_cells(training, [2], split_log(log, DATA, 0), DATA, grid)
    cell = result.facts
    assert cell["status"] == status and re.match(reason, cell["reason"])
    assert all(0 <= cell[measure] <= 1 for measure in [*grids.CLASS_METRICS, *grids.RANKING_METRICS])
    assert math.isfinite(cell["loss"]) == (status == "stuck")


@pytest.mark.parametrize(
    ("losses", "top", "status", "reason"),
    [
        ([2.0, 1.0], [3, 4, 3], "ok", "finished"),
        ([2.0, 1.0], [3, 3, 3], "collapsed", "one page for every test case"),
        ([2.0, 2.0], [3, 3, 3], "collapsed", "one page for every test case; the loss stays at 2 in epoch 2"),
        ([2.0, 2.0], [3, 4, 3], "stuck", "the loss stays at 2 in epoch 2"),
        ([2.0, math.nan], [3, 3, 3], "diverged", "the loss is nan after epoch 2"),
        ([2.0, 1.0], [3], "ok", "finished"),
    ],
)
def test_how_a_training_ended(losses, top, status, reason):
    curve = [{"epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses, 1)]
    assert grids.status_of(curve, np.array(top)) == (status, reason)


def test_reading_a_grid_trains_nothing(log, kept, trained, tmp_path):
    cells, folder = kept
    assert comparable(read_grid(log, DATA, GRID, EXECUTION, folder)) == comparable(cells) and trained == []
    with pytest.raises(StudyError, match="is not there yet: run notebook 02_grid_training"):
        read_grid(log, DATA, GRID, EXECUTION, tmp_path)
    assert trained == [] and not list(tmp_path.iterdir())


def test_second_trainings_stand_beside_the_first(log, kept, tmp_path):
    cells, folder = kept
    shutil.copytree(folder, tmp_path / "study")
    work = cells_of(log, DATA, GRID, EXECUTION, tmp_path / "study")
    store = cell_store(tmp_path / "study" / AGAIN)
    (same, other, failed, _), names = list(work.kept().values()), list(work.names.values())
    store.keep(names[0], same)
    store.keep(names[1], replace(other, facts=other.facts | {"accuracy": 0.75, "mrr": other.facts["mrr"] + 0.5}))
    store.keep(names[2], replace(failed, facts=failed.facts | {"status": "failed"}))

    table = read_grid(log, DATA, GRID, EXECUTION, tmp_path / "study")
    assert comparable(table.drop(columns=[*SECOND, "again"])) == comparable(cells)
    twice = table[table["again"].notna()]
    assert (
        twice[["seed", "epochs"]].apply(tuple, axis=1).tolist()
        == [(w[0].seed, w[1]) for w in list(work.names)[:2]][::-1]
    )
    assert sorted(twice["accuracy_again"]) == sorted([same.facts["accuracy"], 0.75])
    changed = twice.set_index("accuracy_again")["difference_again"]
    assert changed[0.75] == max(0.5, abs(0.75 - other.facts["accuracy"])) and changed.min() == 0
    to_csv(table, tmp_path / "grid.csv")
    written = pd.read_csv(tmp_path / "grid.csv")
    assert written.columns.tolist() == [*COLUMNS, *SECOND] and written["difference_again"].notna().sum() == 2


def test_a_failed_cell_is_read_and_not_trained_by_reading(log, monkeypatch, tmp_path):
    monkeypatch.setattr(keeping, "fan_out", lambda f, tasks, *_: ((t, WorkerDied("it died")) for t in tasks))
    cells = run_grid(log, DATA, Grid(**TINY), EXECUTION, tmp_path)
    again = read_grid(log, DATA, Grid(**TINY), EXECUTION, tmp_path)
    assert again["status"].tolist() == ["failed"] * 2 and comparable(again) == comparable(cells)


def test_a_training_that_fails_keeps_what_it_had(log, monkeypatch):
    class Greedy:
        has_repeats, memory, version = False, None, 1
        parameters, curve = 140, [{"epoch": 1, "loss": 2.0}]

        def __init__(self, *settings, **more):
            pass

        def prepare(self, train):
            pass

        def train_to(self, epoch):
            if epoch > 1:
                raise MemoryError("no room\nfor that")

        def score(self, prefixes):
            return np.ones((len(prefixes), 8))

    monkeypatch.setattr("studylib.grid.KerasRNN", Greedy)
    training = Training("gru", "softmax", "adam", 16, 0)
    results = train_cells(training, [3, 1], split_log(log, DATA, 0), DATA, Grid(**TINY))
    first, second = (result.facts for result in results)
    assert (first["epochs"], first["status"], first["accuracy"]) == (1, "collapsed", 1 / 8)
    assert (second["epochs"], second["status"]) == (3, "failed")
    assert second["reason"] == "MemoryError: no room"
    assert math.isnan(second["accuracy"]) and set(second) == set(first)
    assert set(results[0].arrays) == set(results[1].arrays)


def test_a_worker_that_died_is_a_failed_cell(log, monkeypatch, tmp_path):
    monkeypatch.setattr(keeping, "fan_out", lambda f, tasks, *_: ((t, WorkerDied("it died")) for t in tasks))
    cells = run_grid(log, DATA, Grid(**TINY), EXECUTION, tmp_path)
    assert cells["status"].tolist() == ["failed", "failed"] and set(cells["reason"]) == {"it died"}
    assert cells["epochs"].tolist() == [1, 3] and cells["accuracy"].isna().all()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("death", ["exit", "kill"])
def test_a_worker_that_dies_takes_no_other_task_with_it(workers, death):
    def task(number):
        import os
        import signal
        import time

        if number == 2:
            os._exit(3) if death == "exit" else os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
        return number * 10, os.getpid()

    results = dict(fan_out(task, [0, 1, 2, 3, 4], Execution(workers=workers)))
    assert isinstance(results[2], WorkerDied)
    others = {number: results[number] for number in (0, 1, 3, 4)}
    assert {number: value for number, (value, _) in others.items()} == {0: 0, 1: 10, 3: 30, 4: 40}
    assert os.getpid() not in {process for _, process in others.values()}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_once_is_tried_again(workers, tmp_path):
    marker = tmp_path / "died"

    def task(number):
        import os

        if number == 1 and not marker.exists():
            marker.touch()
            os._exit(1)
        return number

    results = list(fan_out(task, [0, 1, 2], Execution(workers=workers)))
    assert marker.exists() and sorted(results) == [(0, 0), (1, 1), (2, 2)]


def test_an_error_in_a_task_is_an_error():
    def task(number):
        raise ValueError(f"no {number}")

    for workers in (1, 2):
        with pytest.raises(ValueError, match="no "):
            list(fan_out(task, [0, 1], Execution(workers=workers)))
    assert list(fan_out(task, [], Execution())) == []


def test_the_other_settings_are_a_part_of_the_grid_and_share_its_cells_where_they_agree(
    log, instant, trained, tmp_path
):
    grid = Grid(
        architectures=["gru"], activations=["tanh", "softmax"], optimizers=["sgd", "rmsprop"], batch_sizes=[16],
        epochs=[3, 2], units=3,
    )  # fmt: skip
    other = other_settings(grid)
    assert (other.optimizer_settings, other.activations, other.epochs) == ("keras3", ["softmax"], [2])
    assert other_settings(other).optimizer_settings == "keras2"
    run_grid(log, DATA, grid, EXECUTION, tmp_path)
    trained.clear()
    run_grid(log, DATA, other, EXECUTION, tmp_path)
    assert trained == [Training("gru", "softmax", "rmsprop", 16, 0)], "SGD is the same in both"


def test_variants_are_other_cells_and_the_first_are_the_grids_own(log, trained, instant, tmp_path):
    ways = {"hard": {"gates": "hard sigmoid"}, "all": {"validation": "learnt", "padding": "zeros"}}
    named = {"architectures": ["gru"], "optimizers": ["adam"], "batch_sizes": [16], "epochs": [1], "ways": ways}
    grid = Grid(**TINY | {"seeds": [0], "variants": named})
    run_grid(log, DATA, grid, EXECUTION, tmp_path)
    assert count_cells(log, DATA, grid, EXECUTION, tmp_path) == (4, 2)
    assert list(variants(grid)) == ["as in this study", "hard", "all"]
    for part in variants(grid).values():
        run_grid(log, DATA, part, EXECUTION, tmp_path)
    assert count_cells(log, DATA, grid, EXECUTION, tmp_path) == (4, 4) and len(trained) == 3
    with pytest.raises(ValueError, match="the epochs of 'variants' must be of the grid's, which have no 7"):
        Grid(**TINY | {"variants": named | {"epochs": [7]}})


def test_a_network_may_learn_from_all_sessions_but_those_of_the_test(log):
    split = split_log(log, DATA, 0)
    assert len(split.but_test) == len(split.train) + len(split.validation) == len(log) - len(split.test)
    grid = Grid(**TINY | {"building": {"validation": "learnt"}})
    (learnt,) = train_cells(Training("gru", "softmax", "adam", 16, 0), [1], split, DATA, grid)
    (held,) = train_cells(Training("gru", "softmax", "adam", 16, 0), [1], split, DATA, Grid(**TINY))
    assert learnt.facts["loss"] != held.facts["loss"]


def test_the_baselines_are_judged_on_the_cases_of_the_cells(log, kept):
    cells, _ = kept
    counted = baselines(log, DATA, GRID)
    assert counted[["architecture", "seed"]].to_numpy().tolist() == [
        [name, seed] for name in ("popularity", "markov", "markov-last") for seed in GRID.seeds
    ]
    assert dict(counted[["seed", "split"]].to_numpy()) == dict(cells[["seed", "split"]].to_numpy())
    assert all(len(above) == 10 for above in counted["above"])
    means = baseline_measures(counted)
    assert list(means.index) == ["popularity", "markov", "markov-last"] and means.loc["markov", "accuracy"] > 0.5
    assert means.loc["popularity", "mrr"] == pytest.approx(counted["mrr"][:2].mean())


def test_later_sessions_are_cases_of_what_the_grid_knows():
    data = Data(max_sessions=2, later=True, max_length=3)
    loaded = Sessions.from_lists(
        [
            ["a", "b", "c"],
            ["b", "c"],
            ["x", "a", "y", "c"],
            ["a", "b", "c"],
            ["a", "x"],
            ["x", "b"],
            ["c", "a"],
            ["q", "b", "b"],
        ]
    )
    log = filter_log(loaded, data)
    later = later_cases(loaded, log, data)
    ids = [log.vocabulary[session].tolist() for session in map(later.sessions.__getitem__, range(len(later)))]
    assert ids == [["a", "c"], ["c", "a"], ["b", "b"]]
    assert log.vocabulary[later.targets].tolist() == ["c", "a", "b"] and later.sessions.n_items == 3
    left_out = [(drop.reason.split(",")[0], drop.sessions, drop.events) for drop in later.sessions.drops]
    assert left_out == [
        ("session that is one of the grid", 1, 3),
        ("session that ends in an unknown item", 1, 2),
        ("unknown item", 0, 4),
        ("session without another known item", 1, 1),
    ]
    assert later_cases(loaded, log, Data(max_sessions=2)) is None
    for many in (8, 9):
        whole = Data(max_sessions=many, later=True)
        with pytest.raises(StudyError, match="after the first 8 sessions, and none of it can be judged: lower"):
            later_cases(loaded, filter_log(loaded, whole), whole)


def test_what_is_kept_of_later_cases_has_their_measures():
    """Of 40 items and scores with ties: the gains from what is kept are those of all ranks, the averages over items too."""
    random = np.random.default_rng(0)
    sessions = Sessions(random.integers(0, 40, 1200).astype(np.int32), np.arange(0, 1201, 3), np.arange(40))
    cases = Cases(sessions, sessions.offsets[1:] - 1)
    model = Markov().fit(sessions)
    measures, arrays = judge_later(model, cases)
    assert measures == {f"later_{name}": value for name, value in judge(model, cases)[0].items()}
    ranks = rank_cases(model, cases, exclude_visited=False)["full"]
    assert (ranks.above > 10).any() and (ranks.tied > 0).any()
    kept = Ranks(arrays["later_above"], arrays["later_tied"], None, 40)
    for name in ("accuracy", "hr@5", "hr@10", "ndcg@5", "ndcg@10"):
        np.testing.assert_array_equal(kept.metric(name), ranks.metric(name))
    right = np.unpackbits(arrays["later_right"], count=len(cases))
    for name, shares in case_shares(cases.targets, right, arrays["later_guesses"]).items():
        assert shares.mean() == pytest.approx(measures[f"later_{name}"], rel=1e-12)


def test_cells_on_the_later_cases_are_judged_by_these_alone(log):
    later = Cases(log, log.offsets[1:] - 1)
    counted = baselines(log, DATA, GRID, later)
    judged = on_later(counted)
    assert set(judged["split"]) == {ON_LATER} and not any(name.startswith("later") for name in judged)
    for (_, before), (_, after) in zip(counted.iterrows(), judged.iterrows(), strict=True):
        assert len(after["above"]) == len(later) != len(before["above"])
        found = {name: values.mean() for name, values in by_case(after, later.targets).items()}
        assert found == pytest.approx({name: before[f"later_{name}"] for name in found})
        test = split_log(log, DATA, before["seed"]).test
        found = {name: values.mean() for name, values in by_case(before, test.targets).items()}
        assert found == pytest.approx({name: before[name] for name in found})
        assert after["ndcg@10"] == before["later_ndcg@10"]
    plain = baselines(log, DATA, GRID)
    assert on_later(plain) is plain


def test_a_cell_judges_the_later_cases_and_has_a_curve_of_validation(log, kept):
    cells, _ = kept
    assert all(len(curve) == epochs for curve, epochs in cells[["validation_curve", "epochs"]].to_numpy())
    later = Cases(log, log.offsets[1:] - 1)
    results = train_cells(Training("gru", "softmax", "adam", 16, 0), [1, 3], split_log(log, DATA, 0), DATA, GRID, later)
    assert [result.facts["accuracy"] for result in results] == cells.loc[cells["seed"] == 0, "accuracy"].tolist()
    assert [result.facts["validation_curve"][-1] for result in results] == [
        result.facts["validation_accuracy"] for result in results
    ]
    assert all(len(result.arrays["later_above"]) == len(later) and grids._is_cell(result) for result in results)


def test_seconds_an_epoch_leave_out_what_comes_before_the_first_checkpoint():
    same = {"activation": "softmax", "optimizer": "sgd", "batch_size": 64, "seed": 0, "status": "ok"}
    measured = [("lstm", 20, 50.0), ("lstm", 100, 90.0), ("gru", 20, 30.0), ("gru", 100, 62.0), ("gru", 100, 1e9)]
    cells = pd.DataFrame([same | {"architecture": a, "epochs": e, "train_seconds": s} for a, e, s in measured])
    cells.loc[4, "status"] = "failed"
    times = seconds_an_epoch(cells)
    assert dict(times[["architecture", "seconds"]].to_numpy()) == {"lstm": 0.5, "gru": 0.4}
    assert time_ratio(times, "gru").tolist() == pytest.approx([0.8])
    one = seconds_an_epoch(cells[cells["epochs"] == 100])
    assert dict(one[["architecture", "seconds"]].to_numpy()) == {"lstm": 0.9, "gru": 0.62}


def test_what_a_visitor_has_seen_stays_in_the_lists():
    class Again:
        has_repeats, memory = False, None  # no training session contains an item twice

        def score(self, prefixes):
            return np.eye(prefixes.n_items)[prefixes.items[prefixes.offsets[1:] - 1]]

    sessions = Sessions.from_lists([["a", "b", "c"], ["c", "a", "b"]])
    cases = Cases(sessions, sessions.offsets[1:] - 1)
    _, arrays = judge(Again(), cases)
    assert arrays["top"].tolist() == sessions.items[cases.events - 1].tolist()
