"""GRU4Rec in PyTorch: a GRU over item embeddings that scores the next item by a dot product with the same embeddings.

Architecture of Hidasi et al. 2016 with the sizes and the linear map of Shrimal & Patil 2024 (Algorithm 1, section 4.1).
Every position of a session is a training case: one pass of the GRU over a batch of sessions of like length, then a
softmax over the true next item and sampled negatives, corrected for how likely each was drawn (logQ).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.evaluation.ranking import rank_cases
from studylib.models.base import Recommender
from studylib.params import Gru4Rec
from studylib.progress import track


class Network(nn.Module):
    """Items to a vector per position; the dot product with an item's embedding plus its bias is the item's score."""

    def __init__(self, n_items: int, embedding: int, hidden: int, dropout: float):
        super().__init__()
        self.items = nn.Embedding(n_items, embedding)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.gru = nn.GRU(embedding, hidden, batch_first=True)
        self.out = nn.Linear(hidden, embedding)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.items.weight, std=embedding**-0.5)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """int64 (batch, steps) to float32 (batch, steps, embedding)."""
        hidden, _ = self.gru(self.dropout(self.items(items)))
        return self.out(self.dropout(hidden))


class GRU4Rec(Recommender):
    """GRU4Rec with early stopping on validation NDCG@10 over the whole catalogue; the best weights are restored.

    Args:
        history: the last visits that a prediction is based on; longer sessions are cut into pieces of this many predictions.
        seed: of the initial weights, the negatives and the order of the batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        settings: those of `studylib.params.Gru4Rec`, which has their meanings and defaults.

    Example:
        >>> GRU4Rec(dropout=0.3).settings.embedding
        64
    """

    def __init__(self, history: int = 20, seed: int = 0, device: str = "auto", **settings):
        self.settings = Gru4Rec(**settings)
        self.history, self.seed = history, seed
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        chosen = self.settings
        torch.manual_seed(self.seed)
        order = np.random.default_rng(self.seed)
        self.network = Network(train.n_items, chosen.embedding, chosen.hidden, chosen.dropout).to(self.device)
        self.parameters = sum(p.numel() for p in self.network.parameters())
        optimizer = torch.optim.Adam(self.network.parameters(), lr=chosen.learning_rate, weight_decay=chosen.l2)
        sampled = 0 < chosen.negatives < train.n_items
        sampler = NegativeSampler(self.popularity, chosen.alpha, self.device) if sampled else None
        pieces = cut(train, self.history + 1)
        if not len(pieces):
            raise StudyError(
                "GRU4Rec has nothing to learn: no training session has two visits. Use longer sessions, or another split."
            )
        has_validation = validation is not None and len(validation) > 0

        self.curve: list[dict[str, float]] = []
        best_value, best_weights, best_epoch = -1.0, None, 0
        for epoch in track(range(1, chosen.max_epochs + 1), "GRU4Rec, epochs at most"):
            self.network.train()
            losses = []
            for items, lengths in batches(pieces, chosen.batch_size, order):
                items, lengths = torch.from_numpy(items).to(self.device), torch.from_numpy(lengths).to(self.device)
                real = torch.arange(items.shape[1] - 1, device=self.device) < lengths[:, None] - 1
                vectors, targets = self.network(items[:, :-1])[real], items[:, 1:][real]
                loss = self._loss(vectors, targets, sampler)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            self.epochs = epoch
            self.curve.append({"epoch": epoch, "loss": float(torch.stack(losses).mean())})
            if not has_validation:
                continue
            value = float(rank_cases(self, validation, self.history)["full"].metric("ndcg@10").mean())
            self.curve[-1]["validation_ndcg@10"] = value
            if value > best_value:
                best_value, best_weights, best_epoch = value, copy.deepcopy(self.network.state_dict()), epoch
            elif epoch - best_epoch >= chosen.patience:
                break
        if best_weights is not None:
            self.network.load_state_dict(best_weights)

    def _loss(self, vectors: torch.Tensor, targets: torch.Tensor, sampler: NegativeSampler | None) -> torch.Tensor:
        """Mean cross-entropy of the true next items; vectors (n, embedding), targets (n,)."""
        items, bias = self.network.items.weight, self.network.bias
        if sampler is None:
            return F.cross_entropy(F.linear(vectors, items, bias), targets)
        negatives = sampler.draw(self.settings.negatives)
        positive = (vectors * items[targets]).sum(-1) + bias[targets] - sampler.log_q[targets]
        negative = F.linear(vectors, items[negatives], bias[negatives] - sampler.log_q[negatives])
        negative = negative.masked_fill(negatives == targets[:, None], -torch.inf)
        return (torch.logsumexp(torch.cat([positive[:, None], negative], 1), 1) - positive).mean()

    @torch.inference_mode()
    def score(self, prefixes: Sessions) -> np.ndarray:
        self.network.eval()
        from_end = np.repeat(prefixes.offsets[1:], prefixes.lengths) - np.arange(len(prefixes.items))
        prefixes = prefixes.select(from_end <= self.history)
        items, lengths = pad(prefixes, np.arange(len(prefixes)))
        items, lengths = torch.from_numpy(items).to(self.device), torch.from_numpy(lengths).to(self.device)
        vectors = self.network(items)[torch.arange(len(items), device=self.device), lengths - 1]
        return F.linear(vectors, self.network.items.weight, self.network.bias).cpu().numpy()

    def state(self) -> dict[str, np.ndarray]:
        return {name: weight.cpu().numpy() for name, weight in self.network.state_dict().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        chosen = self.settings
        self.network = Network(len(self.vocabulary), chosen.embedding, chosen.hidden, chosen.dropout).to(self.device)
        self.network.load_state_dict({name: torch.from_numpy(weight) for name, weight in state.items()})


class NegativeSampler:
    """Draws items in proportion to popularity**alpha; ``log_q`` is the logarithm of an item's probability.

    Items never seen in training are drawn as if seen once, so that every item is somebody's negative.
    """

    def __init__(self, popularity: np.ndarray, alpha: float, device: str):
        weights = np.maximum(popularity, 1) ** alpha
        share = weights / weights.sum()
        self.cumulated = torch.from_numpy(np.cumsum(share)).to(device)
        self.log_q = torch.from_numpy(np.log(share)).float().to(device)

    def draw(self, count: int) -> torch.Tensor:
        """int64 (count,), with replacement."""
        uniform = torch.rand(count, dtype=torch.float64, device=self.cumulated.device)
        return torch.searchsorted(self.cumulated, uniform).clamp_(max=len(self.cumulated) - 1)


def cut(sessions: Sessions, length: int) -> Sessions:
    """Cut sessions into pieces of at most ``length`` visits, from the end.

    Neighbouring pieces share a visit, which is the last target of one and the first input of the next, so that every visit
    but the first of a session is a target exactly once. Sessions of one visit vanish.
    """
    n_pieces = np.maximum(-(-(sessions.lengths - 1) // (length - 1)), 0)
    session = np.repeat(np.arange(len(sessions)), n_pieces)
    last_piece = np.cumsum(n_pieces) - 1
    from_end = last_piece[session] - np.arange(len(session))
    end = sessions.offsets[1:][session] - from_end * (length - 1)
    start = np.maximum(end - length, sessions.offsets[:-1][session])
    lengths = end - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    events = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Sessions(sessions.items[events], offsets, sessions.vocabulary)


def pad(sessions: Sessions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sessions as int64 (n, longest), filled up with item 0 at the end, and their lengths, int64 (n,)."""
    lengths = sessions.lengths[rows]
    column = np.arange(lengths.max())
    events = np.minimum(sessions.offsets[rows][:, None] + column, len(sessions.items) - 1)
    return np.where(column < lengths[:, None], sessions.items[events], 0).astype(np.int64), lengths


def batches(sessions: Sessions, batch_size: int, random: np.random.Generator):
    """All sessions once in random order, in batches of like length, as `pad` gives them."""
    shuffled = random.permutation(len(sessions))
    by_length = shuffled[np.argsort(sessions.lengths[shuffled], kind="stable")]
    starts = np.arange(0, len(sessions), batch_size)
    for start in random.permutation(starts):
        yield pad(sessions, by_length[start : start + batch_size])
