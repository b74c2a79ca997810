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


def product_cross_entropy(
    vectors: Tensor, output: Tensor, bias: Tensor, targets: Tensor, negatives: Tensor | None
) -> Tensor:
    """`cross_entropy` together with the scores, vectors times output rows plus bias, and with its gradient.

    The gradient is made along with the loss, some cases at a time, so that their scores never leave the processor's cache; an
    array of all scores would come and go from memory five times.

    Args:
        vectors: (n, width).
        output, bias: (n_rows, width) and (n_rows,).
        targets, negatives: int64 (n,) and (n_negatives,), the numbers of their rows; None: all rows are negatives.
    """
    return _ProductCrossEntropy.apply(vectors, output, bias, targets, negatives)


class _ProductCrossEntropy(torch.autograd.Function):
    TOGETHER = 1 << 18
    """Scores at a time: a megabyte."""

    @staticmethod
    def forward(
        ctx, vectors: Tensor, output: Tensor, bias: Tensor, targets: Tensor, negatives: Tensor | None
    ) -> Tensor:
        n, width = vectors.shape
        of_targets = output.index_select(0, targets)
        positive = (vectors * of_targets).sum(1).add_(bias.index_select(0, targets))
        rows, of_rows, biases = output, output.t(), bias
        if negatives is not None:
            rows, biases = output.index_select(0, negatives), bias.index_select(0, negatives)
            of_rows = rows.t()
        same_case, same_column = _same(targets, negatives, len(bias))
        highest, total, of_vectors = torch.empty_like(positive), torch.empty_like(positive), torch.empty_like(vectors)
        of_output, of_bias = torch.zeros_like(rows), torch.zeros_like(biases)
        together = max(1, _ProductCrossEntropy.TOGETHER // len(rows))
        starts = range(0, n, together)
        first_same = torch.searchsorted(same_case, torch.tensor([*starts, n], device=same_case.device)).tolist()
        for part, start in enumerate(starts):
            cases, same = slice(start, start + together), slice(first_same[part], first_same[part + 1])
            scores = torch.addmm(biases, vectors[cases], of_rows)
            scores[same_case[same] - start, same_column[same]] = -torch.inf
            most = torch.maximum(scores.amax(1), positive[cases], out=highest[cases])
            whole = torch.sum(scores.sub_(most[:, None]).exp_(), 1, out=total[cases])
            whole.add_((positive[cases] - most).exp_())
            scores.mul_((n * whole).reciprocal_()[:, None])
            torch.mm(scores, rows, out=of_vectors[cases])
            of_output.addmm_(scores.t(), vectors[cases])
            of_bias.add_(scores.sum(0))
        losses = total.log_().add_(highest).sub_(positive)
        each = (-losses).exp_().sub_(1).div_(n)
        of_vectors.addcmul_(of_targets, each[:, None])
        if negatives is not None:
            of_output = vectors.new_zeros(len(bias), width).index_add_(0, negatives, of_output)
            of_bias = vectors.new_zeros(len(bias)).index_add_(0, negatives, of_bias)
        of_output.index_add_(0, targets, vectors * each[:, None])
        of_bias.index_add_(0, targets, each)
        ctx.save_for_backward(of_vectors, of_output, of_bias)
        return losses.mean()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        of_vectors, of_output, of_bias = ctx.saved_tensors
        return of_vectors * gradient, of_output * gradient, of_bias * gradient, None, None


def _same(targets: Tensor, negatives: Tensor | None, n_rows: int) -> tuple[Tensor, Tensor]:
    """int64 (n_same,) each: the cases, in ascending order, and the columns where a negative is the true item and not counted."""
    if negatives is None:
        return torch.arange(len(targets), device=targets.device), targets
    # Few negatives are anybody's target, and only these are compared.
    is_target = torch.zeros(n_rows, dtype=torch.bool, device=targets.device)
    is_target[targets] = True
    shared = is_target[negatives].nonzero()[:, 0]
    case, column = (targets[:, None] == negatives[shared]).nonzero(as_tuple=True)
    return case, shared[column]


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
