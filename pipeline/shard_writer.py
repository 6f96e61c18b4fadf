"""Build shards, which are WebDataset tars of features, in memory; store them with the facts for the index."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dtc.audio_config import AudioConfig
from dtc.config import Section
from dtc.errors import InputError
from dtc.provenance import md5_of
from dtc.text.mark_pauses import Pause
from pipeline.corpus_pauses import silences_at_marks
from pipeline.features import Features, MelStatistics
from pipeline.shards import CLIPS, IndexEntry, Shard, read_section
from pipeline.split import Split

WHOLE_MEMBER = 1 << 40  # bytes: no member is copied in pieces


class ShardFacts(Section):
    """What the index needs to know of one finished shard; kept in a file until all shards are finished."""

    shard: Shard
    entries: tuple[IndexEntry, ...]
    mel_frames: int
    mel_sums: tuple[float, ...]
    mel_squares: tuple[float, ...]
    silences_s: dict[Pause, tuple[float, ...]]  # at the marks inside the clips

    def statistics(self) -> MelStatistics:
        """Return the sums over this shard's frames."""
        return MelStatistics(self.mel_frames, np.array(self.mel_sums), np.array(self.mel_squares))


@dataclass(frozen=True)
class BuiltShard:
    """A shard in memory."""

    content: bytes
    facts: ShardFacts

    def store(self, shards: Path, facts: Path) -> None:
        """Write the tar into one folder, then its facts into another: a tar without facts is not finished.

        The files are not forced to disk, as the MD5 of a shard is checked before it counts as finished. The names of
        the temporary files hold the process id, so that a worker whose parent was killed does not disturb the next run.
        """
        for path, content in (
            (shards / self.facts.shard.file, self.content),
            (facts_path(facts, self.facts.shard.file), self.facts.model_dump_json().encode()),
        ):
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.replace(path)


def facts_path(folder: Path, file: str) -> Path:
    """Return the path of a finished shard's facts."""
    return folder / f"{file}.facts.json"


def build_shard(file: str, split: Split, clips: Iterable[Features], audio: AudioConfig) -> BuiltShard:
    """Build the shard `file` of these clips in memory."""
    tar, entries = _ShardTar(), list[IndexEntry]()
    statistics, silences_s = MelStatistics.none(audio.n_mel_channels), dict[Pause, tuple[float, ...]]()
    for features in clips:
        members = {name: tar.append(features.id, name, body) for name, body in _members(features)}
        entries.append(IndexEntry(features.id, split, file, features.mel.shape[1], members))
        statistics.add(features.mel)
        if found := silences_at_marks(features.text.spoken_text, features.wave, audio):
            pause, at_marks_s = found
            silences_s[pause] = (*silences_s.get(pause, ()), *at_marks_s)
    content = tar.close()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    facts = ShardFacts(
        shard=Shard(file=file, split=split, md5=md5, clips=len(entries), frames=statistics.frames),
        entries=tuple(entries),
        mel_frames=statistics.frames,
        mel_sums=tuple(statistics.sums.tolist()),
        mel_squares=tuple(statistics.squares.tolist()),
        silences_s=silences_s,
    )
    return BuiltShard(content, facts)


class _ShardTar:
    """A tar in memory, written by WebDataset's TarWriter; its headers hold no time, no owner and mode 0644."""

    def __init__(self) -> None:
        from webdataset import TarWriter

        self._stream = io.BytesIO()
        self._writer = TarWriter(self._stream, user="", group="", mode=0o644, encoder=False, mtime=0)
        # TarWriter's own tarfile copies each member four times. It also drops the argument `format`: in the default
        # one, a name with other letters than ASCII gets a second header; in this one every header is a single block.
        self._writer.tarstream = tarfile.TarFile(
            fileobj=self._stream, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8", copybufsize=WHOLE_MEMBER
        )

    def append(self, clip_id: str, name: str, content: bytes) -> tuple[int, int]:
        """Write one member of a clip; return its first byte in the tar and its number of bytes."""
        first_byte = self._stream.tell() + tarfile.BLOCKSIZE
        self._writer.write({"__key__": clip_id, name: content})  # one by one: TarWriter would sort them by name
        return first_byte, len(content)

    def close(self) -> bytes:
        """Return the whole tar; no member can follow."""
        self._writer.close()
        return self._stream.getvalue()


def _members(features: Features) -> Iterator[tuple[str, bytes]]:
    yield "json", json.dumps(features.text.model_dump(), sort_keys=True).encode()
    yield "wave.npy", to_npy(features.wave)
    yield "mel.npy", to_npy(features.mel)
    if features.stft is not None:
        yield "stft.npy", to_npy(features.stft)


def to_npy(array: np.ndarray) -> bytes:
    """Return the content of an npy file that holds the array, as numpy.save writes it, which copies it once more."""
    array, header = np.ascontiguousarray(array), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return b"".join((header.getvalue(), array.data))


def write_entries(folder: Path, facts: Iterable[ShardFacts]) -> str:
    """Write clips.jsonl, one line for each clip, in the order of the shards; return its MD5."""
    with (folder / CLIPS).open("w", encoding="utf-8", newline="\n") as file:
        for shard in facts:
            file.writelines(json.dumps(asdict(entry)) + "\n" for entry in shard.entries)
    return md5_of(folder / CLIPS)


def read_facts(folder: Path, file: str) -> ShardFacts:
    """Read the facts of a finished shard. Raises InputError where there are none."""
    return read_section(facts_path(folder, file), ShardFacts)


def is_finished(shards: Path, facts: Path, file: str) -> bool:
    """Return whether a shard and its facts are there as they were stored."""
    try:
        return md5_of(shards / file) == read_facts(facts, file).shard.md5
    except (FileNotFoundError, InputError):
        return False
