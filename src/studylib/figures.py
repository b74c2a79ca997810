"""One function per figure, and how a figure becomes an SVG that follows the page's theme.

An architecture or a model has the same colour everywhere, safe for colour-blind readers (Okabe & Ito's palette, and for the
names that it has no colour left for, those most distinct from the others of their kind under three kinds of such sight), and
made lighter or darker where it would not be seen on a light and on a dark page (3:1). Ink is `currentColor`, so that the same
drawing reads on both.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import warnings
from html import escape

import numpy as np
import pandas as pd

from studylib.errors import extra
from studylib.params.models import LAYERS
from studylib.tables.grid import COLLAPSED
from studylib.tables.names import written, written_metric, written_protocol
from studylib.text import visible

with extra("notebooks"):
    import matplotlib

    matplotlib.use("agg", force=False)
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter, MaxNLocator, PercentFormatter

COLOURS = {
    "lstm": "#0072B2",
    "gru": "#BF8300",
    "hybrid": "#009E73",
    "hybrid-gru-lstm": "#C972A2",
    "popularity": "#8C8C8C",
    "markov": "#2F8FCB",
    "markov-last": "#1F7A8C",
    "gru4rec": "#D55E00",
    "item-knn": "#9D5B42",
    "ease": "#6B7A00",
    "session-knn": "#5269B5",
    "stan": "#8158B4",
    "bpr-mf": "#AE00E9",
    "sasrec": "#107C5C",
}
SPARE_COLOURS = ["#B0457F", "#127E36", "#695FC7", "#AA7700", "#2E9688", "#AA4499"]
INK = "#010203"
"""Stands for `currentColor` until the SVG is written."""

CLASS_METRICS = {"accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1"}


def colours(labels) -> dict[str, str]:
    """The colour of each label: its own where it has one, else the next spare one."""
    spare = iter(SPARE_COLOURS * len(list(labels)))
    return {label: COLOURS.get(label) or next(spare) for label in labels}


COLOURS |= colours(LAYERS)  # an architecture that is new has one, too


def _theme() -> None:
    sns.set_theme(
        style="ticks",
        rc={
            "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
            "axes.titlesize": 11, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9, "font.size": 10,
            "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.titlelocation": "left",
            "xtick.major.width": 0.7, "ytick.major.width": 0.7, "legend.frameon": False, "legend.fontsize": 9,
            "axes.facecolor": "none", "figure.facecolor": "none", "svg.fonttype": "none", "font.family": "sans-serif",
            "text.parse_math": False,  # what stands between two dollars is text, in labels from data and in all others
        },
    )  # fmt: skip


def _label(name: str) -> str:
    """The name of a data set or a model, as long as a drawing has room for."""
    return visible(written(name), 28)


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as SVG text: no date, ids that begin with ``name``, ink in the page's colour, ``alt`` for screen readers."""
    with plt.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's browser has the fonts
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    plt.close(figure)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(
        r'<svg [^>]*?width="([\d.]+)pt"', lambda m: m.group(0).replace(f' width="{m.group(1)}pt"', ""), svg, count=1
    )
    svg = re.sub(r' height="[\d.]+pt"', "", svg, count=1)
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    opening = (
        f'<svg role="img" aria-labelledby="{name}-title" style="width:100%;max-width:{width * 4 / 3:.0f}px;height:auto"'
    )
    svg = svg.replace("<svg", opening, 1)
    head = f'<title id="{name}-title">{escape(visible(alt))}</title><style>{_ALONE}</style>'
    return svg.replace(">", f">{head}", 1).strip() + "\n"


_ALONE = "svg:root{color:#767676}"
"""As a file of its own (an image of the README) a figure has no page to take its ink from: a grey for light and dark."""


def event_distributions(items: pd.DataFrame, sessions: pd.DataFrame) -> Figure:
    """Toledo & Rezende 2020, Figure 1: items by their number of events, and sessions by theirs (`data.summary`)."""
    _theme()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.scatter(items["events"], items["items"], s=9, color="#0072B2", alpha=0.6, linewidths=0)
    left.set(xscale="log", yscale="log", xlabel="events of an item", ylabel="items", title="Items by their events")
    right.scatter(sessions["events"], sessions["sessions"], s=9, color="#D55E00", alpha=0.6, linewidths=0)
    right.set(yscale="log", xlabel="events in a session", ylabel="sessions", title="Sessions by their events")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    if sessions["events"].max() > 100:
        right.set_xscale("log")
    else:
        right.set_xlim(0, sessions["events"].max() + 1)
    for axis in (axis for panel in (left, right) for axis in (panel.xaxis, panel.yaxis) if axis.get_scale() == "log"):
        axis.set_major_formatter(_Plain())
        axis.set_minor_formatter(_Plain())
    return figure


