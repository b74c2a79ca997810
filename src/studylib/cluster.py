"""Trainings on the workers of a Dask cluster: the study's end, and that of a worker.

Workers need this package and a way to the scheduler and to each other; no shared disk, no data files. The prepared data is sent
to the scheduler once, with the function, and workers take it from there or from each other. Results come back to the study's
process, the only one that writes.

What holds when a host is cut off, a worker killed or all of them gone; the settings are Dask's own defaults, and a site that
changes them has its reasons:

- A worker that ends is lost at once, and one whose host does not answer TCP's keep-alive for 30 seconds
  (``distributed.comm.timeouts.tcp``; the system answers it, however busy the processes are). A shorter cut is bridged.
- The training of a lost worker begins again on another one. What the lost one still computes is not taken: each training has
  one result.
- A worker whose host answers but which itself gives no sign of life is started again after 5 minutes
  (``distributed.scheduler.worker-ttl``).
- A Dask worker that was cut off ends. `serve` (``studylib worker``) starts another in its place, which waits for the scheduler
  as long as it takes (no ``--death-timeout``). It is used again as any worker that comes late.
- With no worker left everything waits for one (``distributed.scheduler.no-workers-timeout``: none); tasks and data are with the
  scheduler.
- A training is given up when four workers were lost while they had it (``distributed.scheduler.allowed-failures``: 3): it is
  likelier to need too much memory than to be unlucky. A worker has two, the one that it is at and the next
  (``distributed.scheduler.worker-saturation``).
- A scheduler that is lost and answers within `SECONDS_TO_CONNECT`, be it another one, is given once more what is not finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NoReturn

from studylib import machine
from studylib.errors import StudyError, brief, extra, quoted
from studylib.execution import WorkerDied

with extra("cluster"):
    import dask
    from distributed import CancelledError, Client, Future, KilledWorker, Nanny
    from distributed.protocol.pickle import dumps, loads

SECONDS_TO_CONNECT = 20
"""How long the scheduler of a cluster may take to answer."""

SECONDS_BETWEEN_LOOKS = 1
"""How often the study asks the scheduler how many workers it has, at least."""


class _SchedulerLost(Exception):
    pass


def run(
    function: Callable[[Any], Any], tasks: list[Hashable], scheduler: str, running: Callable[[int], None]
) -> Iterator[tuple[Any, Any]]:
    """`studylib.execution.fan_out` on the cluster whose scheduler is at the address ``scheduler``."""
    left = list(tasks)
    while left:
        with _connect(scheduler) as client:
            try:
                for task, result in _run(client, function, list(left), running):
                    left.remove(task)
                    yield task, result
            except _SchedulerLost:
                running(0)


def _connect(scheduler: str) -> Client:
    try:
        return Client(scheduler, timeout=SECONDS_TO_CONNECT)
    except (OSError, TimeoutError):
        raise StudyError(f"{scheduler}: no Dask scheduler answers there; check 'execution.scheduler'.") from None


def _run(
    client: Client, function: Callable, tasks: list, running: Callable[[int], None]
) -> Iterator[tuple[Hashable, Any]]:
    workers, looked = _workers(client), time.monotonic()
    # Loading what every task needs is a task as well: what only workers hold, as after Client.scatter, is gone with them.
    # The scheduler sees bytes and numbers, and queues the numbers: a worker has the one it is at and the next.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        shared = client.submit(loads, dumps((function, tasks, machine.versions())), pure=False)
    futures = client.map(_call, range(len(tasks)), shared=shared, pure=False)
    task_of = dict(zip(futures, tasks, strict=True))
    finished: queue.SimpleQueue[Future] = queue.SimpleQueue()
    for future in futures:
        future.add_done_callback(finished.put)
    del futures
    while task_of:
        running(min(workers, len(task_of)))
        try:
            future = finished.get(timeout=SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            future = None
        if future is not None:
            yield task_of.pop(future), _outcome(future)
            future.release()
        if time.monotonic() - looked > SECONDS_BETWEEN_LOOKS:
            workers, looked = _workers(client), time.monotonic()


def _call(number: int, shared: tuple[Callable, list, dict[str, str]]) -> Any:
    function, tasks, versions = shared
    here = machine.versions()
    if others := [name for name, version in versions.items() if here.get(name) != version]:
        raise StudyError(
            f"A worker of the cluster has {others[0]} {here.get(others[0], 'not at all')}, the study {versions[others[0]]}: "
            "the numbers would differ; install requirements.lock there."
        )
    return function(tasks[number])


def _workers(client: Client) -> int:
    try:
        threads = client.nthreads().values()
    except OSError:
        raise _SchedulerLost from None
    if any(number > 1 for number in threads):
        raise StudyError("A training needs a process of its own: start the Dask workers with --nthreads 1.")
    return len(threads)


def _outcome(future: Future) -> Any:
    try:
        return future.result()
    except KilledWorker as error:
        return WorkerDied(f"{error.allowed_failures + 1} workers of the cluster were lost while they had it")
    except ImportError as error:
        raise StudyError(
            f"A worker of the cluster cannot run the study ({brief(error)}): install this package, of this version, there."
        ) from None
    except (CancelledError, OSError):
        if future.status == "error":  # the function's own
            raise
        raise _SchedulerLost from None


def serve(scheduler: str, say: Callable[[str], None]) -> NoReturn:
    """Be a worker of a cluster, one training at a time, until this process is ended.

    The training runs in a process of its own, which is started again when it dies or its connection to the scheduler is lost.

    Args:
        scheduler: its address, such as ``tcp://head:8786``. It need not be there yet.
        say: told, in a sentence, what is waited for.

    Raises:
        StudyError: the address is none.
    """
    if not re.fullmatch(r"(\w+://)?[^/:\s]+:\d+", scheduler):
        raise StudyError(f"{quoted(scheduler)} is no address of a Dask scheduler; give one such as 'tcp://head:8786'.")
    while True:
        say(f"{scheduler}: waiting for the scheduler.")
        # No scheduler answers (Dask wraps this in a RuntimeError), or the process of the training did not start.
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            asyncio.run(_work(scheduler))
        time.sleep(1)


async def _work(scheduler: str) -> None:
    # No limit of memory but the machine's, as for trainings at home: near Dask's own one a worker would pause for good.
    async with Nanny(scheduler, nthreads=1, memory_limit=0, dashboard=False) as nanny:
        await nanny.finished()
