"""Executed notebooks become one HTML page that needs nothing but itself.

nbconvert renders the cells (`report/assets/cells.html.j2`); a few passes over the result then make one document of them:
one h1, parts in the order of an article, ids that are unique over the page, numbered figures, tables that can be sorted.
`page.html.j2` puts style, script and contents around it. Nothing depends on the time, so the same notebooks give the same bytes.

What a notebook may use, beside Markdown:

- ``<figure class="study-figure" id="fig-NAME">`` with an inline ``<svg role="img">`` and a ``<figcaption>``. Figures are numbered
  here; ``[](#fig-NAME)`` in Markdown becomes a link that reads "Figure 3".
- ``<div class="live NAME">`` in a figure, after its drawing: `studylib.report.NAME` brings the data and ``NAME.js`` draws it anew
  as readers pick; the drawing stays for print and for readers without script.
- ``<table>`` in any output; ``<caption>`` names it. A cell sorts by the number it begins with, or by ``data-value``. A row with
  an ``id`` gets an anchor; ``<a class="figure-link" href="#fig-NAME">`` becomes a link that reads "Figure 3" or, where the
  page has no such figure, a word.
- ``[text](02_grid_training.ipynb#Some-heading)`` links to another notebook, in JupyterLab and on the page.
- ``<span class="number">`` with the table and the row that a number is from becomes a link to it (`studylib.report.sources`).
- ``<p class="heading">`` around such a link: on the page the heading that it leads to says what the link says.
- tags of cells with headings: the part of the article in which the section stands (`studylib.report.parts`).
- tags of other cells: ``findings`` and ``summary`` move the words that the cell shows to the head of the page, and of all figures
  in such cells the last one (the others stay where they are); ``appendix`` moves its tables there and leaves links
  (`studylib.report.tables`); ``hide-input`` leaves its code out, ``parameters`` folds it under that name.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import re
from html import escape
from pathlib import Path
from urllib.parse import unquote

from studylib.errors import extra
from studylib.paths import write
from studylib.report import glossary, parts, references, sources, tables
from studylib.text import visible

with extra("notebooks"):
    import nbformat
    from bs4 import BeautifulSoup, Tag
    from bs4.element import PreformattedString
    from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
    from markupsafe import Markup
    from mistune import BlockParser, InlineParser
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from nbformat import NotebookNode

ASSETS = Path(__file__).parent / "assets"
STYLES = ("style.css", "recommender.css")
SCRIPTS = ("live.js", "explorer.js", "ranking_explorer.js", "claims_explorer.js", "recommender.js", "script.js")
"""In their order: what the live figures share comes before them."""
OWN_IDS = ("main", "contents", "summary", "again")
"""Ids that `page.html.j2` uses itself."""

_PROGRESS_BAR = re.compile(r"\d+%\||\b\d+it \[")
_OBJECT_REPR = re.compile(r"\[?<[A-Za-z_][\w.]*[: ].*>\]?", re.DOTALL)


def write_report(
    notebooks: list[Path],
    destination: Path,
    title: str,
    question: str,
    provenance: dict,
    command: str | None = None,
) -> Path:
    """Write executed notebooks as one self-contained HTML page.

    The browser itself sees to it that nothing but the page's own script runs and that nothing is asked of the network: the
    content security policy names script and style by their checksums.

    A notebook that stopped at an error is shown as far as it came, the error in a box and a notice at the head of the
    page. Standard error (progress bars, log lines with the time of day) is left out.

    Args:
        notebooks: the executed notebooks, in the order of the page.
        destination: the page to write; its folder is made.
        title: the one h1 of the page.
        question: what the page answers, below the title.
        provenance: what is needed to run it again, shown at the end in the given order; values may be dicts and lists.
        command: what writes the page, for a reader to type.

    Returns:
        ``destination``.
    """
    found = []
    for path in notebooks:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if not _is_papermills_own(cell)]
        found += parts.sections(_notebook_id(path), [_cleaned(cell, path.name) for cell in cells])

    page = BeautifulSoup(_rendered(parts.in_order(found), _hoist(found)), "html.parser")
    _drop_what_nobody_sees(page)
    _merge_code(page)
    _give_headings(page)
    _make_ids_unique(page)
    _number_figures(page)
    tables.prepare(page)
    _land_links(page)
    _state_results(page)
    sources.link_numbers(page)
    sources.sign_figures(page, command)
    tables.move_to_appendix(page)
    references.add_references(page, provenance.get("commit"))
    glossary.explain_terms(page)
    contents = _contents(page)
    errors = [
        (box["id"], box.find_parent("section").find("h2").get_text()) for box in page.select("section .error[id]")
    ]
    _add_anchors(page)

    style, script = (
        "".join((ASSETS / name).read_text(encoding="utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    environment = Environment(
        loader=PackageLoader("studylib.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["label"] = lambda key: str(key).replace("_", " ")
    html = environment.get_template("page.html.j2").render(
        title=title,
        question=question,
        command=command,
        style=Markup(style),
        script=Markup(script),
        policy=Markup(_policy(script, style)),
        summary=Markup(page.select_one("#summary").decode_contents()),
        chapters=Markup("\n".join(str(section) for section in page.select("section.chapter"))),
        contents=contents,
        errors=errors,
        provenance=provenance,
    )
    destination = Path(destination)
    write(destination, html)
    return destination


def _policy(script: str, style: str) -> str:
    """The content security policy: this script, this style, attributes of style (which drawings have), pictures in the page."""
    script, style = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style))
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src-elem 'sha256-{style}'; style-src-attr 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


# Cells: what is left out before rendering.


def _is_papermills_own(cell: NotebookNode) -> bool:
    """Papermill marks a failing cell with two cells of its own; the page has a box for that."""
    return "papermill-error-cell-tag" in parts.tags(cell)


def _cleaned(cell: NotebookNode, notebook: str) -> NotebookNode:
    """The cell with the outputs that a reader wants to see; figures know the notebook and the cell, which has an address."""
    cell = copy.deepcopy(cell)
    if cell.cell_type == "code":
        cell.outputs = [output for output in map(_cleaned_output, cell.outputs) if output is not None]
        for output in filter(_figure_id, cell.outputs):
            made = f'<figure data-notebook-file="{escape(notebook)}" data-cell="{escape(cell.id)}"'
            output.data["text/html"] = output.data["text/html"].replace("<figure", made, 1)
            cell.metadata["address"] = sources.code_id(notebook, cell.id)
        for output in cell.outputs if "appendix" in parts.tags(cell) else ():
            if output.get("data", {}).get("text/html", "").startswith("<table"):
                output.data["text/html"] = f'<div class="for-appendix">{output.data["text/html"]}</div>'
    return cell


def _cleaned_output(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream":
        # A terminal shows what follows the last carriage return of a line.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in output.text.split("\n")]
        output.text = "\n".join(line for line in lines if not _PROGRESS_BAR.search(line)).strip("\n")
        return output if output.name == "stdout" and output.text.strip() else None
    if output.output_type == "error":
        return output
    kinds = set(output.data)
    if "application/vnd.jupyter.widget-view+json" in kinds or not kinds - {"application/javascript"}:
        return None
    if kinds == {"text/plain"} and _OBJECT_REPR.fullmatch(output.data["text/plain"].strip()):
        return None
    return output


def _hoist(sections: list[parts.Section]) -> list[NotebookNode]:
    """Take out of the sections what stands at the head: the words of the cells tagged ``findings``, those of the cells tagged
    ``summary``, and, after the first of them, the last figure of these cells.

    Code, errors and all other figures stay where they are; a line stands where the figure was.
    """
    summary, figures = [], []
    for tag, section in itertools.product(("findings", "summary"), sections):
        for cell in [cell for cell in section.cells if tag in parts.tags(cell)]:
            if cell.cell_type != "code":
                section.cells.remove(cell)
                summary.append(cell)
                continue
            stay = [output for output in cell.outputs if _figure_id(output) or output.output_type == "error"]
            summary += [_shown(output) for output in cell.outputs if output not in stay]
            cell.outputs = stay
            figures += [(cell, n) for n, output in enumerate(stay) if _figure_id(output)]
    if figures:
        cell, n = figures[-1]
        summary.insert(1, _shown(cell.outputs[n]))
        line = {"text/markdown": f"[](#{_figure_id(cell.outputs[n])}) stands at the head of the page."}
        cell.outputs[n] = nbformat.v4.new_output("display_data", line)
    return summary


def _figure_id(output: NotebookNode) -> str | None:
    found = re.match(
        r'<figure [^>]*class="study-figure[^"]*" id="([^"]+)"', output.get("data", {}).get("text/html", "")
    )
    return found and found[1]


def _shown(*outputs: NotebookNode) -> NotebookNode:
    """A cell that has only outputs."""
    return nbformat.v4.new_code_cell(outputs=list(outputs))


# Rendering: nbconvert with a template of ours.


class _CellExporter(HTMLExporter):
    """nbconvert's pages ask a CDN for MathJax, RequireJS and Mermaid; these templates ask for nothing."""

    @pass_context
    def markdown2html(self, context, source):
        # Its name notwithstanding, with plain parsers a dollar is a dollar: the notebooks have no formulas. HTML is text as well.
        renderer = IPythonRenderer(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        return MarkdownWithMath(renderer, BlockParser(), InlineParser()).render(source)


def _rendered(arranged: dict[str, list[parts.Section]], summary: list[NotebookNode]) -> str:
    exporter = _CellExporter(template_name="base", template_file=str(ASSETS / "cells.html.j2"))

    def render(cells: list[NotebookNode]) -> str:
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
        return exporter.from_notebook_node(notebook)[0]

    html = [f'<div id="summary">{render(summary)}</div>']
    for part, sections in arranged.items():
        inner = "\n".join(
            f'<div data-notebook="{s.notebook}"{" data-opens" * s.opens}>\n{render(s.cells)}\n</div>' for s in sections
        )
        html.append(f'<section class="chapter" data-part="{part}">\n{inner}\n</section>')
    return "\n".join(html)


# Passes over the whole document, in the order of `write_report`.


def _drop_what_nobody_sees(page: BeautifulSoup) -> None:
    """Comments and doctypes of inlined SVGs, their metadata (with a date), styles and ids that nothing refers to, and styles that
    pandas adds to a frame. Of the coordinates of drawings, what is less than a hundredth of a point, and of long curves less than
    a tenth."""
    for node in page.find_all(string=lambda text: isinstance(text, PreformattedString)):
        node.extract()
    for element in page.select("svg metadata, style"):
        element.decompose()
    for path in page.select("svg path[d]"):
        path["d"] = _shortened(path["d"])
    for drawing in page.select("svg"):
        needed = set(re.findall(r'(?:#|(?:labelled|described)by=")([^")]+)', str(drawing)))
        for element in drawing.select("[id]"):
            if element["id"] not in needed:
                del element["id"]
        for element in drawing.select("use, text"):
            element.attrs.update({name: _rounded(element[name]) for name in ("x", "y") if name in element.attrs})


def _shortened(drawing: str) -> str:
    """A path with coordinates of one digit (a curve of many points) or two (a marker, a letter), and no needless space."""
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", _rounded(drawing, 1 if drawing.count("L") > 30 else 2))


def _rounded(numbers: str, digits: int = 2) -> str:
    return re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.{digits}f}", numbers)


