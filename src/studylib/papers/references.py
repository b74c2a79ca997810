"""The works that the text cites: the entries of ``references.yaml``; and how this one is cited."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import yaml

from studylib import __version__


@dataclass(frozen=True)
class Reference:
    """A work: the words with which the text cites it, such as "Hidasi et al. 2016", and where it is found."""

    cited: str
    authors: str
    title: str
    where: str
    address: str


def references() -> list[Reference]:
    """All of them, in the order of the list."""
    entries = yaml.safe_load((files("studylib.papers") / "references.yaml").read_text(encoding="utf-8"))
    return [Reference(**entry) for entry in entries]


THIS_STUDY = Reference(
    cited="this study",
    authors="The studylib authors",
    title="Which recurrent recommender? A reproducible study of recurrent networks for next-page and next-item recommendation",
    where=f"studylib {__version__}, MIT licence",
    address="",
)
"""As ``CITATION.cff`` has it."""
