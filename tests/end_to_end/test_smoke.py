"""Everything once on real data (params/smoke.yaml); needs $STUDYLIB_DATA."""

import pandas as pd

from tests.end_to_end.conftest import studylib


def test_smoke(data_root, tmp_path):
    done = studylib("params/smoke.yaml", "--reports", tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "smoke.html").exists()
    cells = pd.read_csv(tmp_path / "smoke" / "grid.csv")
    assert len(cells) == 18 and not cells.isna().any().any()
    ranking = pd.read_csv(tmp_path / "smoke" / "ranking.csv")
    assert len(ranking) == 18 and not ranking.isna().any().any()

    among_99 = ranking[ranking["protocol"] == "sampled-99"].set_index(["dataset", "model"])["hr@5"]
    grocery, movies = among_99["grocery"], among_99["ml-100k"]
    assert grocery["gru4rec"] >= 0.38 > grocery["markov"] > grocery["popularity"]
    assert movies["gru4rec"] > movies[["markov", "popularity"]].max()
