"""Losses of acoustic models. Every one is masked: padding never reaches a loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dtc import whole_batch
from dtc.acoustic.configs import AcousticLossConfig
from dtc.acoustic.decoder import DecoderOutput
from dtc.audio import magnitude_from_mel, stft_magnitude
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses, mask_of, masked_mean

DIAGONAL_SIGMA = 0.2  # sigma of the diagonal score; independent of the loss's own, so that runs can be compared


@dataclass(frozen=True)
class Target:
    """The target of a decoder for a batch; `mel` is normalised, and `steps` counts decoder steps."""

    mel: Float[Tensor, "batch mels frames"]
    lengths: Int[Tensor, " batch"]  # frames
    steps: Int[Tensor, " batch"]
    symbol_lengths: Int[Tensor, " batch"]


def decoder_losses(output: DecoderOutput, target: Target, weights: AcousticLossConfig, training_step: int) -> Losses:
    """Return the weighted losses of one decoder's output, by name."""
    mel = output.mel[..., : target.mel.shape[-1]]
    losses = {
        "mel": mel_loss(mel, target.mel, target.lengths),
        "gate": weights.gate_weight * gate_loss(output.gate_logits, target.steps, weights.gate_positive_weight),
    }
    if weights.guided_attention_weight:
        sigma, half_life = weights.guided_attention_sigma, weights.guided_attention_half_life
        guided = guided_attention_loss(output.alignments, target.steps, target.symbol_lengths, sigma)
        share = 0.5 ** (training_step / half_life) if half_life else 1.0
        losses["guided_attention"] = weights.guided_attention_weight * share * guided
    if weights.mel_difference_weight:
        difference = mel_loss(mel.diff(dim=2), target.mel.diff(dim=2), target.lengths - 1)
        losses["mel_difference"] = weights.mel_difference_weight * difference
    return losses


def mel_loss(
    predicted: Float[Tensor, "batch mels frames"],
    target: Float[Tensor, "batch mels frames"],
    lengths: Int[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """Return the mean absolute error over the true frames."""
    return masked_mean((predicted.float() - target).abs(), mask_of(lengths, target.shape[-1]))


def stft_loss(log_mel: Float[Tensor, "batch mels frames"], batch: Batch, audio: AudioConfig) -> Float[Tensor, ""]:
    """Return the error of the linear-frequency magnitudes of a natural-log mel, divided by the sum of the true ones.

    The mel is mapped back by the pseudo-inverse of the mel filters, clipped at zero, which is differentiable. Frames
    whose window reaches beyond the clip are left out: in a padded batch they contain other samples than the clip alone.
    """
    true = stft_magnitude(batch.wave, audio)[:, :, : log_mel.shape[2]]
    predicted = magnitude_from_mel(log_mel.float()[:, :, : true.shape[2]], audio)
    inside = batch.mel_lengths - -(-audio.filter_length // (2 * audio.hop_length))
    mask = mask_of(inside, true.shape[2])[:, None]
    whole = whole_batch.total((true * mask).sum()).clamp(min=1e-5)
    return whole_batch.portion(((predicted - true).abs() * mask).sum()) / whole


def gate_loss(
    logits: Float[Tensor, "batch steps"], step_lengths: Int[Tensor, " batch"], positive_weight: float
) -> Float[Tensor, ""]:
    """Return the binary cross-entropy of "this decoder step is the last one", over the true steps."""
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
    """Return the attention weight that lies far from the diagonal.

    It is the mean over the steps of Σ_n a(t, n) · (1 - exp(-(n/N - t/T)² / 2σ²)). Source: Tachibana et al. 2018
    (arXiv:1710.08969), section 4.1. Here it is summed over the text and not averaged, so that long and short
    texts have the same weight.
    """
    _, steps, symbols = alignments.shape
    t = torch.arange(steps, device=alignments.device) / step_lengths[:, None]  # (B, T)
    n = torch.arange(symbols, device=alignments.device) / symbol_lengths[:, None]  # (B, N)
    distance = (n[:, None, :] - t[:, :, None]).square()  # (B, T, N)
    penalty = 1.0 - torch.exp(-distance / (2.0 * sigma**2))
    return masked_mean((alignments * penalty).sum(dim=2), mask_of(step_lengths, steps))


def diagonal_score(alignments: Float[Tensor, "batch steps symbols"], target: Target) -> Float[Tensor, ""]:
    """Return the share of the attention weight near the diagonal: 1 is all of it, uniform attention has about 0.5."""
    return 1.0 - guided_attention_loss(alignments, target.steps, target.symbol_lengths, DIAGONAL_SIGMA)
