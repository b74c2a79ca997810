"""Params files, right, wrong and odd ones, and what each must give.

What is right is written down here once more, in the words of `CONTRIBUTING.md` and the params files, and read by a reader of its
own, so that code and tests cannot be wrong in the same way.
"""

import json
import math
import re
import string
import time
from functools import reduce
from pathlib import Path

import yaml
from hypothesis import strategies as st

from studylib.errors import StudyError
from studylib.params.files import load_params, study_params
from studylib.params.study import StudyParams

SECONDS = 5
"""Of the processor, for one file."""


def whole(low, high):
    return st.integers(low, high) | st.integers(low, min(high, low + 9)) | st.sampled_from([low, high])


def lists(values):
    return st.lists(values, min_size=1, max_size=4, unique=True)


def some(*words):
    return lists(st.sampled_from(words))


open_share = st.floats(0, 1, exclude_min=True, exclude_max=True)
rate = st.floats(0, 3e38, exclude_min=True)
optimizers = ("sgd", "adam", "rmsprop", "adagrad")

NUMBERS = {
    "seed": whole(0, 2**32 - 1),
    "data.max_length": whole(1, 2**31 - 1),
    "data.max_sessions": whole(1, 2**31 - 1),
    "data.min_length": whole(2, 2**31 - 1),
    "data.k_core": whole(1, 2**31 - 1),
    "data.min_item_support": whole(1, 2**31 - 1),
    "data.split_seed": whole(0, 2**32 - 1),
    "data.test_fraction": open_share,
    "grid.units": whole(1, 2**16),
    "ranking.history": whole(1, 2**31 - 1),
    "ranking.candidates": whole(1, 2**31 - 1),
    "execution.threads_per_worker": whole(1, 1024),
    "execution.workers": whole(1, 1024),
}
"""The keys of one number, and which it may be."""

LISTS = {
    "grid.batch_sizes": lists(whole(1, 2**20)),
    "grid.epochs": lists(whole(1, 100_000)),
    "grid.seeds": lists(whole(0, 2**32 - 1)),
    "ranking.seeds": lists(whole(0, 2**32 - 1)),
}

OTHERS = {
    "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", fullmatch=True).filter(
        lambda name: not re.fullmatch(r"con|prn|aux|nul|(com|lpt)\d", name.lower())
    ),
    "data.collapse_repeats": st.booleans(),
    "grid.compare_settings": st.booleans(),
    "grid.architectures": some("lstm", "gru", "hybrid", "hybrid-gru-lstm"),
    "grid.activations": some("softmax", "tanh", "sigmoid"),
    "grid.optimizers": some(*optimizers),
    "grid.optimizer_settings": st.sampled_from(["keras2", "keras3"]),
    "grid.learning_rate": st.dictionaries(st.sampled_from(optimizers), rate, max_size=4),
    "ranking.exclude_visited": st.booleans(),
    "ranking.ties": st.sampled_from(["mean", "conservative", "standard"]),
    "ranking.datasets": st.lists(
        st.text("abcABC-_.店$ \t\0", min_size=1).filter(str.strip), min_size=1, max_size=3, unique=True
    ).map(lambda labels: [{"name": label, "dataset": "yelp"} for label in labels]),
    "ranking.models": st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=3, unique=True).flatmap(
        lambda labels: st.tuples(*(a_model(label) for label in labels)).map(list)
    ),
    "execution.keras_backend": st.sampled_from(["tensorflow", "jax", "torch"]),
    "execution.device": st.sampled_from(["auto", "cpu", "cuda"]),
}

SETTINGS = {
    "hidden": whole(1, 2**16),
    "layers": whole(1, 100),
    "max_epochs": whole(1, 100_000),
    "negatives": whole(0, 2**31 - 1),
    "dropout_hidden": st.floats(0, 1, exclude_max=True),
    "learning_rate": rate,
    "l2": st.floats(0, 1e6),
    "alpha": st.floats(0, 10),
    "log_q": st.booleans(),
}


def a_model(label):
    settings = {key: st.none() | values for key, values in SETTINGS.items()}
    return st.fixed_dictionaries(settings).map(
        lambda drawn: {"model": "gru4rec", "label": label} | {k: v for k, v in drawn.items() if v is not None}
    )


def a_study():
    """Keys, with dots, and values that they may have."""
    everything = NUMBERS | LISTS | OTHERS
    return st.sets(st.sampled_from(sorted(everything)), max_size=6).flatmap(
        lambda keys: st.fixed_dictionaries({key: everything[key] for key in sorted(keys)})
    )


def nested(study):
    tree = {}
    for key, value in study.items():
        *sections, last = key.split(".")
        reduce(lambda at, section: at.setdefault(section, {}), sections, tree)[last] = value
    return tree


