"""Attention by content and by location, that of Tacotron 2. Source: Chorowski et al. 2015 (arXiv:1506.07503)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.base import Attention, Reading, State, masked_softmax
from dtc.acoustic.attention.configs import LocationSensitiveConfig
from dtc.acoustic.deferred_gradients import Deferred


class LocationSensitiveAttention(Attention):
    """Scores v · tanh(W query + V memory + U (filters * [previous, cumulative] weights)), then a masked softmax.

    The location convolution and the dense layer U behind it are both linear, so each pass folds them into one kernel;
    the parameters stay apart, as in NVIDIA/tacotron2.
    """

    def __init__(self, encoding_dim: int, config: LocationSensitiveConfig) -> None:
        super().__init__(encoding_dim, config)
        self.query_layer = nn.Linear(config.rnn_dim, config.attention_dim, bias=False)
        self.memory_layer = nn.Linear(encoding_dim, config.attention_dim, bias=False)
        self.location_conv = nn.Conv1d(2, config.num_filters, config.kernel_size, bias=False)
        self.location_dense = nn.Linear(config.num_filters, config.attention_dim, bias=False)
        self.v = nn.Linear(config.attention_dim, 1, bias=False)

    @staticmethod
    def over(
        attentions: Sequence[LocationSensitiveAttention],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> LocationSensitiveReading:
        """Begin a pass; the products of a step are computed in `dtype`."""
        return LocationSensitiveReading(
            torch.stack([each.memory_layer(values) for each in attentions]),
            mask,
            Deferred(torch.stack([each.query_layer.weight.T for each in attentions]).to(dtype)),
            Deferred(torch.stack([each.location_kernel() for each in attentions]).to(dtype)),
            torch.stack([each.v.weight.T for each in attentions]),
        )

    def location_kernel(self) -> Float[Tensor, "taps attention"]:
        """Filters and dense layer in one; taps = 2 * kernel_size, those over the previous weights first."""
        return torch.einsum("af,fck->cka", self.location_dense.weight, self.location_conv.weight).flatten(0, 1)


class LocationSensitiveReading(Reading):
    """State: the last step's weights and the sum of all steps', stacked."""

    def __init__(
        self,
        keys: Float[Tensor, "decoders batch symbols attention"],
        mask: Bool[Tensor, "batch symbols"],
        query: Deferred,
        location: Deferred,
        v: Float[Tensor, "decoders attention 1"],
    ) -> None:
        self.keys, self.mask, self.query, self.location, self.v = keys, mask, query, location, v
        self.taps = location.weight.shape[1] // 2  # of each of the two

    def start(self) -> State:
        """No weights yet."""
        decoders, batch, symbols, _ = self.keys.shape
        return (self.keys.new_zeros(decoders, batch, 2, symbols),)

    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Scores of all symbols, and their softmax."""
        (earlier,) = state
        decoders, batch, symbols, _ = self.keys.shape
        padded = F.pad(earlier, (self.taps // 2, self.taps // 2))
        windows = padded.unfold(3, self.taps, 1).transpose(2, 3)  # (D, B, N, 2, K)
        location = self.location(windows.reshape(decoders, batch * symbols, -1)).view_as(self.keys)
        energies = torch.tanh(self.query(query)[:, :, None] + self.keys + location)  # (D, B, N, A)
        scores = torch.matmul(energies.flatten(1, 2), self.v).view(decoders, batch, symbols)
        weights = masked_softmax(scores, self.mask)
        return weights, (torch.stack([weights, earlier[:, :, 1] + weights], dim=2),)

    def select(self, rows: Tensor) -> LocationSensitiveReading:
        """The same for some texts of the batch."""
        return LocationSensitiveReading(self.keys[:, rows], self.mask[rows], self.query, self.location, self.v)
