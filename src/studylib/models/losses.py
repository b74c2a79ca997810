"""Losses of the positive item, mostly the true next one, against negatives, each a mean over the cases."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(positive: Tensor, negative: Tensor, same: Tensor) -> Tensor:
    """Of the true item among itself and the negatives, mean over the cases.

    Args:
        positive: (n,), the scores of the targets.
        negative: (n, n_negatives), those of the negatives.
        same: bool (n, n_negatives), where a negative is the true item, which does not count.
    """
    return _CrossEntropy.apply(positive, negative.to(positive.dtype), same)


class _CrossEntropy(torch.autograd.Function):
    """`cross_entropy` with one array of the negatives' size a pass.

    A chain of PyTorch's operations makes several. With 2,048 negatives their coming and going took a third of a step and, under
    glibc 2.36, more and more memory.
    """

    @staticmethod
    def forward(ctx, positive: Tensor, negative: Tensor, same: Tensor) -> Tensor:
        probability = negative.masked_fill(same, -torch.inf)
        highest = torch.maximum(probability.amax(1), positive)
        of_positive = positive - highest
        total = probability.sub_(highest[:, None]).exp_().sum(1) + of_positive.exp()
        losses = total.log() - of_positive
        ctx.save_for_backward(probability.div_(total[:, None]), (-losses).exp())
        return losses.mean()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        of_negatives, of_positive = ctx.saved_tensors
        each = gradient / len(of_positive)
        return (of_positive - 1) * each, of_negatives * each, None


def bpr(positive: Tensor, negative: Tensor, same: Tensor) -> Tensor:
    """Minus the log-probability that the true item beats a negative, mean over negatives and cases (Rendle et al. 2009)."""
    each = F.softplus(negative - positive[:, None]).masked_fill(same, 0)
    return (each.sum(1) / (~same).sum(1).clamp(min=1)).mean()


def bpr_max(positive: Tensor, negative: Tensor, same: Tensor, regularisation: float) -> Tensor:
    """-log of the expected BPR against the highest negative, plus its expected squared score (Hidasi & Karatzoglou 2018).

    The softmax over the negatives' scores stands for the probability that a negative is the highest.
    """
    weight = _softmax(negative, same)
    beaten = (weight * torch.sigmoid(positive[:, None] - negative)).sum(1)
    return (-torch.log(beaten + 1e-24) + regularisation * (weight * negative**2).sum(1)).mean()


def algorithm_1(positive: Tensor, negative: Tensor, same: Tensor) -> Tensor:
    """Algorithm 1 of Shrimal & Patil 2024 as printed (lines 17 and 18); which item is the positive one is a setting.

    Subtracting the sum of the scores inside of the softmax changes nothing, and the logarithm of BPR-max is missing.
    """
    return -(_softmax(negative, same) * torch.sigmoid(positive[:, None] - negative)).sum(1).mean()


def _softmax(negative: Tensor, same: Tensor) -> Tensor:
    return torch.softmax(negative.masked_fill(same, torch.finfo(negative.dtype).min), 1)
