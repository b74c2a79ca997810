"""The `studylib` command."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from studylib import __version__
from studylib.errors import StudyError
from studylib.paths import unwritable

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"studylib {__version__}")
        raise typer.Exit


@app.callback()
def _studylib(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A reproducible study of recurrent networks for next-page and next-item recommendation."""


@app.command()
def run(
    params: Annotated[Path, typer.Argument(help="The params file of the study.", metavar="PARAMS.yaml")],
    only: Annotated[
        int | None, typer.Option(help="Run one notebook, such as 3.", min=1, max=5, metavar="NUMBER")
    ] = None,
    reports: Annotated[Path | None, typer.Option(help="Write here instead of reports/.", metavar="DIR")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what is kept and train everything again.")] = False,
) -> None:
    """Execute the notebooks of a study in order and write reports/<name>.html."""
    from studylib.params.files import load_params

    study = load_params(params)  # before the rest is imported, which takes seconds
    from studylib.runner import run_study

    typer.echo(run_study(study, f"{only:02}" if only else None, reports, fresh, file=params))


@app.command()
def new(
    log: Annotated[Path, typer.Argument(help="A file of events or of sessions, or a folder of them.", metavar="LOG")],
    to: Annotated[
        Path | None, typer.Option(help="The params file to write; without it params/<name of the log>.yaml.")
    ] = None,
) -> None:
    """Look at the beginning of a log and write a params file for it, with what was guessed as comments."""
    from studylib.new import suggested
    from studylib.paths import project_root, slug, write

    text = suggested(log)
    to = to or project_root() / "params" / f"{slug(log.name.split('.')[0])}.yaml"
    if to.exists():
        raise StudyError(f"{to}: is there already; give another name by --to, or remove it.")
    write(to, text)
    typer.echo(to)


@app.command()
def tune(
    params: Annotated[
        Path, typer.Argument(help="A params file that has the data set and the model.", metavar="PARAMS.yaml")
    ],
    dataset: Annotated[str, typer.Option(help="As the file calls it.")],
    model: Annotated[str, typer.Option(help="As the file calls it.")],
    trials: Annotated[int, typer.Option(min=1, help="How many in all; those of earlier calls count.")] = 40,
    minutes: Annotated[float | None, typer.Option(min=0, help="Begin no trial later than this.")] = None,
) -> None:
    """Search a model's settings on validation cases, write them to params/tuned/ and print the entry that takes them."""
    from studylib.params.files import load_params

    study = load_params(params)  # before the rest is imported, which takes seconds
    from studylib.paths import reports_root
    from studylib.tuning import tune as search

    typer.echo(search(study, dataset, model, trials, minutes, reports_root() / study.name / "tuning", params))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Of a study that was run.", metavar="reports/NAME")],
    minutes: Annotated[float, typer.Option(min=0, help="Of training, about.")] = 5,
    every: Annotated[bool, typer.Option("--all", help="Train everything again.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another sample.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Keep what is trained here, and go on from it.", metavar="DIR")
    ] = None,
) -> None:
    """Derive all tables of a study from what it kept, train a drawn sample of it again, and say what comes out."""
    from studylib.verify import STOPPED, verify

    outcomes = []
    for outcome in verify(folder, float("inf") if every else minutes, seed, keep):
        typer.echo(f"{outcome.what:70}  {outcome.outcome}{outcome.by}")
        if outcome.outcome != STOPPED:
            outcomes.append(outcome)
    missed = sum(not outcome.holds for outcome in outcomes)
    typer.echo(f"{len(outcomes) - missed:,} of {len(outcomes):,} come out again.")
    raise typer.Exit(min(missed, 1))


@app.command()
def worker(
    scheduler: Annotated[str, typer.Argument(help="Its address.", metavar="tcp://HEAD:8786")],
) -> None:
    """Train for a study that runs elsewhere: be a worker of its Dask cluster, until Ctrl-C, whatever happens to the network."""
    from studylib.cluster import serve

    serve(scheduler, _aside)


LogOption = Annotated[
    list[str] | None,
    typer.Option("-o", "--option", help="Of the log, as in a params file: user=visitor.", metavar="KEY=VALUE"),
]
Model = Annotated[Path, typer.Argument(help="A model file, such as those in reports/<name>/models/.", metavar="MODEL")]


@app.command()
def recommend(
    model: Model,
    session: Annotated[
        str | None, typer.Option(help="The ids of a session in the order of its events.", metavar='"ID|ID"')
    ] = None,
    sessions: Annotated[
        Path | None, typer.Option(help="Many sessions, one a line; - is standard input.", metavar="FILE")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many items.", min=1, metavar="NUMBER")] = 10,
    separator: Annotated[str, typer.Option(help="What stands between two ids.", metavar="TEXT")] = "|",
    json: Annotated[
        bool, typer.Option("--json", help="The lines of the file are JSON: [ids], or an object with 'items'.")
    ] = False,
    include_visited: Annotated[bool, typer.Option("--include-visited", help="Keep what the session contains.")] = False,
) -> None:
    """Print the items likeliest to come next, best first: of --session one id a line, of --sessions a line of JSON for each."""
    if (session is None) == (sessions is None):
        raise typer.BadParameter("give one of '--session' and '--sessions'.")
    if not separator:
        raise StudyError("--separator: must not be empty; give the text between two ids, such as '|'.")
    from studylib.models.files import load

    fitted = load(model)
    if sessions is not None:
        from studylib.lines import answers

        for line in answers(fitted, sessions, None if json else separator, k, not include_visited, _aside):
            typer.echo(line)
        return
    assert session is not None
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", UserWarning)
        items = [item for item in session.split(separator) if item]
        recommended = fitted.recommend(items, k, exclude_visited=not include_visited)
    for warning in raised:
        _aside(f"{warning.message}.")
    typer.echo("".join(f"{item}\n" for item in recommended), nl=False)


@app.command()
def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions are kept by their ids.")] = 20_000,
    minutes: Annotated[float, typer.Option(min=0, help="Of silence after which a session is forgotten.")] = 30,
) -> None:
    """Answer over HTTP until Ctrl-C: POST /recommend, GET /healthz, GET /metrics."""
    from studylib.models.files import load
    from studylib.serve import serve

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    serve(load(model), host, port, sessions, minutes, _aside)


