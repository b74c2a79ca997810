"""A study in which every id, label, path and name is markup or script: its page and its notebooks are safe to open.

The notebooks are run in this process, one after the other: what a kernel of their own costs is import and nothing else.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from studylib import runner
from studylib.params.files import load_params
from studylib.text import visible
from tests.browser import offline, open_tables
from tests.end_to_end.conftest import run_in_process
from tests.nasty import NASTY, write_nasty_study

TAGS = {
    "p",
    "em",
    "span",
    "strong",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
    "figure",
    "figcaption",
    "svg",
    "div",
}
"""Of the notebooks' outputs; within drawings there are others."""
HREF = re.compile(r"#|data:text/csv;charset=utf-8,[^<>\"\s]*$|\d\d_\w+\.ipynb(#|$)")
"""To the page itself, a table as CSV, another notebook."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The params file and the folder of the reports."""
    folder = tmp_path_factory.mktemp("nasty")
    file = write_nasty_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_execute", run_in_process)
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        runner.run_study(load_params(file), reports=folder / "reports", file=file)
    return file, folder / "reports"


@pytest.fixture(scope="module")
def notebooks(study):
    return [nbformat.read(path, 4) for path in sorted((study[1] / "nasty" / "notebooks").glob("*.ipynb"))]


@pytest.fixture(scope="module")
def expected(study):
    """By where they appear: the texts that a reader has to find."""
    params = load_params(study[0])
    labels = [dataset.label for dataset in params.ranking.datasets] + [model.label for model in params.ranking.models]
    return [visible(text) for text in (*NASTY.values(), *labels, params.data.path)]


@pytest.fixture(scope="module")
def address(study):
    return (study[1] / "nasty.html").as_uri()


def test_the_page_is_safe_and_shows_every_id_as_it_is(visit, study, expected):
    page = visit()  # which asserts that no request is made and the console is silent
    page.get_by_role("button", name="Show all code").click()
    page.get_by_role("button", name="theme").click()
    page.locator(".provenance summary").click()
    open_tables(page)
    page.get_by_role("searchbox").first.fill("script")
    for link in page.locator("main .prose").all()[:12]:
        link.hover()
    assert page.evaluate("window.hacked") is None
    assert page.locator("a[href]:not([href^='#'], .references a, a.csv[href^='data:text/csv;'])").count() == 0
    assert page.locator("main img, main form, main iframe, main script:not([type='application/json'])").count() == 0
    shown = page.locator("main").evaluate("main => main.textContent")
    assert [text for text in expected if text not in shown] == []


def test_every_sentence_shows_the_ids_as_they_are(study):
    params, page = load_params(study[0]), BeautifulSoup((study[1] / "nasty.html").read_text("utf-8"), "html.parser")
    said = [paragraph.get_text() for paragraph in page.select(".output.prose p")]
    first, later = (visible(dataset.label) for dataset in params.ranking.datasets)
    by_dataset = [text for text in said if text.startswith((f"On {first} ", f"On {first},", f"On {later} "))]
    assert len(by_dataset) >= 5
    assert any(
        text.startswith("There are 60 sessions") and f" in {visible(params.data.path)}." in text for text in said
    )
    case = next(text for text in said if text.startswith(f"One test case of {first}: after "))
    assert any(visible(item) in case for item in NASTY.values())
    lists = [
        table.get_text()
        for table in page.select("table")
        if visible(params.ranking.models[-1].label) in table.get_text()
    ]
    assert any(sum(visible(item) in text for item in NASTY.values()) > 5 for text in lists)


def test_the_notebooks_show_nothing_but_text_in_tags_of_their_own(notebooks):
    outputs = [output for notebook in notebooks for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len(outputs) > 40
    for output in outputs:
        assert set(output["data"]) == {"text/html", "text/plain"}, "Markdown would be read by others in other ways"
        shown = BeautifulSoup(output["data"]["text/html"], "html.parser")
        for top in shown.find_all(True, recursive=False):
            assert {"tex2jax_ignore", "mathjax_ignore"} <= set(top["class"]), "a dollar would be a formula"
        drawn = {id(tag) for tag in shown.select("svg *, script[type='application/json']")}
        assert {tag.name for tag in shown.find_all(True) if id(tag) not in drawn} <= TAGS
        assert {tag.name for tag in shown.select("svg *")} <= {
            "title", "style", "defs", "g", "path", "text", "use", "clippath", "rect", "tspan", "metadata",
        }  # fmt: skip
        for tag in shown.find_all(True):
            assert not any(name.startswith("on") for name in tag.attrs)
            assert HREF.match(tag.get("href", "#")) and tag.get("xlink:href", "#").startswith("#")


def test_the_notebooks_are_safe_as_plain_nbconvert_shows_them(browser, notebooks, expected, tmp_path):
    """Nbconvert's page brings scripts of its own, and asks for them: all that is asked for is what an empty notebook asks for."""

    def opened(notebook):
        (tmp_path / "opened.html").write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
        requests, context = set(), offline(browser)
        page = context.new_page()
        page.on("request", lambda request: requests.add(request.url))
        page.goto((tmp_path / "opened.html").as_uri(), wait_until="domcontentloaded")
        links = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        found = page.evaluate("[window.hacked ?? null, document.body.textContent]")
        context.close()
        return requests, links, *found

    allowed = opened(nbformat.v4.new_notebook())[0]
    texts = []
    for notebook in notebooks:
        requests, links, hacked, text = opened(notebook)
        assert hacked is None and requests <= allowed
        assert [link for link in links if not HREF.match(link)] == []
        texts.append(text)
    assert [text for text in expected if not any(text in shown for shown in texts)] == []


def test_figures_are_whole_and_their_labels_are_text(study):
    drawings = sorted((study[1] / "nasty" / "figures").glob("*.svg"))
    assert len(drawings) >= 12
    texts = set()
    for path in drawings:
        tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        names = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert not names & {"script", "a", "image", "foreignObject"}
        texts |= {element.text for element in tree.iter() if element.tag.endswith("text")}
    params = load_params(study[0])
    for label in (item.label for item in (*params.ranking.models, params.ranking.datasets[0])):
        assert any(text and text.startswith(visible(label, 28)) for text in texts), label


def test_the_page_names_the_params_file_that_made_it(study):
    page = BeautifulSoup((study[1] / "nasty.html").read_text(encoding="utf-8"), "html.parser")
    assert Path(study[0]).name.split("'")[0] in page.select_one(".commands").get_text()
    assert "params/nasty.yaml" not in page.get_text()
