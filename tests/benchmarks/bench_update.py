"""A model that goes on learning against one trained anew, on `grocery`. Needs $STUDYLIB_DATA; some five minutes.

Targets are the last events of all users. Of the others the first 90 % in time are the old log. GRU4Rec learns from it in its
default settings (and fast arithmetic), is updated with the whole histories of those who came back after it, or with their new
events alone, and stands beside one that learns from everything anew. Fails where the update takes more than a third of the time
of training anew, or wins less than half of what that wins in NDCG@10.
"""

import sys
import warnings

import numpy as np

from studylib.data.datasets import load
from studylib.data.sessions import Cases, Sessions, apply_filters
from studylib.evaluation.ranking import rank_cases
from studylib.execution import configure
from studylib.models.gru4rec import GRU4Rec
from studylib.params.study import Execution, RankingDataset

OLD_SHARE, HISTORY = 0.9, 20
TIME, GAIN = 1 / 3, 1 / 2


def main() -> None:
    configure(Execution(threads_per_worker=2, device="cpu"))
    log = RankingDataset(dataset="grocery")
    sessions = apply_filters(load(log), log)
    is_target = np.zeros(len(sessions.items), bool)
    is_target[sessions.offsets[1:] - 1] = True
    came = np.quantile(sessions.times[~is_target], OLD_SHARE, method="higher")
    is_new = ~is_target & (sessions.times >= came)
    came_back = np.repeat(np.add.reduceat(is_new, sessions.offsets[:-1]) > 0, sessions.lengths)
    old = sessions.select(~is_target & ~is_new).compact()
    print(
        f"{len(old.items):,} old events of {old.n_items:,} items, {is_new.sum():,} new ones; of the {sessions.n_items:,} items "
        f"{sessions.n_items - old.n_items:,} are new"
    )
    cases = Cases(sessions, np.flatnonzero(is_target))

    begun = GRU4Rec(HISTORY, device="cpu", arithmetic="fast").fit(old)
    ndcg = {
        "old events alone": judged(begun, cases),
    }
    updated = begun.update(sessions.select(~is_target & came_back).compact())
    ndcg["updated, whole histories"] = judged(updated, cases)
    ndcg["updated, new events alone"] = judged(begun.update(sessions.select(is_new).compact()), cases)
    anew = GRU4Rec(HISTORY, device="cpu", arithmetic="fast").fit(sessions.select(~is_target))
    ndcg["anew"] = judged(anew, cases)
    for name, value in ndcg.items():
        print(f"NDCG@10 {value:.4f}  {name}")
    time = updated.train_seconds / anew.train_seconds
    gain = (ndcg["updated, whole histories"] - ndcg["old events alone"]) / (ndcg["anew"] - ndcg["old events alone"])
    print(f"the update wins {gain:.0%} of what training anew wins, in {time:.0%} of its {anew.train_seconds:.0f} s")
    if time > TIME or gain < GAIN:
        sys.exit("bench_update: over the limit")


def judged(model: GRU4Rec, cases: Cases) -> float:
    """NDCG@10 over the whole catalogue; an item that the model does not know is never in its list."""
    return float(
        rank_cases(Known(model, cases.sessions.vocabulary), cases, HISTORY, None)["full"].metric("ndcg@10").mean()
    )


class Known:
    """A model over a catalogue with items that it does not know."""

    exclude_visited = None

    def __init__(self, model: GRU4Rec, vocabulary: np.ndarray):
        self.model, self.has_repeats, self.memory = model, model.has_repeats, model.memory
        self.index = np.searchsorted(model.vocabulary, vocabulary).clip(max=len(model.vocabulary) - 1)
        self.known = model.vocabulary[self.index] == vocabulary

    def score(self, prefixes: Sessions) -> np.ndarray:
        known = self.known[prefixes.items]
        scores = np.full((len(prefixes), len(self.known)), np.finfo(np.float32).min, np.float32)
        some = np.add.reduceat(known, prefixes.offsets[:-1]) > 0
        left = prefixes.select(known)
        over_known = Sessions(self.index[left.items].astype(np.int32), left.offsets, self.model.vocabulary)
        scores[np.ix_(some, self.known)] = self.model.score(over_known)
        return scores


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
