"""Adam and Adagrad for item tables of which a step needs only a few rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from studylib.params.models import Trained


class Optimizer:
    """Adam, or Adagrad with momentum (as in the official GRU4Rec), that updates only the rows of the item tables in a step.

    Adam updates a row while its gradient is zero, too: the first moment decays and still moves the weight. A row catches up
    on the steps without it when it is taken again, by the closed sum of these updates. So the training is that of
    `torch.optim.Adam`, but for weight decay, which only acts on the rows of a step.
    """

    BETA, BETA_SQUARE, EPSILON = 0.9, 0.999, 1e-8
    RATIO = BETA / BETA_SQUARE**0.5
    """Of a push to the one before, while the gradient is zero."""
    SETTLED = 20_000
    """Steps after which Adam's corrections for its start at zero are one."""

    def __init__(self, network: nn.Module, settings: Trained, fast: bool = False):
        self.settings, self.rate, self.fast = settings, settings.learning_rate, fast
        self.weights = {name: weight.data for name, weight in network.named_parameters()}
        self.moments = {name: (torch.zeros_like(w), torch.zeros_like(w)) for name, w in self.weights.items()}
        self.steps = 0
        self.last_step = torch.zeros(len(network.tables["bias"]), 1, device=network.tables["bias"].device)
        """float32 (n_items, 1): the step up to which a row has moved."""
        corrections = np.arange(1, self.SETTLED + 2)
        corrections = np.sqrt(1 - self.BETA_SQUARE**corrections) / (1 - self.BETA**corrections)
        left = [self.RATIO / (1 - self.RATIO)]
        for correction in corrections[::-1]:
            left.append(self.RATIO * (correction + left[-1]))
        self.left_to_push = torch.tensor(left[:0:-1], dtype=torch.float32, device=self.last_step.device)
        """All pushes to come after a step if the gradient stays zero, in units of the mean over the root of the square."""

    @torch.no_grad()
    def take(self, rows: Tensor | None) -> dict[str, Tensor]:
        """The ``rows`` (None: all) of the item tables as they are at this step, to compute a gradient with."""
        self.rows = rows
        self.taken = {name: [weight, *self.moments[name]] for name, weight in self.weights.items()}
        tables = [name for name in self.taken if name.startswith("tables.")]
        if rows is not None:
            for name in tables:
                self.taken[name] = [table.index_select(0, rows) for table in self.taken[name]]
        if self.settings.optimizer == "adam":
            self._catch_up(
                [self.taken[name] for name in tables], self.last_step if rows is None else self.last_step[rows]
            )
        return {name.removeprefix("tables."): self.taken[name][0] for name in tables}

    def _catch_up(self, tables: list[list[Tensor]], last_step: Tensor) -> None:
        missed = self.steps - last_step
        left = self.left_to_push.take(last_step.long().clamp_(max=self.SETTLED))
        pushes = left - self.RATIO**missed * self.left_to_push[min(self.steps, self.SETTLED)]
        fading, fading_square = self.BETA**missed, self.BETA_SQUARE**missed
        for weight, mean, square in tables:
            weight.sub_(mean * (self.rate * pushes) / square.sqrt().add_(self.EPSILON))
            mean.mul_(fading)
            square.mul_(fading_square)

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor]) -> None:
        """Update the rows that were taken, and all other weights, by their gradients."""
        self.steps += 1
        if self.settings.optimizer == "adam" and self.fast:
            self._adam_in_one_pass(gradients)
        else:
            update = self._adam if self.settings.optimizer == "adam" else self._adagrad
            for name, gradient in gradients.items():
                if self.settings.l2:
                    gradient = gradient.add(self.taken[name][0], alpha=self.settings.l2)
                weight, mean, square = self.taken[name]
                update(weight, mean, square, gradient)
        for name in self.taken if self.rows is not None else ():
            if name.startswith("tables."):
                for table, moved in zip((self.weights[name], *self.moments[name]), self.taken[name], strict=True):
                    table.index_copy_(0, self.rows, moved)
        self.last_step[slice(None) if self.rows is None else self.rows] = self.steps

    def flush(self) -> None:
        """Bring every row up to this step."""
        self.take(None)
        self.last_step.fill_(self.steps)

    def _adam(self, weight: Tensor, mean: Tensor, square: Tensor, gradient: Tensor) -> None:
        mean.lerp_(gradient, 1 - self.BETA)
        square.mul_(self.BETA_SQUARE).addcmul_(gradient, gradient, value=1 - self.BETA_SQUARE)
        divisor = (square / (1 - self.BETA_SQUARE**self.steps)).sqrt_().add_(self.EPSILON)
        weight.addcdiv_(mean, divisor, value=-self.rate / (1 - self.BETA**self.steps))

    def _adam_in_one_pass(self, gradients: dict[str, Tensor]) -> None:
        """`_adam` of all weights by PyTorch's fused form, which reads and writes each number once."""
        weights, means, squares = (list(tensors) for tensors in zip(*map(self.taken.get, gradients), strict=True))
        done = [torch.full((), self.steps - 1.0) for _ in weights]
        adam(
            weights, [gradient.contiguous() for gradient in gradients.values()], means, squares, [], done, fused=True,
            lr=self.rate, beta1=self.BETA, beta2=self.BETA_SQUARE, eps=self.EPSILON, weight_decay=self.settings.l2,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def _adagrad(self, weight: Tensor, velocity: Tensor, square: Tensor, gradient: Tensor) -> None:
        square.addcmul_(gradient, gradient)
        velocity.mul_(self.settings.momentum).addcdiv_(gradient, (square + 1e-6).sqrt_(), value=-self.rate)
        weight.add_(velocity)
