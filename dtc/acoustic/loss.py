"""What an acoustic model is taught by. Every term is masked: padding never reaches a loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from dtc.batch import mask_of, masked_mean
from dtc.config import Section


class AcousticLossConfig(Section):
    """Weights of the terms; 0 switches a term off. The mel terms (before and after the post-net) weigh 1."""

    gate_weight: NonNegativeFloat
    gate_positive_weight: PositiveFloat  # of the one stop step against each step that goes on
    guided_attention_weight: NonNegativeFloat
    guided_attention_sigma: PositiveFloat  # tolerated distance from the diagonal, as a share of the text


def mel_loss(
    predicted: Float[Tensor, "batch mels frames"],
    target: Float[Tensor, "batch mels frames"],
    lengths: Int[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """Mean absolute error over the true frames."""
    return masked_mean((predicted - target).abs(), mask_of(lengths, target.shape[-1]))


def gate_loss(
    logits: Float[Tensor, "batch steps"], step_lengths: Int[Tensor, " batch"], positive_weight: float
) -> Float[Tensor, ""]:
    """Cross-entropy of "this step is the last", over the true steps."""
    target = F.one_hot(step_lengths - 1, logits.shape[1]).to(logits.dtype)
    weight = torch.as_tensor(positive_weight, dtype=logits.dtype, device=logits.device)
    terms = F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="none")
    return masked_mean(terms, mask_of(step_lengths, logits.shape[1]))


def guided_attention_loss(
    alignments: Float[Tensor, "batch steps symbols"],
    step_lengths: Int[Tensor, " batch"],
    symbol_lengths: Int[Tensor, " batch"],
    sigma: float,
) -> Float[Tensor, ""]:
    """Attention mass far from the diagonal: mean over steps of Σ_n a(t, n) · (1 - exp(-(n/N - t/T)² / 2σ²)).

    Source: Tachibana et al. 2018 (arXiv:1710.08969), section 4.1; summed over the text rather than averaged, so that a
    long text is guided as firmly as a short one.
    """
    _, steps, symbols = alignments.shape
    t = torch.arange(steps, device=alignments.device) / step_lengths[:, None]  # (B, T)
    n = torch.arange(symbols, device=alignments.device) / symbol_lengths[:, None]  # (B, N)
    distance = (n[:, None, :] - t[:, :, None]).square()  # (B, T, N)
    penalty = 1.0 - torch.exp(-distance / (2.0 * sigma**2))
    return masked_mean((alignments * penalty).sum(dim=2), mask_of(step_lengths, steps))
