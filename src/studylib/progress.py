"""Progress of long work: a bar in the terminal or notebook, or lines for the runner that started the notebook."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
CHANNEL = "STUDYLIB_PROGRESS"
"""The environment variable that names the file which `studylib run` reads progress from: a JSON list a line,
``[description, done, total, status]``."""

_shown = False


class Bar:
    """How far a piece of work is: ``done`` of ``total``, and a few words on what goes on."""

    def __init__(self, description: str, total: int | None, done: int):
        self.description, self.total, self.done, self.status = description, total, done, ""

    def advance(self, by: int = 1, status: str | None = None) -> None:
        """So much more is done; ``status``, where given, replaces the words beside the bar."""
        self.done += by
        self.status = self.status if status is None else status
        self._show()

    def _show(self) -> None:
        """A plain bar shows nothing: it stands inside of another one, in a worker, or has nothing left to do."""


class _Terminal(Bar):
    def __init__(self, description: str, total: int | None, done: int):
        super().__init__(description, total, done)
        # The mean rate, not that of late: what is done comes in lots, and later lots may be of slower work.
        self.drawn = tqdm(
            desc=description, total=total, initial=done, file=sys.stderr, dynamic_ncols=True, leave=False, smoothing=0
        )

    def _show(self) -> None:
        self.drawn.set_postfix_str(self.status, refresh=False)
        self.drawn.update(self.done - self.drawn.n)
        if self.status:
            self.drawn.refresh()


class _Channel(Bar):
    def __init__(self, path: str, description: str, total: int | None, done: int):
        super().__init__(description, total, done)
        self.path, self.sent = Path(path), 0.0
        self._show()

    def _show(self) -> None:
        if time.monotonic() - self.sent > 0.2 or self.done == self.total or self.status:
            self.sent = time.monotonic()
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([self.description, self.done, self.total, self.status]) + "\n")


@contextlib.contextmanager
def progress(description: str, total: int | None, done: int = 0) -> Iterator[Bar]:
    """Show how far the work is and how long it still takes, while the block runs that advances the bar.

    Inside of another bar's block, and in worker processes, nothing is shown: one bar is enough.

    Example:
        >>> with progress("grid, cells", total=324, done=36) as bar:  # doctest: +SKIP
        ...     bar.advance(3, "2 trainings running, 0 cells failed")
    """
    global _shown
    if _shown or multiprocessing.current_process().name != "MainProcess" or total == done:
        yield Bar(description, total, done)
        return
    channel = os.environ.get(CHANNEL)
    bar = _Channel(channel, description, total, done) if channel else _Terminal(description, total, done)
    _shown = True
    try:
        yield bar
    finally:
        _shown = False
        if isinstance(bar, _Terminal):
            bar.drawn.close()


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate, with a bar (see `progress`) that advances by one an item."""
    total = len(items) if total is None and isinstance(items, Sized) else total
    with progress(description, total) as bar:
        for item in items:
            yield item
            bar.advance()
