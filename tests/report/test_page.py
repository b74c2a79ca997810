"""The page: what it says, that it is one file for itself, and how it behaves in a real browser."""

import itertools
import json
import re
from html import escape

import matplotlib.pyplot as plt
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import expect

from studylib.figures import to_svg
from studylib.report.explorer import explorer
from studylib.report.page import write_report
from studylib.text import visible
from tests.browser import CONTRASTS, links_into_nowhere, offline, open_everything, too_wide, violations
from tests.nasty import ATTRIBUTE, ENTITY, IMAGE, NASTY, NUL, SCRIPT, SCRIPT_LINK
from tests.report.test_explorer import FLOOR, grid_cells

PROVENANCE = {
    "commit": "0123abcd" * 5,
    "versions": {"python": "3.11.7", "keras": "3.15.0"},
    "data_checksums": {"live-streaming/sequences.csv": "sha256:" + "ab12" * 16},
    "seeds": [0, 1, 2],
    "machine": {"cores": 2, "gpu": None},
}
PROSE = "A reader who wants to predict the next page of a visit is left with a choice of architectures. " * 6


def markdown(text, *tags):
    return new_markdown_cell(text, id="cell", metadata={"tags": list(tags)})


def code(source, *outputs, tags=()):
    return new_code_cell(source, id="cell", outputs=list(outputs), metadata={"tags": list(tags)})


def shown(html):
    return new_output("display_data", {"text/html": html, "text/plain": "<IPython.core.display.HTML object>"})


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def error(name, message):
    traceback = ["\x1b[31m-----\x1b[0m", f"\x1b[31m{name}\x1b[0m: {message} <at line 1>"]
    return new_output("error", ename=name, evalue=message, traceback=traceback)


def figure(name, caption, width=6.5, live=""):
    drawing, axes = plt.subplots(figsize=(width, 3))
    axes.plot([1, 2, 3], [1, 4, 9], label="gru")
    axes.fill_between([1, 2, 3], [0, 3, 8], [2, 5, 10], alpha=0.2)
    svg = to_svg(drawing, name, "Accuracy grows with the epochs.")
    return f'<figure class="study-figure" id="fig-{name}">{svg}{live}<figcaption>{caption}</figcaption></figure>'


