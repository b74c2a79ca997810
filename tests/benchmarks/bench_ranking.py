"""Processor time of judging the neighbour models on Amazon Grocery, and of the intervals and tests over the stored ranks.

Run as a script, with $STUDYLIB_DATA. Ranks every test case of `grocery` against the whole catalogue on one core, then
computes the bootstrap intervals of every metric and all paired tests of a data set of ten models with five seeds. Fails where
judging a model or the statistics take more than 10 s.
"""

import os
import sys
import time

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy is imported

SECONDS = 10.0
MODELS, SEEDS = 10, range(5)


def main() -> None:
    import pandas as pd
    import torch

    from studylib.comparison import METRICS, Comparison, prepare
    from studylib.evaluation.ranking import rank_cases
    from studylib.models import build
    from studylib.params.study import Ranking
    from studylib.tables.ranking import intervals, pairs

    torch.set_num_threads(1)
    seconds, ranks = {}, {}
    ranking = Ranking(datasets=["grocery"], models=["item-knn", "session-knn"])
    split = prepare(ranking.datasets[0], ranking, seed=0)
    for model in ranking.models:
        fitted = build(model, ranking.history, seed=0, device="cpu").fit(split.train)
        started = time.process_time()
        ranks[model.label] = rank_cases(fitted, split.test, ranking.history)
        seconds[f"judge {model.label}, {len(split.test):,} cases"] = time.process_time() - started
        ranks[model.label]["shuffled"] = ranks[model.label]["full"]

    # Ten models of three protocols, whose ranks are those of the two above.
    models = [{"model": "popularity", "label": str(k)} for k in range(MODELS)]
    many = Ranking(datasets=["grocery"], models=models, seeds=list(SEEDS))
    ranks_of = {
        ("grocery", str(k), s, protocol): protocol_ranks
        for k in range(MODELS)
        for s in SEEDS
        for protocol, protocol_ranks in ranks["item-knn" if k % 2 else "session-knn"].items()
    }
    comparison = Comparison(pd.DataFrame(), ranks_of, {("grocery", seed): split for seed in SEEDS})
    started = time.process_time()
    intervals(comparison, many, seed=0)
    tests = len(pairs(comparison, many, seed=0, metric="ndcg@10"))
    statistics = f"intervals of {len(METRICS)} metrics of {MODELS} models, {tests} paired tests"
    seconds[statistics] = time.process_time() - started

    for what, taken in seconds.items():
        print(f"{what}: {taken:.1f} s (at most {SECONDS:.0f})")
    sys.exit(max(seconds.values()) > SECONDS)


if __name__ == "__main__":
    main()
