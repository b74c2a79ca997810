"""Where and how the work runs: threads, devices and the Keras backend, set before the heavy libraries are imported."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import joblib
from joblib.externals.loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

from studylib.params.study import Execution


def configure(execution: Execution) -> None:
    """Set what can only be set before TensorFlow and Keras are imported, and the number of threads of every library.

    The number of threads is a part of the params, because sums over several threads differ in their last digits.
    """
    threads = str(execution.threads_per_worker)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = threads
    os.environ["KERAS_BACKEND"] = execution.keras_backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Several workers share a GPU: each takes the memory that it needs, not all there is.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if execution.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    torch.set_num_threads(execution.threads_per_worker)
    # Of torch for CUDA, which may load it at any time: loaded after TensorFlow it ends the process (seen with 3.7 and 2.21).
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")


class WorkerDied(Exception):
    """The outcome of a task in `fan_out` whose worker process died each time."""


def fan_out(
    function: Callable[[Any], Any],
    tasks: list[Hashable],
    execution: Execution,
    running: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[Any, Any]]:
    """Run ``function`` on every task in worker processes; yield ``(task, result)`` in the order in which they finish.

    On one machine (`loky`) a process that dies (out of memory, killed) breaks its whole pool, so the remaining tasks continue
    in a new pool. A task that was running twice when a pool broke is tried alone, and if its worker dies again, a
    `WorkerDied` is its result. For a Dask cluster, see `studylib.cluster`.

    Args:
        function: picklable; a worker gets it once.
        tasks: its arguments, distinct.
        execution: the backend and the number of workers.
        running: called before each wait with the number of running tasks: 0 while a cluster has no workers.

    Raises:
        StudyError: no scheduler answers, or a worker of the cluster has several threads or lacks this package.
    """
    if execution.backend == "loky":
        return _on_this_machine(function, tasks, execution, running)
    from studylib.cluster import run

    assert execution.scheduler is not None, "`Execution` sees to it"
    return run(function, tasks, execution.scheduler, running)


def workers(execution: Execution) -> int:
    """How many trainings run at once on this machine."""
    if execution.workers != "auto":
        return execution.workers
    return max(1, joblib.cpu_count() // execution.threads_per_worker)


def _on_this_machine(
    function: Callable, tasks: list, execution: Execution, running: Callable[[int], None]
) -> Iterator[tuple[Hashable, Any]]:
    at_once = workers(execution)
    deaths: Counter[Hashable] = Counter()
    left = dict.fromkeys(tasks)
    while left:
        suspects = [task for task in left if deaths[task] >= 2]
        batch = suspects[:1] or list(left)
        n_jobs = min(at_once, len(batch)) if not suspects else 1
        started: list[Hashable] = []
        running(n_jobs)
        try:
            for task, result in _results(function, _noting(batch, started), n_jobs):
                del left[task]
                yield task, result
                running(min(n_jobs, len(left)))
        except TerminatedWorkerError:
            for task in started:
                if task in left:
                    deaths[task] += 1
                    if deaths[task] > 2:
                        del left[task]
                        yield task, WorkerDied("its worker process died three times, the last time alone")


def _results(function: Callable, tasks: Iterator, n_jobs: int) -> Iterator[tuple[Hashable, Any]]:
    start = {"initializer": _end_with, "initargs": (os.getpid(),)}
    if n_jobs > 1:
        pool = joblib.Parallel(
            n_jobs, "loky", return_as="generator_unordered", pre_dispatch=n_jobs, batch_size=1, **start
        )
        yield from pool(joblib.delayed(_with_task)(function, task) for task in tasks)
        return
    # joblib would run a single job in this process, which a task that dies would take with it.
    process = ProcessPoolExecutor(1, **start)
    try:
        for task in tasks:
            yield process.submit(_with_task, function, task).result()
    finally:
        process.shutdown(kill_workers=True)


def _with_task(function: Callable, task: Hashable) -> tuple[Hashable, Any]:
    return task, function(task)


def _end_with(parent: int) -> None:
    """End this worker when the process ``parent`` that started it is gone: killed, it could not tell its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _noting(tasks: list, started: list) -> Iterator:
    for task in tasks:
        started.append(task)
        yield task