def table(header, rows, caption=""):
    head = "".join(f"<th>{name}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{value}</td>" for value in row) + "</tr>" for row in rows)
    caption = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<table border="1" class="dataframe study-table">{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def write(folder, **notebooks):
    """The page of some notebooks, given as name=cells."""
    paths = []
    for name, cells in notebooks.items():
        for n, cell in enumerate(cells):
            cell["id"] = f"cell-{n}"
        paths.append(folder / f"{name}.ipynb")
        nbformat.write(new_notebook(cells=cells), paths[-1])
    return write_report(
        paths,
        folder / "reports" / "demo.html",
        "Which recommender?",
        "Which, and how sure?",
        PROVENANCE,
        command="studylib run 'params/my demo.yaml'",
    )


def read(folder, **notebooks):
    return BeautifulSoup(write(folder, **notebooks).read_text(encoding="utf-8"), "html.parser")


def duplicates(page):
    ids = [element["id"] for element in page.select("[id]")]
    return {name for name in ids if ids.count(name) > 1}


def dangling(page):
    ids = {element["id"] for element in page.select("[id]")}
    return {link["href"] for link in page.select('a[href^="#"]') if link["href"][1:] not in ids}


CLAIMS = (
    '<table class="study-table"><thead><tr><th>claim</th><th>n</th><th>figure</th></tr></thead><tbody>'
    '<tr id="claim-gru-wins"><th scope="row">GRU wins</th><td>824</td>'
    '<td><a class="figure-link" href="#fig-ranks">ranks</a></td></tr>'
    '<tr id="claim-none"><th scope="row">None</th><td>9</td><td><a class="figure-link" href="#fig-gone">gone</a></td></tr>'
    "</tbody></table>"
)


# What the page says.


def test_notebooks_become_sections_under_one_h1(tmp_path):
    page = read(
        tmp_path,
        **{
            "01_eda": [markdown("# What is in the log?"), markdown("## Lengths\n\ntext\n\n### Détails & more")],
            "02_grid_training": [markdown("no heading at first"), markdown("## Results")],
        },
    )
    assert [h.get_text() for h in page.find_all("h1")] == ["Which recommender?"]
    assert page.title.get_text() == "Which recommender?"
    headings = [(h.name, h["id"], h.contents[0]) for h in page.select("main :is(h2, h3, h4)")]
    assert headings == [
        ("h2", "eda", "What is in the log?"),
        ("h3", "lengths", "Lengths"),
        ("h4", "détails-more", "Détails & more"),
        ("h2", "grid-training", "Grid training"),
        ("h3", "results", "Results"),
    ]
    assert [a["href"] for a in page.select("nav a")] == ["#eda", "#lengths", "#grid-training", "#results", "#again"]
    assert [section["aria-labelledby"] for section in page.select("section.chapter")] == ["eda", "grid-training"]
    assert len(page.select("main .anchor")) == 5


def test_clashing_ids_are_told_apart_with_what_refers_to_them(tmp_path):
    cells = [
        markdown("# Same"),
        markdown("## Results\n\n## Results\n\n[down](#Results)"),
        code("draw()", shown(figure("curve", "A curve."))),
    ]
    page = read(tmp_path, **{"01_one": cells, "02_two": cells})
    assert not duplicates(page) and not dangling(page)
    assert [h["id"] for h in page.select("main h3")] == ["results", "one-results", "two-results", "two-results-2"]
    drawings = page.select("figure svg")
    for drawing, prefix in zip(drawings, ("curve-", "two-curve-"), strict=True):
        inner = {element["id"] for element in drawing.select("[id]")}
        used = set(re.findall(r'url\(#(.+?)\)|href="#(.+?)"', str(drawing)))
        assert {a or b for a, b in used} <= inner and drawing["aria-labelledby"] in inner
        assert all(name.startswith(prefix) for name in inner)


def test_links_between_notebooks_and_to_figures_land(tmp_path):
    page = read(
        tmp_path,
        **{
            "01_eda": [
                markdown(
                    "# First\n\n## Results\n\nSee [](#fig-curve), [that](02_grid.ipynb#What-wins?), [all](02_grid.ipynb)."
                )
            ],
            "02_grid": [
                markdown("# Second\n\n## What wins?\n\n## Results\n\n[here](#Results)"),
                code("x", shown(figure("curve", "Up."))),
            ],
        },
    )
    assert not dangling(page)
    links = [(a.get_text(), a["href"]) for a in page.select(".prose p a")]
    assert links == [
        ("Figure 1", "#fig-curve"), ("that", "#what-wins"), ("all", "#grid"), ("here", "#grid-results"),
    ]  # fmt: skip
    page.select_one(".made").decompose()
    assert page.figcaption.get_text(" ", strip=True) == "Figure 1 Up. #"


def test_code_is_folded_and_parameters_say_so(tmp_path):
    page = read(
        tmp_path,
        **{
            "01_eda": [
                code("seed = 0", tags=["parameters"]),
                code("# Parameters\nseed = 7", tags=["injected-parameters"]),
                code("import a"),
                code("b = 1"),
                code("secret()", stream("seen"), tags=["hide-input"]),
                code(""),
            ]
        },
    )
    folds = [
        (f.summary.get_text(), [h.get_text().strip() for h in f.select(".highlight")]) for f in page.select(".code")
    ]
    assert folds == [("Parameters", ["seed = 0", "# Parameters\nseed = 7"]), ("Code", ["import a", "b = 1"])]
    assert not page.select("details.code[open]") and page.select(".highlight .kn")
    assert "seen" in page.main.get_text() and "secret" not in page.get_text()


def test_what_nobody_wants_to_see_is_left_out(tmp_path):
    bar = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "  0%|  | 0/10"}
    page = read(
        tmp_path,
        **{
            "01_eda": [
                code("a", stream("2026-01-01 12:00 oneDNN is on\n", "stderr"), stream("100%|███| 10/10\n", "stderr")),
                code("b", stream(" 50%|#   | 1/2\r100%|####| 2/2\n")),
                code("c", new_output("display_data", bar), stream("loading\rdone\nnext\n")),
                code("d", new_output("execute_result", {"text/plain": "[<matplotlib.lines.Line2D at 0x7f01>]"})),
                code("e", new_output("execute_result", {"text/plain": "(3, 'kept')"})),
                code("f", stream("\n")),
            ]
        },
    )
    assert [output.get_text() for output in page.select(".output")] == ["done\nnext", "(3, 'kept')"]


def test_a_notebook_that_stopped_is_shown_as_far_as_it_came(tmp_path):
    marker = markdown('<span id="papermill-error-cell">Execution using papermill</span>', "papermill-error-cell-tag")
    page = read(
        tmp_path,
        **{
            "01_eda": [markdown("# Fine"), code("1", stream("came so far"))],
            "02_grid": [markdown("# Broken"), marker, code("1 / 0", error("StudyError", "no <grid>")), code("never()")],
        },
    )
    box = page.select_one("section .error")
    assert box.p.get_text() == "StudyError: no <grid>"
    assert "<at line 1>" in box.pre.get_text() and "\x1b" not in page.get_text()
    assert page.select("details.code[open]") and "papermill" not in page.get_text()
    notice = page.select_one("main > .error")
    assert "incomplete" in notice.get_text() and notice.a.get_text() == "Broken" and notice.a["href"] == "#" + box["id"]
    assert "came so far" in page.get_text() and not dangling(page) and not duplicates(page)


def test_a_summary_moves_to_the_head_of_the_page_and_leaves_its_code(tmp_path):
    answer = new_output("display_data", {"text/markdown": "**GRU** wins.", "text/plain": "x"})
    page = read(tmp_path, **{"01_eda": [markdown("# First"), code("say(best)", answer, tags=["summary"])]})
    assert page.select_one("#summary").get_text(strip=True) == "GRUwins."
    chapter = page.select_one("section.chapter").get_text()
    assert "say(best)" in chapter and "wins" not in chapter
    assert not read(tmp_path, **{"01_eda": [markdown("# First")]}).select("#summary")


