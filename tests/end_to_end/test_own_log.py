"""A log of one's own: declared once, with a page about nothing else; and by `--only 03` with two splits and an ablation."""

import ast
import json
import re

import nbformat
import numpy as np
import pandas as pd
import yaml
from bs4 import BeautifulSoup

from studylib.models.files import load
from studylib.outputs import TABLES
from studylib.params.files import load_params
from studylib.runner import run_study
from studylib.verify import works_of

TINY = {"model": "gru4rec", "embedding": 8, "hidden": 8, "max_epochs": 1, "negatives": 20}


def write_study(folder, **ranking):
    random = np.random.default_rng(0)
    visitors = np.repeat(np.arange(300), 6)
    clicks = {"visitor": visitors, "page": random.integers(0, 40, 1800), "at": random.integers(0, 10**6, 1800)}
    pd.DataFrame(clicks).to_csv(folder / "clicks.csv", index=False)
    log = {"reader": "events", "path": str(folder / "clicks.csv"), "user": "visitor", "item": "page", "time": "at"}
    datasets = [{"name": "shop", **log}, {"name": "later", "split": "temporal", **log}]
    ranking = {"datasets": datasets, "candidates": 20, "history": 5, **ranking}
    (folder / "own.yaml").write_text(yaml.safe_dump({"name": "own", "ranking": ranking}))
    return folder / "own.yaml"


def said(reports):
    notebook = nbformat.read(reports / "own" / "notebooks" / "03_ranking_evaluation.ipynb", 4)
    outputs = [output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    return "\n".join(BeautifulSoup(data.get("text/html", ""), "html.parser").get_text() for data in outputs)


PAPERS = ("Toledo", "Rezende", "Shrimal", "Patil", "Amazon", "Grocery", "MovieLens", "Yelp", "claim", "live-streaming")


def test_a_log_that_is_declared_once_has_a_page_about_itself_alone(tmp_path, without_kernels, capsys):
    write_study(tmp_path)
    log = {"reader": "events", "path": str(tmp_path / "clicks.csv"), "user": "visitor", "item": "page", "time": "at"}
    (tmp_path / "shop.yaml").write_text(
        yaml.safe_dump({"data": log, "ranking": {"models": ["popularity", "markov", TINY], "candidates": 20}})
    )
    page = run_study(load_params(tmp_path / "shop.yaml"), reports=tmp_path, file=tmp_path / "shop.yaml")
    assert "3 trainings of the ranking" in capsys.readouterr().err
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    assert soup.find("h1").get_text(" ", strip=True) == "Which model for this log? (shop)"
    tried = json.loads(soup.select_one(".recommender script").string)
    assert tried["items"] == [str(page) for page in range(40)], "the network of the page has the items of the log"
    commands = [code.get_text() for code in soup.select("footer .commands code")]
    assert f"studylib run {tmp_path / 'shop.yaml'}" in commands
    for code in soup.select("script, style, details"):
        code.decompose()
    words = soup.get_text(" ")
    assert not [name for name in PAPERS if name in words]
    head = soup.select_one("main").get_text(" ")[:900]
    assert "Use " in head and "more than popularity" in head and "network" in head and str(tmp_path) not in head
    folder = tmp_path / "shop"
    assert {path.name for path in folder.glob("*.csv")} == set(TABLES["05"]) and not (folder / "cells").exists()
    assert set(pd.read_csv(folder / "ranking.csv")["dataset"]) == {"shop"}
    assert "temporal" in words, "of a log with times the last events are judged"
    lines = next(block.get_text() for block in soup.select("pre") if "recommend" in block.get_text())
    session, file = re.search(r"recommend\((\[.*\]), k=10\)", lines)[1], re.search(r"load\('(.*)'\)", lines)[1]
    assert len(load(folder / "models" / file).recommend(ast.literal_eval(session), k=10)) == 10


def test_a_budget_is_spent_once(tmp_path, without_kernels, capsys):
    write_study(tmp_path)
    log = {"reader": "events", "path": str(tmp_path / "clicks.csv"), "user": "visitor", "item": "page", "time": "at"}
    ranking = {"models": ["popularity", "markov", TINY], "candidates": 20}
    study = {"data": log, "ranking": ranking, "budget": "3s", "execution": {"workers": 1}}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(study))
    folder, pages = tmp_path / "shop", []
    for _ in range(2):
        pages.append(run_study(load_params(tmp_path / "shop.yaml"), reports=tmp_path).read_text(encoding="utf-8"))
        said = capsys.readouterr().err
        assert re.search(r"shop: the budget of 3s gives gru4rec 3\.0 s \(an epoch takes \d+\.\d s, a training", said)
        made = {path: path.stat().st_mtime_ns for name in ("budget", "ranks") for path in (folder / name).iterdir()}
        if len(pages) == 1:
            first = made
    assert made == first and len(made) == 2 + 2 * 3, "nothing is timed, searched or trained again"
    of_budget = re.compile("What each network got of the budget of 3s")
    tables = [table for page in pages for table in BeautifulSoup(page, "html.parser").find_all("table")]
    rows = [table.get_text() for table in tables if table.caption and of_budget.search(table.caption.get_text())]
    assert len(rows) == 2
    assert rows[0] == rows[1] and "GRU4Rec" in rows[0]
    works = works_of(load_params(tmp_path / "shop.yaml"), folder)
    assert all(work.kept() for work in works), "verify reads the settings that were selected"


