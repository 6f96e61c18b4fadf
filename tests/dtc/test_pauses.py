"""Pauses at marks: as long as the corpus makes them, or as params.yaml says."""

import numpy as np
import pytest

from dtc.audio_config import AudioConfig
from dtc.model_card import MarkPauses
from dtc.pauses import FEWEST_MARKS, Pauses, measure_pauses
from dtc.synthesis_config import DEFAULT_SYNTHESIS

FRAME_S = 256 / 16000


def clip(text: str, *silences_s: float, noise: float = 0.0) -> tuple[str, np.ndarray]:
    """Sounds of half a second with silences between them, and 0.3 s of silence at either end."""
    generator = np.random.default_rng(1)
    sound = 0.3 * generator.choice([-1.0, 1.0], 8000)
    parts = [np.zeros(4800), sound]
    for silence_s in silences_s:
        parts += [np.zeros(round(16000 * silence_s)), sound]
    wave = np.concatenate([*parts, np.zeros(4800)])
    return text, (32767 * (wave + noise * generator.choice([-1.0, 1.0], len(wave)))).astype(np.int16)


SENTENCES = [clip("One. Two. Three.", 0.25, 0.35), clip("No! Well?", 0.3)] * FEWEST_MARKS
CLAUSES = [clip("one, two", 0.1, 0.04), clip("one; two", 0.15)] * FEWEST_MARKS  # 0.04 s is inside a word


def test_the_silences_at_marks_are_measured_without_those_at_the_ends_and_inside_words(audio: AudioConfig) -> None:
    found = measure_pauses([*SENTENCES, *CLAUSES, clip("One, two. Three.", 0.9, 0.8)], audio)
    assert found is not None
    assert found.sentence_s == pytest.approx(0.3, abs=FRAME_S)
    assert found.clause_s == pytest.approx(0.125, abs=FRAME_S)


def test_few_marks_and_noisy_recordings_tell_nothing(audio: AudioConfig) -> None:
    assert measure_pauses([], audio) is None
    assert measure_pauses(CLAUSES[: FEWEST_MARKS - 1], audio) is None
    assert measure_pauses([clip("one, two", 0.3, noise=0.02)] * FEWEST_MARKS, audio) is None
    found = measure_pauses([*SENTENCES, *CLAUSES[:2]], audio)
    assert found is not None
    assert found.sentence_s is not None
    assert found.clause_s is None


def test_a_pause_is_that_of_the_params_or_of_the_corpus_or_the_usual_one(audio: AudioConfig) -> None:
    own = DEFAULT_SYNTHESIS.model_copy(update={"sentence_pause_s": 0.0, "clause_pause_s": 1.5})
    corpus = MarkPauses(sentence_s=0.25, clause_s=None)
    wanted = [
        [Pauses(audio, config, of_corpus).wanted_s(pause) for pause in ("sentence", "clause", "none")]
        for config, of_corpus in ((own, corpus), (DEFAULT_SYNTHESIS, corpus), (DEFAULT_SYNTHESIS, None))
    ]
    assert wanted == [[0.0, 1.5, 0.0], [0.25, 0.2, 0.0], [0.4, 0.2, 0.0]]
