"""Every reader on thousands of broken and odd logs: the right reading or one sentence, in bounded time and memory."""

import pytest

from tests.odd_logs import FORMATS, draw, failures


@pytest.mark.parametrize("reader", FORMATS)
def test_an_odd_log_is_read_rightly_or_is_one_sentence(reader, tmp_path):
    strategy, n = FORMATS[reader]
    cases = draw(strategy, n, reader)
    wrong = failures(cases, tmp_path)
    print(f"{reader}: {len(cases) - len(wrong)} of {len(cases)}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:8])
