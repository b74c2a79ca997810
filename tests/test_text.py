"""Text from data is text wherever it is shown."""

import json

import pytest
from bs4 import BeautifulSoup

from studylib.paths import slug
from studylib.sources import source, sourced
from studylib.text import LONGEST, listed, visible, without_sources, words
from tests.nasty import BACKWARDS, IMAGE, LINES, LONG, NASTY, NUL, OVERRIDE

UNSEEN = {"long", "lines", "override", "nul", "backwards"}


@pytest.mark.parametrize("name", sorted(NASTY.keys() - UNSEEN))
def test_a_text_is_shown_as_it_is(name):
    assert visible(NASTY[name]) == NASTY[name]


def test_what_would_not_be_seen_is_shown_by_its_number():
    assert visible(LINES) == "one⟨U+000A⟩⟨U+000A⟩# two⟨U+000D⟩⟨U+000A⟩three⟨U+0009⟩four"
    assert visible(OVERRIDE) == "⟨U+202E⟩abc⟨U+202C⟩"
    assert visible(NUL) == "nul⟨U+0000⟩ ⟨U+001B⟩[31mred"
    assert visible("\ud800\uffff") == "⟨U+D800⟩⟨U+FFFF⟩"
    assert visible(BACKWARDS) == f"\u2068{BACKWARDS}\u2069"


def test_a_long_text_is_shortened_where_it_can_be_seen():
    assert visible("a" * LONGEST) == "a" * LONGEST
    shown = visible(f"first {LONG} last")
    assert len(shown) == LONGEST and shown.startswith("first W") and shown.endswith("W last") and "W…W" in shown


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize("template", ["{x}", "*{x}* and **{x}**", "<b>&amp; {x}"])
def test_a_value_in_a_sentence_is_text(template, text):
    said = BeautifulSoup(words(template, x=text), "html.parser")
    assert {tag.name for tag in said.find_all(True)} <= {"em", "strong"}
    assert said.get_text() == template.replace("*", "").format(x=visible(text))
    assert not any(tag.attrs for tag in said.find_all(True))


def test_pieces_of_a_sentence_are_put_together():
    pieces = listed([words("**{x}**", x="<a>"), "<b>", 3], separator=" & ")
    assert words("({pieces})", pieces=pieces) == "(<strong>&lt;a&gt;</strong> &amp; &lt;b&gt; &amp; 3)"
    assert listed([]) == ""


def test_a_number_says_its_source_and_nothing_else_of_the_value_does():
    where = source("models", dataset=IMAGE, model="gru4rec")
    said = words(
        "**{m}** has {r}, place {n:,}",
        m="GRU4Rec",
        r=sourced("GRU4Rec 0.1 [0.0, 0.2] @10", where),
        n=sourced(1234, where),
    )
    parsed = BeautifulSoup(said, "html.parser")
    assert [number.get_text() for number in parsed.select("span.number")] == ["0.1 [0.0, 0.2]", "1,234"]
    assert {number["title"] for number in parsed.select("span")} == {f"models.csv: dataset {IMAGE}, model gru4rec"}
    assert json.loads(parsed.span["data-row"]) == [["dataset", IMAGE], ["model", "gru4rec"]] and not parsed.img
    assert without_sources(said) == "<strong>GRU4Rec</strong> has GRU4Rec 0.1 [0.0, 0.2] @10, place 1,234"


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_a_source_is_text_as_well(text):
    parsed = BeautifulSoup(words("{x}", x=sourced(f"{text} 5", source("table", key=text))), "html.parser")
    assert {tag.name for tag in parsed.find_all(True)} == {"span"} and parsed.get_text() == visible(f"{text} 5")
    assert {frozenset(tag.attrs) for tag in parsed.select("span")} == {
        frozenset({"class", "data-table", "data-row", "title"})
    }


def test_a_value_without_a_place_is_a_mistake():
    with pytest.raises(TypeError, match="no place for m, n"):
        words("{x.real:,}", x=1, m=2, n=3)


def test_a_name_of_a_file_is_neither_empty_nor_too_long():
    names = {slug(text) for text in [*NASTY.values(), "$", "%", "", LONG + "a", LONG + "b"]}
    assert all(0 < len(name) <= 100 and name.replace("-", "").isalnum() for name in names)
    assert len(names) == len(NASTY) + 5
    assert slug("GRU4Rec, as printed") == "gru4rec-as-printed"
