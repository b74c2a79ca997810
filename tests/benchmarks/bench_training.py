"""The speed of training on Amazon Grocery: networks and arithmetics by threads, beside what the machine's products would allow.

Needs the real data ($STUDYLIB_DATA) and an idle machine. Each measurement is a process of its own that trains five epochs, of
which the fastest counts; all of them are repeated in turn (`ROUNDS`) and the best stands, because a machine that others use
too is slower at times. Then two trainings at once beside one after the other, of GRU4Rec and of the grid's networks in Keras.
"""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 3
NETWORKS = {
    "GRU, reference": {},
    "GRU, fast": {"arithmetic": "fast"},
    "GRU, fast, batches of 128": {"arithmetic": "fast", "batch_size": 128},
    "GRU, fast, batches of 256": {"arithmetic": "fast", "batch_size": 256},
    "minGRU, reference": {"cell": "mingru"},
    "minGRU, fast, batches of 256": {"cell": "mingru", "arithmetic": "fast", "batch_size": 256},
    "LRU, reference": {"cell": "lru"},
    "LRU, fast, batches of 256": {"cell": "lru", "arithmetic": "fast", "batch_size": 256},
}
"""Beside the defaults of GRU4Rec: 64 and 128 wide, 512 negatives, batches of 64 sessions."""


def gigaflops(side: int = 1024, repeats: int = 30) -> float:
    """Of the product of two square matrices, the fastest of some."""
    import torch

    a, b = torch.randn(side, side), torch.randn(side, side)
    best = min(_seconds(lambda: a @ b) for _ in range(repeats))
    return 2 * side**3 / best / 1e9


def train(name: str, epochs: int = 5) -> dict:
    """Events a second of the fastest epoch and of the median one, and the operations of the products for an event."""
    import numpy as np
    from torch.utils.flop_counter import FlopCounterMode

    from studylib.comparison import prepare
    from studylib.models.batches import sequences
    from studylib.models.gru4rec import GRU4Rec
    from studylib.models.optimizer import Optimizer
    from studylib.params.study import Ranking

    ranking = Ranking(datasets=["grocery"], models=["gru4rec"])
    learnt = prepare(ranking.datasets[0], ranking, 0).train
    model = GRU4Rec(ranking.history, 0, "cpu", **NETWORKS[name], max_epochs=1).fit(learnt)
    optimizer, random = Optimizer(model.network.train(), model.settings, model.fast), np.random.default_rng(0)
    seconds, cases = [], 0
    for _ in range(epochs):
        all_batches = list(sequences(learnt, model.settings.batch_size, model.history, random))
        started = time.perf_counter()
        with model._threads() as at_once:
            for batch in all_batches:
                optimizer.step(model.gradients(batch, None, optimizer.take, at_once)[1])
        seconds.append(time.perf_counter() - started)
        cases = sum(int((batch.targets >= 0).sum()) for batch in all_batches)
    reference = GRU4Rec(ranking.history, 0, "cpu", **NETWORKS[name] | {"arithmetic": "reference"}, max_epochs=1)
    reference.fit(learnt)
    with FlopCounterMode(display=False) as counter:
        reference.network.train()
        for batch in all_batches[:20]:
            reference.gradients(batch, None, Optimizer(reference.network, reference.settings).take)
    counted = sum(int((batch.targets >= 0).sum()) for batch in all_batches[:20])
    return {
        "events_per_second": cases / min(seconds),
        "usual": cases / statistics.median(seconds),
        "flop": counter.get_total_flops() / counted,
        "gigaflops": gigaflops(),
    }


def keras(epochs: int = 9) -> dict:
    """The grid's GRU on generated sessions of six events over 500 items; events a second of the median epoch after the first."""
    import numpy as np

    from studylib.data.sessions import Sessions
    from studylib.models.keras_rnn import KerasRNN

    n, n_items = 6400, 500
    events = (np.random.default_rng(0).zipf(1.3, n * 6) % n_items).astype(np.int32)
    model = KerasRNN("gru")
    model.prepare(Sessions(events, np.arange(0, n * 6 + 1, 6), np.arange(n_items)))
    seconds = [_seconds(lambda: model.train_to(model.epochs + 1)) for _ in range(epochs)]
    return {"usual": 5 * n / statistics.median(seconds[1:])}


def _seconds(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _start(what: str, threads: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, __file__, what, str(threads)], stdout=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen) -> dict:
    text, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args} failed")
    return json.loads(text.splitlines()[-1])


def main() -> None:
    found: dict[tuple[str, int], list[dict]] = {}
    for _ in range(ROUNDS):
        for name in NETWORKS:
            for threads in (1, 2):
                result = _result(_start(name, threads))
                print(f"{name}, {threads} thread(s): {result['events_per_second']:,.0f} events/s", flush=True)
                found.setdefault((name, threads), []).append(result)
    limit = {t: max(r["gigaflops"] for (_, n), rs in found.items() if n == t for r in rs) for t in (1, 2)}
    print("a product of two matrices: " + ", ".join(f"{limit[t]:.0f} Gflop/s on {t} thread(s)" for t in limit))
    speeds = {key: max(r["events_per_second"] for r in results) for key, results in found.items()}
    for (name, threads), speed in speeds.items():
        allowed = limit[threads] * 1e9 / found[name, threads][0]["flop"]
        print(
            f"{name}, {threads} thread(s): {speed:,.0f} events/s, {speed / speeds['GRU, reference', threads]:.2f} times the "
            f"reference GRU, {speed / allowed:.2f} of what the products allow ({allowed:,.0f})"
        )
    for what in ("GRU, reference", "GRU, fast, batches of 128", "keras"):
        for threads in (1, 2):
            alone = _result(_start(what, threads))["usual"]
            both = [_start(what, threads) for _ in range(2)]
            together = sum(_result(process)["usual"] for process in both)
            print(
                f"two at once, {what}, {threads} thread(s) each: {together / alone:.2f} times the events/s of one ({alone:,.0f})"
            )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        from studylib.execution import configure
        from studylib.params.study import Execution

        what, threads = sys.argv[1:]
        configure(Execution(threads_per_worker=int(threads)))
        print(json.dumps(keras() if what == "keras" else train(what)))
