"""A log of one's own with times, by `--only 03`: one split in time as well, an ablation, and one model with no other."""

import json

import nbformat
import numpy as np
import pandas as pd
import yaml
from bs4 import BeautifulSoup

from studylib.params.files import load_params
from studylib.runner import run_study

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


def test_one_model_alone(tmp_path, without_kernels):
    run_study(load_params(write_study(tmp_path, models=["popularity"])), "03", tmp_path)
    text = said(tmp_path)
    assert ", the only model" in text
    assert "within a tenth of the higher mean. None." in text, "there is nothing to compare it with"
    (provenance,) = tmp_path.glob("*/provenance.json")
    data = json.loads(provenance.read_text())["data"]
    assert set(data) == {"shop", "later"}, "notebook 01 was not run here"
    assert all(facts["files"] and len(facts["split"]) == 64 for facts in data.values())
