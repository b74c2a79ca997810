"""A network over the whole catalogue: all 100,000 sequences of `live-streaming`, 46,225 items, LSTM(128), batch 128.

One epoch that compiles and one that is timed, in a process of its own with two threads. Fails above 24 GB.
"""

import resource
import sys
import time

GIGABYTES = 24.0


def main() -> None:
    from studylib.execution import configure
    from studylib.params.study import Data, Execution

    configure(Execution(threads_per_worker=2))
    from studylib.data.datasets import load
    from studylib.grid import filter_log
    from studylib.models.keras_rnn import KerasRNN

    data = Data(dataset="live-streaming")
    sessions = filter_log(load(data), data)
    print(f"{len(sessions):,} sequences, {sessions.n_items:,} items", flush=True)
    model = KerasRNN("lstm", optimizer="rmsprop", batch_size=128)
    model.prepare(sessions)
    for what in ("first epoch, with compilation", "an epoch"):
        started = time.perf_counter()
        model.train_to(model.epochs + 1)
        print(f"{what}: {time.perf_counter() - started:.0f} s, loss {model.curve[-1]['loss']:.3f}", flush=True)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{model.parameters:,} parameters, peak {gigabytes:.2f} GB (at most {GIGABYTES:.0f} GB)")
    if gigabytes > GIGABYTES:
        sys.exit("bench_catalogue: over the limit")


if __name__ == "__main__":
    main()
