"""GRU4Rec in PyTorch: a recurrent network over the items of a session that scores every item as the next.

Architecture and losses of Hidasi et al. 2016 and Hidasi & Karatzoglou 2018 with the sizes, the linear map and the loss of
Shrimal & Patil 2024 (Algorithm 1, section 4.1). From top to bottom: network, losses, negatives, batches, optimizer,
training and scoring.

The one idea behind the speed: a step only ever touches the rows of the item tables that its batch needs (inputs, targets
and negatives), so that its time does not depend on the size of the catalogue.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studylib.data.sessions import Cases, Sessions
from studylib.errors import StudyError
from studylib.evaluation.ranking import validation_ndcg
from studylib.models.base import Recommender
from studylib.params import LAYERS, Gru4Rec, Trained
from studylib.progress import track


class Recurrence(nn.Module):
    """A GRU or LSTM layer: (n, steps, width) and its state, tensors (n, hidden), to (n, steps, hidden) and the state after."""

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
        for given in x.unbind(1):
            r, z, n = given.chunk(3, -1)
            from_r, from_z, from_n = F.linear(hidden, self.kernel, self.bias).chunk(3, -1)
            z = torch.sigmoid(z + from_z)
            hidden = z * hidden + (1 - z) * torch.tanh(n + torch.sigmoid(r + from_r) * from_n)
            steps.append(hidden)
        return torch.stack(steps, 1), [hidden]


class Network(nn.Module):
    """Item vectors to output vectors; the dot product with an item's output row plus its bias is the item's score.

    Attributes:
        tables: one row an item: ``input`` and, unless they share it, ``output``, and ``bias`` (n_items, 1).
    """

    def __init__(self, n_items: int, settings: Gru4Rec):
        super().__init__()
        one_hot = settings.item_embedding == "none"
        width = 3 * settings.hidden if one_hot else settings.embedding
        out = settings.hidden if one_hot else settings.embedding
        self.tables = nn.ParameterDict({"input": torch.empty(n_items, width), "bias": torch.zeros(n_items, 1)})
        if settings.item_embedding != "shared":
            self.tables["output"] = torch.empty(n_items, out)
        for name in self.tables.keys() - {"bias"}:
            nn.init.normal_(self.tables[name], std=self.tables[name].shape[1] ** -0.5)
        self.decay, self.deep_input = settings.input_decay, settings.deep_input
        self.input_sizes = [width, 1] if self.decay else []
        self.layers = nn.ModuleList()
        for depth, kind in enumerate(LAYERS[settings.cell] * settings.layers):
            below = settings.hidden + width * self.deep_input if depth else width
            first_of_one_hot = one_hot and depth == 0
            layer = (
                GatheredRecurrence(settings.hidden) if first_of_one_hot else Recurrence(kind, below, settings.hidden)
            )
            self.layers.append(layer)
        feed_forward = [
            part
            for _ in range(settings.feed_forward)
            for part in (nn.Linear(settings.hidden, settings.hidden), nn.Tanh())
        ]
        self.head = nn.Sequential(
            *feed_forward, nn.Identity() if out == settings.hidden else nn.Linear(settings.hidden, out)
        )
        self.dropout_embedding, self.dropout_hidden = (
            nn.Dropout(settings.dropout_embedding),
            nn.Dropout(settings.dropout_hidden),
        )

    def forward(self, vectors: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """(n, steps, width) to (n, steps, out), and the state after the last step, tensors (n, size) as `start` gives."""
        state = self.start(len(vectors)) if state is None else state
        x = self.dropout_embedding(vectors)
        x, after = self._weighted(x, state[: len(self.input_sizes)])
        given, used = x, len(after)
        for depth, layer in enumerate(self.layers):
            if depth and self.deep_input:
                x = torch.cat([x, given], -1)
            x, new = layer(x, state[used : used + len(layer.sizes)])
            x, used, after = self.dropout_hidden(x), used + len(new), after + new
        return self.head(x), after

    def start(self, n: int) -> list[Tensor]:
        """The state of n sessions before their first step: zeros."""
        sizes = self.input_sizes + [size for layer in self.layers for size in layer.sizes]
        return [self.tables["bias"].new_zeros(n, size) for size in sizes]

    def _weighted(self, x: Tensor, before: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The input of section 2.1: the items so far, each worth ``decay`` of the one after it; weights add up to one."""
        if not self.decay:
            return x, []
        step = torch.arange(x.shape[1], device=x.device)
        age = step[:, None] - step
        weights = torch.where(age >= 0, self.decay ** age.clamp(min=0), 0).to(x.dtype)
        carried = (self.decay ** (step + 1)).to(x.dtype)[:, None]
        total = weights @ x + carried * before[0][:, None]
        weight = weights.sum(1, keepdim=True) + carried * before[1][:, None]
        return total / weight, [total[:, -1], weight[:, -1]]


