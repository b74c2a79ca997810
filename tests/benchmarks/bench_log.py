"""Time and memory of reading and counting a log of the full size of Toledo & Rezende 2020, section 2.

Run as a script. A log of 1,806,204 sessions is generated into a temporary folder; a fresh process then reads it and
makes all counts and both distributions of Figure 1. Fails where that takes more than 5 s or 1.5 GB.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SESSIONS, EVENTS, ITEMS, LONGEST = 1_806_204, 18_927_700, 453_423, 1_060
EXPONENT = 0.85  # gives the most popular item about as many sessions as users in the paper's log (341,471)
SECONDS, GIGABYTES = 5.0, 1.5


def main() -> None:
    # Both steps are processes of their own, and nothing large is imported here: on Linux the peak memory that a
    # process reports starts at that of its parent.
    if len(sys.argv) == 3:
        {"generate": generate_log, "measure": measure}[sys.argv[1]](sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "log.txt")
        for step in ("generate", "measure"):
            if code := subprocess.run([sys.executable, __file__, step, path]).returncode:
                sys.exit(code)


def generate_log(path: str) -> None:
    from studylib.data.synthetic import generate, write_sequences
    from studylib.params.study import Synthetic

    options = Synthetic(
        sessions=SESSIONS,
        items=ITEMS,
        mean_length=EVENTS / SESSIONS,
        max_session=LONGEST,
        popularity_exponent=EXPONENT,
    )
    clock = _Clock()
    log = generate(options, seed=0)
    clock.lap("generate")
    write_sequences(log.sessions, path)
    clock.lap("write")


def measure(path: str) -> None:
    from studylib.data.readers import read
    from studylib.data.summary import events_per_item, events_per_session, summarize
    from studylib.params.study import Data

    clock = _Clock()
    sessions = read(Data(reader="sequences", path=path, separator="|"))
    clock.lap("read")
    summary = summarize(sessions)
    clock.lap("summarize")
    events_per_item(sessions)
    events_per_session(sessions)
    clock.lap("distributions")
    seconds, gigabytes = clock.total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(summary.table().to_string(index=False))
    print(f"read and count: {seconds:.2f} s (at most {SECONDS} s), peak {gigabytes:.2f} GB (at most {GIGABYTES} GB)")
    assert summary.sessions == SESSIONS and summary.longest == LONGEST
    assert abs(summary.events / EVENTS - 1) < 0.01 and abs(summary.items / ITEMS - 1) < 0.02
    if seconds > SECONDS or gigabytes > GIGABYTES:
        sys.exit("bench_log: over the limit")


class _Clock:
    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        print(f"{name}: {now - self.last:.2f} s", flush=True)
        self.last = now

    @property
    def total(self) -> float:
        return self.last - self.start


if __name__ == "__main__":
    main()
