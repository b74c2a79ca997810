"""SASRec: self-attention over the events of a session, trained as `studylib.models.neural` trains every network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from studylib.models.neural import NeuralRecommender
from studylib.params.models import SasRec


class AttentionNetwork(nn.Module):
    """Item vectors to output vectors (Kang & McAuley 2018, section III): each event attends to itself and those before it.

    Attributes:
        tables: one row per item: ``input``, which the scores share, and ``bias`` (n_items, 1).
    """

    def __init__(self, n_items: int, history: int, settings: SasRec):
        super().__init__()
        width = settings.embedding
        self.tables = nn.ParameterDict({"input": torch.empty(n_items, width), "bias": torch.zeros(n_items, 1)})
        nn.init.normal_(self.tables["input"], std=width**-0.5)
        self.positions = nn.Parameter(torch.empty(history, width))
        nn.init.normal_(self.positions, std=width**-0.5)
        self.dropout = nn.Dropout(settings.dropout_embedding)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, settings.heads, width, settings.dropout_hidden, batch_first=True, norm_first=True
            )
            for _ in range(settings.blocks)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor, state: None = None) -> tuple[Tensor, list[Tensor]]:
        """(n, steps, width) to (n, steps, width); there is no state, so the second is empty.

        Padding comes after the end of a session, where no event attends.
        """
        steps = vectors.shape[1]
        x = self.dropout(vectors + self.positions[:steps])
        later = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        for block in self.blocks:
            x = block(x, src_mask=later)
        return self.norm(x), []


class SASRec(NeuralRecommender):
    """SASRec, trained as GRU4Rec is, so that only the network differs.

    Example:
        >>> SASRec(blocks=1).settings.heads
        1
    """

    settings_class = SasRec
    settings: SasRec

    def build(self, n_items: int) -> nn.Module:
        return AttentionNetwork(n_items, self.history, self.settings)
