"""Products inside a loop whose weight gradients are computed once, after the loop.

A recurrent network multiplies the same weights at every step. Autograd would add up a gradient as large as the weights
at each of them: for a few rows of input that is far more memory traffic than the product itself. Here a step's backward
pass only passes the gradient on to the step before and keeps its two small factors; when all steps are through, one
large product of the factors is the gradient. The sum is the same, in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

ROWS_AT_ONCE = 1024  # of factors, which are then multiplied: enough for a large product, and no more memory
CHUNK_COLUMNS = 256  # of a large weight, see `_in_chunks`
LARGE_WEIGHT = 1 << 20  # numbers


class Deferred:
    """inputs @ weight for each of `decoders` weights; call it at every step, within one forward pass."""

    def __init__(self, weight: Float[Tensor, "decoders into out"]) -> None:
        self._factors = _Factors()
        self.weight: Tensor = _Collect.apply(weight, self._factors) if weight.requires_grad else weight
        self._weights = _Weights(weight.detach())

    def __call__(self, inputs: Float[Tensor, "decoders rows into"]) -> Float[Tensor, "decoders rows out"]:
        """The product, in the weight's precision."""
        inputs = inputs.to(self.weight.dtype)
        if not torch.is_grad_enabled():  # a voice that speaks: an autograd function costs a fiftieth of a step
            return _multiply(inputs, self._weights.forward)
        return _Product.apply(inputs, self.weight, self._weights, self._factors)


class _Weights:
    """One weight, laid out for the products of the forward pass and, once they are asked for, of the backward pass."""

    def __init__(self, weight: Float[Tensor, "decoders into out"]) -> None:
        self._weight, self.forward = weight, _in_chunks(weight)

    @cached_property
    def backward(self) -> Tensor:
        return _in_chunks(self._weight.transpose(1, 2))


def _in_chunks(weight: Float[Tensor, "decoders into out"]) -> Float[Tensor, "decoders chunks into columns"]:
    """A large weight in blocks of columns, each contiguous and small enough for a core's cache.

    On a CPU a product of a few rows with the whole weight would copy it first, block by block, into the order that the
    kernel likes, which memory bounds; blocks given one by one to each of two threads take two thirds of the time.
    """
    _, into, out = weight.shape
    chunks = out // CHUNK_COLUMNS if weight.device.type == "cpu" and into * out >= LARGE_WEIGHT else 1
    if chunks < 2 or out % CHUNK_COLUMNS:
        return weight[:, None]
    return weight.unflatten(2, (chunks, CHUNK_COLUMNS)).transpose(1, 2).contiguous()


def _multiply(
    inputs: Float[Tensor, "decoders rows into"], weights: Float[Tensor, "decoders chunks into columns"]
) -> Float[Tensor, "decoders rows out"]:
    chunks = weights.shape[1]
    if chunks == 1:
        return torch.bmm(inputs, weights[:, 0])
    parts = [torch.bmm(rows.expand(chunks, *rows.shape), blocks) for rows, blocks in zip(inputs, weights, strict=True)]
    return torch.stack(parts).transpose(1, 2).flatten(2)  # (D, C, R, columns) → (D, R, out)


class _Factors:
    """Inputs and gradients of the steps, multiplied as soon as there are many, and the sum of their products.

    Not part of `Deferred`: the graph holds on to it, and would hold on to itself by way of the weight.
    """

    def __init__(self) -> None:
        self._factors: list[tuple[Tensor, Tensor]] = []
        self._sum: Tensor | None = None

    def keep(self, inputs: Tensor, gradient: Tensor) -> None:
        self._factors.append((inputs, gradient))
        if len(self._factors) * inputs.shape[1] >= ROWS_AT_ONCE:
            self._add()

    def take(self) -> Tensor | None:
        """The sum so far, which begins anew."""
        if self._factors:
            self._add()
        total, self._sum = self._sum, None
        return total

    def _add(self) -> None:
        inputs, gradients = (_joined(factors) for factors in zip(*self._factors, strict=True))
        self._factors.clear()
        if self._sum is None:
            self._sum = torch.bmm(inputs.transpose(1, 2), gradients)
        else:
            self._sum.baddbmm_(inputs.transpose(1, 2), gradients)


def _joined(factors: Sequence[Tensor]) -> Tensor:
    return factors[0] if len(factors) == 1 else torch.cat(list(factors), dim=1)


class _Collect(torch.autograd.Function):
    """The weight as it is; its backward pass, which runs after those of all steps, hands out the collected gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, factors: _Factors) -> Tensor:
        ctx.factors = factors
        ctx.set_materialize_grads(False)  # the steps pass none on
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        return ctx.factors.take(), None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, weights: _Weights, factors: _Factors) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.weights, ctx.factors = weights, factors
        return _multiply(inputs, weights.forward)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        (inputs,) = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.factors.keep(inputs, gradients[0])
        passed_on = _multiply(gradients[0], ctx.weights.backward) if ctx.needs_input_grad[0] else None
        return passed_on, None, None, None
