"""The silence to put between spoken phrases, so that a pause at a mark is as long as the corpus or the params say."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.silence import PAUSE_DB, frame_powers, sounding_frames
from dtc.synthesis_config import SynthesisConfig
from dtc.text.mark_pauses import MarkPauses, Pause

SENTENCE_PAUSE_S, CLAUSE_PAUSE_S = 0.4, 0.2  # of a voice whose corpus has too few marks


@dataclass(frozen=True)
class Pauses:
    """Computes the pauses between the phrases of a voice. `corpus`: those of its training clips, where they are known.

    A pause is as long as the config says, or else as in the corpus, or else as SENTENCE_PAUSE_S and CLAUSE_PAUSE_S.
    """

    audio: AudioConfig
    config: SynthesisConfig
    corpus: MarkPauses | None

    def missing_steps(
        self, pause: Pause, before: Float[Tensor, " samples"], after: Float[Tensor, " _"], frames_per_step: int
    ) -> int:
        """Return the decoder steps of silence to put between two waveforms, so that the pause has its length."""
        missing_s = self.wanted_s(pause) - leading_silence_s(before.flip(0), self.audio)
        missing_s -= leading_silence_s(after, self.audio)
        return max(0, round(missing_s * self.audio.frames_per_s / frames_per_step))

    def wanted_s(self, pause: Pause) -> float:
        """Return the length of a pause in seconds."""
        corpus = self.corpus or MarkPauses(sentence_s=None, clause_s=None)
        known = {
            "none": (0.0,),
            "clause": (self.config.clause_pause_s, corpus.clause_s, CLAUSE_PAUSE_S),
            "sentence": (self.config.sentence_pause_s, corpus.sentence_s, SENTENCE_PAUSE_S),
        }
        return next(length_s for length_s in known[pause] if length_s is not None)


def leading_silence_s(wave: Float[Tensor, " samples"], audio: AudioConfig) -> float:
    """Return the duration of the silence at the start of a waveform, in whole frames."""
    first, _ = sounding_frames(frame_powers(wave.numpy(force=True), audio.hop_length), PAUSE_DB)
    return first * audio.hop_length / audio.sampling_rate
