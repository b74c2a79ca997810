"""Recurrent layers over a batch of sessions: from inputs and the previous state to outputs and the next state.

A layer maps (n, steps, width) and its state, tensors (n, size) for each of its ``sizes``, to (n, steps, hidden) and the next
state. Those of GRU and LSTM multiply the state by a matrix at each step. A *linear recurrence* has h_t = a_t h_{t-1} + b_t
element by element, where a and b come from the inputs alone: all products are made for all steps at once, and what is left is
one `scan`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studylib.models.dropout import Dropout


class Recurrence(nn.Module):
    """A GRU or LSTM layer.

    Args:
        fast: train a GRU by `gru` where there is no GPU, whose library has its own.
    """

    def __init__(self, kind: str, width: int, hidden: int, fast: bool = False):
        super().__init__()
        self.layer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](width, hidden, batch_first=True)
        self.sizes = [hidden] * {"gru": 1, "lstm": 2}[kind]
        self.fast = fast and kind == "gru"

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        if self.fast and self.training and not x.is_cuda:
            states = gru(x, state[0], *self.layer.parameters())
            return states, [states[:, -1]]
        before = [tensor[None].contiguous() for tensor in state]
        x, after = self.layer(x, before[0] if len(before) == 1 else tuple(before))
        return x, [tensor[0] for tensor in (after if isinstance(after, tuple) else (after,))]


def gru(x: Tensor, before: Tensor, w_in: Tensor, w: Tensor, b_in: Tensor, b: Tensor) -> Tensor:
    """The states of a GRU (`torch.nn.GRU`, whose parameters these are) in few operations.

    Autograd keeps about fifteen operations a step, each over a few thousand numbers. Here are six forward and four back: what
    does not depend on the next step, the weights' gradients too, is one product or one pass over all steps.

    Args:
        x: (n, steps, width).
        before: (n, hidden), the state before the first step.
        w_in, w: (3 hidden, width) and (3 hidden, hidden), rows of the gates r and z and of the candidate.
        b_in, b: (3 hidden,).

    Returns:
        (n, steps, hidden).
    """
    return _Gru.apply(x, before, w_in, w, b_in, b)


class _Gru(torch.autograd.Function):
    """Forward with tanh(a) = 2 sigmoid(2 a) - 1, a third of tanh's time: u = (h + 1) / 2 stands for a state h, so that a
    step is u' = z u + (1 - z) s with s = sigmoid(2 a), and W h = 2 W u - W 1.
    """

    @staticmethod
    def forward(ctx, x: Tensor, before: Tensor, w_in: Tensor, w: Tensor, b_in: Tensor, b: Tensor) -> Tensor:
        (n, steps, width), hidden = x.shape, before.shape[1]
        gates, flat = 2 * hidden, x.reshape(n * steps, width)
        w_u, b_u = 2 * w, b - w.sum(1)
        rz = torch.addmm((b_in + b_u)[:gates], flat, w_in[:gates].t()).view(n, steps, gates)
        s = torch.addmm(2 * b_in[gates:], flat, 2 * w_in[gates:].t()).view(n, steps, hidden)
        w_gates, w_candidate, b_candidate = w_u[:gates].t(), 2 * w_u[gates:].t(), 2 * b_u[gates:]
        of_state = torch.empty_like(s)
        states = x.new_empty(n, steps + 1, hidden)
        u = torch.add(before, 1, out=states[:, 0]).mul_(0.5)
        r, z = rz.chunk(2, -1)
        for step_rz, step_r, step_z, step_s, product, after in zip(
            *(tensor.unbind(1) for tensor in (rz, r, z, s, of_state, states[:, 1:])), strict=True
        ):
            step_rz.addmm_(u, w_gates).sigmoid_()
            torch.addmm(b_candidate, u, w_candidate, out=product)
            step_s.addcmul_(step_r, product).sigmoid_()
            u = torch.lerp(step_s, u, step_z, out=after)
        states.mul_(2).sub_(1)
        ctx.save_for_backward(x, states, rz, s, of_state, w_in, w)
        return states[:, 1:]

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        x, states, rz, s, of_state, w_in, w = ctx.saved_tensors
        n, steps, hidden = s.shape
        r, z = rz.chunk(2, -1)
        candidate, not_z = (2 * s).sub_(1), 1 - z
        # How much a state moves with what goes into each of its gates; times the state's gradient, that of what goes in.
        inside = x.new_empty(n, steps, 3, hidden)
        of_r, of_z, of_candidate = inside.unbind(2)
        of_tanh = torch.addcmul(torch.ones_like(candidate[0, 0]), candidate, candidate, value=-1).mul_(not_z)
        torch.mul(of_tanh, r, out=of_candidate)
        torch.addcmul(of_state, of_state, r, value=-1, out=of_r).mul_(of_candidate).mul_(0.5)
        torch.sub(states[:, :-1], candidate, out=of_z).mul_(z).mul_(not_z)
        of_states, back = torch.empty_like(s), torch.zeros_like(s[:, 0])
        for step in range(steps - 1, -1, -1):
            of_step = torch.add(gradient[:, step], back, out=of_states[:, step])
            inside[:, step].mul_(of_step[:, None])
            torch.mul(of_step, z[:, step], out=back)
            back.addmm_(inside[:, step].view(n, 3 * hidden), w)
        inside_flat, before = inside.view(n * steps, 3 * hidden), states[:, :-1].reshape(n * steps, hidden)
        of_w, of_b = inside_flat.t() @ before, inside_flat.sum(0)
        # From the input the candidate's share does not go through r.
        torch.mul(of_tanh, of_states, out=of_candidate)
        of_x = (inside_flat @ w_in).view_as(x)
        of_w_in = (x.reshape(n * steps, -1).t() @ inside_flat).t()
        return of_x, back, of_w_in, of_w, inside_flat.sum(0), of_b


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


def scan(keep: Tensor, new: Tensor, before: Tensor) -> Tensor:
    """h_t = keep_t h_{t-1} + new_t over all steps.

    On a processor step by step: one operation a step over (n, hidden) is less work than the passes of a parallel scan, each of
    which goes through (n, steps, hidden). On a GPU, where an operation costs the same whatever it goes through, in parallel.

    Args:
        keep, new: (n, steps, hidden), real or complex.
        before: (n, hidden), h before the first step.

    Returns:
        (n, steps, hidden).
    """
    return _Scan.apply(keep, new, before)


class _Scan(torch.autograd.Function):
    """`scan` with a gradient that is a scan in the other direction: autograd would keep every step by itself."""

    @staticmethod
    def forward(ctx, keep: Tensor, new: Tensor, before: Tensor) -> Tensor:
        states = (_in_parallel if new.is_cuda else _step_by_step)(keep, new, before)
        ctx.save_for_backward(keep, states, before)
        return states

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, states, before = ctx.saved_tensors
        keep = keep.conj()
        total = (_in_parallel_back if gradient.is_cuda else _step_by_step_back)(keep, gradient)
        earlier = torch.cat([before[:, None], states[:, :-1]], 1).conj()
        return total * earlier, total, keep[:, 0] * total[:, 0]


def _step_by_step(keep: Tensor, new: Tensor, before: Tensor) -> Tensor:
    states = torch.empty_like(new)
    last = before
    for step in range(new.shape[1]):
        last = torch.addcmul(new[:, step], keep[:, step], last, out=states[:, step])
    return states


def _step_by_step_back(keep: Tensor, gradient: Tensor) -> Tensor:
    """From the gradient of each state by itself to that of all that follows from it."""
    total = gradient.clone()
    for step in range(total.shape[1] - 1, 0, -1):
        total[:, step - 1].addcmul_(keep[:, step], total[:, step])
    return total


def _in_parallel(keep: Tensor, new: Tensor, before: Tensor) -> Tensor:
    """`scan` in log2(steps) passes (Hillis & Steele 1986): after each, a state holds twice as many of the steps before it."""
    keep, states = keep.clone(), new.clone()
    states[:, 0] += keep[:, 0] * before
    reach = 1
    while reach < new.shape[1]:
        states[:, reach:] = states[:, reach:] + keep[:, reach:] * states[:, :-reach]
        keep[:, reach:] = keep[:, reach:] * keep[:, :-reach]
        reach *= 2
    return states


def _in_parallel_back(keep: Tensor, gradient: Tensor) -> Tensor:
    """As `_step_by_step_back`."""
    following = torch.cat([keep[:, 1:], torch.zeros_like(keep[:, :1])], 1)
    backwards = _in_parallel(following.flip(1), gradient.flip(1), torch.zeros_like(gradient[:, 0]))
    return backwards.flip(1)


class MinGRU(nn.Module):
    """minGRU (Feng et al. 2024, section 3.1): a GRU whose gate and candidate come from the input alone."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gates = nn.Linear(width, 2 * hidden)
        self.sizes = [hidden]

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        z, candidate = self.gates(x).to(state[0].dtype).chunk(2, -1)
        z = torch.sigmoid(z)
        states = scan(1 - z, z * candidate, state[0])
        return states, [states[:, -1]]


