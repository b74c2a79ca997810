"""The works that the text cites: each is cited, and each has an address."""

import re

import nbformat
import yaml

from studylib.papers.references import THIS_STUDY, references
from studylib.paths import project_root


def test_every_reference_is_cited_in_a_notebook_and_has_an_address():
    words = "\n".join(
        cell.source
        for path in (project_root() / "notebooks").glob("*.ipynb")
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "markdown"
    )
    listed = references()
    assert len({reference.cited for reference in listed}) == len(listed) >= 15
    for reference in listed:
        assert reference.cited in words, reference.cited
        assert re.fullmatch(r"https://(doi\.org/10\.\d+|arxiv\.org/abs/\d{4}|ijisae\.org)\S+", reference.address)
        assert reference.cited[-4:] in reference.where
        first = reference.authors.split(",")[0].split(" ")[-1]
        assert first in reference.cited


def test_the_study_is_cited_as_its_citation_file_says():
    citation = yaml.safe_load((project_root() / "CITATION.cff").read_text(encoding="utf-8"))
    assert THIS_STUDY.title == citation["title"] and THIS_STUDY.authors == citation["authors"][0]["name"]
    assert citation["license"] in THIS_STUDY.where
