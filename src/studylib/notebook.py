"""What every notebook begins with: a `Study`, which validates its parameters and knows where its results go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from studylib.errors import StudyError, extra
from studylib.execution import configure
from studylib.figures import to_svg
from studylib.params.files import refuse_name_of_another, study_params
from studylib.params.study import StudyParams
from studylib.paths import reports_root, slug, write
from studylib.provenance import note
from studylib.tables.formats import fixed
from studylib.tables.names import LABELS, written
from studylib.text import without_sources, words

with extra("notebooks"):
    from IPython.display import HTML, display
    from matplotlib.figure import Figure

NO_MATH = "tex2jax_ignore mathjax_ignore"
"""Classes of what MathJax passes over, its version 2 (nbconvert's pages) and 3 (JupyterLab): a dollar is a dollar."""


@dataclass(frozen=True)
class Study:
    """The parameters of a study, the folder of its results, and how a notebook shows things.

    Captions and sentences are templates of `studylib.text.words`: what is our own is in the template, what comes from data or
    params is a value, and so text whatever is in it.

    Example:
        >>> study = Study.begin(name="quickstart")  # doctest: +SKIP
        >>> study.show(figure, "best-cells", "What it says.", alt="What it shows.")  # doctest: +SKIP
        >>> study.say("**{log}** has {n:,} sessions.", log=params.data.path, n=len(log))  # doctest: +SKIP
    """

    params: StudyParams
    folder: Path

    @classmethod
    def begin(cls, **sections) -> Study:
        """Validate the sections that the parameters cell declares and set threads and the Keras backend.

        Raises:
            StudyError: a section is wrong, or the results would overwrite those of another study (`refuse_name_of_another`).
        """
        params = study_params(sections, source="the parameters cell")
        refuse_name_of_another(params, reports_root())
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

    def show(self, figure: Figure, name: str, caption: str, /, alt: str, live: str = "", **values: object) -> None:
        """Keep the figure as ``figures/<name>.svg`` and display it with its caption.

        Args:
            caption: a template, for ``values``.
            alt: plain text.
            live: HTML that the script of the page shows in place of the drawing (`studylib.report.explorer.explorer`).
        """
        svg = to_svg(figure, name, alt)
        path = self.folder / "figures" / f"{name}.svg"
        write(path, svg)
        said = words(caption, **values)
        display(
            HTML(
                f'<figure class="study-figure {NO_MATH}" id="fig-{name}">{svg}{live}<figcaption>{said}</figcaption></figure>'
            )
        )

    def table(
        self,
        frame: pd.DataFrame,
        caption: str,
        /,
        digits: int = 3,
        anchors: str | None = None,
        links: Collection[str] = (),
        unsearched: Collection[str] = (),
        csv: str | None = None,
        name: str | None = None,
        **values: object,
    ) -> None:
        """Display a table with its caption; fractions with ``digits`` digits, what is missing as a dash.

        Keys in the columns that `studylib.tables.names.LABELS` has are written as names.

        The caption ends with a link to a CSV, which is in the link itself. Of a table without rows the caption alone is shown,
        with the word "none".

        Args:
            caption: a template, for ``values``.
            anchors: a column by whose words the rows can be linked to: ``anchors="claim"`` gives the row of "GRU is best"
                the address ``#claim-gru-is-best``.
            links: columns with names of figures (as given to `show`). On the page each is a link that reads "Figure 7"; the
                name of a figure that the page does not have stays a word.
            unsearched: columns whose words the page's filter of the table passes over.
            csv: the result of the study whose part the table shows, for the link; the frame itself, with all digits, without it.
            name: by which numbers name the table as their source (`studylib.sources`); that of ``csv`` without it.

        Example:
            >>> study.table(claims, "The claims.", anchors="claim", links={"figure"})  # doctest: +SKIP
        """

        if frame.empty:
            return self.say(f"{caption} *None.*", **values)

        def text(value: object) -> Markup:
            if pd.isna(value):
                return Markup("–")
            return words("{value}", value=fixed(value, digits) if isinstance(value, float) else value)

        def cell(column: str, value: object) -> str:
            shown = text(written(value) if column in LABELS and isinstance(value, str) else value)
            if column in links and not pd.isna(value):
                shown = Markup('<a class="figure-link" href="#fig-{}">{}</a>').format(value, shown)
            return f'<th scope="row">{shown}</th>' if column == anchors else f"<td>{shown}</td>"

        header = "".join(
            f"<th{' data-unsearched' * (name in unsearched)}>{text(str(name).replace('_', ' '))}</th>" for name in frame
        )
        rows = []
        for row in frame.to_dict("records"):
            address = f' id="{anchors}-{slug(str(row[anchors]))}"' if anchors else ""
            rows.append(f"<tr{address}>{''.join(cell(column, value) for column, value in row.items())}</tr>")
        name = name or (csv and Path(csv).stem)
        known = f' data-table="{name}"' if name else ""
        display(
            HTML(
                f'<table class="dataframe study-table {NO_MATH}"{known}>'
                f"<caption>{words(caption, **values)} {self._csv(frame, csv)}</caption>\n"
                f"<thead><tr>{header}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
            )
        )

    def _csv(self, frame: pd.DataFrame, name: str | None) -> Markup:
        """A link that holds a CSV, and so works offline and without script."""
        text = (self.folder / name).read_text(encoding="utf-8") if name else frame.to_csv(index=False)
        link = '<a class="csv" download="{}" href="data:text/csv;charset=utf-8,{}">CSV</a>'
        return Markup(link).format(name or "table.csv", quote(text, safe=",;:/@+()[]*!~", errors="replace"))

    def heading(self, section: str, template: str, /, **values: object) -> None:
        """Say what was found of a section, with a link to it; on the page the section's heading says it instead.

        Args:
            section: as in Markdown, such as ``03_ranking_evaluation.ipynb#Which-model-is-best?``.
            template: as for `say`.
        """
        link = Markup('<p class="heading {}"><a href="{}">{}</a></p>')
        display(HTML(link.format(NO_MATH, section, without_sources(words(template, **values)))))

    def say(self, template: str, /, **values: object) -> None:
        """Display the answer in words (`studylib.text.words`), with computed values in them; a blank line parts paragraphs."""
        paragraphs = words(template, **values).split("\n\n")
        display(HTML("\n".join(f'<p class="{NO_MATH}">{paragraph}</p>' for paragraph in paragraphs)))

    def code(self, text: str) -> None:
        """Display lines of code to be copied; nothing where there are none."""
        if text:
            lines = "\n".join(words("{line}", line=line) for line in text.splitlines())
            display(HTML(f'<pre class="{NO_MATH}"><code>{lines}</code></pre>'))
