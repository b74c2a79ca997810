"""Claims: what is measured, and how it is judged, on cells made by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from studylib.evaluation.claims import (
    COLUMNS,
    GRID_CLAIMS,
    difference,
    extreme,
    grid_claims,
    minus,
    ranking_claims,
    wins,
)
from studylib.params import Ranking

NEVER = "the hybrid is superior in no scenario"

LEVELS = {
    "architecture": ["lstm", "gru", "hybrid"],
    "activation": ["softmax", "tanh"],
    "optimizer": ["adam", "sgd"],
    "batch_size": [64],
    "epochs": [5, 20],
    "seed": [0],
}


def make_cells(accuracy, n_cases=200, **levels):
    """Cells whose first test cases, as many as ``accuracy(cell)`` says, are predicted."""
    levels = LEVELS | levels
    rows = []
    for values in product(*levels.values()):
        cell = dict(zip(levels, values, strict=True))
        hits = np.arange(n_cases) < round(accuracy(cell) * n_cases)
        cell["split"] = f"of seed {cell['seed']}"
        rows.append(cell | {"above": np.where(hits, 0, 3).tolist(), "tied": [0] * n_cases, "status": "ok"})
    return pd.DataFrame(rows)


def observed(statistic, accuracies, **factors):
    return statistic(pd.DataFrame(factors))(np.array([accuracies])).tolist()


def test_extreme_is_the_distance_to_the_next_level():
    cells = {"optimizer": ["adam", "sgd", "adam", "sgd", "rmsprop", "rmsprop"]}
    accuracies = [0.5, 0.1, 0.7, 0.2, 0.9, 0.5]  # means: adam 0.6, sgd 0.15, rmsprop 0.7
    assert observed(extreme("optimizer", "rmsprop", 1), accuracies, **cells) == pytest.approx([0.1])
    assert observed(extreme("optimizer", "adam", 1), accuracies, **cells) == pytest.approx([-0.1])
    assert observed(extreme("optimizer", "sgd", -1), accuracies, **cells) == pytest.approx([0.45])
    assert observed(extreme("optimizer", "adam", -1), accuracies, **cells) == pytest.approx([-0.45])


def test_difference_is_that_of_the_means_of_two_levels():
    cells = {"epochs": [5, 20, 50, 5, 20, 50]}
    accuracies = [0.1, 0.9, 0.4, 0.3, 0.9, 0.6]
    assert observed(difference("epochs", max, min), accuracies, **cells) == pytest.approx([0.3])
    assert observed(difference("epochs", 5, 20), accuracies, **cells) == pytest.approx([-0.7])


def test_wins_is_the_share_of_scenarios_won_alone():
    cells = make_cells(lambda cell: 0, activation=["softmax"], optimizer=["adam"], epochs=[5, 20, 50, 100])
    order = cells["architecture"].tolist()
    assert order == ["lstm"] * 4 + ["gru"] * 4 + ["hybrid"] * 4
    lstm, gru, hybrid = [0.1, 0.5, 0.1, 0.2], [0.2, 0.5, 0.3, 0.1], [0.1, 0.1, 0.2, 0.1]  # the second is a draw
    draws = np.array([lstm + gru + hybrid, hybrid + lstm + gru])
    assert wins("gru")(cells)(draws).tolist() == [0.5, 0.25]
    assert minus(wins("hybrid"), 0.5)(cells)(draws).tolist() == [-0.5, 0.0]


def test_a_scenario_with_a_failed_network_is_left_out():
    def accuracy(cell):
        return {"lstm": 0.3, "gru": 0.4 if cell["epochs"] == 20 else 0.2, "hybrid": 0.1}[cell["architecture"]]

    cells = make_cells(accuracy)
    rows = {row["claim"]: row for row in grid_claims(cells)}
    assert rows["GRU is the best architecture in most scenarios"]["measured"] == 0.0
    cells.loc[(cells["architecture"] == "lstm") & (cells["epochs"] == 5), "status"] = "failed"
    rows = {row["claim"]: row for row in grid_claims(cells)}
    assert rows["GRU is the best architecture in most scenarios"]["measured"] == 0.5
    assert grid_claims(cells.assign(status="failed")) == []


def test_claims_without_their_levels_are_left_out():
    one = {"architecture": ["gru"], "activation": ["softmax"], "optimizer": ["adam"], "epochs": [5]}
    assert grid_claims(make_cells(lambda cell: 0.5, **one)) == []
    claims = [row["claim"] for row in grid_claims(make_cells(lambda cell: 0.5, activation=["sigmoid", "softmax"]))]
    assert "softmax is the best activation" in claims and "SGD is the worst optimizer" in claims
    assert "tanh is the worst activation" not in claims
    assert "RMSprop is the best optimizer" not in claims and "Adam is better than Adagrad" not in claims
    everything = make_cells(lambda cell: 0.5, optimizer=["adam", "sgd", "rmsprop", "adagrad"])
    assert [row["claim"] for row in grid_claims(everything)] == [claim.claim for claim in GRID_CLAIMS]


def test_verdicts_follow_the_interval():
    architecture = {"lstm": 0.2, "gru": 0.6, "hybrid": 0.4}

    def accuracy(cell):
        more_epochs_are_worse = -0.1 if cell["epochs"] == 20 else 0.0
        return architecture[cell["architecture"]] + more_epochs_are_worse

    rows = {row["claim"]: row for row in grid_claims(make_cells(accuracy))}
    assert all(list(row) == COLUMNS for row in rows.values())
    assert all(row["low"] <= row["measured"] <= row["high"] and row["n"] == 200 for row in rows.values())
    assert rows["GRU is the best architecture in most scenarios"]["verdict"] == "holds"
    assert rows["GRU is the best architecture in most scenarios"]["measured"] == 0.5
    assert rows[NEVER]["verdict"] == "holds" and rows[NEVER]["measured"] == 0.0
    epochs = rows["more epochs are better"]
    assert epochs["verdict"] == "does not hold" and epochs["measured"] == pytest.approx(-0.1)
    assert -0.15 < epochs["low"] < -0.1 < epochs["high"] < -0.05  # cells share the draws
    softmax = rows["softmax is the best activation"]
    assert softmax["verdict"] == "undecided" and softmax["measured"] == softmax["low"] == softmax["high"] == 0.0

    architecture |= {"gru": 0.3, "hybrid": 0.8}
    rows = {row["claim"]: row for row in grid_claims(make_cells(accuracy))}
    assert rows["GRU is the best architecture in most scenarios"]["verdict"] == "does not hold"
    assert rows[NEVER]["verdict"] == "does not hold" and rows[NEVER]["measured"] == 1.0

    architecture |= {"hybrid": 0.305}  # ahead by one case of two hundred
    rows = {row["claim"]: row for row in grid_claims(make_cells(accuracy))}
    assert rows[NEVER]["verdict"] == "undecided" and rows[NEVER]["measured"] == 1.0 and rows[NEVER]["low"] == 0.0


def test_seeds_have_cases_of_their_own():
    cells = make_cells(lambda cell: 0.5 if cell["architecture"] == "gru" else 0.4, seed=[0, 1])
    longer = make_cells(lambda cell: 0.5, n_cases=300, seed=[2])  # another split may have another number of cases
    rows = grid_claims(pd.concat([cells, longer], ignore_index=True))
    assert {row["n"] for row in rows} == {700}


def test_reported_numbers_are_judged_by_the_whole_interval():
    def judged(low, high, **changed):
        row = {"dataset": "grocery", "model": "gru4rec", "protocol": "sampled-99", "metric": "hr@5"}
        row |= {"mean": 0.34, "low": low, "high": high, "n": 9}
        return ranking_claims(pd.DataFrame([row | changed]), ranking)

    ranking = Ranking(
        datasets=[
            "grocery",
            {"dataset": "ml-1m"},
            {"name": "shop", "reader": "parquet", "path": "x", "user": "u", "item": "i"},
        ],
        models=["gru4rec", "markov", {"model": "gru4rec", "label": "small", "hidden": 8}],
    )

    (row,) = judged(0.336, 0.36)  # 0.34 is printed for all from 0.335 on
    assert list(row) == COLUMNS
    assert (row["verdict"], row["measured"], row["where"], row["n"]) == ("holds", 0.34, "Table 3", 9)
    assert judged(0.334, 0.36)[0]["verdict"] == "undecided"
    assert judged(0.30, 0.334)[0]["verdict"] == "does not hold"
    assert judged(0.276, 0.3, metric="ndcg@10")[0]["where"] == "Table 4"
    assert judged(0.276, 0.3, metric="ndcg@10")[0]["verdict"] == "holds"
    assert judged(0.336, 0.36, model="small")[0]["claim"].endswith("on Amazon Grocery (as small)")
    assert judged(0.276, 0.3, metric="ndcg@10")[0]["figure"] == "ranking-ndcg"
    for changed in (
        {"dataset": "ml-1m"},
        {"dataset": "shop"},
        {"model": "markov"},
        {"protocol": "full"},
        {"metric": "mrr"},
    ):
        assert judged(0.336, 0.36, **changed) == []


def test_seeds_that_share_a_split_add_no_cases():
    cells = make_cells(lambda cell: 0.5 if cell["optimizer"] == "adam" else 0.4, seed=[0, 1, 2])
    assert {row["n"] for row in grid_claims(cells)} == {600}
    assert {row["n"] for row in grid_claims(cells.assign(split="one"))} == {200}
