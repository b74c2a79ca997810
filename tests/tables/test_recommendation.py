"""Which model is recommended, and in what words."""

import pandas as pd
import pytest

from studylib.params.study import Ranking
from studylib.tables.recommendation import NETWORKS, Gain, recommendations

MODELS = ["popularity", "markov", "item-knn", "gru4rec", "sasrec"]


def recommended(means, significant, models=MODELS):
    """The recommendation where NDCG@10 and HR@10 are ``means`` and these pairs (higher, lower) differ significantly."""
    measured = pd.DataFrame(
        [("shop", m, "full", metric, means[m]) for m in models for metric in ("ndcg@10", "hr@10")],
        columns=["dataset", "model", "protocol", "metric", "mean"],
    )
    ordered = sorted(models, key=lambda m: -means[m])
    rows = []
    for place, higher in enumerate(ordered):
        for lower in ordered[place + 1 :]:
            difference = means[higher] - means[lower]
            p = 0.01 if (higher, lower) in significant else 0.2
            rows.append(("shop", "full", higher, lower, difference, difference - 0.01, difference + 0.02, p))
    pairs = pd.DataFrame(rows, columns=["dataset", "protocol", "higher", "lower", "difference", "low", "high", "p"])
    (found,) = recommendations(Ranking(models=models), pairs, pairs, measured)
    return found


MEANS = {"popularity": 0.1, "markov": 0.3, "item-knn": 0.28, "gru4rec": 0.32, "sasrec": 0.2}
OVER_POPULARITY = {(m, "popularity") for m in ("markov", "item-knn", "gru4rec", "sasrec")}
BEHIND = {(m, "sasrec") for m in ("markov", "item-knn", "gru4rec")}


def test_a_counted_model_is_recommended_where_no_network_is_shown_to_be_better():
    found = recommended(MEANS, OVER_POPULARITY | BEHIND)
    assert (found.model, found.best, found.networks) == ("markov", "gru4rec", "not shown")
    assert found.level == ["markov", "item-knn"] and found.hits == pytest.approx(30)
    assert found.gains == [Gain("popularity", *map(pytest.approx, (0.2, 0.19, 0.22)))]
    assert found.gains[0].hits == "20.0 [19.0, 22.0]"


def test_a_network_is_recommended_where_it_is_better_than_every_counted_model():
    ahead = {("gru4rec", "markov"), ("gru4rec", "item-knn")}
    found = recommended(MEANS, OVER_POPULARITY | BEHIND | ahead)
    assert (found.model, found.best, found.networks, found.level) == ("gru4rec", "gru4rec", "worth", [])
    assert [gain.over for gain in found.gains] == ["popularity", "markov"]
    almost = recommended(MEANS, OVER_POPULARITY | BEHIND | {("gru4rec", "markov")})
    assert (almost.model, almost.networks) == ("item-knn", "not shown")


def test_networks_that_are_behind_and_studies_without_any():
    means = MEANS | {"gru4rec": 0.15}
    behind = {("markov", "gru4rec"), ("markov", "sasrec"), ("markov", "popularity")}
    assert recommended(means, behind).networks == "behind"
    assert recommended(MEANS, OVER_POPULARITY, ["popularity", "markov"]).networks == "none"
    assert recommended(MEANS, set(), ["gru4rec"]).networks == "only"
    worse = recommended(MEANS | {"popularity": 0.4}, set(), ["popularity", "markov"])
    assert worse.model == "popularity" and worse.gains == [Gain("markov", *map(pytest.approx, (0.1, 0.09, 0.12)))]
    assert set(NETWORKS) == {"worth", "not shown", "behind", "none", "only"}
