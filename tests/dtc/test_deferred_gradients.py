"""Products inside a loop: the values and gradients of plain ones, however many steps, precisions and passes."""

import weakref

import pytest
import torch
from torch import Tensor

from dtc.acoustic.deferred_gradients import ROWS_AT_ONCE, LoopProduct
from dtc.acoustic.loop_weights import LARGE_WEIGHT

ROWS = 64
BFLOAT16_ERROR = 2.0**-7  # of a number rounded to 8 bits, and of its largest summand


def unroll(product: object, start: Tensor, steps: int) -> Tensor:
    """A recurrence whose loss depends on every step."""
    state, total = start, torch.zeros(())
    for _ in range(steps):
        state = torch.tanh(product(state))  # type: ignore[operator]
        total = total + state.square().sum()
    return total


@pytest.mark.parametrize("steps", [1, ROWS_AT_ONCE // ROWS, ROWS_AT_ONCE // ROWS * 2 + 3])
@pytest.mark.parametrize("decoders", [1, 2])
def test_gradients_are_those_of_plain_products(steps: int, decoders: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    weight = torch.randn(decoders, 6, 6, generator=generator, dtype=torch.float64).requires_grad_()
    start = torch.randn(decoders, ROWS, 6, generator=generator, dtype=torch.float64).requires_grad_()
    expected = torch.autograd.grad(unroll(lambda state: torch.bmm(state, weight), start, steps), (weight, start))
    found = torch.autograd.grad(unroll(LoopProduct(weight), start, steps), (weight, start))
    for mine, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, plain)  # float64's own tolerance: only the order of the sum differs


def test_a_second_backward_pass_adds_nothing_of_the_first() -> None:
    weight, start = torch.randn(1, 4, 4).requires_grad_(), torch.randn(1, 2, 4)
    loss = unroll(LoopProduct(weight), start, steps=5)
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, weight)[0], first)


def test_an_unused_product_has_no_gradient() -> None:
    weight = torch.randn(1, 4, 4).requires_grad_()
    LoopProduct(weight)
    assert weight.grad is None


def test_without_gradients_nothing_is_kept() -> None:
    weight = torch.randn(1, 4, 4)
    product = LoopProduct(weight)
    assert torch.equal(product(torch.ones(1, 2, 4)), torch.bmm(torch.ones(1, 2, 4), weight))
    with torch.no_grad():
        assert not LoopProduct(weight.clone().requires_grad_())(torch.ones(1, 2, 4)).requires_grad


@pytest.mark.parametrize("decoders", [1, 2])
def test_a_large_weight_is_multiplied_in_blocks(decoders: int) -> None:
    """Blocks of columns, side by side; nothing but the order of the sums may differ."""
    generator = torch.Generator().manual_seed(0)
    assert LARGE_WEIGHT <= 1024 * 1024
    weight = torch.randn(decoders, 1024, 1024, generator=generator).div(32).requires_grad_()
    inputs = torch.randn(decoders, 3, 1024, generator=generator).requires_grad_()
    sums = torch.randn(decoders, 3, 1024, generator=generator)
    expected = torch.autograd.grad(torch.bmm(inputs, weight), (weight, inputs), sums)
    found = torch.autograd.grad(LoopProduct(weight)(inputs), (weight, inputs), sums)
    torch.testing.assert_close(LoopProduct(weight)(inputs), torch.bmm(inputs, weight), atol=1e-5, rtol=1e-5)
    for mine, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoders", [1, 2])
def test_a_large_weight_in_bfloat16_is_multiplied_in_its_own_layout(decoders: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(decoders, 512, 2048, generator=generator).div(16).bfloat16().requires_grad_()
    inputs = torch.randn(decoders, 3, 512, generator=generator).requires_grad_()
    sums = torch.randn(decoders, 3, 2048, generator=generator).bfloat16()
    found = LoopProduct(weight)(inputs)
    assert found.dtype == torch.bfloat16
    exact = [each.detach().bfloat16().float().requires_grad_() for each in (weight, inputs)]
    expected = torch.bmm(exact[1], exact[0])
    torch.testing.assert_close(found.float(), expected, atol=BFLOAT16_ERROR, rtol=BFLOAT16_ERROR)
    gradients = torch.autograd.grad(found, (weight, inputs), sums)
    assert gradients[1].dtype == torch.float32
    for mine, plain in zip(gradients, torch.autograd.grad(expected, exact, sums.float()), strict=True):
        torch.testing.assert_close(mine.float(), plain, atol=8 * BFLOAT16_ERROR, rtol=BFLOAT16_ERROR)


def test_nothing_outlives_the_pass() -> None:
    """The graph must not hold on to itself: such a cycle through autograd's nodes is never freed."""
    weight = torch.randn(1, 4, 4).requires_grad_()
    product = LoopProduct(weight)
    unroll(product, torch.randn(1, 2, 4), steps=3).backward()
    kept = weakref.ref(product._weights)
    del product
    assert kept() is None
