"""The decisions: what is quoted is computed, and what is not measured says so."""

import numpy as np
import pandas as pd
import pytest

from studylib.papers.decisions import COLUMNS, NOT_MEASURED, decisions
from studylib.params.files import study_params
from tests.papers.test_toledo_rezende import make_cells

FLOORS = pd.DataFrame({"accuracy": [0.1, 0.35]}, index=["popularity", "markov"])
MEASURED = pd.DataFrame(columns=["dataset", "model", "protocol", "metric", "mean"])


def make_trained(accuracy, **levels):
    cells = make_cells(accuracy, **levels)
    cells["accuracy"] = [accuracy(cell) for _, cell in cells.iterrows()]
    cells["validation_accuracy"] = 1 - cells["accuracy"]
    for name, factor in {"recall": 0.01, "micro_recall": 0.1, "precision": 0.02, "micro_precision": -0.2}.items():
        cells[name] = 0.5 + factor * cells["accuracy"]
    return cells


def decided(cells, other=None, measured=MEASURED, ablation=None, **sections):
    table = decisions(study_params(sections), cells, other, FLOORS, measured, ablation)
    assert list(table.columns) == COLUMNS and not table.isna().any().any() and (table != "").all().all()
    assert table["decision"].is_unique
    return {row["decision"].split(": ")[1]: row for _, row in table[table["decision"].str.startswith("Toledo")].iterrows()} | {
        row["decision"]: row for _, row in table.iterrows()
    }  # fmt: skip


def by_optimizer(**means):
    return make_trained(lambda cell: means[cell["optimizer"]], optimizer=list(means), epochs=[5])


def test_the_other_settings_of_the_optimizers_are_compared_on_the_same_cells():
    cells = pd.concat([by_optimizer(adam=0.4, sgd=0.2), make_trained(lambda cell: 0.9, epochs=[20])], ignore_index=True)
    other = by_optimizer(adam=0.1, sgd=0.3)
    words = decided(cells, other)["defaults of the optimizers"]["the other choice"]
    assert words == "mean accuracy of 12 cells: adam 0.400 → 0.100; sgd 0.200 → 0.300; the best optimizer becomes sgd"
    same = decided(cells, by_optimizer(adam=0.4, sgd=0.3))["defaults of the optimizers"]["the other choice"]
    assert same.endswith("the best optimizer stays adam")
    assert decided(cells)["defaults of the optimizers"]["the other choice"].startswith(NOT_MEASURED)


def test_both_orders_of_the_hybrid():
    def accuracy(cell):
        return {"hybrid": 0.25, "hybrid-gru-lstm": 0.5}.get(cell["architecture"], 0.1)

    both = make_trained(accuracy, architecture=["hybrid", "hybrid-gru-lstm"])
    assert decided(both)["order of the hybrid's layers"]["the other choice"] == "mean accuracy 0.500 in place of 0.250"
    one = decided(make_trained(accuracy))["order of the hybrid's layers"]["the other choice"]
    assert one.startswith(NOT_MEASURED)


def test_ties_choice_floor_and_averages_are_computed():
    cells = make_trained(lambda cell: 0.4 if cell["architecture"] == "gru" else 0.2)
    cells.loc[0, "status"] = "stuck"
    cells.at[0, "tied"] = np.ones(200, int).tolist()  # a fifth of its cases are right by half
    found = {name: row["the other choice"] for name, row in decided(cells).items()}
    assert found["ties between outputs"] == (
        f"counted as better than the true page: mean accuracy {(8 * 0.4 + 15 * 0.2) / 24:.4f} in place of "
        f"{(8 * 0.4 + 16 * 0.2) / 24:.4f}; the true page is tied in {1 / 24:.1%} of the cases"
    )
    assert found["what to choose the best cell on"] == (
        "chosen on the test cases the best cell has 40.0% accuracy, on validation 20.0%"
    )
    assert "1 of 24 networks are stuck, 0 of them with tanh" in found["Toledo & Rezende: loss"]
    assert "of 24 networks 8 are above the better of them, markov" in decided(cells)["a model to compare with"]["here"]
    assert "recall lstm 0.5020 → 0.520; gru 0.5040 → 0.540" in found["precision, recall and F1"]
    assert "(another order)" in found["precision, recall and F1"], "of precision"


def test_what_the_ranking_measured():
    steps = [
        {"label": "printed", "loss": "algorithm-1"},
        {"label": "BPR", "loss": "bpr"},
        {"label": "rows", "hidden": 8},
    ]
    ranking = {"models": ["popularity", "gru4rec"], "ablation": {"datasets": ["synthetic"], "steps": steps}}
    means = {"popularity": (0.3, 0.25), "gru4rec": (0.4, 0.2)}
    after = {"printed": 0.1, "BPR": 0.25, "rows": 0.4}
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
        "in the ablation, NDCG@10 among 99 negatives on synthetic: algorithm-1 0.100 → bpr 0.250"
    )
    assert found["Shrimal & Patil: mini-batches"] == NOT_MEASURED
    assert found["Shrimal & Patil: what the true item is ranked among"] == (
        "shop: NDCG@10 of the best 0.400 → 0.250, gru4rec is best among the 99, popularity in the whole catalogue"
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
        (measured, "grocery: best in the whole catalogue is markov, after one date gru4rec"),
        (measured[measured["dataset"] == "grocery"], NOT_MEASURED),
    ):
        found = decided(make_trained(lambda cell: 0.2), measured=some, ranking={"datasets": ["grocery", later]})
        assert found["Shrimal & Patil: which visits are the test cases"]["the other choice"] == words


@pytest.mark.parametrize(("visited", "words"), [(True, "left out of the lists"), (False, "stay in the lists")])
def test_what_is_chosen_is_read_from_the_parameters(visited, words):
    found = decided(make_trained(lambda cell: 0.2), ranking={"exclude_visited": visited, "history": 7})
    assert found["Shrimal & Patil: items already visited"]["here"] == words
    assert found["Shrimal & Patil: history"]["here"] == "the last 7 items"


def test_what_this_study_does_is_what_its_parameters_say():
    cells = make_trained(lambda cell: 0.2, architecture=["lstm", "gru"], optimizer=["adam", "sgd"], epochs=[5])
    models = ["markov", "gru4rec", {"model": "gru4rec", "label": "b", "loss": "bpr", "batches": "prefixes"}]
    own = {"reader": "sequences", "path": "visits.csv"}
    found = decided(cells, ranking={"models": models, "candidates": 20}, data=own)
    each = len(cells) // 2 // cells["seed"].nunique()
    assert found["number of networks"]["here"] == f"{each} of each architecture (2), {2 * each} in all for each seed"
    assert found["sample of the log"]["here"] == "another log or sample: visits.csv"
    paper = decided(cells, data={"dataset": "live-streaming", "max_sessions": 4117})
    assert paper["sample of the log"]["here"].startswith("the first lines of the public part")
    here = {name.removeprefix("Shrimal & Patil: "): row["here"] for name, row in found.items()}
    assert here["mini-batches"] == "whole sequences, every position in one pass, prefixes"
    assert here["what the true item is ranked among"].startswith("20 random items")
    assert found["Shrimal & Patil: loss"]["here"].startswith("cross-entropy, bpr; ")
    assert decided(cells, ranking={"models": ["markov"]})["Shrimal & Patil: mini-batches"]["here"] == "no GRU4Rec"
