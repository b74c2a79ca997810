"""What the cells of a grid say, case by case: how they ended, which settings are selected, and how the best compare.

All cells of a split are judged on the same test cases, so that every comparison is paired by case. Two models are
*equivalent* where two one-sided tests show that their difference is within a stated margin, which is more than that no
difference is significant.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from studylib.errors import StudyError, nearest
from studylib.evaluation import statistics
from studylib.evaluation.classification import case_shares
from studylib.evaluation.ranking import Ranks
from studylib.evaluation.statistics import bootstrap_seeds, detectable_difference, holm, least_two_sided_p, two_sided_p
from studylib.grid import CLASS_METRICS, COLUMNS, KEYS, LATER_ARRAYS, RANKING_METRICS, SECOND
from studylib.kept import FAILED, TOLERANCE
from studylib.tables.formats import count, interval, p_value
from studylib.tables.names import written

MARGIN = 0.01
"""Differences of accuracy below one point are of no interest: about one standard error of an accuracy near 10 % on the
824 test cases of the study, and an eighth of what the most popular item alone reaches there."""

FACTORS = ["architecture", "activation", "optimizer", "batch_size", "epochs"]

DIFFERENCES = ["higher", "lower", "difference", "low", "high", "p", "least_p", "equivalent", "detectable"]
"""The columns of a table of differences: the higher mean first; the 95 % interval; ``p`` corrected for the number of pairs
(Holm); ``equivalent`` where the interval is within the margin; the smallest difference that the cases would show with a
probability of 80 %."""


COLLAPSED = "collapsed"
"""The status of a cell whose network puts one item first in all test cases (`studylib.grid.status_of`)."""


def trained_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells that have a network to judge.

    Raises:
        StudyError: every cell failed; the message has the first reason.
    """
    trained = cells[cells["status"] != FAILED]
    if trained.empty:
        raise StudyError(f"Every cell failed; the first because of: {cells['reason'].iloc[0]}")
    return trained


