"""The page of the quickstart and the published one in a browser."""

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

from studylib.paths import project_root
from studylib.report.parts import PARTS
from tests.browser import links_into_nowhere, open_everything, open_tables, too_wide, violations

PUBLISHED = project_root() / "reports" / "study.html"


@pytest.fixture(scope="module", params=["quickstart", "published"])
def page_file(request) -> Path:
    if request.param == "quickstart":
        return request.getfixturevalue("quickstart")[0] / "quickstart.html"
    if not PUBLISHED.exists():
        pytest.skip("reports/study.html is not there: `make study` writes it")
    return PUBLISHED


@pytest.fixture(scope="module")
def address(page_file) -> str:
    return page_file.as_uri()


def test_it_is_one_file_under_6_mb(page_file):
    assert page_file.stat().st_size < 6_000_000


def test_the_first_screen_has_the_question_the_answer_and_a_figure(visit):
    page = visit()
    assert page.locator("header .question").inner_text().endswith("?")
    assert page.locator("#summary > .prose").count() >= 3
    assert page.locator("#summary figure").count() == 1
    assert page.locator("#summary .figure-number").inner_text() == "Figure 1"
    assert page.locator("#summary figure").bounding_box()["y"] < 800


@pytest.mark.parametrize("script", [True, False])
def test_every_link_lands(visit, script):
    lost, links = links_into_nowhere(visit(java_script_enabled=script))
    assert lost == [] and links > 50


def test_every_number_of_a_finding_leads_to_its_row(visit):
    page = visit()
    number = "[...document.querySelectorAll('#summary .prose > p:not(.terms)')].map(p => { const q = p.cloneNode(true);"
    left = page.evaluate(number + " q.querySelectorAll('a').forEach(a => a.remove()); return q.textContent; })")
    assert [text for text in left if re.search(r"(?<![\w@(-])\d[\d,.]*(?!\w)", text)] == [], "numbers that are no links"
    assert page.locator("span.number").count() == 0, "numbers whose table the page does not have"
    links = page.locator("#summary a.number")
    assert links.count() > 10
    for link in (links.first, links.last):
        link.click()
        assert page.locator(":target").is_visible() and page.locator(":target").bounding_box()["y"] < 900


def test_the_parts_stand_in_the_order_of_an_article(visit):
    parts = visit().locator("section.chapter").evaluate_all("parts => parts.map(part => part.dataset.part)")
    assert parts == PARTS


def test_every_long_table_has_its_csv(visit):
    page = visit()
    folds = page.locator("details.table-fold")
    assert folds.count() > 8
    for fold in folds.all():
        assert fold.locator("a.csv").get_attribute("href").startswith("data:text/csv"), fold.get_attribute("id")
    folds.last.locator("summary").click()
    with page.expect_download() as download:
        folds.last.locator("a.csv").click()
    shown = folds.last.locator("tbody tr").count()
    assert len(pd.read_csv(download.value.path())) == shown


def test_contents_stay_in_view_and_follow(visit):
    page = visit()
    links = page.locator("nav a[href^='#']")
    for href in links.evaluate_all("links => links.map(link => link.getAttribute('href'))")[:-1:3]:
        page.evaluate("id => document.getElementById(id).scrollIntoView()", href[1:])
        expect(page.locator("nav [aria-current]")).to_have_attribute("href", href)
        expect(page.locator("nav [aria-current]")).to_be_in_viewport()


def test_every_table_sorts_by_its_first_column(visit):
    page = visit()
    open_tables(page)
    in_order = "texts => texts.every((text, n) => !n || texts[n - 1].localeCompare(text, 'en', {numeric: true}) <= 0)"
    tables = page.locator("table[data-sortable]").all()
    assert len(tables) > 8
    for table in tables:
        header = table.locator("thead th").first
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == "ascending"
        if header.get_attribute("class") != "num":
            cells = table.locator("tbody tr > :first-child").all_text_contents()
            assert page.evaluate(in_order, cells), cells


def test_the_table_of_all_cells_filters(visit, page_file):
    if page_file != PUBLISHED:
        pytest.skip("a short table needs no filter")
    page = visit()
    block = page.locator("#table-all-cells")
    block.locator("summary").click()
    block.get_by_role("searchbox").fill("gru softmax rmsprop")
    shown, of = map(int, re.fullmatch(r"(\d+) of (\d+) rows", block.locator("output").inner_text()).groups())
    assert 0 < shown < of and block.locator("tbody tr:visible").count() == shown


@pytest.mark.parametrize("verdict", ["reproduced", "reachable", "contradicted", "undecided", "not tested"])
def test_filtering_the_claims_by_a_verdict_gives_the_rows_with_that_verdict(visit, verdict):
    page = visit()
    open_tables(page)
    block = page.locator("#table-the-claims")
    header = block.locator("thead th").all_inner_texts()
    column = next(n for n, name in enumerate(header) if name.strip() == "verdict")
    verdicts = block.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
    block.get_by_role("searchbox").fill(verdict)
    shown = block.locator(f"tbody tr:visible > :nth-child({column + 1})").all_inner_texts()
    assert set(shown) <= {verdict} and len(shown) == verdicts.count(verdict)


def test_a_cell_is_picked(visit):
    page = visit()
    words, curve = page.locator(".explorer output"), page.locator(".explorer path.curve")
    seen = set()
    selects = page.locator(".explorer select").all()  # a factor of one level has none
    assert len(selects) >= 2
    for select in selects:
        for level in select.locator("option").all_inner_texts():
            select.select_option(level)
            assert level in words.inner_text()
            seen.add((words.inner_text(), curve.get_attribute("d")))
    assert len({text for text, _ in seen}) >= 4 and len({drawn for _, drawn in seen}) >= 4


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows(visit, width):
    page = visit(width=width)
    open_everything(page)
    assert too_wide(page, width) == []


SHORTER = """() => {
  const cut = (parents, children, kept) => {
    for (const parent of document.querySelectorAll(parents))
      [...parent.querySelectorAll(children)].slice(kept).forEach(e => e.remove());
  };
  cut("tbody", "tr", 3);
  cut("main", "details.code", 3);
  cut("figure svg", "path, use, defs, text", 3);
}"""
"""Leaves three of everything that is there by the hundred: what axe-core judges of one it judges of all."""


@pytest.mark.parametrize(
    ("page_file", "width", "scheme"),
    [
        ("quickstart", 1280, "light"),
        ("published", 1280, "light"),
        ("published", 390, "dark"),
    ],
    indirect=["page_file"],
)
def test_axe_finds_no_violation_of_level_a_or_aa(visit, width, scheme):
    page = visit(width=width, scheme=scheme)
    open_everything(page)
    page.evaluate(SHORTER)
    assert violations(page) == ""
