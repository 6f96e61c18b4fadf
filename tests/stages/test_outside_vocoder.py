"""A vocoder from outside the package, registered by one call: trained, spoken with, evaluated, and not exported."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from dtc.audio import AudioConfig
from dtc.batch import Batch
from dtc.errors import InputError
from dtc.registry import Part
from dtc.vocoder import VOCODERS
from dtc.vocoder.base import Vocoder, load_vocoder
from dtc.vocoder.configs import SegmentSection
from dtc.vocoder.training_segments import draw_segments
from stages.params import Params
from tests.conftest import Project


class ToyConfig(SegmentSection):
    """The section of the toy."""

    model: Literal["toy"]
    kernel_frames: PositiveInt

    def check(self, audio: AudioConfig, where: object = "vocoder") -> None:
        """Raise InputError, naming `where`, if the kernel is longer than a segment."""
        if self.kernel_frames > self.segment_frames:
            raise InputError(where, f"kernel_frames {self.kernel_frames}", f"at most {self.segment_frames}")


class Toy(Vocoder):
    """One transposed convolution."""

    config: ToyConfig

    def __init__(
        self,
        config: ToyConfig,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__()
        self.config, self.audio = config, audio
        hop = audio.hop_length
        self.upsample = nn.ConvTranspose1d(len(mel_mean), 1, config.kernel_frames * hop, stride=hop)

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Return waveforms; samples = frames * hop_length."""
        return self.upsample(mel)[:, 0, : mel.shape[2] * self.audio.hop_length].tanh()

    def training_loss(self, batch: Batch, step: int) -> dict[str, Float[Tensor, ""]]:
        """Return the mean squared error."""
        mel, wave = draw_segments(batch, self.config, self.audio.hop_length, self.training)
        return {"loss": (self(mel) - wave).square().mean()}


TOY = {"model": "toy", "train_on": "recorded", "segment_frames": 8, "attenuation_db": 0.0, "kernel_frames": 2}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    VOCODERS.add("toy", Part(Toy, ToyConfig))
    Params.model_rebuild(force=True)
    yield
    VOCODERS.remove("toy")
    Params.model_rebuild(force=True)


def test_a_vocoder_from_outside_is_trained_spoken_with_evaluated_and_not_exported(
    voice: Path, project: Project
) -> None:
    shutil.copytree(voice, ".", dirs_exist_ok=True)
    shutil.rmtree("models/vocoder")
    one_clip = {"evaluate.ear": "none", "evaluate.max_clips": 1, "evaluate.griffin_lim_iterations": 1}
    project.write_params({"vocoder": TOY, "training.vocoder.batch_size": 3, **one_clip})
    assert "kernel_frames: 2" in project.run("params")
    project.run("train", "vocoder", "--device", "cpu")
    vocoder, card = load_vocoder(Path("models/vocoder"), torch.device("cpu"))
    assert isinstance(vocoder, Toy)
    assert card.steps == 2
    assert "001-call-one.wav" in project.run("say", "call one", "--device", "cpu")
    project.run("evaluate", "--device", "cpu")
    assert project.run("export", "onnx", "toy.onnx", code=2) == (
        "vocoder: toy has no network for ONNX, expected vocos or waveglow"
    )
    assert project.run("export", "nvidia-waveglow", "toy.pt", code=2).startswith("models/vocoder: a model toy")


def test_its_section_is_checked_and_a_misspelt_name_gets_the_nearest(project: Project) -> None:
    project.write_params({"vocoder": TOY | {"kernel_frames": 9}})
    assert project.run("params", code=2) == "params.yaml: vocoder: kernel_frames 9, expected at most 8"
    project.write_params({"vocoder": TOY | {"model": "toi"}})
    assert project.run("params", code=2).endswith("did you mean toy?")
