"""Text → mel. A further model is one file beside tacotron2.py and one line here."""

from __future__ import annotations

from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from dtc.acoustic.dtc import DTC, DTCConfig
from dtc.acoustic.model import AcousticModel
from dtc.acoustic.tacotron2 import Tacotron2, Tacotron2Config
from dtc.audio import AudioConfig

AcousticConfig = Annotated[Tacotron2Config | DTCConfig, Field(discriminator="model")]


def build_acoustic(
    config: Tacotron2Config | DTCConfig,
    audio: AudioConfig,
    mel_mean: Float[Tensor, " mels"],
    mel_deviation: Float[Tensor, " mels"],
) -> AcousticModel:
    """The model that `acoustic.model` names, with random weights."""
    if isinstance(config, DTCConfig):
        return DTC(config, audio, mel_mean, mel_deviation)
    return Tacotron2(config, audio, mel_mean, mel_deviation)