class MinLSTM(nn.Module):
    """minLSTM (Feng et al. 2024, section 3.2): two gates from the input alone, divided by their sum."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gates = nn.Linear(width, 3 * hidden)
        self.sizes = [hidden]

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        f, i, candidate = self.gates(x).to(state[0].dtype).chunk(3, -1)
        f, i = torch.sigmoid(f), torch.sigmoid(i)
        states = scan(f / (f + i), i / (f + i) * candidate, state[0])
        return states, [states[:, -1]]


class LRU(nn.Module):
    """A linear recurrent unit (Orvieto et al. 2023): a complex state that turns and fades at rates of its own.

    Initial weights as in LRURec (Yue et al. 2024): moduli from a ring between 0.8 and 0.99, any angle.
    """

    LEAST, MOST = 0.8, 0.99

    def __init__(self, width: int, hidden: int):
        super().__init__()
        modulus_square = torch.rand(hidden) * (self.MOST**2 - self.LEAST**2) + self.LEAST**2
        self.fading = nn.Parameter((-modulus_square.log() / 2).log())
        self.turning = nn.Parameter((torch.rand(hidden) * 2 * torch.pi).log())
        self.scale = nn.Parameter((1 - modulus_square).sqrt().log())
        self.into = nn.Linear(width, 2 * hidden)
        self.out = nn.Linear(2 * hidden, hidden)
        self.sizes = [hidden, hidden]

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        real, imaginary = self.into(x).to(state[0].dtype).chunk(2, -1)
        scale = self.scale.exp()
        modulus, angle = torch.exp(-self.fading.exp()), self.turning.exp()
        keep = torch.polar(modulus, angle).expand(real.shape)
        states = scan(keep, torch.complex(scale * real, scale * imaginary), torch.complex(*state))
        parts = [states.real, states.imag]
        return self.out(torch.cat(parts, -1)), [part[:, -1] for part in parts]


LINEAR = {"mingru": MinGRU, "minlstm": MinLSTM, "lru": LRU}
"""Linear recurrences by their names."""


def recurrence(kind: str, width: int, hidden: int, fast: bool = False) -> nn.Module:
    """A layer of this kind; ``fast`` as in `Recurrence`."""
    return LINEAR[kind](width, hidden) if kind in LINEAR else Recurrence(kind, width, hidden, fast)


class Surroundings(nn.Module):
    """What stands around a recurrent layer: normalisation before it, and after it dropout and the input added again; then, where
    it is widened, a feed-forward network with the same around it (the block of LRURec and of a transformer, normalised first).

    Args:
        width, hidden: of the layer's input and output.
        dropout: of what the layer gives.
        normalise: the input (layer normalisation).
        residual: add the input to the output, by a linear map where their sizes differ.
        widening: the feed-forward network is this many times as wide as ``hidden``; 0: there is none.
    """

    def __init__(self, width: int, hidden: int, dropout: float, normalise: bool, residual: bool, widening: int):
        super().__init__()
        self.dropout, self.residual = Dropout(dropout), residual
        self.before = nn.LayerNorm(width) if normalise else nn.Identity()
        self.around = nn.Linear(width, hidden, bias=False) if residual and width != hidden else nn.Identity()
        self.feed_forward = None
        if widening:
            self.feed_forward = nn.Sequential(
                nn.LayerNorm(hidden) if normalise else nn.Identity(),
                nn.Linear(hidden, widening * hidden),
                nn.GELU(),
                Dropout(dropout),
                nn.Linear(widening * hidden, hidden),
                Dropout(dropout),
            )

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """What follows the layer: ``x`` is its input before the normalisation, ``y`` its output."""
        y = self.dropout(y)
        y = y + self.around(x) if self.residual else y
        if self.feed_forward is None:
            return y
        return self.feed_forward(y) + y if self.residual else self.feed_forward(y)
