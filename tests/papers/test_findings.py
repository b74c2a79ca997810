"""The findings at the head of the page: each is said where it holds, with the values that the results have, and only there."""

import json
import re
from dataclasses import replace
from importlib.resources import files

import nbformat
import pandas as pd
import yaml
from bs4 import BeautifulSoup

from studylib.papers.findings import VALUES, findings
from studylib.paths import project_root
from studylib.text import without_sources
from tests.papers.test_decisions import make_results, make_trained

SCALE = {"sessions": [10, 40], "test_sessions": 20, "models": ["markov", "gru4rec"]}


def said(results):
    return [str(without_sources(finding.words)) for finding in findings(results)]


def make(accuracy=lambda cell: 0.2, measured=None, **sections):
    ranking = {"datasets": ["synthetic", {"dataset": "synthetic", "name": "other"}], **sections.pop("ranking", {})}
    grid = {"architectures": ["lstm", "gru"], "scale": SCALE}
    results = make_results(make_trained(accuracy).assign(split="a"), ranking=ranking, grid=grid, **sections)
    columns = ["dataset", "model", "protocol", "metric", "mean", "low", "high"]
    pairs = pd.DataFrame(columns=["dataset", "protocol", "higher", "lower", "p"])
    scale = pd.DataFrame(columns=["model", "sessions", "measure", "mean", "low", "high"])
    rows = [(d, m, p, "ndcg@10", v, v - 0.01, v + 0.01) for d, m, p, v in measured or []]
    return replace(results, measured=pd.DataFrame(rows, columns=columns), differences=pairs, scale=scale)


def test_networks_that_do_not_beat_counting():
    first, *rest = said(make(lambda cell: 0.2))  # the best baseline has 0.35
    assert (
        "do not beat counting" in first
        and "Markov is right in 35.0%" in first
        and "by the mean over their seeds: 0 of 24; the most accurate setting differs from Markov by -15.00 points, and 0 are"
        in first
        and not rest
    )
    assert said(make(lambda cell: 0.4)) == []


def test_the_numbers_of_a_finding_say_the_row_that_they_are_from():
    (finding,) = findings(make(lambda cell: 0.2))
    numbers = BeautifulSoup(finding.words, "html.parser").select("span.number")
    found = {number.get_text(): (number["data-table"], json.loads(number["data-row"])) for number in numbers}
    assert found["35.0%"] == ("grid", [["architecture", "markov"]])
    assert re.search(r"\d", re.sub(r"<[^>]*>", "", finding.words)) and "span" not in finding.heading
    left = BeautifulSoup(finding.words, "html.parser")
    for number in left.select("span.number"):
        number.decompose()
    assert not re.search(r"\d", left.get_text()), "every number of it has a source"


def test_what_more_sessions_change():
    def results(*means):
        rows = [
            (model, sessions, "accuracy", mean, mean - 0.01, mean + 0.01)
            for (model, sessions), mean in zip(
                [("gru", 10), ("gru4rec", 10), ("markov", 10), ("gru", 40), ("gru4rec", 40), ("markov", 40)],
                means,
                strict=True,
            )
        ]
        found = make(lambda cell: 0.4)
        return replace(found, scale=pd.DataFrame(rows, columns=found.scale.columns))

    (sentence,) = said(results(0.1, 0.09, 0.12, 0.2, 0.25, 0.15))
    assert (
        "Trained on 10 sessions, the best network (GRU) is right in 10.0% of 20 later ones and the best counted"
        in sentence
    )
    assert "the best network (GRU4Rec) is right in 25.0% and the best counted model (Markov) in 15.0%" in sentence
    (finding,) = findings(results(0.1, 0.09, 0.12, 0.2, 0.25, 0.15))
    assert "clearly more accurate than counting are 40, of the 10 to 40" in without_sources(finding.choosing)
    assert said(results(0.1, 0.09, 0.12, 0.16, 0.16, 0.15)) == [], "the intervals overlap"
    assert said(results(0.2, 0.09, 0.02, 0.2, 0.25, 0.15)) == [], "the lead was larger with few"


WINNERS = [
    ("synthetic", "markov", "full", 0.3), ("synthetic", "gru4rec", "full", 0.4),
    ("synthetic", "markov", "sampled-99", 0.6), ("synthetic", "gru4rec", "sampled-99", 0.5),
]  # fmt: skip


def test_winners_of_data_sets_and_of_protocols():
    alone = said(make(lambda cell: 0.4, WINNERS))
    assert len(alone) == 1 and "of 1 of 1 data sets: on the generated log from GRU4Rec to Markov" in alone[0]
    results = make(lambda cell: 0.4, WINNERS)
    better = pd.DataFrame([("synthetic", "full", "gru4rec", "markov", 0.01)], columns=results.differences.columns)
    leader, _ = said(replace(results, differences=better))
    assert "GRU4Rec ranks the next item highest" in leader and "better than 1 of 1 other" in leader
    other = [("other", m, p, v) for (_, m, p, _), v in zip(WINNERS, [0.5, 0.1, 0.7, 0.2], strict=True)]
    winners, sampling = said(make(lambda cell: 0.4, WINNERS + other))
    assert "GRU4Rec on the generated log (0.400 [0.390, 0.410]), Markov on other (0.500" in winners
    assert "of 1 of 2 data sets: on the generated log from" in sampling
    shuffled = [("synthetic", "markov", "shuffled", 0.9), ("synthetic", "gru4rec", "shuffled", 0.1)]
    assert said(make(lambda cell: 0.4, WINNERS + shuffled)) == alone


