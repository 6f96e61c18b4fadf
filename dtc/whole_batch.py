"""Draws, sums and means over the whole batch of a training step, where several processes compute a share of it each.

Process r of w computes the clips r, r + w, … of the batch. Inside `shared`, the functions of this file make its numbers
those that one process would compute for the same clips: dropout is drawn for the whole batch and the rows of the own
clips are taken, and a mean counts the whole batch. Outside, and with one process, they are PyTorch's functions.

The mean of all processes' losses is the loss of the whole batch, and so is the mean of their gradients: a sum over the
own clips is multiplied by w (`portion`) and divided by a count of the whole batch (`total`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """The clips of a batch that a process computes.

    A process for which no clip is left computes the first one, with weight 0: it takes part in all sums.

    Args:
        rank: the number of the process.
        world: the number of processes.
        clips: those of the whole batch.
        add_up: replaces a tensor by its sum over all processes.
    """

    rank: int
    world: int
    clips: int
    add_up: Callable[[Tensor], None]

    @property
    def weight(self) -> float:
        """Return 1, or 0 where no clip is left for this process."""
        return float(self.rank < self.clips)

    @property
    def rows(self) -> slice:
        """Return the places of this process's clips in the whole batch."""
        return slice(self.rank, None, self.world) if self.weight else slice(0, 1)


_share: ContextVar[Share | None] = ContextVar("share", default=None)


@contextmanager
def shared(share: Share) -> Iterator[None]:
    """Let the functions of this file consider the clips of all processes."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def dropout(values: Tensor, rate: float, training: bool = True, batch_dim: int = 0) -> Tensor:
    """Return `F.dropout` of values, drawn for the whole batch; `batch_dim` is the axis of the clips."""
    share = _share.get()
    if share is None or not (training and rate):
        return F.dropout(values, rate, training)
    # PyTorch draws in the order of the memory.
    shape = _whole_shape(values.shape, batch_dim, share)
    ones = torch.empty_permuted(shape, values.dim_order(), dtype=values.dtype, device=values.device).fill_(1.0)
    return values * _own_rows(F.dropout(ones, rate), batch_dim, share)


def rand(shape: Sequence[int], device: torch.device, batch_dim: int = 0) -> Tensor:
    """Return `torch.rand` of the shape, drawn for the whole batch; `batch_dim` is the axis of the clips."""
    share = _share.get()
    if share is None:
        return torch.rand(shape, device=device)
    return _own_rows(torch.rand(_whole_shape(shape, batch_dim, share), device=device), batch_dim, share)


def rand_below(bounds: Sequence[int]) -> list[int]:
    """Return a random whole number for each clip, from 0 to its bound - 1."""
    share = _share.get()
    if share is None:
        return [int(torch.randint(bound, ())) for bound in bounds]
    all_bounds = [1] * share.clips  # of the other clips: a draw takes as much of the stream, whatever its bound
    all_bounds[share.rows] = bounds
    return [int(torch.randint(bound, ())) for bound in all_bounds][share.rows]


def total(values: Tensor) -> Tensor:
    """Return a sum over the own clips, added up over all processes. Its gradient is added up too."""
    share = _share.get()
    return values if share is None else _Total.apply(values * share.weight, share.add_up)


def portion(values: Tensor) -> Tensor:
    """Return a sum over the own clips, multiplied such that its mean over the processes is that of all clips."""
    share = _share.get()
    return values if share is None else values * (share.weight * share.world)


def elements(values: Tensor) -> int:
    """Return the number of elements that a tensor (batch, …) has in the whole batch."""
    share = _share.get()
    return values.numel() if share is None else values[0].numel() * share.clips


def mean(values: Tensor) -> Float[Tensor, ""]:
    """Return this process's portion of the mean of all elements of a tensor (batch, …)."""
    return values.mean() if _share.get() is None else portion(values.sum()) / elements(values)


def norm(values: Tensor) -> Float[Tensor, ""]:
    """Return the square root of the sum of squares of all elements in the whole batch."""
    return torch.linalg.norm(values) if _share.get() is None else total(values.square().sum()).sqrt()


def _whole_shape(shape: Sequence[int], batch_dim: int, share: Share) -> list[int]:
    return [share.clips if axis == batch_dim else size for axis, size in enumerate(shape)]


def _own_rows(values: Tensor, batch_dim: int, share: Share) -> Tensor:
    return values[(slice(None),) * batch_dim + (share.rows,)]


class _Total(torch.autograd.Function):
    """The sum over all processes. Each of their losses depends on it, so its gradient is a sum over them as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, add_up: Callable[[Tensor], None]) -> Tensor:
        ctx.add_up = add_up
        values = values.clone(memory_format=torch.contiguous_format)
        add_up(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        ctx.add_up(gradient)
        return gradient, None
