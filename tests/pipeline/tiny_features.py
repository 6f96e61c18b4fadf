"""Folders of tiny features, for the tests of those who read them."""

from pathlib import Path

import numpy as np

from dtc.audio_config import AudioConfig
from dtc.text.symbols import TextConfig
from pipeline.config import RecordingConfig
from pipeline.features import Features, StoredText
from pipeline.shard_writer import build_shard, write_entries
from pipeline.shards import ShardIndex, write_index
from pipeline.split import Split

CLIPS_PER_SHARD = 3
RECORDING = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)
TEXT = TextConfig(symbols="nvidia", normaliser="none")
AUDIO = AudioConfig(
    sampling_rate=16000, filter_length=16, hop_length=4, win_length=16, n_mel_channels=2, mel_fmin=0, mel_fmax=8000
)


def tiny_clip(number: int) -> Features:
    """A clip of 1 to 11 frames of 4 samples, which are all its number."""
    frames = 1 + number * 7 % 11
    spoken_text = "n" * (1 + number % 5)
    text = StoredText(raw_text=f"N {number}", spoken_text=spoken_text, n_samples=4 * frames, source_md5="0" * 32)
    wave = np.full(4 * frames, number, dtype=np.int16)
    return Features(f"clip-{number:03d}", text, wave, np.full((2, frames), number, dtype=np.float32), None)


def write_features(folder: Path, clips: int, validation: int = 0) -> ShardIndex:
    """`clips` tiny clips of split train, and some more of split validation, in shards of three; and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers: dict[Split, range] = {"train": range(clips), "validation": range(clips, clips + validation)}
    built = [
        build_shard(f"{split}-{shard:05d}.tar", split, map(tiny_clip, of_split[first : first + CLIPS_PER_SHARD]), AUDIO)
        for split, of_split in numbers.items()
        for shard, first in enumerate(range(0, len(of_split), CLIPS_PER_SHARD))
    ]
    for shard in built:
        (folder / shard.facts.shard.file).write_bytes(shard.content)
    index = ShardIndex(
        corpus="voice",
        corpus_md5="0" * 32,
        clips_md5=write_entries(folder, [shard.facts for shard in built]),
        recording=RECORDING,
        audio=AUDIO,
        text=TEXT,
        alphabet=("n",),
        mel_mean=(0.0,) * 2,
        mel_deviation=(1.0,) * 2,
        shards=tuple(shard.facts.shard for shard in built),
    )
    write_index(folder, index)
    return index
