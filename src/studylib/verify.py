"""Whether what a study published comes out again: tables, figures and page from what is kept, and a sample of its trainings.

Tables, figures and page are derived by the notebooks, in a folder of their own. The sample is drawn, and trained anew.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from studylib import budget, comparison, grid, scale
from studylib.data import datasets
from studylib.errors import StudyError
from studylib.execution import workers
from studylib.kept import TOLERANCE, Work, complete
from studylib.params.files import study_params
from studylib.params.study import StudyParams
from studylib.runner import run_study

KEPT = ("cells", "scale", "budget", "ranks", "models", "made", grid.AGAIN)
"""The folders that a study's tables and its page are derived from."""

SAME, NEAR, OTHER = "the same bytes", f"the same within {TOLERANCE:g}", "differs"
ABSENT, UNPUBLISHED = "does not come out", "was not published"
STOPPED = "was stopped: it takes too long for this sample"


@dataclass(frozen=True)
class Outcome:
    """What came of one published thing.

    Attributes:
        what: a file of the study, or a kept result with its settings.
        outcome: `SAME`, `NEAR`, `OTHER`, `ABSENT`, `UNPUBLISHED` or `STOPPED`.
        difference: the largest of any number in it; NaN where it has none, or not the same ones.
    """

    what: str
    outcome: str
    difference: float = float("nan")

    @property
    def by(self) -> str:
        """By how much it differs, as the end of a line."""
        return f", by {self.difference:.2g}" if self.difference > 0 else ""

    @property
    def holds(self) -> bool:
        """Whether it came out again, within the tolerance."""
        return self.outcome in (SAME, NEAR)


def verify(folder: Path, minutes: float, seed: int = 0, keep: Path | None = None) -> Iterator[Outcome]:
    """Derive what a study published, train a sample of it anew, and say of each thing what came of it.

    Args:
        folder: of the study, such as ``reports/study``.
        minutes: of training, about; infinite for all of them.
        seed: of the sample.
        keep: the folder that keeps what is trained again; what it has already is not trained a third time.

    Raises:
        StudyError: the folder is none of a study, or a kept result is missing or damaged.
    """
    folder = folder.resolve()
    params = published_params(folder)
    works = works_of(params, folder)
    for work in works:
        work.kept()  # a missing or damaged one is said before anything runs
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        yield from derived(params, folder, Path(scratch))
        yield from trained_again(params, works, minutes, seed, keep or Path(scratch) / "again")


