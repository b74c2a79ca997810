"""The numbers of the sentences, on tables made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd

from studylib.comparison import Comparison
from studylib.data.sessions import Sessions
from studylib.data.splits import leave_one_out
from studylib.params.study import Ranking
from studylib.tables.ranking import split_in_time
from studylib.tables.ranking_findings import (
    AblationGain,
    BestByProtocol,
    BestModel,
    BestOfGroup,
    FirstCase,
    HitShares,
    Loss,
    SeedSpread,
    ShareOfPossible,
    Ties,
    Verdicts,
    Versions,
    ablation_gains,
    best_by_protocol,
    best_models,
    best_of_groups,
    count_significant,
    count_verdicts,
    ends_of_groups,
    ends_of_losses,
    first_case,
    hit_shares,
    largest_losses,
    lists_beside,
    reversed_by_protocol,
    reversed_there,
    searched_enough,
    seed_spread,
    shares_of_possible,
    ties,
    versions,
)


def make_measured(means, n=50):
    """From (dataset, model, protocol) to the mean of NDCG@10."""
    rows = [(*key, "ndcg@10", mean, mean - 0.25, mean + 0.25, n) for key, mean in means.items()]
    return pd.DataFrame(rows, columns=["dataset", "model", "protocol", "metric", "mean", "low", "high", "n"])


def make_differences(*rows):
    return pd.DataFrame(rows, columns=["dataset", "protocol", "higher", "lower", "p"])


MEASURED = make_measured(
    {
        ("shop", "markov", "full"): 0.25,
        ("shop", "gru4rec", "full"): 0.5,
        ("shop", "popularity", "full"): 0.125,
        ("shop", "markov", "sampled-99"): 0.75,
        ("shop", "gru4rec", "sampled-99"): 0.625,
        ("shop", "popularity", "sampled-99"): 0.375,
        ("alone", "markov", "full"): 0.25,
    }
)
DIFFERENCES = make_differences(
    ("shop", "full", "gru4rec", "markov", 0.01),
    ("shop", "full", "gru4rec", "popularity", 0.2),
    ("shop", "full", "markov", "popularity", 0.001),
    ("shop", "sampled-99", "markov", "gru4rec", 0.001),
    ("shop", "shuffled", "popularity", "markov", 0.001),
)
GRU4REC = BestModel("shop", "gru4rec", 0.5, 0.25, 0.75, better_than=1, others=2)
ALONE = BestModel("alone", "markov", 0.25, 0.0, 0.5, better_than=0, others=0)


def test_the_best_model_and_how_many_it_is_significantly_better_than():
    assert best_models(MEASURED, DIFFERENCES) == [GRU4REC, ALONE]
    assert [best.lead for best in (GRU4REC, ALONE)] == ["better than 1 of 2 others", "the only model"]
    assert GRU4REC.reached == "0.500 [0.250, 0.750]"
    assert shares_of_possible([GRU4REC, ALONE], {"shop": 0.625}) == [ShareOfPossible("shop", "gru4rec", 0.8)]


def test_the_spread_of_the_seeds():
    rows = [
        ("shop", "a", "full", 0.25),
        ("shop", "a", "full", 0.75),
        ("shop", "b", "full", 0.2),
        ("shop", "b", "full", 0.2),
    ]
    table = pd.DataFrame(rows, columns=["dataset", "model", "protocol", "ndcg@10"])
    assert seed_spread(table) == [SeedSpread("shop", "a", float(np.sqrt(0.125)))]
    assert seed_spread(table.drop_duplicates("model")) == []


def test_the_best_under_both_protocols_and_opposite_pairs():
    of_shop = MEASURED[MEASURED["dataset"] == "shop"]
    assert best_by_protocol(of_shop) == [BestByProtocol("shop", "gru4rec", 0.5, 0.625, "markov", 0.75)]
    assert reversed_by_protocol(DIFFERENCES).to_numpy().tolist() == [["shop", "gru4rec", "markov"]]


def test_one_split_in_time():
    log = {"reader": "events", "path": "clicks.csv"}
    ranking = Ranking(datasets=[{"name": "shop", **log}, {"name": "later", "split": "temporal", **log}])
    measured = pd.concat(
        [MEASURED, make_measured({("later", "gru4rec", "full"): 0.125, ("later", "markov", "full"): 0.5}, n=7)]
    )
    differences = pd.concat([DIFFERENCES, make_differences(("later", "full", "markov", "gru4rec", 0.001))])
    later = BestModel("later", "markov", 0.5, 0.25, 0.75, better_than=1, others=1)
    assert versions(measured, differences, split_in_time(ranking)) == [Versions(GRU4REC, later, 7, reversed=1, pairs=3)]
    assert reversed_there(differences, "shop", "later").to_numpy().tolist() == [["shop", "gru4rec", "markov"]]
    assert versions(measured, differences, {}) == []


def test_the_largest_loss():
    rows = [("shop", "a", 0.1, 0.05, 0.15, 0.5), ("shop", "b", 0.2, 0.1, 0.3, 0.4), ("mall", "b", 0.0, 0.0, 0.0, 0.0)]
    order = pd.DataFrame(rows, columns=["dataset", "model", "lost", "low", "high", "share"])
    assert largest_losses(order) == [Loss("shop", "a", 0.5, 0.1, 0.05, 0.15)], "nothing is lost in the mall"
    ends = ends_of_losses(pd.concat([order, order.assign(dataset="third", share=0.2)]), "a")
    assert [(loss.dataset, loss.share) for loss in ends] == [("shop", 0.5), ("third", 0.2)]
    assert [loss.dataset for loss in ends_of_losses(order[order["dataset"] == "shop"], "a")] == ["shop"]


def test_the_best_of_the_first_and_the_last_group():
    rows = [
        ("shop", model, "hr@10", length, mean, mean - 0.25, mean + 0.25)
        for model, means in {"markov": (0.5, 0.25, 0.0), "gru4rec": (0.25, 0.75, 0.0)}.items()
        for length, mean in zip(("1", "2", "3+"), means, strict=True)
    ]
    columns = ["dataset", "model", "metric", "prefix_length", "mean", "low", "high"]
    curves = pd.DataFrame(rows, columns=columns).sort_values("prefix_length", kind="stable")
    assert best_of_groups(curves, "prefix_length") == [
        BestOfGroup("shop", "HR@10", "1", "Markov", 0.5, 0.25, 0.75),
        BestOfGroup("shop", "HR@10", "3+", "every model", 0.0, -0.25, 0.25),
    ]
    one_group = curves[(curves["prefix_length"] == "1") & (curves["model"] == "markov")]
    assert [best.models for best in best_of_groups(one_group, "prefix_length")] == ["Markov"]
    assert best_of_groups(curves.iloc[:0], "prefix_length") == []


def test_the_ends_of_the_groups_are_those_of_one_data_set():
    def best(dataset, group):
        return BestOfGroup(dataset, "HR@10", group, "Markov", 0.5, 0.25, 0.75)

    groups = [best("shop", "0"), best("one group", "0"), best("films", "0"), best("films", "50+")]
    assert ends_of_groups(groups) == [(groups[2], groups[3])]


def test_how_many_searches_were_still_rising():
    searches = {"rising": [0.5, 0.5, 0.5, 0.6], "flat": [0.2, 0.6, 0.6, 0.603], "one trial": [0.1]}
    rows = [("shop", model, n, best) for model, values in searches.items() for n, best in enumerate(values, 1)]
    found = searched_enough(pd.DataFrame(rows, columns=["dataset", "model", "trials", "best"]))
    assert (found.rising, found.searches) == (1, 3)


def test_the_step_that_adds_most():
    means = {"printed": 0.125, "BPR": 0.25, "rows": 0.75, "rate": 0.625}
    steps = make_measured({("shop", label, "full"): mean for label, mean in means.items()})
    assert ablation_gains(steps) == [AblationGain("shop", 0.125, 0.625, "rows", 0.5)]


def test_the_share_of_hits():
    rows = [("shop", "a", 0.5), ("shop", "b", 0.25), ("shop", "targets", 0.125)]
    bias = pd.DataFrame(rows, columns=["dataset", "model", "top_share"])
    (shares,) = hit_shares(bias)
    assert shares == HitShares("shop", 0.125, 0.5, "a", 0.25, "b") and shares.recommended == "50% with a and 25% with b"
    (equal,) = hit_shares(bias.assign(top_share=0.25))
    assert equal.recommended == replace(shares, highest=0.251).recommended == "25% with every model"
    (alone,) = hit_shares(bias[bias["model"] != "b"])
    assert alone.recommended == "50% with a"


def test_the_first_case():
    split = leave_one_out(Sessions.from_lists([["a", "b", "c"], ["b", "a", "d"]]))
    comparison = Comparison(
        pd.DataFrame(),
        {},
        {("synthetic", 0): split},
        {("synthetic", "markov"): [3, 0], ("synthetic", "popularity"): []},
    )
    ranking = Ranking(models=["popularity", "markov"], history=1, exclude_visited=True)
    assert first_case(comparison, ranking, "markov") == FirstCase(["b"], "c", "markov", ["d", "a"])
    assert first_case(comparison, Ranking(models=["popularity"]), "popularity").recommended == []


def test_lists_stand_beside_the_place_of_the_true_item():
    cases = [FirstCase(["b"], "c", "markov", ["d", "c"]), FirstCase(["b"], "c", "gru4rec", ["d", "a"])]
    table = lists_beside(cases)
    assert table["model"].tolist() == ["markov", "gru4rec"] and table["its first items"].tolist() == ["d, c", "d, a"]
    assert table["place of the true item"][0] == 2 and table["place of the true item"].isna().tolist() == [False, True]


def test_verdicts_and_how_many_differ_without_collapsed_cells():
    claims = pd.DataFrame(
        [
            ("reproduced", "reproduced", None, "reproduced"),
            ("undecided", "contradicted", "reproduced", "undecided"),
            ("contradicted", None, None, "contradicted"),
            ("reachable", None, None, "undecided"),
            ("undecided", "reachable", "reproduced", "undecided"),
            ("reproduced", "no cells left", None, "reproduced"),
            ("not tested", None, None, "not tested"),
        ],
        columns=["verdict", "verdict_without_collapsed", "verdict_with_collapsed", "verdict_family_wise"],
    )
    verdicts = count_verdicts(claims)
    assert verdicts == Verdicts(6, 2, 1, 1, 2, 1, stay=3, both_ways=4, differ=2) and verdicts.decided == 4
    assert (
        verdicts.changed == "2 of 4 verdicts on means over cells; the claims whose verdict changes count as undecided"
    )
    assert "0" not in replace(verdicts, both_ways=0, differ=0).changed


def test_who_is_best_where_targets_are_tied():
    kinds = ("a time of its own", "the time of the event before")
    rows = [
        ("days", model, metric, kind, mean, 0, 1, n)
        for metric, sign in (("hr@5", -1), ("ndcg@10", 1))
        for kind, n, means in (
            (kinds[0], 30, {"markov": 0.1, "gru4rec": 0.2}),
            (kinds[1], 10, {"markov": 0.4, "gru4rec": 0.3}),
        )
        for model, mean in {model: sign * mean for model, mean in means.items()}.items()
    ]
    table = pd.DataFrame(rows, columns=["dataset", "model", "metric", "target", "mean", "low", "high", "n"])
    assert ties(table) == [Ties("days", 0.25, tied="markov", untied="gru4rec")]
    assert ties(table.iloc[:0]) == []


def test_significant_pairs_are_those_against_the_whole_catalogue():
    pairs = pd.DataFrame({"protocol": ["full", "full", "sampled-99"], "p": [0.04, 0.06, 0.01]})
    assert count_significant(pairs) == 1
