"""Features in WebDataset tars: `<id>.json`, `<id>.wave.npy`, `<id>.mel.npy`, `<id>.stft.npy`, and an index beside them.

Equal input gives equal bytes. `index.json` says what the shards are and how to know them; `clips.jsonl` says where in
them each clip lies, so that a reader can take any clip in any order without reading the others.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dtc.audio import AudioConfig
from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.provenance import fingerprint, md5_of
from pipeline.archive import plain_member
from pipeline.features import Features
from pipeline.split import Split

INDEX, CLIPS = "index.json", "clips.jsonl"
REMEDY = "run `dtc preprocess` again"


class Shard(Section):
    """One tar of the folder."""

    file: str
    split: Split
    md5: str
    clips: int
    frames: int


class ClipPlace(Section):
    """Where a clip's members lie: name → (first byte, number of bytes)."""

    id: str
    split: Split
    shard: str
    frames: int
    members: dict[str, tuple[int, int]]


class ShardIndex(Section):
    """index.json: all that a reader must know before it opens a shard."""

    format: Literal[1] = 1
    corpus: str  # name
    corpus_md5: str  # of the archive
    audio: AudioConfig
    alphabet: str  # characters of the training texts
    mel_mean: tuple[float, ...]  # of each band over the training frames
    mel_deviation: tuple[float, ...]
    shards: tuple[Shard, ...]

    @property
    def fingerprint(self) -> str:
        """Identity of these features: the shards' checksums and everything said of them."""
        return fingerprint("features", self)


class ShardWriter:
    """Writes the shards of one split into a folder."""

    def __init__(self, folder: Path, split: Split, clips_per_shard: int) -> None:
        self.folder, self.split, self.clips_per_shard = folder, split, clips_per_shard
        self.shards: list[Shard] = []
        self.places: list[ClipPlace] = []
        self._tar: tarfile.TarFile | None = None
        self._path = folder
        self._clips = self._frames = 0

    def add(self, features: Features) -> None:
        """Append a clip, to a new shard where the last one is full."""
        if self._tar is None:
            self._path = self.folder / f"{self.split}-{len(self.shards):05d}.tar"
            self._tar = tarfile.open(self._path, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115, closed by close()
        members = {name: self._write(features.row.id, name, content) for name, content in _members(features).items()}
        frames = features.mel.shape[1]
        self.places.append(
            ClipPlace(id=features.row.id, split=self.split, shard=self._path.name, frames=frames, members=members)
        )
        self._clips, self._frames = self._clips + 1, self._frames + frames
        if self._clips == self.clips_per_shard:
            self.close()

    def close(self) -> None:
        """Finish the shard in hand, if there is one."""
        if self._tar is None:
            return
        self._tar.close()
        entry = Shard(
            file=self._path.name, split=self.split, md5=md5_of(self._path), clips=self._clips, frames=self._frames
        )
        self.shards.append(entry)
        self._tar, self._clips, self._frames = None, 0, 0

    def _write(self, clip_id: str, name: str, content: bytes) -> tuple[int, int]:
        assert self._tar is not None
        header = plain_member(f"{clip_id}.{name}", len(content))
        first_byte = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(header, io.BytesIO(content))
        return first_byte, len(content)


def _members(features: Features) -> dict[str, bytes]:
    row = features.row
    facts = {"raw_text": row.raw_text, "spoken_text": row.spoken_text, "n_samples": row.samples, "source_md5": row.md5}
    members = {
        "json": json.dumps(facts, sort_keys=True).encode(),
        "wave.npy": _npy(features.wave),
        "mel.npy": _npy(features.mel),
    }
    return members | ({"stft.npy": _npy(features.stft)} if features.stft is not None else {})


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def write_index(folder: Path, index: ShardIndex, places: list[ClipPlace]) -> None:
    """Write clips.jsonl, then index.json: a folder without an index is not read."""
    rows = "".join(json.dumps(place.model_dump(mode="json")) + "\n" for place in places)
    (folder / CLIPS).write_text(rows, encoding="utf-8")
    part = folder / (INDEX + ".part")
    part.write_text(json.dumps(index.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    part.replace(folder / INDEX)


def read_index(folder: Path) -> ShardIndex:
    """The index of a folder of shards. Raises InputError where there is none."""
    tree = _read_json(folder / INDEX)
    return parse_section(tree, ShardIndex, str(folder / INDEX))


def read_places(folder: Path, index: ShardIndex, split: Split) -> list[ClipPlace]:
    """Where the clips of a split lie, in the shards' order. Raises InputError where they are not the index's clips."""
    path = folder / CLIPS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(path, "no such file", "the places of the clips", REMEDY) from None
    rows = [
        parse_section(_parse_json(line, f"{path}:{n}"), ClipPlace, f"{path}:{n}") for n, line in enumerate(lines, 1)
    ]
    places = [place for place in rows if place.split == split]
    if len(places) != (clips := sum(shard.clips for shard in index.shards if shard.split == split)):
        raise InputError(path, f"{len(places)} clips of split {split}", f"{clips}", REMEDY)
    return places


def verify_shards(folder: Path, index: ShardIndex, split: Split) -> None:
    """Raise InputError where a shard of the split is missing or not the one that was written."""
    for shard in index.shards:
        path = folder / shard.file
        if shard.split != split:
            continue
        if not path.is_file():
            raise InputError(path, "no such file", "a shard of the index", REMEDY)
        if (found := md5_of(path)) != shard.md5:
            raise InputError(path, f"MD5 {found}", shard.md5, "the shard was changed; " + REMEDY)


def _read_json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(path, "no such file", "the index of the features", "run `dtc preprocess` first") from None
    return _parse_json(text, str(path))


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(where, f"not JSON ({error})", remedy=REMEDY) from None