def test_the_last_figure_of_the_summary_stands_at_the_head(tmp_path):
    words = [new_output("display_data", {"text/markdown": text, "text/plain": "x"}) for text in ("It is A.", "And B.")]
    page = read(
        tmp_path,
        **{
            "01_eda": [
                markdown("# First\n\nSee [](#fig-second)."),
                code("a()", shown(figure("zero", "Zero."))),
                code("b()", words[0], shown(figure("first", "One.")), tags=["summary"]),
            ],
            "02_grid": [
                markdown("# Second"),
                code("c()", shown(figure("second", "Two.")), words[1], tags=["summary"]),
                code("d()", stream("as far as here"), error("StudyError", "stopped"), tags=["summary"]),
            ],
        },
    )
    head = page.select_one("#summary")
    assert [p.get_text() for p in head.select("p")] == ["It is A.", "And B."] and "as far as here" in head.get_text()
    for made in page.select(".made"):
        made.decompose()
    captions = [caption.get_text(" ", strip=True) for caption in page.select("figcaption")]
    assert captions == ["Figure 1 Two. #", "Figure 2 Zero. #", "Figure 3 One. #"]
    assert [figure["id"] for figure in head.select("figure")] == ["fig-second"]
    chapters = [section.get_text(" ", strip=True) for section in page.select("section.chapter")]
    assert "See Figure 1 ." in chapters[0] and "Figure 1 stands at the head of the page." in chapters[1]
    assert len(page.select("section .error[id]")) == 1 and not dangling(page) and not duplicates(page)


def test_rows_have_anchors_and_links_to_figures_read_as_their_numbers(tmp_path):
    cells = [markdown("# T"), code("f", shown(figure("ranks", "Up."))), code("t", shown(CLAIMS))]
    page = read(tmp_path, **{"01_eda": cells})
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in page.select("tbody tr")]
    assert rows == [["GRU wins#", "824", "Figure 1"], ["None#", "9", "gone"]]
    anchor = page.select_one("#claim-gru-wins th .anchor")
    assert (anchor["href"], anchor["aria-label"]) == ("#claim-gru-wins", "Link to GRU wins")
    assert not dangling(page)


def test_tables_know_their_numbers(tmp_path):
    html = table(
        ["model", "HR@10", "cases", "share", "seed"],
        [["gru", "0.497 [0.487, 0.507]", "14,681", "12 %", "1"], ["pop", "–", "943", "−3 %", ""]],
        caption="Hit rates",
    )
    page = read(tmp_path, **{"01_eda": [markdown("# T"), code("t", shown(html))]})
    assert [th.get("class", [None])[0] for th in page.select("thead th")] == [None, "num", "num", "num", "num"]
    values = [td.get("data-value") for td in page.select("tbody td")]
    assert values == [None, "0.497", "14681", "12", None, None, None, None, "-3", None]
    region = page.select_one(".table-scroll")
    assert (region["tabindex"], region["role"], region["aria-label"]) == ("0", "region", "Table: Hit rates")
    assert "border" not in page.table.attrs and "data-sortable" in page.table.attrs


def test_the_second_header_row_of_pandas_is_merged(tmp_path):
    html = (
        "<table><thead><tr><th></th><th>a</th></tr><tr><th>name</th><th></th></tr></thead>"
        "<tbody><tr><th>x</th><td>1</td></tr><tr><th>y</th><td>2</td></tr></tbody></table>"
    )
    page = read(tmp_path, **{"01_eda": [code("t", shown(html))]})
    assert [th.get_text() for th in page.select("thead th")] == ["name", "a"]
    assert "data-sortable" in page.table.attrs


PARTED = {
    "02_grid": [
        markdown("# Which network?", "grid"),
        code("say()", shown('<p>GRU.</p>')),
        markdown("## Which cases?", "data"),
        markdown("## All cells", "appendix"),
        code("t", shown(table(["cell", "hits"], [[f"gru-{n}", f"0.{n} [0, 1]"] for n in range(150)], "All cells, too."))),
    ],
    "04_figures": [
        markdown("# Which claims hold?\n\nSee [cases](02_grid.ipynb#Which-cases?) and [all](02_grid.ipynb#All-cells).", "claims"),
        code("t", shown(table(["pair", "p"], [["a, b", "0.1"]], "Pairs: all of them.")), tags=["appendix"]),
        code("h", shown('<p class="heading"><a href="02_grid.ipynb">GRU is <strong>best</strong></a></p>')),
        markdown("## What to choose", "choosing"),
    ],
}  # fmt: skip


def test_sections_stand_in_the_part_that_they_name(tmp_path):
    page = read(tmp_path, **{"01_eda": [markdown("# Untagged")], **PARTED})
    headings = [(h.name, h["id"], h.contents[0].get_text()) for h in page.select("main :is(h2, h3)")]
    assert headings == [
        ("h2", "eda", "Untagged"),
        ("h2", "choosing", "What to choose"),
        ("h2", "claims", "Which claims hold?"),
        ("h2", "grid", "GRU is "),
        ("h2", "data", "Data and method"),
        ("h3", "which-cases", "Which cases?"),
        ("h2", "appendix", "Appendix"),
        ("h3", "tables-of-the-article", "Tables of the article"),
        ("h3", "all-cells", "All cells"),
    ]
    assert [a["href"] for a in page.select("#claims ~ div a, .prose p a")][:2] == ["#which-cases", "#all-cells"]
    assert not page.select("p.heading") and page.h1 and not dangling(page) and not duplicates(page)


