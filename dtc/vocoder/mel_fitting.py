"""What a vocoder made, brought nearer to the mel that it was given.

Trained on many clips, a vocoder has each clip's mel only nearly right. Here its spectrum is multiplied, in every band
and frame, by what the mel has more or less, and made a waveform again; phases, and all that is finer than a band, stay
the vocoder's. The frames of a waveform overlap and cannot each have their own, so it takes some iterations.

Source: projections onto spectra that are some waveform's, Griffin & Lim 1984, made faster by going on in the direction
of the last step, Perraudin, Balazs & Sondergaard 2013; a mel is fitted here instead of the magnitudes of all bins.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.audio import AudioConfig, istft, mel_filters, mel_from_magnitude, stft

MOMENTUM = 0.8  # on `numbers`, of 0 to 0.99, the nearest after 12 and 16 iterations
MOST_NEPERS = math.log(10.0)  # of gain at once


def fit_mel(
    wave: Float[Tensor, "batch samples"], mel: Float[Tensor, "batch mels frames"], audio: AudioConfig, iterations: int
) -> Float[Tensor, "batch samples"]:
    """A waveform whose natural-log mel is nearer to `mel`; samples = frames * hop_length.

    The same after 0 iterations, and where it is too short to have a mel (samples <= filter_length // 2).
    """
    if wave.shape[1] <= audio.filter_length // 2:
        return wave
    filters = mel_filters(audio, mel.device)
    bands_of_bins = (filters / filters.sum(dim=0).clamp(min=1e-12)).T  # (bins, mels); a bin of no band keeps its gain
    wanted = mel.clamp(max=math.log(audio.filter_length))  # no waveform in [-1, 1] has more
    previous: Tensor | None = None
    for _ in range(iterations):
        made = stft(wave, audio)[:, :, : mel.shape[2]]
        ahead = made if previous is None else made + MOMENTUM * (made - previous)
        missing = (wanted - mel_from_magnitude(ahead.abs(), audio)).clamp(-MOST_NEPERS, MOST_NEPERS)
        wave = istft(ahead * torch.matmul(bands_of_bins, missing).exp(), audio, wave.shape[1])
        previous = made
    return wave
