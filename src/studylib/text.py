"""Text from data, params and file names: made fit to be seen, and the one place where it and numbers become HTML.

What a log calls its items, what params call data sets and models, and paths are text and never markup. `visible` makes
them fit for any place where text is shown, figures too; `words` puts them into sentences of our own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Formatter
from typing import Any
from unicodedata import bidirectional

from markupsafe import Markup

from studylib.sources import Source, source_of

LONGEST = 600
"""Letters of a text that are shown; of a longer one the beginning and the end, with an ellipsis between them."""

_NUMBER = re.compile(r"(?<![\w@.,/])[+\-−]?\d[\d,]*(?:\.\d+)?%?(?: points)?(?: \[[^][]*\])?(?!\w)")
"""A number in words of ours, with its unit and its interval."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What is not seen but works: control characters and line ends, the embeddings, overrides and isolates that change the direction
of what follows, and what may stand in neither XML nor UTF-8."""


def visible(text: object, longest: int = LONGEST) -> str:
    """A text as it is, but for what would not be seen, or would change how its surroundings are shown.

    Control characters are shown by their numbers, what is longer than ``longest`` letters is shortened in its middle, and a
    text with letters that are read from right to left is isolated from its surroundings.

    Example:
        >>> visible("line\\nend"), visible("abcdefghij", longest=7)
        ('line⟨U+000A⟩end', 'abcd…ij')
    """
    shown = str(text)
    if len(shown) > longest:
        shown = f"{shown[: longest - longest // 3 - 1]}…{shown[-(longest // 3) :]}"
    shown = _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", shown)
    from_right_to_left = any(bidirectional(letter) in ("R", "AL", "AN") for letter in shown)
    return f"\u2068{shown}\u2069" if from_right_to_left else shown


def words(template: str, /, **values: object) -> Markup:
    """Words of our own with values in them, as HTML.

    Args:
        template: as for `str.format`, with fields that name ``values``. In it ``*this*`` is emphasis and ``**this**`` is strong;
            everything else is text.
        values: text, all of it, but for what `words` has made. Numbers that have a source (`studylib.sources`) keep it.

    Raises:
        TypeError: a value is not used.

    Example:
        >>> words("On **{log}**: {n:,}", log="<b>*x*", n=1234)
        Markup('On <strong>&lt;b&gt;*x*</strong>: 1,234')
    """
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(template, quote=False))
    marked = re.sub(r"\*(.+?)\*", r"<em>\1</em>", marked)
    return Markup(_Escaped().vformat(marked, (), values))


def listed(values: Iterable[object], separator: str = ", ") -> Markup:
    """Several values, each as in `words`, one after the other.

    Example:
        >>> listed(["<a>", words("**{x}**", x="b")])
        Markup('&lt;a&gt;, <strong>b</strong>')
    """
    return Markup(escape(separator)).join(words("{value}", value=value) for value in values)


class _Escaped(Formatter):
    """Formats each value by itself, and escapes what it gives."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if isinstance(value, Markup):
            return value
        shown = visible(format(value, format_spec))
        where = source_of(value)
        return escape(shown) if where is None else _with_source(shown, where)

    def check_unused_args(self, used_args: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if unused := kwargs.keys() - used_args:
            raise TypeError(f"the template has no place for {', '.join(sorted(unused))}")


def _with_source(shown: str, where: Source) -> Markup:
    """The words with each of their numbers in an element that says where it is from."""
    element = Markup('<span class="number" data-table="{}" data-row="{}" title="{}">{}</span>')
    pieces, end = [], 0
    for found in _NUMBER.finditer(shown):
        number = element.format(where.table, json.dumps(where.row), visible(where), found[0])
        pieces += [escape(shown[end : found.start()]), number]
        end = found.end()
    return Markup("").join([*map(Markup, pieces), Markup(escape(shown[end:]))])


def without_sources(html: Markup) -> Markup:
    """The words without where their numbers are from: of a heading, which is a link as a whole.

    Example:
        >>> from studylib.sources import source, sourced
        >>> without_sources(words("**{n}** of {m}", n=sourced(3, source("cells")), m=4))
        Markup('<strong>3</strong> of 4')
    """
    return Markup(re.sub(r'<span class="number"[^>]*>(.*?)</span>', r"\1", html))