def cross_entropy(positive: Tensor, negative: Tensor, same: Tensor) -> Tensor:
    """Of the true item among itself and the negatives, mean over the cases.

    Args:
        positive: (n,), the scores of the true next items.
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
    """Algorithm 1 of Shrimal & Patil 2024 as printed (lines 17 and 18), with the next item as the positive one.

    Subtracting the sum of the scores inside of the softmax changes nothing, and the logarithm of BPR-max is missing.
    """
    return -(_softmax(negative, same) * torch.sigmoid(positive[:, None] - negative)).sum(1).mean()


def _softmax(negative: Tensor, same: Tensor) -> Tensor:
    return torch.softmax(negative.masked_fill(same, torch.finfo(negative.dtype).min), 1)


class NegativeSampler:
    """Draws items in proportion to popularity**alpha (0: uniform).

    Items never seen in training are drawn as if seen once, so that every item is somebody's negative.

    Attributes:
        probability: float64 (n_items,), of an item at each draw.
        share: float64 (n_items,), of an item among the visits, which is how often it is the target of another case.
    """

    BULK = 2**18
    """Items drawn at a time: a call a step would cost more than the draws."""

    def __init__(self, popularity: np.ndarray, alpha: float, device: str):
        weights = np.maximum(popularity, 1) ** alpha
        self.probability = torch.from_numpy(weights / weights.sum()).to(device)
        self.cumulated = self.probability.cumsum(0)
        self.share = torch.from_numpy(popularity / popularity.sum()).to(device)
        self.drawn, self.used = self.cumulated.new_empty(0, dtype=torch.int64), 0

    def draw(self, *shape: int) -> Tensor:
        """int64 of this shape, with replacement."""
        count = int(np.prod(shape))
        if self.used + count > len(self.drawn):
            uniform = torch.rand(max(self.BULK, count), dtype=torch.float64, device=self.cumulated.device)
            self.drawn = torch.searchsorted(self.cumulated, uniform).clamp_(max=len(self.cumulated) - 1)
            self.used = 0
        self.used += count
        return self.drawn[self.used - count : self.used].view(shape)


@dataclass(frozen=True)
class Batch:
    """What a step of the training sees.

    Attributes:
        inputs: int64 (n, steps), the items; after the end of a session its last item again.
        targets: int64 (n, steps), the item that came next; -1 where there is no case.
        lanes: None where every row begins at its first step; else int64 (n,), the row of the batch before that this one
            continues, and -1 where a new session begins.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lanes: np.ndarray | None = None


def sequences(sessions: Sessions, batch_size: int, history: int, random: np.random.Generator) -> Iterator[Batch]:
    """Every position is a case: one pass over sessions of like length, those of more than ``history`` cases in pieces."""
    pieces = cut(sessions, history + 1)
    shuffled = random.permutation(len(pieces))
    by_length = shuffled[np.argsort(pieces.lengths[shuffled], kind="stable")]
    for start in random.permutation(np.arange(0, len(pieces), batch_size)):
        items, lengths = pad(pieces, by_length[start : start + batch_size])
        is_case = np.arange(1, items.shape[1]) < lengths[:, None]
        yield Batch(items[:, :-1], np.where(is_case, items[:, 1:], -1))


def prefixes(sessions: Sessions, batch_size: int, history: int, random: np.random.Generator) -> Iterator[Batch]:
    """Every prefix is a row of its own, and only its last position is a case (what ReChorus runs)."""
    targets = np.ones(len(sessions.items), dtype=bool)
    targets[sessions.offsets[:-1]] = False
    cases = Cases(sessions, random.permutation(np.flatnonzero(targets)))
    for start in range(0, len(cases), batch_size):
        some = cases.take(slice(start, start + batch_size))
        inputs, lengths = pad(some.prefixes(history), np.arange(len(some)))
        is_case = np.arange(inputs.shape[1]) == lengths[:, None] - 1
        yield Batch(inputs, np.where(is_case, some.targets.astype(np.int64)[:, None], -1))


