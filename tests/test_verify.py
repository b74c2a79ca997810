"""What `studylib verify` says of a file, of a training, and which trainings it draws; the command itself is in `end_to_end`."""

import itertools
import json
import time
from types import SimpleNamespace

import pytest

from studylib.errors import StudyError
from studylib.kept import Result, Store, Work
from studylib.params.files import study_params
from studylib.params.study import Execution
from studylib.verify import (
    NEAR,
    OTHER,
    SAME,
    STOPPED,
    Outcome,
    _chapters,
    _compared,
    compared,
    published_params,
    trained_again,
    turns,
    verify,
    works_of,
)


def test_the_network_of_the_page_is_verified_as_the_others_are(tmp_path):
    shop = {"dataset": "synthetic", "synthetic": {"sessions": 50, "items": 20}}
    ranking = {"datasets": [shop], "models": ["popularity"], "recommender": shop | {"name": "page"}, "candidates": 5}
    works = works_of(study_params({"ranking": ranking}), tmp_path)
    trainings = [(t.dataset, t.model) for work in works[1:] for t in work.names]
    assert trainings == [("synthetic", "popularity"), ("page", "gru4rec")]


@pytest.mark.parametrize(
    ("again", "outcome", "difference"),
    [
        (b"gru,64,0.25,-1e-05\n", SAME, 0),
        (b"gru,64,0.2500004,-1e-05\n", NEAR, 4e-7),
        (b"gru,64,0.26,-1e-05\n", OTHER, 0.01),
        (b"gru,64,0.25,1e-05\n", OTHER, 2e-5),
        (b"lstm,64,0.25,-1e-05\n", OTHER, None),
        (b"gru,64,0.25,\n", OTHER, None),
        (b"", OTHER, None),
    ],
)
def test_a_file_by_its_bytes_and_then_by_its_numbers(again, outcome, difference):
    found = _compared("grid.csv", b"gru,64,0.25,-1e-05\n", again)
    assert found.outcome == outcome and found.holds == (outcome in (SAME, NEAR))
    assert found.difference == pytest.approx(float("nan") if difference is None else difference, nan_ok=True)


def test_a_training_by_its_measures():
    nan = float("nan")
    assert compared("a", {"x": 0.5, "y": nan}, {"x": 0.5, "y": nan}) == Outcome("a", NEAR, 0.0)
    assert compared("a", {"x": 0.5, "y": 1.0}, {"x": 0.5, "y": 1.1}).difference == pytest.approx(0.1)
    for again in ({"x": nan, "y": 1.0}, {"x": 0.5, "z": 1.0}):
        assert not compared("a", {"x": 0.5, "y": 1.0}, again).holds


def test_every_training_has_its_turn_in_a_drawn_order(tmp_path):
    names = {(task, n): f"{task}{n}" for task in range(20) for n in (1, 2)}
    work = Work(Store(tmp_path / "cells", ""), names, lambda item: item[0], None, None, "cells", dict)
    found = list(turns([work, work], 3, seed=1))
    assert {number: sorted(itertools.chain(*(t for n, t in found if n == number))) for number in (0, 1)} == {
        number: list(range(20)) for number in (0, 1)
    }
    assert {len(tasks) for _, tasks in found} == {3, 2}
    assert found == list(turns([work, work], 3, 1)) != list(turns([work, work], 3, 2))


def test_a_sample_ends_in_its_time_and_what_takes_too_long_is_said(tmp_path, monkeypatch):
    def complete(work, execution):
        for n, name in work.names.items():
            time.sleep(0 if n % 2 else 1000)
            work.store.keep(name, Result({"x": n}))

    monkeypatch.setattr("studylib.verify.complete", complete)
    store = Store(tmp_path / "study" / "cells", "")
    work = Work(store, {n: str(n) for n in range(200)}, lambda n: n, None, None, "", lambda result: result.facts)
    for n in range(200):
        store.keep(str(n), Result({"x": n}, made={"train_seconds": 0.001}))  # on a much faster machine
    params = SimpleNamespace(execution=Execution(workers=1))
    outcomes = {o.what: o.outcome for o in trained_again(params, [work], 0.05, 0, tmp_path / "again")}
    assert list(outcomes.values()).count(STOPPED) >= 2, "one that takes too long leaves time for others"
    for what, outcome in outcomes.items():
        assert outcome == STOPPED or (outcome == NEAR and int(what.removeprefix("cells/")) % 2)


def test_what_is_trained_again_can_be_kept_and_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.setattr("studylib.verify.derived", lambda *arguments: iter([]))
    monkeypatch.setattr("studylib.kept.fan_out", lambda function, tasks, *_: ((task, function(task)) for task in tasks))
    trained = []

    def train(task, wanted):
        trained.append(task)
        return {item: Result({"x": task / 10}, made={"train_seconds": 1.0}) for item in wanted}

    store = Store(tmp_path / "study" / "cells", "02_grid_training")
    work = Work(store, {0: "a", 1: "b"}, lambda item: item, train, None, "cells", lambda result: dict(result.facts))
    for item, name in work.names.items():
        store.keep(name, Result({"x": item / 5}, made={"train_seconds": 1.0}))
    params = SimpleNamespace(execution=Execution(workers=1))
    monkeypatch.setattr("studylib.verify.published_params", lambda folder: params)
    monkeypatch.setattr("studylib.verify.works_of", lambda *arguments: [work])
    for _ in range(2):
        first, second = verify(tmp_path / "study", float("inf"), keep=tmp_path / "again")
        assert first == Outcome("cells/a", NEAR, 0.0) and second == Outcome("cells/b", OTHER, pytest.approx(0.1))
    assert trained == [0, 1] and (tmp_path / "again" / "made" / "b.json").exists()


def test_the_last_section_of_a_page_is_of_the_last_run(tmp_path):
    page = tmp_path / "study.html"
    of_the_run = '<code class="commit">0a1b</code>, with <code class="command">studylib run x</code>'
    page.write_text(f'<h2>A</h2><p>0.5</p>{of_the_run}<h2 id="again">How</h2><p>12 s</p>')
    assert _chapters(page) == b"<h2>A</h2><p>0.5</p>"


@pytest.mark.parametrize(
    "content", [None, "", "{}", "[]", json.dumps({"params": 3}), json.dumps({"params": {"seed": "x"}})]
)
def test_a_folder_that_is_none_of_a_study_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(StudyError):
        published_params(tmp_path)


def test_nothing_runs_where_a_kept_result_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("studylib.verify.run_study", lambda *arguments, **named: pytest.fail("it runs"))
    log = {"dataset": "synthetic", "synthetic": {"sessions": 60, "items": 20}}
    (tmp_path / "provenance.json").write_text(json.dumps({"params": {"data": log, "ranking": {"datasets": [log]}}}))
    with pytest.raises(StudyError, match="is not there yet: run notebook 02_grid_training"):
        list(verify(tmp_path, minutes=1))
