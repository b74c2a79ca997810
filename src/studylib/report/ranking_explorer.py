"""The figure in which a reader picks what the models are ranked by: its data, for ``ranking_explorer.js`` to draw."""

from __future__ import annotations

import pandas as pd

from studylib.comparison import SHUFFLED
from studylib.figures import colours
from studylib.params.study import Ranking
from studylib.report.embedded import box, rounded
from studylib.tables.formats import p_value
from studylib.tables.names import written, written_metric, written_protocol
from studylib.tables.ranking import MARGIN, in_file_order, second_entries, split_in_time
from studylib.text import visible

ALPHA = 0.05


def ranking_explorer(
    measured: pd.DataFrame,
    differences: pd.DataFrame,
    metric: str,
    judged: pd.DataFrame,
    ranking: Ranking,
    possible: dict[str, dict[str, float]],
) -> str:
    """HTML for the ``live`` of `studylib.notebook.Study.show`.

    Values are kept with five digits, one more than is shown.

    Args:
        measured: of `tables.ranking.intervals`, of all protocols.
        differences: of `tables.ranking.pairs`.
        metric: of ``differences``; the view begins with it.
        judged: of `tables.ranking.judged_data`.
        ranking: has the data sets; what is a second entry of one (`tables.ranking.second_entries`) is picked as its split.
        possible: of `tables.ranking.best_possible`.
    """
    models, metrics, protocols = (list(dict.fromkeys(measured[name])) for name in ("model", "metric", "protocol"))
    labels = judged["dataset"].tolist()
    kinds = dict(zip(labels, judged["split"], strict=True))
    in_time, in_file = split_in_time(ranking), in_file_order(ranking)
    datasets = [
        {
            "name": _name(label),
            "splits": [
                [label, _split(kinds[label]) + (", equal times in a drawn order" if label in in_file else "")],
                *([other, _split(kinds[other]) + ", in the file's order"] for other in [in_file.get(label)] if other),
                *(
                    [in_time[each], _split(kinds[in_time[each]])]
                    for each in (label, in_file.get(label))
                    if each in in_time
                ),
            ],
        }
        for label in labels
        if label not in second_entries(ranking)
    ]
    numbers = {
        key: [rounded(number) for number in row]
        for key, row in zip(
            measured[["dataset", "protocol", "metric", "model"]].itertuples(index=False, name=None),
            measured[["mean", "low", "high"]].to_numpy(),
            strict=True,
        )
    }
    return box(
        "ranking-explorer",
        {
            "datasets": datasets,
            "metrics": [[key, written_metric(key)] for key in metrics],
            "protocols": [[key, written_protocol(key), _phrase(key)] for key in protocols],
            "models": [[key, _name(key), colour] for key, colour in colours(models).items()],
            "cases": measured.groupby("dataset")["n"].first().to_dict(),
            "values": {
                d: {p: {m: [numbers.get((d, p, m, model)) for model in models] for m in metrics} for p in protocols}
                for d in labels
            },
            "metric": metric,
            "margin": MARGIN,
            "pairs": {
                d: {p: _pairs(differences, d, p, models) for p in differences["protocol"].unique()} for d in labels
            },
            "possible": {m: {d: rounded(value) for d, value in possible.get(m, {}).items()} for m in metrics},
        },
    )


def _pairs(differences: pd.DataFrame, dataset: str, protocol: str, models: list[str]) -> list[list]:
    """A row a pair: which models, the difference with its interval, p in words, whether significant, whether equivalent."""
    here = differences[(differences["dataset"] == dataset) & (differences["protocol"] == protocol)]
    return [
        [
            models.index(r.higher),
            models.index(r.lower),
            *(rounded(number) for number in (r.difference, r.low, r.high)),
            p_value(r.p, r.least_p),
            bool(r.p < ALPHA),
            bool(r.equivalent),
        ]
        for r in here.itertuples()
    ]


def _name(label: str) -> str:
    return visible(written(label), 40)


def _split(kind: str) -> str:
    kind, windows = (*kind.split(", "), "")[:2]
    names = {"temporal": "one split in time", "given": "the source's own", "leave-one-out": "leave one out"}
    return names.get(kind, kind) + (f", {windows}" if windows else "")


def _phrase(protocol: str) -> str:
    """What stands after the name of a metric in a sentence."""
    if protocol == SHUFFLED:
        return "against the whole catalogue after shuffled prefixes"
    name = written_protocol(protocol)
    return f"against the {name}" if protocol == "full" else f"among {name}"
