"""Progress of long work: a bar in the terminal or notebook, or lines for the runner that started the notebook."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sized
from pathlib import Path
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
CHANNEL = "STUDYLIB_PROGRESS"
"""The environment variable that names the file which `studylib run` reads progress from: a JSON list a line,
``[description, done, total, status]``."""

_shown = False
_terminal: TextIO | None = None


class Bar:
    """The progress of a piece of work: ``done`` of ``total`` (None: unknown), and a short ``status``."""

    def __init__(self, description: str, total: int | None, done: int):
        self.description, self.total, self.done, self.status = description, total, done, ""

    def advance(self, by: int = 1, status: str | None = None) -> None:
        """Add ``by`` to what is done; ``status``, unless None, replaces the text beside the bar."""
        self.done += by
        self.status = self.status if status is None else status
        self._show()

    def _show(self) -> None:
        """A plain bar shows nothing: it is inside another bar, in a worker, or has nothing left to do."""


class _Drawn(tqdm):
    """A bar in a terminal, also in one that says it has no rows or columns, as those of some containers and editors do."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        self.nrows = None  # there is one bar at a time
        super().display(msg, pos)

    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        facts = super().format_dict
        facts["ncols"] = USUAL_COLUMNS if (facts["ncols"] or 1) < 1 else facts["ncols"]
        return facts


USUAL_COLUMNS = 80


class _Terminal(Bar):
    def __init__(self, description: str, total: int | None, done: int):
        super().__init__(description, total, done)
        # The mean rate, not the recent one: work is completed in batches, and later batches may be slower.
        self.drawn = _Drawn(
            desc=description,
            total=total,
            initial=done,
            bar_format=_WITH_TOTAL if total else None,
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
            smoothing=0,
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
    """Show the progress and the remaining time of the work in the block, which advances the bar.

    Nothing is shown inside the block of another bar or in worker processes: one bar is enough.

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
    """Iterate, with a bar (see `progress`) that advances by one for each element."""
    total = len(items) if total is None and isinstance(items, Sized) else total
    with progress(description, total) as bar:
        for item in items:
            yield item
            bar.advance()


# The other end: what `studylib run` shows of a kernel's progress.


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that the block starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Let what kernels and workers print on standard error (TensorFlow is chatty) go to a file; `terminal` is what it was."""
    global _terminal
    sys.stderr.flush()
    before = os.dup(2)
    with log.open("wb") as file, os.fdopen(os.dup(before), "w", buffering=1) as _terminal:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            _terminal = None


def terminal() -> TextIO:
    """Where a person reads what is said on standard error, also while `stderr_to` has it go to a file."""
    return _terminal or sys.stderr


@contextlib.contextmanager
def progress_of_kernel(name: str) -> Iterator[None]:
    """Show the progress that the notebook's kernel reports, as a bar in the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        channel = Path(folder) / "progress"
        channel.touch()
        done = threading.Event()
        reader = threading.Thread(target=_show_progress, args=(channel, name, terminal(), done), daemon=True)
        with environment({CHANNEL: str(channel)}):
            reader.start()
            try:
                yield
            finally:
                done.set()
                reader.join()


def _show_progress(channel: Path, name: str, shown_on: TextIO, done: threading.Event) -> None:
    """Follow the lines of `studylib.progress` until ``done``: a live bar in a terminal, a line now and then elsewhere.

    A bar that is full is over: what the notebook does then is not counted, and the time since its beginning is shown.
    """
    seconds = 0.3 if shown_on.isatty() else SECONDS_BETWEEN_LINES
    bar = _Drawn(desc=name, bar_format=_NO_TOTAL, dynamic_ncols=True, file=shown_on)
    began = bar.start_t

    def without_bar(description: str) -> None:
        bar.bar_format, bar.start_t = _NO_TOTAL, began
        bar.set_description_str(description, refresh=False)
        bar.set_postfix_str("", refresh=False)

    with channel.open(encoding="utf-8") as lines, bar:
        current, rest, shown = None, "", time.monotonic()
        while not done.wait(0.3):
            *complete, rest = (rest + lines.read()).split("\n")
            if complete:
                description, reached, total, status = json.loads(complete[-1])
                if (description, total) != current:
                    current = (description, total)
                    bar.bar_format = _WITH_TOTAL if total else None
                    bar.set_description_str(f"{name[:2]}: {description}", refresh=False)
                    bar.reset(total)
                    bar.initial = reached  # what was kept from an earlier run says nothing of the time to go
                bar.n = reached
                bar.set_postfix_str(status, refresh=False)
                if reached == total:
                    current = None
                    without_bar(f"{name}, after {description}")
            if time.monotonic() - shown >= seconds:
                shown = time.monotonic()
                bar.refresh()
        without_bar(name)


_NO_TOTAL = "{desc}  {elapsed}"
_WITH_TOTAL = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
"""As tqdm has it, but for the rate: in 80 columns there is room for what goes on instead."""
SECONDS_BETWEEN_LINES = 15
