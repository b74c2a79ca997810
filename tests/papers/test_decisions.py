"""The decisions: what is quoted is computed, and what is not measured says so."""

import numpy as np
import pandas as pd
import pytest

from studylib.papers.decisions import COLUMNS, MEASURES, NOT_MEASURED, decisions, entries, here
from studylib.papers.results import Results
from studylib.params.files import study_params
from tests.papers.test_toledo_rezende import make_cells

BASELINES = pd.DataFrame({"accuracy": [0.1, 0.35]}, index=["popularity", "markov"])
MEASURED = pd.DataFrame(columns=["dataset", "model", "protocol", "metric", "mean"])
ABLATION = pd.DataFrame(columns=["dataset", "model", "protocol", "ndcg@10"])


def make_trained(accuracy, **levels):
    cells = make_cells(accuracy, **levels)
    cells["accuracy"] = [accuracy(cell) for _, cell in cells.iterrows()]
    cells["validation_ndcg@10"], cells["parameters"] = 1 - cells["accuracy"], 1
    cells["validation_above"] = cells["validation_tied"] = [np.zeros(3, int)] * len(cells)
    for name, factor in {"recall": 0.01, "micro_recall": 0.1, "precision": 0.02, "micro_precision": -0.2}.items():
        cells[name] = 0.5 + factor * cells["accuracy"]
    return cells


def make_results(cells, other=None, measured=MEASURED, ablation=ABLATION, **sections):
    other = cells.iloc[:0] if other is None else other
    empty = pd.DataFrame()
    return Results(
        study_params(sections),
        cells,
        cells,
        other,
        BASELINES,
        {},
        measured,
        empty,
        empty,
        empty,
        ablation,
        empty,
    )


def decided(*arguments, **named):
    table = decisions(make_results(*arguments, **named))
    assert list(table.columns) == COLUMNS and not table.isna().any().any() and (table != "").all().all()
    assert table["decision"].is_unique
    return {row["decision"].split(": ")[1]: row for _, row in table[table["decision"].str.startswith("Toledo")].iterrows()} | {
        row["decision"]: row for _, row in table.iterrows()
    }  # fmt: skip


def test_the_entries_have_the_same_keys_and_name_functions_and_values_that_there_are():
    values = here(make_results(make_trained(lambda cell: 0.2)))
    for entry in entries():
        assert list(entry) == ["paper", "decision", "the_paper", "here", "measured"]
        assert entry["measured"] in MEASURES and entry["here"].format(**values)
    assert set(MEASURES) == {entry["measured"] for entry in entries()}
    assert all("{" + name + "}" in "".join(entry["here"] for entry in entries()) for name in values)


def by_optimizer(**means):
    return make_trained(lambda cell: means[cell["optimizer"]], optimizer=list(means), epochs=[5])


def test_the_other_settings_of_the_optimizers_are_compared_on_the_same_cells():
    cells = pd.concat([by_optimizer(adam=0.4, sgd=0.2), make_trained(lambda cell: 0.9, epochs=[20])], ignore_index=True)
    other = by_optimizer(adam=0.1, sgd=0.3)
    words = decided(cells, other)["defaults of the optimizers"]["the other choice"]
    assert words == "mean accuracy of 12 cells: adam 0.400 → 0.100; sgd 0.200 → 0.300; best optimizer adam → sgd"
    same = decided(cells, by_optimizer(adam=0.4, sgd=0.3))["defaults of the optimizers"]["the other choice"]
    assert same.endswith("best optimizer adam → adam")
    assert decided(cells)["defaults of the optimizers"]["the other choice"].startswith(NOT_MEASURED)


def test_both_orders_of_the_hybrid():
    def accuracy(cell):
        return {"hybrid": 0.25, "hybrid-gru-lstm": 0.5}.get(cell["architecture"], 0.1)

    both = make_trained(accuracy, architecture=["hybrid", "hybrid-gru-lstm"])
    assert decided(both)["order of the hybrid's layers"]["the other choice"] == "mean accuracy 0.250 → 0.500"
    one = decided(make_trained(accuracy))["order of the hybrid's layers"]["the other choice"]
    assert one.startswith(NOT_MEASURED)


def test_ties_selection_baselines_and_averages_are_computed():
    cells = make_trained(lambda cell: 0.4 if cell["architecture"] == "gru" else 0.2)
    cells.loc[0, "status"] = "stuck"
    cells.at[0, "tied"] = np.ones(200, int).tolist()  # a fifth of its cases are right by half
    found = {name: row["the other choice"] for name, row in decided(cells).items()}
    assert found["ties between outputs"] == (
        f"counted as better than the true item: mean accuracy {(8 * 0.4 + 16 * 0.2) / 24:.4f} → "
        f"{(8 * 0.4 + 15 * 0.2) / 24:.4f}; the true item is tied in {1 / 24:.1%} of the cases"
    )
    assert found["what the best cell is selected on"] == "test accuracy of the best settings 20.0% → 40.0%"
    assert found["Toledo & Rezende: loss"].endswith("networks that are stuck: 1 of 24, with tanh: 0")
    assert (
        found["a model to compare with"]
        == "networks that are more accurate than markov, the most accurate of 2: 8 of 24"
    )
    averages = found["precision, recall and F1"]
    assert "recall lstm 0.5020 → 0.520; gru 0.5040 → 0.540" in averages
    assert averages.endswith("from the highest: gru, hybrid, lstm → hybrid, lstm, gru")


