"""How much a model gains from more sessions: the architectures of the grid and other models, each on drawn sessions of the log.

All are judged on the last sessions of the log, the same for every number. What a model cannot know, it does not get right: a
session that ends in an item that its training does not have is a case of all the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from studylib.data.sessions import Cases, Sessions, apply_filters, known_cases
from studylib.errors import StudyError
from studylib.evaluation.ranking import TOP, Ranks, rank_cases
from studylib.evaluation.statistics import bootstrap_seeds, interval
from studylib.execution import WorkerDied, configure
from studylib.kept import Result, Store, Work, complete, key
from studylib.models import build, implementation
from studylib.models.base import Recommender
from studylib.models.keras_rnn import KerasRNN
from studylib.params.study import Data, Execution, Scale
from studylib.paths import slug

MEASURES = ["accuracy", "ndcg@10"]
ARRAYS = ["above", "tied"]


@dataclass(frozen=True)
class Training:
    """A model, by its label, trained on so many sessions with one seed."""

    model: str
    sessions: int
    seed: int


def scale_of(loaded: Sessions, data: Data, scale: Scale, execution: Execution, folder: Path) -> pd.DataFrame:
    """Train what is not kept yet, and say what each model reaches.

    Args:
        loaded: the sessions of the log, unfiltered.
        data, scale, execution: sections of the study.
        folder: of the study; the results are kept in its ``scale/``.

    Returns:
        Columns ``model, sessions, measure, mean, low, high, epochs``: means over the seeds, with the 95 % interval over sessions
        and seeds.
    """
    work = trainings_of(loaded, data, scale, execution, folder)
    complete(work, execution)
    kept = work.kept()
    rows = []
    for model in scale.labels:
        for sessions in scale.sessions:
            results = [kept[Training(model, sessions, seed)] for seed in scale.seeds]
            epochs = float(np.mean([result.facts["epochs"] for result in results]))
            for measure in MEASURES:
                gains = [_gains(result, measure)[:, None] for result in results]
                low, high = interval(bootstrap_seeds(gains, shared=True))
                mean = float(np.mean([gain.mean() for gain in gains]))
                rows.append((model, sessions, measure, mean, low[0], high[0], epochs))
    return pd.DataFrame(rows, columns=["model", "sessions", "measure", "mean", "low", "high", "epochs"])


def trainings_of(
    loaded: Sessions, data: Data, scale: Scale, execution: Execution, folder: Path
) -> Work[Training, Training]:
    """The results of a scale, and how they are trained. As `scale_of`.

    Raises:
        StudyError: the log has too few sessions.
    """
    log = apply_filters(loaded, data.model_copy(update={"max_sessions": None}))
    if len(log) < max(scale.sessions) + scale.test_sessions:
        raise StudyError(
            f"The scale asks for {max(scale.sessions):,} sessions to learn from and {scale.test_sessions:,} to test, and the "
            f"log has {len(log):,}: lower 'grid.scale.sessions' or 'grid.scale.test_sessions'."
        )
    checksum = log.checksum
    trainings = [Training(m, n, s) for m in scale.labels for n in scale.sessions for s in scale.seeds]
    return Work(
        store=Store(folder / "scale", "02_grid_training", _is_one),
        names={training: _name(training, checksum, data, scale, execution) for training in trainings},
        task=_itself,
        train=functools.partial(_train, log, data, scale, execution),
        died=_died,
        description="scale, trainings",
        measures=lambda result: {measure: result.facts[measure] for measure in MEASURES},
    )


def _itself(training: Training) -> Training:
    return training


def _is_one(result: Result) -> bool:
    facts, arrays = result.facts, result.arrays
    return (
        all(type(facts[measure]) is float for measure in MEASURES)
        and type(facts["epochs"]) is int
        and all(arrays[name].ndim == 1 and arrays[name].dtype.kind in "iu" for name in ARRAYS)
        and len(arrays["above"]) == len(arrays["tied"])
    )


def _died(training: Training, trainings: list[Training], death: WorkerDied) -> dict:
    raise StudyError(
        f"{training.model} on {training.sessions:,} sessions, seed {training.seed}: {death}; the rest is kept."
    )


def draw(log: Sessions, sessions: int, test_sessions: int, seed: int) -> tuple[Sessions, Cases]:
    """The training sessions and the validation cases: drawn from all but the last ``test_sessions``, a tenth for validation."""
    order = np.random.default_rng([seed, sessions]).permutation(len(log) - test_sessions)[:sessions]
    held, learnt = np.zeros((2, len(log)), dtype=bool)
    held[order[: sessions // 10]] = True
    learnt[order[sessions // 10 :]] = True
    train = log.select(np.repeat(learnt, log.lengths)).compact()
    return train, known_cases(log.select(np.repeat(held, log.lengths)), train.vocabulary)[0]


def _train(
    log: Sessions, data: Data, scale: Scale, execution: Execution, training: Training, trainings: list[Training]
) -> dict[Training, Result]:
    configure(execution)
    train, validation = draw(log, training.sessions, scale.test_sessions, training.seed)
    model = _model(training, data, scale, execution).fit(train, validation)
    last = log.select(log.session_of_event >= len(log) - scale.test_sessions)
    cases, of_session = known_cases(last, train.vocabulary)
    ranks = rank_cases(model, cases, exclude_visited=False)["full"]
    above, tied = np.full(len(last), TOP, np.uint8), np.zeros(len(last), np.int32)
    above[of_session] = np.minimum(ranks.above, TOP)
    tied[of_session] = np.where(ranks.above < TOP, ranks.tied, 0)
    result = Result(
        {"epochs": model.epochs}, {"above": above, "tied": tied}, made={"train_seconds": model.train_seconds}
    )
    result.facts.update({measure: float(_gains(result, measure).mean()) for measure in MEASURES})
    return {training: result}


def _model(training: Training, data: Data, scale: Scale, execution: Execution) -> Recommender:
    """The model that a training is of, not fitted."""
    model: Recommender
    if training.model in scale.architectures:
        model = KerasRNN(
            training.model,
            scale.activation,
            scale.optimizer,
            batch_size=scale.batch_size,
            epochs=scale.max_epochs,
            patience=scale.patience,
            max_length=data.max_length,
            seed=training.seed,
        )
    else:
        entry = {model.label: model for model in scale.models}[training.model]
        model = build(entry, data.max_length, training.seed, execution.device)
    model.exclude_visited = False  # visitors come back to a page
    return model


def _gains(result: Result, measure: str) -> np.ndarray:
    """float64 (n_sessions,): the gain of each of the last sessions, 0 where the target is unknown."""
    above, tied = result.arrays["above"], result.arrays["tied"]
    return Ranks(above, tied, None, int((above + tied).max()) + TOP).metric(measure)


def _name(training: Training, log: str, data: Data, scale: Scale, execution: Execution) -> str:
    """A readable file name that ends in a checksum of all that determines the result."""
    determinants: dict[str, object] = {
        "log": log,
        "test_sessions": scale.test_sessions,
        "max_length": data.max_length,
        "sessions": training.sessions,
        "seed": training.seed,
        "threads": execution.threads_per_worker,
    }
    if training.model in scale.architectures:
        settings = scale.model_dump(include={"activation", "optimizer", "batch_size", "max_epochs", "patience"})
        determinants |= settings | {"architecture": training.model, "version": KerasRNN.version}
        determinants["backend"] = execution.keras_backend
    else:
        entry = {model.label: model for model in scale.models}[training.model]
        determinants |= {"model": entry.determinants, "version": implementation(entry).version}
        determinants["device"] = execution.device
    return f"{slug(training.model)}-{training.sessions}-{training.seed}-{key(determinants, 12)}"
