"""The notebooks as they are committed: without outputs, and alike in their beginning."""

import nbformat
import pytest

from studylib.paths import project_root

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


def test_notebooks_call_and_do_not_compute():
    """Logic longer than a few lines belongs in the library, where it is tested."""
    lines = [
        len(cell.source.splitlines())
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    assert max(lines) <= 15 and sum(lines) <= 500
