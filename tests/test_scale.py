"""Models by the number of training sessions: what is drawn, that all are judged on the same sessions, what is kept."""

import numpy as np
import pytest

from studylib import kept as keeping, scale as scales
from studylib.data.sessions import Sessions, known_cases
from studylib.errors import StudyError
from studylib.models.baselines import Markov
from studylib.params.study import Data, Execution, Scale
from studylib.scale import MEASURES, Training, draw, scale_of, trainings_of

DATA = Data(max_length=5)
SCALE = Scale(
    sessions=[20, 60],
    test_sessions=30,
    architectures=["gru"],
    models=["markov"],
    seeds=[0, 1],
    max_epochs=3,
    patience=1,
)


@pytest.fixture(scope="module")
def log():
    """Sessions in which the next item is the last plus one; every tenth of them ends in an item of its own."""
    random = np.random.default_rng(0)
    rows = [[int(start + step) % 9 for step in range(4)] for start in random.integers(0, 9, 100)]
    return Sessions.from_lists([[*row[:-1], 100 + n] if n % 10 == 9 else row for n, row in enumerate(rows)])


@pytest.fixture
def trained(monkeypatch):
    trained = []

    def here(function, tasks, execution, running):
        for task in tasks:
            trained.append(task)
            yield task, function(task)

    monkeypatch.setattr(keeping, "fan_out", here)
    return trained


def test_sessions_are_drawn_from_before_the_test(log):
    train, validation = draw(log, 60, 30, seed=1)
    assert len(train) == 54 and len(validation) <= 6 and validation.sessions.n_items == train.n_items
    before = [log.vocabulary[log[n]].tolist() for n in range(70)]
    drawn = [train.vocabulary[train[n]].tolist() for n in range(54)]
    assert all(session in before for session in drawn)
    other, _ = draw(log, 60, 30, seed=2)
    assert other.checksum != train.checksum == draw(log, 60, 30, seed=1)[0].checksum


def test_every_model_is_judged_on_the_same_sessions_and_kept(log, trained, tmp_path):
    table = scale_of(log, DATA, SCALE, Execution(), tmp_path)
    assert len(trained) == 8 and len(list((tmp_path / "scale").glob("*.json"))) == 8
    assert table[["model", "sessions", "measure"]].drop_duplicates().shape == (8, 3) == table.iloc[:, :3].shape
    work = trainings_of(log, DATA, SCALE, Execution(), tmp_path)
    assert all(len(result.arrays["above"]) == 30 for result in work.kept().values())
    train, _ = draw(log, 60, 30, seed=1)
    last = log.select(log.session_of_event >= 70)
    cases, of_session = known_cases(last, train.vocabulary)
    assert len(cases) == len(of_session) < 30
    right = Markov().fit(train).score(cases.prefixes()).argmax(1) == cases.targets
    kept = work.kept()[Training("markov", 60, 1)]
    assert kept.facts["accuracy"] == pytest.approx(right.sum() / 30)
    assert [kept.facts[name] for name in MEASURES] == [scales._gains(kept, name).mean() for name in MEASURES]
    again = scale_of(log, DATA, SCALE, Execution(), tmp_path)
    assert len(trained) == 8 and again.equals(table)
    stopped = work.kept()[Training("gru", 20, 0)].facts["epochs"]
    assert 1 <= stopped <= 3
    scale_of(log, DATA, SCALE.model_copy(update={"max_epochs": 2}), Execution(), tmp_path)
    assert [task.model for task in trained[8:]] == ["gru"] * 4


def test_too_few_sessions_are_one_sentence(log, tmp_path):
    with pytest.raises(StudyError, match=r"asks for 90 sessions .* the log has 100: lower 'grid\.scale\.sessions'"):
        scale_of(log, DATA, SCALE.model_copy(update={"sessions": [90]}), Execution(), tmp_path)
