"""The gathered networks beside the paper's one-hot construction: seconds an epoch and peak memory, in one run.

4,000 generated sessions of six events (3,200 to train on) over 4,769 items, LSTM(128), RMSprop, batch 128: the sizes of the
reference in which the paper's construction was measured. Each network is trained in a process of its own with two threads.

Beside our epoch stands what the machine would allow: its products at the rate of a product of two matrices, and every weight and
moment of RMSprop read and written once a step at the rate of a copy.

Then the whole grid: the paper's way is the measured epoch of its construction for every epoch of every training, one after
another. Ours is what the cells in ``reports/study/grid.csv`` took, where the study was run, and else our epoch likewise.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

N_SESSIONS, N_ITEMS, BATCH, UNITS, STEPS = 3200, 4769, 128, 128, 5
NETWORKS = {"one-hot, 40 steps": 2, "one-hot, 5 steps": 4, "gathered": 12}
"""The networks and the epochs that are timed, after one that compiles."""
TRAININGS, EPOCHS, SEPARATELY = 108, 100, 20 + 50 + 100
"""Of Toledo & Rezende 2020, Table 4, for three architectures: the paper trains each number of epochs by itself."""
CORES = 2


def one_hot(steps: int, epochs: int) -> list[float]:
    import keras
    import numpy as np

    items, targets = data()
    x = np.zeros((N_SESSIONS, steps, N_ITEMS), np.float32)
    np.put_along_axis(x[:, :5], items[..., None], 1, axis=2)
    y = np.zeros((N_SESSIONS, N_ITEMS), np.float32)
    y[np.arange(N_SESSIONS), targets] = 1
    layers = [keras.layers.LSTM(UNITS), keras.layers.Dense(N_ITEMS), keras.layers.Activation("softmax")]
    network = keras.Sequential([keras.Input((steps, N_ITEMS)), *layers])
    network.compile("rmsprop", "categorical_crossentropy")
    return timed(lambda: network.fit(x, y, batch_size=BATCH, verbose=0), epochs)


def gathered(epochs: int) -> list[float]:
    import numpy as np

    from studylib.data.sessions import Sessions
    from studylib.models.keras_rnn import KerasRNN

    items, targets = data()
    events = np.column_stack([items, targets]).astype(np.int32).ravel()
    sessions = Sessions(events, np.arange(0, len(events) + 1, 6), np.arange(N_ITEMS))
    model = KerasRNN("lstm", optimizer="rmsprop", optimizer_settings="keras3", batch_size=BATCH)
    model.prepare(sessions)
    return timed(lambda: model.train_to(model.epochs + 1), epochs)


def data():
    import numpy as np

    items = np.random.default_rng(0).zipf(1.3, (N_SESSIONS, 6)) % N_ITEMS
    return items[:, :5], items[:, 5]


def timed(epoch, count: int) -> list[float]:
    epoch()
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - started)
    return seconds


def limit() -> tuple[float, float]:
    """The seconds of an epoch's products, and of the bytes that its updates move, at what this machine gives at best.

    A row of the first kernel is looked up and not multiplied. Each product is made three times: forwards, and for the gradients
    of both factors.
    """
    import numpy as np

    a = np.random.default_rng(0).random((1024, 1024), np.float32)
    product = min(timed(lambda: a @ a, 30))
    source = np.zeros(2**26, np.float32)
    target = np.empty_like(source)
    copy = min(timed(lambda: np.copyto(target, source), 10))
    rate, bandwidth = 2 * 1024**3 / product, 2 * source.nbytes / copy
    gates = 4 * UNITS
    products = 3 * 2 * N_SESSIONS * (STEPS * UNITS * gates + UNITS * N_ITEMS)
    weights = N_ITEMS * gates + UNITS * gates + UNITS * N_ITEMS
    moved = 5 * 4 * weights * N_SESSIONS / BATCH  # weight, gradient and moment are read, weight and moment written
    print(f"the machine: {rate / 1e9:.0f} Gflop/s, {bandwidth / 1e9:.1f} GB/s")
    return products / rate, moved / bandwidth


def measure(network: str) -> None:
    from studylib.execution import configure
    from studylib.params.study import Execution

    configure(Execution(threads_per_worker=CORES))
    epochs = NETWORKS[network]
    seconds = gathered(epochs) if network == "gathered" else one_hot(40 if "40" in network else 5, epochs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"seconds": sorted(seconds)[len(seconds) // 2], "gigabytes": peak}))


ROUNDS = {"one-hot, 40 steps": 1, "one-hot, 5 steps": 5, "gathered": 5}
"""Processes a network, in turns: another tenant of the machine then slows all of them down, and the median stays."""


def main() -> None:
    rounds: dict[str, list[dict]] = {network: [] for network in NETWORKS}
    for turn in range(max(ROUNDS.values())):
        for network in NETWORKS:
            if turn < ROUNDS[network]:
                command = [sys.executable, __file__, network]
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
                rounds[network].append(json.loads(done.stdout.splitlines()[-1]))
    found = {}
    for network, some in rounds.items():
        each = sorted(run["seconds"] for run in some)
        found[network] = {"seconds": statistics.median(each), "gigabytes": max(run["gigabytes"] for run in some)}
        print(
            f"{network:20} {found[network]['seconds']:7.3f} s an epoch ({each[0]:.3f} to {each[-1]:.3f})  "
            f"{found[network]['gigabytes']:5.2f} GB"
        )
    ours = found.pop("gathered")
    for network, theirs in found.items():
        print(
            f"gathered is {theirs['seconds'] / ours['seconds']:.1f} times faster than {network}, "
            f"with {ours['gigabytes'] / theirs['gigabytes']:.2f} of its memory"
        )
    products, moved = limit()
    print(
        f"an epoch's products take {products:.3f} s and its updates {moved:.3f} s at least: "
        f"gathered takes {ours['seconds'] / (products + moved):.1f} times as long"
    )
    compare_grids(found["one-hot, 40 steps"]["seconds"], ours["seconds"])


def compare_grids(one_hot_epoch: float, our_epoch: float) -> None:
    theirs = TRAININGS * SEPARATELY * one_hot_epoch
    print(f"the whole grid, the paper's way: {TRAININGS} x {SEPARATELY} epochs: {theirs / 3600:.1f} h")
    ours = TRAININGS * EPOCHS * our_epoch
    print(f"ours, from the epoch above: {TRAININGS} x {EPOCHS}: {ours / 60:.1f} min, {theirs / ours:.0f} times less")
    table = Path(__file__).parents[2] / "reports" / "study" / "grid.csv"
    if table.exists():
        import pandas as pd

        cells = pd.read_csv(table)
        training = ["architecture", "activation", "optimizer", "batch_size", "seed"]
        each = cells.groupby(training)["train_seconds"].max()  # a training's last checkpoint holds those before
        # A training has one core; as many run side by side as there are cores.
        ours = each.sum() / len(each) * TRAININGS / CORES
        print(f"ours, as {len(each)} trainings of the study took: {ours / 60:.1f} min, {theirs / ours:.0f} times less")


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
