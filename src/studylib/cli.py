"""The `studylib` command."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from studylib.errors import StudyError
from studylib.params.files import load_params

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _studylib() -> None:
    """A reproducible study of recurrent networks for next-page and next-item recommendation."""


@app.command()
def run(
    params: Annotated[Path, typer.Argument(help="The params file of the study.", metavar="PARAMS.yaml")],
    only: Annotated[str | None, typer.Option(help="Run one notebook, such as 03.", metavar="NUMBER")] = None,
    reports: Annotated[Path | None, typer.Option(help="Write here instead of reports/.", metavar="DIR")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what is kept and train everything again.")] = False,
) -> None:
    """Execute the four notebooks in order and write reports/<name>.html."""
    from studylib.runner import run_study

    try:
        page = run_study(load_params(params), only, reports, fresh)
    except KeyboardInterrupt:
        # The notebook client leaves a task behind, which asyncio would report with a traceback.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise StudyError("stopped; what was finished is kept, and the same command goes on from there.") from None
    typer.echo(page)


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
    """Search a model's settings on validation cases and write them to params/tuned/."""
    from studylib.paths import reports_root
    from studylib.tuning import tune as search

    study = load_params(params)
    try:
        path = search(study, dataset, model, trials, minutes, reports_root() / study.name / "tuning")
    except KeyboardInterrupt:
        raise StudyError("stopped; finished trials are kept, and the same command goes on from there.") from None
    typer.echo(path)


@app.command()
def recommend(
    model: Annotated[
        Path, typer.Argument(help="A model file, such as those in reports/<name>/models/.", metavar="MODEL")
    ],
    session: Annotated[str, typer.Option(help="The ids of a session in the order of its events.", metavar='"ID|ID"')],
    k: Annotated[int, typer.Option("-k", help="How many items.", min=1, metavar="NUMBER")] = 10,
    separator: Annotated[str, typer.Option(help="What stands between two ids.", metavar="TEXT")] = "|",
    include_visited: Annotated[bool, typer.Option("--include-visited", help="Keep what the session contains.")] = False,
) -> None:
    """Print the items likeliest to come next in a session, one id a line, best first."""
    from studylib.models.files import load

    if not separator:
        raise StudyError("--separator: must not be empty; give the text between two ids, such as '|'.")
    items = [item for item in session.split(separator) if item]
    fitted = load(model)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", UserWarning)
        recommended = fitted.recommend(items, k, exclude_visited=not include_visited)
    for warning in raised:
        typer.echo(f"studylib: {warning.message}.", err=True)
    typer.echo("".join(f"{item}\n" for item in recommended), nl=False)


def main() -> None:
    """The console script: mistakes of the user are one sentence on standard error and exit code 1."""
    try:
        app(standalone_mode=False)
    except StudyError as error:
        sys.exit(f"studylib: {error}")
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except Exception as error:
        # Click's usage errors know how to print themselves; typer exposes no base class for them.
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            sys.exit(error.exit_code)
        raise
