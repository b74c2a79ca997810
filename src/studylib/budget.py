"""A budget of time for a study of a log of one's own, divided among the models that train by what their epochs cost.

First an epoch of each of these models is timed, side by side as they will train. Each then has an equal share of the time:
settings are searched as by `studylib tune`, on validation cases alone, as long as one more training fits beside those before the
test. What was timed and selected is kept in the folder ``budget`` of the study and read from there when the study runs again,
however fast the machine is then, so that the same study has the same numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import pandas as pd

from studylib.comparison import prepare
from studylib.data.sessions import checksum
from studylib.data.splits import Split
from studylib.errors import StudyError
from studylib.execution import WorkerDied, configure, workers
from studylib.kept import Result, Store, Work, complete, key
from studylib.models import build, implementation
from studylib.params.files import tuned, with_settings
from studylib.params.kinds import seconds
from studylib.params.models import Bpr, Trained
from studylib.params.study import StudyParams
from studylib.paths import slug
from studylib.text import listed

Trains: TypeAlias = Trained | Bpr
"""The entry of a model that a budget is for."""


@dataclass(frozen=True)
class Share:
    """What a model has of a budget.

    Attributes:
        seconds: of its share, in which the trainings before the test have a place too.
        epoch: the seconds of one epoch.
        epochs: of a training, at most: as its entry says, or fewer where the trainings before the test would not fit.
        runs: how many trainings there are before the test, by seeds and windows.
    """

    seconds: float
    epoch: float
    epochs: int
    runs: int

    @property
    def training(self) -> float:
        """The seconds of one training, at most."""
        return self.epoch * self.epochs


@dataclass(frozen=True)
class Spent:
    """A study within its budget.

    Attributes:
        params: with the settings that were selected.
        table: what each model got, as a reader sees it: columns ``model, its share, an epoch, epochs at most, trials``, and
            ``defaults`` and ``best``, the NDCG@10 of the validation cases in the first trial and in the best one.
    """

    params: StudyParams
    table: pd.DataFrame


def announced(params: StudyParams, folder: Path) -> str:
    """What a study does with its budget and how long that takes, as a sentence; epochs that are not timed yet are timed."""
    split = _split(params)
    complete(_timing(params, split, folder), params.execution)
    parts = [
        f"{label} {_length(share.seconds)} (an epoch takes {_length(share.epoch)}, a training {_length(share.training)} at most)"
        for label, share in _shares(params, split, folder).items()
    ]
    return f"the budget of {params.budget} gives {listed(parts)}, for trials of settings and the trainings before the test."


def spend(params: StudyParams, folder: Path) -> Spent:
    """Time the epochs and search the settings that are not kept yet; without a budget the study stays as it is."""
    if params.budget is None:
        return Spent(params, pd.DataFrame())
    split = _split(params)
    complete(_timing(params, split, folder), params.execution)
    complete(_searches(params, split, folder, _shares(params, split, folder)), params.execution)
    return _spent(params, split, folder)


def spent(params: StudyParams, folder: Path) -> Spent:
    """The same, as it was kept.

    Raises:
        StudyError: it is not there yet.
    """
    return spend(params, folder) if params.budget is None else _spent(params, _split(params), folder)


def _spent(params: StudyParams, split: Split, folder: Path) -> Spent:
    found = _searches(params, split, folder, {}).kept()
    entries, models, rows = _models(params), [], []
    for model in params.ranking.models:
        selected = found[model.label].facts["settings"] if model.label in found else {}
        models.append(with_settings(entries[model.label], selected) if selected else model)
    for label, share in _shares(params, split, folder).items():
        values = found[label].facts["trials"]
        ends = (values[0], max(values)) if values else (None, None)
        rows.append((label, _length(share.seconds), _length(share.epoch), share.epochs, len(values), *ends))
    columns = ["model", "its share", "an epoch", "epochs at most", "trials", "defaults", "best"]
    ranking = params.ranking.model_copy(update={"models": models})
    return Spent(params.model_copy(update={"ranking": ranking}), pd.DataFrame(rows, columns=columns))


def _split(params: StudyParams) -> Split:
    (dataset,) = params.ranking.datasets
    return prepare(dataset, params.ranking, params.seed, params.ranking.seeds[0])


def _models(params: StudyParams) -> dict[str, Trains]:
    """Those that the budget is for, by label."""
    (dataset,) = params.ranking.datasets
    entries = {model.label: tuned(model, dataset.label) for model in params.ranking.models}
    return {label: entry for label, entry in entries.items() if isinstance(entry, Trains)}


def _fewest(model: Trains) -> int:
    """How many epochs a training has at least; all have a multiple of it."""
    return 10 if isinstance(model, Bpr) else 1


def _shares(params: StudyParams, split: Split, folder: Path) -> dict[str, Share]:
    """By label. All models have the same time; of more models than train side by side, some wait for the others."""
    models = _models(params)
    timed = _timing(params, split, folder).kept()
    each = seconds(params.budget or "") * min(1.0, workers(params.execution) / max(1, len(models)))
    runs = len(params.ranking.seeds) * len(split.trainings)
    shares = {}
    for label, model in models.items():
        epoch, few = timed[label].facts["seconds"], _fewest(model)
        fit = int(each / runs / epoch) // few * few
        shares[label] = Share(each, epoch, max(few, min(model.max_epochs, fit)), runs)
    return shares


def _timing(params: StudyParams, split: Split, folder: Path) -> Work[str, str]:
    def is_one(facts: dict[str, Any]) -> bool:
        return type(facts["seconds"]) is float and facts["seconds"] > 0

    return _work(params, split, folder, "epoch", "budget, first epochs", _time_an_epoch, is_one)


def _searches(params: StudyParams, split: Split, folder: Path, shares: dict[str, Share]) -> Work[str, str]:
    """``shares``: for those that are not kept yet."""

    def is_one(facts: dict[str, Any]) -> bool:
        return type(facts["settings"]) is dict and all(type(value) is float for value in facts["trials"])

    search = functools.partial(_search, shares)
    lengths = [_length(share.seconds) for share in shares.values()]
    return _work(params, split, folder, "search", f"budget, searches of {max(lengths, default='')}", search, is_one)


def _work(
    params: StudyParams,
    split: Split,
    folder: Path,
    kind: str,
    description: str,
    train: Callable[[StudyParams, Split, Trains], Result],
    is_one: Callable[[dict[str, Any]], bool],
) -> Work[str, str]:
    """A result for each model, by its label."""
    models = _models(params)
    return Work(
        store=Store(folder / "budget", "05_own_log", lambda result: is_one(result.facts)),
        names={label: f"{slug(label)}-{kind}-{_key(model, split, params)}" for label, model in models.items()},
        task=str,
        train=functools.partial(_train, train, params, split, models),
        died=_died,
        description=description,
        measures=lambda result: {},
    )


def _key(model: Trains, split: Split, params: StudyParams) -> str:
    """A checksum of all that a search depends on, but for the machine and how many trainings it has side by side."""
    assert split.validation.candidates is not None, "`prepare` draws them"
    ranking = params.ranking
    determinants = {
        "budget": seconds(params.budget or ""),
        "models": len(_models(params)),
        "seeds": len(ranking.seeds),
        "split": split.checksum,
        "candidates": checksum(split.validation.candidates),
        "model": model.determinants,
        "set": sorted(model.model_fields_set),
        "seed": params.seed,
        "history": ranking.history,
        "exclude_visited": ranking.exclude_visited,
        "threads": params.execution.threads_per_worker,
        "device": params.execution.device,
        "version": implementation(model).version,
    }
    return key(determinants, 12)


def _died(label: str, labels: list[str], death: WorkerDied) -> dict:
    raise StudyError(f"{label}: {death}, within the budget; it may need more memory: try 'execution: {{workers: 1}}'.")


def _train(
    train: Callable[[StudyParams, Split, Trains], Result],
    params: StudyParams,
    split: Split,
    models: Mapping[str, Trains],
    label: str,
    labels: list[str],
) -> dict[str, Result]:
    """In a worker."""
    configure(params.execution)
    return {label: train(params, split, models[label])}


def _time_an_epoch(params: StudyParams, split: Split, model: Trains) -> Result:
    few, ranking = _fewest(model), params.ranking
    short = with_settings(model, {"max_epochs": few})
    built = build(short, ranking.history, params.seed, params.execution.device, ranking.exclude_visited)
    built.fit(split.train, split.validation)
    return Result({"seconds": max(1e-4, round(built.train_seconds / few, 4))})


def _search(shares: dict[str, Share], params: StudyParams, split: Split, model: Trains) -> Result:
    """Trials as long as one more fits beside the trainings before the test. The epochs that were timed count."""
    from studylib import tuning  # it needs an extra, which a study without a budget does not

    share = shares[model.label]
    fewer = {"max_epochs": share.epochs} if share.epochs < model.max_epochs else {}
    entry = with_settings(model, fewer)
    space = tuning.space_of(entry) if len(split.validation) else {}
    search = tuning.opened(entry, space, params.seed)
    ends = monotonic() + share.seconds - share.epoch * _fewest(model)
    durations: list[float] = []
    while space and monotonic() + max(durations, default=share.training) * (1 + share.runs) <= ends:
        begun = monotonic()
        tuning.try_one(search, space, entry, split, params.ranking, params.seed, params.execution.device)
        durations.append(monotonic() - begun)
    trials = tuning.done(search)
    best = tuning.rounded(search.best_trial.params) if trials else {}
    return Result({"settings": fewer | best, "trials": [trial.value for trial in trials]})


def _length(length: float) -> str:
    """Seconds in words."""
    return f"{length / 60:.1f} min" if length >= 60 else f"{length:.1f} s"