def _merge_code(page: BeautifulSoup) -> None:
    """One fold where several code cells of a kind follow each other without showing anything."""
    for fold in page.select("details.code"):
        if fold.parent is None:
            continue
        while (follower := fold.find_next_sibling()) is not None and follower.get("class") == fold["class"]:
            follower.summary.decompose()
            fold.extend(list(follower.children))
            fold.attrs.update(follower.attrs)
            follower.decompose()


def _give_headings(page: BeautifulSoup) -> None:
    """Demote the headings by one level, for the page has its own h1, and begin every part with an h2."""
    for heading in page.find_all(re.compile(r"^h[1-5]$")):
        heading.name = f"h{int(heading.name[1]) + 1}"
    for section in page.select("section.chapter"):
        part = section["data-part"]
        first = section.find(re.compile(r"^h[2-6]$"))
        if first is not None and part in parts.PARTS and part not in parts.WITH_TITLES:
            first.name = "h2"
        elif first is None or first.name != "h2" or part in parts.WITH_TITLES:
            words = parts.WITH_TITLES.get(part, part.replace("-", " ").capitalize())
            section.insert(0, page.new_tag("h2", string=words))
        for later in section.find_all("h2")[1:]:
            later.name = "h3"
        section.find("h2")["id"] = section["aria-labelledby"] = part


def _make_ids_unique(page: BeautifulSoup) -> None:
    """Give every heading an id from its words, and rename what clashes, with the references to it in the same block."""
    taken = {*OWN_IDS, *(section["data-part"] for section in page.select("section.chapter"))}

    def unique(wanted: str, notebook: str) -> str:
        name, n = wanted, 1
        while name in taken:
            name = f"{notebook}-{wanted}" if n == 1 else f"{notebook}-{wanted}-{n}"
            n += 1
        taken.add(name)
        return name

    for cells in page.select("#summary, [data-notebook]"):
        notebook, part = cells.get("data-notebook", "summary"), cells.parent.get("data-part")
        for heading in cells.find_all(re.compile(r"^h[2-6]$")):
            if part is None or heading.get("id") != part:
                heading["id"] = unique(heading.get("id") or _slug(heading.get_text()), notebook)
        for block in cells.find_all(["div", "details"], recursive=False):
            renamed = {}
            for element in block.select("[id]:not(h2, h3, h4, h5, h6)"):
                new = unique(element["id"], notebook)
                if new != element["id"]:
                    renamed[element["id"]] = element["id"] = new
            if renamed:
                _rename_references(block, renamed)
    for section in page.select("section.chapter"):
        for box in section.select(".error")[:1]:
            box["id"] = unique("error", section["data-part"])


