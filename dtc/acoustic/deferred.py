"""Products inside a loop whose weight gradients are computed once, after the loop.

A recurrent network multiplies the same weights at every step. Autograd would add up a gradient as large as the weights
at each of them: for a few rows of input that is far more memory traffic than the product itself. Here a step's backward
pass only passes the gradient on to the step before and keeps its two small factors; when all steps are through, one
large product of the factors is the gradient. The sum is the same, in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

STEPS_AT_ONCE = (
    64  # whose factors are kept before they are multiplied: bounds the memory, and is large enough a product
)


class Deferred:
    """inputs @ weight for each of `decoders` weights; call it at every step, within one forward pass."""

    def __init__(self, weight: Float[Tensor, "decoders into out"]) -> None:
        self._factors: list[tuple[Tensor, Tensor]] = []
        self._sum: Tensor | None = None
        self.weight: Tensor = _Collect.apply(weight, self._take_gradient) if weight.requires_grad else weight

    def __call__(self, inputs: Float[Tensor, "decoders rows into"]) -> Float[Tensor, "decoders rows out"]:
        """The product, in the weight's precision."""
        return _Product.apply(inputs.to(self.weight.dtype), self.weight, self._keep)

    def _keep(self, inputs: Tensor, gradient: Tensor) -> None:
        self._factors.append((inputs, gradient))
        if len(self._factors) == STEPS_AT_ONCE:
            self._multiply()

    def _multiply(self) -> None:
        inputs, gradients = (torch.cat(factors, dim=1) for factors in zip(*self._factors, strict=True))
        self._factors.clear()
        product = torch.bmm(inputs.transpose(1, 2), gradients)
        self._sum = product if self._sum is None else self._sum.add_(product)

    def _take_gradient(self) -> Tensor | None:
        if self._factors:
            self._multiply()
        total, self._sum = self._sum, None
        return total


class _Collect(torch.autograd.Function):
    """The weight as it is; its backward pass, which runs after those of all steps, hands out the collected gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, take_gradient: Callable[[], Tensor | None]) -> Tensor:
        ctx.take_gradient = take_gradient
        ctx.set_materialize_grads(False)  # the steps pass none on
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        return ctx.take_gradient(), None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, keep: Callable[[Tensor, Tensor], None]) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.keep = keep
        return torch.bmm(inputs, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        inputs, weight = ctx.saved_tensors
        if weight.requires_grad:
            ctx.keep(inputs, gradients[0])
        passed_on = torch.bmm(gradients[0], weight.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return passed_on, None, None
