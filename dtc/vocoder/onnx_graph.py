"""The input of the ONNX exporter for a vocoder, and the inverse STFT by operations that ONNX has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.audio import hann_window
from dtc.audio_config import AudioConfig

Axes = tuple[str | int, ...]  # of each axis: its name, if its size is free, or its size
EXAMPLE_FRAMES = 12  # length of the example mel; the exported axes are free


@dataclass(frozen=True)
class OnnxGraph:
    """A network for the exporter to ONNX."""

    module: nn.Module
    inputs: Mapping[str, Axes]  # name → axes, in the order of the module's arguments
    examples: tuple[Tensor, ...]  # of each input
    outputs: Mapping[str, Axes] = field(default_factory=lambda: {"wave": ("batch", "samples")})

    @property
    def axes(self) -> dict[str, Axes]:
        """Return the axes of all inputs and outputs."""
        return {**self.inputs, **self.outputs}


def example_mel(audio: AudioConfig) -> Float[Tensor, "2 mels frames"]:
    """Return an example mel for the exporter."""
    return torch.zeros(2, audio.n_mel_channels, EXAMPLE_FRAMES)


class InverseStft(nn.Module):
    """`dtc.audio.istft` as two transposed convolutions: of the bins, and of the squared window.

    The samples of a frame are the product of its bins with cosines and sines, times the window. Frames overlap and are
    added; the sum is divided by that of the squared windows.
    """

    basis: Tensor
    squared_window: Tensor

    def __init__(self, audio: AudioConfig) -> None:
        super().__init__()
        self.hop_length, size = audio.hop_length, audio.filter_length
        margin = size - audio.win_length  # a shorter window is centred in the frame
        window = F.pad(hann_window(audio.win_length), (margin // 2, margin - margin // 2))
        bins, samples = torch.arange(size // 2 + 1)[:, None], torch.arange(size)
        angles = 2.0 * torch.pi * (bins * samples % size).double() / size
        twice = torch.full((size // 2 + 1, 1), 2.0).double()  # each bin stands for its mirror image too,
        twice[0] = twice[-1] = 1.0  # but the first and the last have none
        basis = torch.cat([twice * angles.cos(), -twice * angles.sin()]) * window / size
        self.register_buffer("basis", basis.float()[:, None])  # (2 bins, 1, samples)
        self.register_buffer("squared_window", window.square()[None, None])

    def forward(
        self,
        real: Float[Tensor, "batch bins frames"],
        imaginary: Float[Tensor, "batch bins frames"],
        mask: Bool[Tensor, "batch frames"] | None = None,
    ) -> Float[Tensor, "batch samples"]:
        """Return waveforms from the middle of the first frame on; samples = frames * hop_length.

        Frames where the mask is false are as if they were not there.
        """
        frames, hop = real.shape[2], self.hop_length
        spectrum, present = torch.cat([real, imaginary], dim=1), torch.ones_like(real[:, :1])
        if mask is not None:
            spectrum, present = spectrum * mask[:, None], present * mask[:, None]
        waves = F.conv_transpose1d(spectrum, self.basis, stride=hop)
        weights = F.conv_transpose1d(present, self.squared_window, stride=hop)
        first = self.basis.shape[2] // 2
        return (waves / weights.clamp(min=1e-11))[:, 0, first : first + frames * hop]