@app.command()
def export(
    model: Model,
    onnx: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
) -> None:
    """Write a network as an ONNX file, for programs that have neither this library nor PyTorch."""
    from studylib.models.exported import to_onnx
    from studylib.models.files import load
    from studylib.paths import write

    write(onnx, to_onnx(load(model)))
    typer.echo(onnx)


@app.command()
def evaluate(
    log: Annotated[Path, typer.Argument(help="A log, or the name of a public data set.", metavar="LOG")],
    option: LogOption = None,
    models: Annotated[
        str, typer.Option(help="Names, with commas between them.")
    ] = "popularity,markov,session-knn,gru4rec",
    metrics: Annotated[str, typer.Option(help="Such as hr@10 or mrr, with commas between them.")] = "hr@10,ndcg@10",
    split: Annotated[str | None, typer.Option(help="leave-one-out, temporal or given.")] = None,
    windows: Annotated[int, typer.Option(min=1, help="So many splits in time, one after the other.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How often each model is trained.")] = 1,
) -> None:
    """Train models on a log and print how good they are, with 95 % intervals; without notebooks, page or anything kept."""
    from studylib.params.files import given_options

    options = given_options(option or [])
    from studylib.api import evaluate, read

    wanted = (models.split(","), split, metrics.split(","))
    table = evaluate(read(str(log), **options), *wanted, windows=windows, seeds=list(range(seeds)))
    typer.echo(table.to_string(index=False, float_format=lambda number: f"{number:.4f}"))


@app.command()
def update(
    model: Model,
    log: Annotated[Path, typer.Argument(help="What is new: sessions that go on whole, and new ones.", metavar="LOG")],
    option: LogOption = None,
    to: Annotated[
        Path | None, typer.Option(help="The file to write; without it <MODEL>-updated.safetensors.", metavar="FILE")
    ] = None,
) -> None:
    """Go on training a network with what is new, new items too, and write it as a model file of its own."""
    from studylib.params.files import log_options

    new = log_options(log, option or [])
    from studylib.data.readers import read
    from studylib.data.sessions import apply_filters
    from studylib.models.files import load, save
    from studylib.models.neural import NeuralRecommender
    from studylib.tables.formats import count

    fitted = load(model)
    if not isinstance(fitted, NeuralRecommender):
        label = fitted.settings.label
        raise StudyError(
            f"A model '{label}' is counted, not trained by gradients: train it again, with all of the log."
        )
    sessions = apply_filters(read(new), new)
    updated = fitted.update(sessions)
    to = to or model.with_name(f"{model.stem}-updated.safetensors")
    save(updated, to)
    for drop in sessions.drops:
        _aside(f"left out: {drop.reason} ({count(drop.sessions, 'session')}, {count(drop.events, 'event')}).")
    learnt = f"{count(len(sessions.items), 'event')} of {count(len(sessions), 'session')}"
    _aside(f"learnt from {learnt}; new items: {len(updated.vocabulary) - len(fitted.vocabulary):,}.")
    typer.echo(to)


def _aside(sentence: str) -> None:
    typer.echo(f"studylib: {sentence}", err=True)


def main() -> None:
    """The console script: mistakes of the user are one sentence on standard error and exit code 1."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    # jsonschema, by which nbformat checks notebooks, imports a grammar of IRIs where it is there; no notebook needs its 2.4 s.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        app(standalone_mode=False)
    except StudyError as error:
        sys.exit(f"studylib: {error}")
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except BrokenPipeError:  # the reader has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        sys.exit(f"studylib: {unwritable(Path(error.filename or '.'), error)}")
    except Exception as error:
        # Click's usage errors know how to print themselves; typer exposes no base class for them.
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            sys.exit(error.exit_code)
        raise


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}
"""What a full or read-only disk, or a folder that is a file, looks like."""


def _stop(number: int, frame: object) -> NoReturn:
    """End at once, with the kernel and the workers: whatever is kept is kept whole, so that there is nothing to finish.

    The exit code is that of a process which the signal ended: 130 or 143.
    """
    for further in (signal.SIGINT, signal.SIGTERM):
        signal.signal(further, signal.SIG_IGN)
    import psutil

    # Again, for a kernel may have been starting a worker.
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=1)
    from studylib.progress import terminal

    terminal().write("\nstudylib: stopped; what is finished is kept, and the same command goes on from there.\n")
    terminal().flush()
    os._exit(128 + number)
