"""A budget of time: equal shares, as many trials as fit, and what was selected once is kept."""

import itertools

import numpy as np
import pandas as pd
import pytest

from studylib import budget, kept, tuning
from studylib.budget import Share, announced, spend, spent
from studylib.errors import StudyError
from studylib.kept import Result
from studylib.params.files import study_params
from studylib.verify import works_of

SMALL = {"embedding": 4, "hidden": 4, "negatives": 8, "max_epochs": 20}
NETWORKS = [{"model": "gru4rec", **SMALL}, {"model": "gru4rec", "label": "wide", **SMALL, "hidden": 8}]


@pytest.fixture
def study(tmp_path):
    """Params of a small log of one's own."""
    random = np.random.default_rng(0)
    clicks = {"who": np.repeat(np.arange(60), 5), "what": random.integers(0, 20, 300), "at": np.arange(300)}
    pd.DataFrame(clicks).to_csv(tmp_path / "clicks.csv", index=False)
    log = {"reader": "events", "path": str(tmp_path / "clicks.csv"), "user": "who", "item": "what", "time": "at"}

    def study(models=NETWORKS, workers=1, seeds=(0,), **sections):
        ranking = {"models": ["popularity", *models], "seeds": list(seeds), "candidates": 5}
        return study_params(
            {
                "name": "shop",
                "data": log,
                "ranking": ranking,
                "execution": {"workers": workers},
                "budget": "100s",
                **sections,
            }
        )

    return study


@pytest.fixture
def clock(monkeypatch):
    """Trainings that take no time but on this clock: an epoch of `wide` 2 seconds, of another 1, and a trial 12."""
    clock = {"now": 0.0, "trials": []}

    def try_one(study, space, model, *rest):
        trial = study.ask(space)
        clock["now"] += 12
        clock["trials"].append((model.label, model.max_epochs))
        study.tell(trial, 0.1 + trial.number / 100)

    def time_an_epoch(params, split, model):
        clock["trials"].append((model.label, "an epoch"))
        return Result({"seconds": 2.0 if model.label == "wide" else 1.0})

    monkeypatch.setattr(budget, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(tuning, "try_one", try_one)
    monkeypatch.setattr(budget, "_time_an_epoch", time_an_epoch)
    monkeypatch.setattr(kept, "fan_out", lambda function, tasks, *_: ((task, function(task)) for task in tasks))
    return clock


def test_every_network_has_the_same_time_and_as_many_trials_as_fit(study, clock, tmp_path):
    params = study()
    found = spend(params, tmp_path / "shop")
    # 50 s each. 1 s was timed, one training of 20 s is at first set aside, then those of 12 s that trials take: 3 trials.
    assert clock["trials"].count(("gru4rec", 20)) == 3
    # 2 s were timed; of 40 s there is one training, the one before the test.
    assert [label for label, _ in clock["trials"]].count("wide") == 1
    assert found.table.to_dict("records") == [
        {"model": "gru4rec", "its share": "50.0 s", "an epoch": "1.0 s", "epochs at most": 20, "trials": 3,
         "defaults": pytest.approx(0.1), "best": pytest.approx(0.12)},
        {"model": "wide", "its share": "50.0 s", "an epoch": "2.0 s", "epochs at most": 20, "trials": 0,
         "defaults": pytest.approx(np.nan, nan_ok=True), "best": pytest.approx(np.nan, nan_ok=True)},
    ]  # fmt: skip
    popularity, first, wide = found.params.ranking.models
    assert (popularity, wide) == (params.ranking.models[0], params.ranking.models[2])
    assert first.learning_rate != params.ranking.models[1].learning_rate and first.hidden == 4


def test_what_was_spent_is_kept_and_the_numbers_are_the_same_on_any_machine(study, clock, tmp_path):
    found = spend(study(), tmp_path / "shop")
    clock["trials"].clear()
    for workers in (1, 4):
        again = spend(study(workers=workers), tmp_path / "shop")
        assert again.params.ranking == found.params.ranking == spent(study(), tmp_path / "shop").params.ranking
    assert clock["trials"] == []
    (work,) = works_of(study(), tmp_path / "shop")
    changed = [name for name in work.names.values() if name not in works_of_unspent(study, tmp_path)]
    assert len(changed) == 1 and changed[0].startswith("shop-gru4rec-0-"), "verify trains with the selected settings"
    spend(study(budget="200s"), tmp_path / "shop")
    assert clock["trials"]


def works_of_unspent(study, folder):
    (work,) = works_of(study(budget=None), folder / "shop")
    return work.names.values()


def test_where_little_time_is_left_trainings_are_shorter(study, clock, tmp_path):
    params = study(seeds=[0, 1])
    found = spend(params.model_copy(update={"budget": "40s"}), tmp_path / "shop")
    assert found.table["epochs at most"].tolist() == [10, 5] and found.table["trials"].tolist() == [0, 0]
    assert [getattr(model, "max_epochs", None) for model in found.params.ranking.models] == [None, 10, 5]


def test_the_start_says_what_the_time_is_for(study, clock, tmp_path):
    said = announced(study(), tmp_path / "shop")
    assert said.startswith(
        "the budget of 100s gives gru4rec 50.0 s (an epoch takes 1.0 s, a training 20.0 s at most), wide 50.0 s"
    )
    assert announced(study(workers=2), tmp_path / "shop").startswith("the budget of 100s gives gru4rec 1.7 min")
    assert clock["trials"] == [("gru4rec", "an epoch"), ("wide", "an epoch")]


def test_what_is_not_there_yet_is_a_sentence(study, tmp_path):
    with pytest.raises(StudyError, match="is not there yet: run notebook 05_own_log of this study"):
        spent(study(), tmp_path / "shop")


def test_epochs_and_trials_are_trainings(study, tmp_path, monkeypatch):
    """Of a network and of BPR, whose epochs come in tens; nothing is faked but the processes."""
    monkeypatch.setattr(kept, "fan_out", lambda function, tasks, *_: ((task, function(task)) for task in tasks))
    models = [{"model": "gru4rec", **SMALL, "max_epochs": 1}, {"model": "bpr-mf", "factors": 2, "max_epochs": 10}]
    seconds = itertools.count()  # a second a look at the clock, so that each has three trials of one second
    shares = {"gru4rec": Share(10, 0.1, 1, 1), "bpr-mf": Share(10, 0.1, 10, 1)}
    monkeypatch.setattr(budget, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(budget, "_shares", lambda *arguments: shares)
    found = spend(study(models), tmp_path / "shop")
    assert found.table["trials"].tolist() == [3, 3] and (found.table["best"] >= found.table["defaults"]).all()
    assert [model.max_epochs for model in found.params.ranking.models[1:]] == [1, 10]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"grid": {}}, "'budget' is for a study of one log of one's own"),
        ({"data": {"dataset": "synthetic"}}, "'budget' is for a study of one log of one's own"),
        ({"budget": 20}, "budget: must be a length of time with its unit"),
        ({"budget": "soon"}, "budget: must be a length of time with its unit"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(study, sections, said):
    with pytest.raises(StudyError, match=said):
        study(**sections)


def test_a_training_takes_its_epochs_at_most():
    assert Share(seconds=50, epoch=2.0, epochs=20, runs=1).training == 40
