"""Weights made of the last step's by convolution alone, under a prior that only moves forward.

Source: Battenberg et al. 2020 (arXiv:1910.10288), section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb, exp, lgamma

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.base import (
    Attention,
    Reading,
    State,
    StepLinear,
    at_least_float32,
    masked_softmax,
)
from dtc.acoustic.attention.configs import DynamicConvolutionConfig
from dtc.acoustic.deferred_gradients import Deferred

PRIOR_TAPS, PRIOR_ALPHA, PRIOR_BETA = 11, 0.1, 0.9  # one symbol a step on average, ten at most


class DynamicConvolutionAttention(Attention):
    """Scores v · tanh(U (F * α) + T (G * α) + b) + log(P * α) of the last weights α, then a masked softmax.

    F are static filters; G = V tanh(W query + c) dynamic ones, new at each step; P is the causal prior, a beta-binomial
    distribution over the symbols to move on by. The first α is all on the first symbol.

    P * α is 0 more than ten symbols ahead of α and behind all that α still holds, and so are the weights, whatever the
    other terms say: the attention cannot jump, nor return to where it has nothing left. F and U, both linear, are
    folded into one kernel at each pass.
    """

    prior: Tensor

    def __init__(self, encoding_dim: int, config: DynamicConvolutionConfig) -> None:
        super().__init__(encoding_dim, config)
        filters, taps = config.num_filters, config.kernel_size
        self.query_layer = nn.Linear(config.rnn_dim, config.attention_dim)
        self.filter_layer = nn.Linear(config.attention_dim, filters * taps, bias=False)
        self.static_conv = nn.Conv1d(1, filters, taps, bias=False)
        self.static_dense = nn.Linear(filters, config.attention_dim, bias=False)
        self.dynamic_dense = nn.Linear(filters, config.attention_dim)
        self.v = nn.Linear(config.attention_dim, 1, bias=False)
        prior = beta_binomial(PRIOR_TAPS - 1, PRIOR_ALPHA, PRIOR_BETA)
        self.register_buffer("prior", torch.tensor(prior), persistent=False)

    @staticmethod
    def over(
        attentions: Sequence[DynamicConvolutionAttention],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> DynamicConvolutionReading:
        """Begin a pass; the products of a step are computed in `dtype`, the prior in float32."""
        first = values.new_zeros(len(attentions), *mask.shape, dtype=at_least_float32(values))
        first[:, :, 0] = 1.0
        queries, dense = [each.query_layer for each in attentions], [each.dynamic_dense for each in attentions]
        return DynamicConvolutionReading(
            first,
            mask,
            attentions[0].prior,
            attentions[0].static_conv.kernel_size[0],
            StepLinear([layer.weight for layer in queries], [layer.bias for layer in queries], dtype),
            Deferred(torch.stack([each.filter_layer.weight.T for each in attentions]).to(dtype)),
            StepLinear([each.feature_weight() for each in attentions], [layer.bias for layer in dense], dtype),
            torch.stack([each.v.weight.T for each in attentions]),
        )

    def feature_weight(self) -> Float[Tensor, "attention features"]:
        """[U F, T]: of the window of earlier weights, and of what the dynamic filters make of it."""
        static = torch.einsum("af,fk->ak", self.static_dense.weight, self.static_conv.weight[:, 0])
        return torch.cat([static, self.dynamic_dense.weight], dim=1)


@dataclass(frozen=True)
class DynamicConvolutionReading(Reading):
    """State: the last step's weights."""

    first: Float[Tensor, "decoders batch symbols"]
    mask: Bool[Tensor, "batch symbols"]
    prior: Float[Tensor, " prior_taps"]
    taps: int
    query: StepLinear
    filters: Deferred
    features: StepLinear
    v: Float[Tensor, "decoders attention 1"]

    def start(self) -> State:
        """All on the first symbol."""
        return (self.first,)

    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Scores of all symbols from the weights around them, and their softmax under the prior."""
        (earlier,) = state
        decoders, batch, symbols = earlier.shape
        filters = self.filters(torch.tanh(self.query(query))).view(decoders * batch, -1, self.taps)
        half = self.taps // 2
        windows = F.pad(earlier, (half, half)).unfold(2, self.taps, 1).flatten(0, 1).to(filters.dtype)  # (D B, N, K)
        features = torch.cat([windows, torch.bmm(windows, filters.transpose(1, 2))], dim=2)
        energies = torch.tanh(self.features(features.view(decoders, batch * symbols, -1)))  # (D, B N, A)
        scores = torch.matmul(energies, self.v).view_as(earlier)
        weights = masked_softmax(scores + self.log_prior(earlier), self.mask)
        return weights, (weights,)

    def log_prior(self, earlier: Float[Tensor, "decoders batch symbols"]) -> Float[Tensor, "decoders batch symbols"]:
        """log(P * α), by a sum, which autocast leaves in float32; finfo.min for log(0), whose gradient would be NaN."""
        behind = F.pad(earlier, (len(self.prior) - 1, 0)).unfold(2, len(self.prior), 1)  # the farthest first
        moved = (behind * self.prior.flip(0)).sum(dim=3)
        number = torch.finfo(moved.dtype)
        return moved.clamp(min=number.tiny).log().masked_fill(moved == 0, number.min)

    def select(self, rows: Tensor) -> DynamicConvolutionReading:
        """The same for some texts of the batch."""
        return replace(self, first=self.first[:, rows], mask=self.mask[rows])


def beta_binomial(n: int, alpha: float, beta: float) -> list[float]:
    """P(k) = (n choose k) B(k + α, n - k + β) / B(α, β) for k = 0 … n; its mean is n α / (α + β)."""

    def log_beta(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    return [comb(n, k) * exp(log_beta(k + alpha, n - k + beta) - log_beta(alpha, beta)) for k in range(n + 1)]
