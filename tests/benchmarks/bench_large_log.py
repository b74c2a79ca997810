"""Time and memory of reading a large click log, choosing events, cutting it into sessions, filtering and counting it.

Run as a script, with the number of events (20,000,000 without one; 100000000 needs 30 GB of disk). A log in the order of time,
with ids that are text and a column of addresses that nothing needs, is generated as Parquet and as CSV into a temporary folder;
a fresh process reads each, and Parquet once more without that column. Fails where an event takes more than 100 bytes at the
peak, or where the column that is not needed takes memory.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVENTS, CHUNK = 20_000_000, 1_000_000
USERS_PER_EVENT, ITEMS = 0.05, 500_000
BYTES, OF_OTHER_COLUMN = 100.0, 10.0
"""Of an event at the peak, at most; and what the other column may add to it."""


def main() -> None:
    # Every step is a process of its own, and nothing large is imported here: on Linux the peak memory that a process reports
    # starts at that of its parent.
    if len(sys.argv) == 4:
        {"generate": generate, "measure": measure}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
        return
    n_events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    used = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("narrow.parquet", "log.parquet", "log.csv"):
            path = str(Path(folder) / name)
            for step in ("generate", "measure"):
                command = [sys.executable, __file__, step, path, str(n_events)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
                if done.returncode:
                    sys.exit(done.returncode)
            used[name] = json.loads(done.stdout)["bytes an event"]
            print(f"{name}: {done.stdout.strip()}", flush=True)
            Path(path).unlink()
    more = used["log.parquet"] - used["narrow.parquet"]
    print(
        f"at most {max(used.values()):.0f} bytes an event (at most {BYTES:.0f}); {more:+.1f} for the column not needed"
    )
    if max(used.values()) > BYTES or more > OF_OTHER_COLUMN:
        sys.exit("bench_large_log: over the limit")


def generate(path: str, n_events: int) -> None:
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    n_users = int(n_events * USERS_PER_EVENT)
    writer = None
    with open(path, "wb") as file:
        for start in range(0, n_events, CHUNK):
            n = min(CHUNK, n_events - start)
            seconds = 1_700_000_000 + np.sort(random.integers(0, CHUNK // 10, n)) + start // 10
            # A user comes back within minutes: one of the 2,000 that are there at that time.
            user = (seconds // 900 * 700 + random.integers(0, 2000, n)) % n_users
            table = pl.DataFrame(
                {
                    "visitor": user,
                    "url": (ITEMS * random.random(n) ** 4).astype(np.int64),
                    "at": seconds,
                    "type": random.choice(["view", "view", "view", "cart", "ping"], n),
                }
            ).with_columns(
                visitor=pl.format("visitor-{}", "visitor"),
                url=pl.format("/products/{}.html", "url"),
                at=pl.from_epoch("at"),
                referrer=pl.format("https://example.org/search?session={}&from={}-{}", "at", "visitor", "url"),
            )
            if path.endswith(".csv"):
                table.with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S")).write_csv(
                    file, include_header=not start
                )
                continue
            table = table.drop("referrer") if "narrow" in path else table
            writer = writer or pq.ParquetWriter(file, table.to_arrow().schema)
            writer.write_table(table.to_arrow())
        if writer:
            writer.close()


def measure(path: str, n_events: int) -> None:
    from studylib.data.readers import read
    from studylib.data.sessions import apply_filters
    from studylib.data.summary import summarize
    from studylib.params.study import Log

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    log = Log(
        reader="events" if path.endswith(".csv") else "parquet",
        path=path,
        user="visitor",
        item="url",
        time="at",
        events={"type": ["view", "cart"]},
        sessions={"gap": "30min"},
        min_item_support=5,
    )
    sessions = read(log)
    seconds = time.perf_counter() - start
    summary = summarize(apply_filters(sessions, log))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    left_out = sum(drop.events for drop in sessions.drops)
    assert left_out + len(sessions.items) == n_events and sessions.cutting.sessions == len(sessions)
    facts = {
        "events": n_events,
        "file (GB)": round(Path(path).stat().st_size / 1e9, 2),
        "sessions": summary.sessions,
        "items": summary.items,
        "read (s)": round(seconds, 1),
        "read, filter and count (s)": round(time.perf_counter() - start, 1),
        "peak (GB)": round(peak / 1e9, 2),
        "bytes an event": round((peak - before) / n_events, 1),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