def test_tables_of_the_appendix_are_closed_and_linked_from_where_they_were(tmp_path):
    page = read(tmp_path, **PARTED)
    folds = page.select("section[data-part=appendix] details.table-fold")
    assert [(fold["id"], fold.summary.get_text()) for fold in folds] == [
        ("table-pairs", "Pairs (1 row)"), ("table-all-cells", "All cells (150 rows)"),
    ]  # fmt: skip
    assert not any(fold.has_attr("open") for fold in folds) and len(page.find_all("table")) == 2
    link = page.select_one(".elsewhere a")
    assert (link["href"], link.get_text()) == ("#table-pairs", "Pairs (1 row)")
    assert len(folds[1].select("tbody tr")) == 20
    assert json.loads(folds[1].script.string)[-1] == ["gru-149", ["0.149 [0, 1]", "0.149"]]


def test_without_an_appendix_tables_stay(tmp_path):
    page = read(tmp_path, **{"04_figures": PARTED["04_figures"]})
    assert len(page.select("main table")) == 1 and not page.select("details.table-fold, .elsewhere")


def test_what_is_drawn_when_a_table_is_opened_is_text(browser, tmp_path):
    rows = [[escape(text), "1"] for text in NASTY.values()] * 12
    cells = [markdown("# T", "appendix"), code("t", shown(table(["item", "n"], rows, "Items.")))]
    page = offline(browser).new_page()
    page.goto(write(tmp_path, **{"02_grid": cells}).as_uri())
    page.locator(".table-fold summary").click()
    seen = page.locator(".table-fold tbody td:first-child").all_text_contents()
    expected = BeautifulSoup("".join(f"<b>{row[0]}</b>" for row in rows), "html.parser").find_all("b")
    assert len(seen) == len(rows) and seen[-1] == expected[-1].get_text()
    assert page.locator(".table-fold tbody td *").count() == 0
    page.context.close()


def test_a_long_table_is_drawn_when_an_address_or_a_click_opens_it(browser, tmp_path):
    file = write(tmp_path, **PARTED)
    page = offline(browser).new_page()
    page.goto(f"{file.as_uri()}#table-all-cells")
    fold = page.locator("#table-all-cells")
    expect(fold.locator("tbody tr")).to_have_count(150)
    assert fold.get_attribute("open") is not None and fold.locator(".first-rows").count() == 0
    fold.get_by_role("button", name="hits").click()
    fold.get_by_role("button", name="hits").click()
    assert fold.locator("tbody td:first-child").first.inner_text() == "gru-99"
    fold.get_by_label("Filter").fill("gru-14")
    assert fold.locator("output").inner_text() == "11 of 150 rows"
    page.locator(".elsewhere a").click()
    expect(page.locator("#table-pairs tbody tr")).to_be_visible()
    page.context.close()


def test_what_is_cited_is_listed_and_linked(tmp_path):
    said = shown("<p>As Toledo &amp; Rezende 2020 (section 2), but not <code>Yue et al. 2024</code>.</p>")
    cells = [
        markdown("# T"),
        code("s", said),
        markdown("## Related work\n\nKrichene & Rendle 2020 show it.", "references"),
    ]
    page = read(tmp_path, **{"04_figures": cells})
    assert [item["id"] for item in page.select(".references li")] == [
        "ref-krichene-rendle-2020", "ref-toledo-rezende-2020",
    ]  # fmt: skip
    links = [(a.get_text(), a["href"]) for a in page.select("main p a")]
    assert links == [
        ("Toledo & Rezende 2020", "#ref-toledo-rezende-2020"),
        ("Krichene & Rendle 2020", "#ref-krichene-rendle-2020"),
    ]
    assert page.select_one(".references a")["href"] == "https://doi.org/10.1145/3394486.3403226"
    assert PROVENANCE["commit"] in page.select_one("#how-to-cite + p").get_text() and not dangling(page)


def test_a_page_about_something_else_has_no_references(tmp_path):
    page = read(tmp_path, **{"05_own_log": [markdown("# T\n\nAs Toledo & Rezende 2020.")]})
    assert not page.select(".references, main p a, #how-to-cite")


