"""Ranks and cases against what the code of the reference implementations gave for the same input.

What they gave is kept in `peers/`: ReChorus of 2025-03-08 (e58d752), the official GRU4Rec of 2023-08-24 (d1fc311). Where
$RECHORUS and $GRU4REC_OFFICIAL name checkouts (and $PEER_PYTHON a Python for them), their code runs again.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from studylib.data.sessions import Cases, Sessions
from studylib.data.splits import draw_candidates
from studylib.evaluation.ranking import rank_cases
from studylib.models.base import Recommender

RECHORUS = """
import sys
import numpy
numpy.object, numpy.float, numpy.int = object, float, int
sys.path.insert(0, "src")
from helpers.BaseRunner import BaseRunner
measures = BaseRunner.evaluate_method(numpy.load(sys.argv[1]), [5, 10], ["HR", "NDCG"])
numpy.savez(sys.argv[2], **{name: value for name, value in measures.items()})
"""

OFFICIAL = """
import sys
import numpy, pandas, torch
sys.path.insert(0, ".")
from evaluation import batch_eval
from gru4rec_pytorch import GRU4Rec
train, test = (pandas.read_csv(path) for path in sys.argv[1:3])
torch.manual_seed(0)
gru = GRU4Rec(layers=[8], batch_size=8, n_sample=16, n_epochs=2, device=torch.device("cpu"))
gru.fit(train)
recall, mrr = batch_eval(gru, test, cutoff=[20], batch_size=8, mode="standard")
numbers = gru.data_iterator.itemidmap
scores = []
with torch.no_grad():
    for _, visits in test.groupby("SessionId"):
        state = [torch.zeros(1, 8)]
        for item in visits["ItemId"].values[:-1]:
            scores.append(gru.model.forward(torch.tensor([numbers[item]]), state, None)[0].numpy())
numpy.savez_compressed(sys.argv[3], recall=recall[20], mrr=mrr[20], scores=scores, items=numbers.index.values)
"""


class Scored(Recommender):
    """Gives the scores of the cases one after the other."""

    def __init__(self, scores):
        self.scores, self.at = scores, 0

    def _fit(self, train, validation): ...

    def score(self, prefixes):
        self.at += len(prefixes)
        return self.scores[self.at - len(prefixes) : self.at]


def random_sessions(count, n_items, seed):
    random = np.random.default_rng(seed)
    chains = random.integers(0, n_items, (n_items, 3))  # something to learn
    lists = []
    for _ in range(count):
        session = [int(random.integers(n_items))]
        for _ in range(random.integers(1, 9)):
            session.append(int(random.choice(chains[session[-1]])))
        lists.append(session)
    return lists


def run(checkout, code, *arguments):
    folder = os.environ.get(checkout)
    if folder is None:
        return np.load(Path(__file__).parent / "peers" / f"{checkout.lower()}.npz")
    script = Path(arguments[-1]).with_suffix(".py")
    script.write_text(code)
    command = f"{os.environ.get('PEER_PYTHON', sys.executable)} {script} {' '.join(map(str, arguments))}"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(arguments[-1])


def test_the_measures_of_rechorus_are_ours_with_conservative_ties(tmp_path):
    sessions = Sessions.from_lists(random_sessions(400, 60, 0))
    cases = Cases(sessions, sessions.offsets[1:] - 1)
    cases = Cases(sessions, cases.events, draw_candidates(cases, 20, np.random.RandomState(0)))
    scores = np.random.default_rng(1).integers(0, 12, (len(cases), 60)).astype(np.float32)  # many ties
    listed = np.take_along_axis(scores, np.column_stack([cases.targets, cases.candidates]), 1)
    np.save(tmp_path / "scores.npy", listed)
    theirs = run("RECHORUS", RECHORUS, tmp_path / "scores.npy", tmp_path / "found.npz")
    ours = rank_cases(Scored(scores), cases)["sampled-20"]
    for k in (5, 10):
        assert ours.metric(f"hr@{k}", "conservative").mean() == pytest.approx(float(theirs[f"HR@{k}"]), abs=1e-12)
        assert ours.metric(f"ndcg@{k}", "conservative").mean() == pytest.approx(float(theirs[f"NDCG@{k}"]), abs=1e-12)


def test_the_cases_and_measures_of_the_official_gru4rec_are_ours_with_standard_ties(tmp_path):
    all_items = list(range(50))
    for name, lists in (
        ("train", [*random_sessions(300, 50, 0), all_items]),
        ("test", [*random_sessions(80, 50, 1), all_items]),
    ):
        rows = [(s, item, 100 * s + k) for s, session in enumerate(lists) for k, item in enumerate(session)]
        pd.DataFrame(rows, columns=["SessionId", "ItemId", "Time"]).to_csv(tmp_path / f"{name}.csv", index=False)
    theirs = run("GRU4REC_OFFICIAL", OFFICIAL, tmp_path / "train.csv", tmp_path / "test.csv", tmp_path / "found.npz")
    sessions = Sessions.from_lists(lists)
    events = np.setdiff1d(np.arange(len(sessions.items)), sessions.offsets[:-1])
    ours = rank_cases(Scored(theirs["scores"][:, np.argsort(theirs["items"])]), Cases(sessions, events))["full"]
    assert ours.metric("recall@20", "standard").mean() == pytest.approx(float(theirs["recall"]), abs=1e-9)
    assert ours.metric("mrr@20", "standard").mean() == pytest.approx(float(theirs["mrr"]), abs=1e-6)
