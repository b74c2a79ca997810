"""What every notebook begins with: a `Study`, which validates its parameters and knows where its results go."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from studylib.errors import StudyError
from studylib.execution import configure
from studylib.figures import to_svg
from studylib.params.files import study_params
from studylib.params.study import StudyParams
from studylib.paths import reports_root, slug, write
from studylib.provenance import note


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

    def note_data(self, facts: dict[str, dict]) -> None:
        """Keep what is known of data sets, by name, for ``provenance.json`` (`studylib.provenance.note`)."""
        note(self.folder, facts)

    def show(self, figure: Figure, name: str, caption: str, alt: str, live: str = "") -> None:
        """Keep the figure as ``figures/<name>.svg`` and display it with its caption (Markdown's `*emphasis*` allowed).

        Args:
            live: HTML that the script of the page shows in place of the drawing (`studylib.report.explorer.explorer`).
        """
        svg = to_svg(figure, name, alt)
        path = self.folder / "figures" / f"{name}.svg"
        write(path, svg)
        words = re.sub(r"\*(.+?)\*", r"<em>\1</em>", escape(caption, quote=False))
        html = f'<figure class="study-figure" id="fig-{name}">{svg}{live}<figcaption>{words}</figcaption></figure>'
        display(HTML(html))

    def table(
        self,
        frame: pd.DataFrame,
        caption: str,
        digits: int = 3,
        anchors: str | None = None,
        links: Collection[str] = (),
    ) -> None:
        """Display a table with its caption; fractions with ``digits`` digits, what is missing as a dash.

        Of a table without rows the caption alone is shown, with the word "none".

        Args:
            anchors: a column by whose words the rows can be linked to: ``anchors="claim"`` gives the row of "GRU is best"
                the address ``#claim-gru-is-best``.
            links: columns with names of figures (as given to `show`). On the page each is a link that reads "Figure 7"; the
                name of a figure that the page does not have stays a word.

        Example:
            >>> study.table(claims, "The claims.", anchors="claim", links={"figure"})  # doctest: +SKIP
        """

        if frame.empty:
            return self.say(f"{caption} *None.*")

        def text(value: object) -> str:
            if pd.isna(value):
                return "–"
            if isinstance(value, float):
                return f"{round(value, digits) + 0.0:.{digits}f}"  # adding zero takes the sign off a rounded -0.0
            return str(value)

        def cell(column: str, value: object) -> str:
            words = escape(text(value), quote=False)
            if column in links and not pd.isna(value):
                words = f'<a class="figure-link" href="#fig-{escape(str(value))}">{words}</a>'
            return f'<th scope="row">{words}</th>' if column == anchors else f"<td>{words}</td>"

        header = "".join(f"<th>{escape(str(name).replace('_', ' '), quote=False)}</th>" for name in frame)
        rows = []
        for row in frame.to_dict("records"):
            address = f' id="{anchors}-{slug(str(row[anchors]))}"' if anchors else ""
            rows.append(f"<tr{address}>{''.join(cell(column, value) for column, value in row.items())}</tr>")
        display(
            HTML(
                f'<table class="dataframe study-table"><caption>{escape(caption, quote=False)}</caption>\n'
                f"<thead><tr>{header}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
            )
        )

    def say(self, text: str) -> None:
        """Display Markdown: the answer in words, with computed values in them. Nothing to say is not shown."""
        if text:
            display(Markdown(text))


def count(number: int, noun: str) -> str:
    """``1 cell``, ``12 cells``, ``2 batch sizes``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
