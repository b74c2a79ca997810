"""Access logs: what of a line becomes an event, and for what reason the others are left out."""

import gzip

import pytest

from studylib.data.access_log import REASONS
from studylib.data.readers import read
from studylib.data.sessions import Drop, Sessions
from studylib.errors import StudyError
from studylib.params.study import Log

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


def line(
    target="/a", at="10/Oct/2025:13:55:36 -0700", address="1.2.3.4", agent=FIREFOX, status=200, method="GET"
) -> str:
    return f'{address} - frank [{at}] "{method} {target} HTTP/1.1" {status} 2326 "http://example.org/" "{agent}"'


def ids(sessions: Sessions) -> list[list]:
    return [sessions.vocabulary[sessions[s]].tolist() for s in range(len(sessions))]


@pytest.fixture
def log(tmp_path):
    def log(*lines: str, **options) -> Sessions:
        (tmp_path / "access.log").write_text("\n".join(lines) + "\n")
        return read(Log(reader="access-log", path=str(tmp_path / "access.log"), **options))

    return log


def test_a_user_is_an_address_with_an_agent_and_an_item_a_path(log):
    sessions = log(
        line("/b?page=2", "10/Oct/2025:13:55:37 -0700"),
        line("/a#top"),
        line("/c", agent="Opera/9"),
        line("/d", address="::1"),
        line("http://example.org/e/?x", "10/Oct/2025:22:55:38 +0200"),
    )
    assert sorted(ids(sessions)) == [["/a", "/b", "/e/"], ["/c"], ["/d"]]
    assert min(sessions.times) == 1_760_129_736 and sessions.drops == ()


def test_the_query_is_a_part_of_the_item_if_the_log_says_so(log):
    assert ids(log(line("/a?x=1"), line("/a?x=2"), query=True)) == [["/a?x=1", "/a?x=2"]]


def test_every_line_is_left_out_for_its_first_reason(log):
    bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    sessions = log(
        line("/a"),
        line("/b"),
        "",
        "no line of a server",
        line("/a", "31/Feb/2025:00:00:00 +0000"),
        line("/a", method="POST", status=404, agent=bot, address="5.5.5.5"),
        line("/a", status=304),
        line("/style.CSS?v=3", address="6.6.6.6"),
        line("/robots.txt", agent=bot),
        line("/a", agent=bot),
        line("/b", agent=bot),
        line("/a", agent="-"),
        line("/a", agent="curl/8.1"),
    )
    assert ids(sessions) == [["/a", "/b"]]
    assert sessions.drops == (
        Drop(REASONS[0], 0, 2),
        Drop(REASONS[1], 1, 1),
        Drop(REASONS[2], 0, 1),
        Drop(REASONS[3], 1, 2),
        Drop(REASONS[4], 3, 4),
    )


def test_quotation_marks_and_odd_requests_are_within_their_fields(log):
    sessions = log(
        line(agent=r"say \"hi\" [x] \"GET"),
        '1.2.3.4 - - [10/Oct/2025:13:55:36 -0700] "\\x16\\x03\\x01" 400 0 "-" "-"',
        'shop.example 1.2.3.4 - - [10/Oct/2025:13:55:36 -0700] "GET /v HTTP/1.1" 200 1 "-" "Opera" 0.003',
        '1.2.3.4 - John Smith [10/Oct/2025:13:55:36 -0700] "GET /w HTTP/2.0" 200 - "-" "Opera"',
    )
    assert sorted(ids(sessions)) == [["/a"], ["/v"], ["/w"]]
    assert sessions.drops == (Drop(REASONS[1], 1, 1),)


def test_several_logs_some_of_them_packed_are_one_and_are_cut(tmp_path):
    (tmp_path / "access.log").write_text(line("/c", "10/Oct/2025:15:00:00 -0700") + "\n")
    (tmp_path / "access.log.1").write_text(line("/b", "10/Oct/2025:14:00:00 -0700") + "\n")
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress((line("/a") + "\n").encode()))
    (tmp_path / "notes.txt").write_text("no log\n")
    assert ids(read(Log(reader="access-log", path=str(tmp_path), sessions={"gap": "30min"}))) == [["/a", "/b"], ["/c"]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "the file is empty; it needs one request a line"),
        (["u,i,t", "a,x,1", line()], "line 1 is not in the combined format of Apache and nginx"),
        ([line(status=500)] * 2, "no event is left; 2 are left out as 'answer other than 200': check this"),
    ],
)
def test_what_is_no_access_log_is_one_sentence(log, lines, message):
    with pytest.raises(StudyError, match=message) as error:
        log(*lines)
    assert len(str(error.value)) <= 300
