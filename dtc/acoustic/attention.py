"""Where in the text the decoder looks: location-sensitive attention (Chorowski et al. 2015, arXiv:1506.07503)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import PositiveInt
from torch import Tensor, nn

from dtc.config import Odd, Section


class LocationConfig(Section):
    """The convolution over earlier attention weights."""

    num_filters: PositiveInt
    kernel_size: Odd


@dataclass(frozen=True)
class Memory:
    """An encoded text, with everything about it that no decoder step changes."""

    values: Float[Tensor, "batch symbols encoding"]
    keys: Float[Tensor, "batch attention symbols"]
    mask: Bool[Tensor, "batch symbols"]  # True where there is text
    location_kernel: Float[Tensor, "attention 2 kernel"]


class LocationSensitiveAttention(nn.Module):
    """Scores v · tanh(W query + V memory + U (filters * [previous, cumulative] weights)), then a masked softmax.

    The location convolution and the dense layer U behind it are both linear, so each forward pass folds them into one
    kernel; the parameters stay apart, as in NVIDIA/tacotron2.
    """

    def __init__(self, query_dim: int, encoding_dim: int, attention_dim: int, location: LocationConfig) -> None:
        super().__init__()
        self.query_layer = nn.Linear(query_dim, attention_dim, bias=False)
        self.memory_layer = nn.Linear(encoding_dim, attention_dim, bias=False)
        self.location_conv = nn.Conv1d(2, location.num_filters, location.kernel_size, bias=False)
        self.location_dense = nn.Linear(location.num_filters, attention_dim, bias=False)
        self.v = nn.Linear(attention_dim, 1, bias=False)
        self.padding = location.kernel_size // 2

    def remember(self, values: Float[Tensor, "batch symbols encoding"], mask: Bool[Tensor, "batch symbols"]) -> Memory:
        """What every step needs of the encoded text, computed once."""
        kernel = torch.einsum("af,fck->ack", self.location_dense.weight, self.location_conv.weight)
        return Memory(values, self.memory_layer(values).transpose(1, 2), mask, kernel)

    def forward(
        self,
        query: Float[Tensor, "batch query"],
        previous: Float[Tensor, "batch 2 symbols"],
        memory: Memory,
    ) -> tuple[Float[Tensor, "batch encoding"], Float[Tensor, "batch symbols"]]:
        """Context and weights of one step; `previous` stacks the last step's weights and the sum of all steps'."""
        location = F.conv1d(previous, memory.location_kernel, padding=self.padding)  # (B, A, N)
        energies = torch.tanh(self.query_layer(query)[:, :, None] + memory.keys + location)  # (B, A, N)
        scores = torch.matmul(self.v.weight, energies)[:, 0]  # (B, N)
        # The softmax is float32 under autocast too; finfo.min instead of -inf, which turns into NaN in half precision.
        scores = scores.float().masked_fill(~memory.mask, torch.finfo(torch.float32).min)
        weights = torch.softmax(scores, dim=1).to(energies.dtype)
        return torch.bmm(weights[:, None], memory.values)[:, 0], weights
