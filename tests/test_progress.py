"""One bar for long work: what it counts and says, in a terminal and to the runner."""

import contextlib
import fcntl
import io
import json
import os
import pty
import struct
import termios
import threading

import numpy as np
import pandas as pd
import pytest

from studylib import grid as grids, kept, progress as progresses
from studylib.comparison import Comparison
from studylib.data.sessions import Sessions
from studylib.data.splits import leave_one_out
from studylib.evaluation.ranking import Ranks
from studylib.execution import fan_out
from studylib.grid import run_grid
from studylib.params.study import Data, Execution, Grid, Ranking
from studylib.progress import CHANNEL, progress, track
from studylib.tables.ranking import intervals, pairs


@pytest.fixture
def channel(tmp_path, monkeypatch):
    path = tmp_path / "progress"
    path.touch()
    monkeypatch.setenv(CHANNEL, str(path))
    return path


def lines(channel):
    return [json.loads(line) for line in channel.read_text().splitlines()]


def test_a_bar_counts_in_lots_and_says_what_goes_on(channel):
    with progress("cells", 9, done=2) as bar:
        bar.advance(3, "one failed")
        bar.advance(4)
    assert lines(channel) == [["cells", 2, 9, ""], ["cells", 5, 9, "one failed"], ["cells", 9, 9, "one failed"]]


def test_one_bar_is_enough(channel):
    with progress("outer", 1) as bar:
        assert list(track("abc", "inner")) == ["a", "b", "c"]
        bar.advance()
    with progress("nothing left", 4, done=4) as bar:
        bar.advance(0, "status")
    assert list(track([], "empty")) == []
    assert {line[0] for line in lines(channel)} == {"outer"}
    assert list(track("ab", "after")) == ["a", "b"] and lines(channel)[-1] == ["after", 2, 2, ""]


def test_a_terminal_shows_done_total_status_and_time_to_go(monkeypatch, capsys):
    monkeypatch.delenv(CHANNEL, raising=False)
    with progress("cells", 324, done=36) as bar:
        bar.advance(3, "trainings running: 2, cells failed: 1")
        shown = capsys.readouterr().err.split("\r")[-1]
    assert "cells:  12%" in shown and "39/324" in shown and "<" in shown
    assert "trainings running: 2, cells failed: 1" in shown


@contextlib.contextmanager
def reader(channel, terminal):
    """The runner's end of the channel of notebook 02; a function that waits until words are shown."""
    done = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progresses, "SECONDS_BETWEEN_LINES", 0)
        thread = threading.Thread(target=progresses._show_progress, args=(channel, "02_grid", terminal, done))
        thread.start()

        def shows(words):
            for _ in range(600):
                if words not in terminal.getvalue() and thread.is_alive():
                    done.wait(0.05)
            return words in terminal.getvalue()

        yield shows
        done.set()
        thread.join()


def test_the_runner_shows_what_a_notebook_reports(channel):
    terminal = io.StringIO()
    with progress("grid, cells", 324, done=36) as bar, reader(channel, terminal) as shows:
        bar.advance(3, "trainings running: 2, cells failed: 1")
        assert shows("39/324")
    assert "02: grid, cells:  12%" in terminal.getvalue()
    assert "trainings running: 2, cells failed: 1" in terminal.getvalue()
    assert "trainings running" not in terminal.getvalue().split("\r")[-1], "when it is over nothing runs"


def test_a_full_bar_is_over_and_what_follows_is_not_counted(channel):
    terminal = io.StringIO()
    with reader(channel, terminal) as shows:
        with progress("ranking, trainings", 2) as bar:
            bar.advance(2, "trainings running: 0, failed: 0")
        assert shows("02_grid, after ranking, trainings  00:0") and "100%" not in terminal.getvalue()
        with progress("intervals", 4) as bar:
            bar.advance(1, "of one data set")
            assert shows("02: intervals:  25%")


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def fileno(self):
        return self.end


@pytest.mark.parametrize(("rows", "columns"), [(0, 80), (24, 0), (0, 0), (24, 80)])
def test_a_terminal_of_any_size_shows_a_bar_and_what_goes_on(channel, rows, columns):
    """With 80 columns or none, all of the words are there."""
    terminal = Terminal()
    main, terminal.end = pty.openpty()
    fcntl.ioctl(terminal.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with progress("ranking, trainings", 45) as bar, reader(channel, terminal) as shows:
        bar.advance(0, "waiting for workers, failed: 0")
        assert shows("waiting for workers, failed: 0]"), terminal.getvalue()
    assert "02: ranking, trainings:   0%|" in terminal.getvalue()
    for end in (main, terminal.end):
        os.close(end)


def test_intervals_have_a_bar_of_their_own(channel):
    split = leave_one_out(Sessions.from_lists([[n % 7, n % 5, n % 3] for n in range(60)]))
    ranks = Ranks(np.arange(len(split.test)) % 6, np.zeros(len(split.test), int), None, 7, 0)
    ranking = Ranking(models=["markov", "popularity"])
    made = {("synthetic", model, 0, "full"): ranks for model in ("markov", "popularity")}
    comparison = Comparison(pd.DataFrame(), made, {("synthetic", 0): split})
    for table in (lambda: intervals(comparison, ranking, 0, ["mrr"]), lambda: pairs(comparison, ranking, 0, "mrr")):
        channel.write_text("")
        table()
        assert [line[1:3] for line in lines(channel)] == [[0, 1], [1, 1]]


def test_the_grid_counts_cells_and_goes_on_counting_from_what_is_kept(channel, monkeypatch, tmp_path):
    log = Sessions.from_lists([[int(s + step) % 8 for step in range(3)] for s in np.arange(50)])
    wide = {"optimizers": ["adam", "sgd"], "batch_sizes": [16], "epochs": [1, 2, 3], "units": 3}

    def cells(training, epochs, split, data, grid, later):
        results = [grids.failed_cell(training, e, split, "no memory") for e in epochs]
        for result in results if training.optimizer == "adam" else []:
            result.facts["status"] = "ok"
        return results

    def here(function, tasks, execution, running):
        for left, task in zip(range(len(tasks), 0, -1), tasks, strict=True):
            running(min(2, left))
            yield task, function(task)

    monkeypatch.setattr(grids, "train_cells", cells)
    monkeypatch.setattr(kept, "fan_out", here)
    run_grid(log, Data(max_length=1), Grid(architectures=["gru"], **wide), Execution(), tmp_path)
    run_grid(log, Data(max_length=1), Grid(architectures=["gru", "lstm"], **wide), Execution(), tmp_path)
    status = "trainings running: {}, failed: {}".format
    first = [line for line in lines(channel) if line[2] == 6]
    assert first == [
        ["grid, cells", 0, 6, ""],
        ["grid, cells", 0, 6, status(2, 0)],
        ["grid, cells", 3, 6, status(2, 0)],
        ["grid, cells", 3, 6, status(1, 0)],
        ["grid, cells", 6, 6, status(1, 0)],
    ]
    second = [line for line in lines(channel) if line[2] == 12]
    assert second[0] == ["grid, cells", 3, 12, ""], "failed cells are not done: they are tried again"
    assert next(line[1:] for line in second if line[3].endswith("failed: 3")) == [6, 12, status(2, 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_how_many_tasks_are_under_way(workers):
    counts = []
    results = list(fan_out(str, [0, 1, 2], Execution(workers=workers), counts.append))
    assert sorted(results) == [(0, "0"), (1, "1"), (2, "2")]
    assert counts == ([1, 1, 1, 0] if workers == 1 else [2, 2, 1, 0])