def test_a_term_is_explained_where_it_first_stands_and_linked_once_a_section_after_that(tmp_path):
    page = read(
        tmp_path,
        **{
            "01_eda": [
                markdown("# NDCG@10 is no mention\n\nNDCG@10 rises. NDCG@5 as well; `Markov` is code.\n\nA cell."),
                markdown("## Two\n\n- NDCG@10 again, NDCG@10\n- a superMarkov"),
            ],
        },
    )
    lines = page.select("p.terms")
    assert [line.dfn.get_text() for line in lines] == ["NDCG@10", "cell"]
    assert lines[0].find_previous_sibling("p").get_text().startswith("NDCG@10 rises") and not page.select(
        "#term-markov"
    )
    (link,) = page.select("a.term")
    assert (link.get_text(), link["href"], link["aria-describedby"]) == ("NDCG@10", "#term-ndcg-10", "term-ndcg-10")
    assert link.find_parent("li").get_text() == "NDCG@10 again, NDCG@10"
    assert link["data-says"] in page.select_one("#term-ndcg-10").get_text()


def test_a_term_is_explained_to_mouse_and_keyboard(browser, tmp_path):
    cells = [markdown("# T\n\nMarkov is a model."), markdown("## Two\n\nMarkov again.")]
    page = offline(browser, viewport={"width": 390, "height": 700}).new_page()
    page.goto(write(tmp_path, **{"01_eda": cells}).as_uri())
    link = page.locator("a.term")
    said = "element => getComputedStyle(element, '::after').content"
    assert link.evaluate(said) == "none"
    link.hover()
    assert "counts which item follows which" in link.evaluate(said)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.mouse.move(0, 0)
    page.locator("h3 a").last.focus()
    page.keyboard.press("Tab")
    assert "counts which item follows which" in link.evaluate(said)
    page.context.close()


def test_drawings_keep_the_digits_that_are_seen(tmp_path):
    curve = "M 0 1.26" + " \nL 1.5 2.3456" * 100
    html = f'<figure class="study-figure"><svg><path d="M 1.234567 -2.5 \nL 100 0.005001 z"/><path d="{curve}"/></svg></figure>'
    page = read(tmp_path, **{"01_eda": [code("f", shown(html))]})
    assert [path["d"] for path in page.select("svg path")] == ["M1.23 -2.5L100 0.01z", "M0 1.3" + "L1.5 2.3" * 100]


def test_drawings_keep_the_ids_that_something_refers_to(tmp_path):
    html = (
        '<figure class="study-figure"><svg role="img" aria-labelledby="t"><title id="t">T</title><g id="axes">'
        '<path id="m" d="M0 0"/><use href="#m" x="1.23456" y="2"/></g></svg></figure>'
    )
    page = read(tmp_path, **{"01_eda": [code("f", shown(html))]})
    assert [element["id"] for element in page.select("svg [id]")] == ["t", "m"]
    assert page.select_one("use")["x"] == "1.23"


def test_a_dollar_is_a_dollar(tmp_path):
    page = read(tmp_path, **{"01_eda": [markdown("It costs $5, **not** $10 & more.\n\n$$x < 1$$ or `$STUDYLIB_DATA`")]})
    assert [p.get_text() for p in page.select(".prose p")] == [
        "It costs $5, not $10 & more.", "$$x < 1$$ or $STUDYLIB_DATA",
    ]  # fmt: skip
    assert page.select_one(".prose strong").get_text() == "not"


def test_the_end_says_how_to_run_it_again(tmp_path):
    footer = read(tmp_path, **{"01_eda": [markdown("# T")]}).footer
    text = footer.get_text(" ", strip=True)
    for words in (
        "make quickstart",
        "make study",
        "studylib run 'params/my demo.yaml'",
        "0, 1, 2",
        "3.15.0",
        "data checksums",
    ):
        assert words in text
    assert PROVENANCE["commit"] in text and footer.details is not None and "open" not in footer.details.attrs


def test_the_same_notebooks_give_the_same_bytes(tmp_path):
    first = realistic(tmp_path).read_bytes()
    assert realistic(tmp_path).read_bytes() == first


def test_the_page_asks_the_network_for_nothing(tmp_path):
    page = BeautifulSoup(realistic(tmp_path).read_text(encoding="utf-8"), "html.parser")
    for element, attribute in itertools.product(page.find_all(True), ("src", "srcset", "data", "poster", "xlink:href")):
        assert re.match(r"data:|#|$", element.get(attribute, "")), element
    assert [link["href"] for link in page.select("link")] == ["data:,"]
    assert not page.select("script[src], iframe, object, embed")
    assert not any(re.search(r"@import|url\(\s*['\"]?http", style.get_text()) for style in page.select("style"))
    policy = page.select_one("meta[http-equiv='Content-Security-Policy']")["content"]
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_html_in_markdown_is_text(tmp_path):
    source = f"# A {IMAGE} heading\n\nThe {SCRIPT} and *emphasis* {ATTRIBUTE} {SCRIPT_LINK}\n\n{SCRIPT}\n\n- {ENTITY}"
    page = read(tmp_path, **{"01_eda": [markdown(source)]})
    prose = page.select_one(".prose")
    assert {tag.name for tag in prose.find_all(True)} == {"h2", "p", "em", "ul", "li", "a"}
    assert prose.h2.contents[0] == f"A {IMAGE} heading" and f"{SCRIPT} and " in prose.get_text()
    assert [link["href"] for link in prose.find_all("a") if "javascript" in link["href"]] == []
    assert not any(name.startswith("on") for tag in page.find_all(True) for name in tag.attrs)


