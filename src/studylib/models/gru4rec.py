"""GRU4Rec: a recurrent network over the items of a session that scores every item as the next.

Architecture of Hidasi et al. 2016 and Hidasi & Karatzoglou 2018 with the sizes and the linear map of Shrimal & Patil 2024
(section 4.1). How it is trained is in `studylib.models.neural`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from studylib.models.cells import GatheredRecurrence, Surroundings, recurrence
from studylib.models.dropout import Dropout
from studylib.models.neural import NeuralRecommender
from studylib.params.models import CELLS, Gru4Rec


class Network(nn.Module):
    """Item vectors to output vectors; the dot product with an item's output row plus its bias is the item's score.

    Attributes:
        tables: one row per item: ``input`` and, unless they share it, ``output``, and ``bias`` (n_items, 1).
    """

    def __init__(self, n_items: int, settings: Gru4Rec):
        super().__init__()
        one_hot = settings.item_embedding == "none"
        width = 3 * settings.hidden if one_hot else settings.embedding
        out = settings.hidden if one_hot else settings.embedding
        self.tables = nn.ParameterDict({"input": torch.empty(n_items, width), "bias": torch.zeros(n_items, 1)})
        if settings.item_embedding != "shared":
            self.tables["output"] = torch.empty(n_items, out)
        for name, table in self.tables.items():
            if name != "bias":
                nn.init.normal_(table, std=table.shape[1] ** -0.5)
        self.decay, self.deep_input = settings.input_decay, settings.deep_input
        self.input_sizes = [width, 1] if self.decay else []
        self.layers, self.surroundings = nn.ModuleList(), nn.ModuleList()
        for depth, kind in enumerate(CELLS[settings.cell] * settings.layers):
            below = settings.hidden + width * self.deep_input if depth else width
            layer = (
                GatheredRecurrence(settings.hidden)
                if one_hot and depth == 0
                else recurrence(kind, below, settings.hidden, settings.arithmetic == "fast")
            )
            self.layers.append(layer)
            around = settings.dropout_hidden, settings.normalise, settings.residual, settings.widening
            self.surroundings.append(Surroundings(below, settings.hidden, *around))
        feed_forward = [
            module
            for _ in range(settings.feed_forward)
            for module in (nn.Linear(settings.hidden, settings.hidden), nn.Tanh())
        ]
        normalised = [nn.LayerNorm(settings.hidden)] if settings.normalise else []
        last = nn.Identity() if out == settings.hidden else nn.Linear(settings.hidden, out)
        self.head = nn.Sequential(*normalised, *feed_forward, last)
        self.dropout_embedding = Dropout(settings.dropout_embedding)

    def forward(self, vectors: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """(n, steps, width) to (n, steps, out), and the state after the last step, tensors (n, size) as `start` returns."""
        state = self.start(len(vectors)) if state is None else state
        x = self.dropout_embedding(vectors)
        x, after = self._weighted(x, state[: len(self.input_sizes)])
        first_input, used = x, len(after)
        for depth, (layer, around) in enumerate(zip(self.layers, self.surroundings, strict=True)):
            if depth and self.deep_input:
                x = torch.cat([x, first_input], -1)
            y, new = layer(around.before(x), state[used : used + len(layer.sizes)])
            x, used, after = around.after(x, y), used + len(new), after + new
        return self.head(x), after

    def start(self, n: int) -> list[Tensor]:
        """The state of n sessions before their first step: zeros."""
        sizes = self.input_sizes + [size for layer in self.layers for size in layer.sizes]
        return [self.tables["bias"].new_zeros(n, size) for size in sizes]

    def _weighted(self, x: Tensor, before: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The input of section 2.1: a mean of the items so far, each weighted ``decay`` times the one after it."""
        if not self.decay:
            return x, []
        step = torch.arange(x.shape[1], device=x.device)
        age = step[:, None] - step
        weights = torch.where(age >= 0, self.decay ** age.clamp(min=0), 0).to(x.dtype)
        carried = (self.decay ** (step + 1)).to(x.dtype)[:, None]
        total = weights @ x + carried * before[0][:, None]
        weight = weights.sum(1, keepdim=True) + carried * before[1][:, None]
        return total / weight, [total[:, -1], weight[:, -1]]


class GRU4Rec(NeuralRecommender):
    """GRU4Rec with any of the cells of `studylib.params.models.CELLS`, trained as `NeuralRecommender` says.

    Example:
        >>> GRU4Rec(dropout_hidden=0.3).settings.embedding
        64
    """

    settings_class = Gru4Rec
    settings: Gru4Rec

    def build(self, n_items: int) -> nn.Module:
        return Network(n_items, self.settings)
