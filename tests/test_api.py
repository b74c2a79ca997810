"""The library as people write it: `import studylib as sl`."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

import studylib as sl
from studylib import api, kept, models
from studylib.comparison import compare
from studylib.errors import LONGEST
from studylib.models.base import Recommender
from studylib.params.models import MODELS, Gru4Rec, Markov
from studylib.params.study import Execution, Ranking
from studylib.paths import project_root


def clicks(n=200, seed=0):
    """Events of a small shop: 60 visitors who mostly go on to the next of 12 pages."""
    random = np.random.default_rng(seed)
    visitor = np.sort(random.integers(0, 60, n * 4))
    steps = np.where(random.random(n * 4) < 0.7, 1, random.integers(0, 12, n * 4))
    urls = np.array(["/cart", "/shoes", *(f"/{letter}" for letter in "abcdefghij")])
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(n * 4), unit="min")
    return pd.DataFrame({"visitor": visitor, "url": urls[np.cumsum(steps) % 12], "time": random.permutation(at)})


COLUMNS = {"user": "visitor", "item": "url", "time": "time"}


@pytest.fixture
def here(monkeypatch):
    """Run the trainings in this process."""

    def in_this_process(function, tasks, execution, running):
        for task in tasks:
            yield task, function(task)

    monkeypatch.setattr(kept, "fan_out", in_this_process)


# read


def test_a_log_is_the_same_from_a_file_and_from_pandas_and_polars(tmp_path):
    frame = clicks()
    frame.to_parquet(tmp_path / "clicks.parquet")
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    logs = [sl.read(source, **COLUMNS) for source in (
        frame, frame.set_index("visitor").reset_index(), pl.DataFrame(frame), pl.LazyFrame(frame),
        tmp_path / "clicks.parquet", str(tmp_path / "clicks.parquet"), str(tmp_path / "clicks.csv"),
    )]  # fmt: skip
    assert {log.checksum for log in logs} == {logs[0].checksum} and len(logs[0]) == 60


def test_a_relative_path_starts_at_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "lines.txt").write_text("a|b|c\nb|c\n")
    monkeypatch.chdir(tmp_path)
    assert sl.read("lines.txt").vocabulary.tolist() == ["a", "b", "c"]


def test_rows_that_are_left_out_are_counted():
    frame = clicks()
    frame.loc[:2, "url"] = None
    log = sl.read(frame, min_length=5, **COLUMNS)
    assert log.drops[0].reason == "row without a user, an item or a time" and log.drops[0].events == 3
    assert any("fewer than 5" in drop.reason for drop in log.drops[1:])


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (clicks(), {"usr": "visitor"}, r"read\(\): unknown key 'usr'; did you mean 'user'\?"),
        (clicks(), {"item": "url"}, "the DataFrame: the reader 'parquet' needs the columns 'user' and 'item'"),
        (
            clicks(),
            COLUMNS | {"item": "page"},
            "the DataFrame: there is no column 'page'; the columns are 'visitor', 'url'",
        ),
        (clicks().assign(url=[[1]] * len(clicks())), COLUMNS, "the DataFrame: the column 'url' has the type List"),
        (clicks().assign(url=["a", 1] * 400), COLUMNS, "a column of mixed kinds: make all of it text"),
        (clicks().assign(time="soon"), COLUMNS, "the DataFrame: row 1 .* time.* 'soon'"),
        (["a", "b"], {}, r"\['a', 'b'\] is no log: give the path of a file, or a pandas or polars DataFrame"),
        ("absent.csv", {}, "absent.csv: there is no such file"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(source, options, said):
    with pytest.raises(sl.StudyError, match=said) as error:
        sl.read(source, **options)
    assert len(str(error.value)) <= LONGEST and "\n" not in str(error.value)


def test_a_gap_ends_a_session(tmp_path):
    frame = pd.DataFrame({"visitor": [1] * 4, "url": [*"abcd"], "at": [0, 60, 7200, 7260]})
    log = sl.read(frame, user="visitor", item="url", time="at", gap="30min")
    assert log.lengths.tolist() == [2, 2]


# evaluate


def test_evaluate_is_the_ranking_of_a_study(here, tmp_path):
    log = {"dataset": "synthetic", "synthetic": {"sessions": 150, "items": 40, "mean_length": 4}}
    entries = ["popularity", {"model": "markov", "label": "chain"}]
    study = compare(Ranking(datasets=[log], models=entries, candidates=9), Execution(), 0, tmp_path / "study").table
    table = sl.evaluate(sl.read("synthetic", synthetic=log["synthetic"]), entries, metrics=["ndcg@10", "hr@5"])
    assert table.columns.tolist() == ["model", "metric", "mean", "low", "high", "n"]
    whole = study[study["protocol"] == "full"].set_index("model")
    for row in table.to_dict("records"):
        assert row["mean"] == pytest.approx(whole.loc[row["model"], row["metric"]], abs=1e-12)
        assert row["low"] < row["mean"] < row["high"] and row["n"] == whole.loc[row["model"], "cases"]
    assert table["model"].tolist() == ["popularity", "popularity", "chain", "chain"]


def test_any_metric_and_several_windows_in_time(here):
    table = sl.evaluate(
        sl.read(clicks(), **COLUMNS), ["markov", "popularity"], "temporal", ["precision@3", "recall@3"], windows=2
    )
    assert table.columns.tolist() == ["model", "metric", "window", "mean", "low", "high", "n"]
    rows = table.set_index(["model", "metric", "window"]).sort_index()
    assert sorted(set(table["window"])) == ["1", "2", "all"]
    for model in ("markov", "popularity"):
        recall = rows.loc[(model, "recall@3")]
        assert rows.loc[(model, "precision@3", "all"), "mean"] == pytest.approx(recall.loc["all", "mean"] / 3)
        assert recall.loc["all", "n"] == recall.loc[["1", "2"], "n"].sum()
        pooled = (recall["mean"] * recall["n"]).loc[["1", "2"]].sum() / recall.loc["all", "n"]
        assert recall.loc["all", "mean"] == pytest.approx(pooled)


def test_what_is_kept_is_not_trained_again(here, tmp_path, monkeypatch):
    log = sl.read(clicks(), **COLUMNS)
    first = sl.evaluate(log, ["markov"], metrics="mrr", keep=str(tmp_path))
    monkeypatch.setattr(kept, "fan_out", lambda function, tasks, execution, running: iter([]) if not tasks else 1 / 0)
    pd.testing.assert_frame_equal(sl.evaluate(log, ["markov"], metrics="mrr", keep=tmp_path), first)
    [model] = tmp_path.glob("models/*.safetensors")
    assert len(sl.load(str(model)).recommend(["/cart"], k=3)) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"models": ["gru4rek"]}, "there is no model 'gru4rek'; did you mean 'gru4rec'"),
        ({"models": [{"model": "gru4rec", "hiden": 3}]}, "unknown key 'ranking.models.0.hiden'; did you mean 'hidden'"),
        ({"metrics": ["ndgc@10"]}, "There is no metric 'ndgc@10'"),
        ({"split": "temporel"}, "split: unknown value 'temporel'; did you mean 'temporal'"),
        ({"windows": 3}, "'windows' goes with 'split: temporal'"),
        ({"split": "temporal", "windows": 9}, "9 'windows' of 'test_fraction', .* leave nothing to train on"),
        ({"sedes": [1]}, "unknown key 'ranking.sedes'; did you mean 'seeds'"),
        ({"datasets": ["yelp"]}, "has no 'datasets', which is for studies"),
        ({"execution": {"wokers": 2}}, "unknown key 'execution.wokers'; did you mean 'workers'"),
        ({"log": clicks()}, r"takes a log, not 'DataFrame': studylib.read"),
        ({"log": sl.read(clicks(), user="visitor", item="url"), "split": "temporal"}, "needs times"),
    ],
)
def test_what_cannot_be_evaluated_is_a_sentence(arguments, said):
    with pytest.raises(sl.StudyError, match=said) as error:
        sl.evaluate(**({"log": sl.read(clicks(), **COLUMNS), "models": ["popularity"]} | arguments))
    assert len(str(error.value)) <= LONGEST and "the file" not in str(error.value)


def test_the_snippet_of_the_readme_runs_as_it_stands(here, tmp_path, monkeypatch):
    clicks().rename(columns={"time": "at"}).to_parquet(tmp_path / "clicks.parquet")
    readme = (project_root() / "README.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"^```python\n(import studylib as sl\n\nlog.*?)^```", readme, flags=re.M | re.S)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(snippet, names)
    result = names["result"]
    assert sorted(set(result["model"])) == ["gru4rec", "popularity", "session-knn"] and len(result) == 6
    assert ((result["low"] <= result["mean"]) & (result["mean"] <= result["high"])).all()
    [(item, score), *_] = names["model"].recommend(["/cart", "/shoes"], k=10, scores=True)
    assert item in clicks()["url"].tolist() and isinstance(score, float)
    many = names["model"].recommend_many(clicks(), "visitor", "url", "time", exclude_visited=False)
    assert set(many["visitor"]) == set(clicks()["visitor"])


# models


def test_every_model_has_a_name_in_the_package():
    assert all(hasattr(sl, entry.implementation.split(".")[1]) for entry in MODELS.values())
    assert set(sl._WHERE) <= set(dir(sl)) & set(sl.__all__)
    with pytest.raises(AttributeError, match="no attribute 'GRU5Rec'"):
        sl.GRU5Rec  # noqa: B018


def test_a_model_is_fitted_saved_and_loaded_by_paths_that_are_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = sl.Markov().fit(sl.read(clicks(), **COLUMNS))
    sl.save(model, "shop.safetensors")
    assert sl.load("shop.safetensors").recommend(["/cart", "/shoes"], k=4) == model.recommend(["/cart", "/shoes"], k=4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hiden": 3}, r"GRU4Rec: has no setting 'hiden'; did you mean 'hidden'\?"),
        ({"sed": 3}, r"GRU4Rec: has no setting 'sed'; did you mean 'seed'\?"),
        ({"hidden": 0}, r"GRU4Rec: hidden: .* 1 \(given: 0\)\."),
        ({"loss": "bpr-mx"}, r"GRU4Rec: loss: unknown value 'bpr-mx'; did you mean 'bpr-max'\?"),
        (
            {"batch_negatives": True, "negatives_of": "case"},
            r"GRU4Rec: 'batch_negatives' goes with 'negatives_of: batch'\.$",
        ),
    ],
)
def test_a_wrong_setting_is_a_sentence(settings, said):
    with pytest.raises(sl.StudyError, match=said):
        sl.GRU4Rec(**settings)


@pytest.mark.parametrize("log", [clicks(), "clicks.csv", [["a", "b"]], None])
def test_a_model_is_fitted_on_a_log_alone(log):
    with pytest.raises(sl.StudyError, match=r"fit\(\) takes a log, not '.*': fit\(studylib.read"):
        sl.Popularity().fit(log)


def test_what_a_class_lacks_is_said_before_it_trains(monkeypatch, here):
    class Half(Recommender):
        settings_class = Gru4Rec

        def _fit(self, train, validation):
            raise AssertionError("it trains")

        def score(self, prefixes): ...

    from studylib.models import baselines

    monkeypatch.setattr(baselines, "Markov", Half)
    lacking = (
        r"The class Markov of the model 'markov' lacks state\(\), restore\(\), settings_class = Markov: write it first"
    )
    with pytest.raises(sl.StudyError, match=lacking):
        models.build(Markov(), 20, 0, "cpu")
    with pytest.raises(sl.StudyError, match=lacking):
        sl.evaluate(sl.read(clicks(), **COLUMNS), ["markov"])


# the package

FRAMEWORKS = [
    "numpy",
    "pandas",
    "polars",
    "pydantic",
    "scipy",
    "tensorflow",
    "torch",
    "keras",
    "matplotlib",
    "papermill",
    "IPython",
]

IMPORTED = f"""
import json, os, sys, time
os.environ.pop("OMP_WAIT_POLICY", None)
started = time.process_time()
import studylib
seconds = time.process_time() - started
print(json.dumps([seconds, [name for name in {FRAMEWORKS} if name in sys.modules], os.environ["OMP_WAIT_POLICY"]]))
"""


def python(script, **environment):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | environment, cwd=project_root()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_import_is_quick_and_takes_no_framework():
    seconds, frameworks, waiting = json.loads(python(IMPORTED))
    assert seconds < 0.5 and frameworks == [] and waiting == "PASSIVE"


def test_the_documented_names_of_the_api_are_those_of_the_package():
    assert (sl.read, sl.evaluate) == (api.read, api.evaluate)
