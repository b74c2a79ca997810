"""The quickstart as a newcomer runs it: what it writes, that all of it comes out again, and a notebook by itself."""

import json
import re
import subprocess
import sys

import nbformat
import pandas as pd
from bs4 import BeautifulSoup

from studylib import comparison, grid
from studylib.data.synthetic import item_name
from studylib.evaluation import claims
from studylib.params.files import load_params
from studylib.paths import project_root
from studylib.runner import what_to_train
from tests.end_to_end.conftest import environment

PAPERMILL = [sys.executable, "-m", "papermill"]
PARAMS = project_root() / "params" / "quickstart.yaml"


def test_it_ends_well_and_names_the_page(quickstart):
    reports, done = quickstart
    assert done.code == 0, done.err
    assert done.out.strip().splitlines()[-1] == str(reports / "quickstart.html")
    assert (reports / "quickstart.html").stat().st_size > 100_000
    assert "Traceback" not in done.err and "unknown parameter" not in done.err
    assert len(done.err.splitlines()) < 60, "the progress floods a log file"


def test_no_import_says_anything_in_a_notebook(quickstart):
    for path in (quickstart[0] / "quickstart" / "notebooks").glob("*.ipynb"):
        first = next(
            cell for cell in nbformat.read(path, 4).cells if "import " in cell.source and cell.cell_type == "code"
        )
        assert not first.outputs, (path.name, first.outputs)


def test_every_column_of_the_tables_is_filled(quickstart):
    folder = quickstart[0] / "quickstart"
    cells = pd.read_csv(folder / "grid.csv")
    assert list(cells.columns) == grid.COLUMNS and len(cells) == 6 and not cells.isna().any().any()
    assert (cells["status"] == "ok").all()
    ranking = pd.read_csv(folder / "ranking.csv")
    assert list(ranking.columns) == comparison.COLUMNS and len(ranking) == 9 and not ranking.isna().any().any()
    assert list(pd.read_csv(folder / "claims.csv").columns) == [
        *claims.COLUMNS,
        *claims.WITHOUT_COLLAPSED,
        claims.FAMILY_WISE,
    ]
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


def test_the_network_of_the_generated_shop_is_in_the_page(quickstart):
    page = BeautifulSoup((quickstart[0] / "quickstart.html").read_text(encoding="utf-8"), "html.parser")
    figure = page.select_one("#fig-recommender")
    tried = json.loads(figure.select_one(".recommender[hidden] script").string)
    assert tried["items"] == [item_name(item) for item in range(100)] and tried["history"] == 20
    said = figure.figcaption.get_text()
    assert "The shop is generated" in said and re.search(r"of 4,\d{3} test cases, \d+% keep their ten", said)


def test_a_notebook_runs_by_itself_from_anywhere_and_trains_nothing_twice(quickstart, tmp_path):
    """By papermill with a params file, of which it warns of nothing, in a folder not the project's."""
    folder = quickstart[0] / "quickstart"
    kept = {path: path.stat().st_mtime_ns for name in ("cells", "ranks") for path in (folder / name).iterdir()}
    assert what_to_train(load_params(PARAMS), "02", folder).startswith("6 cells of the grid (6 kept)")
    notebook = project_root() / "notebooks" / "02_grid_training.ipynb"
    done = subprocess.run(
        [*PAPERMILL, notebook, tmp_path / "out.ipynb", "-f", PARAMS],
        cwd=tmp_path,
        env=environment(STUDYLIB_REPORTS=str(quickstart[0])),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and "nknown parameter" not in done.stderr, done.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert set((folder / "cells").iterdir()) <= set(kept)
