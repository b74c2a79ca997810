"""Numbers in sentences become links to the row of a table that they are from; figures say which cell of a notebook makes them.

A row is found by the keys that a number has with it (`studylib.sources`), as the table shows them. Where several rows have these
keys, as of a count, the link leads to the first; where none has, as of a count of nothing, and without keys, to the table.
What a page has no table for stays text, which says its source when it is pointed at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from studylib.errors import extra
from studylib.report.tables import name_of
from studylib.tables.names import written
from studylib.text import visible

with extra("notebooks"):
    from bs4 import BeautifulSoup, Tag


@dataclass
class _Table:
    """A table as it stands on the page, its columns by their names there."""

    element: Tag
    columns: dict[str, int]
    rows: list[tuple[Tag, list[str]]]

    @classmethod
    def of(cls, element: Tag) -> _Table:
        names = [cell.get_text() for cell in element.select("thead th")]
        rows = [(row, [cell.get_text() for cell in row.find_all(["th", "td"])]) for row in element.select("tbody tr")]
        return cls(element, {name: n for n, name in enumerate(names)}, rows)

    def known(self, row: list[list[str]]) -> list[tuple[str, str]]:
        """The keys whose columns the table has, by the names of these here: a table of one protocol has no column for it."""
        named = [(column.replace("_", " "), key) for column, key in row]
        return [(column, key) for column, key in named if column in self.columns]

    def having(self, keys: list[tuple[str, str]]) -> list[int]:
        wanted = [(self.columns[column], {visible(key), visible(written(key))}) for column, key in keys]
        return [n for n, (_, texts) in enumerate(self.rows) if all(texts[at] in either for at, either in wanted)]


def link_numbers(page: BeautifulSoup) -> None:
    """Before the long tables are taken apart (`studylib.report.tables.move_to_appendix`): rows that are linked get an id."""
    by_name: dict[str, list[_Table]] = {}
    for element in page.select("table[data-table]"):
        by_name.setdefault(element["data-table"], []).append(_Table.of(element))
    targets: dict[tuple[str, str], tuple[str, str] | None] = {}
    for number in page.select("span.number[data-table]"):
        key = number["data-table"], number["data-row"]
        if key not in targets:
            targets[key] = _target(by_name.get(key[0], []), *key)
        address = targets[key]
        if number.find_parent(["a", "h2", "h3", "h4", "h5", "h6"]):
            number.unwrap()
        elif address is not None:
            number.name = "a"
            number.attrs = {"class": "number", "href": f"#{address[0]}", "title": address[1]}
    for element in page.select("table[data-table]"):
        del element["data-table"]


def _target(tables: list[_Table], name: str, row: str) -> tuple[str, str] | None:
    """The address of a row, or of the whole table, and its name; marks it with the address."""
    asked = json.loads(row)
    # A table without such a row is what is left where no other one of the name has it.
    for table in sorted(tables, key=lambda each: not each.having(each.known(asked))):
        keys = table.known(asked)
        found = table.having(keys)
        title = name_of(table.element.find_parent(role="region"))
        said = ", ".join(f"{column} {visible(written(key))}" for column, key in keys)
        if keys and found:
            element = table.rows[found[0]][0]
            element["id"] = element.get("id") or f"{name}.csv-row-{found[0] + 1}"
            which = f"row {found[0] + 1}" if len(found) == 1 else f"row {found[0] + 1}, the first of {len(found):,}"
            return element["id"], f"{title}: {which} ({said})"
        table.element["id"] = table.element.get("id") or f"{name}.csv"
        of_rows = f"none of {len(table.rows):,} rows ({said})" if keys else f"all {len(table.rows):,} rows"
        return table.element["id"], f"{title}: {of_rows}"
    return None


def sign_figures(page: BeautifulSoup, command: str | None) -> None:
    """Below the caption of every figure the notebook and the cell that make it, and the command that runs the notebook."""
    with_id = {tag["id"]: tag for tag in page.find_all(id=True)}
    for figure in page.select("figure[data-cell]"):
        notebook, cell = figure["data-notebook-file"], figure["data-cell"]
        del figure["data-notebook-file"], figure["data-cell"]
        code = with_id.get(code_id(notebook, cell))
        line = page.new_tag("span", attrs={"class": "made"})
        link = page.new_tag("a", href=f"#{code['id']}", string=f"cell {cell}") if code else f"cell {cell}"
        line.extend(["Made by ", link, f" of {notebook}"])
        if command:
            run = page.new_tag("code", string=f"{command} --only {notebook[:2]}", attrs={"class": "command"})
            line.extend([", with ", run])
        line.append(".")
        if figure.figcaption:
            figure.figcaption.extend([" ", line])


def code_id(notebook: str, cell: str) -> str:
    """The address of the code of a cell."""
    return f"{notebook}-{cell}"
