"""Similarity of two voices by the speaker embeddings of Resemblyzer, whose weights are inside its package.

Of the package only the weights are used, so that librosa and webrtcvad, which its code imports, need not be installed:
`pip install --no-deps Resemblyzer`.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from dtc.evaluation.quality_inputs import MODEL_RATE_HZ, Wave, at_model_rate, require_installed, require_wave
from dtc.silence import PAUSE_DB, frame_powers, sounding_frames

HOP, WINDOW, MELS = 160, 400, 40  # samples at 16 kHz; power mels with Slaney's filters, not their logarithm
PART_FRAMES, PART_STEP = 160, 77  # parts of 1.6 s, 1.3 a second
LEAST_COVERAGE = 0.75  # of the last part by the clip, unless it is the only one
LEVEL_DB = -30.0  # below full scale: quieter clips are raised to it


class SpeakerEncoder(nn.Module):
    """The network of the generalised end-to-end loss (Wan et al. 2018, arXiv:1710.10467), as Resemblyzer trained it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, 256, num_layers=3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: Float[Tensor, "parts frames mels"]) -> Float[Tensor, "parts 256"]:
        """Return the embedding of each part, of length 1, without negative components."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=1)


def speaker_similarity(reference: Wave, other: Float[np.ndarray, " other_samples"], sampling_rate: int) -> float:
    """Return the cosine of the speaker embeddings of two clips, from 0 to 1 if equal; NaN where one is silent.

    The texts and the lengths may differ, but the embedding depends on them too, and on the microphone: clips of one
    speaker with two texts of `numbers` have 0.85, and with the same text 0.95 to 0.98. Raises as `speaker_embedding`.
    """
    return float(speaker_embedding(reference, sampling_rate) @ speaker_embedding(other, sampling_rate))


@torch.inference_mode()
def speaker_embedding(wave: Wave, sampling_rate: int) -> Float[np.ndarray, " 256"]:
    """Return the speaker embedding of a clip: 256 numbers, none negative, whose squares sum to 1; NaN for silence.

    The clip is resampled to 16 kHz, its silence at both ends is cut off, and it is raised to -30 dB where it is
    quieter. The mean of the embeddings of its parts of 1.6 s is normalised; a shorter clip is padded with zeros. The
    published code cuts pauses too, by a detector of voice activity.
    Raises ValueError for several channels and for non-finite samples, InputError if Resemblyzer is not installed.
    """
    require_wave("wave", wave)
    require_installed("speaker similarity")
    if not np.any(wave):
        return np.full(256, np.nan)
    mean = _encoder()(_parts(_levelled(_without_silent_ends(at_model_rate(wave, sampling_rate))))).mean(dim=0)
    return F.normalize(mean, dim=0).numpy().astype(np.float64)


def _without_silent_ends(wave: Wave) -> Float[np.ndarray, " shorter"]:
    first, end = sounding_frames(frame_powers(wave, HOP), PAUSE_DB)
    return wave[first * HOP : end * HOP]


def _levelled(wave: Wave) -> Wave:
    level = np.sqrt(np.mean(np.square(wave)))
    return wave * max(1.0, 10 ** (LEVEL_DB / 20) / level)


def _parts(wave: Wave) -> Float[Tensor, "parts 160 40"]:
    """Return the mels of overlapping parts of a clip, of which the last is padded with zeros or left out."""
    frames = -(-(len(wave) + 1) // HOP)
    starts = list(range(0, max(1, frames - PART_FRAMES + PART_STEP + 1), PART_STEP))
    if len(starts) > 1 and len(wave) - starts[-1] * HOP < LEAST_COVERAGE * PART_FRAMES * HOP:
        starts.pop()
    padding = max(0, (starts[-1] + PART_FRAMES) * HOP - len(wave))
    mel = _mel_spectrogram()(torch.from_numpy(np.pad(wave, (0, padding)).astype(np.float32))).T
    return torch.stack([mel[start : start + PART_FRAMES] for start in starts])


@functools.cache
def _mel_spectrogram() -> MelSpectrogram:
    slaney = {"norm": "slaney", "mel_scale": "slaney"}
    return MelSpectrogram(MODEL_RATE_HZ, n_fft=WINDOW, hop_length=HOP, n_mels=MELS, pad_mode="constant", **slaney)


@functools.cache
def _encoder() -> SpeakerEncoder:
    encoder = SpeakerEncoder()
    weights = torch.load(weights_file(), map_location="cpu", weights_only=True)["model_state"]
    wanted = encoder.state_dict().keys()
    encoder.load_state_dict({name: value for name, value in weights.items() if name in wanted})
    return encoder.eval()


def weights_file() -> Path:
    """Return the file of the weights in the package, which is not imported."""
    package = find_spec("resemblyzer")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("pretrained.pt")
