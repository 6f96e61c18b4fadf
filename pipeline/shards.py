"""Features in WebDataset tars: `<id>.json`, `<id>.wave.npy`, `<id>.mel.npy`, `<id>.stft.npy`, and an index beside them.

Equal input gives equal bytes, whoever computes them and when. `index.json` says what the shards are and how to know
them; `clips.jsonl` says where in them each clip lies, so that a reader can take any clip in any order without reading
the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import StringConstraints

from dtc.audio import AudioConfig
from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.provenance import fingerprint, md5_of
from dtc.text.symbols import TextConfig, symbols_of
from pipeline.archives import plain_member
from pipeline.config import RecordingConfig
from pipeline.corpora import Md5
from pipeline.features import Features, MelStatistics
from pipeline.npy import to_npy
from pipeline.split import Split

INDEX, CLIPS = "index.json", "clips.jsonl"
REMEDY = "run `dtc preprocess` or, for predicted mels, `dtc align` again"  # where nobody knows which they were

# Nothing but a name: an index from elsewhere must not lead out of its folder.
ShardName = Annotated[str, StringConstraints(pattern=r"^(train|validation|test)-\d{5,}\.tar$")]


class Shard(Section):
    """One tar of the folder."""

    file: ShardName
    split: Split
    md5: Md5
    clips: int
    frames: int


class ClipPlace(Section):
    """Where a clip's members lie: name → (first byte, number of bytes)."""

    id: str
    split: Split
    shard: ShardName
    frames: int
    members: dict[str, tuple[int, int]]


class PredictedBy(Section):
    """Which model predicted the mels, teacher-forced, and from which features; fingerprints of both."""

    acoustic: str
    features: str


class ShardIndex(Section):
    """index.json: all that a reader must know before it opens a shard."""

    format: Literal[3] = 3
    corpus: str  # name
    corpus_md5: Md5  # of the archive
    clips_md5: Md5  # of clips.jsonl
    recording: RecordingConfig
    audio: AudioConfig
    text: TextConfig
    alphabet: tuple[str, ...]  # symbols of the training texts
    mel_mean: tuple[float, ...]  # of each band over the training frames
    mel_deviation: tuple[float, ...]
    predicted: PredictedBy | None = None  # null: each mel is that of the clip's own samples
    shards: tuple[Shard, ...]

    @property
    def fingerprint(self) -> str:
        """Identity of these features: the shards' checksums and everything said of them."""
        return fingerprint("features", self)

    @property
    def remedy(self) -> str:
        """What makes these shards again."""
        return f"run `dtc {'align' if self.predicted else 'preprocess'}` again"


class ShardFacts(Section):
    """What the index says of one shard; kept beside a finished one until all are finished."""

    shard: Shard
    places: tuple[ClipPlace, ...]
    alphabet: tuple[str, ...]
    mel_frames: int
    mel_sums: tuple[float, ...]
    mel_squares: tuple[float, ...]

    def statistics(self) -> MelStatistics:
        """Of this shard's frames."""
        return MelStatistics(self.mel_frames, np.array(self.mel_sums), np.array(self.mel_squares))


@dataclass(frozen=True)
class BuiltShard:
    """A shard in memory."""

    content: bytes
    facts: ShardFacts

    def store(self, folder: Path) -> None:
        """Write the tar, then the facts: a tar without facts is not finished.

        Not forced to the disk, since a shard's MD5 is checked before it is taken for finished. The process's number in
        the sibling's name keeps a worker whose master was killed out of the way of the next run's.
        """
        for path, content in (
            (folder / self.facts.shard.file, self.content),
            (facts_path(folder, self.facts.shard.file), self.facts.model_dump_json().encode()),
        ):
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.replace(path)


def facts_path(folder: Path, file: str) -> Path:
    """Where the facts of a shard wait for the index."""
    return folder / f"{file}.facts.json"


def build_shard(file: str, split: Split, clips: Iterable[Features], n_mel_channels: int) -> BuiltShard:
    """The tar of these clips and what is to be said of it."""
    tar, places, alphabet, statistics = _Tar(), [], set[str](), MelStatistics.none(n_mel_channels)
    for features in clips:
        members = {name: tar.append(f"{features.row.id}.{name}", body) for name, body in _members(features).items()}
        frames = features.mel.shape[1]
        places.append(ClipPlace(id=features.row.id, split=split, shard=file, frames=frames, members=members))
        statistics.add(features.mel)
        alphabet.update(symbols_of(features.row.spoken_text))
    content = tar.close()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    shard = Shard(file=file, split=split, md5=md5, clips=len(places), frames=statistics.frames)
    facts = ShardFacts(
        shard=shard, places=tuple(places), alphabet=tuple(sorted(alphabet)), mel_frames=statistics.frames,
        mel_sums=tuple(statistics.sums.tolist()), mel_squares=tuple(statistics.squares.tolist()),
    )  # fmt: skip
    return BuiltShard(content, facts)


