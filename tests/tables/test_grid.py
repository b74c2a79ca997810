"""Comparisons of cells made by hand: what is selected, on what, and which differences are significant."""

import numpy as np
import pandas as pd
import pytest

from studylib.errors import StudyError
from studylib.grid import CLASS_METRICS, RANKING_METRICS
from studylib.tables.grid import (
    DIFFERENCES,
    all_cells_table,
    best_cells,
    case_hits,
    contenders_table,
    count_statuses,
    count_test_cases,
    detectable_table,
    differences_of,
    differences_table,
    measure_contenders,
    pick_cell,
    select_settings,
    setting_name,
    settings_comparison,
    times_table,
    trained_cells,
    troubled_cells,
    validation_error,
    validation_gains,
    variant_differences,
    variants_table,
    with_and_without_collapsed,
)
from tests.tables.cells import make_cells


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


def test_the_best_cells_are_selected_on_validation_over_all_seeds():
    def validation(cell):
        """SGD is the best with one seed, Adam in the mean; the hybrid is the best architecture."""
        value = {"adam": 0.3, "sgd": 0.4 if cell["seed"] == 0 else 0.1}[cell["optimizer"]] - 0.001 * cell["epochs"]
        return value + {"lstm": 0.02, "gru": 0.01, "hybrid": 0.03}[cell["architecture"]]

    cells = make_cells(lambda cell: 0.9 if cell["optimizer"] == "sgd" else 0.2, validation=validation, seed=[0, 1])
    best = best_cells(cells)
    assert list(best) == ["hybrid", "lstm", "gru"]
    for architecture, seeds in best.items():
        assert seeds[["architecture", "optimizer", "epochs", "seed"]].to_numpy().tolist() == [
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
    assert validation_error(cells, selected.loc[0]) == pytest.approx(0.0503, abs=1e-4)
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
    assert (
        gru["difference"] == 0.5 and not gru["equivalent"] and gru["p"] == gru["least_p"] == pytest.approx(4 / 2001)
    )  # two pairs
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


def test_of_cells_that_tie_the_smaller_network_is_picked():
    cells = make_cells(lambda cell: 0.5, validation=lambda cell: 0.3)
    cells["parameters"] = cells["architecture"].map({"lstm": 30, "gru": 20, "hybrid": 50})
    assert pick_cell(cells, {})[["architecture", "epochs"]].tolist() == ["gru", 5]


def make_ended(**levels):
    """All of SGD's cells collapsed, and one of Adam's is stuck."""
    cells = make_cells(lambda cell: {"adam": 0.5, "sgd": 0.1}[cell["optimizer"]], **levels)
    cells.loc[cells["optimizer"] == "sgd", "status"] = "collapsed"
    cells.loc[(cells["optimizer"] == "adam").idxmax(), "status"] = "stuck"
    return cells


def test_cells_that_did_not_end_well_are_counted_and_listed():
    cells = make_ended()
    assert count_statuses(cells).to_numpy().tolist() == [
        ["collapsed", "sgd", "softmax", 6, 6],
        ["stuck", "adam", "softmax", 1, 6],
    ]
    assert len(troubled_cells(cells)) == 7
    well = cells.assign(status="ok")
    assert count_statuses(well).empty and troubled_cells(well).empty
    assert list(count_statuses(well)) == list(count_statuses(cells))


def test_means_are_taken_with_and_without_what_collapsed():
    cells = make_ended()
    parts = with_and_without_collapsed(cells)
    assert {name: len(part) for name, part in parts.items()} == {"all cells": 12, "without collapsed cells": 6}
    assert list(with_and_without_collapsed(cells.assign(status="ok"))) == ["all cells"]
    assert list(with_and_without_collapsed(cells.assign(status="collapsed"))) == ["all cells"]


def test_a_grid_of_which_every_cell_failed_is_one_sentence():
    cells = make_cells(lambda cell: 0.5)
    assert len(trained_cells(cells)) == len(cells)
    with pytest.raises(StudyError, match="Every cell failed; the first because of: no memory"):
        trained_cells(cells.assign(status="failed", reason="no memory"))


def test_test_cases_are_counted_once_a_split():
    assert count_test_cases(make_cells(lambda cell: 0.5, seed=[0, 1])) == 400
    assert count_test_cases(make_cells(lambda cell: 0.5, seed=[0, 1]).assign(split="one")) == 200


def test_a_setting_has_a_name():
    cell = make_cells(lambda cell: 0.5, epochs=[1]).iloc[0]
    assert setting_name(cell) == "LSTM, softmax, Adam, batch size 64, 1 epoch"


def test_tables_are_written_in_points_and_words():
    cells = make_cells(lambda cell: {"lstm": 0.2, "gru": 0.6, "hybrid": 0.6}[cell["architecture"]], optimizer=["adam"])
    best = best_cells(cells)
    measured = measure_contenders(best | {"markov": best["gru"].assign(architecture="markov")})
    table = contenders_table(best, measured)
    assert table["architecture"].tolist()[-1] == "markov" and table["epochs"].isna().tolist() == [False] * 3 + [True]
    assert table["accuracy"].str.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]").all()
    differences = differences_of(best, [("lstm", "gru"), ("gru", "gru")])
    shown = differences_table(differences)
    assert list(shown) == ["higher", "lower", "difference", "p", "equivalent", "detectable"]
    assert shown["p"].tolist() == ["≤ 0.002", "1.000"]
    assert shown["equivalent"].tolist() == ["not shown", "yes"] and shown["difference"][1] == "0.00 [0.00, 0.00]"
    assert differences_table(differences.head(0)).empty
    factors = differences.assign(factor="batch_size")
    detectable = detectable_table(differences, differences.head(1), factors)
    assert detectable["compared"].tolist() == [
        "two selected cells", "a selected cell and the baseline", "two levels of batch size",
    ]  # fmt: skip
    assert detectable["smallest"].tolist()[::2] == [0, 0]
    assert detectable["largest"][0] == pytest.approx(100 * differences["detectable"].max())
    assert len(detectable_table(differences.head(0), differences.head(1), factors.head(0))) == 1


