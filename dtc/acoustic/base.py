"""The base class of all acoustic models, and the function that loads one from its folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import AcousticSection, WeightFormat
from dtc.acoustic.utterance_status import Status
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses
from dtc.errors import InputError
from dtc.model_card import ModelCard
from dtc.model_folder import load_model


@dataclass(frozen=True)
class InferenceOptions:
    """Settings of the inference of a trained model."""

    step: int  # steps that the model was trained for, at which its schedules are evaluated
    weight_format: WeightFormat = "float32"  # of the recurrent weights of a decoder with attention
    cuda_graphs: bool = False  # on a GPU, launch many steps of such a decoder as one CUDA graph
    pace: float = 1.0  # factor of all durations, above 1 is slower; for models without attention


@dataclass(frozen=True)
class Utterance:
    """One synthesised text; `mel` is a natural-log mel. Frames are a multiple of the steps of the alignment."""

    mel: Float[Tensor, "mels frames"]
    alignment: Float[Tensor, "steps symbols"]  # weight of each symbol at each step, their sum at most 1
    status: Status


class AcousticModel(nn.Module, ABC):
    """Predicts natural-log mels from symbol ids.

    A subclass is constructed with its section of params.yaml, the definition of the mel, and the statistics of the mels
    of the corpus, so that it can predict normalised mels.
    """

    config: AcousticSection
    mel_mean: Tensor
    mel_deviation: Tensor
    # Whether it generates step by step with attention. If not, its alignment is the path of the durations that it has
    # predicted: it cannot skip or repeat text, so its utterances have always "ended".
    attends: ClassVar[bool] = False
    # Symbols of a text that is spoken well at once, where synthesis.longest_phrase is null.
    longest_phrase: ClassVar[int] = 160
    # Globs of the tensors whose values depend on how mels are normalised. A model that takes one of them from another
    # model (`start_from`) takes the statistics of the mels too.
    mel_layers: ClassVar[tuple[str, ...]] = ("*",)

    def __init__(self, config: AcousticSection, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__()
        self.config, self.audio = config, audio
        self.register_buffer("mel_mean", statistics.mean.clone())
        self.register_buffer("mel_deviation", statistics.deviation.clone())

    def for_training(self) -> nn.Module:
        """Return the module to train: the model itself."""
        return self

    @abstractmethod
    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the losses of a batch at a training step: `loss`, their weighted sum, and its named terms."""

    @abstractmethod
    def predict_recorded(self, batch: Batch, step: int) -> Float[Tensor, "batch mels padded_frames"]:
        """Return the natural-log mels that the model predicts for a batch, aligned with the recordings frame by frame.

        A vocoder is trained on them to correct the model's errors. An autoregressive model has the recording's frames
        as input (teacher forcing), another one its durations. `step` is the number of training steps so far.
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


def require_finite(values: Tensor, model: str) -> None:
    """Raise InputError, naming the model, where it has computed NaN or infinity."""
    if not values.isfinite().all():
        raise InputError(model, "computed NaN or infinity", "finite numbers", "its training diverged: train it again")


def load_acoustic(folder: Path, device: torch.device) -> tuple[AcousticModel, ModelCard]:
    """Return a trained acoustic model in evaluation mode, and its card. Raises InputError as `load_model`."""
    return load_model(folder, "acoustic", ACOUSTIC_MODELS, device)
