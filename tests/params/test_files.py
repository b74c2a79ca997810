"""Params files: the defaults, and the one sentence that each mistake gets."""

import re
import time

import pytest

from studylib.errors import StudyError
from studylib.models import build
from studylib.params import files
from studylib.params.files import load_params, study_params, tuned_path
from studylib.params.models import Gru4Rec
from studylib.params.study import OWN_LOG_MODELS, Ranking, StudyParams
from studylib.paths import project_root


@pytest.fixture
def load(tmp_path):
    """Write a params file and load it."""

    def load(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return load_params(path)

    return load


@pytest.fixture
def message(load, tmp_path):
    """The error of a params file, without the path that every error begins with."""

    def message(text):
        with pytest.raises(StudyError) as raised:
            load(text)
        said = str(raised.value)
        beginning = f"{tmp_path / 'mine.yaml'}: "
        assert said.startswith(beginning) and "\n" not in said
        said = said.removeprefix(beginning)
        assert re.search(r"[^.?][.?]$", said), said
        jargon = "pydantic|https?:|Traceback|[Vv]al(ue|idation) error|constrained|literal\\[|discriminator|instance of"
        assert not re.search(jargon, said), said
        return said

    return message


def test_the_quickstart_is_the_defaults(load):
    assert load_params(project_root() / "params" / "quickstart.yaml") == StudyParams()
    assert load("") == load("# nothing\n") == load("data:\n") == StudyParams(name="mine")


def test_a_file_changes_what_it_names_and_nothing_else(load):
    params = load("grid: {units: 7, learning_rate: {sgd: 0.5}}\ndata: {reader: events, path: x.csv, item: 1}")
    assert (params.grid.units, params.grid.learning_rate, params.grid.epochs) == (7, {"sgd": 0.5}, [5, 10])
    assert params.data.dataset is None
    assert (params.data.reader, params.data.item, params.data.max_length) == ("events", 1, 40)
    assert params.ranking == StudyParams().ranking


def test_names_stand_for_data_sets_and_models(load):
    short = load("ranking: {datasets: [grocery, yelp], models: [markov, {model: gru4rec, label: small, hidden: 8}]}")
    long = load("ranking: {datasets: [{dataset: grocery}, {dataset: yelp}],"
                " models: [{model: markov}, {model: gru4rec, label: small, hidden: 8}]}")  # fmt: skip
    assert short == long
    assert [d.label for d in short.ranking.datasets] == ["grocery", "yelp"]
    assert [m.label for m in short.ranking.models] == ["markov", "small"]
    assert short.ranking.models[1].settings["hidden"] == 8
    assert short.ranking.models[1].settings.keys().isdisjoint({"model", "label"})


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("dta: {}", "dta", "data"),
        ("data: {max_sesions: 3}", "data.max_sesions", "max_sessions"),
        ("data: {synthetic: {itms: 30}}", "data.synthetic.itms", "items"),
        ("grid: {optimizer: [adam]}", "grid.optimizer", "optimizers"),
        ("grid: {learning_rate: {adamm: 0.1}}", "grid.learning_rate.adamm", "adam"),
        ("ranking: {model: [markov]}", "ranking.model", "models"),
        ("ranking: {models: [markov, {model: gru4rec, hiden: 3}]}", "ranking.models.1.hiden", "hidden"),
        ("ranking: {datasets: [{dataset: yelp, nam: x}]}", "ranking.datasets.0.nam", "name"),
        ("ranking: {datasets: [yelp, {name: x, reader: events, path: y, usr: z}]}", "ranking.datasets.1.usr", "user"),
        ("execution: {worker: 2}", "execution.worker", "workers"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(message, text, key, meant):
    assert message(text) == f"unknown key {key!r}; did you mean {meant!r}?"


def test_an_unknown_key_like_no_other_gets_the_list(message):
    expected = "unknown key 'ranking.models.0.dropout'; it must be one of label, model."
    assert message("ranking: {models: [{model: popularity, dropout: 0.1}]}") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid: {architectures: [lstmm]}", "grid.architectures.0: unknown value 'lstmm'; did you mean 'lstm'?"),
        ("ranking: {ties: meen}", "ranking.ties: unknown value 'meen'; did you mean 'mean'?"),
        ("ranking: {models: [gru4rek]}", "ranking.models.0: there is no model 'gru4rek'; did you mean 'gru4rec'?"),
        ("ranking: {datasets: [{name: x, reader: event, path: y}]}",
         "ranking.datasets.0.reader: unknown value 'event'; did you mean 'events'?"),
        ("execution: {keras_backend: theano}",
         "execution.keras_backend: unknown value 'theano'; it must be one of jax, tensorflow, torch."),
    ],
)  # fmt: skip
def test_an_unknown_value_is_named_with_what_there_is(message, text, said):
    assert message(text) == said