def test_optimizer_settings_are_compared_on_the_cells_that_both_have():
    cells = make_ended(epochs=[5, 20])
    other = make_cells(lambda cell: 0.3, epochs=[5])
    other.loc[other["optimizer"] == "adam", "status"] = ["collapsed", "ok", "ok"]
    table = settings_comparison(cells, other, ("keras2", "keras3"))
    assert list(table) == [
        "optimizer", "keras2, all cells", "keras3, all cells",
        "keras2, without collapsed cells", "keras3, without collapsed cells",
    ]  # fmt: skip
    table, five = table.set_index("optimizer"), cells[cells["epochs"] == 5]
    adam = five.loc[five["optimizer"] == "adam", "accuracy"]
    assert table.loc["adam", "keras2, all cells"] == pytest.approx(adam.mean())
    assert table.loc["adam", "keras2, without collapsed cells"] == pytest.approx(adam.iloc[1:].mean())
    assert np.isnan(table.loc["sgd", "keras3, without collapsed cells"])
    well = settings_comparison(cells.assign(status="ok"), other.assign(status="ok"), ("keras2", "keras3"))
    assert list(well) == ["optimizer", "keras2, all cells", "keras3, all cells"]


def test_times_have_a_ratio_where_there_is_an_lstm():
    rows = [(name, size, seconds) for name, seconds in (("lstm", 2.0), ("gru", 1.0)) for size in (64, 128)]
    times = pd.DataFrame(rows, columns=["architecture", "batch_size", "seconds"])
    assert times_table(times)["gru / lstm"].tolist() == [0.5, 0.5]
    assert list(times_table(times[times["architecture"] == "gru"])) == ["batch_size", "gru"]


def test_all_cells_are_listed_and_the_baselines_after_them():
    cells = make_cells(lambda cell: 0.5).assign(loss=1.0, train_seconds=2.0)
    baselines = cells.head(1).set_index("architecture")[[*CLASS_METRICS, *RANKING_METRICS]].rename({"lstm": "markov"})
    table = all_cells_table(cells, baselines)
    assert table["architecture"].tolist()[-1] == "markov" and len(table) == 13
    assert "reason" not in table and table["epochs"].isna().sum() == 1


def test_cells_built_another_way_are_compared_with_the_same_cells():
    first = make_cells(lambda cell: 0.5)
    better = make_cells(lambda cell: 0.6)
    better.loc[0, "status"], better.loc[1, "status"] = "failed", "collapsed"
    table = variants_table(variant_differences({"first": first, "better": better, "same": first}))
    assert table["cells"].tolist() == [len(first) - 1] * 3, "what failed in one is left out of all"
    assert table["collapsed"].tolist() == [0, 1, 0]
    means = [cells["accuracy"][1:].mean() for cells in (first, better)]
    assert table["accuracy"].tolist() == [f"{means[0]:.1%}", f"{means[1]:.1%}", f"{means[0]:.1%}"]
    assert pd.isna(table["difference"][0]) and table["difference"][2] == "0.00 [0.00, 0.00]"
    assert table["difference"][1].startswith(f"{100 * (means[1] - means[0]):.2f} [")
