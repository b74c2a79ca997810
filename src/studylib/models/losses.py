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


def product_cross_entropy(vectors: Tensor, output: Tensor, bias: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """`cross_entropy` together with the scores, vectors times output rows plus bias, in few passes over what is large.

    Args:
        vectors: (n, width).
        output, bias: (n_rows, width) and (n_rows,).
        targets, negatives: int64 (n,) and (n_negatives,), the numbers of their rows.
    """
    return _ProductCrossEntropy.apply(vectors, output, bias, targets, negatives)


class _ProductCrossEntropy(torch.autograd.Function):
    TOGETHER = 256
    """Cases at a time, so that their scores stay in the processor's cache from pass to pass."""

    @staticmethod
    def forward(ctx, vectors: Tensor, output: Tensor, bias: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
        n, together = len(targets), _ProductCrossEntropy.TOGETHER
        of_targets, of_negatives = output.index_select(0, targets), output.index_select(0, negatives)
        positive = (vectors * of_targets).sum(1).add_(bias.index_select(0, targets))
        probability = torch.addmm(bias.index_select(0, negatives), vectors, of_negatives.t())
        # A negative that is the true item does not count; few are anybody's, and only these are compared.
        is_target = torch.zeros(len(bias), dtype=torch.bool, device=bias.device)
        is_target[targets] = True
        shared = is_target[negatives].nonzero()[:, 0]
        case, column = (targets[:, None] == negatives[shared]).nonzero(as_tuple=True)
        probability[case, shared[column]] = -torch.inf
        highest, total = torch.empty_like(positive), torch.empty_like(positive)
        parts = (probability, positive, highest, total)
        for scores, of_true, most, whole in zip(*(part.split(together) for part in parts), strict=True):
            torch.maximum(scores.amax(1), of_true, out=most)
            torch.sum(scores.sub_(most[:, None]).exp_(), 1, out=whole)
            whole.add_((of_true - most).exp_())
            scores.mul_((n * whole).reciprocal_()[:, None])
        losses = total.log_().add_(highest).sub_(positive)
        ctx.save_for_backward(vectors, of_targets, of_negatives, probability, (-losses).exp_(), targets, negatives)
        ctx.n_rows = len(bias)
        return losses.mean()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        vectors, of_targets, of_negatives, probability, of_positive, targets, negatives = ctx.saved_tensors
        each = (of_positive - 1) * (gradient / len(targets))
        of_vectors = torch.addcmul(probability @ of_negatives * gradient, of_targets, each[:, None])
        of_output = vectors.new_zeros(ctx.n_rows, vectors.shape[1])
        of_output.index_add_(0, negatives, (vectors.t() @ probability).mul_(gradient).t())
        of_output.index_add_(0, targets, vectors * each[:, None])
        of_bias = vectors.new_zeros(ctx.n_rows).index_add_(0, negatives, probability.sum(0).mul_(gradient))
        return of_vectors, of_output, of_bias.index_add_(0, targets, each), None, None


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
