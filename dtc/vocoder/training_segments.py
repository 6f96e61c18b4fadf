"""What a vocoder learns from: random segments of clips, cut on frame boundaries: samples = frames * hop_length."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dtc.audio import LOG_FLOOR
from dtc.batch import Batch
from dtc.vocoder.configs import SegmentSection

Segments = tuple[Float[Tensor, "batch mels segment"], Float[Tensor, "batch samples"]]
NEPERS_PER_DB = math.log(10.0) / 20.0  # a log-mel is that of an amplitude


def draw_segments(batch: Batch, config: SegmentSection, hop_length: int, training: bool) -> Segments:
    """One segment of each clip, as loud as it was unless it is for training. Drawn from torch's global stream."""
    mel, wave = cut_segments(batch, config.segment_frames, hop_length)
    if not (training and config.attenuation_db):
        return mel, wave
    nepers = -torch.rand(len(mel), 1, device=mel.device) * config.attenuation_db * NEPERS_PER_DB
    return attenuate(mel, wave, nepers)


def cut_segments(batch: Batch, frames: int, hop_length: int) -> Segments:
    """One segment of `frames` frames and frames * hop_length samples from each clip, at a random frame boundary.

    Frame t is centred on sample t * hop_length, so a segment from frame t starts at that sample. A clip shorter than a
    segment is followed by silence. The places are drawn from torch's global stream.
    """
    mels, waves = [], []
    for row, length in enumerate(batch.mel_lengths.tolist()):
        first = int(torch.randint(max(1, length - frames + 1), ()))
        mel = batch.mel[row, :, first : min(first + frames, length)]
        wave = batch.wave[row, first * hop_length : (first + frames) * hop_length]
        mels.append(F.pad(mel, (0, frames - mel.shape[1]), value=math.log(LOG_FLOOR)))
        waves.append(F.pad(wave, (0, frames * hop_length - wave.shape[0])))
    return torch.stack(mels), torch.stack(waves)


def attenuate(
    mel: Float[Tensor, "batch mels segment"], wave: Float[Tensor, "batch samples"], nepers: Float[Tensor, "batch 1"]
) -> Segments:
    """Waveforms times exp(nepers), and their mels; nepers <= 0: of what is made louder, the floor hides the mel."""
    return (mel + nepers[..., None]).clamp(min=math.log(LOG_FLOOR)), wave * nepers.exp()
