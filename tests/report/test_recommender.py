"""The recommender of the page: its tens are those of the library, and what readers do with it."""

import json
import re

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from studylib.comparison import compare
from studylib.data.datasets import load
from studylib.data.sessions import Sessions
from studylib.figures import to_svg, two_lists
from studylib.models.files import load as load_model
from studylib.models.gru4rec import GRU4Rec
from studylib.models.quantised import quantised
from studylib.params.study import Data, Execution, Ranking
from studylib.paths import project_root
from studylib.report import recommender
from studylib.text import visible
from tests.browser import CONTRASTS, too_wide, violations
from tests.nasty import NASTY
from tests.report.test_page import code, markdown, shown, write

GENERATED = {"sessions": 1200, "items": 60, "max_session": 12}
TINY = {"embedding": 12, "hidden": 20, "max_epochs": 3, "negatives": 0}
HISTORY = 6
NETWORKS = {"shared": {}, "separate": {"item_embedding": "separate"}, "one size": {"embedding": 20}}


def learnt(log, **settings):
    return GRU4Rec(history=HISTORY, device="cpu", **(TINY | settings)).fit(log)


def in_figure(html, lists, name):
    svg = to_svg(two_lists(lists), name, "Two lists.")
    return (
        f'<figure class="study-figure" id="fig-{name}">{svg}{html}<figcaption><em>Ten.</em> Try.</figcaption></figure>'
    )


@pytest.fixture(scope="module")
def log():
    return load(Data(dataset="synthetic", synthetic=GENERATED))


@pytest.fixture(scope="module")
def models(log):
    """Each with its rounded network and what the page has of it; the last is that of the published page."""
    models = {}
    for name, settings in NETWORKS.items():
        model = learnt(log, **settings)
        with torch.no_grad():
            for table in model.network.tables.values():
                table[20:24] = table[20]  # items that tie
        network, weights = quantised(model)
        names = [f"item {item}" for item in log.vocabulary]
        models[name] = model, network, recommender.live(network, weights, names, [3, 1, 4])
    (published,) = (project_root() / "reports" / "study" / "models").glob("synthetic-gru4rec-*")
    model = load_model(published)
    network, weights = quantised(model)
    names = [f"item {item}" for item in model.vocabulary]
    models["published"] = model, network, recommender.live(network, weights, names, [3, 1, 4])
    return models


@pytest.fixture(scope="module")
def address(models, tmp_path_factory):
    lists = {"in order": ["item 1", "item 2"], "reversed": ["item 2", "item 5"]}
    cells = [code("c", shown(in_figure(html, lists, name.replace(" ", "-")))) for name, (_, _, html) in models.items()]
    return write(tmp_path_factory.mktemp("page"), **{"03_ranking_evaluation": [markdown("# T"), *cells]}).as_uri()


TENS = "([box, sessions]) => sessions.map(document.querySelectorAll('.recommender')[box].nextTen)"


def test_the_tens_of_the_page_are_those_of_the_library_on_1000_sessions(visit, models, log):
    """Sessions of 2 to 12 events, so longer than the history too, with repeats, and one without events; of items that tie."""
    page = visit()
    sessions = [session.tolist() for session in (log[n] for n in range(1000))]
    assert max(map(len, sessions)) > HISTORY and any(len({*session}) < len(session) for session in sessions)
    sessions[0] = []
    for box, (name, (model, network, _)) in enumerate(models.items()):
        expected = network.recommend(sessions, scores=True)  # the ids of a generated log are its indices
        tens = page.evaluate(TENS, [box, sessions])
        found = [[item for item, _ in ten] for ten in tens]
        assert found == [[item for item, _ in ten] for ten in expected]
        scores = [[[score for _, score in ten] for ten in all_of_them] for all_of_them in (tens, expected)]
        assert np.abs(np.subtract(*map(np.array, scores))).max() < 1e-12
        ties = any(ten[n][1] == ten[n + 1][1] for ten in tens[1:] for n in range(9))
        assert ties == (name in NETWORKS)
        unrounded = model.recommend(sessions)
        assert sum(a != b for a, b in zip(found, unrounded, strict=True)) > 20, "the rounded weights are what is run"


# What it does.


@pytest.fixture
def box(visit):
    return visit().locator(".recommender").first


def session(box):
    return box.locator("li > span").all_inner_texts()


def ten(box):
    return box.locator("tbody td:nth-child(2)").all_inner_texts()


def expected_ten(models, *names):
    _, network, _ = models["shared"]
    return [f"item {item}" for item in network.recommend([int(name.split()[1]) for name in names])]


