"""A vocoder as an ONNX model, for those who have no PyTorch: mel in, waveform out, any number of clips and frames.

The inverse STFT is inside, as convolutions: a frame's samples are a product of its bins with cosines and sines, which
overlap and are divided by the sum of the squared windows.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dtc.audio import AudioConfig
from dtc.errors import InputError, install_hint
from dtc.files import write_whole
from dtc.vocoder.base import Vocoder
from dtc.vocoder.vocos import Vocos
from dtc.vocoder.waveglow import WaveGlow

EXAMPLE_FRAMES = 12  # of the mel that the exporter is shown


def export_onnx(vocoder: Vocoder, file: Path) -> dict[str, tuple[str, ...]]:
    """Write `file`; the names and shapes of what goes in and comes out.

    Vocos: `mel` → `wave`. WaveGlow: `mel` and `noise` → `wave`; noise of deviation σ is the caller's to draw, zeros are
    σ 0, and there is no denoiser. Raises InputError for Griffin-Lim, and where onnx or onnxscript is not installed.
    """
    if not isinstance(vocoder, Vocos | WaveGlow):
        raise InputError("vocoder", "griffin_lim", "vocos or waveglow: it iterates, which is no network")
    speaker: nn.Module = SpeakingVocos(vocoder) if isinstance(vocoder, Vocos) else SpeakingWaveGlow(vocoder)
    inputs: dict[str, tuple[str, ...]] = {"mel": ("batch", "mels", "frames")}
    if isinstance(vocoder, WaveGlow):
        inputs["noise"] = ("batch", "group", "positions")
    for package in ("onnx", "onnxscript"):
        if not find_spec(package):
            raise InputError("dtc export onnx", f"{package} is not installed", remedy=install_hint("onnx"))
    write_whole(file, _exported(speaker.eval(), vocoder, tuple(inputs)))
    return {**inputs, "wave": ("batch", "samples")}


def _exported(speaker: nn.Module, vocoder: Vocos | WaveGlow, names: tuple[str, ...]) -> bytes:
    audio = vocoder.audio
    batch, frames = torch.export.Dim("batch"), torch.export.Dim("frames")
    examples, shapes = [torch.zeros(2, audio.n_mel_channels, EXAMPLE_FRAMES)], [{0: batch, 2: frames}]
    if isinstance(vocoder, WaveGlow):
        group = vocoder.config.group_size
        positions = audio.hop_length // group
        examples.append(torch.zeros(2, group, EXAMPLE_FRAMES * positions))
        shapes.append({0: batch, 2: positions * frames})
    with torch.no_grad(), _quiet():
        speaker(*examples)  # what a model keeps of its weights is a constant of the export
        program = torch.onnx.export(
            speaker, tuple(examples), dynamo=True, input_names=names, output_names=("wave",),
            dynamic_shapes=tuple(shapes), verbose=False,
        )  # fmt: skip
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings of operators of a package that nobody asked for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class SpeakingWaveGlow(nn.Module):
    """Mel and noise → waveform."""

    def __init__(self, vocoder: WaveGlow) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(
        self, mel: Float[Tensor, "batch mels frames"], noise: Float[Tensor, "batch group positions"]
    ) -> Float[Tensor, "batch samples"]:
        """Positions * group = frames * hop_length."""
        return self.vocoder.wave_of(mel, noise)


class SpeakingVocos(nn.Module):
    """Mel → waveform, by operations that ONNX has."""

    def __init__(self, vocoder: Vocos) -> None:
        super().__init__()
        self.vocoder, self.inverse_stft = vocoder, InverseStft(vocoder.audio)

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Samples = frames * hop_length."""
        magnitude, phase = self.vocoder.spectrum(mel)
        return self.inverse_stft(magnitude * phase.cos(), magnitude * phase.sin())


class InverseStft(nn.Module):
    """`dtc.audio.istft` as two transposed convolutions, of the bins and of the window."""

    basis: Tensor
    squared_window: Tensor

    def __init__(self, audio: AudioConfig) -> None:
        super().__init__()
        self.hop_length, size = audio.hop_length, audio.filter_length
        margin = size - audio.win_length  # a shorter window stands in the middle of the frame
        window = F.pad(torch.hann_window(audio.win_length), (margin // 2, margin - margin // 2))
        bins, samples = torch.arange(size // 2 + 1)[:, None], torch.arange(size)
        angles = 2.0 * torch.pi * (bins * samples % size).double() / size
        twice = torch.full((size // 2 + 1, 1), 2.0).double()  # each stands for its mirror image too, but the outer two
        twice[0] = twice[-1] = 1.0
        basis = torch.cat([twice * angles.cos(), -twice * angles.sin()]) * window / size
        self.register_buffer("basis", basis.float()[:, None])  # (2 bins, 1, samples)
        self.register_buffer("squared_window", window.square()[None, None])

    def forward(
        self, real: Float[Tensor, "batch bins frames"], imaginary: Float[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch samples"]:
        """Samples = frames * hop_length, from the middle of the first frame on."""
        frames, hop = real.shape[2], self.hop_length
        waves = F.conv_transpose1d(torch.cat([real, imaginary], dim=1), self.basis, stride=hop)
        weights = F.conv_transpose1d(torch.ones_like(real[:, :1]), self.squared_window, stride=hop)
        first = self.basis.shape[2] // 2
        return (waves / weights.clamp(min=1e-11))[:, 0, first : first + frames * hop]
