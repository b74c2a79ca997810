"""Searching the settings of a model on the validation cases of a data set, with Optuna: one trial is one training."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml

from studylib.comparison import prepare
from studylib.data.sessions import checksum
from studylib.data.splits import Split
from studylib.errors import StudyError, brief, extra, nearest, sentence
from studylib.evaluation.ranking import validation_ndcg
from studylib.execution import configure
from studylib.models import build
from studylib.models.base import Recommender
from studylib.params.files import DATA, TRIALS, selected_on, tuned_path, with_settings
from studylib.params.models import ModelParams, Tunable, Weighting
from studylib.params.study import Ranking, StudyParams
from studylib.paths import as_typed, project_root, slug, write
from studylib.progress import track

with extra("tune"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

_NEURAL: dict[str, BaseDistribution] = {
    "dropout_items": FloatDistribution(0, 0.5),
    "dropout_embedding": FloatDistribution(0, 0.8),
    "dropout_hidden": FloatDistribution(0, 0.8),
    "negatives": CategoricalDistribution([256, 512, 1024]),
    "alpha": FloatDistribution(0, 1),
    "batch_size": CategoricalDistribution([32, 64, 128]),
    "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),
    "l2": CategoricalDistribution([0.0, 1e-7, 1e-6, 1e-5]),
}

_WEIGHTING = CategoricalDistribution(list(get_args(Weighting)))

SPACES: dict[str, dict[str, BaseDistribution]] = {
    "gru4rec": _NEURAL,
    "sasrec": _NEURAL
    | {
        "embedding": CategoricalDistribution([64, 128]),
        "blocks": CategoricalDistribution([1, 2, 3]),
        "heads": CategoricalDistribution([1, 2]),
    },
    "item-knn": {"decay": FloatDistribution(0, 1), "shrinkage": FloatDistribution(0.1, 100, log=True)},
    "session-knn": {
        "neighbours": CategoricalDistribution([50, 100, 200, 500, 1000]),
        "sample": CategoricalDistribution([500, 1000, 2500, 5000]),
        "weighting": _WEIGHTING,
        "score_weighting": _WEIGHTING,
        "cosine": CategoricalDistribution([True, False]),
        "idf": FloatDistribution(0, 5),
    },
    "stan": {
        "neighbours": CategoricalDistribution([100, 200, 500, 1000, 2000]),
        "sample": CategoricalDistribution([1000, 2500, 5000, 10_000]),
        "recent": FloatDistribution(0.3, 10, log=True),
        "days": FloatDistribution(1, 1000, log=True),
        "near": FloatDistribution(0.3, 10, log=True),
        "idf": FloatDistribution(0, 5),
    },
    "ease": {"l2": FloatDistribution(1, 10_000, log=True), "decay": FloatDistribution(0, 1)},
    "bpr-mf": {
        "learning_rate": FloatDistribution(0.01, 0.3, log=True),
        "l2": FloatDistribution(1e-4, 0.1, log=True),
        "fold_in": FloatDistribution(0.5, 5, log=True),
    },
}
"""What is searched for each model. A setting that the entry of the study sets is not searched."""


@dataclass(frozen=True)
class Selected:
    """What a search found, as a text: the best validation value and settings, and the entry of a study that takes them.

    Attributes:
        path: the file of the settings, from the project's root.
        score: what the best value is of, and what the defaults have.
        entry: for ``ranking.models``.
    """

    path: Path
    score: str
    settings: dict[str, Any]
    entry: dict[str, Any]

    def __str__(self) -> str:
        entry = yaml.safe_dump(self.entry, default_flow_style=True, sort_keys=False, width=1000).strip()
        settings = yaml.safe_dump(self.settings, sort_keys=False)
        said = f"{self.path} has these settings, and this entry of the models takes them:"
        return f"{self.score}\n\n{settings}\n{said}\n\n  - {entry}"


def tune(
    params: StudyParams,
    dataset: str,
    label: str,
    trials: int,
    minutes: float | None,
    kept: Path,
    file: str | Path | None = None,
) -> Selected:
    """Search until ``trials`` are done or the time is over, and write the best settings to ``params/tuned/``.

    Trials of an earlier call with the same fixed settings on the same cases count, so that a search that was stopped
    continues; those of other data, whatever they are called, are in a file of their own. The first trial has the defaults.

    Args:
        params: a study that has the data set and the model.
        dataset, label: of the data set and the model in the study.
        trials: how many in all, those of earlier calls included.
        minutes: no trial is started later than this; None for no limit.
        kept: the folder where trials are kept.
        file: where the params are from, for the settings to name; None for ``params/<name>.yaml``.

    Returns:
        What was written.

    Raises:
        StudyError: the study has no such data set or model, the model has nothing to tune, the settings of other data would be
            overwritten, or every trial failed.
    """
    ranking = params.ranking
    model = _named(label, {m.label: m for m in ranking.models}, "model")
    source = _named(dataset, {d.label: d for d in ranking.datasets}, "data set")
    space = space_of(model)
    if not space:
        raise StudyError(f"{label}: the model {model.model!r} has nothing to tune that the study does not set.")
    split = prepare(source, ranking, params.seed)
    if not len(split.validation):
        raise StudyError(f"{dataset}: the split has no validation cases to select settings on.")

    data = split.validation.sessions.content
    path = tuned_path(dataset, model.tuned or model.label)
    there = project_root() / path
    if there.exists() and selected_on(there) not in (None, data):
        raise StudyError(
            sentence(
                path, "has settings that were selected on other data; remove it, or give the data set another name."
            )
        )

    assert split.validation.candidates is not None, "`prepare` draws them"
    fixed = {key: value for key, value in model.settings.items() if key not in space}
    comparable = [
        fixed,
        ranking.history,
        ranking.exclude_visited,
        split.checksum,
        checksum(split.validation.candidates),
    ]
    digest = checksum(json.dumps(comparable).encode())[:12]
    kept.mkdir(parents=True, exist_ok=True)
    journal = JournalFileBackend(str(kept / f"{slug(dataset)}-{slug(label)}-{digest}.journal"))
    study = opened(model, space, params.seed, JournalStorage(journal), f"{model.model} {digest}")
    configure(params.execution)
    deadline = time.monotonic() + 60 * minutes if minutes is not None else np.inf
    missing = trials - len(done(study))
    for _ in track(range(missing), f"{dataset}, {label}, trials", missing):
        if time.monotonic() > deadline:
            break
        try_one(study, space, model, split, ranking, params.seed, params.execution.device)
    source, options = as_typed(file or f"params/{params.name}.yaml"), ["--dataset", dataset, "--model", label]
    command = shlex.join(["studylib", "tune", str(source), *options])
    return _write(study, model, brief(dataset), brief(command, 1000), path, data)


def _named(name: str, choices: dict, kind: str):
    if name not in choices:
        raise StudyError(f"The study has no {kind} {name!r}{nearest(name, list(choices))}")
    return choices[name]


def space_of(model: ModelParams) -> dict[str, BaseDistribution]:
    """What is searched for a model; nothing where its entry sets all of it."""
    return {key: values for key, values in SPACES.get(model.model, {}).items() if key not in model.model_fields_set}


def opened(
    model: ModelParams,
    space: dict[str, BaseDistribution],
    seed: int,
    storage: JournalStorage | None = None,
    name: str | None = None,
) -> optuna.Study:
    """A search whose first trial has the defaults; one that the storage has already goes on."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)  # an earlier call was killed in the middle of it
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), multivariate=True)
    if not study.get_trials(states=(TrialState.COMPLETE, TrialState.WAITING)):
        study.enqueue_trial({key: model.settings[key] for key in space})
    return study