def test_what_the_ranking_measured():
    steps = [
        {"label": "printed", "loss": "algorithm-1", "positive": "current"},
        {"label": "next", "positive": "next"},
        {"label": "BPR", "loss": "bpr"},
        {"label": "rows", "hidden": 8},
    ]
    ranking = {"models": ["popularity", "gru4rec"], "ablation": {"datasets": ["synthetic"], "steps": steps}}
    means = {"popularity": (0.3, 0.25), "gru4rec": (0.4, 0.2)}
    after = {"printed": 0.1, "next": 0.2, "BPR": 0.25, "rows": 0.4}
    ablation = pd.DataFrame(
        [("synthetic", label, "sampled-99", mean + by) for label, mean in after.items() for by in (-0.05, 0.05)],
        columns=["dataset", "model", "protocol", "ndcg@10"],
    )
    measured = pd.DataFrame(
        [
            ("shop", model, protocol, "ndcg@10", mean)
            for model, both in means.items()
            for protocol, mean in zip(("sampled-99", "full"), both, strict=True)
        ],
        columns=MEASURED.columns,
    )
    cells = make_trained(lambda cell: 0.2)
    found = {
        name: row["the other choice"] for name, row in decided(cells, None, measured, ablation, ranking=ranking).items()
    }
    assert found["Shrimal & Patil: loss"] == (
        "in the ablation, NDCG@10 among 99 negatives on synthetic: algorithm-1 0.200 → bpr 0.250"
    )
    assert found["Shrimal & Patil: the positive item of Algorithm 1"] == (
        "in the ablation, NDCG@10 among 99 negatives on synthetic: current 0.100 → next 0.200"
    )
    assert found["Shrimal & Patil: mini-batches"] == NOT_MEASURED
    assert found["Shrimal & Patil: what the true item is ranked among"] == (
        "the best model and its NDCG@10, among 99 → in the whole catalogue, on shop: gru4rec 0.400 → popularity 0.250"
    )
    nothing = {name: row["the other choice"] for name, row in decided(cells).items()}
    for name in ("loss", "mini-batches", "what the true item is ranked among"):
        assert nothing[f"Shrimal & Patil: {name}"] == NOT_MEASURED


def test_what_is_best_after_one_date_is_read_from_the_results():
    later = {"dataset": "grocery", "name": "later", "split": "temporal"}
    rows = [
        ("grocery", "markov", 0.3),
        ("grocery", "gru4rec", 0.2),
        ("later", "markov", 0.1),
        ("later", "gru4rec", 0.2),
    ]
    measured = pd.DataFrame(
        [(dataset, model, "full", "ndcg@10", mean) for dataset, model, mean in rows], columns=MEASURED.columns
    )
    for some, words in (
        (measured, "the best model, last events → after one date, on grocery: markov → gru4rec"),
        (measured[measured["dataset"] == "grocery"], NOT_MEASURED),
    ):
        found = decided(make_trained(lambda cell: 0.2), measured=some, ranking={"datasets": ["grocery", later]})
        assert found["Shrimal & Patil: which events are the test cases"]["the other choice"] == words


@pytest.mark.parametrize(("visited", "words"), [(True, "left out of the lists"), (False, "stay in the lists")])
def test_what_is_chosen_is_read_from_the_parameters(visited, words):
    found = decided(make_trained(lambda cell: 0.2), ranking={"exclude_visited": visited, "history": 7})
    assert found["Shrimal & Patil: items already visited"]["here"] == words
    assert found["Shrimal & Patil: history"]["here"] == "the last 7 items"


def test_what_this_study_does_is_what_its_parameters_say():
    cells = make_trained(lambda cell: 0.2, architecture=["lstm", "gru"], optimizer=["adam", "sgd"], epochs=[5])
    models = ["markov", "gru4rec", {"model": "gru4rec", "label": "b", "loss": "bpr", "batches": "prefixes"}]
    log = {"reader": "sequences", "path": "visits.csv"}
    found = decided(cells, ranking={"models": models, "candidates": 20}, data=log)
    each = len(cells) // 2 // cells["seed"].nunique()
    assert found["number of networks"]["here"] == f"{each} of each architecture (2) for each seed"
    assert found["sample of the log"]["here"].startswith("all sessions of visits.csv; ")
    paper = decided(cells, data={"dataset": "live-streaming", "max_sessions": 4117})
    assert paper["sample of the log"]["here"].startswith("the first 4,117 sessions of live-streaming; ")
    of_ranking = {name.removeprefix("Shrimal & Patil: "): row["here"] for name, row in found.items()}
    assert of_ranking["mini-batches"] == "whole sequences, every position in one pass, prefixes"
    assert of_ranking["the positive item of Algorithm 1"] == "the next item"
    assert of_ranking["what the true item is ranked among"].startswith("20 random items")
    assert found["Shrimal & Patil: loss"]["here"].startswith("cross-entropy, bpr; ")
    assert decided(cells, ranking={"models": ["markov"]})["Shrimal & Patil: mini-batches"]["here"] == "no GRU4Rec"
