"""The notebooks as they are committed: without outputs, and alike in their beginning."""

import ast

import nbformat
import pytest

from studylib.paths import project_root
from studylib.report.parts import PARTS

NOTEBOOKS = sorted((project_root() / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs_and_begin_alike(path):
    notebook = nbformat.read(path, 4)
    first, second = notebook.cells[0], notebook.cells[1]
    assert first.cell_type == "markdown" and first.source.splitlines()[0].startswith("# ")
    assert first.source.splitlines()[0].endswith("?")
    assert second.metadata["tags"] == ["parameters"]
    assert second.source == nbformat.read(NOTEBOOKS[0], 4).cells[1].source
    for cell in notebook.cells:
        assert cell.id.startswith(path.name[:2] + "-")
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None


def test_every_tag_is_one_that_the_page_knows():
    of_headings, of_code = set(PARTS), {"parameters", "findings", "summary", "appendix"}
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            tags = set(cell.metadata.get("tags", []))
            if cell.cell_type == "markdown":
                assert tags <= of_headings and (not tags or cell.source.startswith("#")), cell.id
            else:
                assert tags <= of_code, cell.id


TEMPLATES = {"say": 0, "words": 0, "table": 1, "show": 2, "heading": 1}
"""Which argument of a function is a template (`studylib.text.words`)."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_templates_are_words_of_our_own(path):
    """What is put into an f-string is not escaped: a template is a literal, and data are its values."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        nodes = list(ast.walk(ast.parse(cell.source)))
        named = {node.targets[0].id: node.value for node in nodes if isinstance(node, ast.Assign) and len(node.targets) == 1
                 and isinstance(node.targets[0], ast.Name)}  # fmt: skip
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            place = TEMPLATES.get(getattr(call.func, "attr", getattr(call.func, "id", None)))
            if place is not None and len(call.args) > place:
                template = call.args[place]
                template = named.get(template.id) if isinstance(template, ast.Name) else template
                assert isinstance(template, ast.Constant), ast.unparse(call)


def test_notebooks_call_and_do_not_compute():
    """Logic longer than a few lines belongs in the library, where it is tested; imports are none."""
    lines = [
        sum(not line.startswith(("from ", "import ")) for line in cell.source.splitlines())
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    assert max(lines) <= 15 and sum(lines) <= 800
