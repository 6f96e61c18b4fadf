"""The base class of all vocoders, and the function that loads one from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.model_folder import load_model
from dtc.vocoder import VOCODERS
from dtc.vocoder.configs import VocoderSection
from dtc.vocoder.onnx_graph import OnnxGraph


class Vocoder(nn.Module):
    """Converts natural-log mels to waveforms.

    A subclass defines `forward`. It is constructed with its section of params.yaml, the audio section, and the
    statistics of the mels of the corpus, which it need not use. `config.check(audio)` checks that the two sections fit
    together.

    A vocoder that can be trained has `training_loss(batch, step) -> Losses` too, or returns another module that has it
    from `for_training`. One that can be exported to ONNX defines `onnx_graph`.
    """

    config: VocoderSection
    # Globs of the tensors whose values depend on how mels are normalised, as `AcousticModel.mel_layers`.
    mel_layers: ClassVar[tuple[str, ...]] = ("*",)

    def __init__(self, config: VocoderSection, audio: AudioConfig, statistics: MelStatistics | None = None) -> None:
        super().__init__()
        self.config, self.audio = config, audio

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Return waveforms in [-1, 1] with samples = frames * hop_length; equal mels give equal waveforms."""
        raise NotImplementedError

    def for_training(self) -> nn.Module:
        """Return the module to train: the vocoder itself, or a wrapper that holds it as `model`."""
        return self

    def onnx_graph(self) -> OnnxGraph:
        """Return the network to export to ONNX. Raises InputError for a vocoder that has none."""
        raise InputError("vocoder", f"{self.config.model} has no network for ONNX", "vocos or waveglow")


def load_vocoder(folder: Path, device: torch.device) -> tuple[Vocoder, ModelCard]:
    """Return a trained vocoder in evaluation mode, and its card. Raises InputError as `load_model`."""
    return load_model(folder, "vocoder", VOCODERS, device)