def test_it_begins_with_a_session_and_says_whether_its_order_matters(box, models):
    assert session(box) == ["item 3", "item 1", "item 4"]
    assert ten(box) == expected_ten(models, "item 3", "item 1", "item 4")
    assert box.locator("tbody td:nth-child(4)").all_inner_texts() == ["same"] * 10
    said = box.locator("output").last.inner_text()
    stayed, first = re.fullmatch(
        r"Does the order matter\? In the 5 other orders of these events, ([\d.]+) of the ten are there on average, "
        r"and the first stays in (none|\d)\.",
        said,
    ).groups()
    others = [(3, 4, 1), (1, 3, 4), (1, 4, 3), (4, 3, 1), (4, 1, 3)]
    lists = [expected_ten(models, *(f"item {item}" for item in order)) for order in others]
    own = ten(box)
    assert stayed == f"{np.mean([len({*own} & {*other}) for other in lists]):.1f}"
    assert first.replace("none", "0") == str(sum(other[0] == own[0] for other in lists))


def test_items_are_added_moved_and_removed_by_keyboard_alone(box, models):
    page = box.page
    page.get_by_label("Add an item").first.focus()
    page.keyboard.type("ITEM 7 ")
    page.keyboard.press("Enter")
    assert session(box) == ["item 3", "item 1", "item 4", "item 7"]
    assert box.locator("output").first.inner_text().startswith("item 7 is added. Of the ten, ")
    assert page.evaluate("document.activeElement.tagName") == "INPUT"
    box.get_by_role("button", name="Move item 7 earlier").press("Enter")
    for _ in range(2):
        assert page.evaluate("document.activeElement.ariaLabel") == "Move item 7 earlier"
        page.keyboard.press("Enter")
    assert session(box) == ["item 7", "item 3", "item 1", "item 4"]
    assert page.evaluate("document.activeElement.ariaLabel") == "Move item 7 later", "it cannot go on"
    box.get_by_role("button", name="Remove item 3").press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove item 1"
    assert session(box) == ["item 7", "item 1", "item 4"]
    assert ten(box) == expected_ten(models, "item 7", "item 1", "item 4")
    best = ten(box)[0]
    box.get_by_role("button", name=f"Add {best}", exact=True).press("Enter")
    assert session(box) == ["item 7", "item 1", "item 4", best] and best not in ten(box)


def test_another_order_shows_what_changed_place(box, models):
    before = ten(box)
    box.get_by_role("button", name="Reverse").click()
    assert session(box) == ["item 4", "item 1", "item 3"]
    after = ten(box)
    assert after == expected_ten(models, "item 4", "item 1", "item 3") and after != before

    def change(n, item):
        was = before.index(item) if item in before else None
        return "new" if was is None else "same" if was == n else f"up {was - n}" if was > n else f"down {n - was}"

    assert box.locator("tbody td:nth-child(4)").all_inner_texts() == [change(n, item) for n, item in enumerate(after)]
    there, same = len({*before} & {*after}), sum(a == b for a, b in zip(before, after, strict=True))
    said = f"Reversed. Of the ten, {there} were there before, {same or 'none'} of them in the same place."
    expect(box.locator("output").first).to_have_text(said)
    box.get_by_role("button", name="Shuffle").click()
    assert session(box) != ["item 4", "item 1", "item 3"] and sorted(session(box)) == ["item 1", "item 3", "item 4"]
    box.get_by_role("button", name="Start over").click()
    assert ten(box) == before


def test_a_session_without_events_gets_what_is_popular(box, models):
    box.get_by_role("button", name="Remove all").click()
    _, network, _ = models["shared"]
    popular = [f"item {item}" for item in network.recommend([])]
    assert ten(box) == popular and box.get_by_text("No item is picked").is_visible()
    scores = box.locator("tbody td:nth-child(3)").all_inner_texts()
    assert [int(score) for score in scores] == sorted(network.popularity.tolist(), reverse=True)[:10]
    for name in ("Shuffle", "Reverse", "Remove all"):
        assert box.get_by_role("button", name=name).is_disabled()
    assert box.locator("output").last.inner_text() == "It takes two items to have another order."


def test_a_name_that_no_item_has_is_said(box):
    box.page.get_by_label("Add an item").first.fill("item 999")
    box.get_by_role("button", name="Add", exact=True).click()
    assert box.locator("output").first.inner_text().startswith("No item is called “item 999”: take one of the list")
    assert len(session(box)) == 3


def test_print_has_the_drawing_and_not_what_is_worked_with(visit):
    page = visit()
    figure = page.locator(".recommender").first.locator("..")
    assert not figure.locator(":scope > svg, :scope > .figure-scroll").first.is_visible()
    page.emulate_media(media="print")
    assert figure.locator(":scope > svg, :scope > .figure-scroll").first.is_visible()
    assert not figure.locator(".recommender").is_visible()


