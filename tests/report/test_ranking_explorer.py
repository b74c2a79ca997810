"""The figure in which a reader picks what the models are ranked by: what it knows, and how it behaves in a browser."""

import itertools
import json

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from studylib.params.study import Ranking
from studylib.report.ranking_explorer import ranking_explorer
from tests.browser import CONTRASTS, too_wide, violations
from tests.nasty import SCRIPT
from tests.report.test_page import code, figure, markdown, shown, write

MODELS = ["popularity", "gru4rec", "sasrec", SCRIPT]
PROTOCOLS = ["full", "sampled-99", "shuffled"]
RANKING = Ranking(
    datasets=[
        {"dataset": "grocery", "equal_times": "drawn"},
        {"dataset": "grocery", "name": "in file order"},
        {"dataset": "grocery", "name": "later", "split": "temporal"},
        {"name": "shop", "reader": "sequences", "path": "shop.txt"},
    ]
)
KINDS = ["leave-one-out", "leave-one-out", "temporal", "given"]
JUDGED = pd.DataFrame({"dataset": [dataset.label for dataset in RANKING.datasets], "split": KINDS})


def mean(dataset, model, protocol, metric):
    """GRU4Rec is best, but for SASRec on the later grocery; all else is in the order of `MODELS`."""
    place = MODELS.index(model) if model != "sasrec" or dataset != "later" else -1
    value = {-1: 0.5, 0: 0.05, 1: 0.4, 2: 0.3777777, 3: 0.2}[place]
    return value * (0.5 if protocol == "shuffled" else 1) * (0.9 if metric == "hr@10" else 1)


def measured():
    keys = itertools.product(JUDGED["dataset"], MODELS, PROTOCOLS, ["hr@10", "ndcg@10"])
    frame = pd.DataFrame(keys, columns=["dataset", "model", "protocol", "metric"])
    frame["mean"] = [mean(*row) for row in frame.itertuples(index=False)]
    return frame.assign(low=frame["mean"] - 0.01, high=frame["mean"] + 0.01, n=1234)


def differences():
    """Every two models; significant where they are more than 0.05 apart, equivalent where less."""
    rows = []
    for dataset, protocol in itertools.product(JUDGED["dataset"], PROTOCOLS):
        means = {model: mean(dataset, model, protocol, "ndcg@10") for model in MODELS}
        for higher, lower in itertools.combinations(sorted(MODELS, key=means.get, reverse=True), 2):
            apart = means[higher] - means[lower]
            p = 0.002 if apart > 0.05 else 0.5
            rows.append((dataset, protocol, higher, lower, apart, apart - 0.005, apart + 0.005, p, 0.002, apart < 0.05))
    columns = ["dataset", "protocol", "higher", "lower", "difference", "low", "high", "p", "least_p", "equivalent"]
    return pd.DataFrame(rows, columns=columns)


def live():
    possible = {"hr@10": {}, "ndcg@10": {"shop": 0.6}}
    return ranking_explorer(measured(), differences(), "ndcg@10", JUDGED, RANKING, possible)


SPLITS = [
    ["grocery", "leave one out, equal times in a drawn order"],
    ["in file order", "leave one out, in the file's order"],
    ["later", "one split in time"],
]


def test_it_knows_every_value_and_every_pair_with_the_digits_that_are_seen():
    html = live()
    assert html.count("</script>") == 1
    data = json.loads(BeautifulSoup(html, "html.parser").script.string)
    assert data["datasets"] == [
        {"name": "Amazon Grocery", "splits": SPLITS},
        {"name": "shop", "splits": [["shop", "the source's own"]]},
    ]
    assert [name for _, name, _ in data["models"]] == ["popularity", "GRU4Rec", "SASRec", SCRIPT[:40]]
    assert data["values"]["grocery"]["full"]["ndcg@10"][2] == [0.37778, 0.36778, 0.38778]
    assert data["pairs"]["grocery"]["full"][0] == [1, 2, 0.02222, 0.01722, 0.02722, "0.500", False, True]
    assert data["pairs"]["later"]["full"][0] == [2, 1, 0.1, 0.095, 0.105, "≤ 0.002", True, False]
    assert data["possible"] == {"hr@10": {}, "ndcg@10": {"shop": 0.6}} and data["cases"]["later"] == 1234


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    drawing = figure("ranking", "<em>The models.</em> With intervals.", 9, live=live())
    cells = [
        markdown("# Ranking\n\nSee [](#fig-ranking)."),
        code("show()", shown(drawing)),
        markdown("## After\n\nWords."),
    ]
    return write(tmp_path_factory.mktemp("ranking"), **{"03_ranking": cells}).as_uri()


def names(page):
    return page.locator(".live-rows .name").all_inner_texts()


