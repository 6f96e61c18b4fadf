"""Pauses at punctuation marks: how long a corpus makes them, and the silence to put between spoken phrases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice, repeat

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.model_card import MarkPauses
from dtc.silence import frame_powers, sounding_frames
from dtc.synthesis_config import SynthesisConfig
from dtc.text.sentences import Pause, inner_pauses

SILENCE_DB = -40.0  # relative to the loudest frame: a frame below it is silence
FEWEST_MARKS = 8  # whose median is taken for the corpus's
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


def measure_pauses(clips: Iterable[tuple[str, Shaped[np.ndarray, " _"]]], audio: AudioConfig) -> MarkPauses | None:
    """Return how long a corpus pauses at the marks inside its clips, or None where that is not known.

    `clips` are spoken texts with their samples. No alignment is needed: the longest silences of a clip are those at its
    marks. A clip with marks of both kinds is left out, as it is not known which silence is which.
    """
    found: dict[Pause, list[float]] = {"sentence": [], "clause": []}
    for spoken_text, wave in clips:
        marks = inner_pauses(spoken_text)
        if len(set(marks)) == 1:
            found[marks[0]] += _longest_silences_s(wave, len(marks), audio)
    medians = {pause: float(np.median(lengths)) for pause, lengths in found.items() if len(lengths) >= FEWEST_MARKS}
    # A median of 0 is that of a noisy recording, where nothing is below SILENCE_DB.
    sentence_s, clause_s = (round(medians.get(pause, 0.0), 3) or None for pause in ("sentence", "clause"))
    return MarkPauses(sentence_s=sentence_s, clause_s=clause_s) if sentence_s or clause_s else None


def _longest_silences_s(wave: Shaped[np.ndarray, " samples"], count: int, audio: AudioConfig) -> list[float]:
    """Return the longest silences between the first and the last sound, `count` of them, 0 where there are fewer."""
    powers = frame_powers(wave, audio.hop_length)
    sounding = np.flatnonzero(powers >= powers.max() * 10 ** (SILENCE_DB / 10))
    silences = sorted((np.diff(sounding) - 1).tolist(), reverse=True)
    return [frames / audio.frames_per_s for frames in islice(chain(silences, repeat(0)), count)]


def leading_silence_s(wave: Float[Tensor, " samples"], audio: AudioConfig) -> float:
    """Return the duration of the silence at the start of a waveform, in whole frames."""
    first, _ = sounding_frames(frame_powers(wave.numpy(force=True), audio.hop_length), SILENCE_DB)
    return first * audio.hop_length / audio.sampling_rate
