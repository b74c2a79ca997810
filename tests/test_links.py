"""The links in Markdown: what they name is in the repository, and so is the heading. No network."""

import re
import subprocess

import nbformat
import pytest

from studylib.paths import project_root

ROOT = project_root()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def documents() -> list[str]:
    return [*sorted(path.name for path in ROOT.glob("*.md")), "reports/README.md"]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def committed(path) -> bool:
    """Whether git keeps it, where this is a checkout."""
    if not (ROOT / ".git").exists():
        return True
    names = subprocess.run(["git", "check-ignore", "--quiet", str(path)], cwd=ROOT)
    return names.returncode != 0


@pytest.mark.parametrize("name", documents())
def test_every_relative_link_lands(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists() and committed(file), f"{name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{name}: {target}"


def test_links_of_notebooks_to_each_other_land():
    notebooks = {path.name: nbformat.read(path, 4) for path in (ROOT / "notebooks").glob("*.ipynb")}
    words = {
        name: "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for name, notebook in notebooks.items()
    }
    for text in words.values():
        for target in LINK.findall(text):
            path, _, anchor = target.partition("#")
            if path.endswith(".ipynb"):
                assert path in words, target
                headings = {h.replace(" ", "-") for h in re.findall(r"^#+ (.+)$", words[path], flags=re.M)}
                assert not anchor or anchor in headings, target
