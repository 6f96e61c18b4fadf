"""A synthesised text: its phrases, its waveform, and the files in which it is saved."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.utterance_status import Status, worst
from dtc.audio import LOG_FLOOR, wav_bytes
from dtc.files import write_whole
from dtc.provenance import sha256_of
from dtc.seal import sealed_json
from dtc.synthesis_config import SynthesisConfig
from dtc.wav_mark import marked


@dataclass(frozen=True)
class Heard:
    """What a speech recogniser heard in a phrase."""

    words: str  # in the recogniser's spelling
    word_errors: int


# Recognises the speech of a phrase, given its spoken words; None where its word errors cannot be counted.
Listener = Callable[[str, Float[Tensor, " samples"]], Heard | None]


@dataclass(frozen=True)
class SpokenPhrase:
    """The part of a text that was synthesised at once; its tensors are on the CPU."""

    words: str  # spoken words
    wave: Float[Tensor, " samples"]  # float32 in [-1, 1], without the pause before it
    mel: Float[Tensor, "mels frames"]  # natural log
    alignment: Float[Tensor, "steps symbols"]  # weight of each symbol at each step
    status: Status  # whether it ended by itself and has the whole text
    attempts: int  # of which the best was kept
    pause_steps: int  # steps of silence before it
    pace: float  # factor of its durations
    heard: Heard | None  # None: it was not checked

    @property
    def samples_per_step(self) -> int:
        """Return the samples of one step of the alignment."""
        return len(self.wave) // len(self.alignment)

    @property
    def wave_after_pause(self) -> Float[Tensor, " samples_with_pause"]:
        """Return the waveform, after zeros for the length of the pause."""
        return self.after_pause(self.wave[None], 0.0)[0]

    def after_pause(
        self, values: Float[Tensor, "channels time"], filling: float
    ) -> Float[Tensor, "channels time_with_pause"]:
        """Return values of the phrase over time, after `filling` for the length of the pause."""
        return F.pad(values, (values.shape[1] // len(self.alignment) * self.pause_steps, 0), value=filling)


@dataclass(frozen=True)
class Speech:
    """A synthesised text: phrases with pauses between them.

    samples = frames * hop_length, frames = steps * frames_per_step.
    """

    raw_text: str
    phrases: tuple[SpokenPhrase, ...]
    sampling_rate: int  # Hz
    seed: int
    config: SynthesisConfig
    origin: Mapping[str, str] = field(default_factory=dict)  # name → fingerprint of the models and their training data

    @property
    def spoken_text(self) -> str:
        """Return the spoken words, without punctuation marks that are not in the voice's alphabet."""
        return " ".join(phrase.words for phrase in self.phrases)

    @property
    def status(self) -> Status:
        """Return the status of the worst phrase."""
        return worst([phrase.status for phrase in self.phrases])

    @property
    def attempts(self) -> int:
        """Return the largest number of attempts at a phrase."""
        return max(phrase.attempts for phrase in self.phrases)

    @property
    def duration_s(self) -> float:
        """Return the duration of the waveform."""
        return len(self.wave) / self.sampling_rate

    @property
    def seconds_per_step(self) -> float:
        """Return the duration of a step of the alignment."""
        return self.phrases[0].samples_per_step / self.sampling_rate

    @cached_property
    def wave(self) -> Float[Tensor, " samples"]:
        """Return the waveform, float32 in [-1, 1] on the CPU, with zeros in the pauses; `.numpy()` gives an array."""
        return torch.cat([each.wave_after_pause for each in self.phrases])

    @cached_property
    def mel(self) -> Float[Tensor, "mels frames"]:
        """Return the natural-log mel, with the mel of silence in the pauses."""
        return torch.cat([each.after_pause(each.mel, math.log(LOG_FLOOR)) for each in self.phrases], dim=1)

    @property
    def alignment(self) -> Float[Tensor, "steps symbols"]:
        """Return the weights of the symbols of `spoken_text`, as the voice pronounces it, at each step.

        The space between two phrases has no weight, and neither has any symbol in a pause. The size grows with the
        square of the text's length.
        """
        blocks = [each.after_pause(each.alignment.T, 0.0).T for each in self.phrases]
        spaced = [F.pad(block, (0, 1)) for block in blocks[:-1]]
        return torch.block_diag(*spaced, blocks[-1])

    def save(self, path: str | os.PathLike[str], sign: Callable[[bytes], bytes] | None = None) -> None:
        """Write a 16-bit mono WAV file, marked as synthetic, and beside it a JSON file (the sidecar) with its origin.

        The sidecar has the same name with the suffix .json. Both files are replaced where they exist. `sign` adds
        content credentials to the WAV file, as `dtc.credentials.Credentials.sign`.
        """
        path = Path(path)
        content = marked(wav_bytes(self.wave, self.sampling_rate), self.origin)
        write_whole(path, sign(content) if sign else content)
        sidecar = {
            "text": self.raw_text,
            "spoken_text": self.spoken_text,
            "status": self.status,
            "attempts": self.attempts,
            "phrases": self._phrases_of_sidecar(),
            "seed": self.seed,
            "synthesis": self.config.model_dump(mode="json"),
            "duration_s": round(self.duration_s, 4),
            "sampling_rate": self.sampling_rate,
            "wav_sha256": sha256_of(path),
            **self.origin,
        }
        write_whole(path.with_suffix(".json"), sealed_json(sidecar))

    def _phrases_of_sidecar(self) -> list[dict[str, object]]:
        ends = accumulate(len(phrase.wave_after_pause) for phrase in self.phrases)
        return [
            {
                "spoken_text": phrase.words,
                "start_s": round((end - len(phrase.wave)) / self.sampling_rate, 4),
                "status": phrase.status,
                "attempts": phrase.attempts,
                "pace": phrase.pace,
                **({"heard": phrase.heard.words, "word_errors": phrase.heard.word_errors} if phrase.heard else {}),
            }
            for phrase, end in zip(self.phrases, ends, strict=True)
        ]