class _Tar:
    """A tar in pieces, joined once: a growing stream would copy what is there again and again."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size_bytes = 0

    def append(self, name: str, content: bytes) -> tuple[int, int]:
        """Add a member; where its content lies: (first byte, number of bytes)."""
        self._add(plain_member(name, len(content)).tobuf(tarfile.USTAR_FORMAT))
        first_byte = self._size_bytes
        self._add(content)
        self._add(bytes(-len(content) % tarfile.BLOCKSIZE))
        return first_byte, len(content)

    def close(self) -> bytes:
        """The whole, with its end marker: zeros up to a whole record, at least two blocks."""
        least = 2 * tarfile.BLOCKSIZE
        self._add(bytes(least + -(self._size_bytes + least) % tarfile.RECORDSIZE))
        return b"".join(self._pieces)

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size_bytes += len(piece)


def _members(features: Features) -> dict[str, bytes]:
    row = features.row
    facts = {"raw_text": row.raw_text, "spoken_text": row.spoken_text, "n_samples": row.samples, "source_md5": row.md5}
    members = {
        "json": json.dumps(facts, sort_keys=True).encode(),
        "wave.npy": to_npy(features.wave),
        "mel.npy": to_npy(features.mel),
    }
    return members | ({"stft.npy": to_npy(features.stft)} if features.stft is not None else {})


def is_finished(folder: Path, file: str) -> bool:
    """Whether a shard and its facts are there as they were stored."""
    try:
        return md5_of(folder / file) == read_facts(folder, file).shard.md5
    except (FileNotFoundError, InputError):
        return False


def read_facts(folder: Path, file: str) -> ShardFacts:
    """The facts of a stored shard. Raises InputError where there are none."""
    path = facts_path(folder, file)
    return parse_section(_read_json(path), ShardFacts, str(path))


def write_places(folder: Path, facts: Iterable[ShardFacts]) -> str:
    """Write clips.jsonl, a line a clip, in the order of the shards; its MD5."""
    with (folder / CLIPS).open("w", encoding="utf-8", newline="\n") as file:
        for shard in facts:
            file.writelines(json.dumps(place.model_dump(mode="json")) + "\n" for place in shard.places)
    return md5_of(folder / CLIPS)


def write_index(folder: Path, index: ShardIndex) -> None:
    """Write index.json, last: a folder without an index is not read."""
    write_whole(folder / INDEX, json.dumps(index.model_dump(mode="json"), indent=2) + "\n")


def read_index(folder: Path) -> ShardIndex:
    """The index of a folder of shards. Raises InputError where there is none."""
    tree = _read_json(folder / INDEX)
    return parse_section(tree, ShardIndex, str(folder / INDEX))


def read_places(folder: Path, index: ShardIndex, split: Split) -> Iterator[ClipPlace]:
    """Where the clips of a split lie, in the shards' order. Raises InputError where the file is not the index's."""
    path = folder / CLIPS
    if not path.is_file():
        raise InputError(path, "no such file", "the places of the clips", index.remedy)
    if (found := md5_of(path)) != index.clips_md5:
        raise InputError(path, f"MD5 {found}", index.clips_md5, "the file was changed; " + index.remedy)
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            place = parse_section(_parse_json(line, where, index.remedy), ClipPlace, where)
            if place.split == split:
                yield place


def verify_shards(folder: Path, index: ShardIndex, split: Split) -> None:
    """Raise InputError where a shard of the split is missing or not the one that was written."""
    for shard in index.shards:
        path = folder / shard.file
        if shard.split != split:
            continue
        if not path.is_file():
            raise InputError(path, "no such file", "a shard of the index", index.remedy)
        if (found := md5_of(path)) != shard.md5:
            raise InputError(path, f"MD5 {found}", shard.md5, "the shard was changed; " + index.remedy)


def _read_json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(path, "no such file", "the index of the features", "run `dtc preprocess` first") from None
    except UnicodeDecodeError as error:
        raise InputError(path, f"byte {error.start} is no UTF-8", remedy=REMEDY) from None
    return _parse_json(text, str(path), REMEDY)


def _parse_json(text: str, where: str, remedy: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(where, f"not JSON ({error})", remedy=remedy) from None
