"""Recurrent weights in smaller number formats."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch

from dtc.acoustic.packed_linear import packed_linear


@pytest.mark.parametrize("weight_format", ["float16", "int8"])
def test_without_fbgemm_the_weights_are_float32_and_one_warning_says_so(
    weight_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Mac with an ARM processor, whose PyTorch has qnnpack alone."""
    weight, bias, inputs = torch.randn(6, 4), torch.randn(6), torch.randn(3, 4)
    monkeypatch.setattr(torch.backends, "quantized", SimpleNamespace(supported_engines=["qnnpack", "none"]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            layer = packed_linear(weight, bias, weight_format)
    assert torch.equal(layer(inputs), packed_linear(weight, bias, "float32")(inputs))
    assert [str(each.message) for each in caught] == [
        f"{weight_format} weights need fbgemm, which this PyTorch lacks: using float32"
    ]


def test_the_command_line_prints_the_warning_as_one_line() -> None:
    program = (
        "import torch, types; torch.backends.quantized = types.SimpleNamespace(supported_engines=['none'])\n"
        "from stages.cli_base import print_notices_in_one_line; print_notices_in_one_line()\n"
        "from dtc.acoustic.packed_linear import packed_linear\n"
        "for _ in range(3): packed_linear(torch.ones(2, 2), torch.ones(2), 'int8')\n"
        "import warnings; warnings.warn('another')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert lines[:2] == [
        "dtc: int8 weights need fbgemm, which this PyTorch lacks: using float32",
        "<string>:5: UserWarning: another",
    ]
