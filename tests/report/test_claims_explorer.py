"""The figure in which a reader filters the claims and opens them: what it knows, and how it behaves in a browser."""

import json

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from studylib.evaluation.claims import (
    FAMILY_WISE,
    NEVER,
    RELATIVE,
    SHRIMAL,
    TOLEDO,
    Part,
    above,
    decides_nothing,
    family_wise,
    inside,
    not_tested,
    row,
)
from studylib.report.claims_explorer import claims_explorer
from tests.browser import CONTRASTS, too_wide, violations
from tests.nasty import SCRIPT
from tests.report.test_page import code, figure, markdown, shown, write

MANY = [Part(f"{size}: less lstm", 0.1 * n, 0.1 * n - 0.05, 0.1 * n + 0.05) for n, size in enumerate(range(20), 1)]


def claims():
    """Two reproduced, one contradicted, one undecided and two not tested."""
    few = [Part("f1: less lstm", 0.2, 0.19, 0.21), Part("f1: less hybrid-gru-lstm", 0.4, 0.39, 0.41)]
    table = pd.DataFrame(
        [
            row(TOLEDO, "GRU is best", "section 3", MANY, 824, "a less b", above(), "grid", MANY[1:]),
            row(TOLEDO, "F1 is higher", "section 4", few, 824, "a less b", above(), ""),
            row(TOLEDO, "the hybrid is superior in no case", "section 4", few[:1], 824, "a less b", NEVER, "gone"),
            row(TOLEDO, "it hardly matters", "section 4", [Part("", 0.1, -9.0, 9.0)], 9, "a", inside(-0.1, 0.1), ""),
            decides_nothing(
                row(SHRIMAL, f"GRU4Rec wins {SCRIPT}", "abstract", few[1:], 9, "share", above(0.3), "", unit=RELATIVE), "x"
            ),
            not_tested(SHRIMAL, "it reaches 0.7", "Table 3", "studylib run params/ml-1m.yaml"),
        ]
    )  # fmt: skip
    return table.assign(**{FAMILY_WISE: family_wise(table)})


def test_it_knows_the_parts_the_rule_and_every_verdict():
    html = claims_explorer(claims())
    assert html.count("</script>") == 1
    data = json.loads(BeautifulSoup(html, "html.parser").script.string)
    assert [(group["paper"], group["unit"], len(group["claims"])) for group in data["groups"]] == [
        (TOLEDO, "difference of a measure", 4),
        (SHRIMAL, RELATIVE, 1),
        (SHRIMAL, "value of a metric", 1),
    ]
    assert [verdict for verdict, _ in data["verdicts"]] == ["reproduced", "undecided", "contradicted", "not tested"]
    many, few, never, _ = data["groups"][0]["claims"]
    assert many["parts"][1] == ["1: less LSTM", 0.2, 0.15, 0.25] and many["measured"] == [0.1, 0.05, 0.15]
    assert many["beside"][:2] == [None, [0.2, 0.15, 0.25]] and many["row"] == "claim-gru-is-best"
    assert few["parts"][1][0] == "F1: less hybrid (GRU first)" and few["holds"] == [[0, None]] and "beside" not in few
    assert never["holds"] == [[None, 0]] and never["verdict"] == "contradicted"
    low, high = data["groups"][0]["axis"]
    assert -9 < low < -0.1 and 0.2 < high < 9, "one wide interval does not press all others together"
    missing = data["groups"][2]["claims"][0]
    assert missing["parts"] == [] and "measured" not in missing and "p" not in missing


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    table = claims()
    rows = "".join(f'<tr id="claim-{n}"><th scope="row">x</th><td>y</td></tr>' for n in ("gru-is-best", "f1-is-higher"))
    listed = f'<table class="study-table"><thead><tr><th>claim</th><th>b</th></tr></thead><tbody>{rows}</tbody></table>'
    drawing = figure("claims", "<em>The claims.</em> With intervals.", 9, live=claims_explorer(table))
    cells = [
        markdown("# Claims"),
        code("a", shown(drawing)),
        code("b", shown(figure("grid", "The grid.")), shown(listed)),
    ]
    return write(tmp_path_factory.mktemp("claims"), **{"04_figures": cells}).as_uri()


def names(page):
    return page.locator(".live-rows .name").all_inner_texts()


def test_the_filters_are_those_of_the_columns(visit):
    page = visit()
    words = page.locator(".claims-explorer output")
    assert len(names(page)) == 6
    assert words.inner_text() == "6 claims: 2 reproduced, 1 undecided, 1 contradicted, 2 not tested."
    page.get_by_label("verdict").select_option("contradicted")
    assert names(page) == ["the hybrid is superior in no case"]
    page.get_by_label("verdict").select_option("undecided")
    assert names(page) == ["it hardly matters"]
    page.get_by_label("paper").select_option(SHRIMAL)
    assert names(page) == [] and words.inner_text() == "0 of 6 claims."
    page.get_by_label("verdict").select_option("not tested")
    assert len(names(page)) == 2 and words.inner_text() == "2 of 6 claims: 2 not tested."
    assert SCRIPT in names(page)[0]