@pytest.mark.parametrize(
    ("text", "key", "given"),
    [
        ("seed: -1", "seed", "-1"),
        ("seed: 4294967296", "seed", "4294967296"),
        ("seed: true", "seed", "True"),
        ("seed: 0x10", "seed", "'0x10'"),
        ("name: nul", "name", "'nul'"),
        ('name: ".."', "name", "'..'"),
        ('name: ""', "name", "''"),
        ("data: {split_seed: -1}", "data.split_seed", "-1"),
        ("data: {reader: events, path: x, user: -1}", "data.user", "-1"),
        ("data: {reader: events, path: ''}", "data.path", "''"),
        ("grid: {units: 1000000}", "grid.units", "1000000"),
        ("grid: {epochs: [true]}", "grid.epochs.0", "True"),
        ("grid: {epochs: [100001]}", "grid.epochs.0", "100001"),
        ("grid: {learning_rate: {adam: .inf}}", "grid.learning_rate.adam", "inf"),
        ("grid: {learning_rate: {adam: .nan}}", "grid.learning_rate.adam", "nan"),
        ("ranking: {models: [{model: markov, label: ' '}]}", "ranking.models.0.label", "' '"),
        ("ranking: {models: [{model: item-knn, tuned: ''}]}", "ranking.models.0.tuned", "''"),
        ("ranking: {models: [{model: gru4rec, l2: .inf}]}", "ranking.models.0.l2", "inf"),
        ("name: ../mine", "name", "'../mine'"),
        ("data: {min_length: 1}", "data.min_length", "1"),
        ("data: {min_length: two}", "data.min_length", "'two'"),
        ("data: {test_fraction: 1}", "data.test_fraction", "1"),
        ("data: {max_sessions: 2.5}", "data.max_sessions", "2.5"),
        ("data: {synthetic: {weights: [0.9, 0.1]}}", "data.synthetic.weights", None),
        ("data: {reader: events, path: x, user: [1]}", "data.user", None),
        ("data: synthetic", "data", "'synthetic'"),
        ("grid: {epochs: [5, 0]}", "grid.epochs.1", "0"),
        ("grid: {architectures: lstm}", "grid.architectures", "'lstm'"),
        ("grid: {batch_sizes: [64, 64]}", "grid.batch_sizes", None),
        ("grid: {seeds: []}", "grid.seeds", None),
        ("grid: {seeds: [-1]}", "grid.seeds.0", "-1"),
        ("grid: {learning_rate: {adam: 0}}", "grid.learning_rate.adam", "0"),
        ("grid: {learning_rate: 0.1}", "grid.learning_rate", "0.1"),
        ("ranking: {seeds: [1, 1]}", "ranking.seeds", None),
        ("ranking: {seeds: [-1]}", "ranking.seeds.0", "-1"),
        ("ranking: {models: []}", "ranking.models", None),
        ("ranking: {datasets: []}", "ranking.datasets", None),
        ("ranking: {models: [{label: x}]}", "ranking.models.0", None),
        ("ranking: {models: [7]}", "ranking.models.0", "7"),
        ("ranking: {models: [{model: gru4rec, dropout_hidden: 1}]}", "ranking.models.0.dropout_hidden", "1"),
        ("ranking: {datasets: [yelp, {dataset: ml-1m, k_core: 0}]}", "ranking.datasets.1.k_core", "0"),
        ("execution: {workers: 0}", "execution.workers", "0"),
        ("execution: {workers: many}", "execution.workers", "'many'"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_key(message, text, key, given):
    said = message(text)
    assert said.startswith(f"{key}: ")
    assert said.endswith(f" (given: {given}).") if given else "given:" not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: {dataset: null}", ["data: give either 'dataset'", "or 'reader'"]),
        ("data: {dataset: yelp, reader: events, path: x}", ["data: give either 'dataset'", "or 'reader'"]),
        ("ranking: {datasets: [{name: x}]}", ["ranking.datasets.0: give either 'dataset'", "or 'reader'"]),
        ("data: {dataset: yelp, separator: ';', path: x}", ["data: ", "leave out path, separator"]),
        ("data: {reader: events}", ["data: the reader 'events' needs a 'path'"]),
        ("ranking: {datasets: [{name: x, reader: sequences, path: y, user: z}]}",
         ["ranking.datasets.0: the reader 'sequences' has no option user", "leading_user, separator"]),
        ("data: {reader: rechorus, path: x, time: y}", ["the reader 'rechorus' has no option time", "none"]),
        ("ranking: {datasets: [{reader: jsonl, path: x}]}", ["ranking.datasets.0: ", "needs a 'name'"]),
        ("ranking: {datasets: [yelp, yelp]}", ["ranking: two entries are the data set 'yelp'"]),
        ("ranking: {models: [gru4rec, {model: gru4rec, hidden: 8}]}", ["ranking: two entries are the model 'gru4rec'"]),
        ("ranking: {models: [{model: markov, label: a b}, {model: markov, label: a-b}]}", ["the model 'a-b' in the names"]),
        ("ranking: {models: [markov, {model: popularity, label: markov}]}", ["two entries are the model 'markov'"]),
        ("ranking: {ablation: {datasets: [yelp], steps: [{label: a}, {label: b}]}}",
         ["ranking: the ablation's data set 'yelp' is none of the ranking's: synthetic"]),
        ("ranking: {ablation: {datasets: [synthetic], steps: [{label: a}, {loss: bpr}]}}",
         ["ranking.ablation.steps: there must be at least two steps, each with a label of its own"]),
        ("ranking: {ablation: {datasets: [synthetic], steps: [{label: a}, {label: b, los: bpr}]}}",
         ["unknown key 'ranking.ablation.steps.1.los'; did you mean 'loss'?"]),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(message, text, words):
    said = message(text)
    assert all(word in said for word in words), said


def test_every_mistake_is_a_line_of_its_own():
    with pytest.raises(StudyError) as raised:
        study_params({"seed": -1, "grid": {"unit": 3}}, source="the parameters cell")
    assert str(raised.value).splitlines() == [
        "the parameters cell: seed: input should be greater than or equal to 0 (given: -1).",
        "the parameters cell: unknown key 'grid.unit'; did you mean 'units'?",
    ]


def test_what_is_no_params_file(message, tmp_path):
    assert "not valid YAML (line 3): " in message("name: mine\ngrid:\n  units: 3: 4\n")
    twice = message("name: mine\ngrid:\n  units: 3\n  seeds: [0]\n  units: 4\n")
    assert "not valid YAML (line 1): " in message("[name]: mine\n")
    assert twice.endswith("is not valid YAML (line 5): the key 'units' occurs twice.")
    assert "must hold sections such as 'data:' and 'grid:', not a list." in message("- 1\n- 2\n")
    with pytest.raises(StudyError, match=r"absent\.yaml: there is no such params file; .*quickstart\.yaml.*[^.]\.$"):
        load_params(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(StudyError, match=r"latin\.yaml: cannot be read as text .*[^.]\.$"):
        load_params(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 90_000, "more than 20 levels lie in each other"),
        (f"seed: [{'1,' * 30_000}]", "more than 20,000 keys and values"),
        ("a: 1\n" * 30_000, "has more than 100,000 bytes"),
        ("a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
         + "".join(f"{x}: &{x} [{f'*{y},' * 9}]\n" for x, y in ("ba", "cb", "dc", "ed", "fe")), "more than 20,000"),
        ("data: &a {b: *a}", "an alias lies in what it stands for"),
        ("grid: &a {units: 3}\ndata:\n  <<: *a", "params take no merge keys"),
        ("seed: !!int abc", "params take no tags"),
        (r'name: "\ud800"', "an escaped letter is half of a pair"),
        ("name: a\0b", "special characters are not allowed"),
        (f"seed: {'9' * 5000}", "seed: unable to parse"),
        (f"'{'k' * 900}': 1", "unknown key 'kkk"),
        ("gru4rec: 1", "unknown key 'gru4rec'"),
        ("rankng:", "unknown key 'rankng'"),
        ("grid: {variants: {ways: {mine: {gats: sigmoid}}}}", "'grid.variants.ways.mine.gats'; did you mean 'gates'"),
        ("'[key]': 1", "unknown key '[key]'"),
        (f"grid: {{seeds: {list(range(400))}, epochs: {list(range(1, 301))}}}", "the lists ask for 360,000 cells"),
    ],
)  # fmt: skip
def test_a_small_file_that_would_take_long_is_refused(message, text, words):
    started = time.process_time()
    assert words in message(text)
    assert time.process_time() - started < 5


def test_words_are_what_yaml_1_2_says(load):
    assert load("grid: {learning_rate: {sgd: 1e-3, adam: .5}}").grid.learning_rate == {"sgd": 0.001, "adam": 0.5}
    columns = load("data: {reader: events, path: 2020-13-45, user: no, item: 010, time: 1:30}").data
    assert (columns.path, columns.user, columns.item, columns.time) == ("2020-13-45", "no", "010", "1:30")
    assert load("grid: {batch_sizes: &a [3, 4], epochs: *a}").grid.epochs == [3, 4]
    assert load("name: null\nseed: ~").name == "mine"


def test_a_name_that_is_null_in_a_notebook_is_refused():
    with pytest.raises(StudyError, match="name: input should be a valid string"):
        study_params({"name": None})


def test_many_mistakes_are_counted():
    with pytest.raises(StudyError) as raised:
        study_params({f"k{i}": 1 for i in range(9000)}, source="x" * 5000)
    said = str(raised.value)
    assert len(said) <= 300 and re.search(r"8,99\d more mistakes", said)
    with pytest.raises(StudyError, match="a number of more than 4,300 digits"):
        study_params({"seed": 10**5000})


def test_a_label_of_anything_names_files_within_their_folder():
    labels = ["../../x", "/etc/x", "..", "店", "x" * 10_000, "a\nb", "$"]
    paths = [tuned_path(label, label) for label in labels]
    assert len(set(paths)) == len(labels)
    assert all(path.parent == tuned_path("yelp", "x").parent and len(path.name) < 250 for path in paths)


def test_a_tab_may_be_written_with_or_without_quotes(load):
    for written in (r"\t", r"'\t'", r'"\t"'):
        text = f"data: {{reader: events, path: x, user: 0, item: 1, separator: {written}}}"
        assert load(text).data.separator == "\t"


def test_options_of_the_generated_log_go_with_it_alone(message):
    assert "goes with 'dataset: synthetic' alone" in message("data: {dataset: yelp, synthetic: {items: 20}}")
    models = "ranking: {models: [{model: gru4rec, score_activation: elu}]}"
    assert "'score_activation: elu' goes with 'loss: bpr-max'" in message(models)


def test_the_steps_of_an_ablation_add_up(load):
    steps = "[{label: a, loss: bpr, hidden: 8}, {label: b, loss: cross-entropy}, {label: c, hidden: 9}]"
    ranking = load(
        f"ranking: {{seeds: [4], ablation: {{datasets: [synthetic], seeds: [1, 2], steps: {steps}}}}}"
    ).ranking
    ablated = ranking.ablated
    assert [(m.label, m.loss, m.hidden) for m in ablated.models] == [
        ("a", "bpr", 8),
        ("b", "cross-entropy", 8),
        ("c", "cross-entropy", 9),
    ]
    assert (ablated.seeds, ablated.ablation, ablated.datasets) == ([1, 2], None, ranking.datasets)
    # As a notebook's parameters carry it.
    assert Ranking.model_validate(ranking.model_dump(mode="json", exclude_unset=True)) == ranking
    with pytest.raises(ValueError, match=r"no 'ranking\.ablation'"):
        _ = Ranking().ablated


def test_the_network_for_the_page_is_that_of_the_ranking_or_of_a_data_set_of_its_own(load, message):
    assert Ranking().tried == Ranking() and Ranking().parts == [Ranking()]
    steps = "[{label: a}, {label: b, hidden: 8}]"
    ranking = load(
        f"ranking: {{datasets: [grocery], seeds: [3, 4], recommender: synthetic, history: 7, "
        f"ablation: {{datasets: [grocery], steps: {steps}}}}}"
    ).ranking
    tried = ranking.tried
    assert ([d.label for d in tried.datasets], tried.models, tried.seeds) == (["synthetic"], [Gru4Rec()], [3])
    assert tried.history == 7 and tried.parts == [tried] and ranking.parts == [ranking, ranking.ablated, tried]
    assert ranking.ablated.parts == [ranking.ablated]
    assert Ranking.model_validate(ranking.model_dump(mode="json", exclude_unset=True)) == ranking
    assert "the recommender's data set 'synthetic' is one of the ranking's" in message(
        "ranking: {recommender: synthetic}"
    )


def test_the_models_have_the_settings_of_their_classes(load):
    names = ["popularity", "markov", "item-knn", "session-knn", "bpr-mf", "gru4rec"]
    models = load(f"ranking: {{models: {names}}}".replace("'", "")).ranking.models
    assert [m.label for m in models] == names
    built = [build(m, history=7, seed=3, device="cpu") for m in models]
    assert [type(b).__name__ for b in built] == ["Popularity", "Markov", "ItemKNN", "SessionKNN", "BPR", "GRU4Rec"]
    assert [b.settings for b in built[2:5]] == [type(m)() for m in models[2:5]]
    assert (built[4].history, built[4].seed) == (7, 3)


def test_a_log_of_ones_own_is_declared_once(load):
    log = "{reader: events, path: clicks.csv, user: visitor, item: url, k_core: 5"
    params = load(f"name: shop\ndata: {log}, time: at}}")
    (dataset,) = params.ranking.datasets
    assert params.is_own_log and dataset.label == "shop" and dataset.split == "temporal"
    assert (dataset.path, dataset.user, dataset.item, dataset.time, dataset.k_core) == (
        params.data.path, "visitor", "url", "at", 5,
    )  # fmt: skip
    assert [model.label for model in params.ranking.models] == [model.label for model in OWN_LOG_MODELS]
    assert params.budget == "10min" and load(f"data: {log}}}\nbudget: 1h").budget == "1h"
    assert load(f"data: {log}}}").ranking.datasets[0].split == "leave-one-out", "without times nothing is later"
    assert load("data: {reader: access-log, path: access.log}").ranking.datasets[0].split == "temporal"

    named = load(f"data: {log}}}\nranking: {{datasets: [yelp], models: [markov], seeds: [3]}}").ranking
    assert [d.label for d in named.datasets] == ["yelp"] and [m.label for m in named.models] == ["markov"]
    own = load(f"data: {log}}}\nranking: {{models: [markov], seeds: [3]}}")
    assert [m.label for m in own.ranking.models] == ["markov"] and own.ranking.seeds == [3] and own.budget is None
    again = study_params(own.model_dump(mode="json", exclude_unset=True) | {"grid": None, "execution": {}})
    assert again.is_own_log and again.ranking == own.ranking, "as a notebook is given it"

    for grid in ("{units: 8}", "{}"):
        asked = load(f"data: {log}}}\ngrid: {grid}")
        given = {"grid": None, "ranking": {}} | asked.model_dump(mode="json", exclude_unset=True)
        assert not asked.is_own_log and study_params(given) == asked and not study_params(given).is_own_log
    assert load(f"data: {log}}}\ngrid:").is_own_log, "a section that is null counts as left out"
    assert not load("data: {dataset: live-streaming}").is_own_log


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one params file, ``mine``."""
    monkeypatch.setattr(files, "project_root", lambda: tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "mine.yaml").write_text("name: mine\nseed: 1\nranking: {seeds: [0]}")
    return tmp_path


def test_results_belong_to_the_params_file_of_their_name(project):
    reports = project / "reports"
    mine = {"name": "mine", "seed": 1}  # what the file says more is the default
    for sections in (mine, mine | {"execution": {"workers": 3}}, mine | {"name": "yours", "seed": 3}):
        files.refuse_name_of_another(study_params(sections), reports)
    for sections in (mine | {"seed": 3}, {"name": "mine"}, mine | {"grid": {"units": 8}}):
        with pytest.raises(StudyError, match=r"results of params/mine.yaml, which says something else; give .* 'name'"):
            files.refuse_name_of_another(study_params(sections), reports)
        files.refuse_name_of_another(study_params(sections), project / "elsewhere")


def test_a_file_that_is_called_otherwise_than_its_study_owns_no_results_of_its_own_name(project):
    (project / "params" / "mine.yaml").write_text("name: other")
    files.refuse_name_of_another(study_params({"name": "mine", "seed": 3}), project / "reports")
