"""The numbers and words of the README are those of the tables and of the page's glossary."""

import pandas as pd
import pytest

from studylib.comparison import SHUFFLED
from studylib.papers.references import references
from studylib.params.files import load_params
from studylib.params.models import LAYERS, Trained
from studylib.paths import project_root
from studylib.report.glossary import terms
from studylib.tables.grid import SETTINGS
from studylib.tables.ranking import second_entries, split_in_time
from studylib.tables.ranking_findings import best_by_protocol, best_models

STUDY = project_root() / "reports" / "study"
README = " ".join((project_root() / "README.md").read_text(encoding="utf-8").split())


def table(name):
    if not (STUDY / name).exists():
        pytest.skip(f"reports/study/{name} is not there: `make study` writes it")
    return pd.read_csv(STUDY / name)


def test_the_first_finding_is_that_of_the_grid():
    cells, baselines = table("grid.csv"), table("baselines.csv")
    settings = cells.groupby(SETTINGS)["later_accuracy"].mean()
    above = int((settings > baselines["accuracy"].max()).sum())
    assert baselines.set_index("architecture")["accuracy"].idxmax() == "popularity"
    collapsed = int((cells["status"] == "collapsed").sum())
    assert (
        f"Only {above:,} of {len(settings):,} settings of the first paper's networks could beat recommending what is popular, "
        f"and {collapsed:,} of the {len(cells):,} networks put one item first for everybody." in README
    )


def test_the_second_finding_is_that_of_more_sessions():
    scale = table("scale.csv")
    models = load_params(project_root() / "params" / "study.yaml").grid.scale.models
    networks = {*LAYERS, *(model.label for model in models if isinstance(model, Trained))}
    most = scale[(scale["measure"] == "accuracy") & (scale["sessions"] == scale["sessions"].max())]
    best = most.groupby(most["model"].isin(networks))["mean"].max()
    assert (
        f"from {scale['sessions'].max():,} of them the best network is right about {100 * best[True]:.1f} % of the next ones "
        f"and the best counted model about {100 * best[False]:.1f} %." in README
    )


def test_the_third_finding_is_that_of_the_ranking():
    ranking = load_params(project_root() / "params" / "study.yaml").ranking
    measured = table("intervals.csv")
    measured = measured[(measured["protocol"] != SHUFFLED) & ~measured["dataset"].isin(second_entries(ranking))]
    best = best_by_protocol(measured)
    changed = sum(b.model != b.sampled_model for b in best)
    assert len({b.model for b in best}) > 1
    assert f"No model is best on all {len(best)} data sets of the ranking" in README
    assert f"changes the winner of {changed} of them." in README
    best = {b.dataset: b.model for b in best_models(table("intervals.csv"), table("pairs.csv"))}
    networks = {model.label for model in ranking.models if isinstance(model, Trained)}
    later = split_in_time(ranking).values()
    ahead = sum(best[dataset] not in networks for dataset in later)
    assert f"judged after one date, one without a network is ahead on {ahead} of {len(later)} data sets." in README


def test_the_hours_are_those_of_the_tables():
    ranking, ablation = (table(f"{name}_times.csv")["train_seconds"].sum() / 3600 for name in ("ranking", "ablation"))
    assert (
        f"of the ranking took {ranking:.0f} hours of a processor, those of its ablation {ablation:.0f}, and six"
        in README
    )


def test_five_terms_are_those_of_the_glossary():
    assert sum(f"| {term.term} | {term.says} |" in README for term in terms()) == 5


def test_the_papers_are_those_of_the_references():
    by_words = {reference.cited: reference.title.lower() for reference in references()}
    for cited in ("Toledo & Rezende 2020", "Shrimal & Patil 2024"):
        assert f"{cited}, *{by_words[cited]}*" in README.lower().replace(cited.lower(), cited)
