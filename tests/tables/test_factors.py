"""What the factors of a grid change, with and without the cells that collapsed."""

import numpy as np
import pandas as pd
import pytest

from studylib.tables.factors import (
    LEVEL_DIFFERENCES,
    differences_by_part,
    factor_differences,
    factor_differences_table,
    level_differences,
    variance_table,
    varying_factors,
)
from studylib.tables.grid import DIFFERENCES
from tests.tables.cells import make_cells


def test_levels_are_compared_case_by_case_over_all_their_cells():
    hits = {("gru", 1): [0, 0, 0, 1], ("gru", 2): [0, 0, 5, 1], ("lstm", 1): [3, 0, 2, 1], ("lstm", 2): [1, 0, 2, 1]}
    common = {
        "activation": "softmax",
        "optimizer": "sgd",
        "batch_size": 64,
        "seed": 0,
        "split": "s",
        "tied": [0] * 4,
    }
    rows = [
        common | {"architecture": a, "epochs": e, "status": "ok", "above": above, "accuracy": above.count(0) / 4}
        for (a, e), above in hits.items()
    ]
    rows.append(common | {"architecture": "hybrid", "epochs": 1, "status": "failed", "above": []})
    # A scenario that only one of them finished says nothing of their difference.
    rows.append(common | {"architecture": "lstm", "epochs": 3, "status": "ok", "above": [0] * 4, "accuracy": 1.0})
    table = level_differences(pd.DataFrame(rows), "architecture")
    assert table[["higher", "lower", "scenarios"]].to_numpy().tolist() == [["gru", "lstm", 2]]
    # GRU's cases: 1, 1, 0.5, 0; LSTM's: 0, 1, 0, 0.
    assert table["difference"][0] == pytest.approx(1.5 / 4)
    assert not table["equivalent"][0] and table["p"][0] > 0.2


def test_repeated_measures_add_no_evidence():
    """A training that is looked at twice says no more of its factor than once."""
    once = make_cells(lambda cell: 0.5 if cell["optimizer"] == "adam" else 0.4, epochs=[5])
    twice = pd.concat([once, once.assign(epochs=20)], ignore_index=True)
    one, two = (level_differences(cells, "optimizer") for cells in (once, twice))
    pd.testing.assert_frame_equal(one[DIFFERENCES], two[DIFFERENCES])
    epochs = level_differences(twice, "epochs").iloc[0]
    assert epochs["equivalent"] and epochs["difference"] == epochs["detectable"] == 0, (
        "they are paired by training and case"
    )


def test_seeds_that_share_a_split_add_no_cases():
    cells = make_cells(lambda cell: 0.5 if cell["optimizer"] == "adam" else 0.4, seed=[0, 1, 2], epochs=[5])
    hits = cells.groupby("optimizer")["above"].transform("first")  # every seed is right for the same cases
    cells = cells.assign(above=hits)
    apart, same = (level_differences(c, "optimizer").iloc[0] for c in (cells, cells.assign(split="one")))
    assert apart["difference"] == pytest.approx(same["difference"])
    for width in (lambda d: d["high"] - d["low"], lambda d: d["detectable"]):
        assert width(same) == pytest.approx(np.sqrt(3) * width(apart), rel=0.15)


def make_collapsed():
    """SGD is below Adam because half of its cells collapsed; where neither did, it is above."""
    accuracy = {("adam", 5): 0.4, ("adam", 20): 0.4, ("sgd", 5): 0.02, ("sgd", 20): 0.6}
    cells = make_cells(lambda cell: accuracy[cell["optimizer"], cell["epochs"]])
    return cells.assign(status=np.where((cells["optimizer"] == "sgd") & (cells["epochs"] == 5), "collapsed", "ok"))


def test_levels_are_compared_with_and_without_collapsed_cells():
    tables = {n: factor_differences_table(d) for n, d in differences_by_part(make_collapsed()).items()}
    first, second = (table[table["factor"] == "optimizer"].iloc[0] for table in tables.values())
    assert list(tables) == ["all cells", "without collapsed cells"]
    assert first[["higher", "lower", "scenarios"]].tolist() == ["adam", "sgd", 6]
    assert second[["higher", "lower", "scenarios"]].tolist() == ["sgd", "adam", 3]
    assert list(differences_by_part(make_collapsed().assign(status="ok"))) == ["all cells"]


def test_levels_that_share_no_scenario_are_not_compared():
    cells = make_cells(lambda cell: 0.5)
    cells.loc[(cells["optimizer"] == "sgd") | (cells["architecture"] == "gru"), "status"] = "failed"
    assert level_differences(cells, "optimizer").empty
    table = level_differences(cells, "architecture")
    assert list(table) == LEVEL_DIFFERENCES and len(table) == 1


def test_a_grid_of_one_cell_has_no_factor_to_speak_of():
    cells = make_cells(lambda cell: 0.5, architecture=["gru"], optimizer=["adam"], epochs=[5])
    assert varying_factors(cells) == [] and factor_differences(cells).empty
    assert factor_differences_table(differences_by_part(cells)["all cells"]).empty
    assert variance_table(cells).to_numpy().tolist() == [["rest", "100.0%"]]


def test_shares_of_the_variance_with_and_without_collapsed_cells():
    table = variance_table(make_collapsed())
    assert list(table) == ["effect", "all cells", "without collapsed cells"]
    assert {"optimizer", "epochs", "optimizer × epochs", "rest"} <= set(table["effect"])
    assert list(variance_table(make_cells(lambda cell: 0.5))) == ["effect", "all cells"]
