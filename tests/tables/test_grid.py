"""Comparisons of cells made by hand: what is chosen, on what, and how sure the differences are."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from studylib.errors import StudyError
from studylib.grid import CLASS_METRICS, RANKING_METRICS
from studylib.tables.grid import (
    DIFFERENCES,
    best_cells,
    case_hits,
    differences_of,
    level_differences,
    measure_contenders,
    pick_cell,
    select_settings,
    validation_gains,
)

LEVELS = {
    "architecture": ["lstm", "gru", "hybrid"],
    "activation": ["softmax"],
    "optimizer": ["adam", "sgd"],
    "batch_size": [64],
    "epochs": [5, 20],
    "seed": [0],
}


def make_cells(accuracy, n_cases=200, validation=lambda cell: 0.1, **levels):
    """Cells that predict each test case with the probability that ``accuracy(cell)`` says."""
    levels = LEVELS | levels
    rows = []
    for number, values in enumerate(product(*levels.values())):
        cell = dict(zip(levels, values, strict=True))
        hits = np.random.default_rng([number, n_cases]).random(n_cases) < accuracy(cell)
        measures = dict.fromkeys([*CLASS_METRICS, *RANKING_METRICS], hits.mean())
        cell |= {"split": f"of seed {cell['seed']}", "validation_ndcg@10": validation(cell), "parameters": 100}
        cell |= {"above": np.where(hits, 0, 3), "tied": np.zeros(n_cases, int), "status": "ok", "reason": "finished"}
        cell |= {"validation_above": np.array([0, 20]), "validation_tied": np.zeros(2, int)}
        rows.append(cell | measures)
    return pd.DataFrame(rows)


def test_hits_of_a_cell_count_ties_at_their_mean():
    assert case_hits({"above": [0, 0, 1, 0], "tied": [0, 3, 0, 1]}).tolist() == [1, 0.25, 0, 0.5]


def test_a_cell_is_picked_by_what_is_wanted_and_else_on_validation():
    cells = make_cells(lambda cell: 0.9 - 0.01 * cell["epochs"], validation=lambda cell: 0.01 * cell["epochs"])
    cells.loc[7, "validation_ndcg@10"] = 0.5  # GRU, SGD, 20 epochs; its test accuracy is among the worst
    assert pick_cell(cells, {}).name == 7
    assert pick_cell(cells, {"architecture": "lstm", "optimizer": "sgd"}).name == 3
    assert pick_cell(cells, {"architecture": "lstm", "optimizer": "sgd", "epochs": 5}).name == 2
    cells.loc[7, "status"] = "failed"
    assert pick_cell(cells, {}).name != 7


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"optimiser": "adam"}, "no 'optimiser'; did you mean 'optimizer'"),
        ({"epochs": 50}, "no cell with epochs 50; it has: 5, 20"),
        ({"architecture": "gru", "epochs": 5, "optimizer": "sgd"}, "was trained: no memory"),
    ],
)
def test_a_cell_that_is_not_there_is_one_sentence(wanted, words):
    cells = make_cells(lambda cell: 0.5)
    gone = (cells["architecture"] == "gru") & (cells["epochs"] == 5) & (cells["optimizer"] == "sgd")
    cells.loc[gone, ["status", "reason"]] = ["failed", "no memory"]
    with pytest.raises(StudyError, match=words):
        pick_cell(cells, wanted)


def test_the_best_cells_are_chosen_on_validation_over_all_seeds():
    def validation(cell):
        """SGD is the best with one seed, Adam in the mean; the hybrid is the best architecture."""
        value = {"adam": 0.3, "sgd": 0.4 if cell["seed"] == 0 else 0.1}[cell["optimizer"]] - 0.001 * cell["epochs"]
        return value + {"lstm": 0.02, "gru": 0.01, "hybrid": 0.03}[cell["architecture"]]

    cells = make_cells(lambda cell: 0.9 if cell["optimizer"] == "sgd" else 0.2, validation=validation, seed=[0, 1])
    best = best_cells(cells)
    assert list(best) == ["hybrid", "lstm", "gru"]
    for architecture, own in best.items():
        assert own[["architecture", "optimizer", "epochs", "seed"]].to_numpy().tolist() == [
            [architecture, "adam", 5, 0],
            [architecture, "adam", 5, 1],
        ]
    one = (cells["architecture"] == "lstm") & (cells["optimizer"] == "adam") & (cells["epochs"] == 5)
    cells.loc[one & (cells["seed"] == 1), "status"] = "failed"
    assert best_cells(cells)["lstm"]["epochs"].tolist() == [20, 20], "it did not finish with every seed"
    with pytest.raises(StudyError, match="No setting finished with every seed"):
        best_cells(cells.assign(status="failed"))


def test_a_tie_on_validation_is_broken_by_size_and_never_by_a_name():
    cells = make_cells(lambda cell: 0.5, validation=lambda cell: 0.3, optimizer=["adam"])
    cells["parameters"] = cells["architecture"].map({"lstm": 30, "gru": 20, "hybrid": 50})
    renamed = cells.replace({"architecture": {"gru": "zru", "hybrid": "abc"}}).sort_values("architecture")
    for named, first in ((cells, "gru"), (renamed, "zru")):
        selected = select_settings(named)
        assert selected.loc[0, ["architecture", "epochs"]].tolist() == [first, 5]
        assert selected["within_one_error"].all()


def test_settings_within_one_standard_error_of_the_best():
    """Half of the best cell's 100 validation cases have a gain of one: a standard error of 0.05."""
    cells = make_cells(lambda cell: 0.5, validation=lambda cell: 0.5 - 0.003 * cell["epochs"], optimizer=["adam"])
    gains = np.arange(100) % 2
    cells["validation_above"] = [np.where(gains, 0, 30)] * len(cells)
    cells["validation_tied"] = [np.zeros(100, int)] * len(cells)
    cells.loc[0, "validation_ndcg@10"] = 0.53
    assert validation_gains(cells.iloc[0]).tolist() == gains.tolist()
    selected = select_settings(cells)
    assert selected.loc[0, ["architecture", "epochs", "validation"]].tolist() == ["lstm", 5, 0.53]
    inside = selected[selected["within_one_error"]]
    assert inside["epochs"].tolist() == [5, 5, 5], "0.485 is within 0.0503 of 0.53, and 0.44 is not"


