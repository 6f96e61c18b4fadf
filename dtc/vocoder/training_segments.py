"""Random training segments of clips, cut at frame boundaries: samples = frames * hop_length."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dtc import whole_batch
from dtc.audio import LOG_FLOOR
from dtc.batch import Batch
from dtc.vocoder.configs import SegmentSection

Segments = tuple[Float[Tensor, "batch mels segment"], Float[Tensor, "batch samples"]]
NEPERS_PER_DB = math.log(10.0) / 20.0  # of amplitudes, whose logarithm a log-mel is


def draw_segments(batch: Batch, config: SegmentSection, hop_length: int, training: bool) -> Segments:
    """Return the mel and the waveform of one random segment of each clip.

    In training each segment is attenuated by a random gain of up to `attenuation_db`. Places and gains are drawn from
    torch's global stream.
    """
    mel, wave = cut_segments(batch, config.segment_frames, hop_length)
    if not (training and config.attenuation_db):
        return mel, wave
    nepers = -whole_batch.rand((len(mel), 1), mel.device) * config.attenuation_db * NEPERS_PER_DB
    return attenuate(mel, wave, nepers)


def cut_segments(batch: Batch, frames: int, hop_length: int) -> Segments:
    """Return `frames` frames and frames * hop_length samples of each clip, from a random frame boundary on.

    Frame t is centred on sample t * hop_length, so a segment from frame t on starts at that sample. A clip that is
    shorter than a segment is followed by silence. The places are drawn from torch's global stream.
    """
    mels, waves = [], []
    lengths = batch.mel_lengths.tolist()
    places = whole_batch.rand_below([max(1, length - frames + 1) for length in lengths])
    for row, (length, first) in enumerate(zip(lengths, places, strict=True)):
        mel = batch.mel[row, :, first : min(first + frames, length)]
        wave = batch.wave[row, first * hop_length : (first + frames) * hop_length]
        mels.append(F.pad(mel, (0, frames - mel.shape[1]), value=math.log(LOG_FLOOR)))
        waves.append(F.pad(wave, (0, frames * hop_length - wave.shape[0])))
    return torch.stack(mels), torch.stack(waves)


def attenuate(
    mel: Float[Tensor, "batch mels segment"], wave: Float[Tensor, "batch samples"], nepers: Float[Tensor, "batch 1"]
) -> Segments:
    """Return the waveforms times exp(nepers), and their mels.

    The gain `nepers` must be at most 0: amplification would need the mel below the floor, which is not known.
    """
    return (mel + nepers[..., None]).clamp(min=math.log(LOG_FLOOR)), wave * nepers.exp()
