"""Where the papers are silent or contradict themselves: what this study chose, and what the other choice changes.

What the other choice changes is computed from the results that a study keeps, where they hold it. Where they do not, the table
says so.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from studylib.papers.shrimal_patil import PROTOCOL
from studylib.params.study import Ranking, StudyParams
from studylib.tables.ranking import split_in_time

NOT_MEASURED = "not measured"
EXACT = "nothing: the results are the same"

COLUMNS = ["decision", "the paper", "here", "the other choice"]


def decisions(
    params: StudyParams,
    cells: pd.DataFrame,
    other: pd.DataFrame | None,
    floors: pd.DataFrame,
    measured: pd.DataFrame,
    ablation: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The decisions on both papers.

    Args:
        cells: of `studylib.grid.run_grid`, without those that failed.
        other: cells with the other optimizer settings (`studylib.grid.other_settings`), where the study has them.
        floors: of `studylib.grid.baseline_measures`.
        measured: columns ``dataset, model, protocol, metric, mean`` (``intervals.csv``).
        ablation: columns ``dataset, model, protocol, ndcg@10`` (``ablation.csv``), where the study has one.

    Returns:
        `COLUMNS`, the papers' names before each decision.
    """
    toledo = [
        (
            "order of the hybrid's layers",
            "the text (section 2): LSTM, then GRU; Table 3: GRU, then LSTM",
            "the text's is hybrid, Table 3's is hybrid-gru-lstm",
            _hybrid_order(cells),
        ),
        (
            "number of networks",
            '"108 experiments" (section 2)',
            _networks(cells),
            EXACT,
        ),
        (
            "loss",
            "not named",
            "categorical cross-entropy of the activation's output, as Keras computes it: with tanh the outputs are divided by "
            "their sum and clipped, which can leave no gradient",
            f"{NOT_MEASURED}; {(cells['status'] == 'stuck').sum()} of {len(cells)} networks are stuck, "
            f"{((cells['status'] == 'stuck') & (cells['activation'] == 'tanh')).sum()} of them with tanh",
        ),
        (
            "defaults of the optimizers",
            "not stated; Keras 2 in its time",
            f"those of {params.grid.optimizer_settings}; Keras 2 and 3 differ in RMSprop and Adagrad",
            _optimizer_settings(params, cells, other),
        ),
        (
            "precision, recall and F1",
            "not defined",
            "macro average over the pages that occur as target or prediction",
            _micro_average(cells),
        ),
        (
            "ties between outputs",
            "not mentioned",
            "count at their mean position",
            _conservative_ties(cells),
        ),
        (
            "sample of the log",
            "1,806,204 sessions are described; Tables 1 to 3 show 4,862 pages and 40 steps; which sample is not said",
            "the first lines of the public part whose vocabulary has 4,862 pages; their sessions have six visits, so that they "
            "cannot be the ones with 40 steps"
            if (params.data.dataset, params.data.max_sessions) == ("live-streaming", 4117)
            else f"another log or sample: {params.data.dataset or params.data.path}",
            NOT_MEASURED,
        ),
        (
            "what to choose the best cell on",
            "80 % to train, 20 % to test (section 2), no validation",
            "a tenth of the 80 % is held out to choose on, and the test cases are scored once",
            _choice_on_test(cells),
        ),
        (
            "padding of short sessions",
            "not described",
            "padded steps are masked",
            NOT_MEASURED,
        ),
        (
            "one-hot vectors",
            "each visit is a vector as long as the catalogue",
            "the rows of the first kernel are gathered, and their gradients summed",
            "nothing but time and memory: the weights are the same (a test compares them)",
        ),
        (
            "20, 50 and 100 epochs",
            "networks of their own",
            "checkpoints of one training, in which the order of the batches depends on seed and epoch alone",
            EXACT,
        ),
        (
            "a model to compare with",
            "none",
            f"two models without training; of {len(cells)} networks {_above(cells, floors)} are above the better of them, "
            f"{floors['accuracy'].idxmax()}, in accuracy",
            "without them the best network looks good",
        ),
    ]
    shrimal = [
        (
            "the positive item of Algorithm 1",
            "line 11 scores the current item, which the network has just seen",
            "the next item",
            NOT_MEASURED,
        ),
        (
            "loss",
            "lines 17 and 18: negatives normalised within the softmax, no logarithm; N is not given",
            f"{_of_gru4rec(params.ranking, 'loss')}; loss: algorithm-1 is the printed one",
            _step(params.ranking, ablation, "loss"),
        ),
        (
            "mini-batches",
            "session-parallel (section 2.2); its framework trains on prefixes",
            _of_gru4rec(params.ranking, "batches", _BATCHES),
            _step(params.ranking, ablation, "batches"),
        ),
        (
            "what the true item is ranked among",
            "99 random items (section 4.1)",
            f"{params.ranking.candidates} random items, the same for all models, and the whole catalogue",
            _whole_catalogue(params.ranking, measured),
        ),
        (
            "which visits are the test cases",
            "the last of each user (section 4.1): a model has seen what others visited after it",
            "the same; a data set can be judged on what came after one date as well",
            _one_split_in_time(params.ranking, measured),
        ),
        (
            "items already visited",
            "not mentioned",
            {
                True: "left out of the lists",
                False: "stay in the lists",
                None: "left out where no training session visits an item twice",
            }[params.ranking.exclude_visited],
            NOT_MEASURED,
        ),
        (
            "history",
            "the last 20 items (section 4.1)",
            f"the last {params.ranking.history} items",
            EXACT if params.ranking.history == 20 else NOT_MEASURED,
        ),
        (
            "which version of each data set",
            "the sizes of Table 2 fit no public version",
            "the framework's own Grocery; other versions of MovieLens and Yelp are marked",
            NOT_MEASURED,
        ),
        (
            "the state of the art",
            "matched (abstract), surpassed (section 4.4); no other model is shown",
            "other models on the same cases, and the table of the paper's framework",
            "both statements are rows of the table of claims",
        ),
    ]
    rows = [("Toledo & Rezende: " + name, *rest) for name, *rest in toledo]
    rows += [("Shrimal & Patil: " + name, *rest) for name, *rest in shrimal]
    return pd.DataFrame(rows, columns=COLUMNS)


