"""What every notebook begins with: a `Study`, which validates its parameters and knows where its results go."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from studylib.errors import StudyError
from studylib.execution import configure
from studylib.figures import to_svg
from studylib.params import StudyParams, reports_root, study_params


@dataclass(frozen=True)
class Study:
    """The parameters of a study, the folder of its results, and how a notebook shows things.

    Example:
        >>> study = Study.begin(name="quickstart")  # doctest: +SKIP
        >>> study.show(figure, "visits", "What it says.", alt="What it shows.")  # doctest: +SKIP
    """

    params: StudyParams
    folder: Path

    @classmethod
    def begin(cls, **sections) -> Study:
        """Validate the sections that the parameters cell declares and set threads and the Keras backend."""
        params = study_params(sections, source="the parameters cell")
        configure(params.execution)
        folder = reports_root() / params.name
        folder.mkdir(parents=True, exist_ok=True)
        return cls(params, folder)

    def result(self, name: str, notebook: str) -> Path:
        """The path of a result that ``notebook`` writes.

        Raises:
            StudyError: it is not there yet.
        """
        path = self.folder / name
        if not path.exists():
            raise StudyError(
                f"{path.parent.name}/{name} is not there yet: run notebook {notebook} of this study first."
            )
        return path

    def note_data(self, facts: dict) -> None:
        """Keep what is known of the data sets for ``provenance.json``."""
        (self.folder / "data.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def show(self, figure: Figure, name: str, caption: str, alt: str) -> None:
        """Keep the figure as ``figures/<name>.svg`` and display it with its caption (Markdown's `*emphasis*` allowed)."""
        svg = to_svg(figure, name, alt)
        path = self.folder / "figures" / f"{name}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
        words = re.sub(r"\*(.+?)\*", r"<em>\1</em>", escape(caption, quote=False))
        display(HTML(f'<figure class="study-figure" id="fig-{name}">{svg}<figcaption>{words}</figcaption></figure>'))

    def table(self, frame: pd.DataFrame, caption: str, digits: int = 3) -> None:
        """Display a table with its caption; fractions with ``digits`` digits, what is missing as a dash."""

        def text(value: object) -> str:
            if pd.isna(value):
                return "–"
            if isinstance(value, float):
                return f"{round(value, digits) + 0.0:.{digits}f}"  # adding zero takes the sign off a rounded -0.0
            return str(value)

        shown = frame.map(text).rename(columns=lambda name: str(name).replace("_", " "))
        html = shown.to_html(index=False, border=0, classes="study-table")
        words = f"<caption>{escape(caption, quote=False)}</caption>"
        display(HTML(html.replace("<thead>", f"{words}<thead>", 1)))

    def say(self, text: str) -> None:
        """Display Markdown: the answer in words, with computed values in them."""
        display(Markdown(text))


def count(number: int, noun: str) -> str:
    """``1 cell``, ``12 cells``, ``2 batch sizes``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
