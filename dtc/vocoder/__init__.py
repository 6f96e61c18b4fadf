"""Mel → waveform. A further vocoder is one file here and one line below."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from dtc.audio import AudioConfig
from dtc.config import Section, parse_section
from dtc.model_card import CARD, ModelCard, load_weights, read_model
from dtc.vocoder.griffin_lim import GriffinLim, GriffinLimConfig
from dtc.vocoder.vocos import Vocos, VocosConfig
from dtc.vocoder.waveglow import Normaliser, WaveGlow, WaveGlowConfig

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
        return WaveGlow(config, audio, Normaliser(mel_mean, mel_deviation))
    return Vocos(config, audio, mel_mean, mel_deviation)


class _Card(Section):
    config: VocoderConfig


def load_vocoder(folder: Path, device: torch.device) -> tuple[Vocoder, ModelCard]:
    """A trained model, ready to speak, and its card. Raises InputError where it is missing or not as it was saved."""
    card, weights = read_model(folder, "vocoder")
    section = parse_section({"config": card.config}, _Card, str(folder / CARD))
    model = build_vocoder(section.config, card.audio, *card.statistics())
    load_weights(model, weights, folder)
    return model.to(device).eval(), card
