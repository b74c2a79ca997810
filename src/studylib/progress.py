"""Progress of long work: a bar in the terminal or notebook, or a line for the runner that started the notebook."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
CHANNEL = "STUDYLIB_PROGRESS"
"""The environment variable that names the file which `studylib run` reads progress from."""


_shown = False


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate and show how far the work is and how long it still takes.

    Inside of another tracked loop, and in worker processes, it just iterates: one bar is enough.
    """
    global _shown
    if _shown or multiprocessing.current_process().name != "MainProcess":
        yield from items
        return
    _shown = True
    try:
        yield from _track(items, description, total)
    finally:
        _shown = False


def _track(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    total = len(items) if total is None and hasattr(items, "__len__") else total
    if total == 0:
        yield from items
        return
    channel = os.environ.get(CHANNEL)
    if channel is None:
        yield from tqdm(items, description, total, file=sys.stderr, dynamic_ncols=True, leave=False)
        return
    _send(channel, description, 0, total)
    sent = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - sent > 0.2 or done == total:
            sent = time.monotonic()
            _send(channel, description, done, total)


def _send(channel: str, description: str, done: int | None, total: int | None) -> None:
    with Path(channel).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps([description, done, total]) + "\n")
