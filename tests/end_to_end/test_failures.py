"""What a user sees when something is wrong: one clear sentence, what was done so far, and no process left behind."""

import time

import nbformat
import pytest
import yaml

from studylib import runner
from studylib.errors import StudyError
from studylib.params.files import load_params
from studylib.params.study import StudyParams
from studylib.runner import check_results
from tests.end_to_end.conftest import studylib


def write(path, sections):
    path.write_text(yaml.safe_dump({"name": "broken", **sections}))
    return path


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"grid": {"epoch": [1]}}, ["broken.yaml", "grid.epoch", "did you mean 'epochs'?"]),
        ({"ranking": {"datasets": ["grocerry"]}}, ["There is no data set 'grocerry'; did you mean 'grocery'?"]),
        ({"ranking": {"candidates": 0}}, ["broken.yaml", "ranking.candidates", "greater than or equal to 1"]),
    ],
)
def test_a_wrong_params_file_is_one_sentence(tmp_path, sections, words):
    with pytest.raises(StudyError) as error:
        runner.run_study(load_params(write(tmp_path / "broken.yaml", sections)), reports=tmp_path)
    assert len(str(error.value).splitlines()) == 1
    assert all(word in str(error.value) for word in words)


def test_the_command_ends_with_the_sentence_and_exit_code_1(tmp_path):
    done = studylib(write(tmp_path / "broken.yaml", {"data": {"dataset": "shop"}}), "--reports", tmp_path)
    assert done.code == 1 and len(done.err.strip().splitlines()) == 1
    assert done.err.startswith("studylib: There is no data set 'shop'")


def test_a_missing_log_stops_at_the_first_notebook_and_keeps_it(tmp_path):
    params = write(tmp_path / "broken.yaml", {"data": {"reader": "sequences", "path": str(tmp_path / "none.csv")}})
    with pytest.raises(StudyError, match=r"none\.csv: there is no such file") as error:
        runner.run_study(load_params(params), reports=tmp_path)
    kept = tmp_path / "broken" / "notebooks" / "05_own_log.ipynb"
    assert str(kept) in str(error.value) and "Traceback" not in str(error.value)
    errors = [
        o for c in nbformat.read(kept, 4).cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"
    ]
    assert [error.ename for error in errors] == ["StudyError"]
    assert not (tmp_path / "broken" / "notebooks" / "02_grid_training.ipynb").exists()


def test_an_error_of_the_code_is_shown_in_a_few_lines(tmp_path, monkeypatch):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("name = ''"), nbformat.v4.new_code_cell("1 / 0")]
    )
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "01_eda.ipynb")
    monkeypatch.setattr(runner, "project_root", lambda: tmp_path)
    with pytest.raises(StudyError) as error:
        runner.run_study(StudyParams(), reports=tmp_path / "reports")
    lines = str(error.value).splitlines()
    assert lines[0] == "notebook 01_eda failed in cell 3 with ZeroDivisionError:" and len(lines) < 10
    assert any("1 / 0" in line for line in lines)
    assert str(tmp_path / "reports" / "quickstart" / "notebooks" / "01_eda.ipynb") in lines[-1]


def test_a_fresh_run_forgets_what_is_kept_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_execute", lambda *_: (_ for _ in ()).throw(StudyError("stop here")))
    for only, gone in (("02", {"cells"}), ("03", {"ranks", "models"})):
        for folder in ("cells", "ranks", "models", "figures"):
            (tmp_path / "quickstart" / folder).mkdir(parents=True, exist_ok=True)
        with pytest.raises(StudyError, match="stop here"):
            runner.run_study(StudyParams(), only, tmp_path, fresh=True)
        left = {folder.name for folder in (tmp_path / "quickstart").iterdir() if folder.is_dir()}
        assert left == {"cells", "ranks", "models", "figures", "notebooks"} - gone


def test_a_notebook_without_its_input_says_which_one_to_run_first(tmp_path):
    words = r"quickstart/grid\.csv is not there yet: run notebook 02_grid_training of this study first\."
    with pytest.raises(StudyError, match=words):
        runner.run_study(StudyParams(), "04", tmp_path)


def test_figures_of_other_params_are_refused_and_left_off_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_execute", lambda *_: None)
    monkeypatch.setattr(runner, "check_results", lambda *_: None)
    shown = []

    def write_report(pages, destination, *_):
        shown.append([page.stem for page in pages])
        return destination

    monkeypatch.setattr(runner, "write_report", write_report)
    runner.run_study(StudyParams(), reports=tmp_path)
    changed = StudyParams(grid={"epochs": [1]})
    with pytest.raises(StudyError, match="changed since notebook 02_grid_training was run"):
        runner.run_study(changed, "04", tmp_path)
    runner.run_study(changed, "02", tmp_path)
    assert shown == [
        [runner.NOTEBOOKS[number] for number in runner.notebooks_of(changed)],
        ["02_grid_training", "03_ranking_evaluation"],
    ]


@pytest.mark.parametrize("execution", [{"device": "cuda"}, {"keras_backend": "jax"}])
def test_what_this_machine_lacks_is_refused_before_anything_starts(tmp_path, monkeypatch, execution):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jax" else name)
    with pytest.raises(StudyError, match=r"^execution\.\w+: .* use "):
        runner.run_study(StudyParams(execution=execution), reports=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_notebook_is_judged_by_what_it_wrote(tmp_path):
    folder = tmp_path / "quickstart"
    folder.mkdir()
    with pytest.raises(StudyError, match=r"02_grid_training ended without an error but did not write .*grid\.csv"):
        check_results("02", StudyParams(), folder, since=0)
    (folder / "grid.csv").write_text("architecture\nlstm\n")
    with pytest.raises(StudyError, match=r"wrote 1 rows to .*; the params ask for 6"):
        check_results("02", StudyParams(), folder, since=0)
    with pytest.raises(StudyError, match="did not write"):
        check_results("02", StudyParams(), folder, since=time.time() + 60)
