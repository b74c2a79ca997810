"""Recommending from Python on the catalogue of `grocery`: one session at a time, many at once, and a visitor followed event by
event. Needs $STUDYLIB_DATA.

GRU4Rec is trained for one epoch with the sizes of Shrimal & Patil 2024 (section 4.1), kept in a model file and loaded from it.
The sessions are the prefixes of test cases, at most 20 events. Fails where one session, ten recommendations, takes more than
5 ms at the median, fewer than 10,000 sessions a second are served, or a visitor's step without the ranking takes more than
0.1 ms.
"""

import sys
import tempfile
import time
from pathlib import Path

from studylib.comparison import prepare
from studylib.execution import configure
from studylib.models import files
from studylib.models.gru4rec import GRU4Rec
from studylib.models.visitor import Visitor
from studylib.params.study import Execution, Ranking, RankingDataset

HISTORY, K, THREADS = 20, 10, 2
MILLISECONDS, SESSIONS_A_SECOND, STEP = 5.0, 10_000, 0.1


def main() -> None:
    configure(Execution(threads_per_worker=THREADS, device="cpu"))
    split = prepare(RankingDataset(dataset="grocery"), Ranking(), seed=0)
    trained = GRU4Rec(embedding=64, hidden=128, max_epochs=1, history=HISTORY, device="cpu").fit(split.train)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grocery.safetensors"
        files.save(trained, path)
        started = time.perf_counter()
        model = files.load(path)
        print(f"model file: {path.stat().st_size / 1e6:.1f} MB, loaded in {time.perf_counter() - started:.3f} s")

    prefixes = split.test.prefixes(HISTORY)
    sessions = [prefixes.vocabulary[prefixes[i]].tolist() for i in range(len(prefixes))]
    one = 1000 * median([timed(model, session) for session in sessions[:500]][20:])
    print(f"one session, {K} of {prefixes.n_items:,} items: {one:.2f} ms at the median (at most {MILLISECONDS} ms)")

    many = 1000 / median([timed(model, sessions[start : start + 1000]) for start in range(0, 14_000, 1000)][2:])
    full = [session for session in sessions if len(session) == HISTORY][:1000]
    longest = len(full) / median([timed(model, full) for _ in range(7)][2:])
    print(f"1,000 sessions at once: {many:,.0f} sessions/s at the median (at least {SESSIONS_A_SECOND:,})")
    print(f"{len(full):,} sessions of {HISTORY} events each at once: {longest:,.0f} sessions/s at the median")
    step = 1000 * median([timed_steps(model, session) for session in full[:500]][20:])
    print(f"a step of a visitor: {step:.3f} ms at the median (at most {STEP} ms)")
    if one > MILLISECONDS or many < SESSIONS_A_SECOND or step > STEP:
        sys.exit("bench_recommend: over the limit")


def timed(model: GRU4Rec, sessions: list) -> float:
    started = time.perf_counter()
    model.recommend(sessions, K)
    return time.perf_counter() - started


def timed_steps(model: GRU4Rec, session: list) -> float:
    visitor = Visitor(model)
    started = time.perf_counter()
    for item in session:
        visitor.visit(item)
    return (time.perf_counter() - started) / len(session)


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
