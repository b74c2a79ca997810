"""How busy a Dask scheduler keeps ten workers with short cells, and what a cell costs beside its training, with Dask and loky.

1,000 simulated cells that sleep for 0.1 s, as on machines with a core for each worker: 10 s from the first start of a cell to the
last end, where no worker ever waits. Fails where Dask keeps the workers less than 90 % busy. The workers are there before the
first cell.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

CELLS, SECONDS, WORKERS, ROUNDS = 1000, 0.1, 10, 3
BUSY = 0.9
WARM_UP = 50


def cell(number: int) -> tuple[float, float]:
    started = time.time()
    time.sleep(SECONDS)
    return started, time.time()


def span(execution) -> float:
    """Seconds from the first start of a cell to the last end."""
    from studylib.execution import fan_out

    times = [times for _, times in fan_out(cell, list(range(CELLS)), execution)]
    assert len(times) == CELLS
    return max(end for _, end in times) - min(start for start, _ in times)


def measure(name: str, execution) -> float:
    """The share of their time for which the workers were busy."""
    from studylib.execution import fan_out

    list(fan_out(cell, list(range(WARM_UP)), execution))
    spans = sorted(span(execution) for _ in range(ROUNDS))
    middle = statistics.median(spans)
    busy = CELLS * SECONDS / WORKERS / middle
    overhead = middle * WORKERS / CELLS - SECONDS
    print(
        f"{name:5} {middle:6.2f} s ({spans[0]:.2f} to {spans[-1]:.2f}): {busy:.1%} busy, "
        f"{1000 * overhead:.1f} ms a cell beside its {1000 * SECONDS:.0f}",
        flush=True,
    )
    return busy


def with_cluster(measured: Callable[[str], float]) -> float:
    """A scheduler and `WORKERS` workers, each a process of this machine; ``measured`` gets the scheduler's address."""
    from distributed import Client

    dask = [sys.executable, "-m", "distributed.cli"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        scheduler = [f"{dask[2]}.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
        worker = [f"{dask[2]}.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny"]
        worker += ["--host", "127.0.0.1", "--local-directory", folder]
        processes = [
            subprocess.Popen([*dask[:2], *command, "--no-dashboard"], stderr=subprocess.DEVNULL)
            for command in (scheduler, *[worker] * WORKERS)
        ]
        try:
            while not file.exists():
                time.sleep(0.1)
            with Client(scheduler_file=str(file), timeout=600) as client:
                client.wait_for_workers(WORKERS)
                address = client.scheduler.address
            return measured(address)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def main() -> None:
    from studylib.params.study import Execution

    measure("loky", Execution(workers=WORKERS))
    busy = with_cluster(lambda address: measure("dask", Execution(backend="dask", scheduler=address)))
    if busy < BUSY:
        sys.exit(f"bench_cluster: the workers were busy for {busy:.1%} of the time, less than {BUSY:.0%}")


if __name__ == "__main__":
    main()
