"""The claims about the grid on cells made by hand, where the answer is known."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from studylib.evaluation.claims import COLUMNS, DETAILS, NO_CELLS, WITHOUT_COLLAPSED
from studylib.kept import Result
from studylib.papers.toledo_rezende import (
    GRID_CLAIMS,
    TIME_CLAIMS,
    _means_and_draws,
    ahead,
    behind,
    beside_each_hybrid,
    change,
    each,
    fall,
    grid_claims,
    leads,
    matters_more,
    pairs,
    relative,
    same_response,
    shares_won,
    time_claims,
    whatever_else,
    wins,
    wins_more,
    within,
)

HOLDS, FAILS, OPEN = "reproduced", "contradicted", "undecided"
MOST = "GRU is the best architecture in most scenarios"
NEVER = "the hybrid is superior in no case"

LEVELS = {
    "architecture": ["lstm", "gru", "hybrid"],
    "activation": ["softmax", "tanh"],
    "optimizer": ["adam", "sgd"],
    "batch_size": [64],
    "epochs": [5, 20],
    "seed": [0],
}
PAPER = {
    "activation": ["softmax", "tanh", "sigmoid"],
    "optimizer": ["sgd", "adam", "rmsprop", "adagrad"],
    "batch_size": [64, 256],
}
"""The levels that every claim of the paper needs."""


def make_cells(accuracy, n_cases=200, predicted=None, **levels):
    """Cells whose first test cases, as many as ``accuracy(cell)`` says, are predicted; their targets are 0, 1, ..., 9, 0, ..."""
    levels = LEVELS | levels
    rows = []
    for values in product(*levels.values()):
        cell = dict(zip(levels, values, strict=True))
        hits = np.arange(n_cases) < round(accuracy(cell) * n_cases)
        top = np.where(hits, np.arange(n_cases) % 10, 99)
        top = top if predicted is None else predicted(cell, top)
        cell["split"] = f"of seed {cell['seed']}"
        cell |= {"above": np.where(hits, 0, 3).tolist(), "tied": [0] * n_cases, "top": top.tolist(), "status": "ok"}
        rows.append(cell)
    return pd.DataFrame(rows)


def judged(cells, **changed):
    targets = {split: np.arange(len(own["above"].iloc[0])) % 10 for split, own in cells.groupby("split")}
    rows = grid_claims(cells.assign(**changed), targets, resamples=500)
    assert len({row["claim"] for row in rows}) == len(rows)
    return {row["claim"]: row for row in rows}


def observed(statement, values, **factors):
    cells = pd.DataFrame(factors)
    parts = statement(cells, np.ones(len(cells), bool))
    return {name: pytest.approx(part(np.array([values]))[0]) for name, part in parts.items()}


def test_how_far_a_level_is_ahead_of_each_other():
    cells = {"optimizer": ["adam", "sgd", "adam", "sgd", "rmsprop", "rmsprop"]}
    values = [0.5, 0.1, 0.7, 0.2, 0.9, 0.5]  # means: adam 0.6, sgd 0.15, rmsprop 0.7
    assert observed(ahead({"optimizer": "rmsprop"}), values, **cells) == {"less adam": 0.1, "less sgd": 0.55}
    assert observed(behind({"optimizer": "adam"}), values, **cells) == {"sgd": -0.45, "rmsprop": 0.1}
    assert observed(relative(ahead({"optimizer": "adam"})), values, **cells)["less sgd"] == 0.45 / (2.9 / 6)
    assert observed(ahead({"optimizer": "adagrad"}), values, **cells) == {}


def test_combinations_restrictions_and_pairs():
    cells = {
        "architecture": ["gru", "gru", "lstm", "lstm"],
        "optimizer": ["adam", "sgd", "adam", "sgd"],
        "epochs": [5, 20, 20, 5],
    }
    values = [0.1, 0.2, 0.4, 0.8]
    best = ahead({"architecture": "gru", "optimizer": "sgd"})
    assert observed(best, values, **cells) == {"less gru, adam": 0.1, "less lstm, adam": -0.2, "less lstm, sgd": -0.6}
    assert observed(within({"architecture": "lstm"}, ahead({"optimizer": "sgd"})), values, **cells) == {
        "less adam": 0.4
    }
    assert observed(within({"architecture": "hybrid"}, pairs("optimizer")), values, **cells) == {}
    assert observed(each("optimizer", ahead({"architecture": "lstm"})), values, **cells) == {
        "adam: less gru": 0.3,
        "sgd: less gru": 0.6,
    }
    assert observed(pairs("architecture"), values, **cells) == {"gru less lstm": -0.45}
    assert observed(same_response("epochs"), values, **cells) == {"gru against lstm: 20 less 5": 0.1 + 0.4}


def test_change_is_from_the_smallest_level_to_the_largest():
    cells = {"epochs": [5, 20, 100, 5, 20, 100]}
    values = [0.1, 0.9, 0.4, 0.3, 0.9, 0.6]
    assert observed(change("epochs"), values, **cells) == {"100 less 5": 0.3}
    assert observed(fall("epochs"), values, **cells) == {"minus 100 less 5": -0.3}
    assert observed(change("epochs"), [0.1], epochs=[5]) == {}


def test_wins_are_of_scenarios_and_alone():
    cells = make_cells(lambda cell: 0, activation=["softmax"], optimizer=["adam"], epochs=[5, 20, 50, 100])
    everything = np.ones(len(cells), bool)
    lstm, gru, hybrid = [0.1, 0.5, 0.1, 0.2], [0.2, 0.5, 0.3, 0.1], [0.1, 0.1, 0.2, 0.1]  # the second is a draw
    draws = np.array([lstm + gru + hybrid, hybrid + lstm + gru])
    assert wins("gru")(cells, everything)["share won"](draws).tolist() == [0.5, 0.25]
    more = {name: part(draws).tolist() for name, part in wins_more("gru")(cells, everything).items()}
    assert more == {"lstm": [0.25, 0.25], "hybrid": [0.5, -0.25]}
    fewer = {name: part(draws).tolist() for name, part in wins_more("hybrid", -1)(cells, everything).items()}
    assert fewer == {"lstm": [0.25, -0.5], "gru": [0.5, -0.25]}
    shares = shares_won(cells.assign(accuracy=lstm + gru + hybrid), ("accuracy",))
    assert shares.loc["accuracy"].to_dict() == {"lstm": 0.25, "gru": 0.5, "hybrid": 0.0, "draw": 0.25}
    ahead_by = leads("gru")(cells, everything)
    assert next(iter(ahead_by)) == "softmax, adam, batch size 64, 5 epochs"
    assert [part(draws[:1])[0] for part in ahead_by.values()] == pytest.approx([0.1, 0.0, 0.1, -0.1])


def test_a_scenario_is_judged_by_the_mean_over_its_seeds_and_left_out_where_all_collapsed():
    cells = make_cells(lambda cell: 0, activation=["softmax"], optimizer=["adam"], epochs=[5, 20], seed=[0, 1])
    everything = np.ones(len(cells), bool)
    values = {
        "lstm": [0.3, 0.3, 0.3, 0.3],
        "gru": [0.6, 0.1, 0.4, 0.1],
        "hybrid": [0.0] * 4,
    }  # 5 epochs, seeds 0 and 1; 20
    means = np.concatenate([values[a] for a in ("lstm", "gru", "hybrid")])[None]
    assert [part(means)[0] for part in leads("gru")(cells, everything).values()] == pytest.approx([0.05, -0.05])
    assert wins("gru")(cells, everything)["share won"](means).tolist() == [0.5]
    collapsed = cells.assign(status=np.where(cells["epochs"] == 20, "collapsed", "ok"))
    assert list(leads("gru")(collapsed, everything)) == ["softmax, adam, batch size 64, 5 epochs"]
    part = collapsed.assign(status=np.where((cells["epochs"] == 20) & (cells["seed"] == 0), "collapsed", "ok"))
    assert len(leads("gru")(part, everything)) == 2


def test_what_is_said_of_the_hybrid_is_asked_of_both():
    both = [*LEVELS["architecture"], "hybrid-gru-lstm"]
    cells = make_cells(lambda cell: 0, architecture=both, activation=["softmax"], optimizer=["adam"], epochs=[5])
    means = np.array([[0.1, 0.2, 0.05, 0.3]])
    everything = np.ones(4, bool)
    found = {n: part(means)[0] for n, part in beside_each_hybrid(leads)(cells, everything).items()}
    scenario = "softmax, adam, batch size 64, 5 epochs"
    assert found == pytest.approx({f"hybrid: {scenario}": -0.15, f"hybrid-gru-lstm: {scenario}": 0.1})
    shares = beside_each_hybrid(lambda _: wins("gru"))(cells, everything)
    assert {n: part(means)[0] for n, part in shares.items()} == {
        "hybrid: share won": 1,
        "hybrid-gru-lstm: share won": 0,
    }
    one = beside_each_hybrid(leads)(cells, (cells["architecture"] != "hybrid").to_numpy())
    assert list(one) == [scenario]


def test_an_interval_has_the_seeds_in_it():
    """Softmax is ahead by 5 points, by 25, 5 and -15 with the three seeds: what many cases decide, so few seeds do not."""

    def accuracy(cell):
        return 0.5 + (0.05 + 0.2 * (cell["seed"] - 1)) * (cell["activation"] == "softmax")

    claim = "softmax is the best activation"
    alone = make_cells(lambda cell: accuracy(cell | {"seed": 1}), n_cases=2000)
    assert judged(alone)[claim]["verdict"] == HOLDS
    row = judged(make_cells(accuracy, n_cases=2000, seed=[0, 1, 2]))[claim]
    assert row["verdict"] == OPEN and row["measured"] == pytest.approx(0.05)
    assert row["low"] < -0.1 and row["high"] > 0.2
    same = judged(make_cells(lambda cell: accuracy(cell | {"seed": 1}), n_cases=2000, seed=[0, 1, 2]))[claim]
    assert same["verdict"] == HOLDS


def test_what_matters_more_is_the_range_of_its_levels():
    def accuracy(cell):
        return 0.3 + {"adam": 0.2, "sgd": 0.0}[cell["optimizer"]] + (0.1 if cell["activation"] == "softmax" else 0)

    cells = make_cells(accuracy)
    parts = matters_more("optimizer")(cells, np.ones(len(cells), bool))
    means = np.array([[accuracy(cell) for _, cell in cells.iterrows()]])
    found = {name: part(means)[0] for name, part in parts.items()}
    assert found == pytest.approx({"less architecture": 0.2, "less activation": 0.1, "less epochs": 0.2})
    rows = judged(cells)
    assert rows["the optimizer matters most"]["verdict"] == HOLDS
    other = make_cells(lambda cell: 0.7 if cell["activation"] == "softmax" else 0.3)
    assert judged(other)["the optimizer matters most"]["verdict"] == FAILS


def test_whatever_else_looks_at_every_level_of_the_others():
    cells = make_cells(lambda cell: 0)
    found = whatever_else("epochs", change("epochs"))(cells, np.ones(len(cells), bool))
    assert {name.split(":")[0] for name in found} == {"lstm", "gru", "hybrid", "softmax", "tanh", "adam", "sgd", "64"}

    def accuracy(cell):
        return 0.3 + (0.1 if (cell["epochs"] == 20) == (cell["activation"] == "softmax") else 0)

    rows = judged(make_cells(accuracy))
    assert rows["more epochs are better"]["verdict"] == OPEN
    assert rows["more epochs are better whatever the other settings"]["verdict"] == FAILS
    assert "decisive one: tanh: 20 less 5" in rows["more epochs are better whatever the other settings"]["test"]


def test_verdicts_follow_the_interval():
    architecture = {"lstm": 0.2, "gru": 0.6, "hybrid": 0.4}

    def accuracy(cell):
        more_epochs_are_worse = -0.1 if cell["epochs"] == 20 else 0.0
        return architecture[cell["architecture"]] + more_epochs_are_worse

    rows = judged(make_cells(accuracy))
    assert all(list(row) == [*COLUMNS, *WITHOUT_COLLAPSED, *DETAILS] for row in rows.values())
    assert all(row["low"] <= row["measured"] <= row["high"] and row["n"] == 200 for row in rows.values())
    assert rows[MOST]["verdict"] == HOLDS and rows[MOST]["measured"] == 1.0
    assert rows[NEVER]["verdict"] == HOLDS and rows["LSTM is superior in specific cases"]["verdict"] == FAILS
    epochs = rows["more epochs are better"]
    assert epochs["verdict"] == FAILS and epochs["measured"] == pytest.approx(-0.1)
    assert -0.15 < epochs["low"] < -0.1 < epochs["high"] < -0.05  # cells share the draws
    assert rows["the number of epochs has little influence"]["verdict"] == FAILS
    softmax = rows["softmax is the best activation"]
    assert softmax["verdict"] == OPEN and softmax["measured"] == softmax["low"] == softmax["high"] == 0.0

    architecture |= {"gru": 0.3, "hybrid": 0.8}
    rows = judged(make_cells(accuracy))
    assert rows[MOST]["verdict"] == FAILS and rows[NEVER]["verdict"] == FAILS
    assert rows[NEVER]["measured"] == pytest.approx(0.5)
    assert rows["a hybrid is more accurate than LSTM and GRU (of its reference [13])"]["verdict"] == HOLDS

    architecture |= {"hybrid": 0.305}  # ahead by one case of two hundred
    assert judged(make_cells(accuracy))[NEVER]["verdict"] == OPEN


def test_similar_recall_is_a_share_of_the_recall():
    """A margin in points would call all recalls alike where all are small."""
    name = "recall is similar for the three architectures"
    small = {"lstm": 0.10, "gru": 0.10, "hybrid": 0.05}
    assert judged(make_cells(lambda cell: small[cell["architecture"]], n_cases=600))[name]["verdict"] == FAILS
    assert judged(make_cells(lambda cell: 0.1))[name]["verdict"] == HOLDS
    near = {"lstm": 0.5, "gru": 0.5, "hybrid": 0.48}
    assert judged(make_cells(lambda cell: near[cell["architecture"]]))[name]["verdict"] == HOLDS


def test_precision_is_not_accuracy():
    """The same cases are predicted; LSTM spreads its wrong predictions over pages, each of which then has precision 0."""

    def predicted(cell, top):
        return np.where(top == 99, 100 + np.arange(len(top)), top) if cell["architecture"] == "lstm" else top

    rows = judged(make_cells(lambda cell: 0.5, predicted=predicted, architecture=["lstm", "gru"]))
    assert rows["accuracy is higher with GRU"]["verdict"] == OPEN
    assert (
        rows["precision is higher with GRU"]["verdict"] == HOLDS and rows["F1 is higher with GRU"]["verdict"] == HOLDS
    )
    # GRU: ten of eleven pages, each right whenever it is named. LSTM: ten of 110.
    assert rows["precision is higher with GRU"]["measured"] == pytest.approx(10 / 11 - 10 / 110)


def paper_cells(**changes):
    """Accuracies of which the paper's statements about single settings are true; ``changes`` is added to them."""

    def accuracy(cell):
        large = cell["batch_size"] == 256
        value = {"sgd": 0.1, "adagrad": 0.2, "adam": 0.3, "rmsprop": 0.45}[cell["optimizer"]]
        value += {"softmax": 0.1, "sigmoid": 0.05, "tanh": 0.0}[cell["activation"]]
        value += {"gru": 0.05, "lstm": 0.03, "hybrid": 0.0}[cell["architecture"]]
        value += 0.05 if cell["epochs"] == 20 else 0.0
        if cell["optimizer"] == "rmsprop":
            value -= 0.08 if cell["architecture"] == "lstm" and large else 0.0
            value += 0.12 if cell["architecture"] == "lstm" and cell["activation"] == "sigmoid" else 0.0
            if cell["architecture"] == "gru" and cell["activation"] == "softmax":
                value += 0.1 + 0.08 * large
        return value + sum(amount for test, amount in changes.values() if test(cell))

    return make_cells(accuracy, n_cases=400, **PAPER)