def session_parallel(sessions: Sessions, lanes: int, history: int, random: np.random.Generator) -> Iterator[Batch]:
    """One step of ``lanes`` sessions side by side; the next session takes over where one ends (Hidasi et al. 2016, section 3.1.1;
    Shrimal & Patil 2024, section 2.2). When no session is left the lanes become fewer, so that no visit is lost.

    ``history`` has no meaning here: the state goes on from the first visit of a session to its last.
    """
    waiting = random.permutation(np.flatnonzero(sessions.lengths > 1))
    first, last = sessions.offsets[:-1][waiting], sessions.offsets[1:][waiting] - 1
    lanes = min(lanes, len(waiting))
    at, end, begun = first[:lanes].copy(), last[:lanes].copy(), lanes
    continues = np.full(lanes, -1)
    while len(at):
        yield Batch(sessions.items[at, None].astype(np.int64), sessions.items[at + 1, None].astype(np.int64), continues)
        at += 1
        continues = np.arange(len(at))
        ended = np.flatnonzero(at == end)
        replaced, closed = np.split(ended, [max(0, min(len(ended), len(waiting) - begun))])
        following = np.arange(begun, begun + len(replaced))
        at[replaced], end[replaced], continues[replaced] = first[following], last[following], -1
        begun += len(replaced)
        if len(closed):
            open_lanes = np.delete(np.arange(len(at)), closed)
            at, end, continues = at[open_lanes], end[open_lanes], continues[open_lanes]


BATCHES: dict[str, Callable[..., Iterator[Batch]]] = {
    "sequences": sequences,
    "prefixes": prefixes,
    "session-parallel": session_parallel,
}


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
    """Sessions as int64 (n, longest), filled up with their last item, and their lengths, int64 (n,)."""
    lengths = sessions.lengths[rows]
    column = np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    return sessions.items[sessions.offsets[rows][:, None] + column].astype(np.int64), lengths


class Optimizer:
    """Adam, or Adagrad with momentum (as in the official GRU4Rec), that moves only the rows of the item tables in a step.

    Adam moves a row on after its gradient was zero, too: its mean gradient decays and goes on pushing. A row makes up for
    the steps without it when it is taken again, by the sum of the series of these pushes. So the training is that of
    `torch.optim.Adam`, but for weight decay, which only acts on the rows of a step.
    """

    BETA, BETA_SQUARE, EPSILON = 0.9, 0.999, 1e-8
    RATIO = BETA / BETA_SQUARE**0.5
    """Of a push to the one before, while the gradient is zero."""
    SETTLED = 20_000
    """Steps after which Adam's corrections for its start at zero are one."""

    def __init__(self, network: nn.Module, settings: Trained):
        self.settings, self.rate = settings, settings.learning_rate
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
                self.taken[name] = [whole.index_select(0, rows) for whole in self.taken[name]]
        if self.settings.optimizer == "adam":
            self._catch_up(
                [self.taken[name] for name in tables], self.last_step if rows is None else self.last_step[rows]
            )
        return {name.removeprefix("tables."): self.taken[name][0] for name in tables}

    def _catch_up(self, parts: list[list[Tensor]], last_step: Tensor) -> None:
        missed = self.steps - last_step
        left = self.left_to_push.take(last_step.long().clamp_(max=self.SETTLED))
        pushes = left - self.RATIO**missed * self.left_to_push[min(self.steps, self.SETTLED)]
        fading, fading_square = self.BETA**missed, self.BETA_SQUARE**missed
        for weight, mean, square in parts:
            weight.sub_(mean * (self.rate * pushes) / square.sqrt().add_(self.EPSILON))
            mean.mul_(fading)
            square.mul_(fading_square)

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor]) -> None:
        """Move the rows that were taken, and all other weights, by their gradients."""
        self.steps += 1
        for name, gradient in gradients.items():
            part = self.taken[name]
            if self.settings.l2:
                gradient = gradient.add(part[0], alpha=self.settings.l2)
            (self._adam if self.settings.optimizer == "adam" else self._adagrad)(*part, gradient)
            if name.startswith("tables.") and self.rows is not None:
                for whole, moved in zip((self.weights[name], *self.moments[name]), part, strict=True):
                    whole.index_copy_(0, self.rows, moved)
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

    def _adagrad(self, weight: Tensor, velocity: Tensor, square: Tensor, gradient: Tensor) -> None:
        square.addcmul_(gradient, gradient)
        velocity.mul_(self.settings.momentum).addcdiv_(gradient, (square + 1e-6).sqrt_(), value=-self.rate)
        weight.add_(velocity)


