"""The numbers of the sentences, of cells made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from studylib.data.splits import split_sessions
from studylib.data.synthetic import generate
from studylib.kept import Result
from studylib.params.study import Synthetic
from studylib.sources import source_of
from studylib.tables.factors import differences_by_part
from studylib.tables.grid import best_cells, differences_of, measure_contenders, second_table
from studylib.tables.grid_findings import (
    Predictability,
    cell_finding,
    factor_findings,
    first_answer,
    grid_overview,
    headline,
    largest_change,
    means_by_part,
    predictability,
    second_training,
    selection,
    time_ratios,
)
from tests.tables.cells import make_cells


def test_what_a_split_lets_models_reach():
    split = split_sessions(generate(Synthetic(sessions=300, items=20), seed=0).sessions, 0.2, seed=0)
    limits = predictability(split)
    assert (limits.train, limits.validation, limits.test) == (len(split.train), len(split.validation), len(split.test))
    assert limits.catalogue == split.train.n_items
    assert limits.unseen == limits.unseen_share * limits.test
    last = split.train.last_events().items
    assert limits.most_frequent == pytest.approx(np.mean(split.test.targets == np.bincount(last).argmax()))
    assert limits.error == pytest.approx(np.sqrt(limits.most_frequent * (1 - limits.most_frequent) / limits.test))
    assert limits.unpaired == pytest.approx(2 * np.hypot(limits.error, limits.error))


def test_a_grid_in_numbers():
    cells = make_cells(lambda cell: 0.5, seed=[0, 1])
    cells.loc[[3, 4], "status"] = "collapsed"
    cells.loc[9, "status"], cells.loc[11, "parameters"] = "stuck", 500
    overview = grid_overview(cells)
    assert (overview.cells, overview.trainings, overview.collapsed) == (24, 12, 2)
    assert overview.levels == "3 architectures, 1 activation, 2 optimizers, 1 batch size, 2 seeds, epochs 5 / 20"
    assert overview.statuses == "21 ok, 2 collapsed, 1 stuck"
    assert (overview.largest, overview.parameters) == ("GRU", 500)


def test_a_selection_speaks_of_all_settings_within_one_standard_error():
    cells = make_cells(lambda cell: {"lstm": 0.2, "gru": 0.5, "hybrid": 0.8}[cell["architecture"]], epochs=[5])
    gains = np.arange(100) % 2
    cells["validation_above"] = [np.where(gains, 0, 30)] * len(cells)
    cells["validation_tied"] = [np.zeros(100, int)] * len(cells)
    cells["validation_ndcg@10"] = [0.5, 0.3, 0.48, 0.47, 0.2, 0.2]
    selected = selection(cells, baseline_accuracy=0.4)
    assert (selected.settings, selected.cases, selected.best, selected.within) == (6, 100, 0.5, 3)
    assert selected.error == pytest.approx(0.0503, abs=1e-4)
    assert selected.architectures == "2 GRU, 1 LSTM"
    reached = sorted(cells["accuracy"][[0, 2, 3]])
    assert [selected.lowest, selected.median, selected.highest] == reached
    assert selected.above_baseline == 2 and selected.least == selected.best - selected.error
    lowest, median, highest = (f"{accuracy:.1%}" for accuracy in reached)
    assert selected.reached == f"a median accuracy of {median} (from {lowest} to {highest})"
    assert replace(selected, lowest=0.0601, highest=0.0604).reached == "an accuracy of 6.0%"
    assert (selected.selected, selected.accuracy) == (
        "LSTM, softmax, Adam, batch size 64, 5 epochs",
        cells["accuracy"][0],
    )


@pytest.mark.parametrize(("baseline", "sign"), [(0.1, 1), (0.9, -1)])
def test_a_headline_compares_the_selected_cell_with_the_baseline(baseline, sign):
    accuracy = {"lstm": 0.5, "gru": 0.5, "hybrid": 0.2, "markov": baseline}
    cells = make_cells(lambda cell: accuracy[cell["architecture"]], architecture=list(accuracy), epochs=[5])
    best = best_cells(cells)
    networks = [name for name in best if name != "markov"]
    pairs = differences_of(best, [("lstm", "gru"), ("lstm", "hybrid"), ("gru", "hybrid")])
    beside = differences_of(best, [(name, "markov") for name in networks])
    numbers = headline(cells, measure_contenders(best), pairs, beside)
    assert numbers.cases == 200 and numbers.low < numbers.accuracy < numbers.high
    assert np.sign(numbers.gain) == sign and numbers.gain_low < numbers.gain < numbers.gain_high
    assert numbers.p < 0.05 and (numbers.pairs, numbers.significant) == (3, 2)
    detectable = [*pairs["detectable"], *beside["detectable"]]
    assert (numbers.least, numbers.most) == (min(detectable), max(detectable))
    assert numbers.reached.startswith(f"{numbers.accuracy:.1%} [")
    assert numbers.gained.endswith(f" (Holm-corrected p: ≤ {numbers.p:.3f})")
    assert numbers.significant_pairs == "2 of 3 pairs"
    assert numbers.detectable == f"{100 * numbers.least:.1f} to {100 * numbers.most:.1f} points and more"
    assert replace(numbers, gain=-0.0001, gain_low=-0.02, gain_high=0.01).gained.startswith("+0.0 points [-2.0, +1.0]")
    alone = headline(cells, measure_contenders(best), pairs.head(0), beside)
    assert alone.significant_pairs == "none, for there is only one"
    assert (alone.pairs, alone.significant) == (0, 0) and alone.least == beside["detectable"].min()


def test_what_does_not_differ_in_any_case_is_not_spoken_of_as_a_number():
    cells = make_cells(lambda cell: 0.5, architecture=["lstm", "markov"], epochs=[5])
    cells["above"] = [cells["above"][0]] * len(cells)
    best = best_cells(cells)
    pairs = differences_of(best, [("lstm", "markov")])
    numbers = headline(cells, measure_contenders(best), pairs.head(0), pairs)
    assert numbers.detectable == "none to be seen, for all that are compared are right in the same cases"
    limits = Predictability(40, 5, 10, 20, 0, 0.0, most_frequent=0.0, error=0.0, unpaired=0.0)
    assert "0.0" not in limits.resolution
    assert "3.0 points" in replace(limits, error=0.03, unpaired=0.08).resolution


def test_factors_are_spoken_of_over_each_part_of_the_cells():
    cells = make_cells(lambda cell: {"adam": 0.6, "sgd": 0.1}[cell["optimizer"]], n_cases=500)
    cells.loc[(cells["optimizer"] == "sgd") & (cells["architecture"] != "lstm"), "status"] = "collapsed"
    everything, rest = factor_findings(cells, differences_by_part(cells))
    assert (everything.cells, rest.cells) == ("all cells", "without collapsed cells")
    first = everything.factors[0]
    assert first.factor == "optimizer" and first.share > 0.9
    assert everything.shares.striptags().startswith(f"optimizer {first.share:.1%}, ")
    assert "optimizer" not in everything.little_influence
    assert everything.table()["factor"].tolist() == [factor.factor for factor in everything.factors]
    assert (first.pairs, first.significant, first.equivalent) == (1, 1, 0)
    means = 100 * cells.groupby("optimizer")["accuracy"].mean()
    assert first.levels == f"{means['adam']:.1f}% (Adam), {means['sgd']:.1f}% (SGD)"
    assert means_by_part(cells.head(2), "seed") == f"all cells: {cells.head(2)['accuracy'].mean():.1%} (0)"
    assert factor_findings(cells.head(1), differences_by_part(cells.head(1))) == []


def test_one_cell_and_its_place():
    cells = make_cells(lambda cell: 0.5).assign(curve=[[3.0, 2.0, 1.0]] * 12)
    cells["validation_ndcg@10"], cells["accuracy"] = np.arange(12) / 12, np.arange(12)[::-1] / 12
    finding = cell_finding(cells, cells.loc[2])
    assert finding.name == "LSTM, softmax, SGD, batch size 64, 5 epochs, seed 0" and finding.status == "ok"
    assert (finding.first_loss, finding.last_loss) == (3, 1) and finding.losses == "goes from 3.00 to 1.00"
    assert replace(finding, epochs=1).losses == "is 1.00 after 1 epoch"
    assert (finding.validation_place, finding.accuracy_place, finding.cells) == (10, 3, 12)


def test_ratios_of_times_are_beside_an_lstm_or_none():
    rows = [(name, n, seconds * n) for name, seconds in (("lstm", 2), ("gru", 1)) for n in (1, 2, 3)]
    times = pd.DataFrame(rows, columns=["architecture", "batch_size", "seconds"])
    (ratio,) = time_ratios(times)
    assert (ratio.architecture, ratio.median, ratio.lower, ratio.upper) == ("gru", 0.5, 0.5, 0.5)
    assert time_ratios(times[times["architecture"] == "gru"]) == []


def test_what_came_of_a_second_training():
    accuracy = {"lstm": 0.1, "gru": 0.2, "hybrid": 0.3}
    cells = make_cells(
        lambda cell: accuracy[cell["architecture"]], validation=lambda cell: accuracy[cell["architecture"]]
    )
    second = cells.copy()
    moved = (cells["architecture"] == "hybrid") & (cells["optimizer"] == "sgd")
    second.loc[moved, "accuracy"] += 0.05
    second.loc[moved, "validation_ndcg@10"] = 0.9
    arrays = ("above", "tied", "validation_above", "validation_tied")
    made = {"processor": "a slow one", "settings": {"XLA_FLAGS": "--old"}}
    again = [
        Result(row.drop(list(arrays)).to_dict(), {name: row[name] for name in arrays}, made=made)
        for _, row in second.iterrows()
    ]
    assert second_training(cells) is None and second_training(cells.assign(again=[None] * len(cells))) is None
    difference = np.where(moved, 0.05, 1e-9)
    about = {"again": again, "accuracy_again": second["accuracy"], "difference_again": difference}
    twice = cells.assign(processor="a fast one", **about)
    found = second_training(twice)
    assert (found.cells, found.same) == (len(cells), len(cells) - moved.sum())
    assert (found.first, found.how) == ("a fast one", "a slow one with XLA_FLAGS=--old")
    assert found.change == pytest.approx(0.05 * moved.mean()) and found.low == 0 < found.change < found.high
    assert found.largest == pytest.approx(0.05)
    assert found.selected.startswith("hybrid, softmax, SGD")
    assert found.selected_accuracy == pytest.approx(second.loc[moved, "accuracy"].iloc[0])
    table = second_table(twice).set_index("optimizer")
    assert table["come out again"].to_dict() == {"adam": 6, "sgd": 4}
    assert table.loc["sgd", "largest difference"] == pytest.approx(0.05)
    half = second_training(
        twice.assign(again=again[:6] + [None] * 6, difference_again=[*difference[:6], *[np.nan] * 6])
    )
    assert half.cells == 6


def test_what_a_network_says_of_the_first_case():
    log = generate(Synthetic(sessions=200, items=12), seed=0).sessions
    split = split_sessions(log, 0.2, seed=0)
    case = split.test.take(slice(1))
    cell = make_cells(lambda cell: 0.5).iloc[0].copy()
    cell["top"], cell["above"] = np.full(len(split.test), 3), np.full(len(split.test), 4)
    answer = first_answer(cell, split, 2)
    assert answer.prefix == log.vocabulary[case.prefixes(2).items].tolist() and answer.place == 5
    assert (answer.said, answer.target) == (log.vocabulary[3], log.vocabulary[case.targets[0]])


def test_the_numbers_of_a_split_are_rows_of_its_table():
    found = predictability(split_sessions(generate(Synthetic(sessions=200, items=12), seed=0).sessions, 0.2, seed=0))
    table = found.table().set_index("measure")["value"]
    for field, number in vars(found).items():
        (key,) = dict(source_of(number).row).values()
        assert table[key] in (f"{number:,}", f"{number:.1%}"), field


def test_the_other_way_of_building_that_changes_most():
    columns = ["built", "cells", "collapsed", "accuracy", "difference", "low", "high"]
    rows = [
        ("first", 9, 0, 0.5, None, None, None),
        ("padded", 9, 0, 0.47, -0.03, -0.04, -0.02),
        ("other", 9, 0, 0.51, 0.01, 0.0, 0.02),
    ]
    (found,) = largest_change(pd.DataFrame(rows, columns=columns).astype({"difference": float}))
    assert (found.built, found.others, found.changed) == ("padded", 2, "-3.00 [-4.00, -2.00] points")
    assert largest_change(pd.DataFrame(rows[:1], columns=columns).astype({"difference": float})) == []
