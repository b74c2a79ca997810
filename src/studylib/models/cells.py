"""Recurrent layers over a batch of sessions: from inputs and the previous state to outputs and the next state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Recurrence(nn.Module):
    """A GRU or LSTM layer: (n, steps, width) and its state, tensors (n, hidden), to (n, steps, hidden) and the next state."""

    def __init__(self, kind: str, width: int, hidden: int):
        super().__init__()
        self.layer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](width, hidden, batch_first=True)
        self.sizes = [hidden] * {"gru": 1, "lstm": 2}[kind]

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        before = [tensor[None].contiguous() for tensor in state]
        x, after = self.layer(x, before[0] if len(before) == 1 else tuple(before))
        return x, [tensor[0] for tensor in (after if isinstance(after, tuple) else (after,))]


class GatheredRecurrence(nn.Module):
    """A GRU layer over one-hot items: its input is the row of the input kernel that the item selects, (n, steps, 3 hidden)."""

    def __init__(self, hidden: int):
        super().__init__()
        recurrent = nn.GRU(1, hidden)  # for its initial weights
        self.kernel, self.bias = recurrent.weight_hh_l0, recurrent.bias_hh_l0
        self.sizes = [hidden]

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        hidden, steps = state[0], []
        for inputs in x.unbind(1):
            r, z, n = inputs.chunk(3, -1)
            from_r, from_z, from_n = F.linear(hidden, self.kernel, self.bias).chunk(3, -1)
            z = torch.sigmoid(z + from_z)
            hidden = z * hidden + (1 - z) * torch.tanh(n + torch.sigmoid(r + from_r) * from_n)
            steps.append(hidden)
        return torch.stack(steps, 1), [hidden]
