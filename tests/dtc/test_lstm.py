"""LSTMs under autocast on a CPU: the outputs and gradients of PyTorch's in float32, within bfloat16's precision."""

import torch
from torch import Tensor, nn

from dtc.acoustic.lstm import run_both_directions, run_lstms

ERROR = 0.02  # of outputs and gradients in bfloat16, as a share of their norm; 0.009 was found at the most
LENGTHS = torch.tensor([9, 4, 7])


def assert_near(outputs: list[Tensor], lstms: list[nn.LSTM], inputs: Tensor) -> None:
    """Check that outputs, and gradients of their sums of squares, differ by less than ERROR."""
    variables = [inputs, *(weight for lstm in lstms for weight in lstm.parameters())]
    results = [[each, *torch.autograd.grad(each.float().square().sum(), variables)] for each in outputs]
    for found, expected in zip(*results, strict=True):
        assert torch.dist(found.float(), expected) < ERROR * expected.norm()


def test_both_directions_in_bfloat16_are_near_float32() -> None:
    """Texts of several lengths: the second direction begins at the end of each, and padding stays 0."""
    torch.manual_seed(0)
    lstm, inputs = nn.LSTM(12, 16, batch_first=True, bidirectional=True), torch.randn(3, 9, 12, requires_grad=True)
    outputs = []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs.append(run_both_directions(lstm, inputs, LENGTHS))
    assert outputs[0].shape == (3, 9, 32)
    assert all(not output[1, 4:].any() for output in outputs)
    assert_near(outputs, [lstm], inputs)


def test_lstms_side_by_side_in_bfloat16_are_near_float32() -> None:
    torch.manual_seed(0)
    lstms, inputs = [nn.LSTM(12, 16) for _ in range(2)], torch.randn(20, 2, 3, 12, requires_grad=True)
    outputs = []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs.append(run_lstms(lstms, inputs))
    assert_near(outputs, lstms, inputs)