SINGLE = {
    "LSTM with RMSprop falls as batches grow": lambda c: (
        c["architecture"] == "lstm" and c["optimizer"] == "rmsprop" and c["batch_size"] == 256
    ),
    "GRU with RMSprop and softmax gains from larger batches": lambda c: (
        c["architecture"] == "gru" and c["activation"] == "softmax" and c["batch_size"] == 64
    ),
    "LSTM with sigmoid and RMSprop beats the other architectures at any batch size": lambda c: (
        c["architecture"] == "hybrid" and c["activation"] == "sigmoid" and c["batch_size"] == 256
    ),
    "GRU, RMSprop and softmax together are the best of all": lambda c: (
        c["architecture"] == "lstm" and c["activation"] == "softmax" and c["optimizer"] == "rmsprop"
    ),
    "of the GRUs, the one with RMSprop and softmax is best": lambda c: (
        c["architecture"] == "gru" and c["activation"] == "tanh" and c["optimizer"] == "rmsprop"
    ),
    "optimizers other than RMSprop respond to the batch alike in all architectures": lambda c: (
        c["architecture"] == "hybrid" and c["optimizer"] == "adam" and c["batch_size"] == 256
    ),
    "RMSprop is best of all together with GRU": lambda c: c["architecture"] == "hybrid" and c["optimizer"] == "rmsprop",
    "Adam gains from more epochs": lambda c: c["optimizer"] == "adam" and c["epochs"] == 5,
    "Adagrad gains from more epochs": lambda c: c["optimizer"] == "adagrad" and c["epochs"] == 5,
    "Adam is better than Adagrad": lambda c: c["optimizer"] == "adagrad",
    "SGD is the worst optimizer whatever the architecture": lambda c: (
        c["architecture"] == "hybrid" and c["optimizer"] == "sgd"
    ),
}
"""Claims about single settings, and the cells that refute them when they are better."""


