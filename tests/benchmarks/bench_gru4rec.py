"""GRU4Rec beside its two reference implementations, judging, and a catalogue of a million items.

Needs the real data ($STUDYLIB_DATA). A peer runs in the same run where its checkout is named: $RECHORUS (ReChorus) and
$GRU4REC_OFFICIAL (GRU4Rec_PyTorch_Official), both with a Python that has what they need ($PEER_PYTHON, else this one).
Each measurement has a process of its own, with two threads. Where there is a GPU, it trains there as well. Fails where a limit
(`SECONDS_TO_JUDGE`, `GIGABYTES`) is passed.
"""

import gzip
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
STUDIES = {"grocery": ("sampled", "gru4rec-sampled"), "rsc15-100k": ("gru4rec-quick", "gru4rec-quick")}
"""The study, and the model in it, whose settings a data set is trained with: those chosen for the protocol of its peer."""

TIE = {"grocery": "conservative", "rsc15-100k": "standard"}
"""How the peer of a data set counts ties."""


SECONDS_TO_JUDGE, GIGABYTES = 2.0, 16.0
"""Limits of judging all test cases of `grocery` on the CPU, and of an epoch of ten million events over a million items."""

HIDDEN_ON_GPU = (100, 512)


def ours(dataset: str, device: str = "cpu", hidden: str = "128") -> dict:
    """Train with the tuned settings; what the test cases say after each epoch and at the end."""
    import numpy as np

    from studylib.comparison import prepare
    from studylib.evaluation.ranking import rank_cases
    from studylib.models import build
    from studylib.params.files import load_params, tuned, with_settings

    study, label = STUDIES[dataset]
    ranking = load_params(ROOT / "params" / f"{study}.yaml").ranking
    chosen = next(m for m in ranking.models if m.label == label)
    source = next(d for d in ranking.datasets if d.label == dataset)
    split = prepare(source, ranking, 0)
    model = build(with_settings(tuned(chosen, dataset), {"hidden": int(hidden)}), ranking.history, 0, device)
    reached, judging, started = [], [0.0], time.perf_counter()

    def judge(epoch: int, best: float) -> bool:
        """The test cases after each epoch, for the benchmark alone; its time does not count."""
        at = time.perf_counter()
        ranks = rank_cases(model, split.test, ranking.history)
        some = ranks["full" if dataset == "rsc15-100k" else "sampled-99"]
        reached.append((at - started - judging[0], some.metric("ndcg@5", TIE[dataset]).mean()))
        judging[0] += time.perf_counter() - at
        return False

    model.watch = judge
    learnt = split.learnt
    model.fit(learnt, split.validation if split.final is None else None)
    seconds = model.train_seconds - judging[0]
    at = time.perf_counter()
    ranks = rank_cases(model, split.test, ranking.history)
    return {
        "seconds": seconds,
        "epochs": model.epochs,
        "events_per_second": int(np.maximum(learnt.lengths - 1, 0).sum()) * model.epochs / seconds,
        "judged_in": time.perf_counter() - at,
        "cases": len(split.test),
        "reached": reached,
        "measures": {
            protocol: {m: float(protocol_ranks.metric(m, TIE[dataset]).mean()) for m in MEASURES}
            for protocol, protocol_ranks in ranks.items()
        },
    }


MEASURES = ["hr@5", "ndcg@5", "hr@10", "ndcg@10", "recall@20", "mrr@20"]


def large(items: str, events: str, device: str = "cpu", hidden: str = "128") -> dict:
    """One epoch over generated sessions of ten events, items drawn from a Zipf law."""
    import numpy as np

    from studylib.data.sessions import Sessions
    from studylib.models.gru4rec import GRU4Rec

    n_items, n_events = int(items), int(events)
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, n_items + 1)
    sampled = np.searchsorted(np.cumsum(share / share.sum()), random.random(n_events)).clip(max=n_items - 1)
    sessions = Sessions(sampled.astype(np.int32), np.arange(0, n_events + 1, 10), np.arange(n_items))
    model = GRU4Rec(negatives=2048, batch_size=256, max_epochs=1, hidden=int(hidden), device=device).fit(sessions)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "events_per_second": 0.9 * n_events / model.train_seconds,
        "seconds": model.train_seconds,
        "gigabytes": peak,
    }


RECHORUS_EPOCHS, RECHORUS_MEASURED = 41, 4
"""Epochs after which its early stopping ends a full run of these settings, and those that are measured here."""

