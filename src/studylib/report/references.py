"""The list of what the page cites, with links to it from the text, and how the page itself is cited."""

from __future__ import annotations

import re

from studylib.errors import extra
from studylib.papers.references import THIS_STUDY, Reference, references
from studylib.paths import slug

with extra("notebooks"):
    from bs4 import BeautifulSoup, NavigableString, Tag

NOT_IN = ["a", "button", "code", "dfn", "pre", "script", "summary", "svg", "h1", "h2", "h3", "h4", "h5", "h6"]
"""Elements whose text stays as it is."""


def texts(part: Tag) -> list[NavigableString]:
    """The text of a part of the page in which words can become elements."""
    not_in = {id(text) for element in part.find_all(NOT_IN) for text in element.find_all(string=True)}
    return [text for text in part.find_all(string=True) if text.strip() and id(text) not in not_in]


def add_references(page: BeautifulSoup, commit: str | None) -> None:
    """Link what the text cites to a list in the part for it. A page without that part has neither list nor links."""
    part = page.select_one("section[data-part=references]")
    if part is None:
        return
    by_words = {reference.cited: reference for reference in references()}
    pattern = re.compile("|".join(re.escape(words) for words in by_words))
    cited = set()
    for text in [text for place in page.select("#summary, section.chapter") for text in texts(place)]:
        pieces: list[Tag | str] = []
        end = 0
        for found in pattern.finditer(text):
            link = page.new_tag("a", href=f"#ref-{slug(found[0])}", string=found[0])
            pieces += [text[end : found.start()], link]
            end = found.end()
            cited.add(found[0])
        if pieces:
            text.replace_with(*pieces, text[end:])
    entries = page.new_tag("ul", attrs={"class": "references"})
    entries.extend([_entry(page, reference) for words, reference in by_words.items() if words in cited])
    part.append(entries)
    part.append(page.new_tag("h3", id="how-to-cite", string="How to cite"))
    part.append(_citation(page, commit))


def _entry(page: BeautifulSoup, reference: Reference) -> Tag:
    entry = page.new_tag("li", id=f"ref-{slug(reference.cited)}")
    title = page.new_tag("cite", string=reference.title)
    stop = "" if reference.title.endswith("?") else "."
    address = page.new_tag("a", href=reference.address, string=reference.address.removeprefix("https://"))
    entry.extend([f"{reference.authors}. ", title, f"{stop} {reference.where}. ", address])
    return entry


def _citation(page: BeautifulSoup, commit: str | None) -> Tag:
    line = page.new_tag("p")
    line.extend([f"{THIS_STUDY.authors}. ", page.new_tag("cite", string=THIS_STUDY.title), f". {THIS_STUDY.where}"])
    if commit:
        line.extend([", commit ", page.new_tag("code", attrs={"class": "commit"}, string=commit)])
    line.append(". If you use a result about the two papers, cite them too. The data sets have licences of their own.")
    return line
