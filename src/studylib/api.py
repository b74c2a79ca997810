"""The library from Python: `read` a log, `evaluate` models on it. `import studylib as sl` has these, and the models, by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from studylib.comparison import collected, split_log, trainings_of
from studylib.data.datasets import REGISTRY, load
from studylib.data.readers import read_frame
from studylib.data.sessions import Sessions, apply_filters
from studylib.errors import StudyError, quoted
from studylib.evaluation.ranking import metric_gain
from studylib.kept import complete
from studylib.params.files import READERS, study_params, validated
from studylib.params.study import InMemory, Log
from studylib.tables.ranking import by_window, intervals


def read(source: Any, **options: Any) -> Sessions:
    """Read a log.

    Args:
        source: a pandas or polars DataFrame, one event a row; the path of a file; or the name of a public data set.
        options: of a log, as in a params file (`studylib.params.study.Log`): of a table ``user``, ``item`` and ``time``, the
            names of its columns; ``min_length``, ``max_sessions``, ``k_core`` and the other filters; ``reader``, where the name
            of the file does not say it. ``gap="30min"`` is ``sessions={"gap": "30min"}``: where nothing follows for so long, a
            session ends.

    Returns:
        The sessions, filtered; what was left out is in their ``drops``.

    Raises:
        StudyError: an option is unknown, or the log cannot be read; one sentence says what to do.

    Example:
        >>> import pandas as pd, studylib as sl
        >>> clicks = pd.DataFrame({"visitor": [1, 1, 2, 2, 2], "url": ["/", "/cart", "/", "/shoes", "/cart"]})
        >>> log = sl.read(clicks, user="visitor", item="url")
        >>> len(log), log.vocabulary.tolist()
        (2, ['/', '/cart', '/shoes'])
    """
    if "gap" in options:
        options["sessions"] = {"gap": options.pop("gap")}
    if isinstance(source, str) and source in (*REGISTRY, "synthetic"):
        log = validated(Log, {"dataset": source, **options}, "read()")
        return apply_filters(load(log), log)
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser().absolute()  # in Python a relative path starts at the current folder
        reader = READERS.get(path.suffix.lower(), "events" if "item" in options else "sequences")
        log = validated(Log, {"reader": reader, "path": str(path), **options}, "read()")
        return apply_filters(load(log), log)
    log = validated(Log, {"reader": "parquet", "path": "the DataFrame", **options}, "read()")
    return apply_filters(read_frame(log, _polars(source)), log)


def _polars(frame: Any) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if not hasattr(frame, "__arrow_c_stream__"):
        raise StudyError(f"{quoted(frame)} is no log: give the path of a file, or a pandas or polars DataFrame.")
    try:
        return pl.DataFrame(frame)
    except Exception as error:  # pyarrow raises many for what it cannot convert
        raise StudyError(
            "The DataFrame has a column of mixed kinds: make all of it text, or all of it numbers."
        ) from error


def evaluate(
    log: Sessions,
    models: Sequence[str | dict[str, Any]],
    split: str | None = None,
    metrics: str | Sequence[str] = ("hr@10", "ndcg@10"),
    *,
    windows: int = 1,
    test_fraction: float = 0.1,
    seed: int = 0,
    keep: str | os.PathLike | None = None,
    execution: dict[str, Any] | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Train models on a log and test them, as the ranking of a study does.

    Every model ranks the whole catalogue for the same test cases. Validation cases stop the training of networks and nothing
    else is chosen, so that test cases are scored once. Intervals (95 %) are over sessions and over seeds, if there are several.

    Args:
        log: of `read`.
        models: names, or dicts with settings, as ``ranking.models`` in a params file: ``{"model": "gru4rec", "hidden": 64}``.
        split: ``leave-one-out``, ``temporal`` or ``given``; None as in a params file.
        metrics: ``hr``, ``recall``, ``precision``, ``ndcg`` or ``mrr`` with ``@k``; ``mrr`` and ``accuracy`` alone.
        windows: `temporal` only: so many tests one after the other, each of models that are trained anew on what came before.
        test_fraction: `temporal` only: the share of the events in a test.
        seed: of the study; ``seeds``, a list, are those of the trainings.
        keep: a folder in which results and model files are kept, so that the same call trains nothing twice.
        execution: the section of a params file, such as ``{"workers": 2}``.
        settings: others of the section ``ranking``: ``seeds``, ``history``, ``exclude_visited``, ``ties``.

    Returns:
        A row a model and metric (and window, if there are several; ``all`` is all of them): columns ``model, metric, mean, low,
        high, n``, where n is the number of test cases.

    Raises:
        StudyError: a setting or a metric is unknown, or the log is too small for the split.

    Example:
        >>> import studylib as sl
        >>> log = sl.read("synthetic", synthetic={"sessions": 300, "items": 50})
        >>> sl.evaluate(log, ["popularity", "markov"], metrics=["recall@5"]).round(2)
                model    metric  mean   low  high    n
        0  popularity  recall@5  0.48  0.42  0.54  247
        1      markov  recall@5  0.60  0.54  0.66  247
    """
    if not isinstance(log, Sessions):
        raise StudyError(f"evaluate() takes a log, not {type(log).__name__!r}: studylib.read(...) gives one.")
    if other := sorted(settings.keys() & {"ablation", "candidates", "datasets"}):
        raise StudyError(f"evaluate() has no {other[0]!r}, which is for studies: leave it out, or write a params file.")
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in metrics:
        metric_gain(metric)
    of_split = {"split": split, "windows": windows, "test_fraction": test_fraction}
    dataset = validated(InMemory, {"name": "log", **of_split}, "evaluate()")
    sections = {"ranking": {"models": models, **settings}, "execution": execution, "seed": seed}
    params = study_params(sections, "evaluate()")
    ranking = params.ranking.model_copy(update={"datasets": [dataset]})
    splits = {("log", draw): split_log(log, dataset, draw) for draw in ranking.seeds}
    with tempfile.TemporaryDirectory() as scratch:
        work = trainings_of(splits, ranking, params.execution, seed, Path(keep or scratch))
        complete(work, params.execution)
        comparison = collected(work, splits, ranking)
    table = intervals(comparison, ranking, seed, metrics)
    table = table[table["protocol"] == "full"]
    if windows > 1:
        table = pd.concat([table.assign(window="all"), by_window(comparison, ranking, seed, metrics)])
    columns = ["model", "metric", *(["window"] if windows > 1 else []), "mean", "low", "high", "n"]
    return table[columns].reset_index(drop=True)
