"""Where the papers are silent or contradict themselves: what this study does, and what the other choice changes.

The decisions are those of ``decisions.yaml``. What the other choice changes is computed from the results that a study keeps, by
the function that an entry names; where they do not hold it, the table says so.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import yaml

from studylib.papers.results import Results
from studylib.papers.shrimal_patil import PROTOCOL
from studylib.tables.grid import select_settings
from studylib.tables.ranking import split_in_time

NOT_MEASURED = "not measured"

COLUMNS = ["decision", "the paper", "here", "the other choice"]


def decisions(results: Results) -> pd.DataFrame:
    """The decisions on both papers: `COLUMNS`, the papers' names before each decision."""
    values = here(results)
    rows = [
        (
            f"{entry['paper']}: {entry['decision']}",
            entry["the_paper"],
            entry["here"].format(**values),
            MEASURES[entry["measured"]](results),
        )
        for entry in entries()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def entries() -> list[dict[str, Any]]:
    """The entries of ``decisions.yaml``: ``paper, decision, the_paper, here, measured``."""
    return yaml.safe_load((files("studylib.papers") / "decisions.yaml").read_text(encoding="utf-8"))


POSITIVES = {"next": "the next item", "current": "the current item"}
BATCHES = {
    "sequences": "whole sequences, every position in one pass",
    "prefixes": "prefixes",
    "session-parallel": "session-parallel",
}
VISITED_ITEMS = {
    True: "left out of the lists",
    False: "stay in the lists",
    None: "left out where no training session visits an item twice",
}


def here(results: Results) -> dict[str, object]:
    """The values of the study that the entries name in braces."""
    data, ranking, grid = results.params.data, results.params.ranking, results.params.grid
    return {
        "cells_per_architecture": results.cells.groupby(["architecture", "seed"]).size().max(),
        "architectures": results.cells["architecture"].nunique(),
        "optimizer_settings": grid.optimizer_settings,
        "sessions": f"the first {data.max_sessions:,} sessions" if data.max_sessions else "all sessions",
        "log": data.dataset or data.path,
        "positives": _of_gru4rec(results, "positive", POSITIVES),
        "losses": _of_gru4rec(results, "loss"),
        "batches": _of_gru4rec(results, "batches", BATCHES),
        "candidates": ranking.candidates,
        "visited_items": VISITED_ITEMS[ranking.exclude_visited],
        "history": ranking.history,
    }


def _of_gru4rec(results: Results, setting: str, words: dict[str, str] | None = None) -> str:
    """What the study's GRU4Recs have, in the order of its models."""
    models = [model for model in results.params.ranking.models if model.model == "gru4rec"]
    values = dict.fromkeys(getattr(model, setting) for model in models)
    return ", ".join(words[value] if words else value for value in values) or "no GRU4Rec"


def not_measured(results: Results) -> str:
    return NOT_MEASURED


def exact(results: Results) -> str:
    return "nothing: the results are the same"


def time_and_memory(results: Results) -> str:
    return "nothing but time and memory: the weights are the same"


def among_the_claims(results: Results) -> str:
    return "both statements are rows of the table of claims"


def hybrid_order(results: Results) -> str:
    means = results.cells.groupby("architecture")["accuracy"].mean()
    if not {"hybrid", "hybrid-gru-lstm"} <= set(means.index):
        return f"{NOT_MEASURED} (architectures: [hybrid, hybrid-gru-lstm] measures it)"
    return f"mean accuracy {means['hybrid']:.3f} → {means['hybrid-gru-lstm']:.3f}"


def without_gradient(results: Results) -> str:
    stuck = results.cells[results.cells["status"] == "stuck"]
    with_tanh = (stuck["activation"] == "tanh").sum()
    return f"{NOT_MEASURED}; networks that are stuck: {len(stuck)} of {len(results.cells)}, with tanh: {with_tanh}"


def optimizer_settings(results: Results) -> str:
    if results.other_settings.empty:
        return f"{NOT_MEASURED} (grid: {{compare_settings: true}} measures it)"
    settings = ["architecture", "activation", "optimizer", "batch_size", "epochs", "seed"]
    same_cells = results.cells.merge(results.other_settings[settings], on=settings)
    ours = same_cells.groupby("optimizer")["accuracy"].mean()
    theirs = results.other_settings.groupby("optimizer")["accuracy"].mean()
    changes = "; ".join(f"{name} {ours[name]:.3f} → {theirs[name]:.3f}" for name in ours.index if name in theirs)
    return f"mean accuracy of {len(same_cells)} cells: {changes}; best optimizer {ours.idxmax()} → {theirs.idxmax()}"


def micro_average(results: Results) -> str:
    measures = ["recall", "micro_recall", "precision", "micro_precision"]
    means = results.cells.groupby("architecture", sort=False)[measures].mean()
    texts = []
    for name in ("recall", "precision"):
        values = "; ".join(f"{a} {row[name]:.4f} → {row[f'micro_{name}']:.3f}" for a, row in means.iterrows())
        order = " → ".join(", ".join(means[measure].sort_values().index[::-1]) for measure in (name, f"micro_{name}"))
        texts.append(f"mean {name} {values}, from the highest: {order}")
    return f"outputs above one half, micro average: {'. '.join(texts)}"


def conservative_ties(results: Results) -> str:
    ranks = [(np.asarray(above), np.asarray(tied)) for above, tied in results.cells[["above", "tied"]].to_numpy()]
    strict = np.mean([np.mean((above == 0) & (tied == 0)) for above, tied in ranks])
    share_tied = np.mean([np.mean(tied > 0) for _, tied in ranks])
    return (
        f"counted as better than the true item: mean accuracy {results.cells['accuracy'].mean():.4f} → {strict:.4f}; the true "
        f"item is tied in {share_tied:.1%} of the cases"
    )


def selection_on_test(results: Results) -> str:
    accuracy = select_settings(results.cells)["accuracy"]
    return f"test accuracy of the best settings {accuracy[0]:.1%} → {accuracy.max():.1%}"


def above_baselines(results: Results) -> str:
    accuracy = results.baselines["accuracy"]
    above = (results.cells["accuracy"] > accuracy.max()).sum()
    best = f"{accuracy.idxmax()}, the most accurate of {len(accuracy)}"
    return f"networks that are more accurate than {best}: {above} of {len(results.cells)}"


def built_another_way(results: Results) -> str:
    if not results.params.grid.variants:
        return f"{NOT_MEASURED} (grid: {{variants: …}} measures it)"
    return "in the section on networks built another way"


def positive_step(results: Results) -> str:
    return _step(results, "positive")


def loss_step(results: Results) -> str:
    return _step(results, "loss")


def batches_step(results: Results) -> str:
    return _step(results, "batches")


def _step(results: Results, setting: str) -> str:
    """What the steps of the ablation that change a setting do to NDCG@10."""
    ablation = results.params.ranking.ablation
    if ablation is None or PROTOCOL not in set(results.ablation["protocol"]):
        return NOT_MEASURED
    sampled = results.ablation[results.ablation["protocol"] == PROTOCOL]
    means = sampled.groupby(["dataset", "model"])["ndcg@10"].mean()
    changes = [
        f"{dataset}: {getattr(before, setting)} {means[dataset, before.label]:.3f} → "
        f"{getattr(after, setting)} {means[dataset, after.label]:.3f}"
        for dataset in ablation.datasets
        for before, after in pairwise(ablation.steps)
        if getattr(before, setting) != getattr(after, setting)
    ]
    return f"in the ablation, NDCG@10 among 99 negatives on {'; '.join(changes)}" if changes else NOT_MEASURED


def whole_catalogue(results: Results) -> str:
    rows = results.measured[results.measured["metric"] == "ndcg@10"]
    changes = []
    for dataset, of_dataset in rows.groupby("dataset", sort=False):
        means = of_dataset.pivot(index="model", columns="protocol", values="mean")
        if {PROTOCOL, "full"} <= set(means):
            sampled, full = (f"{means[p].idxmax()} {means[p].max():.3f}" for p in (PROTOCOL, "full"))
            changes.append(f"{dataset}: {sampled} → {full}")
    return (
        f"the best model and its NDCG@10, among 99 → in the whole catalogue, on {'; '.join(changes)}"
        if changes
        else NOT_MEASURED
    )


def one_split_in_time(results: Results) -> str:
    rows = results.measured[(results.measured["metric"] == "ndcg@10") & (results.measured["protocol"] == "full")]
    best = {dataset: group.loc[group["mean"].idxmax(), "model"] for dataset, group in rows.groupby("dataset")}
    changes = [
        f"{dataset}: {best[dataset]} → {best[later]}"
        for dataset, later in split_in_time(results.params.ranking).items()
        if {dataset, later} <= set(best)
    ]
    return f"the best model, last events → after one date, on {'; '.join(changes)}" if changes else NOT_MEASURED


def history(results: Results) -> str:
    return exact(results) if results.params.ranking.history == 20 else NOT_MEASURED


MEASURES: dict[str | None, Callable[[Results], str]] = {
    None: not_measured,
    **{
        function.__name__: function
        for function in (
            exact, time_and_memory, among_the_claims, hybrid_order, without_gradient, optimizer_settings, micro_average,
            conservative_ties, selection_on_test, above_baselines, built_another_way, positive_step, loss_step, batches_step,
            whole_catalogue, one_split_in_time, history,
        )
    },
}  # fmt: skip
"""By the name in ``decisions.yaml``: what the other choice changes; an arrow leads from this study's choice to the other."""