WRITERS = {
    "block": lambda tree: yaml.safe_dump(tree),
    "unicode": lambda tree: yaml.safe_dump(tree, allow_unicode=True, sort_keys=False),
    "flow": lambda tree: yaml.safe_dump(tree, default_flow_style=True, width=20),
    "json": json.dumps,
    "indented json": lambda tree: json.dumps(tree, indent=3),
}

right = st.tuples(a_study(), st.sampled_from(sorted(WRITERS)))

NO_NUMBER = st.one_of(
    st.booleans(),
    st.sampled_from(
        [math.nan, math.inf, -math.inf, -1, -0.5, 10**5, 2**32, 2**40, 10**30, 10**400, "", "ten", "1:30", "0x10"]
    ),
    st.sampled_from(["9" * 5000, "1" * 4300, "1e999", "\ud7ff" * 500, "0b1", "½", "٣"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=2),
)
"""What none of the keys of `TOO_MUCH_FOR` may be."""

TOO_MUCH_FOR = [
    "seed",
    "grid.units",
    "execution.threads_per_worker",
    "data.test_fraction",
    "grid.seeds",
    "grid.batch_sizes",
]

NO_NAME = st.one_of(
    st.sampled_from(
        [
            "",
            ".",
            "..",
            "../x",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "con",
            "NUL",
            "x" * 101,
            "x\n",
            "x\0",
            "-x",
            " ",
            "~",
            "é",
        ]
    ),
    st.text(min_size=1).filter(lambda name: not re.fullmatch("[A-Za-z0-9_-]+", name)),
    st.integers(),
    st.booleans(),
)


@st.composite
def wrong(draw):
    """A study with one value that cannot be, and the key that the message must name."""
    study = draw(a_study())
    kind = draw(st.sampled_from(["number", "name", "unknown", "twice", "label", "rate", "setting"]))
    if kind == "number":
        key = draw(st.sampled_from(TOO_MUCH_FOR))
        broken = draw(NO_NUMBER.filter(lambda value: not allowed(key, value)))
        study[key] = [1, broken] if key in LISTS else broken
    elif kind == "name":
        key = "name"
        study[key] = draw(NO_NAME)
    elif kind == "unknown":
        section = draw(st.sampled_from(["", "data.", "grid.", "ranking.", "execution."]))
        key = section + draw(
            st.text(string.ascii_lowercase + "[]{}é店 \0", min_size=1).filter(lambda k: k.strip() and "." not in k)
        )
        key = key if key not in VALID_KEYS else section + "unheard"
        study[key] = draw(st.integers() | st.text())
    elif kind == "twice":
        key = "seeds"
        study["grid.seeds"] = [draw(st.integers(0, 9))] * 2
    elif kind == "label":
        key = "label"
        study["ranking.models"] = [
            {"model": "markov", "label": draw(st.sampled_from(["", " ", "\t", 7, True, [], "\n"]))}
        ]
    elif kind == "rate":
        key = "adam"
        study["grid.learning_rate"] = {
            "adam": draw(st.sampled_from([0, -1, math.inf, math.nan, True, "fast", 1e300, None, []]))
        }
    else:
        key, broken = draw(st.sampled_from([
            ("hidden", 0), ("hidden", 2**20), ("hidden", True), ("layers", 10**6), ("max_epochs", 0),
            ("max_epochs", 10**9), ("alpha", 11),
            ("l2", math.nan), ("dropout_hidden", 1), ("negatives", -1), ("log_q", "perhaps"), ("tuned", ""), ("hiden", 3),
        ]))  # fmt: skip
        study["ranking.models"] = [{"model": "gru4rec", key: broken}]
    return study, draw(st.sampled_from(["block", "flow", "json"])), key.rsplit(".", 1)[-1]


def allowed(key, value):
    """Whether a number is one that a key of `TOO_MUCH_FOR` takes, also written as text."""
    low, high = {"data.test_fraction": (0, 1), "grid.units": (1, 2**16), "grid.batch_sizes": (2, 2**20), "seed": (0, 2**32 - 1),
                 "grid.seeds": (2, 2**32 - 1), "execution.threads_per_worker": (1, 1024)}[key]  # fmt: skip
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


VALID_KEYS = (
    {"name", "seed", "data", "grid", "ranking", "execution", "budget", *NUMBERS, *LISTS, *OTHERS}
    | {
        f"data.{key}"
        for key in ("dataset", "reader", "path", "separator", "header", "leading_user", "user", "item", "time")
    }
    | {"data.synthetic", "ranking.ablation", "execution.backend", "execution.scheduler"}
)

FRAGMENTS = [
    "*a", "&a ", "<<: ", "!!int ", "!!python/object:os.system ", "- ", "? ", ": ", "[", "]", "{", "}", "'", '"', "|",
    ">", "#", "%YAML 1.1\n",
    "---\n", "...\n", "\t", "\n", "  ", "\0", "\ufeff", "\u2028", "\x85", "null", "~", "true", "yes", ".inf", ".nan",
    "-1", "0x1F", "010", "1_0",
    "1:30", "1e3", "9" * 400, "é", "店", "\u202e", "2020-13-45", "seed: 3\n", "\\ud800", "-" * 50, "=",
]  # fmt: skip


@st.composite
def odd(draw, originals):
    """The text of a published params file, with a few pieces put in, taken out or repeated."""
    text = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 30))
        piece = draw(st.sampled_from(FRAGMENTS) | st.characters(codec="utf-8") | st.just(text[at : at + length]))
        text = text[:at] + piece + text[at + draw(st.sampled_from([0, 0, length, 1])) :]
    return text


