"""The search for settings: what it tries, keeps and writes, on validation cases alone."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from studylib import tuning
from studylib.errors import StudyError
from studylib.params import files
from studylib.params.files import study_params, trials, tuned, tuned_on
from studylib.params.models import Gru4Rec
from studylib.params.study import Ranking
from studylib.tuning import tune

TINY = {"dataset": "synthetic", "synthetic": {"sessions": 200}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A small study, with params/tuned/ in a folder of its own."""
    for module in (files, tuning):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    entry = {"model": "gru4rec", "tuned": "gru4rec", "hidden": 16, "embedding": 8, "max_epochs": 2}
    return study_params({"name": "small", "ranking": {"datasets": [TINY], "models": ["markov", entry]}})


@pytest.fixture
def tried(monkeypatch):
    """Trials without a training, whose value says how near the learning rate is to 0.01."""
    tried = []

    def attempt(model, split, ranking, medians):
        tried.append((model.settings, split, medians))
        return [0.1, 1 - abs(np.log(model.settings.learning_rate / 0.01))]

    monkeypatch.setattr(tuning, "_attempt", attempt)
    return tried


def test_the_best_trial_is_written_and_read_by_the_study(study, tried, tmp_path):
    selected = tune(study, "synthetic", "gru4rec", 8, None, tmp_path / "kept")
    assert selected.path == Path("params/tuned/synthetic-gru4rec.yaml")
    path = tmp_path / selected.path
    assert len(tried) == 8
    assert tried[0][0] == Gru4Rec(hidden=16, embedding=8, max_epochs=2, tuned="gru4rec")  # the defaults come first
    best = max((settings for settings, *_ in tried), key=lambda s: -abs(np.log(s.learning_rate / 0.01)))
    assert tuned(study.ranking.models[1], "synthetic") == best
    text = path.read_text()
    assert "studylib tune params/small.yaml --dataset synthetic --model gru4rec --trials 8" in text
    assert set(yaml.safe_load(text)) == {"hidden", "embedding", "max_epochs", *tuning.SPACES["gru4rec"]}
    assert yaml.safe_load(text) == selected.settings
    values = [max(0.1, 1 - abs(np.log(settings.learning_rate / 0.01))) for settings, *_ in tried]
    assert trials(study.ranking.models[1], "synthetic") == pytest.approx(values, abs=5e-5)
    assert trials(study.ranking.models[0], "synthetic") == trials(study.ranking.models[1], "elsewhere") == []
    path.write_text(text.replace("turn:", "turn: many"))
    with pytest.raises(StudyError, match="must have numbers alone; tune again"):
        trials(study.ranking.models[1], "synthetic")


def test_what_was_selected_is_said_with_the_entry_that_takes_it(study, tried, tmp_path):
    plain = study_params(
        {"name": "small", "ranking": {"datasets": [TINY], "models": [{"model": "gru4rec", "hidden": 16}]}}
    )
    said = str(tune(plain, "synthetic", "gru4rec", 2, None, tmp_path / "kept"))
    values = [max(0.1, 1 - abs(np.log(settings.learning_rate / 0.01))) for settings, *_ in tried]
    score = f"{max(values):.4f} (trial {np.argmax(values) + 1}); the defaults, {values[0]:.4f}"
    assert (
        said.startswith(f"NDCG@10 against the whole catalogue: {score}, on validation cases.\n")
        and "\nlearning_rate: " in said
    )
    (entry,) = yaml.safe_load(said.splitlines()[-1])
    assert entry == {"model": "gru4rec", "hidden": 16, "tuned": "gru4rec"}
    taken = tuned(Ranking(models=[entry]).models[0], "synthetic")
    assert taken.learning_rate == max(tried, key=lambda t: -abs(np.log(t[0].learning_rate / 0.01)))[0].learning_rate


def test_the_params_file_that_was_used_is_named(study, tried, tmp_path):
    selected = tune(study, "synthetic", "gru4rec", 1, None, tmp_path / "kept", tmp_path / "my studies" / "one.yaml")
    command = f"#   studylib tune '{tmp_path}/my studies/one.yaml' --dataset synthetic --model gru4rec --trials 1\n"
    assert command in (tmp_path / selected.path).read_text()