def test_recurrent_layers_beside_one_another():
    layers = [{"model": "gru4rec", "label": cell, "cell": cell} for cell in ("gru", "lstm", "hybrid")]
    ranking = {"models": ["markov", *layers]}

    def sentences(*p_values):
        pairs = [("gru", "lstm"), ("gru", "hybrid"), ("lstm", "hybrid"), ("gru", "markov")]
        rows = [
            ("synthetic", protocol, *pair, p)
            for protocol in ("full", "sampled-99")
            for pair, p in zip(pairs, p_values, strict=True)
        ]
        results = make(lambda cell: 0.4, WINNERS, ranking=ranking)
        found = said(replace(results, differences=pd.DataFrame(rows, columns=results.differences.columns)))
        return [sentence for sentence in found if "recurrent layer" in sentence]

    (sentence,) = sentences(0.01, 0.2, 0.3, 0.001)
    assert "GRU is significantly behind no other on any data set" in sentence
    assert sentence.endswith("(after Holm's correction): 1 of 3 (GRU above LSTM on the generated log).")
    assert "LSTM is significantly behind no other" in sentences(0.2, 0.2, 0.01, 0.001)[0]
    assert sentences(0.1, 0.2, 0.3, 0.001) == [], "none differs from another"


def test_networks_after_one_date():
    later = {"dataset": "synthetic", "split": "temporal", "name": "later"}
    ranking = {"datasets": ["synthetic", later], "models": ["markov", "popularity", "gru4rec"]}

    def sentences(markov, p):
        values = {("synthetic", "gru4rec"): 0.4, ("synthetic", "markov"): 0.3, ("later", "gru4rec"): 0.2}
        values |= {("later", "markov"): markov, ("synthetic", "popularity"): 0.1, ("later", "popularity"): 0.1}
        measured = [(*key, protocol, value) for key, value in values.items() for protocol in ("full", "sampled-99")]
        results = make(lambda cell: 0.4, measured, ranking=ranking)
        pair = pd.DataFrame([("later", "full", "markov", "gru4rec", p)], columns=results.differences.columns)
        results = replace(results, measured=results.measured.assign(n=9), differences=pair)
        return [sentence for sentence in said(results) if "future" in sentence]

    (sentence,) = sentences(0.3, 0.01)
    assert (
        "on the generated log the best network (GRU4Rec) has 0.2000 and the best other model (Markov) 0.3000, where leaving out "
        "the last event of every session gives 0.4000 and 0.3000. " in sentence
    )
    assert sentence.endswith("significant (after Holm's correction): 1 of 1.")
    assert sentences(0.3, 0.2) == sentences(0.1, 0.01) == [], "no significant difference; the network is ahead"


def test_what_the_order_of_the_file_changes():
    drawn = {"dataset": "synthetic", "equal_times": "drawn"}
    ranking = {"datasets": [drawn, {"dataset": "synthetic", "name": "in file"}]}

    def sentences(of_markov):
        values = {
            ("synthetic", "gru4rec"): 0.4,
            ("synthetic", "markov"): 0.3,
            ("in file", "gru4rec"): 0.4,
            ("in file", "markov"): of_markov,
        }
        measured = [(*key, protocol, value) for key, value in values.items() for protocol in ("full", "sampled-99")]
        results = make(lambda cell: 0.4, measured, ranking=ranking)
        return said(replace(results, measured=results.measured.assign(n=9)))

    (sentence,) = sentences(of_markov=0.5)
    assert (
        "on the generated log GRU4Rec is best where events of the same time are put in a random order (0.4000)"
        in sentence
    )
    assert "Markov where they are left in that of the file (0.5000); pairs" in sentence
    assert sentence.endswith("significantly reversed by it: 0 of 0.")
    assert sentences(of_markov=0.3) == []


def test_a_finding_says_what_follows_and_heads_its_section():
    (finding,) = findings(make(lambda cell: 0.2))
    assert finding.heading.endswith("do not beat counting (settings above Markov: 0 of 24)")
    assert "Begin with Markov" in finding.choosing and finding.section == "02_grid_training.ipynb"


def test_the_sections_of_the_findings_are_in_the_notebooks():
    entries = yaml.safe_load((files("studylib.papers") / "findings.yaml").read_text(encoding="utf-8"))
    for entry in entries:
        name, _, anchor = entry["section"].partition("#")
        cells = nbformat.read(project_root() / "notebooks" / name, 4).cells
        words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert not anchor or anchor in {h.replace(" ", "-") for h in re.findall(r"^## (.+)$", words, flags=re.M)}


def test_every_finding_has_its_values():
    assert [finding.figure for finding in findings(make())] == ["best-cells"]
    assert set(VALUES) == {"counting", "scale", "winners", "leader", "recurrent", "time", "sampling", "ties", "twice"}