def try_one(
    study: optuna.Study,
    space: dict[str, BaseDistribution],
    model: ModelParams,
    split: Split,
    ranking: Ranking,
    seed: int,
    device: str,
) -> None:
    """One trial: a training with settings that the search asks for."""
    trial = study.ask(space)
    tried = with_settings(model, rounded(trial.params))
    built = build(tried, ranking.history, seed, device, ranking.exclude_visited)
    curve = _attempt(built, split, ranking, _medians(study))
    for epoch, value in enumerate(np.maximum.accumulate(curve), 1):
        trial.report(value, epoch)
    study.tell(trial, max(curve))


def done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were finished, in their order."""
    return study.get_trials(states=(TrialState.COMPLETE,))


def _medians(study: optuna.Study) -> list[float]:
    """The median over the trials of the best value so far, after each epoch; a trial that stopped keeps its last."""
    curves = [[trial.intermediate_values[e] for e in sorted(trial.intermediate_values)] for trial in done(study)]
    if len(curves) < 5:
        return []
    longest = max(map(len, curves))
    return np.median([curve + curve[-1:] * (longest - len(curve)) for curve in curves], axis=0).tolist()


def _attempt(model: Recommender, split: Split, ranking: Ranking, medians: list[float]) -> list[float]:
    """Validation NDCG@10 after each epoch; of a non-neural baseline, its only value.

    A training is stopped where, after half of its epochs or later, its best value is below the median of the earlier trials at
    the same epoch; stopped before, it would be those with much dropout, which learn slowly and end well.
    """
    settings: Any = model.settings  # those of a model that has something to tune
    if hasattr(model, "watch"):
        halfway = settings.max_epochs // 2
        model.watch = lambda epoch, best: halfway <= epoch <= len(medians) and best < medians[epoch - 1]
    model.fit(split.train, split.validation)
    if curve := [point["validation_ndcg@10"] for point in getattr(model, "curve", [])]:
        return curve
    return [validation_ndcg(model, split.validation, ranking.history, settings.validation)]


def rounded(settings: dict) -> dict:
    """Settings with three significant digits, so that those that are written are those that were tried."""
    return {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in settings.items()}


def _write(study: optuna.Study, model: Tunable, dataset: str, command: str, path: Path, data: str) -> Selected:
    finished = done(study)
    if not finished:
        raise StudyError(f"{dataset}, {model.label}: no trial was finished; give it more minutes.")
    best = study.best_trial
    fixed = {key: getattr(model, key) for key in sorted(model.model_fields_set - {"model", "label", "tuned"})}
    against = "against the whole catalogue" if model.validation == "full" else "among the candidates"
    score = f"NDCG@10 {against}: {best.value:.4f} (trial {best.number + 1}); the defaults, {finished[0].value:.4f}."
    heading = (
        f"# Selected on the validation cases of {dataset} by\n"
        f"#   {command} --trials {len(finished)}\n"
        f"# {score}\n{DATA} {data}\n"
        f"{TRIALS} {' '.join(f'{trial.value:.4f}' for trial in finished)}\n"
    )
    settings = {**fixed, **rounded(best.params)}
    write(project_root() / path, heading + yaml.safe_dump(settings, sort_keys=False))
    entry = {"model": model.model, **model.model_dump(exclude_unset=True), "tuned": model.tuned or model.label}
    return Selected(path, f"{score[:-1]}, on validation cases.", settings, entry)
