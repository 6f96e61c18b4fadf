"""The pauses at marks inside the clips of a corpus, as `dtc preprocess` measures them for the index."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_features import AUDIO, tiny_clip

from dtc.audio_config import AudioConfig
from dtc.text.mark_pauses import MarkPauses, Pause
from pipeline.corpus_pauses import FEWEST_MARKS, median_pauses, silences_at_marks
from pipeline.shard_folder import Unfinished
from pipeline.shard_writer import build_shard

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


def measured(clips: Iterable[tuple[str, np.ndarray]], audio: AudioConfig) -> MarkPauses | None:
    silences_s = defaultdict[Pause, list[float]](list)
    for text, wave in clips:
        if found := silences_at_marks(text, wave, audio):
            silences_s[found[0]] += found[1]
    return median_pauses(silences_s)


def test_the_silences_at_marks_are_measured_without_those_at_the_ends_and_inside_words(audio: AudioConfig) -> None:
    found = measured([*SENTENCES, *CLAUSES, clip("One, two. Three.", 0.9, 0.8)], audio)
    assert found is not None
    assert found.sentence_s == pytest.approx(0.3, abs=FRAME_S)
    assert found.clause_s == pytest.approx(0.125, abs=FRAME_S)


def test_few_marks_and_noisy_recordings_tell_nothing(audio: AudioConfig) -> None:
    assert measured([], audio) is None
    assert measured(CLAUSES[: FEWEST_MARKS - 1], audio) is None
    assert measured([clip("one, two", 0.3, noise=0.02)] * FEWEST_MARKS, audio) is None
    found = measured([*SENTENCES, *CLAUSES[:2]], audio)
    assert found is not None
    assert found.sentence_s is not None
    assert found.clause_s is None


def test_the_index_has_the_pauses_of_the_training_clips(tmp_path: Path) -> None:
    """Nine clips of `train` in two shards, each with a comma and 10 silent frames at it; 20 in those of validation."""
    silence = np.zeros(10 * AUDIO.hop_length, np.int16)
    files = ["train-00000.tar", "train-00001.tar", "validation-00000.tar"]
    unfinished = Unfinished(tmp_path / "features", files, "made from")
    for file, count in zip(files, (3, 6, 9), strict=True):
        clips = []
        for number in range(count):
            features = tiny_clip(number)
            wave = np.full(10 * AUDIO.hop_length, 9000, np.int16)
            wave[::2] *= -1
            inside = [wave, silence, wave] if file.startswith("train") else [wave, silence, silence, wave]
            text = features.text.model_copy(update={"spoken_text": "one, two"})
            clips.append(replace(features, text=text, wave=np.concatenate(inside)))
        unfinished.store(build_shard(file, "validation" if "val" in file else "train", clips, AUDIO))
    ten_frames_s = round(10 / AUDIO.frames_per_s, 3)
    assert unfinished.summed_up(2)["pauses"] == MarkPauses(sentence_s=None, clause_s=ten_frames_s)
