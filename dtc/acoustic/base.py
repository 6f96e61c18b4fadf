"""The base class of all acoustic models, and the functions that build one from its section or load it from a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import AcousticSection, WeightFormat
from dtc.acoustic.utterance_status import Status
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses
from dtc.model_card import CARD, ModelCard, load_weights, read_model


@dataclass(frozen=True)
class InferenceOptions:
    """How a trained model computes an utterance.

    Attributes:
        step: steps that the model was trained for; its schedules have the value of that step.
        weight_format: number format of the decoder's recurrent weights.
        cuda_graphs: on a GPU, launch many decoder steps as one CUDA graph; elsewhere it has no effect.
    """

    step: int
    weight_format: WeightFormat = "float32"
    cuda_graphs: bool = False


@dataclass(frozen=True)
class Utterance:
    """One synthesised text; `mel` is a natural-log mel. Frames are a multiple of the decoder steps."""

    mel: Float[Tensor, "mels frames"]
    alignment: Float[Tensor, "steps symbols"]
    status: Status


class AcousticModel(nn.Module, ABC):
    """Predicts natural-log mels from symbol ids.

    A subclass is constructed with its section of params.yaml, the definition of the mel, and the mean and the standard
    deviation of each band's log-mel over the corpus, so that it can predict normalised mels.
    """

    config: AcousticSection
    mel_mean: Tensor
    mel_deviation: Tensor

    def __init__(
        self,
        config: AcousticSection,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__()
        self.config, self.audio = config, audio
        self.register_buffer("mel_mean", mel_mean.clone())
        self.register_buffer("mel_deviation", mel_deviation.clone())

    def for_training(self) -> nn.Module:
        """Return the module to train: the model itself."""
        return self

    @abstractmethod
    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the losses of a batch at a training step: `loss`, their weighted sum, and its named terms."""

    @abstractmethod
    def predict_recorded(self, batch: Batch, step: int) -> Float[Tensor, "batch mels padded_frames"]:
        """Return the natural-log mels that the model predicts beside the recordings of a batch, frame by frame.

        A vocoder is trained on them, so that it learns to correct the model's errors. A model that predicts from its
        own last frames is given the recording's instead (teacher forcing). `step` counts the training so far.
        """

    @abstractmethod
    def infer(self, texts: Sequence[Int[Tensor, " _"]], seed: int, options: InferenceOptions) -> list[Utterance]:
        """Return an utterance for each text (symbol ids); the result of a text depends on it and `seed` alone."""

    def normalise(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Return log-mels with each band at mean 0 and standard deviation 1 over the corpus."""
        return (mel - self.mel_mean[:, None]) / self.mel_deviation[:, None]

    def denormalise(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Return natural-log mels; the inverse of `normalise`."""
        return mel * self.mel_deviation[:, None] + self.mel_mean[:, None]


def build_acoustic(
    config: AcousticSection, audio: AudioConfig, mel_mean: Float[Tensor, " mels"], mel_deviation: Float[Tensor, " mels"]
) -> AcousticModel:
    """Return the model that `config.model` names, with random weights.

    Args:
        config: the model's params section.
        audio: the definition of the mel.
        mel_mean: mean of each band's log-mel over the corpus.
        mel_deviation: standard deviation of each band's log-mel over the corpus.
    """
    return ACOUSTIC_MODELS.get(config.model)(config, audio, mel_mean, mel_deviation)


def load_acoustic(folder: Path, device: torch.device) -> tuple[AcousticModel, ModelCard]:
    """Return a trained model in evaluation mode, and its card.

    Raises InputError where the folder holds no acoustic model, or was changed since it was saved.
    """
    card, weights = read_model(folder, "acoustic")
    config = cast(AcousticSection, ACOUSTIC_MODELS.parse(card.config, f"{folder / CARD}: config"))
    model = build_acoustic(config, card.audio, *card.statistics())
    load_weights(model, weights, folder)
    return model.to(device).eval(), card
