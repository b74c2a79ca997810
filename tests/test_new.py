"""The params file that `studylib new` suggests for logs of several kinds."""

import gzip
import json

import polars as pl
import pytest

from studylib.errors import StudyError
from studylib.new import suggested
from studylib.params.files import load_params

ROWS = [(f"v{n // 4}", f"/item/{n % 7}", f"{13 + n // 60}/02/2026 10:{n % 60:02}:00", "view") for n in range(120)]


def params_of(log, tmp_path):
    """The params, read from the file as it would be written; the text is returned too."""
    text = suggested(log)
    (tmp_path / "suggested.yaml").write_text(text, encoding="utf-8")
    params = load_params(tmp_path / "suggested.yaml")
    assert params.budget == "10min"
    assert params.is_own_log and str(params.data.path) == str(log.absolute())
    return params, text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_clicks(separator, packed, tmp_path):
    text = "\n".join(separator.join(row) for row in [("visitorId", "page_url", "created at", "type"), *ROWS])
    log = tmp_path / ("clicks.csv.gz" if packed else "clicks.csv")
    log.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    params, text = params_of(log, tmp_path)
    data = params.data
    assert (data.reader, data.separator, data.user, data.item, data.time) == (
        "events", separator, "visitorId", "page_url", "created at",
    )  # fmt: skip
    assert data.time_format == "%d/%m/%Y %H:%M:%S" and data.sessions.gap == "30min"
    assert params.name == "clicks" and "7 different ones in the first 120 rows" in text


def test_the_month_comes_first_where_the_second_number_is_a_day(tmp_path):
    log = tmp_path / "clicks.csv"
    log.write_text("user,item,date\na,1,02/13/2026\na,2,02/14/2026\n")
    assert params_of(log, tmp_path)[0].data.time_format == "%m/%d/%Y"


def test_a_column_of_sessions_is_not_cut(tmp_path):
    log = tmp_path / "clicks.csv"
    log.write_text("session_id,item_id,timestamp\n1,5,100\n1,6,101\n")
    data = params_of(log, tmp_path)[0].data
    assert (data.user, data.item, data.time, data.sessions) == ("session_id", "item_id", "timestamp", None)


def test_json_lines_with_nested_fields(tmp_path):
    log = tmp_path / "clicks.jsonl"
    rows = [{"user": {"id": u}, "product": {"sku": i, "price": 2}, "ts": 5} for u, i, *_ in ROWS]
    log.write_text("\n".join(map(json.dumps, rows)))
    data = params_of(log, tmp_path)[0].data
    assert (data.reader, data.user, data.item, data.time) == ("jsonl", "user.id", "product.sku", "ts")


def test_parquet_and_a_folder_of_it(tmp_path):
    folder = tmp_path / "clicks"
    folder.mkdir()
    pl.DataFrame({"customer": [1, 1, 2], "track": [3, 4, 5], "n": [0, 0, 0]}).write_parquet(folder / "a.parquet")
    data = params_of(folder / "a.parquet", tmp_path)[0].data
    assert (data.reader, data.user, data.item, data.time, data.sessions) == ("parquet", "customer", "track", None, None)
    assert "The first file of the folder" in params_of(folder, tmp_path)[1]


def test_a_session_a_line_and_an_access_log(tmp_path):
    log = tmp_path / "visits.txt"
    log.write_text("12|15|9\n9|12\n15|15|15|3\n")
    data = params_of(log, tmp_path)[0].data
    assert (data.reader, data.separator) == ("sequences", "|")
    log = tmp_path / "access.log"
    log.write_text('1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326 "-" "Mozilla/5.0"\n')
    data = params_of(log, tmp_path)[0].data
    assert data.reader == "access-log" and data.sessions.gap == "30min"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read as text"),
        ("a.csv", b"alpha\nbeta\n", "no separator is in every line"),
        ("a.csv", b"foo,item\n1,2\n", "looks like that of the users; .* 'user:' one of: 'foo, item'"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "a line is no JSON object"),
        ("a.jsonl", b'{"a": 1}\n', "looks like that of the items"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.csv.gz", b"\x1f\x8b\x00", "cannot be read as text"),
    ],
)
def test_what_cannot_be_guessed_is_a_sentence(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=words) as raised:
        suggested(tmp_path / name)
    assert len(str(raised.value)) <= 300 + len(str(tmp_path)) and "\n" not in str(raised.value)
    with pytest.raises(StudyError, match="there is no such file"):
        suggested(tmp_path / "other")


def test_names_from_a_log_are_text_in_the_file(tmp_path):
    log = tmp_path / "odd.csv"
    log.write_text('"user: {x}","item #1\'"\n1,2\n3,4\n')
    data = params_of(log, tmp_path)[0].data
    assert (data.user, data.item) == ("user: {x}", "item #1'")
