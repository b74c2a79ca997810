"""Everything once on real data (params/smoke.yaml, needs $STUDYLIB_DATA), and its page and the published one in a browser."""

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

from studylib.paths import project_root
from tests.browser import links_into_nowhere, open_everything, too_wide, violations
from tests.end_to_end.conftest import studylib

PUBLISHED = project_root() / "reports" / "study.html"


@pytest.fixture(scope="module")
def smoke(data_root, tmp_path_factory) -> Path:
    """The folder that the reports of the smoke study were written to."""
    reports = tmp_path_factory.mktemp("smoke")
    done = studylib("params/smoke.yaml", "--reports", reports)
    assert done.code == 0, done.err
    assert done.err.startswith("smoke: 18 cells of the grid (0 kept) and 6 trainings of the ranking")
    return reports


@pytest.fixture(scope="module", params=["smoke", "published"])
def page_file(request) -> Path:
    if request.param == "smoke":
        return request.getfixturevalue("smoke") / "smoke.html"
    if not PUBLISHED.exists():
        pytest.skip("reports/study.html is not there: `make study` writes it")
    return PUBLISHED


@pytest.fixture(scope="module")
def address(page_file) -> str:
    return page_file.as_uri()


def test_the_numbers_of_real_data_are_in_their_place(smoke):
    cells = pd.read_csv(smoke / "smoke" / "grid.csv")
    assert len(cells) == 18 and not cells.isna().any().any()
    ranking = pd.read_csv(smoke / "smoke" / "ranking.csv")
    assert len(ranking) == 18 and not ranking.isna().any().any()

    among_99 = ranking[ranking["protocol"] == "sampled-99"].set_index(["dataset", "model"])["hr@5"]
    grocery, movies = among_99["grocery"], among_99["ml-100k"]
    assert grocery["gru4rec"] >= 0.38 > grocery["markov"] > grocery["popularity"]
    assert movies["gru4rec"] > movies[["markov", "popularity"]].max()


def test_it_is_one_file_under_8_mb(page_file):
    assert page_file.stat().st_size < 8_000_000


def test_the_first_screen_has_the_question_the_answer_and_a_figure(visit):
    page = visit()
    assert page.locator("header .question").inner_text().endswith("?")
    assert page.locator("#summary > .prose").count() == 3
    assert page.locator("#summary figure").count() == 1
    assert page.locator("#summary .figure-number").inner_text() == "Figure 1"
    assert page.locator("#summary figure").bounding_box()["y"] < 800


@pytest.mark.parametrize("script", [True, False])
def test_every_link_lands(visit, script):
    lost, links = links_into_nowhere(visit(java_script_enabled=script))
    assert lost == [] and links > 50


def test_contents_stay_in_view_and_follow(visit):
    page = visit()
    links = page.locator("nav a[href^='#']")
    for href in links.evaluate_all("links => links.map(link => link.getAttribute('href'))")[:-1:3]:
        page.evaluate("id => document.getElementById(id).scrollIntoView()", href[1:])
        expect(page.locator("nav [aria-current]")).to_have_attribute("href", href)
        expect(page.locator("nav [aria-current]")).to_be_in_viewport()


def test_every_table_sorts_by_its_first_column(visit):
    page = visit()
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


def test_the_table_of_all_cells_filters(visit):
    block = visit().locator(".output", has_text="All cells, then the baselines")
    block.get_by_role("searchbox").fill("gru softmax rmsprop")
    shown, of = map(int, re.fullmatch(r"(\d+) of (\d+) rows", block.locator("output").inner_text()).groups())
    assert 0 < shown < of and block.locator("tbody tr:visible").count() == shown


def test_a_cell_is_picked(visit):
    page = visit()
    words, curve = page.locator(".explorer output"), page.locator(".explorer path.curve")
    seen = set()
    for factor in ("architecture", "activation", "epochs"):
        select = page.get_by_role("combobox", name=factor)
        for level in select.locator("option").all_inner_texts():
            select.select_option(level)
            assert level in words.inner_text()
            seen.add((words.inner_text(), curve.get_attribute("d")))
    assert len({text for text, _ in seen}) >= 6 and len({drawn for _, drawn in seen}) >= 6


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows(visit, width):
    page = visit(width=width)
    open_everything(page)
    assert too_wide(page, width) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_violation_of_level_a_or_aa(visit, width, scheme):
    page = visit(width=width, scheme=scheme)
    open_everything(page)
    assert violations(page) == ""