def test_claims_about_single_settings_hold_where_they_are_true():
    rows = judged(paper_cells())
    assert {claim: rows[claim]["verdict"] for claim in SINGLE} == dict.fromkeys(SINGLE, HOLDS)
    assert rows["GRU with RMSprop is the better the larger the batch"]["verdict"] == HOLDS
    assert rows["the batch size has little effect on GRU with RMSprop"]["verdict"] == FAILS, (
        "the paper contradicts itself"
    )


@pytest.mark.parametrize("claim", SINGLE)
def test_claims_about_single_settings_fail_where_they_are_false(claim):
    assert judged(paper_cells(worse=(SINGLE[claim], 0.4)))[claim]["verdict"] == FAILS


def test_claims_without_their_levels_are_left_out():
    one = {"architecture": ["gru"], "activation": ["softmax"], "optimizer": ["adam"], "epochs": [5]}
    assert judged(make_cells(lambda cell: 0.5, **one)) == {}
    claims = judged(make_cells(lambda cell: 0.5, activation=["sigmoid", "softmax"]))
    assert "softmax is the best activation" in claims and "SGD is the worst optimizer" in claims
    assert "tanh is the worst activation" not in claims
    assert "RMSprop is the best optimizer" not in claims and "Adam is better than Adagrad" not in claims
    assert list(judged(make_cells(lambda cell: 0.5, **PAPER))) == [claim.claim for claim in GRID_CLAIMS]