RECHORUS_START = (
    "import numpy, runpy, sys; numpy.object, numpy.float, numpy.int = object, float, int; "
    "sys.path.insert(0, '.'); runpy.run_path('main.py', run_name='__main__')"
)
"""It uses names that NumPy has dropped since."""


def rechorus() -> dict | None:
    """ReChorus's documented command for a few epochs, and what all of them take with its judging on validation cases."""
    checkout = os.environ.get("RECHORUS")
    if checkout is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "Grocery_and_Gourmet_Food"
        data.mkdir()
        for part in ("train", "dev", "test"):
            packed = Path(os.environ["STUDYLIB_DATA"]) / "rechorus" / data.name / f"{part}.csv.gz"
            (data / f"{part}.csv").write_bytes(gzip.decompress(packed.read_bytes()))
        options = (
            "--model_name GRU4Rec --emb_size 64 --hidden_size 128 --lr 1e-3 --l2 1e-4 --history_max 20 --num_workers 0"
        )
        options += f" --epoch {RECHORUS_MEASURED} --path {folder}/ --dataset {data.name} --save_final_results 0"
        text = _peer(f'-c "{RECHORUS_START}" {options}', Path(checkout) / "src")
    each = float(re.search(r"Best Iter\(dev\).*\[([\d.]+) s\]", text)[1]) / RECHORUS_MEASURED
    return {"seconds_an_epoch": each, "seconds": each * RECHORUS_EPOCHS}


def official() -> dict | None:
    """The official GRU4Rec with its best published settings for RSC15."""
    checkout = os.environ.get("GRU4REC_OFFICIAL")
    if checkout is None:
        return None
    data = Path(os.environ["STUDYLIB_DATA"]) / "rsc15-100k"
    train, test = (data / f"yoochoose-clicks-100k_{part}.txt" for part in ("train_full", "test"))
    text = _peer(f"run.py {train} -t {test} -pf paramfiles/rsc15_xe_shared_100_best.py -d cpu -m 5 20", Path(checkout))
    return {"seconds": float(re.search(r"Total training time: ([\d.]+)s", text)[1]), "says": _last(text, "Recall@")}


def _peer(command: str, folder: Path) -> str:
    python = os.environ.get("PEER_PYTHON", sys.executable)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        f"{python} {command}", shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr


def _last(text: str, begins: str) -> str:
    return next((line for line in reversed(text.splitlines()) if begins in line), "").strip()


def main() -> None:
    passed = []
    for name, peer in (("grocery", rechorus), ("rsc15-100k", official)):
        mine = _alone("ours", name)
        print(f"{name}: {mine['seconds']:.1f} s in {mine['epochs']} epochs, {mine['events_per_second']:,.0f} events/s")
        for protocol, measures in mine["measures"].items():
            print(f"  {protocol}: " + ", ".join(f"{m} {value:.4f}" for m, value in measures.items()))
        print(f"  {mine['cases']:,} cases judged in {mine['judged_in']:.2f} s", flush=True)
        passed.append(mine["judged_in"] <= SECONDS_TO_JUDGE)
        theirs = peer()
        if theirs is None:
            print(f"  its peer was not run ({peer.__name__})")
            continue
        print(f"  {peer.__name__}: {theirs}", flush=True)
        print(f"  ours trains {theirs['seconds'] / mine['seconds']:.1f} times as fast")
        if name == "grocery":
            at = next((s for s, ndcg in mine["reached"] if ndcg >= 0.2616), float("nan"))
            print(f"  its NDCG@5 of 0.2616 is reached after {at:.1f} s, 1/{theirs['seconds'] / at:.0f} of its training")
    million = _alone("large", "1000000", "10000000")
    print(f"a million items: {million['events_per_second']:,.0f} events/s, {million['gigabytes']:.1f} GB", flush=True)
    passed.append(million["gigabytes"] <= GIGABYTES)
    for hidden in HIDDEN_ON_GPU if torch.cuda.is_available() else ():
        mine, million = (
            _alone(*what, "cuda", str(hidden)) for what in (("ours", "grocery"), ("large", "1000000", "10000000"))
        )
        print(
            f"GPU, hidden {hidden}: grocery {mine['events_per_second']:,.0f} events/s, {mine['seconds']:.1f} s in all"
        )
        print(f"  a million items: {million['events_per_second']:,.0f} events/s", flush=True)
    sys.exit(not all(passed))


def _alone(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        from studylib.execution import configure
        from studylib.params.study import Execution

        configure(Execution(threads_per_worker=2))
        what, *arguments = sys.argv[1:]
        print(json.dumps(ours(*arguments) if what == "ours" else large(*arguments)))
