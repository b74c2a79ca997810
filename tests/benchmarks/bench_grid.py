"""The gathered networks beside the paper's one-hot construction: seconds an epoch and peak memory, in one run.

4,000 generated sessions of six visits (3,200 to train on) over 4,769 pages, LSTM(128), RMSprop, batch 128: the sizes of the
reference in which the paper's construction was measured. Each network is trained in a process of its own with two threads.
"""

import json
import os
import resource
import subprocess
import sys
import time

N_SESSIONS, N_ITEMS, BATCH = 3200, 4769, 128
NETWORKS = {"one-hot, 40 steps": 2, "one-hot, 5 steps": 4, "gathered": 12}
"""The networks and the epochs that are timed, after one that compiles."""


def one_hot(steps: int, epochs: int) -> list[float]:
    import keras
    import numpy as np

    items, targets = data()
    x = np.zeros((N_SESSIONS, steps, N_ITEMS), np.float32)
    np.put_along_axis(x[:, :5], items[..., None], 1, axis=2)
    y = np.zeros((N_SESSIONS, N_ITEMS), np.float32)
    y[np.arange(N_SESSIONS), targets] = 1
    layers = [keras.layers.LSTM(128), keras.layers.Dense(N_ITEMS), keras.layers.Activation("softmax")]
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

    pages = np.random.default_rng(0).zipf(1.3, (N_SESSIONS, 6)) % N_ITEMS
    return pages[:, :5], pages[:, 5]


def timed(epoch, count: int) -> list[float]:
    epoch()
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - started)
    return seconds


def measure(network: str) -> None:
    from studylib.execution import configure
    from studylib.params import Execution

    configure(Execution(threads_per_worker=2))
    epochs = NETWORKS[network]
    seconds = gathered(epochs) if network == "gathered" else one_hot(40 if "40" in network else 5, epochs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"seconds": sorted(seconds)[len(seconds) // 2], "gigabytes": peak}))


def main() -> None:
    found = {}
    for network in NETWORKS:
        command = [sys.executable, __file__, network]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        found[network] = json.loads(done.stdout.splitlines()[-1])
        print(f"{network:20} {found[network]['seconds']:7.3f} s an epoch  {found[network]['gigabytes']:5.2f} GB")
    ours = found.pop("gathered")
    for network, theirs in found.items():
        print(
            f"gathered is {theirs['seconds'] / ours['seconds']:.1f} times faster than {network}, "
            f"with {ours['gigabytes'] / theirs['gigabytes']:.2f} of its memory"
        )


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
