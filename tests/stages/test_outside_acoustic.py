"""An acoustic model from outside the package, registered by one call: trained, spoken, aligned and evaluated."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import AcousticModel, InferenceOptions, Utterance, load_acoustic
from dtc.acoustic.configs import AcousticSection
from dtc.audio import AudioConfig
from dtc.batch import Batch, Losses, mask_of, masked_mean
from dtc.registry import Part
from dtc.text.symbols import SYMBOLS
from stages.params import Params
from tests.conftest import Project


class ToyConfig(AcousticSection):
    """The section of the toy."""

    model: Literal["toy"]
    frames_per_symbol: PositiveInt


class Toy(AcousticModel):
    """A mel for each symbol, which is held for the same number of frames. It has no decoder and no attention."""

    config: ToyConfig

    def __init__(
        self,
        config: ToyConfig,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__(config, audio, mel_mean, mel_deviation)
        self.embedding = nn.Embedding(len(SYMBOLS), len(mel_mean))

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the mean squared error of the mels, stretched to the recordings' lengths."""
        error = (self._stretched(batch) - self.normalise(batch.mel)).square()
        return {"loss": masked_mean(error, mask_of(batch.mel_lengths, batch.mel.shape[2]))}

    def predict_recorded(self, batch: Batch, step: int) -> Float[Tensor, "batch mels frames"]:
        """Return the mels, stretched to the recordings' lengths."""
        return self.denormalise(self._stretched(batch))

    @torch.inference_mode()
    def infer(self, texts: Sequence[Int[Tensor, " _"]], seed: int, options: InferenceOptions) -> list[Utterance]:
        """Return the mels; the alignment says which symbol a frame belongs to."""
        frames = self.config.frames_per_symbol
        return [
            Utterance(
                self.denormalise(self.embedding(text).T[None].repeat_interleave(frames, dim=2))[0],
                torch.eye(len(text)),
                "stopped",
            )
            for text in texts
        ]

    def _stretched(self, batch: Batch) -> Float[Tensor, "batch mels frames"]:
        mels = self.embedding(batch.symbol_ids).transpose(1, 2)
        rows = [
            F.interpolate(mel[None, :, :symbols], int(frames))[0]
            for mel, symbols, frames in zip(mels, batch.symbol_lengths, batch.mel_lengths, strict=True)
        ]
        longest = batch.mel.shape[2]
        return torch.stack([F.pad(row, (0, longest - row.shape[1])) for row in rows])


TOY = {"model": "toy", "frames_per_symbol": 3}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    ACOUSTIC_MODELS.add("toy", Part(Toy, ToyConfig))
    Params.model_rebuild(force=True)
    yield
    ACOUSTIC_MODELS.remove("toy")
    Params.model_rebuild(force=True)


def test_an_acoustic_model_from_outside_is_trained_spoken_aligned_evaluated_and_not_exported(
    voice: Path, project: Project
) -> None:
    shutil.copytree(voice, ".", dirs_exist_ok=True)
    shutil.rmtree("models/acoustic")
    few = {"evaluate.ear": "none", "evaluate.max_clips": 1, "evaluate.griffin_lim_iterations": 1}
    project.write_params({"acoustic": TOY, "training.acoustic.batch_size": 3, "vocoder.train_on": "gta", **few})
    assert "frames_per_symbol: 3" in project.run("params")
    project.run("train", "acoustic", "--device", "cpu")
    model, card = load_acoustic(Path("models/acoustic"), torch.device("cpu"))
    assert isinstance(model, Toy)
    assert card.steps == 2
    assert "001-call-one.wav" in project.run("say", "call one", "--device", "cpu")
    assert "12 mels predicted" in project.run("align", "--device", "cpu")
    project.run("evaluate", "--device", "cpu")
    assert project.run("export", "nvidia-tacotron2", "toy.pt", code=2) == (
        "models/acoustic: a model toy, expected tacotron2 or dtc, the only ones in NVIDIA's format"
    )


def test_a_misspelt_name_gets_the_nearest(project: Project) -> None:
    project.write_params({"acoustic": TOY | {"model": "toi"}})
    assert project.run("params", code=2).endswith("did you mean toy?")