def _networks(cells: pd.DataFrame) -> str:
    of_each, architectures = cells.groupby(["architecture", "seed"]).size().max(), cells["architecture"].nunique()
    return f"{of_each} of each architecture ({architectures}), {of_each * architectures} in all for each seed"


_BATCHES = {
    "sequences": "whole sequences, every position in one pass",
    "prefixes": "prefixes",
    "session-parallel": "session-parallel",
}


def _of_gru4rec(ranking: Ranking, setting: str, words: dict[str, str] | None = None) -> str:
    """What the study's GRU4Recs have, in the order of its models."""
    values = dict.fromkeys(getattr(model, setting) for model in ranking.models if model.model == "gru4rec")
    return ", ".join(words[value] if words else value for value in values) or "no GRU4Rec"


def _hybrid_order(cells: pd.DataFrame) -> str:
    names = ["hybrid", "hybrid-gru-lstm"]
    if not set(names) <= set(cells["architecture"]):
        return f"{NOT_MEASURED} (architectures: [hybrid, hybrid-gru-lstm] measures it)"
    means = cells.groupby("architecture")["accuracy"].mean()
    return f"mean accuracy {means[names[1]]:.3f} in place of {means[names[0]]:.3f}"


def _optimizer_settings(params: StudyParams, cells: pd.DataFrame, other: pd.DataFrame | None) -> str:
    if other is None:
        return f"{NOT_MEASURED} (grid: {{compare_settings: true}} measures it)"
    settings = ["architecture", "activation", "optimizer", "batch_size", "epochs", "seed"]
    same = cells.merge(other[settings], on=settings)
    ours, theirs = (some.groupby("optimizer")["accuracy"].mean() for some in (same, other))
    changes = "; ".join(f"{name} {ours[name]:.3f} → {theirs[name]:.3f}" for name in ours.index if name in theirs)
    best = f"the best optimizer {'stays' if ours.idxmax() == theirs.idxmax() else 'becomes'} {theirs.idxmax()}"
    return f"mean accuracy of {len(same)} cells: {changes}; {best}"


