"""What an acoustic model is taught by. Every term is masked: padding never reaches a loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dtc.acoustic.configs import AcousticLossConfig
from dtc.audio import AudioConfig, magnitude_from_mel, stft_magnitude
from dtc.batch import Batch, mask_of, masked_mean

Terms = dict[str, Float[Tensor, ""]]

DIAGONAL_SIGMA = 0.2  # of the diagonal score, whatever the loss is guided by, so that runs compare


@dataclass(frozen=True)
class Target:
    """What a decoder is to predict."""

    mel: Float[Tensor, "batch mels frames"]  # normalised
    lengths: Int[Tensor, " batch"]  # frames
    steps: Int[Tensor, " batch"]  # of the decoder
    symbol_lengths: Int[Tensor, " batch"]

    @classmethod
    def of(cls, batch: Batch, mel: Float[Tensor, "batch mels frames"], frames_per_step: int) -> Target:
        """A batch's, with its normalised mel."""
        return cls(mel, batch.mel_lengths, -(-batch.mel_lengths // frames_per_step), batch.symbol_lengths)


def decoder_terms(
    mel: Float[Tensor, "batch mels padded_frames"],
    gate_logits: Float[Tensor, "batch steps"],
    alignments: Float[Tensor, "batch steps symbols"],
    target: Target,
    weights: AcousticLossConfig,
    training_step: int,
) -> Terms:
    """The weighted terms of one decoder's output."""
    mel = mel[..., : target.mel.shape[-1]]
    terms = {
        "mel": mel_loss(mel, target.mel, target.lengths),
        "gate": weights.gate_weight * gate_loss(gate_logits, target.steps, weights.gate_positive_weight),
    }
    if weights.guided_attention_weight:
        guided = guided_attention_loss(alignments, target.steps, target.symbol_lengths, weights.guided_attention_sigma)
        half_life = weights.guided_attention_half_life
        share = 0.5 ** (training_step / half_life) if half_life else 1.0
        terms["guided_attention"] = weights.guided_attention_weight * share * guided
    if weights.mel_difference_weight:
        difference = mel_loss(mel.diff(dim=2), target.mel.diff(dim=2), target.lengths - 1)
        terms["mel_difference"] = weights.mel_difference_weight * difference
    return terms


def summed_up(terms: Terms, metrics: Terms) -> Terms:
    """`loss`, the sum of the terms; the terms; and what is only measured."""
    return {
        "loss": torch.stack(list(terms.values())).sum(),
        **terms,
        **{name: value.detach() for name, value in metrics.items()},
    }


def mel_loss(
    predicted: Float[Tensor, "batch mels frames"],
    target: Float[Tensor, "batch mels frames"],
    lengths: Int[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """Mean absolute error over the true frames."""
    return masked_mean((predicted.float() - target).abs(), mask_of(lengths, target.shape[-1]))


def stft_loss(log_mel: Float[Tensor, "batch mels frames"], batch: Batch, audio: AudioConfig) -> Float[Tensor, ""]:
    """Error of the linear-frequency magnitudes that a log-mel stands for, as a share of the true ones' sum.

    The map back is the pseudo-inverse of the mel filters, clipped at zero: fixed and differentiable. Frames whose
    window reaches beyond the clip are left out, since in a padded batch they see other samples than the clip's own mel.
    """
    true = stft_magnitude(batch.wave, audio)[:, :, : log_mel.shape[2]]
    predicted = magnitude_from_mel(log_mel.float()[:, :, : true.shape[2]], audio)
    whole = batch.mel_lengths - -(-audio.filter_length // (2 * audio.hop_length))
    mask = mask_of(whole, true.shape[2])[:, None]
    return ((predicted - true).abs() * mask).sum() / (true * mask).sum().clamp(min=1e-5)


def gate_loss(
    logits: Float[Tensor, "batch steps"], step_lengths: Int[Tensor, " batch"], positive_weight: float
) -> Float[Tensor, ""]:
    """Cross-entropy of "this step is the last", over the true steps."""
    logits = logits.float()
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


def diagonal_score(alignments: Float[Tensor, "batch steps symbols"], target: Target) -> Float[Tensor, ""]:
    """How much of the attention lies near the diagonal: 1 all of it, about 0.5 where it looks everywhere alike."""
    return 1.0 - guided_attention_loss(alignments, target.steps, target.symbol_lengths, DIAGONAL_SIGMA)