def test_what_made_the_page_is_text(tmp_path):
    path = tmp_path / "page.html"
    write_report([], path, SCRIPT, IMAGE, {text: [{text: [text, NUL]}] for text in NASTY.values()}, command=SCRIPT)
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    assert not page.select("img, main a, footer a:not(.anchor)") and len(page.select("script")) == 1
    shown = page.footer.get_text()
    assert all(visible(text) in shown for text in NASTY.values())
    assert (page.h1.get_text(), page.select_one(".question").get_text(), page.title.get_text()) == (
        SCRIPT,
        IMAGE,
        SCRIPT,
    )


# How it behaves in a browser.


def realistic(folder):
    """A page like a study's: text, code, a summary, five figures, an explorer, tables of 2, 3 and 108 rows."""
    networks = grid_cells()
    cell = figure("cell", "<em>One cell.</em> Its loss.", 9, live=explorer(networks, networks.iloc[0], FLOOR))
    settings = itertools.product(
        ("lstm", "gru", "hybrid"), ("softmax", "tanh", "sigmoid"), ("sgd", "adam", "rmsprop", "adagrad"), (64, 128, 256)
    )
    cells = [
        (*s, f"{(n * 37 % 108) / 250:.3f}", f"{n * 991 + 5:,}", n * 1.5, "finished") for n, s in enumerate(settings)
    ]
    header = ["architecture", "activation", "optimizer", "batch size", "accuracy", "parameters", "seconds", "status"]
    answer = new_output("display_data", {"text/markdown": "**GRU with RMSprop** is best.", "text/plain": "x"})
    return write(
        folder,
        **{
            "01_eda": [
                markdown(f"# What does the log look like?\n\n{PROSE}See [the grid](02_grid_training.ipynb#Settings)."),
                code("seed = 0", tags=["parameters"]),
                markdown(f"## Lengths\n\n{PROSE}\n\nAs [](#fig-lengths) shows, few are long.\n\n{PROSE}"),
                code(
                    "figures.lengths(sessions)", shown(figure("lengths", "<em>Most are short.</em> Visits a session."))
                ),
                markdown(f"## Popularity\n\n{PROSE}"),
                code("figures.popularity(s)", shown(figure("popularity", "<em>Few pages</em> take most visits.", 10))),
            ],
            "02_grid_training": [
                markdown(f"# Which networks learn?\n\n{PROSE}"),
                code("say()", answer, shown(figure("answer", "<em>The optimizer decides.</em>")), tags=["summary"]),
                code("show(cell)", shown(cell)),
                markdown(f"## Settings\n\n{PROSE}\n\n{PROSE}"),
                code("print(len(cells))  # all of them", stream("108 cells " * 30)),
                code(
                    "table(cells)",
                    shown(table(header, cells, "All cells of the grid, with a caption that is long enough to wrap.")),
                ),
            ],
            "03_ranking_evaluation": [
                markdown(f"# Which model ranks best?\n\n{PROSE}"),
                markdown(f"## Settings\n\n{PROSE}\n\n1. one\n2. two\n\n> A quote.\n\n```python\nfit(train)\n```"),
                code("show()", shown(figure("ranks", "GRU4Rec is above both."))),
                code(
                    "t",
                    shown(
                        table(
                            ["model", "HR@5"], [["gru4rec", "0.381 [0.37, 0.39]"], ["markov", "0.35"], ["pop", "9e-2"]]
                        )
                    ),
                ),
                code("claims", shown(CLAIMS)),
                code("1 / 0", error("ZeroDivisionError", "division by zero")),
            ],
        },
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return realistic(tmp_path_factory.mktemp("page")).as_uri()


def test_the_browser_runs_the_scripts_of_the_page_and_no_other(browser, tmp_path):
    """Where something is not escaped after all, the policy stops it: in the text, in attributes, from elsewhere, in frames."""
    html = write(tmp_path, **{"01_eda": [markdown("# T"), code("c", shown(CLAIMS))]}).read_text(encoding="utf-8")
    attacks = (
        SCRIPT, "<script src='data:text/javascript,window.hacked=1'></script>", "<img src=x onerror='window.hacked = 2'>",
        "<svg onload='window.hacked = 3'></svg>", "<iframe srcdoc='<script>parent.hacked = 4</script>'></iframe>",
        "<a id='leave' href='javascript:window.hacked=5'>x</a>", "<style>body { display: none }</style>",
        "<link rel='stylesheet' href='style.css'>", "<base href='https://example.org'>",
        "<img src='https://example.org/a.png'>",
    )  # fmt: skip
    (tmp_path / "attacked.html").write_text(html.replace("</main>", "".join(attacks) + "</main>"), encoding="utf-8")
    context, requests, blocked = offline(browser), set(), set()
    page = context.new_page()
    page.on("request", lambda request: requests.add(request.url))
    page.on("requestfailed", lambda request: blocked.add(request.url) if request.failure == "csp" else None)
    page.goto((tmp_path / "attacked.html").as_uri())
    assert page.locator("main").is_visible()
    page.locator("#leave").click()
    assert page.get_by_role("button", name="theme").is_visible(), "the page's own script runs"
    assert page.evaluate("window.hacked") is None
    asked = {url for url in requests - blocked if not url.startswith(("about:", "data:"))}
    assert asked == {(tmp_path / "attacked.html").as_uri()}
    context.close()


def test_contents_follow_the_reading(visit):
    page = visit()
    names = ["lengths", "popularity", "grid-training", "settings", "ranking-evaluation", "ranking-evaluation-settings"]
    for name in [*names, *reversed(names)]:
        page.evaluate("id => document.getElementById(id).scrollIntoView()", name)
        expect(page.locator("nav [aria-current]")).to_have_attribute("href", f"#{name}")
        assert page.locator("nav [aria-current]").is_visible()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator("nav [aria-current]")).to_have_attribute("href", "#again")
    assert page.locator("nav").bounding_box()["y"] < 1


