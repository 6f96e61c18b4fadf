"""The vocoder that needs no training: phases found by iteration. The baseline that a trained one must beat."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dtc.audio import AudioConfig, griffin_lim, magnitude_from_mel, require_mel
from dtc.config import Section


class GriffinLimConfig(Section):
    """How long to iterate, and how boldly."""

    model: Literal["griffin_lim"]
    train_on: Literal["recorded"]  # on nothing: it has nothing to learn
    iterations: PositiveInt
    momentum: float = Field(ge=0.0, lt=1.0)


class GriffinLim(nn.Module):
    """Mel → magnitudes by pseudo-inverse → waveform by fast Griffin-Lim."""

    def __init__(self, config: GriffinLimConfig, audio: AudioConfig) -> None:
        super().__init__()
        self.config, self.audio = config, audio

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Natural-log mel → waveform; samples = frames * hop_length. Raises ValueError for what is no mel."""
        require_mel(mel, self.audio)
        magnitude = magnitude_from_mel(mel, self.audio)
        return griffin_lim(magnitude, self.audio, self.config.iterations, self.config.momentum)