def with_and_without_collapsed(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """``all cells`` and, where only a part of them collapsed, those ``without collapsed cells``: means are given over each."""
    rest = cells[cells["status"] != COLLAPSED]
    parts = {"all cells": cells, "without collapsed cells": rest}
    return {name: part for name, part in parts.items() if name == "all cells" or 0 < len(rest) < len(cells)}


def troubled_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells that did not end ``ok``: `KEYS`, ``status`` and ``reason``."""
    return cells.loc[cells["status"] != "ok", [*KEYS, "status", "reason"]]


def count_statuses(cells: pd.DataFrame) -> pd.DataFrame:
    """How many cells of each optimizer and activation did not end ``ok``, the most first.

    Returns:
        Columns ``status, optimizer, activation, cells``, and ``of``: how many cells have the optimizer and the activation.
    """
    by = ["optimizer", "activation"]
    sizes = cells.groupby(by, sort=False).size().rename("of").reset_index()
    counts = cells[cells["status"] != "ok"].groupby(["status", *by], sort=False).size().rename("cells").reset_index()
    table = counts.merge(sizes, on=by).sort_values("cells", ascending=False, kind="stable", ignore_index=True)
    return table[["status", *by, "cells", "of"]]


def count_test_cases(cells: pd.DataFrame) -> int:
    """How many test cases the cells are judged on, over all splits."""
    return sum(len(part["above"].iloc[0]) for _, part in cells.groupby("split"))


def case_hits(cell: pd.Series | dict) -> np.ndarray:
    """float64 (n_cases,): whether each test case of a cell is predicted, from its kept ranks; a share where items tie."""
    above, tied = np.asarray(cell["above"]), np.asarray(cell["tied"])
    hits = (above == 0).astype(float)
    shared = np.flatnonzero((above == 0) & (tied > 0))
    hits[shared] /= tied[shared] + 1.0
    return hits


def by_case(cell: pd.Series | dict, targets: np.ndarray) -> dict[str, np.ndarray]:
    """By measure, of accuracy, precision, recall and F1: float64 (n_cases,), what each test case adds to that of a cell.

    ``cell``: its test cases, or the later ones (`on_later`); ``targets``: the items that truly came next in them.
    """
    if "guesses" in cell:
        right, guesses = np.unpackbits(cell["right"], count=len(targets)), cell["guesses"]
    else:
        right, guesses = cell["top"] == targets, np.column_stack(np.unique(cell["top"], return_counts=True))
    return {"accuracy": case_hits(cell), **case_shares(targets, right, guesses)}


def on_later(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells, or baselines, judged on the later cases (`studylib.grid.later_cases`) in place of the test cases.

    The same columns, so that every table and figure can be of either; all cells share the split `ON_LATER`. As they are where no
    later cases are kept.
    """
    if "later_above" not in cells:
        return cells
    measures = {name: cells[f"later_{name}"] for name in [*CLASS_METRICS, *RANKING_METRICS]}
    arrays = {name: cells[f"later_{name}"] for name in LATER_ARRAYS}
    omitted = [name for name in cells if name.startswith("later_")] + ["top", *SECOND, "again"]
    return cells.drop(columns=omitted, errors="ignore").assign(**measures, **arrays, split=ON_LATER)


ON_LATER = "later"
"""The name of the split of the later cases."""


def both_test_sets(best: dict[str, pd.DataFrame], baselines: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the selected cells and of the baselines on the test cases and on the later cases, each with its interval.

    Args:
        best: of `best_cells`.
        baselines: of `studylib.grid.baselines`, with later cases.
    """
    contenders = best | dict(list(baselines.groupby("architecture", sort=False)))
    sides = {
        "accuracy on the test cases": measure_contenders(contenders),
        "accuracy on the later cases": measure_contenders({name: on_later(rows) for name, rows in contenders.items()}),
    }
    texts = {
        side: [interval(*row) for row in measured[["accuracy", "low", "high"]].to_numpy()]
        for side, measured in sides.items()
    }
    return pd.DataFrame({"model": list(contenders), **texts})


SELECTED_BY = "validation_ndcg@10"
"""Settings are selected by NDCG@10 on the validation cases: unlike accuracy it hardly ever ties, and unlike the cross-entropy it
means the same whatever the activation."""

SETTINGS = [key for key in KEYS if key != "seed"]
"""What is selected: a cell but for its seed."""


def setting_name(cell: pd.Series) -> str:
    """A setting in words: ``GRU, softmax, RMSprop, batch size 64, 100 epochs``."""
    layers = ", ".join(written(cell[factor]) for factor in ("architecture", "activation", "optimizer"))
    return f"{layers}, batch size {cell['batch_size']}, {count(cell['epochs'], 'epoch')}"


def second_table(cells: pd.DataFrame) -> pd.DataFrame:
    """What came of the second trainings, by activation and optimizer; of the cells that have one.

    Returns:
        Columns ``activation, optimizer, cells``, ``come out again`` (every measure within `TOLERANCE`), ``accuracy`` and
        ``accuracy again`` (means over these cells), and ``largest difference`` (of accuracy, of a cell).
    """
    twice = cells[cells["difference_again"].notna()]
    off = (twice["accuracy_again"] - twice["accuracy"]).abs()
    twice = twice.assign(same=twice["difference_again"] <= TOLERANCE, off=off)
    by = twice.groupby(["activation", "optimizer"], sort=False)
    table = by.agg(
        cells=("seed", "size"), same=("same", "sum"), accuracy=("accuracy", "mean"), again=("accuracy_again", "mean"),
        off=("off", "max"),
    )  # fmt: skip
    names = {"same": "come out again", "again": "accuracy again", "off": "largest difference"}
    return table.rename(columns=names).reset_index()


def second_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The second trainings as cells of their own, for `select_settings` and the like."""
    return pd.DataFrame([{**again.facts, **again.arrays} for again in cells["again"] if again is not None])


def pick_cell(cells: pd.DataFrame, wanted: dict) -> pd.Series:
    """The cell with the values of `KEYS` that are ``wanted``; of several the first in the order of `select_settings`.

    Raises:
        StudyError: there is no such cell; the message says what there is.
    """
    matching = cells[cells["status"] != FAILED]
    for key, value in wanted.items():
        if key not in KEYS:
            raise StudyError(f"A cell has no {key!r}{nearest(str(key), KEYS)}")
        levels = list(dict.fromkeys(cells[key]))
        if value not in levels:
            raise StudyError(f"The grid has no cell with {key} {value!r}; it has: {', '.join(map(str, levels))}.")
        matching = matching[matching[key] == value]
    if matching.empty:
        reason = cells.loc[(cells[list(wanted)] == pd.Series(wanted)).all(axis=1), "reason"].iloc[0]
        raise StudyError(f"No network of {wanted} was trained: {reason}. See the table of cells that failed.")
    return _best_first(matching, SELECTED_BY).iloc[0]


def _best_first(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The highest ``measure`` first; of those that tie the smaller network, then the shorter training."""
    return rows.sort_values([measure, "parameters", "epochs"], ascending=[False, True, True], kind="stable")


def select_settings(cells: pd.DataFrame) -> pd.DataFrame:
    """All settings that finished with every seed, the best on validation first.

    Means over the seeds; settings that tie on validation come with the smaller network, then the shorter training first.

    Returns:
        Columns `SETTINGS`, ``validation`` (the mean of `SELECTED_BY`), ``accuracy`` (of the test cases, on which nothing is
        selected), ``parameters``, and ``within_one_error``: whether ``validation`` is within one standard error of the best,
        over the validation cases of all seeds (the rule of Breiman et al. 1984, section 3.4.3).

    Raises:
        StudyError: no setting finished with every seed.
    """
    trained = cells[cells["status"] != FAILED]
    means = trained.groupby(SETTINGS, sort=False).agg(
        validation=(SELECTED_BY, "mean"), accuracy=("accuracy", "mean"), parameters=("parameters", "mean"),
        seeds=("seed", "count"),
    )  # fmt: skip
    means = means[means["seeds"] == cells["seed"].nunique()].drop(columns="seeds").reset_index()
    if means.empty:
        raise StudyError("No setting finished with every seed; the table of cells that failed gives the reasons.")
    means = _best_first(means, "validation").reset_index(drop=True)
    return means.assign(
        within_one_error=means["validation"] >= means["validation"][0] - validation_error(cells, means.loc[0])
    )


def validation_error(cells: pd.DataFrame, setting: pd.Series) -> float:
    """The standard error of a setting's NDCG@10 over the validation cases of all seeds; 0 for a single case."""
    gains = np.concatenate([validation_gains(cell) for _, cell in cells_of(cells, setting).iterrows()])
    return float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0


def cells_of(cells: pd.DataFrame, setting: pd.Series) -> pd.DataFrame:
    """The cells of a setting that finished, one row a seed."""
    trained = cells[cells["status"] != FAILED]
    return trained[(trained[SETTINGS] == setting[SETTINGS]).all(axis=1)].reset_index(drop=True)


def validation_gains(cell: pd.Series) -> np.ndarray:
    """float64 (n_validation_cases,): NDCG@10 of each validation case of a cell, from its kept ranks."""
    above, tied = cell["validation_above"], cell["validation_tied"]
    return Ranks(above, tied, np.empty((0, 0)), int((above + tied).max(initial=0)) + 1).metric("ndcg@10")


def best_cells(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The cells of the best settings of each architecture (`select_settings`), one row a seed, the best architecture first."""
    best = select_settings(cells).drop_duplicates("architecture")
    return {setting["architecture"]: cells_of(cells, setting) for _, setting in best.iterrows()}


def measure_contenders(contenders: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every measure of each contender (rows of cells or of `studylib.grid.baselines`, one a seed): the mean over its seeds.

    Returns:
        Columns ``architecture`` (the contender's name), the measures, and ``low, high``: the 95 % interval of the accuracy
        over seeds and test cases (with one seed: over test cases alone).
    """
    rows = []
    for name, seeds in contenders.items():
        hits = _hits(seeds)
        low, high = statistics.interval(bootstrap_seeds([h[:, None] for h in hits], shared=_share_cases(seeds)))
        means = seeds[[*CLASS_METRICS, *RANKING_METRICS]].mean()
        rows.append({"architecture": name, **means, "low": low[0], "high": high[0]})
    return pd.DataFrame(rows)


def contenders_table(best: dict[str, pd.DataFrame], measured: pd.DataFrame) -> pd.DataFrame:
    """`measure_contenders` to be read: the settings of the best cells and their measures, the accuracy with its interval."""
    settings = pd.concat([seeds.head(1)[SETTINGS] for seeds in best.values()])
    table = settings.merge(measured, on="architecture", how="right").astype({"batch_size": "Int64", "epochs": "Int64"})
    table["accuracy"] = [interval(*numbers) for numbers in measured[["accuracy", "low", "high"]].to_numpy()]
    return table[[*SETTINGS, "accuracy", "precision", "recall", "f1", "hr@10", "ndcg@10", "mrr"]]


def differences_of(
    contenders: dict[str, pd.DataFrame], pairs: list[tuple[str, str]], margin: float = MARGIN
) -> pd.DataFrame:
    """Accuracy of each two contenders, paired by seed and case; seeds and the cases of each are drawn again.

    Returns:
        `DIFFERENCES`; with several seeds ``detectable`` is for the cases of all of them, and leaves out what differs
        between seeds.
    """
    rows = []
    for first, second in pairs:
        difference = [a - b for a, b in zip(_hits(contenders[first]), _hits(contenders[second]), strict=True)]
        if np.mean([d.mean() for d in difference]) < 0:
            first, second, difference = second, first, [-d for d in difference]
        shared = _share_cases(contenders[first])
        means = bootstrap_seeds([d[:, None] for d in difference], shared=shared)
        low, high = statistics.interval(means)
        cases = np.mean(difference, axis=0) if shared else np.concatenate(difference)
        rows.append(
            {
                "higher": first, "lower": second, "difference": np.mean([d.mean() for d in difference]),
                "low": low[0], "high": high[0], "p": two_sided_p(means[:, 0]),
                "least_p": least_two_sided_p(len(means)), "equivalent": bool(-margin < low[0] and high[0] < margin),
                "detectable": detectable_difference(cases),
            }
        )  # fmt: skip
    return correct(pd.DataFrame(rows, columns=DIFFERENCES))


def correct(differences: pd.DataFrame) -> pd.DataFrame:
    """The differences with ``p``, and the least that it can be, corrected for how many there are (Holm)."""
    least = (len(differences) * differences["least_p"]).clip(upper=1)
    return differences if differences.empty else differences.assign(p=holm(differences["p"].tolist()), least_p=least)


def differences_table(differences: pd.DataFrame) -> pd.DataFrame:
    """Differences of accuracy to be read: in points with their interval, and in words whether they are shown to be equivalent."""
    points = 100 * differences[["difference", "low", "high", "detectable"]]
    return differences.assign(
        difference=[interval(mean, low, high, digits=2) for mean, low, high, _ in points.to_numpy()],
        p=[p_value(p, least) for p, least in differences[["p", "least_p"]].to_numpy()],
        equivalent=differences["equivalent"].map({True: "yes", False: "not shown"}),
        detectable=[f"{points:.1f}" for points in points["detectable"]],
    ).drop(columns=["low", "high", "least_p"])


def detectable_table(pairs: pd.DataFrame, beside_baseline: pd.DataFrame, by_factor: pd.DataFrame) -> pd.DataFrame:
    """The differences of accuracy, in points, that so many test cases show with a probability of 80 %.

    Args:
        pairs, beside_baseline: of `differences_of`: each two best cells, and each and the baseline.
        by_factor: of `studylib.tables.factors.factor_differences`.

    Returns:
        Columns ``compared, smallest, largest``: a row for what there are pairs of.
    """
    groups = {"two selected cells": pairs, "a selected cell and the baseline": beside_baseline}
    groups |= {
        f"two levels of {factor.replace('_', ' ')}": part for factor, part in by_factor.groupby("factor", sort=False)
    }
    rows = [
        (name, 100 * part["detectable"].min(), 100 * part["detectable"].max())
        for name, part in groups.items()
        if len(part)
    ]
    return pd.DataFrame(rows, columns=["compared", "smallest", "largest"])


def _hits(seeds: pd.DataFrame) -> list[np.ndarray]:
    """The hits of each seed, in the order of the seeds."""
    return [case_hits(row) for _, row in seeds.sort_values("seed").iterrows()]


def _share_cases(seeds: pd.DataFrame) -> bool:
    """Whether all seeds are judged on one split (`data.split_seed`)."""
    return seeds["split"].nunique() == 1


def baseline_measures(baselines: pd.DataFrame) -> pd.DataFrame:
    """The rows of `studylib.grid.baselines` as means over the seeds: a row a model, a column a measure."""
    return baselines.groupby("architecture", sort=False)[[*CLASS_METRICS, *RANKING_METRICS]].mean()


def seconds_an_epoch(cells: pd.DataFrame) -> pd.DataFrame:
    """How long an epoch of each training takes whose time is known: the settings of the training, and ``seconds``.

    Taken between the first and the last checkpoint, so that compiling the network does not count; where there is one
    checkpoint only it does.
    """
    training = [key for key in KEYS if key != "epochs"]
    between = (
        cells[cells["status"] != FAILED].groupby(training, sort=False)[["train_seconds", "epochs"]].agg(["min", "max"])
    )
    if (between["epochs"]["min"] < between["epochs"]["max"]).all():
        seconds = between["train_seconds"]["max"] - between["train_seconds"]["min"]
        epochs = between["epochs"]["max"] - between["epochs"]["min"]
    else:
        seconds, epochs = between["train_seconds"]["max"], between["epochs"]["max"]
    return (seconds / epochs).rename("seconds").dropna().reset_index()


def time_ratio(times: pd.DataFrame, architecture: str, to: str = "lstm") -> pd.Series:
    """How many times as long as ``to`` an epoch of ``architecture`` takes, for each two trainings with all else equal."""
    rest = [column for column in times.columns if column not in ("architecture", "seconds")]
    wide = times.pivot(index=rest, columns="architecture", values="seconds")
    return (wide[architecture] / wide[to]).dropna()


def times_table(times: pd.DataFrame) -> pd.DataFrame:
    """Mean seconds an epoch by batch size and architecture, and the median `time_ratio` of each architecture to LSTM."""
    table = times.pivot_table("seconds", "batch_size", "architecture", sort=False)
    for architecture in [name for name in table if name != "lstm" and "lstm" in table]:
        table[f"{architecture} / lstm"] = time_ratio(times, architecture).groupby("batch_size").median()
    return table.reset_index().rename_axis(columns=None)


def settings_comparison(cells: pd.DataFrame, other: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """Mean accuracy by optimizer of the cells that two grids share, with and without those that collapsed in either.

    Args:
        cells, other: trained with different settings of the optimizers.
        names: of these settings.

    Returns:
        Columns ``optimizer`` and one for each of ``names`` and part of `with_and_without_collapsed`.
    """
    pairs = cells.merge(other[[*KEYS, "accuracy", "status"]], on=KEYS, suffixes=("", " of other"))
    collapsed = (pairs[["status", "status of other"]] == COLLAPSED).any(axis=1)
    pairs = pairs.assign(status=pairs["status"].mask(collapsed, COLLAPSED))
    means = {
        f"{name}, {label}": part.groupby("optimizer", sort=False)[column].mean()
        for label, part in with_and_without_collapsed(pairs).items()
        for name, column in zip(names, ("accuracy", "accuracy of other"), strict=True)
    }
    return pd.DataFrame(means).rename_axis("optimizer").reset_index()


def variant_differences(variants: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean accuracy of the same cells, built in several ways, and its difference from the first, over cases and seeds.

    Args:
        variants: by label, the cells of each; those that failed in any are left out of all.

    Returns:
        Columns ``built, cells, collapsed, accuracy, difference, low, high``, the last three missing for the first.
    """
    failed = pd.concat([cells.loc[cells["status"] == FAILED, KEYS] for cells in variants.values()])
    without = {label: _without(cells, failed) for label, cells in variants.items()}
    first = _mean_hits_by_seed(next(iter(without.values())))
    rows = []
    for number, (label, cells) in enumerate(without.items()):
        difference = (np.nan, np.nan, np.nan)
        if number:
            off = [of_seed - base for of_seed, base in zip(_mean_hits_by_seed(cells), first, strict=True)]
            low, high = statistics.interval(
                bootstrap_seeds([values[:, None] for values in off], shared=_share_cases(cells))
            )
            difference = (float(np.mean([values.mean() for values in off])), float(low[0]), float(high[0]))
        collapsed = int((cells["status"] == COLLAPSED).sum())
        rows.append((label, len(cells), collapsed, cells["accuracy"].mean(), *difference))
    return pd.DataFrame(rows, columns=["built", "cells", "collapsed", "accuracy", "difference", "low", "high"])


def variants_table(differences: pd.DataFrame) -> pd.DataFrame:
    """`variant_differences` to be read: the difference in points with its interval, empty for the first."""
    numbers = 100 * differences[["difference", "low", "high"]].to_numpy(float)
    shown = [None if np.isnan(mean) else interval(mean, low, high, digits=2) for mean, low, high in numbers]
    accuracy = [f"{accuracy:.1%}" for accuracy in differences["accuracy"]]
    return differences.assign(accuracy=accuracy, difference=shown).drop(columns=["low", "high"])


def _without(cells: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The cells whose `KEYS` are not among the others'."""
    names = set(map(tuple, others[KEYS].to_numpy()))
    return cells[[tuple(row) not in names for row in cells[KEYS].to_numpy()]]


def _mean_hits_by_seed(cells: pd.DataFrame) -> list[np.ndarray]:
    """For each seed, float64 (n_cases,): the mean hit of each case over the cells."""
    by_seed = cells.groupby("seed", sort=True)
    return [np.mean([case_hits(cell) for _, cell in of_seed.iterrows()], axis=0) for _, of_seed in by_seed]


def all_cells_table(cells: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Every cell with most of its measures, then the baselines (`baseline_measures`)."""
    omitted = ("reason", "hr@5", "ndcg@5", "train_seconds")
    columns = [column for column in COLUMNS if column not in omitted]
    rows = pd.concat([cells[columns], baselines.reset_index().reindex(columns=columns)])
    return rows.astype(dict.fromkeys(["batch_size", "epochs", "seed", "parameters"], "Int64"))
