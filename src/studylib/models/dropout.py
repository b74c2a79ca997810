"""Dropout: by PyTorch's generator or, in fast arithmetic, by masks from a generator of one's own.

PyTorch draws a number for each element, one after the other: 13 ns each, a twelfth of a training step. Here one draw of 64 bits
decides for four elements, in 1 ns each.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Masks:
    """Draws what is kept: 16 random bits an element, so that a probability is met to 1 in 65,536.

    Args:
        seed: of the generator (SFC64).
    """

    def __init__(self, *seed: int):
        self.generator = np.random.SFC64(seed)

    def draw(self, shape: torch.Size, p: float) -> Tensor:
        """float32 of this shape: 0 with probability ``p``, else 1 / (1 - p)."""
        count = shape.numel()
        bits = self.generator.random_raw(-(-count // 4)).view(np.uint16)[:count]
        kept = np.multiply(bits >= round(p * 2**16), np.float32(1 / (1 - p)), dtype=np.float32)
        return torch.from_numpy(kept).view(shape)


_of_thread = threading.local()


@contextmanager
def drawn_from(masks: Masks | None) -> Iterator[None]:
    """In this thread every `dropout` takes its masks from here; None: from PyTorch's generator, as without."""
    _of_thread.masks = masks
    try:
        yield
    finally:
        _of_thread.masks = None


def dropout(x: Tensor, p: float, whole: bool = False) -> Tensor:
    """``x`` with elements set to zero by probability ``p``, the others scaled so that the mean stays.

    Args:
        whole: drop all of the last axis of ``x`` (n, steps, width) at once.
    """
    masks = getattr(_of_thread, "masks", None)
    if masks is None:
        return F.dropout1d(x, p) if whole else F.dropout(x, p)
    if p == 0:
        return x
    return x * masks.draw(torch.Size([*x.shape[:-1], 1]) if whole else x.shape, p)


class Dropout(nn.Dropout):
    """`dropout` as a layer, in training alone."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x
