"""Text → mel. A further model is one file beside tacotron2.py and one line here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from dtc.acoustic.base import AcousticModel
from dtc.acoustic.dtc import DTC, DTCConfig
from dtc.acoustic.tacotron2 import Tacotron2, Tacotron2Config
from dtc.audio import AudioConfig
from dtc.config import Section, parse_section
from dtc.model_card import CARD, ModelCard, load_weights, read_model

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


class _Card(Section):
    config: AcousticConfig


def load_acoustic(folder: Path, device: torch.device) -> tuple[AcousticModel, ModelCard]:
    """A trained model, ready to speak, and its card. Raises InputError where it is missing or not as it was saved."""
    card, weights = read_model(folder, "acoustic")
    section = parse_section({"config": card.config}, _Card, str(folder / CARD))
    model = build_acoustic(section.config, card.audio, *card.statistics())
    model.step = card.steps
    load_weights(model, weights, folder)
    return model.to(device).eval(), card
