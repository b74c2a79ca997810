"""A few of the params files of `tests/attack/test_params.py`: right, wrong and odd ones."""

import pytest
from hypothesis import HealthCheck, given, settings

from studylib.paths import project_root
from tests.params import odd

few = settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
SMALL = [(project_root() / "params" / f"{name}.yaml").read_text(encoding="utf-8") for name in ("gru4rec", "yelp-2022")]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("odd") / "mine.yaml"


@few
@given(odd.right)
def test_what_is_right_is_read_as_it_is(path, case):
    odd.check_right(path, case)


@few
@given(odd.wrong())
def test_what_is_wrong_is_named(path, case):
    odd.check_wrong(path, case)


@few
@given(odd.odd(SMALL))
def test_what_is_odd_is_read_right_or_refused(path, text):
    odd.check_odd(path, text)


@few
@given(odd.cells)
def test_a_parameters_cell_of_anything(sections):
    odd.check_cell(sections)
