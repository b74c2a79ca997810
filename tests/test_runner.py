"""What a run says before it begins; the runs themselves are in `tests/end_to_end/`."""

import json
import sys

import pytest

from studylib import runner
from studylib.errors import StudyError
from studylib.params.files import study_params
from studylib.paths import project_root
from studylib.runner import what_to_train


def test_the_steps_of_an_ablation_and_the_network_of_the_page_are_trainings_too(tmp_path):
    ranking = {"models": ["popularity", "markov"], "seeds": [0, 1]}
    assert what_to_train(study_params({"ranking": ranking}), "03", tmp_path).startswith("4 trainings of the ranking")
    steps = [{"label": "one"}, {"label": "two", "hidden": 8}, {"label": "three", "hidden": 9}]
    ranking["ablation"] = {"datasets": ["synthetic"], "steps": steps}
    assert what_to_train(study_params({"ranking": ranking}), "03", tmp_path).startswith("7 trainings of the ranking")
    ranking["recommender"] = {"dataset": "synthetic", "name": "shop"}
    assert what_to_train(study_params({"ranking": ranking}), "03", tmp_path).startswith("8 trainings of the ranking")


@pytest.fixture
def executed(tmp_path):
    """The notebooks' folder of a study of which 02 was run."""
    folder = tmp_path / "quickstart" / "notebooks"
    folder.mkdir(parents=True)
    (folder.parent / "grid.csv").write_text("accuracy\n0.25\n")
    state = runner._state("02", folder, study_params({}))
    (folder / "02_grid_training.json").write_text(json.dumps(state))
    return folder


def test_a_notebook_belongs_to_its_params_and_its_tables(executed):
    assert runner._is_current("02", executed, study_params({}))
    assert not runner._is_current("02", executed, study_params({"grid": {"units": 5}}))
    assert runner._is_current("02", executed, study_params({"ranking": {"history": 5}})), "which 02 does not look at"
    (executed.parent / "grid.csv").write_text("accuracy\n0.26\n")
    assert not runner._is_current("02", executed, study_params({}))
    with pytest.raises(StudyError, match="a table have changed since notebook 02_grid_training was run: run that one"):
        runner._refuse_what_cannot_run(study_params({}), "04", executed)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"durations in seconds": 3}', b"[" * 100_000])
def test_a_damaged_provenance_ends_no_run(executed, content):
    for name in ("provenance.json", "data.json"):
        (executed.parent / name).write_bytes(content)
    (executed / "02_grid_training.json").write_bytes(content)
    assert runner._read_durations(executed.parent) == {}
    assert runner._data_facts(study_params({}), executed.parent) == {}
    assert not runner._is_current("02", executed, study_params({}))


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ("study.yaml", "studylib run params/study.yaml"),
        (project_root() / "params" / "study.yaml", "studylib run params/study.yaml"),
        ("../../elsewhere/my study.yaml", "studylib run '../../elsewhere/my study.yaml'"),
        ("/elsewhere/study.yaml", "studylib run /elsewhere/study.yaml"),
    ],
)
def test_the_page_names_the_params_file_that_was_used(monkeypatch, given, command):
    monkeypatch.chdir(project_root() / "params")
    assert runner._command(given) == command


def test_a_params_file_that_was_copied_with_its_name_asks_for_another(monkeypatch):
    monkeypatch.setattr(runner, "_run", lambda *arguments: pytest.fail("it went on"))
    with pytest.raises(StudyError, match=r"^name: quickstart: reports/quickstart has the results of params/quickstart"):
        runner.run_study(study_params({"seed": 3}), reports=project_root() / "reports")


def test_a_budget_without_its_extra_is_refused_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    log = {"reader": "events", "path": "clicks.csv", "user": "visitor", "item": "page"}
    params = study_params({"name": "shop", "data": log, "budget": "20 min"})
    with pytest.raises(StudyError, match=r"pip install 'studylib\[tune\]'"):
        runner.run_study(params, reports=tmp_path)
    assert list(tmp_path.iterdir()) == []
