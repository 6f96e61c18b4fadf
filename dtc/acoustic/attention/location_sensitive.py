"""Location-sensitive attention, that of Tacotron 2. Source: Chorowski et al. 2015 (arXiv:1506.07503)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.base import Attention, OneStatePass, State, masked_softmax
from dtc.acoustic.attention.configs import LocationSensitiveConfig
from dtc.acoustic.deferred_gradients import LoopProduct


class LocationSensitiveAttention(Attention):
    """Computes the softmax of v · tanh(W query + V memory + U (filters * [previous, cumulative] weights)).

    The location convolution and the dense layer U after it are both linear, so each pass multiplies them into one
    kernel. They stay separate parameters, as in NVIDIA/tacotron2.
    """

    def __init__(self, encoding_dim: int, config: LocationSensitiveConfig) -> None:
        super().__init__(encoding_dim, config)
        self.query_layer = nn.Linear(config.rnn_dim, config.attention_dim, bias=False)
        self.memory_layer = nn.Linear(encoding_dim, config.attention_dim, bias=False)
        self.location_conv = nn.Conv1d(2, config.num_filters, config.kernel_size, bias=False)
        self.location_dense = nn.Linear(config.num_filters, config.attention_dim, bias=False)
        self.v = nn.Linear(config.attention_dim, 1, bias=False)

    @staticmethod
    def begin(
        attentions: Sequence[LocationSensitiveAttention],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> LocationSensitivePass:
        """Begin a pass, as in `Attention`."""
        return LocationSensitivePass(
            values.new_zeros(len(attentions), len(values), 2, values.shape[1]),
            mask,
            torch.stack([each.memory_layer(values) for each in attentions]),
            LoopProduct(torch.stack([each.query_layer.weight.T for each in attentions]).to(dtype)),
            LoopProduct(torch.stack([each.location_kernel() for each in attentions]).to(dtype)),
            torch.stack([each.v.weight.T for each in attentions]),
        )

    def location_kernel(self) -> Float[Tensor, "taps attention"]:
        """Return filters and dense layer as one kernel; taps = 2 * kernel_size, first those of the previous weights."""
        return torch.einsum("af,fck->cka", self.location_dense.weight, self.location_conv.weight).flatten(0, 1)


@dataclass(frozen=True)
class LocationSensitivePass(OneStatePass):
    """A pass whose state is the last step's weights and the sum of the weights of all steps, stacked; at first 0."""

    keys: Float[Tensor, "decoders batch symbols attention"]
    query: LoopProduct
    location: LoopProduct
    v: Float[Tensor, "decoders attention 1"]

    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Return the softmax of the scores of all symbols, and the next state."""
        (earlier,) = state
        decoders, batch, symbols, _ = self.keys.shape
        taps = self.location.weight.shape[1] // 2  # over the previous weights; as many over the cumulative ones
        windows = F.pad(earlier, (taps // 2, taps // 2)).unfold(3, taps, 1).transpose(2, 3)  # (D, B, N, 2, K)
        location = self.location(windows.reshape(decoders, batch * symbols, -1)).view_as(self.keys)
        energies = torch.tanh(self.query(query)[:, :, None] + self.keys + location)  # (D, B, N, A)
        scores = torch.matmul(energies.flatten(1, 2), self.v).view(decoders, batch, symbols)
        weights = masked_softmax(scores, self.mask)
        return weights, (torch.stack([weights, earlier[:, :, 1] + weights], dim=2),)

    def select(self, rows: Tensor) -> LocationSensitivePass:
        """Return the pass over some texts of the batch, given by their numbers."""
        return replace(self, first=self.first[:, rows], mask=self.mask[rows], keys=self.keys[:, rows])