def test_contents_fold_on_a_phone(visit):
    page = visit(width=390)
    link = page.locator("nav a[href='#popularity']")
    assert not link.is_visible()
    page.locator("nav summary").click()
    link.click()
    assert not link.is_visible()
    assert 0 <= page.locator("#popularity").bounding_box()["y"] < 200


@pytest.mark.parametrize("script", [True, False])
def test_every_link_in_the_page_lands(visit, script):
    page = visit(java_script_enabled=script)
    lost, links = links_into_nowhere(page)
    assert lost == [] and links > 20
    if not script:
        assert page.locator("nav a[href='#again']").is_visible() and not page.locator(".tools").is_visible()


def column(page, n):
    return page.eval_on_selector_all(
        ".long tbody tr", f"rows => rows.filter(r => r.checkVisibility()).map(r => r.cells[{n}].textContent)"
    )


def test_sorting_sorts_by_number_and_by_word(visit):
    page = visit()
    header = page.locator(".long thead th")
    for n, key in ((5, lambda text: int(text.replace(",", ""))), (6, float), (2, str)):
        header.nth(n).get_by_role("button").click()
        rising = column(page, n)
        assert rising == sorted(rising, key=key) and header.nth(n).get_attribute("aria-sort") == "ascending"
        header.nth(n).get_by_role("button").press("Enter")
        assert column(page, n) == sorted(rising, key=key, reverse=True)
        assert page.locator(".long th[aria-sort]").count() == 1
    small = page.locator("table", has_text="HR@5")
    small.get_by_role("button", name="HR@5").click()
    assert small.locator("tbody td:first-child").all_inner_texts() == ["pop", "markov", "gru4rec"]


def test_filtering_filters(visit):
    page = visit()
    assert page.get_by_role("searchbox").count() == 1
    page.get_by_label("Filter").fill("GRU tanh")
    assert len(column(page, 0)) == 12 and set(column(page, 0)) == {"gru"} and set(column(page, 1)) == {"tanh"}
    assert page.locator(".table-tools output").inner_text() == "12 of 108 rows"
    page.get_by_label("Filter").fill("nothing like it")
    assert column(page, 0) == []
    page.get_by_label("Filter").fill("")
    assert len(column(page, 0)) == 108


def test_another_cell_is_picked(visit):
    page = visit()
    figure, words = page.locator("#fig-cell"), page.locator(".explorer output")
    curve = figure.locator("path.curve")
    assert not figure.locator(":scope > svg, :scope > .figure-scroll").is_visible()
    assert words.inner_text().startswith("GRU, softmax, Adam, batch size 64, 2 epochs: right for ")
    assert figure.get_by_label("activation").count() == 0, "there is only one"
    assert figure.locator("path.second").count() == 0 and not figure.locator(".beside").is_visible()
    seen = [(words.inner_text(), curve.get_attribute("d"), curve.get_attribute("stroke"))]
    for factor, keys in (("architecture", "L"), ("optimizer", "S"), ("batch size", "1"), ("epochs", "4")):
        figure.get_by_role("combobox", name=factor).press(keys)
        assert figure.locator(".beside").inner_text() == f"Picked before: {seen[-1][0]}"
        assert figure.locator("path.second").get_attribute("stroke") == seen[-1][2]
        seen.append((words.inner_text(), curve.get_attribute("d"), curve.get_attribute("stroke")))
        assert figure.locator("svg[aria-label]").last.get_attribute("aria-label") == words.text_content()
    assert len({text for text, _, _ in seen}) == 5 and len({drawn for _, drawn, _ in seen}) == 5
    assert [colour for _, _, colour in seen] == ["#BF8300"] + ["#0072B2"] * 4
    assert re.search(r"right for [\d.]+% of 50 test cases \[[\d.]+%, [\d.]+%\], place \d+ of 15", seen[1][0])


