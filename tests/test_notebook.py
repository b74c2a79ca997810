"""How a notebook shows its tables."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from studylib import notebook
from studylib.notebook import Study
from studylib.params.study import StudyParams


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """Display a table and parse it."""
    outputs = []
    monkeypatch.setattr(notebook, "display", outputs.append)

    def table(*arguments, **options):
        Study(StudyParams(), tmp_path).table(*arguments, **options)
        return BeautifulSoup(outputs[-1].data, "html.parser")

    return table


def texts(table):
    return [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


def test_numbers_have_the_digits_asked_for_and_what_is_missing_is_a_dash(shown):
    frame = pd.DataFrame(
        {"a_model": ["<gru>", None], "share": [0.12345, float("nan")], "n": pd.array([5, None], "Int64")}
    )
    table = shown(frame, "Shares & counts.", digits=2)
    assert texts(table) == [["a model", "share", "n"], ["<gru>", "0.12", "5"], ["–", "–", "–"]]
    assert table.caption.get_text() == "Shares & counts."
    assert texts(shown(pd.DataFrame({"x": [-0.0001]}), "Zero."))[1] == ["0.000"]


def test_rows_can_have_anchors_and_columns_can_link_to_figures(shown):
    frame = pd.DataFrame({"claim": ["GRU is best, mostly", "B"], "figure": ["grid-overall", None]})
    table = shown(frame, "The claims.", anchors="claim", links={"figure"})
    assert [row.get("id") for row in table.select("tbody tr")] == ["claim-gru-is-best-mostly", "claim-b"]
    assert [th.get_text() for th in table.select("tbody th[scope=row]")] == ["GRU is best, mostly", "B"]
    links = [(a["href"], a["class"], a.get_text()) for a in table.find_all("a")]
    assert links == [("#fig-grid-overall", ["figure-link"], "grid-overall")]
    assert texts(table)[2] == ["B", "–"]


def test_a_table_without_rows_is_its_caption_and_nothing_to_say_is_not_shown(monkeypatch, tmp_path):
    outputs = []
    monkeypatch.setattr(notebook, "display", outputs.append)
    study = Study(StudyParams(), tmp_path)
    study.table(pd.DataFrame(columns=["status", "cells"]), "Cells that collapsed.")
    study.say("")
    assert [output.data for output in outputs] == ["Cells that collapsed. *None.*"]