def test_other_data_of_the_same_name_share_no_trial_and_overwrite_no_settings(study, tried, tmp_path):
    path = tmp_path / tune(study, "synthetic", "gru4rec", 2, None, tmp_path / "kept").path
    before, model = path.read_bytes(), study.ranking.models[1]
    split = tuning.prepare(study.ranking.datasets[0], study.ranking, 0)
    assert tuned_on(model, "synthetic") == split.validation.sessions.content
    other = study_params(
        {"name": "small", "ranking": {"datasets": [{**TINY, "max_sessions": 150}], "models": study.ranking.models}}
    )
    with pytest.raises(
        StudyError, match=r"^params/tuned/synthetic-gru4rec.yaml: has settings .* on other data; remove"
    ):
        tune(other, "synthetic", "gru4rec", 2, None, tmp_path / "kept")
    assert path.read_bytes() == before and len(tried) == 2
    path.unlink()
    tune(other, "synthetic", "gru4rec", 2, None, tmp_path / "kept")
    assert len(tried) == 4 and len(list((tmp_path / "kept").glob("synthetic-gru4rec-*.journal"))) == 2
    path.write_text("alpha: 0.3")  # as before there was a checksum
    assert tuned_on(model, "synthetic") is None
    tune(other, "synthetic", "gru4rec", 2, None, tmp_path / "kept")
    assert tuned_on(model, "synthetic")


def test_a_search_that_was_stopped_goes_on(study, tried, tmp_path):
    tune(study, "synthetic", "gru4rec", 3, None, tmp_path / "kept")
    tune(study, "synthetic", "gru4rec", 5, None, tmp_path / "kept")
    assert len(tried) == 5
    assert len({settings.learning_rate for settings, *_ in tried}) == 5
    tune(study, "synthetic", "gru4rec", 5, None, tmp_path / "kept")
    assert len(tried) == 5
    with pytest.raises(StudyError, match="no trial was finished"):
        tune(study, "synthetic", "gru4rec", 5, 0, tmp_path / "elsewhere")


def test_a_search_that_was_killed_in_its_first_trial_begins_with_the_defaults_again(
    study, tried, tmp_path, monkeypatch
):
    attempt = tuning._attempt

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "_attempt", killed)
    with pytest.raises(KeyboardInterrupt):
        tune(study, "synthetic", "gru4rec", 2, None, tmp_path / "kept")
    monkeypatch.setattr(tuning, "_attempt", attempt)
    tune(study, "synthetic", "gru4rec", 2, None, tmp_path / "kept")
    defaults = Gru4Rec(hidden=16, embedding=8, max_epochs=2, tuned="gru4rec")
    assert len(tried) == 2 and tried[0][0] == defaults != tried[1][0]


def test_trials_with_other_fixed_settings_do_not_count(study, tried, tmp_path):
    tune(study, "synthetic", "gru4rec", 2, None, tmp_path / "kept")
    entry = {"model": "gru4rec", "tuned": "gru4rec", "hidden": 16, "embedding": 8}
    for changed in ({"max_epochs": 3}, {"max_epochs": 2, "validation": "sampled"}):
        ranking = {"datasets": [TINY], "models": [entry | changed]}
        selected = tune(study_params({"ranking": ranking}), "synthetic", "gru4rec", 1, None, tmp_path / "kept")
        assert changed.items() <= selected.settings.items()
    longer = {"ranking": {"datasets": [TINY], "models": [entry | {"max_epochs": 2}], "history": 5}}
    tune(study_params(longer), "synthetic", "gru4rec", 1, None, tmp_path / "kept")
    assert len(tried) == 5


def test_the_same_search_tries_the_same(study, tried, tmp_path):
    for folder in ("one", "two"):
        tune(study, "synthetic", "gru4rec", 4, None, tmp_path / folder)
    settings = [s for s, *_ in tried]
    assert settings[:4] == settings[4:]


