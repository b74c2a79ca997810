"""How numbers are written."""

import pytest

from studylib.sources import source, source_of, sourced
from studylib.tables.formats import count, interval, p_value, percent_interval, points


def test_what_is_written_has_the_source_of_its_number():
    where = source("cells", cell=3)
    texts = [
        interval(sourced(0.5, where), 0.4, 0.6), percent_interval(sourced(0.5, where), 0.4, 0.6), points(sourced(0.5, where)),
        count(sourced(5, where), "cell"),
    ]  # fmt: skip
    assert [source_of(text) for text in texts] == [where] * 4
    assert source_of(interval(0.5, 0.4, 0.6)) is source_of(count(5, "cell")) is None


def test_intervals_have_the_digits_asked_for():
    assert interval(0.1234, 0.12, 0.1261) == "0.123 [0.120, 0.126]"
    assert interval(-0.001, -0.012, 0.009, digits=2) == "0.00 [-0.01, 0.01]"
    assert percent_interval(0.1234, 0.12, 0.1261) == "12.3% [12.0%, 12.6%]"
    assert percent_interval(0.1234, 0.12, 0.1261, digits=0) == "12% [12%, 13%]"


@pytest.mark.parametrize(
    ("p", "least", "words"),
    [
        (0.0004, 0.0001, "< 0.001"), (0.0004, 0.0004, "< 0.001"), (0.001, 0.0001, "0.001"), (0.0123, 0.01, "0.012"),
        (0.0123, 0.0123, "≤ 0.012"), (1.0, 0.01, "1.000"),
    ],
)  # fmt: skip
def test_p_values_have_three_digits_and_are_bounds_where_no_draw_reached_further(p, least, words):
    assert p_value(p, least) == words


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (1, "cell", "1 cell"), (0, "cell", "0 cells"), (1200, "batch size", "1,200 batch sizes"),
        (2, "boundary", "2 boundaries"), (2, "day", "2 days"),
    ],
)  # fmt: skip
def test_counts_have_their_plural(number, noun, words):
    assert count(number, noun) == words
