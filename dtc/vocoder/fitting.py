"""What a vocoder made, brought nearer to the mel that it was given.

Trained on many clips, a vocoder has each clip's mel only nearly right. Here its spectrum is multiplied, in every band
and frame, by what the mel has more or less, and made a waveform again; phases, and all that is finer than a band, stay
the vocoder's. The frames of a waveform overlap and cannot each have their own, so it takes some iterations.

Source: projections onto spectra that are some waveform's, Griffin & Lim 1984, made faster by going on in the direction
of the last step, Perraudin, Balazs & Sondergaard 2013; a mel is fitted here instead of the magnitudes of all bins.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.audio import AudioConfig, float32_product, istft, mel_filters, mel_from_magnitude, stft_between_zeros

Wave = Float[Tensor, "batch samples"]
Parts = Float[Tensor, "batch bins frames parts"]  # of a complex spectrum: real and imaginary
MOMENTUM = 0.8  # on `numbers`, of 0.5 to 0.99, the nearest after 8 to 16 iterations; after 64 it is nearer yet
MOST_NEPERS = math.log(10.0)  # of gain at once: also of a mel that no sound has, the waveform is finite
TINY = 1e-24  # of power: the gradient of a magnitude is finite at zero


def fit_mel(
    wave: Wave, mel: Float[Tensor, "batch mels frames"], audio: AudioConfig, iterations: int
) -> Float[Tensor, "batch samples"]:
    """A waveform of samples = frames * hop_length whose log-mel is nearer to `mel`; 0 iterations: the same."""

    def analyse(wave: Wave) -> Parts:
        return torch.view_as_real(stft_between_zeros(wave, audio))

    def synthesise(parts: Parts) -> Wave:
        return istft(torch.view_as_complex(parts), audio, wave.shape[1])

    return fit_by(analyse, synthesise, wave, mel, audio, iterations)


def fit_by(
    analyse: Callable[[Wave], Parts], synthesise: Callable[[Parts], Wave], wave: Wave,
    mel: Float[Tensor, "batch mels frames"], audio: AudioConfig, iterations: int,
) -> Float[Tensor, "batch samples"]:  # fmt: skip
    """The same by a given STFT, zeros around the waveform, of frames = samples // hop_length, and its inverse."""
    filters = mel_filters(audio, mel.device)
    bands_of_bins = (filters / filters.sum(dim=0).clamp(min=1e-12)).T  # (bins, mels); a bin of no band keeps its gain
    previous: Parts | None = None
    for _ in range(iterations):
        made = analyse(wave)
        ahead = made if previous is None else made + MOMENTUM * (made - previous)
        magnitude = (ahead.square().sum(dim=3) + TINY).sqrt()
        missing = (mel - mel_from_magnitude(magnitude, audio)).clamp(-MOST_NEPERS, MOST_NEPERS)
        wave = synthesise(ahead * float32_product(bands_of_bins, missing).exp()[..., None])
        previous = made
    return wave


def fitting_reach_frames(audio: AudioConfig, iterations: int) -> float:
    """How far a frame's mel changes the waveform by fitting, to each side: a window at each iteration."""
    return iterations * audio.filter_length / audio.hop_length
