"""Everything once on real data: params/smoke.yaml, which needs $STUDYLIB_DATA."""

from pathlib import Path

import pandas as pd
import pytest

from studylib.params.files import load_params
from studylib.params.models import MODELS
from studylib.paths import project_root
from studylib.runner import run_study, what_to_train

PARAMS = project_root() / "params" / "smoke.yaml"


@pytest.fixture(scope="module")
def smoke(data_root, without_kernels, tmp_path_factory) -> Path:
    """The folder that the reports of the smoke study were written to."""
    reports = tmp_path_factory.mktemp("smoke")
    run_study(load_params(PARAMS), reports=reports)
    return reports


def test_all_that_it_trains_is_kept(smoke):
    assert what_to_train(load_params(PARAMS), None, smoke / "smoke").startswith(
        f"2 cells of the grid (2 kept) and {2 * len(MODELS)} trainings"
    )


def test_every_model_is_run():
    ranking = load_params(PARAMS).ranking
    assert {model.model for model in ranking.models} == set(MODELS)


def test_the_numbers_of_real_data_are_in_their_place(smoke):
    cells = pd.read_csv(smoke / "smoke" / "grid.csv")
    assert len(cells) == 2 and not cells.isna().any().any()
    ranking = pd.read_csv(smoke / "smoke" / "ranking.csv")
    assert len(ranking) == 2 * len(MODELS) * 3 and not ranking.isna().any().any()

    among_99 = ranking[ranking["protocol"] == "sampled-99"].set_index(["dataset", "model"])["hr@5"]
    grocery, clicks = among_99["grocery"], among_99["rsc15-100k"]
    assert grocery["gru4rec"] >= 0.36 > grocery["markov"] > grocery["popularity"]
    assert clicks["gru4rec"] > clicks[["markov", "popularity"]].max()


def test_its_page_is_one_file_under_8_mb(smoke):
    assert 100_000 < (smoke / "smoke.html").stat().st_size < 8_000_000