def test_a_trial_behind_the_median_is_given_up(study, tried, tmp_path):
    tune(study, "synthetic", "gru4rec", 7, None, tmp_path / "kept")
    values = [1 - abs(np.log(s.learning_rate / 0.01)) for s, *_ in tried]
    assert [medians for *_, medians in tried[:5]] == [[]] * 5
    assert tried[5][2] == pytest.approx([0.1, np.median(np.maximum(values[:5], 0.1))])


def test_it_is_given_up_from_half_of_its_epochs_on(study):
    ranking = study.ranking
    split = tuning.prepare(ranking.datasets[0], ranking, 0)
    model = tuning.with_settings(ranking.models[1], {"max_epochs": 6, "patience": 6})
    for medians, epochs in (([2.0] * 6, 3), ([2.0] * 2, 6), ([0.0] * 6, 6)):
        built = tuning.build(model, ranking.history, 0, "cpu")
        assert len(tuning._attempt(built, split, ranking, medians)) == epochs


def test_what_the_study_sets_is_not_searched_and_goes_before_what_was_chosen(study, tmp_path):
    path = tmp_path / "params" / "tuned" / "synthetic-gru4rec.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("{hidden: 99, alpha: 0.3}")
    chosen = tuned(study.ranking.models[1], "synthetic")
    assert (chosen.hidden, chosen.alpha, chosen.label) == (16, 0.3, "gru4rec")
    assert tuned(study.ranking.models[1], "elsewhere") == study.ranking.models[1]
    assert tuned(study.ranking.models[0], "synthetic") == study.ranking.models[0]
    path.write_text("{alpa: 0.3}")
    with pytest.raises(StudyError, match=r"synthetic-gru4rec.yaml: unknown key 'alpa'.*alpha"):
        tuned(study.ranking.models[1], "synthetic")


def test_trials_are_trainings_judged_on_validation(study, tmp_path, monkeypatch):
    judged = []
    original = tuning.prepare

    def without_test(*arguments):
        split = original(*arguments)
        object.__setattr__(split, "test", None)  # whoever looks at the test cases fails
        judged.append(split.validation)
        return split

    monkeypatch.setattr(tuning, "prepare", without_test)
    selected = tune(study, "synthetic", "gru4rec", 1, None, tmp_path / "kept")
    assert len(judged) == 1 and len(judged[0]) > 100
    assert Gru4Rec(**selected.settings).hidden == 16


@pytest.mark.parametrize(
    ("dataset", "model", "said"),
    [
        ("grocery", "gru4rec", "no data set 'grocery'"),
        ("synthetic", "gru4re", r"no model 'gru4re'.*gru4rec"),
        ("synthetic", "markov", "markov: the model 'markov' has nothing to tune"),
    ],
)
def test_what_cannot_be_tuned_is_said(study, tmp_path, dataset, model, said):
    with pytest.raises(StudyError, match=said):
        tune(study, dataset, model, 1, None, tmp_path / "kept")


def test_the_defaults_are_in_every_space():
    for model, space in tuning.SPACES.items():
        defaults = Ranking(models=[model]).models[0]
        assert space.keys() <= defaults.settings.keys()
        for key, values in space.items():
            assert values._contains(values.to_internal_repr(getattr(defaults, key))), (model, key)


@pytest.mark.parametrize("text", ["", "[1]", "hidden", "hidden: 0", "hidden: {", "hidden: null", "model: sasrec", "label: x",
                                  "hiden: 3",
                                  "l2: .nan", "{" * 9000, "hidden: &a [*a]", "1: 2"])  # fmt: skip
def test_tuned_settings_that_are_damaged_are_refused_in_a_sentence(tmp_path, monkeypatch, text):
    monkeypatch.setattr(files, "project_root", lambda: tmp_path)
    path = tmp_path / files.tuned_path("yelp", "gru4rec")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(StudyError) as raised:
        tuned(Gru4Rec(tuned="gru4rec"), "yelp")
    said = str(raised.value)
    assert said.startswith(f"{path}: ") and len(said) <= 300 and "\n" not in said and said[-1] in ".?"
