"""Mel → waveform. A further vocoder is one file here and one line below."""

from __future__ import annotations

from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from dtc.audio import AudioConfig
from dtc.vocoder.griffin_lim import GriffinLim, GriffinLimConfig
from dtc.vocoder.vocos import Vocos, VocosConfig
from dtc.vocoder.waveglow import WaveGlow, WaveGlowConfig

VocoderConfig = Annotated[GriffinLimConfig | VocosConfig | WaveGlowConfig, Field(discriminator="model")]
Vocoder = GriffinLim | Vocos | WaveGlow


def build_vocoder(
    config: GriffinLimConfig | VocosConfig | WaveGlowConfig,
    audio: AudioConfig,
    mel_mean: Float[Tensor, " mels"],
    mel_deviation: Float[Tensor, " mels"],
) -> Vocoder:
    """The vocoder that `vocoder.model` names, with random weights where it has any."""
    if isinstance(config, GriffinLimConfig):
        return GriffinLim(config, audio)
    if isinstance(config, WaveGlowConfig):
        return WaveGlow(config, audio)  # hears log-mels as they are
    return Vocos(config, audio, mel_mean, mel_deviation)
