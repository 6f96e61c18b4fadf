"""Windows of the waveforms of a contest: as many of each clip, and as long, whatever the clip's length; and their mels.

This makes the length equal. Cutting the longer clip would not: then its last words would be missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from dtc.audio import log_mel
from dtc.audio_config import AudioConfig
from dtc.equalise import Wave
from dtc.judge.contests import Pair

PATCHES, PATCH_S = 8, 0.5  # of each clip
HOP_S, BANDS = 0.01, 80
Windows = Float32[np.ndarray, "pairs 2 windows samples"]
Patches = Float[Tensor, "pairs 2 patches bands frames"]


def cut_windows(pairs: Sequence[Pair], samples: int, count: int) -> Windows:
    """Return `count` windows of each clip, which begin at equal distances: the first at its start, the last at its end.

    So the windows of both clips of a pair have the same places in their text.
    """
    clips = [wave for pair in pairs for wave in filled(pair, samples)]
    cut = [wave[start : start + samples] for wave in clips for start in starts_of(len(wave), samples, count)]
    return np.array(cut, np.float32).reshape(len(pairs), 2, count, samples)


def filled(pair: Pair, samples: int) -> list[Wave]:
    """Return both waveforms of a pair, at least as long as a window of so many samples.

    Where one is shorter, both are cut to its length and repeated until they fill the window: alike on both sides.
    """
    waves = [pair.first.wave, pair.second.wave]
    shorter = min(map(len, waves))
    return waves if shorter >= samples else [np.resize(wave[:shorter], samples) for wave in waves]


def starts_of(length: int, samples: int, count: int) -> Int[np.ndarray, " count"]:
    """Return the first sample of each of `count` windows of a clip with `length` samples."""
    return np.linspace(0, length - samples, count).round().astype(np.int64)


def judge_audio(sampling_rate: int) -> AudioConfig:
    """Return the mel in which the judge looks: windows of 40 ms every 10 ms, 80 bands up to half the sampling rate.

    It is not the mel of the voice, which vocoders are trained to reproduce.
    """
    hop_length = round(HOP_S * sampling_rate)
    win_length = 4 * hop_length
    return AudioConfig(
        sampling_rate=sampling_rate,
        filter_length=1 << (win_length - 1).bit_length(),
        hop_length=hop_length,
        win_length=win_length,
        n_mel_channels=BANDS,
        mel_fmin=0.0,
        mel_fmax=sampling_rate / 2,
    )


def mel_patches(pairs: Sequence[Pair], sampling_rate: int) -> Patches:
    """Return the natural-log mels of PATCHES windows of PATCH_S of each clip."""
    windows = torch.from_numpy(cut_windows(pairs, round(PATCH_S * sampling_rate), PATCHES))
    mels = log_mel(windows.flatten(0, 2), judge_audio(sampling_rate))
    return mels.view(*windows.shape[:3], *mels.shape[1:])