def published_params(folder: Path) -> StudyParams:
    """The params of a study, as its provenance has them."""
    try:
        facts = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        return study_params(facts["params"], source=str(folder / "provenance.json"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise StudyError(
            f"{folder}: no provenance.json there that has the params of a study; give the folder of a study that ran."
        ) from None


def works_of(params: StudyParams, folder: Path) -> list[Work]:
    """All that a study trains: the cells, with the other settings of the optimizers too, the scale, the ranking, the ablation,
    the recommender's network."""
    params = budget.spent(params, folder).params
    splits = comparison.split_datasets(params.ranking, params.seed)
    splits |= comparison.split_datasets(params.ranking.tried, params.seed) if params.ranking.recommender else {}
    ranked = [
        comparison.trainings_of(splits, part, params.execution, params.seed, folder) for part in params.ranking.parts
    ]
    if params.is_own_log:
        return [*ranked]
    log, later = grid.read_log(params.data, params.seed)
    scales = [params.grid.scale] if params.grid.scale else []
    loaded = datasets.load(params.data, params.seed) if scales else log
    return [
        *(
            grid.cells_of(log, params.data, part, params.execution, folder, later)
            for part in grid.grids_of(params.grid)
        ),
        *(scale.trainings_of(loaded, params.data, part, params.execution, folder) for part in scales),
        *ranked,
    ]


def derived(params: StudyParams, folder: Path, scratch: Path) -> Iterator[Outcome]:
    """Run the notebooks on what is kept, and compare tables, figures and page with the published ones."""
    (scratch / folder.name).mkdir()
    for kept in KEPT:
        if (folder / kept).exists():
            (scratch / folder.name / kept).symlink_to(folder / kept)
    page = run_study(params, reports=scratch)
    tables = {path.relative_to(root) for root in (folder, page.with_suffix("")) for path in _files(root)}
    for name in sorted(tables):
        published, again = folder / name, page.with_suffix("") / name
        if published.exists() and again.exists():
            yield _compared(str(name), published.read_bytes(), again.read_bytes())
        else:
            yield Outcome(str(name), ABSENT if published.exists() else UNPUBLISHED)
    published = folder.with_name(page.name)
    if published.exists():
        yield _compared(published.name, _chapters(published), _chapters(page))


def _files(folder: Path) -> list[Path]:
    return [*folder.glob("*.csv"), *folder.glob("figures/*.svg")]


def _chapters(page: Path) -> bytes:
    """A page without its last section, the commit and the commands: they, the machine and durations are those of the last run."""
    return re.sub(
        rb'<code class="commit">.*?</code>|, with <code class="command">.*?</code>',
        b"",
        page.read_bytes().partition(b'<h2 id="again"')[0],
    )


def _compared(what: str, published: bytes, again: bytes) -> Outcome:
    if published == again:
        return Outcome(what, SAME, 0.0)
    texts = [re.split(_NUMBER, content.decode()) for content in (published, again)]
    if len(texts[0]) != len(texts[1]) or texts[0][::2] != texts[1][::2]:
        return Outcome(what, OTHER)
    values = [np.array(text[1::2], float) for text in texts]
    return _outcome(what, float(np.abs(values[0] - values[1]).max(initial=0.0)))


_NUMBER = r"(-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)"


def _outcome(what: str, difference: float) -> Outcome:
    return Outcome(what, NEAR if difference <= TOLERANCE else OTHER, difference)


def trained_again(
    params: StudyParams, works: list[Work], minutes: float, seed: int, scratch: Path
) -> Iterator[Outcome]:
    """Train a drawn sample anew, in a folder of its own, and compare it with what is kept.

    What a training took where it was first made says little about this machine. So trainings go on in a drawn order until the
    time is over, and one that takes more than a third of it is stopped, so that others have their turn.
    """
    ends = time.monotonic() + 60 * minutes
    for number, tasks in turns(works, sys.maxsize if minutes == math.inf else workers(params.execution), seed):
        left = ends - time.monotonic()
        if left <= 0:
            return
        work = works[number]
        wanted = {w: name for w, name in work.names.items() if work.task(w) in tasks}
        again = replace(work, names=wanted, store=replace(work.store, folder=scratch / work.store.folder.name))
        with _stopped_after(min(left, 60 * minutes / 3)):
            complete(again, params.execution)
        for name in wanted.values():
            what = f"{work.store.folder.name}/{name}"
            if again.store.has(name):
                published, result = work.store.load(name), again.store.load(name)
                yield compared(what, work.measures(published), work.measures(result))
            else:
                yield Outcome(what, STOPPED)


class _TimeIsOver(BaseException):
    """Nothing takes it for the error of a training."""


@contextlib.contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """End what runs here, with its workers, when the time is over; infinite: never. As Ctrl-C does, in the main thread alone."""
    if seconds == math.inf:
        yield
        return

    def stop(*_: object) -> None:
        raise _TimeIsOver

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with contextlib.suppress(_TimeIsOver):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def turns(works: list[Work], at_once: int, seed: int) -> Iterator[tuple[int, set]]:
    """All trainings in a drawn order, ``at_once`` of one work together: the number of the work, and which trainings."""
    trainings = [(number, task) for number, work in enumerate(works) for task in work.tasks()]
    left = [trainings[index] for index in np.random.default_rng(seed).permutation(len(trainings))]
    while left:
        number = left[0][0]
        tasks = {task for of, task in itertools.islice((item for item in left if item[0] == number), at_once)}
        left = [(of, task) for of, task in left if of != number or task not in tasks]
        yield number, tasks


def compared(what: str, published: dict[str, float], again: dict[str, float]) -> Outcome:
    """Two results by their measures; a measure that is no number in both is the same."""
    if published.keys() != again.keys():
        return Outcome(what, OTHER)
    values = np.array([[published[name], again[name]] for name in published], float)
    if (np.isnan(values).sum(axis=1) == 1).any():
        return Outcome(what, OTHER)
    return _outcome(what, float(np.nanmax(np.abs(values[:, 0] - values[:, 1]), initial=0.0)))