def gaps(table: pd.DataFrame) -> Figure:
    """How long users were silent between two events, and where a session ended (`data.sessionize.gap_table`)."""
    _theme()
    last = table["longer than"].iloc[-1]
    names = [f"≤ {_duration(end)}" if np.isfinite(end) else f"> {_duration(last)}" for end in table["up to"]]
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    stay = table["gaps"] - table["cuts"]
    axes.bar(names, stay, color="#0072B2", linewidth=0, label="the session goes on")
    axes.bar(names, table["cuts"], bottom=stay, color="#D55E00", linewidth=0, label="a session ends")
    axes.set(xlabel="time between two events of a user", ylabel="times")
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.tick_params(axis="x", rotation=45)
    axes.legend()
    return figure


def _duration(seconds: float) -> str:
    """In the largest unit of which it has one: 30 min."""
    unit, name = next((u, n) for u, n in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if seconds >= u or u == 1)
    return f"{seconds / unit:.4g} {name}"


class _Plain(LogFormatter):
    """The ticks of a logarithmic axis as numbers: 1, 10, 1,000."""

    def __call__(self, x, pos=None):
        return f"{x:,.10g}" if super().__call__(x, pos) else ""


def grid_by(cells: pd.DataFrame, factor: str | None = None, baselines: pd.DataFrame | None = None) -> Figure:
    """Toledo & Rezende 2020, Figures 2 (``factor`` None) and 3 to 6: the mean of each metric by architecture and factor.

    The line through a mean spans all cells behind it; a ring is the mean without the cells that collapsed, where there are any.

    Args:
        cells: of `grid.run_grid`.
        factor: by which the means are taken, beside the architecture.
        baselines: of `tables.grid.baseline_measures`, dashed.
    """
    _theme()
    architectures = list(dict.fromkeys(cells["architecture"]))
    unordered = factor in (None, "activation", "optimizer")
    figure, panels = plt.subplots(1, 4, figsize=(10, 3.0), layout="constrained", sharex=True)
    for panel, (metric, title) in zip(panels, CLASS_METRICS.items(), strict=True):
        _draw_means(panel, cells, factor or "architecture", metric, architectures, joined=not unordered)
        panel.set(title=title, ylabel="", xlabel=(factor or "").replace("_", " "))
        panel.tick_params(axis="x", rotation=30 if unordered else 0)
        _draw_baselines(panel, baselines, metric)
        panel.set_ylim(bottom=0)
    handles = (
        (_architecture_handles(architectures) if factor else []) + _mean_handles(cells) + _baseline_handles(baselines)
    )
    if handles:
        panels[-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def _draw_means(panel, cells: pd.DataFrame, x: str, metric: str, architectures: list[str], joined: bool) -> None:
    """A dot for the mean of the cells of each architecture and level of ``x``, a line over all of them, and a ring for the mean
    of those that did not collapse where some did."""
    several = x != "architecture" and len(architectures) > 1
    common = {
        "x": x, "y": metric, "hue": "architecture", "hue_order": architectures, "palette": colours(architectures),
        "order": sorted(set(cells[x]), key=list(cells[x]).index), "dodge": 0.35 if several else False,
        "legend": False, "ax": panel,
    }  # fmt: skip
    sns.pointplot(
        cells, errorbar=("pi", 100), linestyle="-" if joined else "none", markersize=5, err_kws={"linewidth": 1},
        linewidth=1.2, **common,
    )  # fmt: skip
    collapsed = cells["status"] == COLLAPSED
    if collapsed.any() and not collapsed.all():
        # Only groups of which a part collapsed: elsewhere the ring would lie around the dot.
        mixed = collapsed.groupby([cells["architecture"], cells[x]]).transform("any")
        sns.pointplot(
            cells[mixed & ~collapsed], errorbar=None, linestyle="none", markersize=7, markerfacecolor="none",
            markeredgewidth=1.2, **common,
        )  # fmt: skip


def _architecture_handles(architectures: list[str]) -> list:
    return [plt.Line2D([], [], color=COLOURS[a], marker="o", linestyle="none", label=written(a)) for a in architectures]


def _mean_handles(cells: pd.DataFrame) -> list:
    """What a ring means, where there are rings."""
    ring = {"color": INK, "marker": "o", "markerfacecolor": "none", "markersize": 7, "linestyle": "none"}
    collapsed = cells["status"] == COLLAPSED
    rings = bool(collapsed.any() and not collapsed.all())
    return [plt.Line2D([], [], label="without collapsed cells", **ring)] * rings


def _collapsed_handles(cells: pd.DataFrame) -> list:
    """What a cross means, where there are crosses."""
    cross = plt.Line2D([], [], color=INK, marker="x", markersize=5, linestyle="none", label="collapsed")
    return [cross] * bool((cells["status"] == COLLAPSED).any())


def _draw_baselines(panel, baselines: pd.DataFrame | None, metric: str) -> None:
    for name, value in ({} if baselines is None else baselines[metric]).items():
        panel.axhline(value, color=COLOURS[name], linewidth=1, linestyle=_BASELINE_DASH)


def _baseline_handles(baselines: pd.DataFrame | None) -> list:
    names = [] if baselines is None else baselines.index
    return [
        plt.Line2D([], [], color=COLOURS[n], linewidth=1, linestyle=_BASELINE_DASH, label=written(n)) for n in names
    ]


_BASELINE_DASH = (0, (4, 2))


def one_cell(cells: pd.DataFrame, cell: pd.Series, baselines: pd.DataFrame | None = None) -> Figure:
    """The learning curve of a cell, and where the cell stands among all by NDCG@10 on validation and accuracy on test.

    Args:
        cells: of `grid.run_grid`; those that collapsed are crosses.
        cell: one of them, ringed.
        baselines: of `tables.grid.baseline_measures`, dashed.
    """
    _theme()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    colour = COLOURS[cell["architecture"]]
    left.plot(np.arange(1, len(cell["curve"]) + 1), cell["curve"], color=colour, linewidth=1.6)
    left.plot(len(cell["curve"]), cell["curve"][-1], "o", color=colour, markersize=6)
    left.set(title="Its training loss", xlabel="epoch", ylabel="training loss")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    architectures = list(dict.fromkeys(cells["architecture"]))
    for (architecture, collapsed), part in _by_collapse(cells):
        right.plot(
            part["validation_ndcg@10"], part["accuracy"], "x" if collapsed else "o", color=COLOURS[architecture],
            markersize=4, alpha=0.55,
        )  # fmt: skip
    right.plot(
        cell["validation_ndcg@10"], cell["accuracy"], "o", markersize=11, markerfacecolor="none", markeredgecolor=INK,
        markeredgewidth=1.4,
    )  # fmt: skip
    _draw_baselines(right, baselines, "accuracy")
    right.set(title="Among all cells", xlabel="validation NDCG@10", ylabel="test accuracy")
    handles = _architecture_handles(architectures) + _collapsed_handles(cells) + _baseline_handles(baselines)
    right.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def _by_collapse(cells: pd.DataFrame):
    """The cells of each architecture, those that collapsed apart."""
    return cells.groupby(["architecture", cells["status"] == COLLAPSED], sort=False)


def best_among_all(cells: pd.DataFrame, judged: pd.DataFrame) -> Figure:
    """Test accuracy: all cells of an architecture as ticks (crosses if they collapsed), and the selected one, or a baseline, with
    its interval.

    Args:
        cells: of `grid.run_grid`.
        judged: of `tables.grid.measure_contenders`: ``architecture`` (or a baseline), ``accuracy, low, high``.
    """
    _theme()
    names = list(judged["architecture"])
    palette = colours(names)
    figure, panel = plt.subplots(figsize=(9, 0.6 + 0.36 * len(names)), layout="constrained")
    for (architecture, collapsed), part in _by_collapse(cells[cells["architecture"].isin(names)]):
        panel.plot(
            part["accuracy"], [names.index(architecture)] * len(part), "x" if collapsed else "|",
            color=palette[architecture], markersize=5 if collapsed else 14, markeredgewidth=1, alpha=0.4,
        )  # fmt: skip
    for y, contender in enumerate(judged.to_dict("records")):
        colour = palette[contender["architecture"]]
        panel.plot([contender["low"], contender["high"]], [y, y], color=colour, linewidth=2.5)
        panel.plot(contender["accuracy"], y, "o", color=colour, markersize=8)
    panel.set_yticks(range(len(names)), map(written, names))
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set(xlabel="test accuracy")
    panel.set_xlim(left=max(0, panel.get_xlim()[0]))
    panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
    if handles := _collapsed_handles(cells):
        panel.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def learning_curves(cells: pd.DataFrame) -> Figure:
    """Training loss by epoch: a panel for each activation, a line for each training (its longest cell), crossed if collapsed."""
    _theme()
    longest = cells[cells["epochs"] == cells["epochs"].max()]
    activations = list(dict.fromkeys(longest["activation"]))
    architectures = list(dict.fromkeys(longest["architecture"]))
    optimizers = list(dict.fromkeys(longest["optimizer"]))
    width = max(6, 3.2 * len(activations))
    figure, panels = plt.subplots(1, len(activations), figsize=(width, 3.2), layout="constrained", squeeze=False)
    styles = dict(zip(optimizers, ["-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1))], strict=False))
    for panel, activation in zip(panels[0], activations, strict=True):
        for _, cell in longest[longest["activation"] == activation].iterrows():
            epochs = np.arange(1, len(cell["curve"]) + 1)
            colour = COLOURS[cell["architecture"]]
            panel.plot(epochs, cell["curve"], color=colour, linestyle=styles[cell["optimizer"]], linewidth=1.1)
            if cell["status"] == COLLAPSED:
                panel.plot(epochs[-1], cell["curve"][-1], "x", color=colour, markersize=5)
        panel.set(title=activation, xlabel="epoch", ylabel="training loss")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [plt.Line2D([], [], color=COLOURS[a], label=written(a)) for a in architectures]
    handles += [plt.Line2D([], [], color=INK, linestyle=styles[o], label=written(o)) for o in optimizers]
    handles += _collapsed_handles(longest)
    panels[0][-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def expected_best(searched: pd.DataFrame) -> Figure:
    """A panel a data set, a line a model: `studylib.tables.ranking.searched`."""
    _theme()
    datasets, models = (list(dict.fromkeys(searched[column])) for column in ("dataset", "model"))
    colour, width = colours(models), max(6, 3.4 * len(datasets))
    figure, panels = plt.subplots(1, len(datasets), figsize=(width, 3.4), layout="constrained", squeeze=False)
    for panel, dataset in zip(panels[0], datasets, strict=True):
        for model, rows in searched[searched["dataset"] == dataset].groupby("model", sort=False):
            panel.plot(rows["trials"], rows["best"], color=colour[model], marker="o", markersize=2.5, linewidth=1.2)
        panel.set(title=_label(dataset), xlabel="trials", ylabel="expected best NDCG@10, validation")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [plt.Line2D([], [], color=colour[model], label=_label(model)) for model in models]
    panels[0][-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def by_scale(scale: pd.DataFrame) -> Figure:
    """A panel a measure, a line a model: `studylib.scale.scale_of`, over the number of sessions (logarithmic)."""
    _theme()
    models, measures = (list(dict.fromkeys(scale[column])) for column in ("model", "measure"))
    colour = colours(models)
    figure, panels = plt.subplots(
        1, len(measures), figsize=(4 * len(measures), 3.4), layout="constrained", squeeze=False
    )
    for panel, measure in zip(panels[0], measures, strict=True):
        for place, model in enumerate(models):
            rows = scale[(scale["model"] == model) & (scale["measure"] == measure)].sort_values("sessions")
            beside = rows["sessions"] * 1.03 ** (
                place - (len(models) - 1) / 2
            )  # so that intervals do not hide each other
            reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
            panel.errorbar(
                beside, rows["mean"], reach, color=colour[model], marker="o", markersize=4, linewidth=1.2,
                label=_label(model),
            )  # fmt: skip
        panel.set(title=written_metric(measure), xlabel="training sessions", xscale="log")
        panel.set_xticks(ticks := sorted(scale["sessions"].unique()), [f"{number:,}" for number in ticks])
        panel.minorticks_off()
        panel.set_ylim(bottom=0)
    panels[0][-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def training_times(times: pd.DataFrame) -> Figure:
    """Seconds an epoch by batch size and architecture (`tables.grid.seconds_an_epoch`); the line spans all trainings."""
    _theme()
    architectures = list(dict.fromkeys(times["architecture"]))
    figure, panel = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
    sns.pointplot(
        times, x="batch_size", y="seconds", hue="architecture", hue_order=architectures, palette=colours(architectures),
        errorbar=("pi", 100), dodge=0.3 if len(architectures) > 1 else False, markersize=5, err_kws={"linewidth": 1},
        linewidth=1.2, ax=panel,
    )  # fmt: skip
    panel.set(xlabel="batch size", ylabel="seconds an epoch")
    panel.set_ylim(bottom=0)
    sns.move_legend(panel, "center left", bbox_to_anchor=(1.02, 0.5), title="")
    return figure


def ranking_dots(measured: pd.DataFrame, metric: str, ceilings: dict[str, float] | None = None) -> Figure:
    """A metric by model with its interval: for each protocol a row of panels, or two, with one for each data set.

    Args:
        measured: columns ``dataset, model, protocol, metric, mean, low, high``.
        metric: which of them, such as ``hr@10``.
        ceilings: the best possible value of the full protocol, by data set, where it is known.
    """
    _theme()
    measured = measured[measured["metric"] == metric]
    datasets, models = list(dict.fromkeys(measured["dataset"])), list(dict.fromkeys(measured["model"]))
    protocols = list(dict.fromkeys(measured["protocol"]))
    across = len(datasets) if len(datasets) < 5 else math.ceil(len(datasets) / 2)
    rows_of_panels = len(protocols) * math.ceil(len(datasets) / across)
    size = (max(5.5, 1.5 + 2.8 * across), rows_of_panels * (0.9 + 0.32 * len(models)))
    figure, panels = plt.subplots(
        rows_of_panels, across, figsize=size, layout="constrained", squeeze=False, sharey=True
    )
    for protocol, of_protocol in zip(protocols, np.split(panels, len(protocols)), strict=True):
        for panel in of_protocol.flat[len(datasets) :]:
            panel.set_visible(False)
        for panel, dataset in zip(of_protocol.flat, datasets, strict=False):
            ceiling = (ceilings or {}).get(dataset) if protocol == "full" else None
            rows = measured[(measured["dataset"] == dataset) & (measured["protocol"] == protocol)]
            _draw_dots(panel, rows, models, ceiling)
            title = [_label(dataset), written_protocol(protocol)]
            panel.set(title=(", " if len(title[0]) < 17 else ",\n").join(title), xlabel=written_metric(metric))
    return figure


def ranking(measured: pd.DataFrame, metrics: list[str], possible: dict[str, dict[str, float]]) -> Figure:
    """Metrics by model with their intervals: a row of panels for each data set, a column for each metric and protocol.

    Args:
        measured: as for `ranking_dots`.
        metrics: which of them.
        possible: of `tables.ranking.best_possible`.
    """
    _theme()
    datasets, models, protocols = (list(dict.fromkeys(measured[name])) for name in ("dataset", "model", "protocol"))
    columns = list(itertools.product(metrics, protocols))
    size = (1.5 + 2.4 * len(columns), len(datasets) * (0.9 + 0.24 * len(models)))
    figure, panels = plt.subplots(
        len(datasets), len(columns), figsize=size, layout="constrained", squeeze=False, sharey=True
    )
    for row, dataset in zip(panels, datasets, strict=True):
        for panel, (metric, protocol) in zip(row, columns, strict=True):
            of_panel = (measured[["dataset", "metric", "protocol"]] == [dataset, metric, protocol]).all(axis=1)
            ceiling = possible[metric].get(dataset) if protocol == "full" else None
            _draw_dots(panel, measured[of_panel], models, ceiling)
            panel.set(title=_label(dataset), xlabel=f"{written_metric(metric)}, {written_protocol(protocol)}")
    return figure


def _draw_dots(panel, rows: pd.DataFrame, models: list[str], ceiling: float | None) -> None:
    """A line of a panel for each model: a dot with its interval. Dashed: the best possible value."""
    palette = colours(models)
    for _, r in rows.iterrows():
        y = models.index(r["model"])
        panel.plot([r["low"], r["high"]], [y, y], color=palette[r["model"]], linewidth=2)
        panel.plot(r["mean"], y, "o", color=palette[r["model"]], markersize=6)
    panel.set_yticks(range(len(models)), map(_label, models))
    panel.set_ylim(len(models) - 0.5, -0.5)
    panel.set_xlim(left=0)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
    if ceiling is not None:
        panel.set_xlim(right=max(panel.get_xlim()[1], ceiling * 1.08))
        panel.axvline(ceiling, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        panel.annotate("best possible", (ceiling, 0), xycoords=("data", "axes fraction"), rotation=90,
                       xytext=(-3, 4), textcoords="offset points", ha="right", va="bottom", fontsize=8)  # fmt: skip


def order_by_protocol(measured: pd.DataFrame, metric: str) -> Figure:
    """The order of the models under each protocol: a panel a data set, a line a model, the best at the top.

    Args:
        measured: as for `ranking_dots`.
        metric: which of them orders the models.
    """
    _theme()
    measured = measured[measured["metric"] == metric]
    datasets, models = list(dict.fromkeys(measured["dataset"])), list(dict.fromkeys(measured["model"]))
    protocols = list(dict.fromkeys(measured["protocol"]))
    size = (max(5.5, 3.3 * len(datasets)), 1.0 + 0.3 * len(models))
    figure, panels = plt.subplots(1, len(datasets), figsize=size, layout="constrained", squeeze=False)
    palette = colours(models)
    for panel, dataset in zip(panels[0], datasets, strict=True):
        means = measured[measured["dataset"] == dataset].pivot(index="model", columns="protocol", values="mean")
        places = means.rank(ascending=False, method="first")
        for model in means.index:
            panel.plot(range(len(protocols)), places.loc[model, protocols], "o-", color=palette[model], linewidth=2)
            for x, (protocol, side) in enumerate(zip(protocols, ("right", "left"), strict=True)):
                text = f"{means.loc[model, protocol]:.3f}"
                text = text if x else f"{_label(model)} {text}"
                panel.annotate(text, (x, places.loc[model, protocol]), xytext=(14 * x - 7, 0), ha=side, va="center",
                               textcoords="offset points", fontsize=8)  # fmt: skip
        panel.set_xticks(range(len(protocols)), [written_protocol(p).replace(" ", "\n") for p in protocols])
        panel.set(title=_label(dataset), xlim=(-1.6, len(protocols) - 0.5), ylim=(len(models) + 0.5, 0.5), yticks=[])
        panel.spines["left"].set_visible(False)
    return figure


def order_by_version(measured: pd.DataFrame, versions: dict[str, str], metric: str) -> Figure:
    """As `order_by_protocol`, against the whole catalogue, of two versions of a data set.

    Args:
        versions: by their labels in ``measured``: what the figure calls them. The first is that of the data set itself.
    """
    both = measured[measured["dataset"].isin(versions) & (measured["protocol"] == "full")]
    return order_by_protocol(both.assign(protocol=both["dataset"].map(versions), dataset=next(iter(versions))), metric)


def two_lists(lists: dict[str, list[str]]) -> Figure:
    """Two lists side by side, each below its name, best first; a line joins the two places of what is in both."""
    _theme()
    (_, first), (_, second) = lists.items()
    longest = max(len(first), len(second))
    figure, panel = plt.subplots(figsize=(2.6, 0.7 + 0.27 * longest))  # the names stand beside it
    colour = COLOURS["gru4rec"]
    for x, items, other, side in ((0, first, second, "right"), (1, second, first, "left")):
        for place, item in enumerate(items):
            fill = colour if item in other else "none"
            panel.plot(x, place, "o", color=colour, markersize=4, markerfacecolor=fill)
            panel.annotate(_label(item), (x, place), xytext=(16 * x - 8, 0), ha=side, va="center",
                           textcoords="offset points", fontsize=9)  # fmt: skip
    for place, item in enumerate(first):
        if item in second:
            panel.plot([0, 1], [place, second.index(item)], color=colour, linewidth=1.4)
    panel.set_xticks([0, 1], list(lists))
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.set(xlim=(-0.05, 1.05), ylim=(longest - 0.5, -0.6), yticks=[])
    panel.spines[:].set_visible(False)
    return figure


def order_sensitivity(order: pd.DataFrame, metric: str) -> Figure:
    """A metric after prefixes in order (dots) and shuffled (rings): a panel a data set, a line a model.

    Args:
        order: columns ``dataset, model, ordered, shuffled``.
        metric: what they are of.
    """
    _theme()
    datasets, models = list(dict.fromkeys(order["dataset"])), list(dict.fromkeys(order["model"]))
    size = (max(5.5, 1.5 + 2.8 * len(datasets)), 1.0 + 0.3 * len(models))
    figure, panels = plt.subplots(1, len(datasets), figsize=size, layout="constrained", squeeze=False, sharey=True)
    palette = colours(models)
    for panel, dataset in zip(panels[0], datasets, strict=True):
        for r in order[order["dataset"] == dataset].itertuples():
            y = models.index(r.model)
            panel.plot([r.ordered, r.shuffled], [y, y], color=palette[r.model], linewidth=1.4)
            panel.plot(r.shuffled, y, "o", color=palette[r.model], markerfacecolor="none", markersize=6)
            panel.plot(r.ordered, y, "o", color=palette[r.model], markersize=6)
        panel.set_yticks(range(len(models)), map(_label, models))
        panel.set_ylim(len(models) - 0.5, -0.5)
        panel.set(title=_label(dataset), xlabel=metric.upper())
        panel.set_xlim(left=0)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
    return figure


def beside_paper(table: pd.DataFrame) -> Figure:
    """What a paper reports (hollow diamonds) and what was measured, with its interval: a panel a data set of the paper.

    Args:
        table: columns ``reported on, metric, reported, dataset, model, mean, low, high``.
    """
    _theme()
    papers, metrics = list(dict.fromkeys(table["reported on"])), list(dict.fromkeys(table["metric"]))
    ours = list(dict.fromkeys(zip(table["dataset"], table["model"], strict=True)))
    palette = colours(list(dict.fromkeys(table["model"])))
    size = (max(4.5, 3.1 * len(papers)), 3.2)
    figure, panels = plt.subplots(1, len(papers), figsize=size, layout="constrained", squeeze=False, sharey=True)
    for panel, paper in zip(panels[0], papers, strict=True):
        rows = table[table["reported on"] == paper]
        here = [pair for pair in ours if pair in set(zip(rows["dataset"], rows["model"], strict=True))]
        for x, metric in enumerate(metrics):
            reported = rows.loc[rows["metric"] == metric, "reported"].iloc[0]
            panel.plot(x - 0.15, reported, "D", color=INK, markerfacecolor="none", markersize=6)
            for k, (dataset, model) in enumerate(here):
                r = rows[(rows["metric"] == metric) & (rows["dataset"] == dataset) & (rows["model"] == model)].iloc[0]
                at = x + 0.1 + 0.15 * k
                panel.plot([at, at], [r["low"], r["high"]], color=palette[model], linewidth=2)
                panel.plot(at, r["mean"], "o", color=palette[model], markersize=5)
        panel.set_xticks(range(len(metrics)), [metric.upper() for metric in metrics])
        panel.set(title=f"{paper}\n(here: {', '.join(dict.fromkeys(_label(d) for d, _ in here))})", ylim=(0, 1))
        panel.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    return figure


def grid_panels(cells: pd.DataFrame, x: str, panel: str, baselines: pd.DataFrame | None = None) -> Figure:
    """Mean accuracy by one factor: a panel for each level of another, a line an architecture.

    The line through a mean spans all cells behind it; a ring is the mean without the cells that collapsed, where there are any.

    Args:
        cells: of `grid.run_grid`.
        x, panel: the factors.
        baselines: of `tables.grid.baseline_measures`, dashed.
    """
    _theme()
    levels, architectures = list(dict.fromkeys(cells[panel])), list(dict.fromkeys(cells["architecture"]))
    size = (max(4.5, 2.5 * len(levels)), 3.0)
    figure, panels = plt.subplots(1, len(levels), figsize=size, layout="constrained", squeeze=False, sharey=True)
    for axes, level in zip(panels[0], levels, strict=True):
        _draw_means(axes, cells[cells[panel] == level], x, "accuracy", architectures, joined=True)
        axes.set(title=written(level), xlabel=x.replace("_", " "), ylabel="accuracy")
        _draw_baselines(axes, baselines, "accuracy")
        axes.set_ylim(bottom=0)
    handles = _architecture_handles(architectures) + _mean_handles(cells) + _baseline_handles(baselines)
    panels[0][-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def combinations(cells: pd.DataFrame, baselines: pd.DataFrame | None = None) -> Figure:
    """Mean accuracy of each optimizer with each activation, a dot an architecture, the best above.

    A ring is the mean without the cells that collapsed, where a part did; a cross a mean over cells that all did.
    """
    _theme()
    by = ["optimizer", "activation", "architecture"]
    means = cells.groupby(by)["accuracy"].mean()
    rest = cells[cells["status"] != COLLAPSED].groupby(by)["accuracy"].mean()
    collapsed = (cells["status"] == COLLAPSED).groupby([cells[key] for key in by]).agg(["any", "all"])
    order = means.groupby(by[:2]).max().sort_values(ascending=False).index
    architectures = list(dict.fromkeys(cells["architecture"]))
    figure, panel = plt.subplots(figsize=(6.5, 1.0 + 0.3 * len(order)), layout="constrained")
    for y, setting in enumerate(order):
        by_architecture = means[setting]
        panel.plot([by_architecture.min(), by_architecture.max()], [y, y], color=INK, alpha=0.25, linewidth=1)
        for architecture, value in by_architecture.items():
            colour, group = COLOURS[architecture], (*setting, architecture)
            panel.plot(value, y, "x" if collapsed.loc[group, "all"] else "o", color=colour, markersize=6)
            if collapsed.loc[group, "any"] and group in rest:
                panel.plot(rest[group], y, "o", color=colour, markersize=7, markerfacecolor="none")
    for name, value in ({} if baselines is None else baselines["accuracy"]).items():
        panel.axvline(value, color=COLOURS[name], linewidth=1, linestyle=_BASELINE_DASH)
    panel.set_yticks(range(len(order)), [", ".join(map(written, setting)) for setting in order])
    panel.set_ylim(len(order) - 0.5, -0.5)
    panel.set_xlim(left=0)
    panel.set(xlabel="mean accuracy over batch sizes and epochs")
    handles = _architecture_handles(architectures) + _collapsed_handles(cells) + _mean_handles(cells)
    handles += _baseline_handles(baselines)
    panel.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def scenarios(shares: pd.DataFrame) -> Figure:
    """The share of scenarios that each architecture wins, a bar a measure (`papers.toledo_rezende.shares_won`)."""
    _theme()
    figure, panel = plt.subplots(figsize=(6.5, 0.9 + 0.45 * len(shares)), layout="constrained")
    names = {name: COLOURS.get(name, SCENARIO_DRAWN) for name in shares.columns}
    for y, (_, row) in enumerate(shares.iterrows()):
        left = 0.0
        for name, share in row.items():
            panel.barh(y, share, left=left, height=0.6, color=names[name], edgecolor="none")
            if share > 0.06:
                panel.text(left + share / 2, y, f"{share:.0%}", ha="center", va="center", fontsize=8)
            left += share
    panel.set_yticks(range(len(shares)), [CLASS_METRICS.get(measure, measure) for measure in shares.index])
    panel.set_ylim(len(shares) - 0.5, -0.5)
    panel.set(xlabel="share of the scenarios", xlim=(0, 1))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, label=written(name)) for name, colour in names.items()]
    panel.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


SCENARIO_DRAWN = COLOURS["popularity"]
"""Grey, of the scenarios that no architecture wins alone."""

VERDICTS = {"reproduced": "#009E73", "reachable": "#0072B2", "undecided": "#8C8C8C", "contradicted": "#D55E00"}


def verdicts(claims: pd.DataFrame) -> Figure:
    """How many claims of each paper hold, do not hold or are undecided, as one bar a paper.

    Args:
        claims: columns ``paper, verdict``.
    """
    _theme()
    papers = list(dict.fromkeys(claims["paper"]))
    figure, panel = plt.subplots(figsize=(6.5, 0.9 + 0.5 * len(papers)), layout="constrained")
    for y, paper in enumerate(papers):
        left = 0
        for verdict, colour in VERDICTS.items():
            number = int(((claims["paper"] == paper) & (claims["verdict"] == verdict)).sum())
            if number:
                panel.barh(y, number, left=left, height=0.6, color=colour, edgecolor="none")
                panel.text(left + number / 2, y, number, ha="center", va="center", fontsize=9)
            left += number
    panel.set_yticks(range(len(papers)), papers)
    panel.set_ylim(len(papers) - 0.5, -0.5)
    panel.set(xlabel="claims")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, label=verdict) for verdict, colour in VERDICTS.items()]
    panel.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def forest(claims: pd.DataFrame) -> Figure:
    """Every claim with what was measured and its interval: a panel for the claims of a paper that have one unit.

    Shaded is where the interval of a claim that holds lies, coloured is the verdict, hollow what decides nothing.

    Args:
        claims: columns ``paper, claim, measured, low, high, verdict``, and of `evaluation.claims.DETAILS` ``unit, holds``.
    """
    _theme()
    groups = [rows for _, rows in claims.groupby(["paper", "unit"], sort=False) if rows["measured"].notna().any()]
    heights = [len(rows) + 3.5 for rows in groups]
    figure, panels = plt.subplots(
        max(1, len(groups)), 1, figsize=(12, 0.2 * sum(heights)), layout="constrained", squeeze=False,
        height_ratios=heights or [1],
    )  # fmt: skip
    for panel, rows in zip(panels[:, 0], groups, strict=False):
        low, high = spanned(rows)
        for y, r in enumerate(rows.itertuples()):
            colour = VERDICTS.get(r.verdict, VERDICTS["undecided"])
            for least, most in r.holds:
                least, most = max(least, low), min(most, high)
                panel.barh(y, most - least, left=least, height=0.8, color=INK, alpha=0.1, linewidth=0)
            if np.isfinite(r.measured):
                filled = colour if r.verdict in VERDICTS else "none"
                panel.plot([r.low, r.high], [y, y], color=colour, linewidth=1.6)
                panel.plot(r.measured, y, "o", color=colour, markersize=4, markerfacecolor=filled)
                for end, arrow in ([(low, "<")] if r.low < low else []) + ([(high, ">")] if r.high > high else []):
                    panel.plot(end, y, arrow, color=colour, markersize=4, clip_on=False)  # the interval goes on
            panel.annotate(r.verdict, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
        panel.axvline(0, color=INK, linewidth=0.7)
        panel.set_yticks(range(len(rows)), [visible(claim, 110) for claim in rows["claim"]], fontsize=8.5)
        panel.set(xlim=(low, high), ylim=(len(rows) - 0.5, -0.5))
        panel.set_title(f"{rows['paper'].iloc[0]}: {rows['unit'].iloc[0]}", fontsize=10)
    return figure


def spanned(claims: pd.DataFrame) -> tuple[float, float]:
    """The ends of an axis for claims of one unit: zero, every bound, every value and every interval is on it.

    Of an interval that reaches further than twice the width of the others (their median) beyond all that, the rest is left out:
    one wide interval is not to press all others together.
    """
    bounds = [bound for ranges in claims["holds"] for ends in ranges for bound in ends if np.isfinite(bound)]
    measured = claims[["measured", "low", "high"]].dropna()
    points = [0.0, *bounds, *measured["measured"]]
    reach = 2 * (measured["high"] - measured["low"]).median() if len(measured) else 0.0
    low = min([*points, *measured["low"].clip(lower=min(points) - reach)])
    high = max([*points, *measured["high"].clip(upper=max(points) + reach)])
    room = 0.08 * (high - low) or 1.0
    return float(low - room), float(high + room)


def by_group(curves: pd.DataFrame, metric: str, column: str, meaning: str) -> Figure:
    """A metric by groups of cases, a line a model, a panel a data set.

    Args:
        curves: columns ``dataset, model, metric, mean, low, high`` and ``column``, a label such as ``1`` or ``5-8``, in order.
        metric: which of them is drawn.
        meaning: of the column, below the axis.
    """
    _theme()
    curves = curves[curves["metric"] == metric]
    datasets, models = list(dict.fromkeys(curves["dataset"])), list(dict.fromkeys(curves["model"]))
    width = max(5.5, 1.5 + 3.0 * len(datasets))
    figure, panels = plt.subplots(1, len(datasets), figsize=(width, 3.2), layout="constrained", squeeze=False)
    palette = colours(models)
    for panel, dataset in zip(panels[0], datasets, strict=True):
        rows = curves[curves["dataset"] == dataset]
        labels = list(dict.fromkeys(rows[column]))
        for model in models:
            line = rows[rows["model"] == model]
            x = [labels.index(v) for v in line[column]]
            panel.plot(x, line["mean"], "o-", color=palette[model], markersize=4, linewidth=1.4)
            panel.fill_between(x, line["low"], line["high"], color=palette[model], alpha=0.15, linewidth=0)
        panel.set_xticks(range(len(labels)), labels, rotation=40 if len(labels) > 6 else 0)
        panel.set(title=_label(dataset), xlabel=meaning, ylabel=metric.upper())
        panel.set_ylim(bottom=0)
    handles = [plt.Line2D([], [], color=palette[m], marker="o", markersize=4, linewidth=1.4) for m in models]
    panels[0][-1].legend(handles, map(_label, models), loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure
