"""Gaussian mixture attention: a mixture of Gaussians over the text, whose means only move forward.

Source: Graves 2013 (arXiv:1308.0850), section 5.1, in the version V2 of Battenberg et al. 2020 (arXiv:1910.10288).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.base import Attention, LoopLinear, OneStatePass, State, at_least_float32, masked_softmax
from dtc.acoustic.attention.configs import GMMConfig

FIRST_ADVANCE = 1.0  # symbols a step that the means move before any training
FIRST_DEVIATION = 10.0  # symbols, before any training: wide enough to reach the text that belongs to a frame
# Symbols. Such a Gaussian covers one symbol alone; a narrower one would too, and its gradient, ∝ 1/σ², has no bound.
LEAST_DEVIATION = 0.1


class GMMAttention(Attention):
    """Computes α(n) ∝ Σₖ wₖ N(n; μₖ, σₖ) for the symbols n = 1 … N.

    w = softmax(ŵ), μ = μ' + softplus(Δ̂), σ = softplus(σ̂) + 0.1, where (ŵ, Δ̂, σ̂) = V tanh(W query + b) + c. The bias c
    starts such that Δ is about 1 and σ about 10. μ' are the means of the last step, and 0 before the first one.

    In the paper, the weight that lies outside the text is lost. Here the weights are divided by their sum over the
    text. Otherwise a Gaussian narrower than a symbol could have more than a weight of 1 in all, and one beyond the end
    would have none, which guided attention and the diagonal score would count as perfect. Once all means are past the
    end, the weight is on the last symbol.
    """

    def __init__(self, encoding_dim: int, config: GMMConfig) -> None:
        super().__init__(encoding_dim, config)
        self.query_layer = nn.Linear(config.rnn_dim, config.attention_dim)
        self.mixture_layer = nn.Linear(config.attention_dim, 3 * config.num_mixtures)
        with torch.no_grad():
            weights, advances, deviations = self.mixture_layer.bias.chunk(3)
            weights.zero_()
            advances.fill_(_before_softplus(FIRST_ADVANCE))
            deviations.fill_(_before_softplus(FIRST_DEVIATION - LEAST_DEVIATION))

    @staticmethod
    def begin(
        attentions: Sequence[GMMAttention],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> GMMPass:
        """Begin a pass, as in `Attention`."""
        queries, mixtures = [each.query_layer for each in attentions], [each.mixture_layer for each in attentions]
        first = values.new_zeros(
            len(attentions), len(values), mixtures[0].out_features // 3, dtype=at_least_float32(values)
        )
        return GMMPass(
            first,
            mask,
            torch.arange(1, mask.shape[1] + 1, dtype=first.dtype, device=first.device),
            LoopLinear([layer.weight for layer in queries], [layer.bias for layer in queries], dtype),
            LoopLinear([layer.weight for layer in mixtures], [layer.bias for layer in mixtures], dtype),
        )


@dataclass(frozen=True)
class GMMPass(OneStatePass):
    """A pass whose state is the means, (decoders, batch, mixtures); before the first step they are 0."""

    places: Float[Tensor, " symbols"]
    query: LoopLinear
    mixture: LoopLinear

    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Move the means forward; return the mixture over the text and the means."""
        (means,) = state
        weights, advances, deviations = self.mixture(torch.tanh(self.query(query))).chunk(3, dim=2)  # (D, B, K) each
        means = means + F.softplus(advances)
        deviations = F.softplus(deviations) + LEAST_DEVIATION
        distances = (self.places - means[..., None]) / deviations[..., None]  # (D, B, K, N)
        heights = torch.log_softmax(weights, dim=2) - torch.log(deviations)
        # In logarithms: far from all means every density is 0 in float32, and their sum over the text would be 0.
        scores = torch.logsumexp(heights[..., None] - 0.5 * distances.square(), dim=2)
        return masked_softmax(scores, self.mask), (means,)


def _before_softplus(value: float) -> float:
    return math.log(math.expm1(value))
