"""How a notebook shows its sentences, tables and figures."""

import io
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from studylib import notebook
from studylib.errors import StudyError
from studylib.notebook import NO_MATH, Study
from studylib.params.study import StudyParams
from studylib.sources import source, sourced
from studylib.text import visible
from tests.nasty import NASTY


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


def test_a_notebook_with_another_seed_asks_for_a_name(monkeypatch):
    monkeypatch.delenv("STUDYLIB_REPORTS", raising=False)
    monkeypatch.setattr(notebook, "configure", lambda execution: pytest.fail("it went on"))
    with pytest.raises(StudyError, match=r"give this study a 'name' of its own \(papermill: -p name mine\)"):
        Study.begin(name="quickstart", seed=3, data={}, grid=None, ranking={}, execution={})


def test_numbers_have_the_digits_asked_for_and_what_is_missing_is_a_dash(shown):
    frame = pd.DataFrame(
        {"a_model": ["<gru>", None], "share": [0.12345, float("nan")], "n": pd.array([5, None], "Int64")}
    )
    table = shown(frame, "Shares & counts.", digits=2)
    assert texts(table) == [["a model", "share", "n"], ["<gru>", "0.12", "5"], ["–", "–", "–"]]
    assert table.caption.get_text() == "Shares & counts. CSV"
    assert texts(shown(pd.DataFrame({"x": [-0.0001]}), "Zero."))[1] == ["0.000"]


def test_rows_can_have_anchors_and_columns_can_link_to_figures(shown):
    frame = pd.DataFrame({"claim": ["GRU is best, mostly", "B"], "figure": ["grid-overall", None]})
    table = shown(frame, "The claims.", anchors="claim", links={"figure"})
    assert [row.get("id") for row in table.select("tbody tr")] == ["claim-gru-is-best-mostly", "claim-b"]
    assert [th.get_text() for th in table.select("tbody th[scope=row]")] == ["GRU is best, mostly", "B"]
    links = [(a["href"], a["class"], a.get_text()) for a in table.select("tbody a")]
    assert links == [("#fig-grid-overall", ["figure-link"], "grid-overall")]
    assert texts(table)[2] == ["B", "–"]


def test_a_table_has_the_name_by_which_numbers_find_it(shown, tmp_path):
    (tmp_path / "pairs.csv").write_text("a\n1\n")
    frame = pd.DataFrame({"a": ["1"]})
    assert shown(frame, "P.", csv="pairs.csv").table["data-table"] == "pairs"
    assert shown(frame, "P.", name="best").table["data-table"] == "best" and not shown(frame, "P.").table.get(
        "data-table"
    )


def test_a_heading_is_one_link_without_the_sources_of_its_numbers(monkeypatch, tmp_path):
    outputs = []
    monkeypatch.setattr(notebook, "display", outputs.append)
    Study(StudyParams(), tmp_path).heading("#All", "**{n}** models", n=sourced(5, source("models")))
    heading = BeautifulSoup(outputs[0].data, "html.parser")
    assert heading.select_one("p.heading > a").decode_contents() == "<strong>5</strong> models"


def csv_of(table):
    link = table.select_one("caption a.csv")
    kind, _, text = link["href"].partition(",")
    assert kind == "data:text/csv;charset=utf-8"
    return link["download"], unquote(text)


def test_the_caption_holds_the_table_as_csv_with_all_digits(shown):
    frame = pd.DataFrame({"item": ['a "b", #1 & 100 %', "<i>é\n"], "share": [0.123456789, None]})
    name, text = csv_of(shown(frame, "Shares."))
    assert name == "table.csv" and pd.read_csv(io.StringIO(text)).equals(frame)


def test_a_table_can_hold_the_result_that_it_is_a_part_of(shown, tmp_path):
    (tmp_path / "pairs.csv").write_text("a,b\n1,2\n")
    assert csv_of(shown(pd.DataFrame({"a": ["1"]}), "Pairs.", csv="pairs.csv")) == ("pairs.csv", "a,b\n1,2\n")


def test_a_heading_is_a_link_to_its_section_and_what_it_says_is_text(monkeypatch, tmp_path):
    outputs = []
    monkeypatch.setattr(notebook, "display", lambda output: outputs.append(BeautifulSoup(output.data, "html.parser")))
    Study(StudyParams(), tmp_path).heading("03_x.ipynb#Which?", "**{m}** is best", m="<b>")
    (line,) = outputs
    assert line.p["class"][0] == "heading" and line.a["href"] == "03_x.ipynb#Which?"
    assert line.a.get_text() == "<b> is best" and [tag.name for tag in line.a.find_all(True)] == ["strong"]


def test_a_table_without_rows_is_its_caption(monkeypatch, tmp_path):
    outputs = []
    monkeypatch.setattr(notebook, "display", outputs.append)
    Study(StudyParams(), tmp_path).table(pd.DataFrame(columns=["status", "cells"]), "Cells of {log}.", log="<a>")
    assert [output.data for output in outputs] == [f'<p class="{NO_MATH}">Cells of &lt;a&gt;. <em>None.</em></p>']


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_whatever_comes_from_data_is_text(monkeypatch, tmp_path, text):
    """In a sentence, and in a table its caption, header, cells and addresses; in a figure its caption and alternative text."""
    outputs = []
    monkeypatch.setattr(notebook, "display", lambda output: outputs.append(BeautifulSoup(output.data, "html.parser")))
    study = Study(StudyParams(), tmp_path)
    study.say("On *{x}*:\n\n**{x}**", x=text)
    frame = pd.DataFrame({text: [text], "claim": [text], "figure": [text]})
    study.table(frame, "Of {x}.", anchors="claim", links={"figure"}, x=text)
    study.show(plt.figure(), "name", "*Of* {x}.", alt=f"of {text}", x=text)
    said, table, figure = outputs
    seen = visible(text)
    assert [p.get_text() for p in said.find_all("p")] == [f"On {seen}:", seen]
    assert table.caption.get_text() == f"Of {seen}. CSV"
    # Underscores of a column's name are spaces.
    assert texts(table) == [[visible(text.replace("_", " ")), "claim", "figure"], [seen] * 3]
    assert figure.figcaption.get_text() == f"Of {seen}." and figure.title.get_text() == visible(f"of {text}")
    tags = {tag.name for output in (said, table) for tag in output.find_all(True)}
    assert tags == {"p", "em", "strong", "table", "caption", "thead", "tbody", "tr", "th", "td", "a"}
    assert [set(link.attrs) for link in table.find_all("a")] == [{"class", "download", "href"}, {"class", "href"}]
    assert all(set(tag.attrs) <= {"id", "scope", "class"} for tag in table.find_all(["tr", "th", "td"]))
    ElementTree.fromstring((tmp_path / "figures" / "name.svg").read_text(encoding="utf-8"))
