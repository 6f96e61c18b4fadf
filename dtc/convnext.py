"""The block of ConvNeXt (Liu et al. 2022, arXiv:2201.03545) in one dimension, which several models are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc import whole_batch


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution over time, and a two-layer perceptron of each position; residual with a learned scale.

    Args:
        dim: channels of the input and of the output.
        intermediate_dim: width of the perceptron.
        kernel_size: of the convolution, odd.
        scale: initial factor of what the block adds to its input.
        dropout_rate: of what the block adds.
    """

    def __init__(
        self, dim: int, intermediate_dim: int, kernel_size: int, scale: float, dropout_rate: float = 0.0
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, intermediate_dim)
        self.contract = nn.Linear(intermediate_dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))
        self.dropout_rate = dropout_rate

    def forward(
        self, inputs: Float[Tensor, "batch dim time"], mask: Bool[Tensor, "batch time"] | None = None
    ) -> Float[Tensor, "batch dim time"]:
        """Return values of the same shape; the padding, which the mask leaves out, does not reach the others."""
        visible = inputs if mask is None else inputs * mask[:, None]
        hidden = self.norm(self.depthwise(visible).transpose(1, 2))
        hidden = self.contract(F.gelu(self.expand(hidden)))
        if self.dropout_rate:
            hidden = whole_batch.dropout(hidden, self.dropout_rate, self.training)
        return inputs + (self.scale * hidden).transpose(1, 2)
