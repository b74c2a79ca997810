"""Figures as SVG text that a page can hold several of, in its own colours."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.figure import Figure

from studylib import figures
from studylib.data.sessionize import cut, gap_table
from studylib.data.sessions import Sessions
from studylib.figures import INK, colours, to_svg
from studylib.params.study import Cut
from studylib.paths import project_root
from studylib.tables.grid import seconds_an_epoch
from studylib.tables.names import written
from studylib.text import visible
from tests.nasty import NASTY


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` as the Web Content Accessibility Guidelines define it."""
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_colour_is_seen_on_a_light_and_on_a_dark_page():
    style = (project_root() / "src/studylib/report/assets/style.css").read_text(encoding="utf-8")
    papers = re.findall(r"--(?:paper|raised): light-dark\((#\w+), (#\w+)\)", style.replace("#fff,", "#ffffff,"))
    assert len(papers) == 2
    for colour in [*figures.COLOURS.values(), *figures.SPARE_COLOURS, *figures.VERDICTS.values()]:
        for paper in (paper for pair in papers for paper in pair):
            lighter, darker = sorted([luminance(colour), luminance(paper)], reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 3, (colour, paper)


def test_an_architecture_that_is_new_has_a_colour():
    script = (
        "from studylib.params.models import LAYERS; LAYERS['three grus'] = ['gru'] * 3; from tests import test_figures as t; "
        "cells = t.make_cells(['gru', 'three grus']); t.figures.one_cell(cells, cells.iloc[-1]); t.figures.combinations(cells)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project_root(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def make_cells(architectures=("lstm", "gru", "hybrid"), activations=("softmax", "tanh"), epochs=(5, 15), seeds=(0,)):
    levels = [architectures, activations, ["adam", "sgd"], [64, 128], epochs, seeds]
    names = ["architecture", "activation", "optimizer", "batch_size", "epochs", "seed"]
    cells = pd.MultiIndex.from_product(levels, names=names).to_frame(index=False)
    random = np.random.default_rng(0)
    for metric in figures.CLASS_METRICS:
        cells[metric] = random.uniform(0.1, 0.6, len(cells))
    cells["train_seconds"] = cells["epochs"] * random.uniform(0.5, 2, len(cells))
    cells["validation_ndcg@10"], cells["status"] = random.uniform(0.1, 0.6, len(cells)), "ok"
    cells["curve"] = [np.geomspace(5, random.uniform(1, 4), n).tolist() for n in cells["epochs"]]
    return cells


def make_judged():
    judged = pd.DataFrame({"architecture": ["gru", "lstm", "hybrid", "markov"], "accuracy": [0.3, 0.2, 0.1, 0.25]})
    return judged.assign(low=judged["accuracy"] - 0.02, high=judged["accuracy"] + 0.02)


def make_measured(datasets, models=("popularity", "markov", "gru4rec", "as printed")):
    levels = [datasets, models, ["full", "sampled-99"], ["hr@10", "mrr"]]
    frame = pd.MultiIndex.from_product(levels, names=["dataset", "model", "protocol", "metric"]).to_frame(index=False)
    mean = np.random.default_rng(0).uniform(0.1, 0.6, len(frame))
    return frame.assign(mean=mean, low=mean - 0.02, high=mean + 0.02)


def make_claims():
    """One that holds, one with a wide interval, one that decides nothing and one without a number."""
    above, inside = ((0.0, np.inf),), ((-0.1, 0.1),)
    rows = [("A", "a is best", "difference", 0.3, 0.2, 0.4, "reproduced", above),
            ("A", NASTY["script"], "difference", 0.1, -9.0, 9.0, "undecided", inside),
            ("B", "c", "share", 0.5, 0.4, 0.6, "not tested", above),
            ("B", "d", "share", *[np.nan] * 3, "not tested", ())]  # fmt: skip
    return pd.DataFrame(rows, columns=["paper", "claim", "unit", "measured", "low", "high", "verdict", "holds"])


def make_reported():
    rows = [
        (paper, metric, 0.5, dataset, model, 0.4, 0.38, 0.42)
        for paper, dataset in (("Amazon Grocery", "grocery"), ("MovieLens", "ml-1m"), ("MovieLens", "ml-100k"))
        for metric in ("hr@5", "ndcg@5")
        for model in ("gru4rec", "as printed")
    ]
    return pd.DataFrame(rows, columns=["reported on", "metric", "reported", "dataset", "model", "mean", "low", "high"])


def make_curves(datasets, models=("markov", "gru4rec")):
    groups = ("1", "2", "5-7", "20+")
    rows = [(d, m, metric, v) for d in datasets for m in models for metric in ("hr@10", "mrr") for v in groups]
    frame = pd.DataFrame(rows, columns=["dataset", "model", "metric", "prefix_length"])
    mean = np.random.default_rng(0).uniform(0.1, 0.6, len(frame))
    return frame.assign(mean=mean, low=mean - 0.02, high=mean + 0.02)


def make_order(datasets, models=("markov", "gru4rec")):
    rows = [(dataset, model, 0.4, 0.3) for dataset in datasets for model in models]
    return pd.DataFrame(rows, columns=["dataset", "model", "ordered", "shuffled"])


def failed(cells):
    """The same cells with one that has no network, and one that diverged."""
    cells = cells.copy()
    cells.loc[0, list(figures.CLASS_METRICS)] = np.nan
    cells.loc[0, "train_seconds"] = 0.0
    cells.at[0, "curve"] = []
    cells.at[1, "curve"] = [5.0, *[float("nan")] * (cells["epochs"][1] - 1)]
    return cells


def collapsed(cells):
    """The same cells with all of SGD and tanh collapsed, and one of Adam's."""
    sgd = (cells["optimizer"] == "sgd") & (cells["activation"] == "tanh")
    return cells.assign(status=np.where(sgd | (cells.index == 0), "collapsed", "ok"))


NASTY_LABELS = ["_hidden", *NASTY.values()]

ITEMS = pd.DataFrame({"events": [1, 2, 5, 400], "items": [900, 300, 40, 1]})
SESSIONS = pd.DataFrame({"events": [2, 3, 40], "sessions": [500, 100, 2]})
CUT = cut(
    Sessions.from_events(pd.DataFrame({"session": 1, "item": 1, "time": [0, 1, 90, 9000, 9**7]}).pipe(pl.DataFrame)),
    Cut(gap="30min"),
)
LONG = pd.DataFrame({"events": [2, 3, 4000], "sessions": [500, 100, 2]})
BASELINES = pd.DataFrame({metric: [0.05, 0.3] for metric in figures.CLASS_METRICS}, index=["popularity", "markov"])
SHARES = pd.DataFrame({"gru": [0.5, 0.1], "lstm": [0.3, 0.1], "draw": [0.2, 0.8]}, index=["accuracy", "f1"])
ONE = {"architectures": ["gru"], "activations": ["softmax"], "epochs": [5]}

DRAWINGS = {
    "ranking with any label": lambda: figures.ranking_dots(
        make_measured(["$x$", NASTY["script"]], NASTY_LABELS), "mrr"
    ),
    "order with any label": lambda: figures.order_by_protocol(make_measured(["$x$"], NASTY_LABELS), "mrr"),
    "two lists with any label": lambda: figures.two_lists({"in order": ["$x$", *NASTY_LABELS], "reversed": ["$x$"]}),
    "shuffled with any label": lambda: figures.order_sensitivity(make_order(["$x$"], NASTY_LABELS), "mrr"),
    "groups with any label": lambda: figures.by_group(
        make_curves(["$x$"], NASTY_LABELS), "hr@10", "prefix_length", "events"
    ),
    "events": lambda: figures.event_distributions(ITEMS, SESSIONS),
    "events of long sessions": lambda: figures.event_distributions(ITEMS, LONG),
    "gaps": lambda: figures.gaps(gap_table(CUT.cutting)),
    "grid overall": lambda: figures.grid_by(make_cells(), baselines=BASELINES),
    "grid of one": lambda: figures.grid_by(make_cells(**ONE)),
    "grid by activation": lambda: figures.grid_by(make_cells(), "activation", BASELINES),
    "grid by optimizer of one": lambda: figures.grid_by(make_cells(**ONE), "optimizer"),
    "grid by epochs with failures": lambda: figures.grid_by(failed(make_cells()), "epochs"),
    "grid by batch size": lambda: figures.grid_by(make_cells(), "batch_size"),
    "curves": lambda: figures.learning_curves(make_cells(seeds=(0, 1))),
    "curves of one": lambda: figures.learning_curves(make_cells(**ONE)),
    "curves with failures": lambda: figures.learning_curves(failed(make_cells(epochs=(5,)))),
    "times": lambda: figures.training_times(seconds_an_epoch(failed(make_cells()))),
    "times of one": lambda: figures.training_times(seconds_an_epoch(make_cells(**ONE))),
    "one cell": lambda: figures.one_cell(make_cells(), make_cells().iloc[3], BASELINES),
    "ranking": lambda: figures.ranking_dots(make_measured(["grocery", "synthetic"]), "hr@10", {"synthetic": 0.7}),
    "forest": lambda: figures.forest(make_claims()),
    "ranking of all": lambda: figures.ranking(
        make_measured(["grocery", "synthetic"]), ["hr@10", "mrr"], {"hr@10": {"synthetic": 0.7}, "mrr": {}}
    ),
    "ranking of one": lambda: figures.ranking_dots(make_measured(["shop"], ["gru4rec"]), "mrr"),
    "batch by optimizer": lambda: figures.grid_panels(make_cells(), "batch_size", "optimizer", BASELINES),
    "epochs of one": lambda: figures.grid_panels(make_cells(**ONE), "epochs", "activation"),
    "combinations": lambda: figures.combinations(make_cells(), BASELINES),
    "combinations with collapsed": lambda: figures.combinations(collapsed(make_cells()), BASELINES),
    "best": lambda: figures.best_among_all(collapsed(make_cells()), make_judged()),
    "best of one": lambda: figures.best_among_all(make_cells(**ONE), make_judged()),
    "grid by activation with collapsed": lambda: figures.grid_by(collapsed(make_cells()), "activation"),
    "grid of collapsed": lambda: figures.grid_by(make_cells().assign(status="collapsed")),
    "epochs with collapsed": lambda: figures.grid_panels(collapsed(make_cells()), "epochs", "activation"),
    "curves with collapsed": lambda: figures.learning_curves(collapsed(make_cells())),
    "one cell among collapsed": lambda: figures.one_cell(collapsed(make_cells()), make_cells().iloc[3]),
    "combinations of one": lambda: figures.combinations(make_cells(**ONE)),
    "scenarios": lambda: figures.scenarios(SHARES),
    "verdicts": lambda: figures.verdicts(
        pd.DataFrame({"paper": ["a", "a", "b"], "verdict": ["reproduced", "undecided", "contradicted"]})
    ),
    "beside the paper": lambda: figures.beside_paper(make_reported()),
    "order sensitivity": lambda: figures.order_sensitivity(make_order(["grocery", "ml-1m"]), "ndcg@10"),
    "prefixes": lambda: figures.by_group(make_curves(["grocery", "ml-1m"]), "hr@10", "prefix_length", "items so far"),
    "prefixes of one": lambda: figures.by_group(make_curves(["shop"], ["markov"]), "mrr", "prefix_length", "so far"),
}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_every_figure_is_an_svg_for_a_page(drawing):
    figure = DRAWINGS[drawing]()
    assert isinstance(figure, Figure)
    svg = to_svg(figure, "grid-a", 'Bars & "dots" < 5')
    assert not plt.get_fignums()  # it is closed

    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("}svg") and root.get("role") == "img"
    assert root[0].tag.endswith("}title") and root[0].text == 'Bars & "dots" < 5'
    assert root.get("aria-labelledby") == root[0].get("id") == "grid-a-title"
    assert root.get("width") is root.get("height") is None and "max-width" in root.get("style")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids) and all(name.startswith("grid-a-") for name in ids)
    targets = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
    assert {one or other for one, other in targets} <= set(ids)

    assert "currentColor" in svg and INK not in svg
    assert svg.count(figures._ALONE) == 1  # the ink of an image that has no page
    fixed = {colour.lower() for colour in re.findall(r"(?<!root\{)(?:fill|stroke|color): ?(#[0-9a-fA-F]{3,6})", svg)}
    assert fixed <= {colour.lower() for colour in [*figures.COLOURS.values(), *figures.SPARE_COLOURS]}
    written = [element for element in root.iter() if element.tag.endswith(("}text", "}tspan")) and element.text.strip()]
    assert len(written) > 4
    for element in written:  # in the page's ink, or in the colour of what it names
        assert re.search(r"fill: (currentColor|#)", element.get("style")), element.text
    assert not re.search(r"<metadata|dc:date|\d{4}-\d\d-\d\dT", svg)


@pytest.mark.parametrize("drawing", ["events", "grid by activation", "ranking"])
def test_the_same_figure_is_the_same_bytes(drawing):
    svg = to_svg(DRAWINGS[drawing](), "a", "alt")
    assert to_svg(DRAWINGS[drawing](), "a", "alt") == svg
    other = ElementTree.fromstring(to_svg(DRAWINGS[drawing](), "b", "alt"))
    ids = {element.get("id") for element in ElementTree.fromstring(svg).iter()} - {None}
    assert ids.isdisjoint({element.get("id") for element in other.iter()})


def test_figures_show_the_numbers():
    cells = make_cells()
    low = cells.assign(**{metric: cells[metric] / 10 for metric in figures.CLASS_METRICS})
    assert all(panel.get_ylim()[1] > 0.3 for panel in figures.grid_by(low, baselines=BASELINES).axes)
    panels = figures.grid_by(cells, baselines=BASELINES).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["Accuracy", "Precision", "Recall", "F1"]
    for panel, metric in zip(panels, figures.CLASS_METRICS, strict=True):
        means = cells.groupby("architecture", sort=False)[metric].mean()
        drawn = [line.get_ydata()[~np.isnan(line.get_ydata())] for line in panel.lines if line.get_marker() == "o"]
        assert sorted(np.concatenate(drawn)) == pytest.approx(sorted(means))
        dashed = [line.get_ydata()[0] for line in panel.lines if line.get_linestyle() == "--"]
        assert dashed == [0.05, 0.3], "the baselines are in every panel"

    left, right = figures.one_cell(cells, cells.iloc[3], BASELINES).axes
    assert left.lines[0].get_ydata().tolist() == cells["curve"][3]
    points = [line for line in right.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in points[:-1]) == len(cells)
    ringed = points[-1].get_xydata()
    assert ringed.tolist() == [cells.loc[3, ["validation_ndcg@10", "accuracy"]].tolist()]

    measured = make_measured(["grocery", "shop"])
    panel = figures.ranking_dots(measured, "hr@10").axes[3]
    row = measured.query("dataset == 'shop' and protocol == 'sampled-99' and metric == 'hr@10'")
    assert panel.get_title(loc="left") == "shop, 99 negatives"
    printed = figures.ranking(measured, ["mrr", "hr@10"], {"mrr": {}, "hr@10": {}}).axes[7]
    assert (printed.get_title(loc="left"), printed.get_xlabel()) == ("shop", "HR@10, 99 negatives")
    assert [line.get_xydata().tolist() for line in printed.lines] == [
        line.get_xydata().tolist() for line in panel.lines
    ]
    assert [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"] == row["mean"].tolist()
    assert [list(line.get_xdata()) for line in panel.lines[::2]] == row[["low", "high"]].to_numpy().tolist()


def test_a_line_joins_what_is_in_both_lists():
    panel = figures.two_lists({"in order": ["a", "b", "c"], "reversed": ["c", "a", "d"]}).axes[0]
    lines = [line.get_xydata().tolist() for line in panel.lines if len(line.get_xydata()) == 2]
    assert lines == [[[0, 0], [1, 1]], [[0, 2], [1, 0]]]
    hollow = [line.get_xydata()[0].tolist() for line in panel.lines if line.get_markerfacecolor() == "none"]
    assert hollow == [[0, 1], [1, 2]]
    assert [text.get_text() for text in panel.texts] == ["a", "b", "c", "c", "a", "d"]


def test_the_forest_has_every_claim_beside_where_it_holds():
    first, second = figures.forest(make_claims()).axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["a is best", NASTY["script"]]
    assert [text.get_text() for text in second.texts] == ["not tested", "not tested"]
    assert (
        list(first.lines[0].get_xdata()) == [0.2, 0.4] and first.lines[1].get_color() == figures.VERDICTS["reproduced"]
    )
    (holds, equivalent), (_, high) = first.patches, first.get_xlim()
    assert holds.get_x() == 0 and holds.get_x() + holds.get_width() == pytest.approx(high)
    assert [equivalent.get_x(), equivalent.get_width()] == pytest.approx([-0.1, 0.2])
    assert second.lines[1].get_markerfacecolor() == "none", "it decides nothing"

    narrow = make_claims()[:1].assign(paper="A", unit="difference")
    several = pd.concat([narrow] * 3 + [make_claims()[1:2]])
    (panel,) = figures.forest(several).axes
    low, high = panel.get_xlim()
    assert -1 < low < -0.1 and 0.4 < high < 1, "one wide interval does not press the others together"
    assert [line.get_xdata()[0] for line in panel.lines if line.get_marker() in "<>"] == [low, high]


def test_figures_of_the_claims_show_the_means():
    cells = make_cells()
    for panel, optimizer in zip(figures.grid_panels(cells, "epochs", "optimizer").axes, ("adam", "sgd"), strict=True):
        means = (
            cells[cells["optimizer"] == optimizer].groupby(["architecture", "epochs"], sort=False)["accuracy"].mean()
        )
        drawn = [line.get_ydata() for line in panel.lines if line.get_marker() == "o"]
        assert panel.get_title(loc="left") == written(optimizer)
        assert np.concatenate(drawn) == pytest.approx(means.to_numpy())

    (panel,) = figures.combinations(cells).axes
    means = cells.groupby(["optimizer", "activation", "architecture"])["accuracy"].mean()
    assert sorted(line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o") == pytest.approx(
        sorted(means)
    )
    assert panel.get_yticklabels()[0].get_text() == ", ".join(map(written, means.idxmax()[:2])), "the best is above"

    (panel,) = figures.scenarios(SHARES).axes
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([0.5, 0.3, 0.2, 0.1, 0.1, 0.8])
    assert [label.get_text() for label in panel.get_yticklabels()] == ["Accuracy", "F1"]


def test_collapsed_cells_are_marked_and_said():
    cells = collapsed(make_cells())
    rest = cells[cells["status"] == "ok"]

    def drawn(panel, marker, hollow=False):
        lines = [x for x in panel.lines if x.get_marker() == marker and (x.get_markerfacecolor() == "none") == hollow]
        return [number for line in lines for number in line.get_xdata() if np.isfinite(number)]

    def legend(panel):
        return [text.get_text() for text in panel.get_legend().get_texts()]

    (panel,) = figures.best_among_all(cells, make_judged()).axes
    assert sorted(drawn(panel, "x")) == sorted(cells.loc[cells["status"] == "collapsed", "accuracy"])
    assert sorted(drawn(panel, "|")) == sorted(rest["accuracy"])
    assert legend(panel) == ["collapsed"]

    (panel,) = figures.combinations(cells).axes
    means = cells.groupby(["optimizer", "activation", "architecture"])["accuracy"].mean()
    assert sorted(drawn(panel, "x")) == pytest.approx(sorted(means["sgd"]["tanh"]))
    without = rest.query("optimizer == 'adam' and activation == 'softmax' and architecture == 'lstm'")
    assert drawn(panel, "o", hollow=True) == pytest.approx([without["accuracy"].mean()])
    assert legend(panel)[-2:] == ["collapsed", "without collapsed cells"]

    panel = figures.grid_by(cells, "activation").axes[0]
    rings = [line for line in panel.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "none"]
    heights = [y for line in rings for y in line.get_ydata() if np.isfinite(y)]
    means = rest.groupby(["architecture", "activation"])["accuracy"].mean()
    expected = [*means.xs("tanh", level="activation"), means["lstm", "softmax"]]
    assert sorted(heights) == pytest.approx(sorted(expected))
    assert "without collapsed cells" in legend(figures.grid_by(cells, "activation").axes[-1])


def test_a_name_has_its_colour_everywhere():
    assert colours(["gru", "as printed", "lstm", "mine"]) == {
        "gru": figures.COLOURS["gru"],
        "as printed": figures.SPARE_COLOURS[0],
        "lstm": figures.COLOURS["lstm"],
        "mine": figures.SPARE_COLOURS[1],
    }
    assert len(colours([f"model {i}" for i in range(20)])) == 20


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name.endswith("any label")])
def test_labels_are_text(name):
    """A dollar begins no formula, an underscore hides nothing, and what is too long for a drawing is seen to be shortened."""
    drawing = ElementTree.fromstring(to_svg(DRAWINGS[name](), "name", "What it shows."))
    texts = ["".join(element.itertext()) for element in drawing.iter() if element.tag.endswith("}text")]
    for label in ["$x$", *NASTY_LABELS]:
        assert any(text.startswith(visible(label, 28)) for text in texts), label