def _rename_references(block: Tag, renamed: dict[str, str]) -> None:
    names = "|".join(re.escape(name) for name in sorted(renamed, key=len, reverse=True))
    reference = re.compile(rf"(?<=#)({names})(?=\)|$)")
    for element in block.find_all(True):
        for attribute, value in element.attrs.items():
            if attribute in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
                element[attribute] = " ".join(renamed.get(name, name) for name in value.split())
            elif isinstance(value, str) and "#" in value:
                element[attribute] = reference.sub(lambda match: renamed[match[0]], value)


def _number_figures(page: BeautifulSoup) -> None:
    captions = page.select("figure.study-figure figcaption")
    links: dict[str, list[Tag]] = {}
    for link in page.find_all("a", href=True):
        links.setdefault(link["href"], []).append(link)
    for n, caption in enumerate(captions, start=1):
        number = page.new_tag("span", string=f"Figure {n}", attrs={"class": "figure-number"})
        caption.insert(0, number)
        caption.insert(1, " ")
        for link in links.get(f"#{caption.find_parent('figure').get('id')}", []):
            if not link.get_text() or "figure-link" in link.get("class", []):
                link.string = f"Figure {n}"
    ids = {figure["id"] for figure in page.select("figure[id]")}
    for link in page.select("a.figure-link"):
        if link["href"][1:] not in ids:
            link.unwrap()
    for svg in page.select("svg:not([role])"):
        caption = svg.find_parent("figure") and svg.find_parent("figure").find("figcaption")
        svg["role"] = "img"
        svg["aria-label"] = caption.get_text(" ", strip=True) if caption else "A figure without a description"
    for svg in page.select("figure > svg[viewbox]"):
        # Scaled down to a phone, its words could not be read: it has its own width there (style.css), and scrolls.
        width = float(svg["viewbox"].split()[2])
        if width > 400:
            name = svg.find_parent("figure").select_one(".figure-number")
            label = name.get_text() if name else "Figure"
            attributes = {"class": "figure-scroll", "tabindex": "0", "role": "region", "aria-label": label}
            attributes["style"] = f"--drawn: {width:.0f}"
            svg.wrap(page.new_tag("div", attrs=attributes))