def test_contenders_are_compared_case_by_case():
    rows = {"gru": [0, 0, 0, 1] * 60, "lstm": [3, 0, 2, 1] * 60, "twin": [3, 0, 2, 1] * 60}
    measures = dict.fromkeys([*CLASS_METRICS, *RANKING_METRICS], 0.0)
    contenders = {
        name: pd.DataFrame([{"seed": 0, "split": "s", "above": above, "tied": [0] * 240} | measures])
        for name, above in rows.items()
    }
    table = differences_of(contenders, [("lstm", "gru"), ("lstm", "twin")])
    assert list(table) == DIFFERENCES
    assert table[["higher", "lower"]].to_numpy().tolist() == [["gru", "lstm"], ["lstm", "twin"]]
    gru = table.iloc[0]
    error = 0.5 / np.sqrt(240)  # half of the cases differ, by one
    assert gru["difference"] == 0.5 and not gru["equivalent"] and gru["p"] == pytest.approx(4 / 2001)  # two pairs
    assert (gru["low"], gru["high"]) == (
        pytest.approx(0.5 - 1.96 * error, abs=0.01),
        pytest.approx(0.5 + 1.96 * error, abs=0.01),
    )
    assert gru["detectable"] == pytest.approx(2.80 * error, rel=0.01)
    twin = table.iloc[1]
    assert twin["equivalent"] and (twin["difference"], twin["low"], twin["high"], twin["p"], twin["detectable"]) == (
        0,
        0,
        0,
        1,
        0,
    )
    measured = measure_contenders(contenders).set_index("architecture")
    assert measured.loc["lstm", "low"] < 0.25 < measured.loc["lstm", "high"] and measured.loc["lstm", "hr@5"] == 0


def test_intervals_of_the_best_cells_hold_the_spread_between_seeds():
    def accuracy(cell):
        return 0.5 + (0.3 * (-1) ** cell["seed"] if cell["architecture"] == "gru" else 0)

    cells = make_cells(accuracy, optimizer=["adam"], epochs=[5], seed=[0, 1, 2, 3])
    best = best_cells(cells)
    measured = measure_contenders(best).set_index("architecture")
    width = measured["high"] - measured["low"]
    assert width["gru"] > 2 * width["lstm"] > 0
    (pair,) = differences_of(best, [("gru", "lstm")]).itertuples()
    assert pair.p > 0.3 and pair.high - pair.low > 0.4, "the seeds do not agree on who is better"


def test_levels_are_compared_case_by_case_over_all_their_cells():
    hits = {("gru", 1): [0, 0, 0, 1], ("gru", 2): [0, 0, 5, 1], ("lstm", 1): [3, 0, 2, 1], ("lstm", 2): [1, 0, 2, 1]}
    alike = {
        "activation": "softmax",
        "optimizer": "sgd",
        "batch_size": 64,
        "seed": 0,
        "split": "s",
        "tied": [0] * 4,
    }
    rows = [alike | {"architecture": a, "epochs": e, "status": "ok", "above": above} for (a, e), above in hits.items()]
    rows.append(alike | {"architecture": "hybrid", "epochs": 1, "status": "failed", "above": []})
    # A scenario that only one of them finished says nothing of their difference.
    rows.append(alike | {"architecture": "lstm", "epochs": 3, "status": "ok", "above": [0] * 4})
    table = level_differences(pd.DataFrame(rows), "architecture")
    assert table[["higher", "lower"]].to_numpy().tolist() == [["gru", "lstm"]]
    # GRU's cases: 1, 1, 0.5, 0; LSTM's: 0, 1, 0, 0.
    assert table["difference"][0] == pytest.approx(1.5 / 4)
    assert not table["equivalent"][0] and table["p"][0] > 0.2


def test_repeated_measures_add_no_evidence():
    """A training that is looked at twice says no more of its factor than once."""
    once = make_cells(lambda cell: 0.5 if cell["optimizer"] == "adam" else 0.4, epochs=[5])
    twice = pd.concat([once, once.assign(epochs=20)], ignore_index=True)
    pd.testing.assert_frame_equal(level_differences(once, "optimizer"), level_differences(twice, "optimizer"))
    epochs = level_differences(twice, "epochs").iloc[0]
    assert epochs["equivalent"] and epochs["difference"] == epochs["detectable"] == 0, (
        "they are paired by training and case"
    )


def test_seeds_that_share_a_split_add_no_cases():
    cells = make_cells(lambda cell: 0.5 if cell["optimizer"] == "adam" else 0.4, seed=[0, 1, 2], epochs=[5])
    hits = cells.groupby("optimizer")["above"].transform("first")  # every seed is right for the same cases
    cells = cells.assign(above=hits)
    own, same = (level_differences(c, "optimizer").iloc[0] for c in (cells, cells.assign(split="one")))
    assert own["difference"] == pytest.approx(same["difference"])
    for width in (lambda d: d["high"] - d["low"], lambda d: d["detectable"]):
        assert width(same) == pytest.approx(np.sqrt(3) * width(own), rel=0.15)
