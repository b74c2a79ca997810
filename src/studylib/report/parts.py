"""The order of the page: which section of a notebook stands in which part of the article.

A section is a heading of two hashes with what follows it. The cell of the heading names its part by a tag; the cell of the
notebook's title (one hash) names that of the sections that name none. A notebook that names no part is a part of its own, and
stands before all others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from studylib.errors import extra

with extra("notebooks"):
    from nbformat import NotebookNode

PARTS = ["choosing", "claims", "ranking", "grid", "data", "limitations", "references", "appendix"]
"""The parts in the order of the page, after the findings at its head."""
WITH_TITLES = {"data": "Data and method", "appendix": "Appendix"}
"""Parts whose heading is the page's own; the others begin with that of their first section."""


@dataclass(frozen=True)
class Section:
    """Cells that belong together: the part in which they stand, the notebook that they are from, and whether they open it."""

    part: str
    notebook: str
    cells: list[NotebookNode]
    opens: bool


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def sections(notebook: str, cells: list[NotebookNode]) -> list[Section]:
    """The sections of a notebook, as they follow each other in it.

    Args:
        notebook: its id, which is that of its part where it names none.
    """
    blocks: list[list[NotebookNode]] = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and re.match("## ", cell.source):
            blocks.append([])
        blocks[-1].append(cell)
    usual = _part(blocks[0], notebook)
    return [Section(_part(block, usual), notebook, block, block is blocks[0]) for block in blocks if block]


def _part(block: list[NotebookNode], otherwise: str) -> str:
    return next((tag for tag in (tags(block[0]) if block else []) if tag in PARTS), otherwise)


def in_order(found: list[Section]) -> dict[str, list[Section]]:
    """The sections by part, in the order of the page."""
    own = dict.fromkeys(section.part for section in found if section.part not in PARTS)
    parts = {part: [section for section in found if section.part == part] for part in [*own, *PARTS]}
    return {part: those for part, those in parts.items() if those}