class GRU4Rec(Recommender):
    """GRU4Rec with early stopping on validation NDCG@10; the best weights are restored.

    Args:
        history: the last visits that a prediction is based on.
        seed: of the initial weights, the negatives and the order of the batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        settings: those of `studylib.params.Gru4Rec`, which has their meanings and defaults.

    Attributes:
        watch: asked after each epoch, with its number and the best validation value so far, whether to stop.
        curve: the loss of each epoch and its validation value.

    Example:
        >>> GRU4Rec(dropout_hidden=0.3).settings.embedding
        64
    """

    params: type[Trained] = Gru4Rec
    ROWS = 128
    """Prefixes that go through the network at a time when they are scored."""

    def __init__(self, history: int = 20, seed: int = 0, device: str = "auto", **settings):
        self.settings = self.params(**settings)
        self.history, self.seed = history, seed
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.watch: Callable[[int, float], bool] = lambda epoch, best: False

    def _network(self, n_items: int) -> nn.Module:
        return Network(n_items, self.settings)

    def _fit(self, train: Sessions, validation: Cases | None) -> None:
        chosen = self.settings
        if not (train.lengths > 1).any():
            raise StudyError(
                "There is nothing to learn: no training session has two visits. Use longer sessions, or another split."
            )
        torch.manual_seed(self.seed)
        random = np.random.default_rng(self.seed)
        self.network = self._network(train.n_items).to(self.device)
        self.parameters = sum(p.numel() for p in self.network.parameters())
        self.sampler = NegativeSampler(self.popularity, chosen.alpha, self.device)
        optimizer = Optimizer(self.network, chosen)
        has_validation = validation is not None and len(validation) > 0
        if has_validation and len(validation) > chosen.validation_cases:
            some = np.random.default_rng(0).choice(len(validation), chosen.validation_cases, replace=False)
            validation = validation.take(np.sort(some))

        self.curve: list[dict[str, float]] = []
        best_value, best_weights, best_epoch = -1.0, None, 0
        for epoch in track(range(1, chosen.max_epochs + 1), f"{chosen.label}, epochs at most"):
            self.network.train()
            if chosen.schedule == "cosine":
                optimizer.rate = chosen.learning_rate * (1 + np.cos(np.pi * (epoch - 1) / chosen.max_epochs)) / 2
            losses, state = [], None
            for batch in BATCHES[chosen.batches](train, chosen.batch_size, self.history, random):
                loss, gradients, state = self.gradients(batch, state, optimizer.take)
                optimizer.step(gradients)
                losses.append(loss)
            optimizer.flush()
            self.epochs = epoch
            self.curve.append({"epoch": epoch, "loss": float(torch.stack(losses).mean())})
            if not has_validation:
                continue
            value = validation_ndcg(self, validation, self.history, chosen.validation)
            self.curve[-1]["validation_ndcg@10"] = value
            if value > best_value:
                best_value, best_epoch = value, epoch
                best_weights = {name: weight.clone() for name, weight in self.network.state_dict().items()}
            elif epoch - best_epoch >= chosen.patience:
                break
            if self.watch(epoch, best_value):
                break
        if best_weights is not None:
            self.network.load_state_dict(best_weights)

    def gradients(
        self, batch: Batch, state: list[Tensor] | None, take: Callable[[Tensor | None], dict[str, Tensor]]
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss of a batch and its gradient.

        Args:
            state: after the batch before, where this one goes on from there.
            take: gives the rows, int64 (None: all), of the item tables.

        Returns:
            The loss; the gradient of each parameter by its name, of the item tables for the rows alone; the state after.
        """
        inputs = torch.from_numpy(batch.inputs).to(self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        is_case = targets >= 0
        targets = targets[is_case]
        negatives = self._negatives(targets)
        rows = None
        if negatives is not None:
            # The rows that the step needs become small tables of their own, and items the numbers of their rows.
            parts = (inputs, targets, negatives)
            rows, index = torch.unique(torch.cat([part.reshape(-1) for part in parts]), return_inverse=True)
            index = index.split([part.numel() for part in parts])
            inputs, targets, negatives = (i.view(part.shape) for i, part in zip(index, parts, strict=True))
        some = {name: table.requires_grad_() for name, table in take(rows).items()}
        before = None if batch.lanes is None else self._carry(state, torch.from_numpy(batch.lanes).to(self.device))
        with self._precision():
            # Over (n, steps, width), dropout1d takes out whole visits.
            given = F.dropout1d(F.embedding(inputs, some["input"]), self.settings.dropout_items)
            vectors, after = self.network(given, before)
            loss = self._loss(vectors[is_case].to(some["bias"].dtype), targets, negatives, rows, some)
        weights = {name: weight for name, weight in self.network.named_parameters() if not name.startswith("tables.")}
        weights |= {f"tables.{name}": table for name, table in some.items()}
        gradients = dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))
        return loss.detach(), gradients, [tensor.detach().to(some["bias"].dtype) for tensor in after]

    def _negatives(self, targets: Tensor) -> Tensor | None:
        """int64 (n_negatives,) for the batch, or (n_cases, n_negatives) for each case; None for the whole catalogue."""
        chosen = self.settings
        if not 0 < chosen.negatives < len(self.popularity):
            return None
        if chosen.negatives_of == "case":
            return self.sampler.draw(len(targets), chosen.negatives)
        drawn = self.sampler.draw(chosen.negatives)
        return torch.cat([drawn, targets]) if chosen.batch_negatives else drawn

    def _loss(
        self, vectors: Tensor, targets: Tensor, negatives: Tensor | None, rows: Tensor | None, tables: dict[str, Tensor]
    ) -> Tensor:
        """The loss of the cases; vectors (n, out), targets (n,), the numbers of their rows in ``tables``."""
        chosen = self.settings
        output, bias = tables.get("output", tables["input"]), tables["bias"][:, 0]
        if negatives is None:
            scores = F.linear(vectors, output, bias)
            if chosen.loss == "cross-entropy":
                return F.cross_entropy(scores, targets)
            positive, negative = scores.gather(1, targets[:, None])[:, 0], scores
            same = torch.arange(len(output), device=targets.device) == targets[:, None]
        else:
            if chosen.loss == "cross-entropy" and chosen.log_q:
                bias = bias - self._log_expected(rows, len(targets))
            # The gradient of an embedding is faster than that of an index.
            positive = (vectors * F.embedding(targets, output)).sum(-1) + bias[targets]
            items = F.embedding(negatives, output)
            if negatives.dim() == 1:
                negative = F.linear(vectors, items, bias[negatives])
            else:
                negative = torch.einsum("ne,nke->nk", vectors, items) + bias[negatives]
            same = negatives == targets[:, None]
        if chosen.score_activation == "elu":
            positive, negative = F.elu(positive), F.elu(negative)
        if chosen.loss == "bpr-max":
            return bpr_max(positive, negative, same, chosen.regularisation)
        return {"cross-entropy": cross_entropy, "bpr": bpr, "algorithm-1": algorithm_1}[chosen.loss](
            positive, negative, same
        )

    def _log_expected(self, rows: Tensor, n_cases: int) -> Tensor:
        """float32 (n_rows,): the logarithm of how often each item is expected among the negatives of a case."""
        expected = self.settings.negatives * self.sampler.probability[rows]
        if self.settings.batch_negatives:
            expected = expected + n_cases * self.sampler.share[rows]
        return expected.log().float()

    def _carry(self, state: list[Tensor] | None, lanes: Tensor) -> list[Tensor]:
        """The state that each lane goes on from: that of the lane before, zeros where a session begins."""
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
        from_end = np.repeat(prefixes.offsets[1:], prefixes.lengths) - np.arange(len(prefixes.items))
        prefixes = prefixes.select(from_end <= self.history)
        tables = self.network.tables
        last = []
        by_length = np.argsort(prefixes.lengths, kind="stable")  # so that little padding goes through the network
        for start in range(0, len(prefixes), self.ROWS):
            inputs, lengths = pad(prefixes, by_length[start : start + self.ROWS])
            with self._precision():
                vectors, _ = self.network(F.embedding(torch.from_numpy(inputs).to(self.device), tables["input"]))
            last.append(vectors[torch.arange(len(inputs)), torch.from_numpy(lengths - 1)].float())
        last = torch.cat(last)[torch.from_numpy(np.argsort(by_length, kind="stable"))]
        return F.linear(last, tables.get("output", tables["input"]), tables["bias"][:, 0]).cpu().numpy()

    def state(self) -> dict[str, np.ndarray]:
        return {name: weight.cpu().numpy() for name, weight in self.network.state_dict().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.network = self._network(len(self.vocabulary)).to(self.device)
        self.network.load_state_dict({name: torch.from_numpy(weight) for name, weight in state.items()})
