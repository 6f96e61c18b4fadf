"""The format of a folder of features: WebDataset tars (shards), `index.json` and `clips.jsonl`.

A shard holds `<id>.json`, `<id>.wave.npy` (int16), `<id>.mel.npy` (float32) and, where it was asked for,
`<id>.stft.npy` (float16) of each of its clips. `index.json` lists the shards with their checksums and everything that
all clips share. `clips.jsonl` gives the place of each clip in its shard, so that any clip can be read on its own.

Equal clips give equal bytes, whatever the machine, the time and the number of workers.
"""

from __future__ import annotations

import json
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dtc.audio_config import AudioConfig
from dtc.config import AnySection, Section, parse_section
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.made_by import MadeBy
from dtc.provenance import fingerprint, md5_of
from dtc.seal import sealed_json
from dtc.text.lexicon import LexiconConfig
from dtc.text.mark_pauses import MarkPauses
from dtc.text.symbols import TextConfig
from pipeline.config import Md5, RecordingConfig
from pipeline.manifest import parse_strictly
from pipeline.split import Split

INDEX, CLIPS = "index.json", "clips.jsonl"
REMEDY = "run `dtc preprocess` or, for predicted mels, `dtc align` again"  # where the index does not say which
SETTLED_NS = 100_000_000  # a file may change once more within the resolution of its time stamp: younger ones are hashed

LATER_KEYS = ("lexicon", "pauses", "manifest_md5")  # which older indexes lack

# Only a file name: an index from elsewhere must not lead out of its folder.
SHARD_NAME = r"^(train|validation|test)-\d{5,}\.tar$"
ShardName = Annotated[str, StringConstraints(pattern=SHARD_NAME)]
FirstByte = Annotated[int, Field(ge=tarfile.BLOCKSIZE, lt=1 << 60)]  # a member follows its header
Count = Annotated[int, Field(ge=0, lt=1 << 60)]


class Shard(Section):
    """One shard, as index.json lists it."""

    file: ShardName
    split: Split
    md5: Md5
    clips: int
    frames: int


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One clip, as clips.jsonl lists it: its shard, its length, and the place of each of its members in the shard."""

    id: str
    split: Split
    shard: ShardName
    frames: Annotated[int, Field(ge=1, lt=1 << 60)]
    members: dict[str, tuple[FirstByte, Count]]  # name → (first byte, number of bytes)


class PredictedBy(Section):
    """Fingerprints of the model that predicted the mels with teacher forcing, and of the features that it was given."""

    acoustic: str
    features: str


class ShardIndex(Section):
    """The content of index.json."""

    format: Literal[3] = 3
    corpus: str  # name
    corpus_md5: Md5  # of the archive
    manifest_md5: Md5 | None = None  # null: not known
    clips_md5: Md5  # of clips.jsonl
    recording: RecordingConfig
    audio: AudioConfig
    text: TextConfig
    lexicon: LexiconConfig | None = None  # null: words are read as letters
    alphabet: tuple[str, ...]  # symbols of the training texts, as they are read
    mel_mean: tuple[float, ...]  # of each band over the training frames
    mel_deviation: tuple[float, ...]
    pauses: MarkPauses | None = None  # at the marks inside the training clips; null: not known
    predicted: PredictedBy | None = None  # null: each mel was computed from the clip's own samples
    shards: tuple[Shard, ...]
    made_by: MadeBy | None = None  # null: an older version of dtc
    seal: str = ""  # of index.json, see `dtc.seal`; filled in when it is written

    @property
    def fingerprint(self) -> str:
        """Return the identity of these features: a hash of the index, with the checksums of the shards.

        What made them does not count, see `MadeBy`.
        """
        later = {name for name in LATER_KEYS if getattr(self, name) is None}
        return fingerprint("features", self.model_dump(mode="json", exclude=later | {"made_by", "seal"}))

    @property
    def remedy(self) -> str:
        """Return the command that makes these shards again, for error messages."""
        return f"run `dtc {'align' if self.predicted else 'preprocess'}` again"

    def of_split(self, split: Split) -> list[Shard]:
        """Return the shards of a split, in the index's order."""
        return [shard for shard in self.shards if shard.split == split]

    def clips_of(self, split: Split) -> int:
        """Return the number of clips of a split."""
        return sum(shard.clips for shard in self.of_split(split))

    def minutes_of(self, split: Split) -> float:
        """Return the duration of all clips of a split."""
        return sum(shard.frames for shard in self.of_split(split)) / self.audio.frames_per_s / 60


def write_index(folder: Path, index: ShardIndex) -> None:
    """Write index.json. It is written last, as a folder without an index is not read."""
    write_whole(folder / INDEX, sealed_json(index.model_dump(mode="json")))


def read_index(folder: Path) -> ShardIndex:
    """Read the index of a folder of features. Raises InputError where there is none."""
    return read_section(folder / INDEX, ShardIndex)


def read_section(path: Path, schema: type[AnySection]) -> AnySection:
    """Read one of the JSON files of a folder of features. Raises InputError where it is missing or is not `schema`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(path, "no such file", "the index of the features", "run `dtc preprocess` first") from None
    return parse_json(content, schema, str(path), REMEDY)


def parse_json(content: bytes, schema: type[AnySection], where: str, remedy: str) -> AnySection:
    """Return the section whose JSON is `content`. Raises InputError, with `where`, where it is none."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(where, f"not JSON ({error})", remedy=remedy) from None
    return parse_section(tree, schema, where)


def read_entries(folder: Path, index: ShardIndex, split: Split) -> Iterator[IndexEntry]:
    """Read the entries of a split's clips, in the order of the shards.

    Raises InputError where clips.jsonl is missing, is not the one of the index, or has a line that is no entry.
    """
    path = folder / CLIPS
    verify_file(path, index.clips_md5, "the places of the clips", index.remedy)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            entry = parse_strictly(IndexEntry, line, f"{path}:{number}", "the entry of a clip", index.remedy)
            if entry.split == split:
                yield entry


_verified: dict[tuple[Path, str], tuple[int, int]] = {}  # path and MD5 → size and time of the file that was hashed
_verifying = threading.Lock()


def verify_file(path: Path, md5: str, what: str, remedy: str) -> None:
    """Raise InputError where a file of features is missing or has another MD5.

    A file is hashed once in a process, and again only where its size or its time of change is another one.
    """
    with _verifying:  # so that two threads do not hash the same file
        try:
            status = path.stat()
        except FileNotFoundError:
            raise InputError(path, "no such file", what, remedy) from None
        key, found = (path.absolute(), md5), (status.st_size, status.st_mtime_ns)
        if _verified.get(key) == found:
            return
        if (computed := md5_of(path)) != md5:
            raise InputError(path, f"MD5 {computed}", md5, f"the file was changed; {remedy}")
        if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
            _verified[key] = found
