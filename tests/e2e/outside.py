"""Toy parts of every kind that params.yaml can name, as somebody outside the package would write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dtc.acoustic.attention.base import Attention, AttentionPass, State
from dtc.acoustic.attention.configs import AttentionSection
from dtc.acoustic.base import AcousticModel, InferenceOptions, Utterance
from dtc.acoustic.configs import AcousticSection
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch
from dtc.errors import InputError
from dtc.text.symbols import SYMBOLS
from dtc.training.optim import OptimizerConfig
from dtc.training.schedule import Place, ScheduleConfig
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import VocoderSection
from pipeline.corpora.base import Finder, ListedFormat, ListedRow

FRAMES_PER_SYMBOL = 8


class ToneConfig(VocoderSection):
    """The section of the toy vocoder."""

    model: Literal["tone"]
    train_on: Literal["recorded"]
    pitch_hz: float

    def check(self, audio: AudioConfig, where: object = "vocoder") -> None:
        if self.pitch_hz > audio.sampling_rate / 2:
            raise InputError(where, f"pitch_hz {self.pitch_hz:g}", f"at most {audio.sampling_rate / 2:g}")


class Tone(Vocoder):
    """Plays a tone as loud as the mel is on average, times a gain that it learns."""

    def __init__(self, config: ToneConfig, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio)
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, mel: Tensor) -> Tensor:
        loudness = mel.exp().mean(dim=1).repeat_interleave(self.audio.hop_length, dim=1)
        seconds = torch.arange(loudness.shape[1]) / self.audio.sampling_rate
        tone = torch.sin(2 * torch.pi * self.config.pitch_hz * seconds)
        return (self.gain * loudness * tone).clamp(-1, 1)

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        wave = self(batch.mel)[:, : batch.wave.shape[1]]
        return {"loss": (wave.square().mean().sqrt() - batch.wave.square().mean().sqrt()).abs()}


class TableConfig(AcousticSection):
    """The section of the toy acoustic model."""

    model: Literal["table"]


class Table(AcousticModel):
    """Learns one frame for each symbol, and repeats it."""

    def __init__(self, config: TableConfig, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio, statistics)
        self.frames = nn.Embedding(len(SYMBOLS), len(statistics.mean))

    def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        predicted = self.frames(batch.symbol_ids).mean(dim=1)
        return {"loss": (predicted - self.normalise(batch.mel).mean(dim=2)).abs().mean()}

    def predict_recorded(self, batch: Batch, step: int) -> Tensor:
        return self.denormalise(torch.zeros_like(batch.mel))

    @torch.inference_mode()
    def infer(self, texts: Sequence[Tensor], seed: int, options: InferenceOptions) -> list[Utterance]:
        return [self._utterance(text) for text in texts]

    def _utterance(self, text: Tensor) -> Utterance:
        frames = self.frames(text).T.repeat_interleave(FRAMES_PER_SYMBOL, dim=1)
        mel = self.denormalise(frames[None])[0]
        return Utterance(mel, torch.eye(len(text)).repeat_interleave(FRAMES_PER_SYMBOL, dim=0), "ended")


class StrideConfig(AttentionSection):
    """The section of the toy attention."""

    model: Literal["stride"]
    steps_per_symbol: int


class Stride(Attention):
    """Attends to each symbol for the same number of decoder steps, and to the last one to the end."""

    def __init__(self, encoding_dim: int, config: StrideConfig) -> None:
        super().__init__(encoding_dim, config)
        self.steps_per_symbol = config.steps_per_symbol

    @staticmethod
    def begin(attentions: Sequence[Stride], values: Tensor, mask: Tensor, dtype: torch.dtype) -> StridePass:
        return StridePass(len(attentions), attentions[0].steps_per_symbol, mask)


class StridePass(AttentionPass):
    """A pass whose state is the number of steps so far."""

    def __init__(self, decoders: int, steps_per_symbol: int, mask: Tensor) -> None:
        self.decoders, self.steps_per_symbol, self.mask = decoders, steps_per_symbol, mask

    def start(self) -> State:
        return (torch.zeros(self.decoders, len(self.mask), dtype=torch.long),)

    def step(self, query: Tensor, state: State) -> tuple[Tensor, State]:
        (steps,) = state
        symbols = torch.minimum(steps // self.steps_per_symbol, self.mask.sum(dim=1) - 1)
        return F.one_hot(symbols, self.mask.shape[1]).to(query.dtype), (steps + 1,)

    def select(self, rows: Tensor) -> StridePass:
        return StridePass(self.decoders, self.steps_per_symbol, self.mask[rows])


class DescentConfig(OptimizerConfig):
    """The section of the toy optimizer."""

    type: Literal["descent"]


def build_descent(parameters: Iterable[nn.Parameter], config: DescentConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, config.learning_rate)


class HalvedConfig(ScheduleConfig):
    """The section of the toy schedule."""

    type: Literal["halved"]
    every_steps: int


def halved_share(place: Place, config: HalvedConfig) -> float:
    return 0.5 ** (place.step // config.every_steps)


def parse_labels(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    for where, line in lines.items():
        name, _, text = line.partition(" ")
        yield ListedRow(where, name, PurePosixPath(name).stem, text)


def find_by_name(clips: Sequence[str]) -> Finder:
    return lambda clip, listing: [member for member in clips if PurePosixPath(member).name == clip]


LABELS = ListedFormat(
    files="*.lab",
    expected="labels: *.lab with lines FILE text",
    only_one=False,
    is_listing=lambda member: member.endswith(".lab"),
    looks_right=lambda content: True,
    parse=parse_labels,
    call_clip="{}",
    make_finder=find_by_name,
)


class Fixed:
    """A recogniser that recognises the same word in everything."""

    def transcribe(self, wave: object, sampling_rate: int) -> str:
        return "one"


def build_fixed(config: object) -> Fixed:
    return Fixed()
