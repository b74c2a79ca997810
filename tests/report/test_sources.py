"""Numbers of sentences lead to their rows, and figures to what makes them."""

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output

from studylib.report.tables import FIRST
from studylib.sources import source, sourced
from studylib.text import words
from tests.nasty import SCRIPT
from tests.report.test_page import code, dangling, duplicates, figure, markdown, read, shown, table, write

N = 250
"""Rows of the long table; the one of ``model 137`` is linked, which is drawn only when the table is opened."""


def said(template, **values):
    return shown(f'<p class="tex2jax_ignore">{words(template, **values)}</p>')


def named(name, *arguments):
    return shown(table(*arguments).replace("<table", f'<table data-table="{name}"', 1))


def long_table():
    rows = [(f"model {n}", "GRU4Rec" if n % 2 else SCRIPT.replace("<", "&lt;"), n / 1000) for n in range(N)]
    return named("long", ["model", "data set", "value"], rows, "All models. Means.")


def cells():
    of_row = source("long", model="model 137", data_set="gru4rec", metric="ndcg@10")
    every = "Best {a:.3f}, {b} of {c:,}; first {d}; gone {e}; none {f}."
    values = {
        "a": sourced(0.137, of_row),
        "b": sourced("5 [3, 6] points", source("long")),
        "c": sourced(N, source("long", data_set=SCRIPT)),
        "d": sourced(1, source("short", model="markov")),
        "e": sourced(9, source("nowhere", model="x")),
        "f": sourced(0, source("short", model="SASRec")),
    }
    return [
        markdown("# What?\n\nText.", "ranking"),
        code("say()", said(every, **values)),
        code("short()", named("short", ["model", "n"], [("Markov", 1), ("GRU", 2)], "Short, it is.")),
        code("show()", shown(figure("curve", "A curve."))),
        markdown("## All", "appendix"),
        code("long()", long_table()),
    ]


def test_every_number_leads_to_the_row_that_it_is_from(tmp_path):
    page = read(tmp_path, **{"03_ranking": cells()})
    links = [(link.get_text(), link["href"][1:], link["title"]) for link in page.select("a.number")]
    assert links == [
        ("0.137", "long.csv-row-138", "All models: row 138 (model model 137, data set GRU4Rec)"),
        ("5 [3, 6]", "long.csv", "All models: all 250 rows"),
        ("250", "long.csv-row-1", f"All models: row 1, the first of 125 (data set {SCRIPT})"),
        ("1", "short.csv-row-1", "Short: row 1 (model Markov)"),
        ("0", "short.csv", "Short: none of 2 rows (model SASRec)"),
    ]
    assert page.find(id="long.csv-row-138").td.get_text() == "model 137"
    assert page.find(id="short.csv-row-1").td.get_text() == "Markov"
    assert [(n.get_text(), n["title"]) for n in page.select("span.number")] == [("9", "nowhere.csv: model x")]
    assert not dangling(page) and not duplicates(page) and not page.select("[data-table]:not(.number)")
    assert len(page.select("section[data-part=appendix] tbody tr")) == FIRST + 1


def test_a_heading_that_states_a_result_has_no_links_of_its_own(tmp_path):
    link = f'<p class="heading"><a href="#All">{words("{n} models", n=sourced(5, source("long")))}</a></p>'
    page = read(tmp_path, **{"03_ranking": [*cells(), code("heading()", shown(link))]})
    heading = page.find(id="all")
    assert heading.contents[0] == "5 models" and not heading.select("a.number, span")


@pytest.fixture
def address(tmp_path):
    return write(tmp_path, **{"03_ranking": cells()}).as_uri()


def test_following_a_link_opens_the_table_draws_its_rows_in_order_and_shows_and_marks_the_row(visit):
    page = visit()
    row = page.locator("[id='long.csv-row-138']")
    assert not row.is_visible()
    page.locator("a.number", has_text="0.137").press("Enter")
    assert row.is_visible() and row.locator("td").first.inner_text() == "model 137"
    box = row.bounding_box()
    assert 0 < box["y"] < 800
    assert page.locator("tr:target").count() == 1
    page.mouse.move(0, 0)
    colour = "row => getComputedStyle(row).backgroundColor"
    assert row.evaluate(colour) != page.locator("[id='long.csv-row-1']").evaluate(colour)
    drawn = page.locator(".table-fold tbody tr > :first-child").all_inner_texts()
    assert drawn == [f"model {n}" for n in range(N)]


def test_a_row_that_the_filter_hides_is_shown_when_a_link_leads_to_it(visit):
    page = visit()
    fold = page.locator(".table-fold")
    fold.locator("summary").click()
    fold.get_by_role("searchbox").fill("model 12")
    row = page.locator("[id='long.csv-row-138']")
    assert not row.is_visible()
    page.locator("a.number", has_text="0.137").click()
    assert row.is_visible() and fold.get_by_role("searchbox").input_value() == ""


def test_without_script_the_linked_row_is_there(visit):
    page = visit(java_script_enabled=False)
    page.locator(".table-fold summary").click()
    assert page.locator("[id='long.csv-row-138']").is_visible()
    assert f"The first {FIRST} of {N} rows, and 1 to which the text links." in page.locator(".first-rows").inner_text()


def test_every_figure_says_the_cell_and_the_command_that_make_it(tmp_path):
    page = read(tmp_path, **{"03_ranking": cells()})
    made = page.select_one("#fig-curve figcaption .made")
    assert (
        made.get_text() == "Made by cell cell-3 of 03_ranking.ipynb, with studylib run 'params/my demo.yaml' --only 03."
    )
    block = page.find(id=made.a["href"][1:])
    assert "show()" in block.get_text() and block.find_parent("details", class_="code")


def test_a_figure_at_the_head_of_the_page_leads_to_its_cell_as_well(tmp_path):
    moved = [markdown("# What?"), code("best()", shown(figure("best", "Best.")), tags=["summary"])]
    page = read(tmp_path, **{"02_grid": moved})
    link = page.select_one("#summary .made a")
    assert "best()" in page.find(id=link["href"][1:]).get_text() and not dangling(page)


def test_a_figure_of_a_cell_without_code_on_the_page_names_it_in_words(tmp_path):
    page = read(tmp_path, **{"02_grid": [code("best()", shown(figure("best", "Best.")), tags=["hide-input"])]})
    assert page.select_one(".made").get_text().startswith("Made by cell cell-0 of 02_grid.ipynb") and not page.select(
        ".made a"
    )


def test_what_a_notebook_prints_is_no_source(tmp_path):
    page = read(tmp_path, **{"02_grid": [code("print(1)", new_output("stream", text="1 of 2"))]})
    assert isinstance(page, BeautifulSoup) and not page.select(".number")
