"""What a study found, in the order in which its page says it, and what follows: the entries of ``findings.yaml`` that hold."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.resources import files
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from studylib.comparison import SHUFFLED
from studylib.papers.results import Results
from studylib.params.models import LAYERS, Gru4Rec, Trained
from studylib.sources import source, sourced
from studylib.tables.formats import count, points
from studylib.tables.grid import SETTINGS, count_test_cases
from studylib.tables.grid_findings import count_collapsed, second_training, strongest_baseline
from studylib.tables.names import written
from studylib.tables.ranking import in_file_order, second_entries, split_in_time
from studylib.tables.ranking_findings import ALPHA, best_by_protocol, best_models, versions
from studylib.text import listed, without_sources, words


@dataclass(frozen=True)
class Finding:
    """A finding in words, as HTML.

    Attributes:
        words: the finding with its numbers.
        figure: the name of the figure that shows it, or None.
        section: the section that has the numbers, as a link between notebooks.
        heading: the finding as the heading of that section.
        choosing: what follows for someone who has to choose a model.
    """

    words: Markup
    figure: str | None
    section: str
    heading: Markup
    choosing: Markup

    @property
    def link(self) -> Markup:
        """To the figure, where there is one (the page writes its number into it), and to the section."""
        figure = Markup('<a class="figure-link" href="#fig-{}">figure</a>, ').format(self.figure) if self.figure else ""
        return Markup('({}<a href="{}">more</a>)').format(figure, self.section)


def findings(results: Results) -> list[Finding]:
    """The findings that hold."""
    entries = yaml.safe_load((files("studylib.papers") / "findings.yaml").read_text(encoding="utf-8"))
    found = [(entry, VALUES[entry["of"]](results)) for entry in entries]
    return [
        Finding(
            _said(entry["finding"], values),
            entry.get("figure"),
            entry["section"],
            without_sources(_said(entry["heading"], values)),
            _said(entry["choosing"], values),
        )
        for entry, values in found
        if values
    ]


def _said(template: str, values: dict[str, Any]) -> Markup:
    """The template with those of the values that it names."""
    named = {name.partition(".")[0] for _, name, _, _ in Formatter().parse(template) if name}
    return words(template, **{name: values[name] for name in named})


def _counting(results: Results) -> dict[str, Any] | None:
    """Fewer than one setting in ten is more accurate, in the mean over the seeds, than the most accurate baseline."""
    cells, whole = results.cells, source("grid")
    baseline, accuracy = strongest_baseline(results.baselines)
    means = cells.groupby(SETTINGS)["accuracy"].mean()
    is_level = np.isclose(means, accuracy, rtol=0, atol=1e-6)  # the baselines come from a table of six digits
    above, level = int(((means > accuracy) & ~is_level).sum()), int(is_level.sum())
    if 10 * above >= len(means):
        return None
    best = dict(zip(SETTINGS, means.idxmax(), strict=True))
    return {
        "settings": sourced(len(means), whole),
        "log": written(results.params.data.dataset or str(results.params.data.path)),
        "above": sourced(above, source("grid", **best) if above else whole),
        "level": sourced(level, whole),
        "lead": sourced(f"{100 * (means.max() - accuracy):+.2f} points", source("grid", **best)),
        "baseline": written(baseline),
        "accuracy": accuracy,
        "cases": sourced(count_test_cases(cells), whole),
        "collapsed": count_collapsed(cells),
        "cells": sourced(len(cells), whole),
    }


def _scale(results: Results) -> dict[str, Any] | None:
    """From the most sessions the best network is above the best counted model, their intervals apart, and by more than from the
    fewest."""
    scale = results.params.grid.scale
    if scale is None or results.scale.empty:
        return None
    accuracy = results.scale[results.scale["measure"] == "accuracy"]
    networks = [*LAYERS, *(model.label for model in scale.models if isinstance(model, Trained))]
    best = {}
    for sessions in sorted(scale.sessions):
        best[sessions] = _best_of_kinds(accuracy[accuracy["sessions"] == sessions], networks)
    if len(best) < 2 or not all(best.values()):
        return None
    (few, (network, counted)), *_, (many, (later_network, later_counted)) = best.items()
    gains = network["mean"] - counted["mean"], later_network["mean"] - later_counted["mean"]
    if later_network["low"] <= later_counted["high"] or gains[1] <= gains[0]:
        return None

    enough = next(
        sessions for sessions, (by_network, by_counted) in best.items() if by_network["low"] > by_counted["high"]
    )

    def reached(row: pd.Series) -> float:
        return sourced(row["mean"], source("scale", model=row["model"], sessions=row["sessions"], measure="accuracy"))

    return {
        "few": sourced(few, source("scale", sessions=few)),
        "many": sourced(many, source("scale", sessions=many)),
        "enough": sourced(enough, source("scale", sessions=enough)),
        "tests": sourced(scale.test_sessions, source("scale")),
        "network_of_few": written(network["model"]),
        "by_network_of_few": reached(network),
        "counted_of_few": written(counted["model"]),
        "by_counted_of_few": reached(counted),
        "network_of_many": written(later_network["model"]),
        "by_network_of_many": reached(later_network),
        "counted_of_many": written(later_counted["model"]),
        "by_counted_of_many": reached(later_counted),
    }


def _best_of_kinds(measured: pd.DataFrame, networks: Collection[str]) -> list[pd.Series]:
    """The rows with the highest mean of a network and of another model; empty where one of the two kinds is missing."""
    is_network = measured["model"].isin(networks)
    if is_network.all() or not is_network.any():
        return []
    return [measured[kind].nlargest(1, "mean").iloc[0] for kind in (is_network, ~is_network)]


def _main(results: Results) -> pd.DataFrame:
    """What was measured on the data sets themselves, not on second entries of them, with the prefixes in their order."""
    measured = results.measured[results.measured["protocol"] != SHUFFLED]
    return measured[~measured["dataset"].isin(second_entries(results.params.ranking))]


def _winners(results: Results) -> dict[str, Any] | None:
    """The best models of the data sets are not one and the same."""
    best = best_models(_main(results), results.differences)
    if len({b.model for b in best}) < 2:
        return None
    alone = [b for b in best if b.better_than == b.others]
    return {
        "best": listed(words("{m} on {d} ({b.reached})", m=written(b.model), d=written(b.dataset), b=b) for b in best),
        "alone": sourced(len(alone), source("pairs")),
        "datasets": sourced(len(best), source("pairs")),
    }


def _leader(results: Results) -> dict[str, Any] | None:
    """There is one data set, and on it a model that is significantly better than another."""
    best = best_models(_main(results), results.differences)
    if len(best) != 1 or not best[0].better_than:
        return None
    (b,) = best
    return {"model": written(b.model), "dataset": written(b.dataset), "reached": b.reached, "lead": b.lead}


def _recurrent(results: Results) -> dict[str, Any] | None:
    """GRU4Rec is there with several layers, and one of these is not significantly below another on any data set."""
    layers = {model.label: model.cell for model in results.params.ranking.models if isinstance(model, Gru4Rec)}
    compared = results.differences
    compared = compared[(compared["protocol"] == "full") & compared["dataset"].isin(_main(results)["dataset"])]
    compared = compared.assign(higher=compared["higher"].map(layers), lower=compared["lower"].map(layers))
    compared = compared[
        compared["higher"].notna() & compared["lower"].notna() & (compared["higher"] != compared["lower"])
    ]
    significant = compared[compared["p"] < ALPHA]
    never_behind = significant.loc[~significant["higher"].isin(significant["lower"]), "higher"]
    if never_behind.empty:
        return None
    said = [
        words("{h} above {l} on {d}", h=written(row.higher), l=written(row.lower), d=written(row.dataset))
        for row in significant.itertuples()
    ]
    return {
        "layer": written(never_behind.mode()[0]),
        "compared": sourced(len(compared), source("pairs")),
        "significant": sourced(len(significant), source("pairs")),
        "differences": listed(said, "; "),
    }


def _time(results: Results) -> dict[str, Any] | None:
    """On every data set that is split in time as well the best network is below the best other model, on one significantly."""
    networks = {model.label for model in results.params.ranking.models if isinstance(model, Trained)}
    measured = results.measured
    measured = measured[(measured["protocol"] == "full") & (measured["metric"] == "ndcg@10")]
    pairs = results.differences
    pairs = pairs[(pairs["protocol"] == "full") & (pairs["p"] < ALPHA)]
    said, significant = [], 0
    for dataset, later in split_in_time(results.params.ranking).items():
        best = {name: _best_of_kinds(measured[measured["dataset"] == name], networks) for name in (dataset, later)}
        if not all(best.values()) or best[later][0]["mean"] >= best[later][1]["mean"]:
            return None
        network, other = best[later]
        apart = (pairs["higher"] == other["model"]) & (pairs["lower"] == network["model"]) & (pairs["dataset"] == later)
        significant += int(apart.any())
        sentence = (
            "on {d} the best network ({n}) has {then[0]:.4f} and the best other model ({o}) {then[1]:.4f}, where leaving out the "
            "last event of every session gives {own[0]:.4f} and {own[1]:.4f}"
        )
        own, then = (
            [
                sourced(row["mean"], source("intervals", dataset=name, model=row["model"], protocol="full"))
                for row in best[name]
            ]
            for name in (dataset, later)
        )
        said.append(
            words(
                sentence, d=written(dataset), n=written(network["model"]), o=written(other["model"]), own=own, then=then
            )
        )
    if not significant:
        return None
    return {
        "changes": listed(said, "; "),
        "significant": sourced(significant, source("pairs")),
        "datasets": sourced(len(said), source("pairs")),
    }


def _sampling(results: Results) -> dict[str, Any] | None:
    """The best model of a data set is another among the negatives."""
    best = best_by_protocol(_main(results))
    changed = [b for b in best if b.model != b.sampled_model]
    if not changed:
        return None
    sentence = "on {on} from {full} to {sampled}"
    changes = [
        words(sentence, on=written(b.dataset), full=written(b.model), sampled=written(b.sampled_model)) for b in changed
    ]
    # Of the first change the row of the best model, beside which the others stand.
    where = source("intervals", dataset=str(changed[0].dataset), model=str(changed[0].model), protocol="full")
    numbers = {"changed": sourced(len(changed), where), "datasets": sourced(len(best), where)}
    return numbers | {"changes": listed(changes)}


def _ties(results: Results) -> dict[str, Any] | None:
    """A data set is there with equal times in a drawn order and in the file's, and the best model or a pair changes."""
    measured = results.measured[results.measured["protocol"] != SHUFFLED]
    found = versions(measured, results.differences, in_file_order(results.params.ranking))
    found = [v for v in found if v.reversed or v.own.model != v.other.model]
    if not found:
        return None
    sentence = (
        "on {v.name} {v.own.model} is best where events of the same time are put in a random order ({v.own.mean:.4f}), "
        "{v.other.model} where they are left in that of the file ({v.other.mean:.4f}); pairs of models whose order is "
        "significantly reversed by it: {v.reversed:,} of {v.pairs:,}"
    )
    said = [words(sentence, v=v) for v in found]
    return {"changes": listed(said, "; ")}


def _twice(results: Results) -> dict[str, Any] | None:
    """Some cells that were trained twice did not come out again."""
    second = second_training(results.on_test_cases)
    if second is None or second.same == second.cells:
        return None
    again = [result for result in results.on_test_cases["again"] if result is not None]
    return {
        "cells": count(second.cells, "network"),
        "first": second.first,
        "second": listed(dict.fromkeys(str(result.made.get("processor")) for result in again), " or "),
        "same": second.same,
        "largest": points(second.largest),
    }


VALUES: dict[str, Callable[[Results], dict[str, Any] | None]] = {
    "counting": _counting,
    "scale": _scale,
    "winners": _winners,
    "leader": _leader,
    "recurrent": _recurrent,
    "time": _time,
    "sampling": _sampling,
    "ties": _ties,
    "twice": _twice,
}
"""What the entries of ``findings.yaml`` name."""