def test_a_scenario_with_a_failed_network_is_left_out():
    def accuracy(cell):
        return {"lstm": 0.3, "gru": 0.4 if cell["epochs"] == 20 else 0.2, "hybrid": 0.1}[cell["architecture"]]

    cells = make_cells(accuracy)
    assert judged(cells)[MOST]["measured"] == 0.5
    cells.loc[(cells["architecture"] == "lstm") & (cells["epochs"] == 5), "status"] = "failed"
    assert judged(cells)[MOST]["measured"] == 1.0
    assert judged(cells, status="failed") == {}


def test_claims_about_means_are_given_without_collapsed_cells_too():
    def accuracy(cell):
        return 0.1 if cell["optimizer"] == "sgd" else 0.4 if cell["architecture"] == "gru" else 0.6

    cells = make_cells(accuracy)
    nothing_collapsed = judged(cells)
    for row in nothing_collapsed.values():
        both = [(row[column], row[f"{column}_without_collapsed"]) for column in ("measured", "low", "high", "verdict")]
        assert all(one == other for one, other in both) or row["verdict_without_collapsed"] is None
    assert {claim for claim, row in nothing_collapsed.items() if row["verdict_without_collapsed"] is None} == {
        claim.claim for claim in GRID_CLAIMS if claim.figure == "scenarios"
    } & set(nothing_collapsed)

    # GRU is the more accurate where the others have not collapsed.
    collapsed = (cells["optimizer"] == "sgd") | (cells["architecture"] != "gru") & (cells["epochs"] == 5)
    cells.loc[collapsed & (cells["architecture"] == "gru"), "status"] = "collapsed"
    row = judged(cells)["accuracy is higher with GRU"]
    assert row["verdict"] == OPEN and row["measured"] == pytest.approx(0.25 - 0.35)
    assert row["test"].endswith("with all cells contradicted, without the collapsed ones reproduced")
    assert row["verdict_without_collapsed"] == HOLDS and row["measured_without_collapsed"] == pytest.approx(0.4 - 0.35)
    assert row["low_without_collapsed"] < 0.05 < row["high_without_collapsed"]

    cells["status"] = np.where(cells["optimizer"] == "sgd", "collapsed", "ok")
    row = judged(cells)["SGD is the worst optimizer"]
    assert row["verdict"] == HOLDS and row["verdict_without_collapsed"] == NO_CELLS
    assert np.isnan(row["measured_without_collapsed"])
    # And where all have, no scenario has a best.
    assert {row["verdict_without_collapsed"] for row in judged(cells, status="collapsed").values()} == {NO_CELLS}


def test_seeds_have_cases_of_their_own_unless_they_share_a_split():
    cells = make_cells(lambda cell: 0.5 if cell["architecture"] == "gru" else 0.4, seed=[0, 1])
    longer = make_cells(lambda cell: 0.5, n_cases=300, seed=[2])  # another split may have another number of cases
    assert {row["n"] for row in judged(pd.concat([cells, longer], ignore_index=True)).values()} == {700}
    assert {row["n"] for row in judged(cells.assign(split="one")).values()} == {200}


def test_intervals_include_the_difference_of_two_trainings():
    """Of 200 cases 100 and 120 are right in the two trainings: cases add a variance of 0.25 / 200 or so, a training 0.1² / 2."""
    cells = make_cells(lambda cell: 0.5, architecture=["gru"], activation=["softmax"])
    second = make_cells(lambda cell: 0.6, architecture=["gru"], activation=["softmax"])
    again = [
        Result({}, {name: np.array(row[name]) for name in ("above", "tied", "top")}) for _, row in second.iterrows()
    ]
    targets = {"of seed 0": np.arange(200) % 10}

    def drawn(cells):
        means, draws = _means_and_draws(cells, targets, ["accuracy"], 4000)
        assert means["accuracy"].tolist() == [[0.5] * 4]
        return draws["accuracy"]

    once, twice = drawn(cells), drawn(cells.assign(again=again))
    assert once.var(0) == pytest.approx(0.25 / 200, rel=0.1)
    assert twice.var(0) == pytest.approx(0.25 / 200 + 0.1**2 / 2, rel=0.1)
    # Epochs of one training differ alike; two optimizers are two trainings.
    extra = pd.DataFrame((twice - once).round(9), columns=cells["optimizer"] + cells["epochs"].astype(str)).corr()
    assert (
        extra.loc["adam5", "adam20"] > 0.99
        and extra.loc["sgd5", "sgd20"] > 0.99
        and abs(extra.loc["adam5", "sgd5"]) < 0.1
    )
    only_one = drawn(cells.assign(again=[None, None, *again[2:]]))
    assert (only_one[:, :2] == once[:, :2]).all() and only_one[:, 2:].var(0) == pytest.approx(
        twice[:, 2:].var(0), rel=0.1
    )


def make_times(seconds):
    levels = ["lstm", "gru", "hybrid"], ["softmax", "tanh"], ["adam", "sgd"], [64, 128, 256]
    names = ["architecture", "activation", "optimizer", "batch_size"]
    times = pd.MultiIndex.from_product(levels, names=names).to_frame(index=False).assign(seed=0)
    jitter = np.random.default_rng(0).uniform(0.99, 1.01, len(times))
    times["seconds"] = [seconds(row) * j for (_, row), j in zip(times.iterrows(), jitter, strict=True)]
    return times


def test_claims_about_time():
    def seconds(row):
        return {"lstm": 1.0, "gru": 1.02, "hybrid": 1.8}[row["architecture"]] * 64 / row["batch_size"]

    rows = {row["claim"]: row for row in time_claims(make_times(seconds), True)}
    assert list(rows) == [claim.claim for claim in TIME_CLAIMS]
    assert {claim: row["verdict"] for claim, row in rows.items()} == {
        "LSTM and GRU train equally fast": HOLDS,
        "GRU trains in 20 to 30 % less time than LSTM (of its reference [8])": FAILS,
        "the hybrid takes longer": HOLDS,
        "a hybrid takes less time than LSTM and GRU (of its reference [13])": FAILS,
        "the batch size changes the time": HOLDS,
        "activation and optimizer hardly change the time": HOLDS,
    }
    assert rows["LSTM and GRU train equally fast"]["measured"] == pytest.approx(0.02, abs=0.01)
    assert rows["the hybrid takes longer"]["measured"] == pytest.approx(1.8 / 1.02 - 1, abs=0.02)

    def otherwise(row):
        return {"lstm": 1.0, "gru": 0.75, "hybrid": 0.9}[row["architecture"]] * (2 if row["optimizer"] == "sgd" else 1)

    rows = {row["claim"]: row["verdict"] for row in time_claims(make_times(otherwise), True)}
    assert list(rows.values()) == [FAILS, HOLDS, FAILS, FAILS, FAILS, FAILS]
    beside = time_claims(make_times(seconds), False)
    assert {row["verdict"] for row in beside} == {"not tested"}
    assert beside[0]["test"].endswith("; other trainings ran beside: reproduced")
    unknown = time_claims(make_times(seconds).iloc[:0], False)
    assert [(row["claim"], row["verdict"]) for row in unknown] == [(c.claim, "not tested") for c in TIME_CLAIMS]
    alone = make_times(seconds).query("architecture == 'gru' and batch_size == 64")
    assert [row["claim"] for row in time_claims(alone, True)] == ["activation and optimizer hardly change the time"]
