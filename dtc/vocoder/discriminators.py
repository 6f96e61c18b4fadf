"""Discriminators: networks that score whether a waveform is recorded or generated.

Each gives scores over time and frequency, and its hidden features, which the vocoder is trained to match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from dtc.audio import StftSizes, stft
from dtc.vocoder.configs import DiscriminatorsConfig

LEAKY_SLOPE = 0.1
BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the bins, as in Vocos; each band has its own convolutions


class DiscriminatorOutput(NamedTuple):
    """The output of one discriminator: its scores, larger for recorded waveforms, and its hidden features."""

    scores: Float[Tensor, "batch 1 _ _"]
    features: list[Float[Tensor, "batch _ _ _"]]


class Discriminators(nn.Module):
    """One discriminator for each period and one for each FFT size of the config."""

    def __init__(self, config: DiscriminatorsConfig) -> None:
        super().__init__()
        by_period = [PeriodDiscriminator(period, config.period_channels) for period in config.periods]
        by_spectrum = [SpectrumDiscriminator(size, config.spectrum_channels) for size in config.fft_sizes]
        self.discriminators = nn.ModuleList([*by_period, *by_spectrum])

    def forward(self, wave: Float[Tensor, "batch samples"]) -> list[DiscriminatorOutput]:
        """Return scores and features of each discriminator."""
        return [discriminator(wave) for discriminator in self.discriminators]


class PeriodDiscriminator(nn.Module):
    """Convolves along time the samples that are one period apart.

    Source: Kong et al. 2020 (HiFi-GAN, arXiv:2010.05646), section 2.3.
    """

    def __init__(self, period: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.period = period
        strides = [3] * (len(channels) - 1) + [1]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(into, out, (5, 1), (stride, 1), padding=(2, 0)))
            for (into, out), stride in zip(pairwise([1, *channels]), strides, strict=True)
        )
        self.score = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wave: Float[Tensor, "batch samples"]) -> DiscriminatorOutput:
        """Return scores and features of shape (batch, channels, time, period).

        The end of the waveform is padded by reflection to a whole number of periods.
        """
        padded = F.pad(wave[:, None], (0, -wave.shape[1] % self.period), mode="reflect")
        features = _features(padded.unflatten(2, (-1, self.period)), self.layers)
        return DiscriminatorOutput(self.score(features[-1]), features)


class SpectrumDiscriminator(nn.Module):
    """Convolves the complex STFT at one resolution, with separate weights for each band of frequencies.

    Source: Jang et al. 2021 (UnivNet, arXiv:2106.07889); the bands and the complex input are those of Siuzdak 2023
    (Vocos, arXiv:2306.00814).
    """

    def __init__(self, fft_size: int, channels: int) -> None:
        super().__init__()
        self.sizes = StftSizes(fft_size, fft_size // 4, fft_size)
        bins = fft_size // 2 + 1
        edges = [round(share * bins) for share in BANDS]
        self.bands = list(pairwise(edges))
        self.towers = nn.ModuleList(nn.Sequential(*_spectrum_layers(channels)) for _ in self.bands)
        self.score = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, wave: Float[Tensor, "batch samples"]) -> DiscriminatorOutput:
        """Return scores and features of shape (batch, channels, frames, bins).

        The waveform is scaled to a peak of 0.8 first, so that loudness has no influence. Real and imaginary part are
        the two input channels.
        """
        level = wave - wave.mean(dim=1, keepdim=True)
        level = 0.8 * level / (level.abs().amax(dim=1, keepdim=True) + 1e-9)
        spectrum = stft(level, self.sizes)
        values = torch.stack([spectrum.real, spectrum.imag], dim=1).transpose(2, 3)  # (B, 2, T, bins)
        towers = [
            _features(values[..., first:last], cast(nn.Sequential, tower))
            for (first, last), tower in zip(self.bands, self.towers, strict=True)
        ]
        scores = self.score(torch.cat([features[-1] for features in towers], dim=3))
        return DiscriminatorOutput(scores, [feature for features in towers for feature in features])


def _spectrum_layers(channels: int) -> list[nn.Module]:
    wide = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
    wide += [nn.Conv2d(channels, channels, (3, 9), (1, 2), padding=(1, 4)) for _ in range(3)]
    return [weight_norm(layer) for layer in [*wide, nn.Conv2d(channels, channels, 3, padding=1)]]


def _features(hidden: Tensor, layers: Iterable[nn.Module]) -> list[Tensor]:
    features = []
    for layer in layers:
        hidden = F.leaky_relu(layer(hidden), LEAKY_SLOPE)
        features.append(hidden)
    return features
