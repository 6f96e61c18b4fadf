"""Deferred products: the values and gradients of plain ones, however many steps, precisions and passes."""

import pytest
import torch
from torch import Tensor

from dtc.acoustic.deferred import STEPS_AT_ONCE, Deferred


def unroll(product: object, start: Tensor, steps: int) -> Tensor:
    """A recurrence whose loss depends on every step."""
    state, total = start, torch.zeros(())
    for _ in range(steps):
        state = torch.tanh(product(state))  # type: ignore[operator]
        total = total + state.square().sum()
    return total


@pytest.mark.parametrize("steps", [1, STEPS_AT_ONCE, 2 * STEPS_AT_ONCE + 3])
@pytest.mark.parametrize("decoders", [1, 2])
def test_gradients_are_those_of_plain_products(steps: int, decoders: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    weight = torch.randn(decoders, 6, 6, generator=generator, dtype=torch.float64).requires_grad_()
    start = torch.randn(decoders, 3, 6, generator=generator, dtype=torch.float64).requires_grad_()
    expected = torch.autograd.grad(unroll(lambda state: torch.bmm(state, weight), start, steps), (weight, start))
    found = torch.autograd.grad(unroll(Deferred(weight), start, steps), (weight, start))
    for mine, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, plain)  # float64's own tolerance: only the order of the sum differs


def test_a_second_backward_pass_adds_nothing_of_the_first() -> None:
    weight, start = torch.randn(1, 4, 4).requires_grad_(), torch.randn(1, 2, 4)
    loss = unroll(Deferred(weight), start, steps=5)
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, weight)[0], first)


def test_an_unused_product_has_no_gradient() -> None:
    weight = torch.randn(1, 4, 4).requires_grad_()
    Deferred(weight)
    assert weight.grad is None


def test_without_gradients_nothing_is_kept() -> None:
    weight = torch.randn(1, 4, 4)
    product = Deferred(weight)
    assert torch.equal(product(torch.ones(1, 2, 4)), torch.bmm(torch.ones(1, 2, 4), weight))
    with torch.no_grad():
        assert not Deferred(weight.clone().requires_grad_())(torch.ones(1, 2, 4)).requires_grad
