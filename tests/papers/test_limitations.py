"""The limitations of a study are those of its data."""

from studylib.data.datasets import REGISTRY
from studylib.papers.limitations import COLUMNS, limitations
from studylib.params.study import StudyParams


def of(data, *datasets):
    params = StudyParams(name="s", data=data, ranking={"datasets": list(datasets), "models": ["markov"]})
    return limitations(params)


def test_a_study_of_ones_own_log_reads_nothing_about_other_data():
    own = {"reader": "events", "path": "clicks.csv", "name": "clicks"}
    table = of({"reader": "sequences", "path": "visits.csv"}, own)
    assert list(table) == COLUMNS and len(table) == 3 and (table != "").all().all()
    words = " ".join(table.to_numpy().ravel())
    assert not [name for name in ("grocery", "Grocery", "live-streaming", "Yelp", "Toledo", "Shrimal") if name in words]


def test_the_limitations_of_a_data_set_come_with_it():
    plain = set(of({"dataset": "synthetic"}, "rsc15-100k")["limitation"])
    with_grocery = set(of({"dataset": "live-streaming"}, "grocery")["limitation"])
    assert any("six items" in text for text in with_grocery - plain)
    assert any("Grocery" in text for text in with_grocery - plain)
    assert any("Generated" in text for text in plain - with_grocery)
    assert {"live-streaming", "grocery", "ml-100k", "yelp"} <= set(REGISTRY), "as the entries name them"