def test_the_models_are_ranked_by_what_is_picked(visit):
    page = visit()
    words = page.locator(".ranking-explorer output")
    assert names(page) == ["GRU4Rec", "SASRec", SCRIPT[:40], "popularity"]
    assert words.inner_text() == (
        "GRU4Rec has the highest NDCG@10 against the whole catalogue on Amazon Grocery "
        "(leave one out, equal times in a drawn order): 0.4000 [0.3900, 0.4100], "
        "of 4 models on 1,234 cases. It is significantly better than 2 of the 3 others."
    )
    page.get_by_label("split").select_option("one split in time")
    assert words.inner_text().endswith("It is significantly better than all 3 others.")
    assert names(page)[:2] == ["SASRec", "GRU4Rec"] and "(one split in time)" in words.inner_text()
    page.get_by_label("ranked against").select_option("99 negatives")
    page.get_by_label("metric").select_option("HR@10")
    assert words.inner_text().startswith("SASRec has the highest HR@10 among 99 negatives on Amazon Grocery")
    assert page.locator(".live-rows .value").first.inner_text() == "0.4500"
    page.get_by_label("data set").select_option("shop")
    assert page.get_by_label("split").count() == 0, "there is only one"
    page.get_by_label("ranked against").select_option("whole catalogue")
    assert page.locator(".possible").count() == 0
    page.get_by_label("metric").select_option("NDCG@10")
    assert page.locator(".possible").count() == 4, "the best possible value is in every row"


def test_an_interval_is_seen_where_the_pointer_or_the_focus_is(visit):
    page = visit()
    bounds = page.locator(".live-rows .bounds")
    assert not any(each.is_visible() for each in bounds.all())
    page.locator(".live-rows button").nth(1).hover()
    assert [each.is_visible() for each in bounds.all()] == [False, True, False, False]
    assert bounds.nth(1).text_content() == "[0.3678, 0.3878]"
    page.mouse.move(0, 0)
    page.get_by_label("ranked against").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert bounds.nth(0).is_visible()
    button = page.locator(".live-rows button").first
    assert button.get_attribute("aria-label") == (
        "GRU4Rec: 0.4000, 95% confidence interval 0.3900 to 0.4100, place 1 of 4"
    )


def test_two_models_are_compared_by_keyboard_alone(visit):
    page = visit()
    card = page.get_by_role("status").filter(has_text="less")
    for model in ("GRU4Rec", "SASRec"):
        assert card.count() == 0
        page.locator(".live-rows button", has_text=model).press("Enter")
        assert page.evaluate("document.activeElement.textContent").startswith(model), "the focus stays"
    assert page.locator(".live-rows [aria-pressed=true] .name").all_inner_texts() == ["GRU4Rec", "SASRec"]
    assert card.inner_text().startswith(
        "GRU4Rec less SASRec: 0.0222 [0.0172, 0.0272] in NDCG@10 against the whole catalogue. The difference is not "
        "significant (p = 0.500 after Holm’s correction for the 6 pairs of this data set). The two are equivalent: the interval "
        "is within a tenth of the higher value, ±0.0400."
    )
    page.get_by_label("split").select_option("one split in time")
    assert card.inner_text().startswith("SASRec less GRU4Rec: 0.1000") and "significant (p ≤ 0.002" in card.inner_text()
    page.get_by_label("metric").select_option("HR@10")
    assert "Pairs are tested by NDCG@10, whatever metric is shown above." in card.inner_text()
    page.locator(".live-rows button", has_text="popularity").press(" ")
    assert card.inner_text().startswith("SASRec less popularity") and "not shown to be equivalent" in card.inner_text()
    page.locator(".live-rows button", has_text="popularity").press(" ")
    assert card.count() == 0 and page.locator(".live-hint").is_visible()


def test_a_view_can_be_sent_by_its_address(visit, address):
    page = visit()
    assert page.evaluate("location.hash") == "", "until something is picked"
    page.get_by_label("split").select_option("one split in time")
    page.get_by_label("metric").select_option("HR@10")
    page.get_by_label("ranked against").select_option("99 negatives")
    for model in ("GRU4Rec", SCRIPT[:20]):
        page.locator(".live-rows button", has_text=model).click()
    page.mouse.move(0, 0)
    sent, seen = page.url, page.locator(".ranking-explorer").inner_text()
    other = visit()
    assert other.locator(".ranking-explorer").inner_text() != seen
    other.goto(sent)
    assert other.locator(".ranking-explorer").inner_text() == seen and "GRU4Rec less" in seen
    assert 0 <= other.locator("#fig-ranking").bounding_box()["y"] < 100
    other.goto(f"{address}#fig-ranking?data=gone&metric=<b>&model=nobody")
    assert other.locator(".live-rows li").count() == 4
    other.locator("a[href='#after']").first.click()
    assert other.evaluate("location.hash") == "#after" and other.locator("#after").is_visible()
    other.locator("p a[href='#fig-ranking']").click()
    assert other.evaluate("location.hash") == "#fig-ranking"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_can_be_read(visit, width, scheme):
    page = visit(width=width, scheme=scheme)
    for model in ("GRU4Rec", "SASRec"):
        page.locator(".live-rows button", has_text=model).click()
    assert too_wide(page, width) == [] and violations(page) == ""
    parts = ("output", "label", "select", ".name", ".value", ".live-axis text", ".live-card p", ".live-card text")
    read = [f".live {part}" for part in parts]
    assert [found for found in page.evaluate(CONTRASTS, read) if found[1] < 4.5] == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('.live *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 11


def test_print_and_readers_without_script_have_the_drawing(visit):
    page = visit()
    drawing = page.locator("#fig-ranking svg[aria-labelledby]")
    assert page.locator(".live").is_visible() and not drawing.is_visible()
    for model in ("GRU4Rec", "SASRec"):
        page.locator(".live-rows button", has_text=model).click()
    page.emulate_media(media="print")
    assert drawing.is_visible() and not page.locator(".live").is_visible()
    still = visit(java_script_enabled=False)
    assert still.locator("#fig-ranking svg[aria-labelledby]").is_visible() and not still.locator(".live").is_visible()
