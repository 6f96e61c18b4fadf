"""Pauses between spoken phrases: how much silence to add to that which the model itself makes."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from dtc.audio import AudioConfig
from dtc.synthesis_config import SynthesisConfig
from dtc.text.sentences import Pause

QUIET = 0.01  # amplitude relative to the loudest frame's, -40 dB, below which a frame counts as silence


@dataclass(frozen=True)
class Pauses:
    """The lengths of the pauses of a voice."""

    audio: AudioConfig
    config: SynthesisConfig

    def missing_steps(
        self, pause: Pause, before: Float[Tensor, " samples"], after: Float[Tensor, " _"], frames_per_step: int
    ) -> int:
        """Return the decoder steps of silence to put between two waveforms, so that the pause has its length."""
        wanted_s = {"none": 0.0, "clause": self.config.clause_pause_s, "sentence": self.config.sentence_pause_s}[pause]
        missing_s = wanted_s - leading_silence_s(before.flip(0), self.audio) - leading_silence_s(after, self.audio)
        return max(0, round(missing_s * self.audio.frames_per_s / frames_per_step))


def leading_silence_s(wave: Float[Tensor, " samples"], audio: AudioConfig) -> float:
    """Return the duration of the silence at the start of a waveform, in whole frames."""
    hop = audio.hop_length
    power = wave[: len(wave) // hop * hop].unflatten(0, (-1, hop)).square().mean(dim=1)
    return int((power > QUIET**2 * power.max()).int().argmax()) * hop / audio.sampling_rate
