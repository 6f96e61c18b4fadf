"""Linear layers in bfloat16 on a CPU, by oneDNN, which PyTorch includes.

A product first copies the weight into the layout of its kernel. For a few rows, that copy takes most of the time; here
it is made once for all calls. PyTorch's own compiler uses the same operations; they have no public name.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Activation = Literal["none", "sigmoid", "tanh"]


def is_supported(device: torch.device) -> bool:
    """Return whether `PackedLinear` works on a device: on a CPU with AVX-512, or another that oneDNN supports."""
    return (
        device.type == "cpu" and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


class PackedLinear:
    """Computes activation(rows @ weight + bias), where sums and activation are float32 and the result is bfloat16."""

    def __init__(
        self,
        weight: Float[Tensor, "into out"],
        bias: Float[Tensor, " out"] | None = None,
        activation: Activation = "none",
    ) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.T.bfloat16().contiguous())
        self.bias = None if bias is None else bias.bfloat16()
        self.activation = activation

    def __call__(self, rows: Float[Tensor, "rows into"]) -> Float[Tensor, "rows out"]:
        """Return the layer's output for rows in bfloat16."""
        return torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, self.activation, [], "")

    def added(self, rows: Float[Tensor, "rows into"], to: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """Return the layer's output, without activation, added to another tensor before it is rounded."""
        return torch.ops.mkldnn._linear_pointwise.binary(rows, to, self.weight, self.bias, "add")