def test_both_splits_and_an_ablation(tmp_path, without_kernels, capsys):
    plain = {key: value for key, value in TINY.items() if key != "model"}
    steps = [{"label": "plain", "loss": "bpr", **plain}, {"label": "cross-entropy", "loss": "cross-entropy"}]
    params = write_study(
        tmp_path,
        models=["popularity", "markov", TINY],
        seeds=[0, 1],
        ablation={"datasets": ["shop"], "steps": steps},
    )
    run_study(load_params(params), "03", tmp_path)
    assert "14 trainings of the ranking" in capsys.readouterr().err
    text = said(tmp_path)
    for words in (
        "after one date ",
        "the step that adds most is",
        "a standard deviation of",
        "before the target is 5+, the highest HR@10",
    ):
        assert words in text, words
    folder = tmp_path / "own"
    assert (folder / "figures" / "split-in-time-shop.svg").exists()
    assert len(pd.read_csv(folder / "ranking.csv")) == 2 * 3 * 2 * 3
    assert set(pd.read_csv(folder / "by_prefix_length.csv")["dataset"]) == {"shop", "later"}
    assert json.loads((folder / "provenance.json").read_text())["seeds"]


def test_several_windows_in_time(tmp_path, without_kernels):
    params = write_study(tmp_path, models=["popularity", "markov"])
    study = yaml.safe_load(params.read_text())
    study["ranking"]["datasets"][1]["windows"] = 2
    params.write_text(yaml.safe_dump(study))
    run_study(load_params(params), "03", tmp_path)
    text = said(tmp_path)
    assert "temporal, 2 windows" in text and "after one date " not in text
    table = pd.read_csv(tmp_path / "own" / "ranking.csv")
    assert len(table) == 2 * 2 * 3 and set(table["dataset"]) == {"shop", "later"}


def test_one_model_alone(tmp_path, without_kernels):
    run_study(load_params(write_study(tmp_path, models=["popularity"])), "03", tmp_path)
    text = said(tmp_path)
    assert ", the only model" in text
    assert "within a tenth of the higher mean. None." in text, "there is nothing to compare it with"
    (provenance,) = tmp_path.glob("*/provenance.json")
    data = json.loads(provenance.read_text())["data"]
    assert set(data) == {"shop", "later"}, "notebook 01 was not run here"
    assert all(facts["files"] and len(facts["split"]) == 64 for facts in data.values())
