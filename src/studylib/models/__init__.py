"""All models behind one interface: `build` makes the one that a params file names."""

from __future__ import annotations

from studylib.models.base import Recommender
from studylib.models.baselines import Markov, Popularity
from studylib.models.factors import BPR
from studylib.models.gru4rec import GRU4Rec
from studylib.models.neighbours import ItemKNN, SessionKNN
from studylib.models.sasrec import SASRec
from studylib.params import Model

WITHOUT_CHANCE = {"popularity": Popularity, "markov": Markov, "item-knn": ItemKNN, "session-knn": SessionKNN}
"""Models that nothing random goes into, and that choose for themselves how far back they look."""


def build(model: Model, history: int, seed: int, device: str, exclude_visited: bool | None = None) -> Recommender:
    """The model, not fitted.

    Args:
        model: an entry of ``ranking.models``.
        history: the last visits that a prediction is based on.
        seed: of everything random in the training.
        device: ``auto``, ``cpu`` or ``cuda``.
        exclude_visited: as in ``ranking``.
    """
    if model.model in WITHOUT_CHANCE:
        built = WITHOUT_CHANCE[model.model](**model.settings)
    elif model.model == "bpr-mf":
        built = BPR(**model.settings, history=history, seed=seed)
    else:
        built = {"gru4rec": GRU4Rec, "sasrec": SASRec}[model.model](
            **model.settings, history=history, seed=seed, device=device
        )
    built.settings = model  # with its label
    built.exclude_visited = exclude_visited
    return built
