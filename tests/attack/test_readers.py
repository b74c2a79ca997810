"""Every reader on thousands of broken and odd logs: the right reading or one sentence, in bounded time and memory."""

import gzip
import io
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studylib.data.readers import read
from studylib.errors import StudyError
from studylib.params.study import Log
from tests.end_to_end.conftest import studylib
from tests.odd_logs import FORMATS, draw, failures


@pytest.mark.parametrize("reader", FORMATS)
def test_an_odd_log_is_read_rightly_or_is_one_sentence(reader, tmp_path):
    strategy, n = FORMATS[reader]
    cases = draw(strategy, n, reader)
    wrong = failures(cases, tmp_path)
    print(f"{reader}: {len(cases) - len(wrong)} of {len(cases)}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:8])


def lines(first: bytes, line: bytes, n: int) -> bytes:
    return first + line * n


BOMBS = {
    "a packed field of 400 MB": ("events", lambda: packed(b"u,i,t\na,x,1\nb,", b"y" * (1 << 20), 400)),
    "packed zeros without an end": ("sequences", lambda: packed(b"", bytes(1 << 20), 2000)),
    "packed lines without an end": ("sequences", lambda: packed(b"", b"a|b\n" * (1 << 18), 2000)),
    "a packed JSON field of 400 MB": ("jsonl", lambda: packed(b'{"u":1,"i":2,"t":3}\n{"u":"', b"y" * (1 << 20), 400)),
    "a million columns": ("events", lambda: b",".join([b"x"] * 1_000_000) + b"\n"),
    "nine thousand columns": (
        "events",
        lambda: lines(b"u,i,t" + b",x" * 9000 + b"\n", b"a,b,1" + b",1" * 9000 + b"\n", 300),
    ),
    "a quotation mark at the start of 40 MB": ("events", lambda: lines(b'u,i,t\n"a,x,1\n', b"b,y,2\n", 7_000_000)),
    "quotation marks in each of a million lines": ("events", lambda: lines(b"u,i,t\n", b'b,5" tv,2\n', 1_000_000)),
    "JSON nested 4,000,000 deep": ("jsonl", lambda: b'{"u":' + b"[" * 4_000_000),
    "JSON with 500,000 fields": (
        "jsonl",
        lambda: b'{"u":1,"i":2,"t":3' + b"".join(b',"%d":1' % n for n in range(500_000)) + b"}",
    ),
    "a JSON list of 8 MB": ("jsonl", lambda: b'{"u":1,"i":2,"t":3,"x":[' + b"1," * 4_000_000 + b"1]}"),
    "a line of 4,000,000 ids": ("sequences", lambda: b"a|b|" * 2_000_000 + b"c\n"),
    "a line of 8,000,000 empty ids": ("sequences", lambda: b"a|b" + b"|" * 8_000_000 + b"\n"),
    "an id of 8 MB": ("sequences", lambda: b"a|" + b"b" * 8_000_000 + b"\n"),
    "one id of 9,999 letters and 14,000 others": (
        "sequences",
        lambda: b"a|" + b"b" * 9_999 + b"\n" + b"".join(b"c|i%d\n" % n for n in range(14_000)),
    ),
    "200 million rows of one value": ("parquet", lambda: parquet(200)),
}
"""Small or ordinary files that take much to read: the reader, and the content."""

READ_ONE = """
import resource, sys
from studylib.data.readers import read
from studylib.errors import StudyError
from studylib.params.study import Log

columns = dict(user="u", item="i", time="t") if sys.argv[1] != "sequences" else {}
before = resource.getrusage(resource.RUSAGE_SELF)
try:
    print("read", len(read(Log(reader=sys.argv[1], path=sys.argv[2], **columns)).items))
except StudyError as error:
    print("sentence", len(str(error)), str(error))
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss)
"""


def packed(first: bytes, block: bytes, n: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(first)
        for _ in range(n):
            file.write(block)
    return out.getvalue()


def parquet(groups: int) -> bytes:
    out = io.BytesIO()
    group = pa.table({name: pa.array(np.ones(1_000_000, np.int64)) for name in "uit"})
    with pq.ParquetWriter(out, group.schema, compression="zstd") as file:
        for _ in range(groups):
            file.write_table(group, row_group_size=1_000_000)
    return out.getvalue()


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_large_is_read_or_refused_in_bounded_time_and_memory(name, tmp_path):
    reader, content = BOMBS[name]
    (tmp_path / "log").write_bytes(content())
    command = [sys.executable, "-c", READ_ONE, reader, str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr[-2000:]
    said, used = done.stdout.splitlines()
    seconds, kilobytes = map(float, used.split())
    print(f"{name}: {said[:100]}, {seconds:.1f} s, {kilobytes / 1e6:.2f} GB")
    assert seconds < 5 and kilobytes < 1e6, used
    assert said.startswith("read") or int(said.split()[1]) <= 300


WORST = {
    "an empty file": ("events", b""),
    "no UTF-8": ("events", b"u,i,t\na,\xe9,1\n"),
    "UTF-16": ("events", "u,i,t\na,x,1\n".encode("utf-16")),
    "a NUL": ("events", b"u,i,t\na,x\0,1\n"),
    "mixed line ends": ("events", b"u,i,t\na,x\r,1\n"),
    "swallowed lines": ("events", b'u,i,t\na,"x,1\nb,y,2\nc,z",3\n'),
    "an open quotation mark": ("events", b'u,i,t\na,"x,1\n'),
    "ragged lines": ("events", b"u,i,t\na,x\n"),
    "a time in the afternoon": ("events", b"u,i,t\na,x,2014-04-07 10:51:09 PM\n"),
    "a column that is not there": ("events", b"u,page,t\na,x,1\n"),
    "one item": ("events", b"u,i,t\na,x,1\na,x,2\n"),
    "a million columns": ("events", b"x," * 1_000_000),
    "an id of 20,000 letters": ("events", b"u,i,t\na," + b"x" * 20_000 + b",1\na,y,2\n"),
    "damaged gzip": ("sequences", gzip.compress(b"a|b\n" * 999)[:-9]),
    "a packed field without an end": ("sequences", gzip.compress(b"x" * 30_000_000)),
    "deep JSON": ("jsonl", b'{"u":' + b"[" * 100_000),
    "a doubled JSON field": ("jsonl", b'{"u":1,"i":2,"i":3,"t":1}'),
    "a list for an id": ("jsonl", b'{"u":[1],"i":2,"t":1}'),
    "half a character": ("jsonl", b'{"u":1,"i":"\\ud800","t":1}'),
    "no Parquet": ("parquet", b"PAR1" + bytes(100) + b"PAR1"),
}


@pytest.mark.parametrize("name", WORST)
def test_the_command_ends_in_the_sentence(name, tmp_path):
    reader, content = WORST[name]
    (tmp_path / "log").write_bytes(content)
    columns = {"user": "u", "item": "i", "time": "t"} if reader != "sequences" else {}
    log = {"reader": reader, "path": str(tmp_path / "log"), **columns}
    (tmp_path / "odd.yaml").write_text(json.dumps({"name": "odd", "data": log}))
    done = studylib(tmp_path / "odd.yaml", "--reports", tmp_path)
    assert done.code == 1 and "Traceback" not in done.err + done.out, done.err[-3000:]
    with pytest.raises(StudyError) as error:
        read(Log(**log))
    assert " ".join(str(error.value).rstrip(".").split()) in " ".join(done.err.split())