def test_without_script_the_drawing_is_there(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("#fig-shared svg").first.is_visible() and not page.locator(".recommender").first.is_visible()
    assert visit().locator("#fig-shared svg").first.is_visible() is False


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_and_can_be_read_and_axe_finds_nothing(visit, width, scheme):
    page = visit(width=width, scheme=scheme)
    page.get_by_role("button", name="Reverse").first.click()
    assert too_wide(page, width) == [] and violations(page) == ""
    read = [
        f".recommender {part}"
        for part in ("li", "li button:enabled", "output", "td:last-child", "label", ".title", "caption")
    ]
    assert [found for found in page.evaluate(CONTRASTS, read) if found[1] < 4.5] == []


def test_names_are_text_whatever_is_in_them(browser, tmp_path):
    names = [visible(text) for text in NASTY.values()]
    model = learnt(Sessions.from_lists([[*NASTY.values()][n : n + 4] for n in range(9)] * 4))
    html = recommender.live(*quantised(model), names, [0, 1])
    assert html.count("</script>") == 1 and html.isascii()
    path = write(
        tmp_path, **{"03_x": [markdown("# T"), code("c", shown(in_figure(html, {"a": names, "b": names}, "x")))]}
    )
    page = browser.new_page()
    page.goto(path.as_uri())
    for name in names:
        page.get_by_label("Add an item").fill(name)
        page.get_by_role("button", name="Add", exact=True).click()
    assert page.locator("li > span").all_text_contents() == [*names[:2], *names]
    assert page.evaluate("window.hacked") is None and page.locator(".recommender img").count() == 0
    page.close()


# Which network the page has, and what it says of it.

RANKING = {
    "datasets": [{"dataset": "synthetic", "synthetic": GENERATED}],
    "models": [
        "popularity",
        {"model": "gru4rec", "label": "large", **TINY, "cell": "lstm"},
        {"model": "gru4rec", **TINY},
    ],
    "history": HISTORY,
    "candidates": 9,
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    ranking = Ranking(**RANKING)
    return compare(ranking, Execution(workers=1), 0, tmp_path_factory.mktemp("study")), ranking


def test_the_page_has_the_first_network_that_fits_and_says_what_8_bits_change(compared):
    result, ranking = compared
    found, reasons = recommender.in_page(result, ranking)
    assert (found.dataset, found.model) == ("synthetic", "gru4rec")
    assert reasons == ["large on synthetic: 'cell: lstm' has no form in 8 bits: only 'cell: gru' has."]
    cases = result.first_splits["synthetic"].test
    full = result.ranks["synthetic", "gru4rec", 0, "full"]
    assert found.cases == len(cases) == len(full) and found.before == pytest.approx(full.metric("ndcg@10").mean())
    scores = found.network.score(cases.prefixes(HISTORY))
    places = (scores > scores[np.arange(len(cases)), cases.targets][:, None]).sum(1) + 1
    assert found.after == pytest.approx(np.where(places <= 10, 1 / np.log2(places + 1), 0).mean())
    assert 0.3 < found.unchanged < 1 and found.after == pytest.approx(found.before, abs=0.01)
    data = json.loads(BeautifulSoup(found.html, "html.parser").script.string)
    assert len(data["session"]) == 4 and data["items"][:2] == ["red lamp", "orange lamp"]
    start = cases.sessions.vocabulary[data["session"]].tolist()
    names = {order: [data["items"].index(name) for name in names] for order, names in found.lists.items()}
    ids = cases.sessions.vocabulary
    assert ids[names["in order"]].tolist() == found.network.recommend(start)
    assert ids[names["reversed"]].tolist() == found.network.recommend(start[::-1])
    assert found.kept == len({*names["in order"]} & {*names["reversed"]})


def test_what_is_too_large_or_not_kept_or_public_is_not_in_the_page(compared, monkeypatch):
    result, ranking = compared
    monkeypatch.setattr(recommender, "MOST_BYTES", 5000)
    found, reasons = recommender.in_page(result, ranking)
    assert found is None and re.search(
        r"gru4rec on synthetic: In 8 bits it takes 0\.0 MB, and a page has room for", reasons[1]
    )
    result.models.pop(("synthetic", "large"))
    assert "large on synthetic: The file of the model is not kept" in recommender.in_page(result, ranking)[1][0]
    public = Ranking(**RANKING | {"datasets": ["grocery"]})
    assert recommender.in_page(result, public) == (
        None,
        [f"{label} on grocery: A public data set is not handed on in a page." for label in ("large", "gru4rec")],
    )
