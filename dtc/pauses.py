"""Pauses between spoken phrases: the silence to add to that which the model generates."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.silence import frame_powers, sounding_frames
from dtc.synthesis_config import SynthesisConfig
from dtc.text.sentences import Pause

SILENCE_DB = -40.0  # relative to the loudest frame: a frame below it is silence


@dataclass(frozen=True)
class Pauses:
    """Computes the pauses between the phrases of a voice."""

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
    first, _ = sounding_frames(frame_powers(wave.numpy(force=True), audio.hop_length), SILENCE_DB)
    return first * audio.hop_length / audio.sampling_rate
