"""The tables of the page: made fit to be read, sorted and filtered; the long ones moved to the appendix.

A table in the appendix is closed. Of one of more than `LONG` rows only the first stand in the page's HTML, and those with an id,
to which a link leads; the others are drawn by ``script.js`` when a reader opens it, from data beside it. Whoever reads without
script has the first rows, and all of them in the CSV of the table (`studylib.notebook.Study.table`).
"""

from __future__ import annotations

import json
import re

from studylib.errors import extra
from studylib.paths import slug

with extra("notebooks"):
    from bs4 import BeautifulSoup, Tag

LONG = 100
"""Rows above which a table of the appendix is drawn when it is opened."""
FIRST = 20
"""Rows of such a table that are in the page's HTML."""

_NUMBER = re.compile(r"(?P<number>[+-]?[\d,\u2009\u202f]*\.?\d+(?:[eE][+-]?\d+)?)\s*(?:%|[\[(±].*)?")
_MISSING = frozenset({"", "-", "–", "—", "nan", "NaN", "None", "<NA>", "NaT"})


def prepare(page: BeautifulSoup) -> None:
    """Scopes, number columns, and a region that scrolls sideways by keyboard too."""
    for table in page.find_all("table"):
        for element in [table, *table.find_all("tr")]:
            element.attrs.pop("border", None)
            element.attrs.pop("style", None)
        _merge_header_rows(table)
        for cell in table.select("thead th"):
            cell["scope"] = "col"
        for cell in table.select("tbody th"):
            cell["scope"] = "row"

        rows = [row.find_all(["th", "td"]) for row in table.select("tbody tr")]
        header = table.select("thead tr")
        for cell in (cell for row in rows for cell in row if len(cell.get_text()) > 28):
            cell["class"] = "words"
        simple = len(header) == 1 and not table.select("[colspan], [rowspan]") and len({len(row) for row in rows}) == 1
        if simple:
            for column in zip(header[0].find_all(["th", "td"]), *rows, strict=False):
                _mark_numbers(column)
            if len(rows) > 1:
                table["data-sortable"] = ""

        heading = table.find_previous(re.compile(r"^h[2-6]$"))
        name = table.caption or heading
        region = page.new_tag("div", attrs={"class": "table-scroll", "tabindex": "0", "role": "region"})
        csv = table.caption.select_one("a.csv") if table.caption else None
        if csv:
            csv.extract()
        region["aria-label"] = f"Table: {name.get_text(' ', strip=True)}" if name else "Table"
        if rows and len(rows[0]) > 10:
            table["class"] = [*table.get("class", []), "wide"]
        if len(rows) > 24:
            region["class"] = "table-scroll long"
        table.wrap(region)
        if table.caption:
            # Stays in view while the table scrolls sideways.
            words = page.new_tag("span")
            words.extend(list(table.caption.children))
            if csv:
                words.extend([" ", csv])
            table.caption.append(words)


def _merge_header_rows(table: Tag) -> None:
    """pandas writes the name of an index into a second header row of its own."""
    rows = [row.find_all("th") for row in table.select("thead tr")]
    if len(rows) == 2 and len(rows[0]) == len(rows[1]) and not table.select("thead [colspan], thead [rowspan]"):
        if any(above.get_text() and below.get_text() for above, below in zip(*rows, strict=True)):
            return
        for above, below in zip(*rows, strict=True):
            if below.get_text():
                above.string = below.get_text()
        rows[1][0].parent.decompose()


def _mark_numbers(column: tuple[Tag, ...]) -> None:
    """Align a column of numbers and say what a cell sorts by where that is not its text."""
    cells = [(cell, cell.get("data-value") or cell.get_text().strip().replace("−", "-")) for cell in column[1:]]
    given = [(cell, text) for cell, text in cells if text not in _MISSING]
    matches = [_NUMBER.fullmatch(text) for _, text in given]
    if not given or not all(matches):
        return
    for cell in column:
        cell["class"] = "num"
    for (cell, _), match in zip(given, matches, strict=True):
        number = re.sub(r"[,\u2009\u202f]", "", match["number"])  # type: ignore[index]
        if number != cell.get_text().strip():
            cell["data-value"] = number


def move_to_appendix(page: BeautifulSoup) -> None:
    """Close the tables of the appendix, and move those there that a cell tagged ``appendix`` shows, with a link in their place.

    A page without the part leaves them where they are.
    """
    appendix = page.select_one("section[data-part=appendix]")
    if appendix is None:
        return
    moved = page.new_tag("div", attrs={"data-notebook": "tables"})
    appendix.h2.insert_after(moved)
    ids = {element["id"] for element in page.find_all(id=True)}
    for output in page.select("section.chapter:not([data-part=appendix]) .for-appendix"):
        closed = _closed(page, output.select_one(".table-scroll"), ids)
        link = page.new_tag("a", href=f"#{closed['id']}", string=closed.summary.get_text())
        line = page.new_tag("p", attrs={"class": "elsewhere"})
        line.extend(["In the appendix: ", link, "."])
        output.clear()
        output.append(line)
        moved.append(closed)
    for region in [region for region in appendix.select(".table-scroll") if not region.find_parent("details")]:
        place = page.new_tag("div")
        region.insert_before(place)
        place.replace_with(_closed(page, region, ids))
    if moved.contents:
        moved.insert(0, page.new_tag("h3", string="Tables of the article", id="tables-of-the-article"))
    else:
        moved.decompose()


def name_of(region: Tag) -> str:
    """The name of a table, by its region: what its caption begins with."""
    name = re.split(r"[.:;,](?:\s|$)", region["aria-label"].removeprefix("Table: "))[0]
    return name.rpartition("(")[0].strip() if name.count("(") > name.count(")") else name


def _closed(page: BeautifulSoup, region: Tag, ids: set[str]) -> Tag:
    """The region of a table in a fold with its name, its number of rows and an address, which joins the ``ids`` of the page."""
    rows = region.select("tbody tr")
    name = name_of(region)
    region.extract()
    address, n = f"table-{slug(name)}", 1
    while (own := address if n == 1 else f"{address}-{n}") in ids:
        n += 1
    ids.add(own)
    fold = page.new_tag("details", attrs={"class": "table-fold", "id": own})
    fold.append(page.new_tag("summary", string=f"{name} ({len(rows):,} {'row' if len(rows) == 1 else 'rows'})"))
    fold.append(region)
    if len(rows) > LONG and region.select_one("tbody tr td *") is None:
        linked = sum(row.has_attr("id") for row in rows[FIRST:])
        first = f"The first {FIRST} of {len(rows):,} rows{f', and {linked} to which the text links' if linked else ''}."
        note = page.new_tag("p", attrs={"class": "first-rows"}, string=first)
        data = page.new_tag("script", attrs={"type": "application/json"})
        # A row that stays is nothing there, which keeps its place.
        rest = [None if row.has_attr("id") else [_packed(cell) for cell in row.find_all("td")] for row in rows[FIRST:]]
        data.string = json.dumps(rest, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
        for row in rows[FIRST:]:
            if not row.has_attr("id"):
                row.decompose()
        fold.append(note)
        fold.append(data)
    return fold


def _packed(cell: Tag) -> str | list[str]:
    """The text of a cell; with what it sorts by where that is another."""
    text, value = cell.get_text(), cell.get("data-value")
    return [text, value] if value else text