def _micro_average(cells: pd.DataFrame) -> str:
    means = cells.groupby("architecture", sort=False)[["recall", "micro_recall", "precision", "micro_precision"]].mean()
    words = []
    for name in ("recall", "precision"):
        values = "; ".join(f"{a} {r[name]:.4f} → {r[f'micro_{name}']:.3f}" for a, r in means.iterrows())
        same = list(means[name].sort_values().index) == list(means[f"micro_{name}"].sort_values().index)
        words.append(f"mean {name} {values} ({'the same order' if same else 'another order'})")
    return f"outputs above one half, micro average: {', '.join(words)}"


def _conservative_ties(cells: pd.DataFrame) -> str:
    tied = np.mean([np.mean(np.asarray(cell) > 0) for cell in cells["tied"]])
    strict = [
        np.mean((np.asarray(cell["above"]) == 0) & (np.asarray(cell["tied"]) == 0)) for _, cell in cells.iterrows()
    ]
    return (
        f"counted as better than the true page: mean accuracy {np.mean(strict):.4f} in place of {cells['accuracy'].mean():.4f}; "
        f"the true page is tied in {tied:.1%} of the cases"
    )


def _choice_on_test(cells: pd.DataFrame) -> str:
    on_validation = cells.loc[cells["validation_accuracy"].idxmax(), "accuracy"]
    return f"chosen on the test cases the best cell has {cells['accuracy'].max():.1%} accuracy, on validation {on_validation:.1%}"


def _above(cells: pd.DataFrame, floors: pd.DataFrame) -> int:
    return int((cells["accuracy"] > floors["accuracy"].max()).sum())


def _step(ranking: Ranking, ablation: pd.DataFrame | None, setting: str) -> str:
    """What the steps of the ablation that change a setting do to NDCG@10."""
    if ablation is None or ranking.ablation is None:
        return NOT_MEASURED
    means = ablation[ablation["protocol"] == PROTOCOL].groupby(["dataset", "model"])["ndcg@10"].mean()
    found = [
        f"{dataset}: {getattr(before, setting)} {means[dataset, before.label]:.3f} → "
        f"{getattr(after, setting)} {means[dataset, after.label]:.3f}"
        for dataset in ranking.ablation.datasets
        for before, after in pairwise(ranking.ablation.steps)
        if getattr(before, setting) != getattr(after, setting)
    ]
    return f"in the ablation, NDCG@10 among 99 negatives on {'; '.join(found)}" if found else NOT_MEASURED


def _whole_catalogue(ranking: Ranking, measured: pd.DataFrame) -> str:
    some = measured[(measured["metric"] == "ndcg@10") & measured["protocol"].isin([PROTOCOL, "full"])]
    words = []
    for dataset, own in some.groupby("dataset", sort=False):
        means = own.pivot(index="model", columns="protocol", values="mean")
        if set(means) != {PROTOCOL, "full"}:
            continue
        best = means.idxmax()
        first = f"{best['full']} is best by both" if best["full"] == best[PROTOCOL] else (
            f"{best[PROTOCOL]} is best among the 99, {best['full']} in the whole catalogue"
        )  # fmt: skip
        words.append(f"{dataset}: NDCG@10 of the best {means[PROTOCOL].max():.3f} → {means['full'].max():.3f}, {first}")
    return "; ".join(words) or NOT_MEASURED


def _one_split_in_time(ranking: Ranking, measured: pd.DataFrame) -> str:
    some = measured[(measured["metric"] == "ndcg@10") & (measured["protocol"] == "full")]
    best = {dataset: own.loc[own["mean"].idxmax(), "model"] for dataset, own in some.groupby("dataset")}
    words = [
        f"{dataset}: best in the whole catalogue is {best[dataset]}, after one date {best[later]}"
        for dataset, later in split_in_time(ranking).items()
        if {dataset, later} <= set(best)
    ]
    return "; ".join(words) or NOT_MEASURED