def test_a_claim_opens_into_its_card_by_keyboard_alone(visit):
    page = visit()
    button = page.get_by_role("button", name="GRU is best: reproduced, measured 0.1000 [0.0500, 0.1500]")
    card = page.locator(f"#{button.get_attribute('aria-controls')}")
    assert not card.is_visible() and button.get_attribute("aria-expanded") == "false"
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert page.evaluate("document.activeElement.textContent").startswith("GRU is best"), "the focus stays"
    facts = dict(zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(), strict=True))
    assert facts["in the paper"] == f"{TOLEDO}, section 3" and facts["the rule"].startswith("holds where every")
    assert facts["verdict"] == "reproduced, p < 0.001" and facts["without collapsed cells"] == "reproduced"
    assert facts["corrected for the number of claims"] == "reproduced"
    assert card.locator("a").all_inner_texts() == ["Figure 2", "its row in the table"]
    parts = card.locator(".live-parts .name")
    assert parts.count() == 20 and parts.first.inner_text() == "0: less LSTM"
    assert [part.is_visible() for part in parts.all()] == [True] * 12 + [False] * 8
    card.locator("summary").press("Enter")
    assert parts.last.is_visible()
    values = card.locator(".live-parts .value").all_inner_texts()
    assert values[0] == "0.1000 [0.0500, 0.1500]"
    assert values[1].split() == [
        "0.2000",
        "[0.1500,",
        "0.2500]",
        "without",
        "collapsed",
        "cells",
        "0.2000",
        "[0.1500,",
        "0.2500]",
    ]
    button.press("Enter")
    assert not card.is_visible()


def test_a_figure_that_the_page_does_not_have_is_no_link(visit):
    page = visit()
    page.locator(".live-rows button", has_text="superior in no case").click()
    assert page.locator(".live-card a:visible").count() == 0


def test_intervals_lie_beside_where_the_claim_holds(visit):
    """Of a claim that holds above zero the band begins at zero; its interval, wholly in it, begins further to the right."""
    page = visit()
    strips = page.locator(".live-rows .strip svg")
    band, line = (strips.first.locator(part).bounding_box() for part in (".band", ".interval"))
    zero = strips.first.locator(".zero").bounding_box()["x"]
    assert band["x"] == pytest.approx(zero, abs=1.5) and line["x"] > zero + 1.5
    never = strips.nth(2).locator(".band").bounding_box()
    assert never["x"] + never["width"] == pytest.approx(zero, abs=1.5)
    assert strips.nth(3).locator(".interval").count() == 3, "a line and an arrow at either end"
    assert strips.count() == 5 and page.locator(".live-axis svg").count() == 2, "of the last nothing was measured"
    assert not strips.first.locator(".bounds").is_visible()
    page.locator(".live-rows button").first.focus()
    assert strips.first.locator(".bounds").is_visible()


def test_a_view_can_be_sent_by_its_address(visit):
    page = visit()
    page.get_by_label("paper").select_option(TOLEDO)
    page.get_by_label("verdict").select_option("reproduced")
    page.locator(".live-rows button", has_text="F1 is higher").click()
    page.mouse.move(0, 0)
    sent, seen = page.url, page.locator(".claims-explorer").inner_text()
    other = visit()
    other.goto(sent)
    assert other.locator(".claims-explorer").inner_text() == seen and "F1: less LSTM" in seen and "no case" not in seen
    assert other.get_by_label("verdict").input_value() == "reproduced"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_can_be_read(visit, width, scheme):
    page = visit(width=width, scheme=scheme)
    page.locator(".live-rows button").first.click()
    page.locator(".live-card summary").click()
    assert too_wide(page, width) == [] and violations(page) == ""
    parts = ("output", "label", "select", ".name", ".value", ".live-axis text", "dt", "dd", "small", "summary", "a")
    read = [f".live {part}" for part in parts]
    assert [found for found in page.evaluate(CONTRASTS, read) if found[1] < 4.5] == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('.live *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 11
    strip = page.locator(".live-card .strip svg").first.bounding_box()["width"]
    assert strip > 200 and np.isclose(strip, page.locator(".live-card .strip").first.bounding_box()["width"], atol=1)


def test_print_and_readers_without_script_have_the_drawing(visit):
    page = visit()
    drawing = page.locator("#fig-claims svg[aria-labelledby]")
    assert page.locator(".live").is_visible() and not drawing.is_visible()
    page.emulate_media(media="print")
    assert drawing.is_visible() and not page.locator(".live").is_visible()
