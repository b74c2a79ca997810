"""The one training loop of the neural models, and how they score: a model is a network over item vectors.

It is fast because a step only touches the rows of the item tables that its batch needs (inputs, targets and negatives), so
that its time does not depend on the size of the catalogue.
"""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studylib.data.sessions import Cases, Sessions, checksum
from studylib.errors import StudyError
from studylib.evaluation.ranking import validation_ndcg
from studylib.models.base import Recommender
from studylib.models.batches import BATCHES, Batch, NegativeSampler, pad
from studylib.models.dropout import Masks, drawn_from, dropout
from studylib.models.losses import algorithm_1, bpr, bpr_max, cross_entropy, product_cross_entropy
from studylib.models.optimizer import Optimizer
from studylib.params.models import Trained
from studylib.progress import track


class Step(NamedTuple):
    """What a training step is about: a batch, its negatives, and the state that it goes on from, if any.

    Attributes:
        inputs, is_case: int64 and bool (n, steps), numbers of rows of the item tables, and where they have a target.
        targets: int64 (n_cases,), rows too.
        negatives: int64 (n_negatives,) for all cases, (n_cases, n_negatives), or None for all items.
    """

    inputs: Tensor
    is_case: Tensor
    targets: Tensor
    negatives: Tensor | None
    before: list[Tensor] | None

    def parts(self, count: int) -> Iterator[Step]:
        """At most ``count`` parts of about as many sessions."""
        if count == 1:
            yield self
            return
        first_case = [0, *self.is_case.sum(1).cumsum(0).tolist()]
        for start, end in pairwise(sorted({len(self.inputs) * part // count for part in range(count + 1)})):
            rows, cases = slice(start, end), slice(first_case[start], first_case[end])
            negatives = self.negatives
            if negatives is not None and negatives.dim() == 2:
                negatives = negatives[cases]
            before = None if self.before is None else [tensor[rows] for tensor in self.before]
            yield Step(self.inputs[rows], self.is_case[rows], self.targets[cases], negatives, before)


class NeuralRecommender(Recommender):
    """A network in PyTorch, trained with early stopping on validation NDCG@10; the best weights are restored.

    Args:
        history: how many of the last events a prediction is based on.
        seed: of the initial weights, the negatives and the order of the batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        settings: those of the model's entry in `studylib.params.models`, which has their meanings and defaults.

    Attributes:
        network: item vectors (n, steps, width) to output vectors, with the ``tables`` of the items: ``input``, perhaps
            ``output``, and ``bias`` (n_items, 1).
        watch: called after each epoch with its number and the best validation value so far; returns whether to stop.
        masks: for each part of a batch, where its dropout comes from.
        curve: for each epoch ``epoch``, ``loss`` and, with validation cases, ``validation_ndcg@10``.
    """

    settings: Trained
    ROWS = 128
    """Prefixes that go through the network at a time when they are scored."""
    PARTS = 2
    """Of each batch in fast arithmetic. Two threads with a part each wait for one another once a step, not at each operation; one
    thread takes the parts in turn, so that the numbers are the same."""

    def __init__(self, history: int = 20, seed: int = 0, device: str = "auto", **settings):
        super().__init__(history, seed, device, **settings)
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.watch: Callable[[int, float], bool] = lambda epoch, best: False
        self.fast = self.settings.arithmetic == "fast" and self.device == "cpu"
        self.masks: list[Masks | None] = [None]

    @abstractmethod
    def build(self, n_items: int) -> nn.Module:
        """The network for a catalogue of this size, with its initial weights."""

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        torch.manual_seed(self.seed)
        self.network = self.build(train.n_items).to(self.device)
        self._train(train, validation, self.settings.max_epochs, self.settings.learning_rate)

    UPDATE_EPOCHS, UPDATE_RATE = 10, 1 / 4
    """Of an update, and its learning rate as a share of that of a training."""

    def update(self, new: Sessions) -> Self:
        """A model that goes on learning, from new sessions, and takes in the items that only they have; this one stays as it is.

        It begins with what was learnt, and with a row for each new item as in a training; the optimizer begins anew. Sessions
        that go on are best given whole, for what follows an event can only be learnt beside it; their earlier events then count
        twice in ``popularity``.

        Raises:
            StudyError: no new session has two events.
        """
        started = time.perf_counter()
        vocabulary, rows, new_rows = _united(self.vocabulary, new.vocabulary)
        new = Sessions(new_rows[new.items].astype(np.int32), new.offsets, vocabulary)
        grown = copy(self)
        grown.vocabulary = vocabulary
        grown.popularity = np.bincount(new.items, minlength=len(vocabulary))
        grown.popularity[rows] += self.popularity
        grown.has_repeats = self.has_repeats or new.has_repeats
        grown.trained_on = checksum(self.trained_on.encode(), new.checksum.encode())
        torch.manual_seed(self.seed)
        grown.network = self.build(len(vocabulary)).to(self.device)
        learnt = self.network.state_dict()
        for name, weight in grown.network.state_dict().items():
            weight[rows if name.startswith("tables.") else ...] = learnt[name]
        grown._train(new, None, self.UPDATE_EPOCHS, self.settings.learning_rate * self.UPDATE_RATE)
        grown.epochs += self.epochs
        grown.train_seconds = time.perf_counter() - started
        return grown

    def _train(self, train: Sessions, validation: Cases | None, epochs: int, rate: float) -> None:
        """Train the network as it is."""
        settings = self.settings
        if not (train.lengths > 1).any():
            raise StudyError(
                "There is nothing to learn: no training session has two events. Use longer sessions, or another split."
            )
        random = np.random.default_rng(self.seed)
        self.parameters = sum(p.numel() for p in self.network.parameters())
        self.sampler = NegativeSampler(self.popularity, settings.alpha, self.device)
        if self.fast:
            self.masks = [Masks(self.seed, part) for part in range(self.PARTS)]
        optimizer = Optimizer(self.network, settings, self.fast)
        if validation is not None and len(validation) > settings.validation_cases:
            sample = np.random.default_rng(0).choice(len(validation), settings.validation_cases, replace=False)
            validation = validation.take(np.sort(sample))

        self.curve: list[dict[str, float]] = []
        best_value, best_weights, best_epoch = -1.0, None, 0
        optimizer.rate = rate
        for epoch in track(range(1, epochs + 1), f"{settings.label}, epochs at most"):
            self.network.train()
            if settings.schedule == "cosine":
                optimizer.rate = rate * (1 + np.cos(np.pi * (epoch - 1) / epochs)) / 2
            losses, state = [], None
            with self._threads() as at_once:
                for batch in BATCHES[settings.batches](train, settings.batch_size, self.history, random):
                    loss, gradients, state = self.gradients(batch, state, optimizer.take, at_once)
                    optimizer.step(gradients)
                    losses.append(loss)
                optimizer.flush()
            self.epochs = epoch
            self.curve.append({"epoch": epoch, "loss": float(torch.stack(losses).mean())})
            if validation is None or not len(validation):
                continue
            value = validation_ndcg(self, validation, self.history, settings.validation)
            self.curve[-1]["validation_ndcg@10"] = value
            if value > best_value:
                best_value, best_epoch = value, epoch
                best_weights = {name: weight.clone() for name, weight in self.network.state_dict().items()}
            elif epoch - best_epoch >= settings.patience:
                break
            if self.watch(epoch, best_value):
                break
        if best_weights is not None:
            self.network.load_state_dict(best_weights)

    @contextlib.contextmanager
    def _threads(self) -> Iterator[Callable]:
        """`map` for the parts of a batch, on threads of their own where there are several of both.

        An operation has one thread: most are so small that a second costs more than it gives (on two cores half of the speed),
        and a sum has the same last digit whatever the number of threads.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            if len(self.masks) == 1 or threads == 1:
                yield map
            else:
                with ThreadPoolExecutor(min(len(self.masks), threads)) as pool:
                    yield pool.map
        finally:
            torch.set_num_threads(threads)

    def gradients(
        self,
        batch: Batch,
        state: list[Tensor] | None,
        take: Callable[[Tensor | None], dict[str, Tensor]],
        at_once: Callable = map,
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss of a batch and its gradient.

        Args:
            state: after the previous batch, where this one continues from it.
            take: returns the rows, int64 (None: all), of the item tables.
            at_once: `map`, for the parts of the batch.

        Returns:
            The loss; the gradient of each parameter by its name, of the item tables for the rows alone; the state after.
        """
        inputs = torch.from_numpy(batch.inputs).to(self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        is_case = targets >= 0
        targets = (targets if self.settings.positive == "next" else inputs)[is_case]
        negatives = self._negatives(targets)
        rows = None
        if negatives is not None:
            # The rows that the step needs become small tables of their own, and items the numbers of their rows.
            parts = (inputs, targets, negatives)
            rows, index = torch.unique(torch.cat([part.reshape(-1) for part in parts]), return_inverse=True)
            index = index.split([part.numel() for part in parts])
            inputs, targets, negatives = (i.view(part.shape) for i, part in zip(index, parts, strict=True))
        tables = take(rows)
        before = None if batch.lanes is None else self._carry(state, torch.from_numpy(batch.lanes).to(self.device))
        step = Step(inputs, is_case, targets, negatives, before)
        of_part = partial(self._gradients, n_cases=len(targets), rows=rows, tables=tables)
        done = list(at_once(of_part, self.masks, step.parts(len(self.masks))))
        loss, gradients, _ = done[0]
        for more, others, _ in done[1:]:
            loss = loss + more
            for name, gradient in gradients.items():
                gradient.add_(others[name])
        return loss, gradients, [torch.cat(tensors) for tensors in zip(*(after for *_, after in done), strict=True)]

    def _gradients(
        self, masks: Masks | None, part: Step, n_cases: int, rows: Tensor | None, tables: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """As `gradients`, of a part of the ``n_cases`` of a step, its dropout from ``masks``."""
        tables = {name: table.detach().requires_grad_() for name, table in tables.items()}
        with self._precision(), drawn_from(masks):
            embedded = dropout(F.embedding(part.inputs, tables["input"]), self.settings.dropout_items, whole=True)
            vectors, after = self.network(embedded, part.before)
            vectors = vectors[part.is_case].to(tables["bias"].dtype)
            loss = self._loss(vectors, part.targets, part.negatives, rows, tables, n_cases) * (len(vectors) / n_cases)
        weights = {name: weight for name, weight in self.network.named_parameters() if not name.startswith("tables.")}
        weights |= {f"tables.{name}": table for name, table in tables.items()}
        gradients = dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))
        return loss.detach(), gradients, [tensor.detach().to(tables["bias"].dtype) for tensor in after]

    def _negatives(self, targets: Tensor) -> Tensor | None:
        """int64 (n_negatives,) for the batch, or (n_cases, n_negatives) for each case; None for the whole catalogue."""
        settings = self.settings
        if not 0 < settings.negatives < len(self.popularity):
            return None
        if settings.negatives_of == "case":
            return self.sampler.draw(len(targets), settings.negatives)
        drawn = self.sampler.draw(settings.negatives)
        return torch.cat([drawn, targets]) if settings.batch_negatives else drawn

    def _loss(
        self, vectors: Tensor, targets: Tensor, negatives: Tensor | None, rows: Tensor | None, tables: dict[str, Tensor],
        n_cases: int,
    ) -> Tensor:  # fmt: skip
        """The loss of cases among the ``n_cases`` of a step; vectors (n, out), targets (n,), their rows in ``tables``."""
        settings = self.settings
        output, bias = tables.get("output", tables["input"]), tables["bias"][:, 0]
        if negatives is None:
            if self.fast and settings.loss == "cross-entropy":
                return product_cross_entropy(vectors, output, bias, targets, None)
            scores = F.linear(vectors, output, bias)
            if settings.loss == "cross-entropy":
                return F.cross_entropy(scores, targets)
            positive, negative = scores.gather(1, targets[:, None])[:, 0], scores
            same = torch.arange(len(output), device=targets.device) == targets[:, None]
        else:
            if settings.loss == "cross-entropy" and settings.log_q:
                bias = bias - self._log_expected(rows, n_cases)
            if self.fast and settings.loss == "cross-entropy" and negatives.dim() == 1:
                return product_cross_entropy(vectors, output, bias, targets, negatives)
            # The gradient of an embedding is faster than that of an index.
            positive = (vectors * F.embedding(targets, output)).sum(-1) + bias[targets]
            items = F.embedding(negatives, output)
            if negatives.dim() == 1:
                negative = F.linear(vectors, items, bias[negatives])
            else:
                negative = torch.einsum("ne,nke->nk", vectors, items) + bias[negatives]
            same = negatives == targets[:, None]
        if settings.score_activation == "elu":
            positive, negative = F.elu(positive), F.elu(negative)
        if settings.loss == "bpr-max":
            return bpr_max(positive, negative, same, settings.regularisation)
        return {"cross-entropy": cross_entropy, "bpr": bpr, "algorithm-1": algorithm_1}[settings.loss](
            positive, negative, same
        )

    def _log_expected(self, rows: Tensor, n_cases: int) -> Tensor:
        """float32 (n_rows,): the logarithm of how often each item is expected among the negatives of a case."""
        expected = self.settings.negatives * self.sampler.probability[rows]
        if self.settings.batch_negatives:
            expected = expected + n_cases * self.sampler.share[rows]
        return expected.log().float()

    def _carry(self, state: list[Tensor] | None, lanes: Tensor) -> list[Tensor]:
        """The state that each lane continues from: that of its row in the previous batch, zeros where a session begins."""
        begins = lanes < 0
        if state is None:
            state = self.network.start(len(lanes))
        return [tensor[lanes.clamp(min=0)].masked_fill(begins[:, None], 0) for tensor in state]

    def _precision(self) -> contextlib.AbstractContextManager:
        if self.settings.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)

    @torch.inference_mode()
    def score(self, prefixes: Sessions) -> np.ndarray:
        self.network.eval()
        prefixes = prefixes.last_events(self.history)
        tables = self.network.tables
        last = []
        by_length = np.argsort(prefixes.lengths, kind="stable")  # so that little padding goes through the network
        for start in range(0, len(prefixes), self.ROWS):
            inputs, lengths = pad(prefixes, by_length[start : start + self.ROWS])
            with self._precision():
                vectors, _ = self.network(F.embedding(torch.from_numpy(inputs).to(self.device), tables["input"]))
            of_last = vectors[torch.arange(len(inputs)), torch.from_numpy(lengths - 1)]
            last.append(of_last.to(tables["bias"].dtype))
        last = torch.cat(last)[torch.from_numpy(np.argsort(by_length, kind="stable"))]
        return F.linear(last, tables.get("output", tables["input"]), tables["bias"][:, 0]).cpu().numpy()

    def state(self) -> dict[str, np.ndarray]:
        return {name: weight.cpu().numpy() for name, weight in self.network.state_dict().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        with torch.device("meta"):  # shapes without memory: a file may claim any sizes
            claimed = self.build(len(self.vocabulary)).state_dict()
        shapes = {name: (tuple(weight.shape), str(weight.dtype)) for name, weight in claimed.items()}
        if shapes != {name: (weight.shape, f"torch.{weight.dtype}") for name, weight in state.items()}:
            raise ValueError("the weights are not those of such a network")
        self.network = self.build(len(self.vocabulary)).to(self.device)
        self.network.load_state_dict({name: torch.from_numpy(weight) for name, weight in state.items()})


def _united(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ids of both in ascending order, text where either is; and int64, where the old ones are in them, and the new ones."""
    if old.dtype.kind != new.dtype.kind:
        old, new = old.astype(str), new.astype(str)
    both = np.union1d(old, new)
    return both, np.searchsorted(both, old), np.searchsorted(both, new)
