"""Terms explained: in one line where they first stand on the page, and once a section after that as a reader points at them.

A later mention is a link to that line and says it when it has the mouse or the focus; screen readers read the line as the link's
description. Only sentences change: nothing in a heading, a link, code, a table or a figure's drawing does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

import yaml

from studylib.errors import extra
from studylib.paths import slug
from studylib.report.references import texts

with extra("notebooks"):
    from bs4 import BeautifulSoup, NavigableString, Tag


@dataclass(frozen=True)
class Term:
    """A term, how it stands in the text, and what it means in one line."""

    term: str
    pattern: str
    says: str

    @property
    def id(self) -> str:
        """The address of its explanation."""
        return f"term-{slug(self.term)}"


def terms() -> list[Term]:
    """All terms that the page explains."""
    entries = yaml.safe_load((files("studylib.report") / "glossary.yaml").read_text(encoding="utf-8"))
    return [Term(**entry) for entry in entries]


def explain_terms(page: BeautifulSoup) -> None:
    """Explain every term of `terms` that the page has."""
    known = terms()
    explained: dict[int, Tag] = {}
    said = set()
    for section in page.select("#summary, [data-notebook]"):
        sentences = _in_sentences(section)
        for term in known:
            pattern = re.compile(rf"(?<![\w-])(?:{term.pattern})(?![\w-])")
            place = next(((n, found) for n, text in enumerate(sentences) if (found := pattern.search(text))), None)
            if place is None:
                continue
            n, found = place
            if term.id not in said:
                said.add(term.id)
                _explain(page, term, sentences[n], explained)
            else:
                sentences[n : n + 1] = _link(page, term, sentences[n], found)


def _in_sentences(section: Tag) -> list[NavigableString]:
    return [
        text
        for text in texts(section)
        if text.find_parent(["p", "li", "figcaption"]) and not text.find_parent("p", class_="terms")
    ]


def _explain(page: BeautifulSoup, term: Term, text: NavigableString, explained: dict[int, Tag]) -> None:
    """Below the paragraph or the figure; several of one paragraph stand together."""
    block = text.find_parent(["ul", "ol", "figure"]) or text.find_parent("p")
    if id(block) not in explained:
        explained[id(block)] = page.new_tag("p", attrs={"class": "terms"})
        block.insert_after(explained[id(block)])
    line = page.new_tag("span", id=term.id)
    line.extend([page.new_tag("dfn", string=term.term), f": {term.says}. "])
    explained[id(block)].append(line)


def _link(page: BeautifulSoup, term: Term, text: NavigableString, found: re.Match) -> list[NavigableString]:
    """What is left of the text on both sides of the link."""
    attributes = {
        "class": "term",
        "href": f"#{term.id}",
        "aria-describedby": term.id,
        "data-says": f"{term.term}: {term.says}.",
    }
    link = page.new_tag("a", string=found[0], attrs=attributes)
    before, after = NavigableString(text[: found.start()]), NavigableString(text[found.end() :])
    text.replace_with(before, link, after)
    return [before, after]
