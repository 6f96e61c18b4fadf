"""Matrix products inside a recurrent loop, whose weight gradients are computed once after the loop.

A recurrent network multiplies by the same weights at every step, and autograd would add a gradient as large as the
weights at each of them. For a few rows of input that moves far more memory than the product itself. Here the backward
pass of a step only computes the gradient of its input and keeps its two small factors; after all steps, one large
product of the factors gives the weight's gradient. It is the same sum, in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.loop_weights import Product, fast_product

ROWS_AT_ONCE = 1024  # rows of factors that are kept before they are multiplied: a large product, little memory


class LoopProduct:
    """Computes inputs @ weight for each of `decoders` weights, at every step of the loop of one forward pass."""

    def __init__(self, weight: Float[Tensor, "decoders into out"]) -> None:
        self._factors = _Factors()
        self.weight: Tensor = _Collect.apply(weight, self._factors) if weight.requires_grad else weight
        self._weights = _Weights(weight.detach())

    def __call__(self, inputs: Float[Tensor, "decoders rows into"]) -> Float[Tensor, "decoders rows out"]:
        """Return the product, in the weight's dtype."""
        if not torch.is_grad_enabled():  # at inference, where the autograd function would take 2 % of a step
            return self._weights.forward(inputs.to(self.weight.dtype))
        return _Product.apply(inputs, self.weight, self._weights, self._factors)


class _Weights:
    """One weight in the memory layouts of the forward pass and, from its first use, of the backward pass."""

    def __init__(self, weight: Float[Tensor, "decoders into out"]) -> None:
        self._weight, self.forward = weight, fast_product(weight)

    @cached_property
    def backward(self) -> Product:
        return fast_product(self._weight.transpose(1, 2))


class _Factors:
    """Inputs and output gradients of the steps, and the sum of their products, which is the weight's gradient.

    This is an object of its own because the autograd graph refers to it: a `LoopProduct` also refers to the weight, so
    the graph would be a reference cycle and its memory would not be freed.
    """

    def __init__(self) -> None:
        self._factors: list[tuple[Tensor, Tensor]] = []
        self._sum: Tensor | None = None

    def keep(self, inputs: Tensor, gradient: Tensor) -> None:
        self._factors.append((inputs, gradient))
        if len(self._factors) * inputs.shape[1] >= ROWS_AT_ONCE:
            self._add()

    def take(self) -> Tensor | None:
        """Return the sum so far, and start a new one."""
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
    """The identity of a weight; its backward pass, which runs after those of all steps, returns the kept gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, factors: _Factors) -> Tensor:
        ctx.factors = factors
        ctx.set_materialize_grads(False)  # the steps return no gradient of the weight
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        return ctx.factors.take(), None


class _Product(torch.autograd.Function):
    """The product of one step; its backward pass keeps the factors of the weight's gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, weights: _Weights, factors: _Factors) -> Tensor:
        rounded = inputs.to(weight.dtype)
        ctx.save_for_backward(rounded)
        ctx.dtype, ctx.weights, ctx.factors = inputs.dtype, weights, factors
        return weights.forward(rounded)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        (inputs,) = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.factors.keep(inputs, gradients[0])
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        return ctx.weights.backward(gradients[0]).to(ctx.dtype), None, None, None