def outcome(path: Path) -> StudyParams | str:
    """The study of a file or what is said of it, in good time."""
    return judged(lambda: load_params(path), str(path))


def judged(read, place: str):
    """What ``read`` gives or says; it may raise nothing but a `StudyError` of at most 300 letters that names the place."""
    started = time.process_time()
    try:
        return read()
    except StudyError as error:
        said = str(error)
        assert 0 < len(said) <= 300, said
        assert all(
            line.startswith(f"{place}: ") and re.search(r"[.?)]$", line) and line.isprintable()
            for line in said.split("\n")
        ), said
        assert not re.search("pydantic|Traceback|instance of|object at", said), said
        return said
    finally:
        assert time.process_time() - started < SECONDS


def check_right(path: Path, case) -> None:
    """Every value arrives as it was drawn, and nothing else changes."""
    study, writer = case
    path.write_text(WRITERS[writer](nested(study)), encoding="utf-8")
    params = outcome(path)
    assert isinstance(params, StudyParams), params
    read = params.model_dump()
    for key, value in study.items():
        *sections, last = key.split(".")
        found = reduce(lambda at, section: at[section], sections, read)
        compare(found[last], value)
        found[last] = None
    expected = StudyParams(name=path.stem).model_dump()
    for key in study:
        *sections, last = key.split(".")
        reduce(lambda at, section: at[section], sections, expected)[last] = None
    assert read == expected


def compare(found, drawn) -> None:
    if isinstance(drawn, dict):
        for key, value in drawn.items():
            compare(found[key], value)
    elif isinstance(drawn, list):
        assert len(found) == len(drawn)
        for one, other in zip(found, drawn, strict=True):
            compare(one, other)
    else:
        assert found == drawn and (type(found) is type(drawn) or isinstance(found, float))


def check_wrong(path: Path, case) -> None:
    """One value that cannot be: refused, and named."""
    study, writer, key = case
    path.write_text(WRITERS[writer](nested(study)), encoding="utf-8")
    said = outcome(path)
    assert isinstance(said, str), study
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in key)
    assert shown[:20].replace("\\", "") in said.replace("\\", "") or "not valid YAML" in said, (key, said)


def check_odd(path: Path, text: str) -> None:
    """Refused, or read as a plain reader of words reads it."""
    path.write_text(text, encoding="utf-8", newline="")
    params = outcome(path)
    if isinstance(params, StudyParams):
        agree(params.model_dump(), yaml.load(text, yaml.BaseLoader) or {})


EMPTY = {"", "~", "null", "Null", "NULL"}


def agree(read, words) -> None:
    """A value of a study and the word, or the list or keys with words, that the file has for it."""
    if isinstance(words, str) and isinstance(read, dict) and words in (read.get("dataset"), read.get("model")):
        return  # a name for an entry
    if isinstance(words, str):
        agree_on_a_word(read, words)
    elif isinstance(words, list):
        assert len(read) == len(words)
        for one, other in zip(read, words, strict=True):
            agree(one, other)
    else:
        for key, value in words.items():
            if key == "steps" and isinstance(value, list):  # they add up
                assert len(read[key]) == len(value)
                value, read = [], {key: []}
            agree(read[key], value)


def agree_on_a_word(read, word: str) -> None:
    if isinstance(read, dict | list) or read is None or word in EMPTY:
        assert word in EMPTY, (read, word)  # left out: the default stands
    elif isinstance(read, bool):
        assert word.lower() in ({"true", "yes", "on", "y", "t", "1"} if read else {"false", "no", "off", "n", "f", "0"})
    elif isinstance(read, int | float):
        assert float(word.replace("_", "")) == read, (read, word)
    else:
        assert read == word or (read, word) == ("\t", r"\t")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3) | st.dates()
    | st.booleans().map(lambda _: 10**5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(sorted(SETTINGS)), inner, max_size=3)
    | st.tuples(inner),
    max_leaves=8,
)  # fmt: skip
cells = st.dictionaries(
    st.sampled_from(["name", "seed", "data", "grid", "ranking", "execution"]) | st.text(),
    values | st.dictionaries(st.sampled_from(sorted({k.rsplit(".", 1)[-1] for k in VALID_KEYS})), values, max_size=4),
    max_size=4,
)
"""What a notebook may hand over."""


def check_cell(sections) -> None:
    judged(lambda: study_params(sections, source="the parameters cell"), "the parameters cell")
