"""The quickstart as a newcomer runs it: what it writes, that it writes it again, and the notebooks by themselves."""

import json
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pandas as pd

from studylib import comparison, grid
from studylib.evaluation import claims
from studylib.params.files import load_params
from studylib.paths import project_root
from studylib.runner import what_to_train
from tests.end_to_end.conftest import environment

PAPERMILL = [sys.executable, "-m", "papermill"]
PARAMS = project_root() / "params" / "quickstart.yaml"
NOTEBOOKS = sorted((project_root() / "notebooks").glob("*.ipynb"))


def test_it_ends_well_and_names_the_page(quickstart):
    reports, done = quickstart
    assert done.code == 0, done.err
    assert done.out.strip().splitlines()[-1] == str(reports / "quickstart.html")
    assert (reports / "quickstart.html").stat().st_size > 100_000
    assert "Traceback" not in done.err and "unknown parameter" not in done.err
    assert len(done.err.splitlines()) < 60, "the progress floods a log file"


def test_every_column_of_the_tables_is_filled(quickstart):
    folder = quickstart[0] / "quickstart"
    cells = pd.read_csv(folder / "grid.csv")
    assert list(cells.columns) == grid.COLUMNS and len(cells) == 6 and not cells.isna().any().any()
    assert (cells["status"] == "ok").all()
    ranking = pd.read_csv(folder / "ranking.csv")
    assert list(ranking.columns) == comparison.COLUMNS and len(ranking) == 9 and not ranking.isna().any().any()
    assert list(pd.read_csv(folder / "claims.csv").columns) == [*claims.COLUMNS, *claims.WITHOUT_COLLAPSED]
    facts = json.loads((folder / "provenance.json").read_text())
    assert set(facts) >= {"commit", "versions", "data", "seeds", "machine", "durations in seconds"}
    assert len(facts["data"]["synthetic"]["split"]) == 64


def test_models_stand_between_popularity_and_the_best_possible(quickstart):
    ranking = pd.read_csv(quickstart[0] / "quickstart" / "ranking.csv").set_index(["protocol", "model"])
    for metric in ["hr@10", "ndcg@10", "mrr"]:
        full = ranking.loc["full", metric]
        assert full["popularity"] < full["markov"] < full["gru4rec"]


def test_the_executed_notebooks_have_text_tables_and_figures_and_no_errors(quickstart):
    for path in sorted((quickstart[0] / "quickstart" / "notebooks").glob("*.ipynb")):
        outputs = [o for c in nbformat.read(path, 4).cells if c.cell_type == "code" for o in c.outputs]
        assert not [o for o in outputs if o.output_type == "error"], path.name
        shown = [o["data"] for o in outputs if "data" in o]
        assert any(data.get("text/html", "").startswith("<p") for data in shown), path.name
        assert any("<table" in data.get("text/html", "") for data in shown), path.name
        assert any("<figure" in data.get("text/html", "") for data in shown), path.name


def test_a_second_run_trains_nothing_and_writes_the_same_from_anywhere(quickstart, tmp_path, monkeypatch):
    """The second run: each notebook by itself, with its defaults, in a folder that is not the project's; one of them by
    papermill with a params file, which warns of nothing.
    """
    folder = quickstart[0] / "quickstart"
    before = _contents(folder)
    kept = {
        path: path.stat().st_mtime_ns for name in ("cells", "ranks", "models") for path in (folder / name).iterdir()
    }
    assert what_to_train(load_params(PARAMS), "02", folder).startswith("6 cells of the grid (6 kept)")
    monkeypatch.setenv("STUDYLIB_REPORTS", str(quickstart[0]))
    by_papermill, *by_themselves = NOTEBOOKS
    done = subprocess.run(
        [*PAPERMILL, by_papermill, tmp_path / "out.ipynb", "-f", PARAMS],
        cwd=project_root(),
        env=environment(STUDYLIB_REPORTS=str(quickstart[0])),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and "nknown parameter" not in done.stderr, done.stderr
    for path in by_themselves:
        notebook = nbformat.read(path, 4)
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for name in ("cells", "ranks", "models"):
        assert set((folder / name).iterdir()) <= set(kept)
    assert _contents(folder) == before


def _contents(folder: Path) -> dict[str, bytes]:
    """Tables and figures, without durations and what is drawn from them."""
    files = [*folder.glob("*.csv"), *folder.glob("figures/*.svg")]
    files = [file for file in files if file.name != "training-times.svg"]
    return {
        file.name: file.read_bytes()
        if file.suffix == ".svg"
        else pd.read_csv(file).drop(columns="train_seconds", errors="ignore").to_csv().encode()
        for file in files
    }