def _land_links(page: BeautifulSoup) -> None:
    """Links that JupyterLab understands (to a heading as it is written, to another notebook) land on the page too."""
    ids = {element["id"] for element in page.select("[id]")}
    headings: dict[str, dict[str, str]] = {}
    beginnings = {}
    for cells in page.select("[data-notebook]"):
        own = cells.find_all(re.compile(r"^h[2-6]$"))
        headings.setdefault(cells["data-notebook"], {}).update({_slug(h.get_text()): h["id"] for h in own})
        if cells.has_attr("data-opens"):
            beginnings[cells["data-notebook"]] = (own or [cells.parent.h2])[0]["id"]
    for link in page.select("a[href]"):
        path, _, target = link["href"].partition("#")
        if path.endswith(".ipynb"):
            notebook = _notebook_id(unquote(path))
        elif path == "" and target:
            cells = link.find_parent(attrs={"data-notebook": True})
            notebook = cells["data-notebook"] if cells else ""
        else:
            continue
        target = unquote(target)
        if path and notebook in headings:
            otherwise = target if target in ids else beginnings.get(notebook, "main")
            link["href"] = f"#{headings[notebook].get(_slug(target), otherwise)}"
        elif target not in ids:
            link["href"] = f"#{headings.get(notebook, {}).get(_slug(target), target)}"


def _state_results(page: BeautifulSoup) -> None:
    """Headings that say what was found, where a notebook says it; their addresses stay those of their own words."""
    headings = {heading["id"]: heading for heading in page.find_all(re.compile(r"^h[2-6]$"), id=True)}
    for line in page.select("p.heading"):
        heading = headings.get(line.a["href"][1:])
        if heading is not None:
            heading.clear()
            heading.extend(list(line.a.children))
        output = line.parent
        line.decompose()
        if not output.find(True):
            output.decompose()


def _contents(page: BeautifulSoup) -> list[dict]:
    """The h2 of the page with their h3."""
    contents: list[dict] = []
    for heading in page.select("section.chapter h2, section.chapter h3"):
        entry = {"id": heading["id"], "text": heading.get_text(), "parts": []}
        (contents if heading.name == "h2" else contents[-1]["parts"]).append(entry)
    return contents


def _add_anchors(page: BeautifulSoup) -> None:
    for element in page.select(
        "h2[id], h3[id], h4[id], h5[id], h6[id], figure[id] figcaption, tr[id] > th:first-of-type"
    ):
        target = element if element.has_attr("id") else element.find_parent(id=True)
        name = f"Link to {(element.find(class_='figure-number') or element).get_text()}"
        attributes = {"class": "anchor", "href": f"#{target['id']}", "aria-label": name}
        anchor = page.new_tag("a", string="#", attrs=attributes)
        made = element.find(class_="made")
        if made is None:
            element.append(anchor)
        else:
            made.insert_before(anchor)


def _notebook_id(path: Path | str) -> str:
    return _slug(re.sub(r"^\d+[_-]", "", Path(path).stem).replace("_", " "))


def _slug(text: str) -> str:
    return re.sub(r"[^\w]+", "-", text.lower().replace("’", "").replace("'", "")).strip("-_") or "section"