@pytest.mark.parametrize("width", [1280, 390])
def test_the_map_says_the_cell_under_the_mouse_and_a_click_picks_it(visit, width):
    page = visit(width=width)
    figure, words, hovered = page.locator("#fig-cell"), page.locator(".explorer output"), page.locator(".hovered")
    assert figure.locator(".map .cell").count() == 16 and "popularity 10.0%, Markov 30.0%" in hovered.inner_text()
    data = grid_cells()
    above = figure.locator(".map .above").evaluate_all("cells => cells.map(cell => Number(cell.dataset.cell))")
    assert sorted(above) == [n for n, accuracy in enumerate(data["accuracy"]) if accuracy > 0.3]
    assert figure.locator(".map .none").get_attribute("data-cell") == "5"
    first = words.inner_text()
    figure.locator(".map [data-cell='14']").hover()
    assert hovered.inner_text().startswith("LSTM, softmax, SGD, batch size 128, 2 epochs: right for")
    assert words.inner_text() == first
    figure.locator(".map [data-cell='14']").click()
    expect(words).to_have_text(hovered.inner_text())
    assert page.locator(".beside").inner_text() == f"Picked before: {first}"
    assert figure.get_by_role("combobox", name="optimizer").locator("option:checked").inner_text() == "SGD"
    address = page.url
    assert address.endswith("#fig-cell?cell=14&before=0")
    page.goto("about:blank")
    page.goto(address)
    expect(words).to_contain_text("LSTM, softmax, SGD, batch size 128, 2 epochs")


def test_collapsed_cells_are_crossed(browser, tmp_path):
    cells = grid_cells()
    cells.loc[[3, 4], ["status", "reason"]] = ["collapsed", "one list"]
    live = explorer(cells, cells.iloc[0], FLOOR)
    page = offline(browser).new_page()
    page.goto(write(tmp_path, **{"02_grid": [code("f", shown(figure("cell", "A cell.", live=live)))]}).as_uri())
    assert page.locator(".map .cross").count() == 2
    page.locator(".map [data-cell='3']").click()
    assert page.locator(".explorer output").inner_text().endswith("Status: collapsed (one list).")
    page.context.close()


def test_a_cell_that_did_not_train_says_why(visit):
    page = visit()
    page.get_by_role("combobox", name="optimizer").select_option("SGD")
    page.get_by_role("combobox", name="epochs").select_option("4")
    assert page.locator(".explorer output").inner_text().endswith("Status: failed (out of memory).")
    page.get_by_role("combobox", name="epochs").select_option("2")
    assert "right for" in page.locator(".explorer output").inner_text()


def test_without_script_the_drawing_of_the_notebook_is_there(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("#fig-cell svg").first.is_visible() and not page.locator(".explorer").is_visible()


READ = [
    ".explorer output", ".explorer label", ".explorer select", ".explorer svg text", "main p", "main p a", "h1",
    "main h2", "figcaption", "figcaption em", ".figure-number", "nav a", "nav ol ol a", "td", "th", "th button",
    "caption", "blockquote", ".tools button", ".table-tools output", "details.code summary",
    ".highlight .nf, .highlight .n", ".highlight .c1", ".error p", ".error strong", "figure svg text", "footer dt",
    "footer dd",
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "toggled"), [("light", False), ("dark", False), ("light", True)])
def test_both_themes_keep_contrast(visit, scheme, toggled):
    page = visit(scheme=scheme)
    page.get_by_role("button", name="Show all code").click()
    if toggled:
        page.get_by_role("button", name="theme").click()
    measured = page.evaluate(CONTRASTS, READ)
    assert [(selector, ratio) for selector, ratio, _ in measured if ratio < 4.5] == []
    dark = (scheme == "dark") != toggled
    assert all((paper < 0.05) == dark for _, _, paper in measured)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows(visit, width):
    page = visit(width=width)
    open_everything(page)
    assert too_wide(page, width) == []


def test_everything_can_be_reached_by_keyboard(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page = visit()
    expected = page.evaluate(
        "() => { window.all = [...document.querySelectorAll('a[href], button, summary, input, select, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility()); return all.length }"
    )
    reached = []
    for _ in range(expected):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("window.all.indexOf(document.activeElement)"))
    assert reached == list(range(expected))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_violation_of_level_a_or_aa(visit, width, scheme):
    page = visit(width=width, scheme=scheme)
    open_everything(page)
    assert violations(page) == ""


def test_print_leaves_nothing_out(visit):
    page = visit()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator(".tools").is_visible()
    long = page.locator(".long").evaluate("e => [e.scrollHeight - e.clientHeight, getComputedStyle(e).overflowY]")
    assert long == [0, "visible"]
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".provenance dl").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator(".provenance dl").first.is_visible()


def test_print_opens_the_short_tables_of_the_appendix_and_names_the_long_ones(browser, tmp_path):
    def rows(n):
        return shown(
            table(["model", "n"], [(f"m{k}", k) for k in range(n)], f"Of {n} models <a class='csv' href='#'>CSV</a>")
        )

    appendix = [markdown("## All", "appendix"), *(code("t", rows(n)) for n in (5, 80, 150))]
    page = offline(browser).new_page()
    page.goto(write(tmp_path, **{"03_ranking": [markdown("# R", "ranking"), *appendix]}).as_uri())
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [page.locator("tbody").nth(n).is_visible() for n in range(3)] == [True, False, False]
    assert [page.locator(".table-fold > summary").nth(n).is_visible() for n in range(3)] == [False, True, True]
    assert page.locator("a.csv:visible").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("tbody:visible").count() == 0
    page.context.close()
