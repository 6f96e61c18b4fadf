"""Dynamic convolution attention: convolutions over the last step's weights, and a prior that only moves forward.

Source: Battenberg et al. 2020 (arXiv:1910.10288), section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, lgamma

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.base import Attention, LoopLinear, OneStatePass, State, at_least_float32, masked_softmax
from dtc.acoustic.attention.configs import DynamicConvolutionConfig
from dtc.acoustic.deferred_gradients import LoopProduct

PRIOR_TAPS, PRIOR_ALPHA, PRIOR_BETA = 11, 0.1, 0.9  # mean: one symbol a step; maximum: ten


class DynamicConvolutionAttention(Attention):
    """Computes the scores v · tanh(U (F * α) + T (G * α) + b) + log(P * α) of the last weights α, and their softmax.

    F are static filters. G = V tanh(W query + c) are dynamic filters, which differ from step to step. P is the prior, a
    beta-binomial distribution over the number of symbols to move forward. The first α is all on the first symbol.

    P * α is 0 behind all symbols that have weight, and more than ten symbols ahead of them, and so are the new weights,
    whatever the other terms are. The attention therefore cannot jump, and cannot return to where it has no weight. F
    and U are both linear, so each pass multiplies them into one kernel.
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
    def begin(
        attentions: Sequence[DynamicConvolutionAttention],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> DynamicConvolutionPass:
        """Begin a pass, as in `Attention`; the prior is computed in float32."""
        first = values.new_zeros(len(attentions), *mask.shape, dtype=at_least_float32(values))
        first[:, :, 0] = 1.0
        queries, dense = [each.query_layer for each in attentions], [each.dynamic_dense for each in attentions]
        return DynamicConvolutionPass(
            first,
            mask,
            attentions[0].prior,
            attentions[0].static_conv.kernel_size[0],
            LoopLinear([layer.weight for layer in queries], [layer.bias for layer in queries], dtype),
            LoopProduct(torch.stack([each.filter_layer.weight.T for each in attentions]).to(dtype)),
            LoopLinear([each.feature_weight() for each in attentions], [layer.bias for layer in dense], dtype),
            torch.stack([each.v.weight.T for each in attentions]),
        )

    def feature_weight(self) -> Float[Tensor, "attention features"]:
        """Return [U F, T], the weight of a window of the last weights and of the dynamic filters' outputs."""
        static = torch.einsum("af,fk->ak", self.static_dense.weight, self.static_conv.weight[:, 0])
        return torch.cat([static, self.dynamic_dense.weight], dim=1)


@dataclass(frozen=True)
class DynamicConvolutionPass(OneStatePass):
    """A pass whose state is the last step's weights; before the first step they are all on the first symbol."""

    prior: Float[Tensor, " prior_taps"]
    taps: int
    query: LoopLinear
    filters: LoopProduct
    features: LoopLinear
    v: Float[Tensor, "decoders attention 1"]

    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Return the softmax of the scores, which depend on the last weights around each symbol; also as the state."""
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
        """Return log(P * α), or finfo.min for log(0), whose gradient would be NaN."""
        behind = F.pad(earlier, (len(self.prior) - 1, 0)).unfold(2, len(self.prior), 1)  # the farthest first
        moved = (behind * self.prior.flip(0)).sum(dim=3)  # a sum and no convolution: autocast leaves it in float32
        number = torch.finfo(moved.dtype)
        return moved.clamp(min=number.tiny).log().masked_fill(moved == 0, number.min)


def beta_binomial(n: int, alpha: float, beta: float) -> list[float]:
    """Return P(k) = (n choose k) B(k + α, n - k + β) / B(α, β) for k = 0 … n, whose mean is n α / (α + β)."""

    def log_beta(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    return [comb(n, k) * exp(log_beta(k + alpha, n - k + beta) - log_beta(alpha, beta)) for k in range(n + 1)]
