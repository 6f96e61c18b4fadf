"""Read clips from shards, each by its entry in the index: for training, for conversion and for predicted mels.

Nothing in a shard is trusted. A shard is hashed when it is first opened, and every member must match the index:
no pickle is opened, no code is evaluated, and no memory is reserved for more than a shard holds.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import tarfile
from collections.abc import Collection, Container, Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from dtc.audio import from_int16
from dtc.batch import Clip
from dtc.errors import InputError
from dtc.text.lexicon import KeepsLetters, Lexicon
from dtc.text.symbols import text_to_ids
from pipeline.features import Features, StoredText
from pipeline.manifest import parse_strictly
from pipeline.shards import IndexEntry, Shard, ShardIndex, read_entries, verify_file
from pipeline.split import SPLITS, Split

WAVE, MEL = "<i2", "<f4"  # little-endian int16 and float32
MEMBERS = ("json", "wave.npy", "mel.npy")  # what is read of a clip; magnitudes are for other programs
TAR_NAME_BYTES = 100
NPY_VERSION_1, NPY_TEXT_BYTE, LONGEST_NPY_HEADER_BYTES = b"\x93NUMPY\x01\x00", 10, 512
MOST_OPEN_SHARDS = 64  # of one reader: a process may hold 1,024 files, and a large corpus has more shards


class FeatureFolder:
    """A folder of features, open for reading. Its shards are verified one by one, when each is first asked for."""

    def __init__(self, folder: Path, index: ShardIndex) -> None:
        self.folder, self.index = folder, index
        self._shards = {shard.file: shard for shard in index.shards}
        self.lexicon = Lexicon(index.lexicon)

    def entries(self, split: Split) -> Iterator[IndexEntry]:
        """Read the index entries of a split's clips. Raises InputError for one that cannot be."""
        shards = {shard.file for shard in self.index.of_split(split)}
        for entry in read_entries(self.folder, self.index, split):
            _check_entry(entry, f"{self.folder / entry.shard}:{entry.id}", shards, self.index.remedy)
            yield entry

    def shard(self, file: str) -> Path:
        """Return the path of a shard whose bytes are those of the index. Raises InputError where they are not."""
        path = self.folder / file
        verify_file(path, self._shards[file].md5, "a shard of the index", self.index.remedy)
        return path


def _check_entry(entry: IndexEntry, where: str, shards: Collection[str], remedy: str) -> None:
    """Raise InputError where an entry names a shard of another split, or lacks a member that is read."""
    if entry.shard not in shards:
        raise InputError(where, "no such shard in this split", f"one of the {len(shards)} of the index", remedy)
    for name in MEMBERS:
        if name not in entry.members:
            raise InputError(where, f"no {name}", " and ".join(MEMBERS), remedy)


def stored_clips(features: FeatureFolder, split: Split, files: Container[str] | None = None) -> Iterator[Features]:
    """Read the clips of a split in the order of the shards, without magnitudes, one in memory at a time.

    `files`: the names of the shards to read; None: all of the split.
    """
    with ShardReader(features) as reader:
        for entry in features.entries(split):
            if files is None or entry.shard in files:
                yield reader.read(entry)


def stored_shards(features: FeatureFolder, files: Collection[str]) -> Iterator[tuple[Shard, list[Features]]]:
    """Read the shards whose names are in `files`, in the index's order, with all clips of one in memory at a time."""
    shards = {shard.file: shard for shard in features.index.shards}
    with ShardReader(features) as reader:
        for split in SPLITS:
            for file, entries in itertools.groupby(features.entries(split), key=lambda entry: entry.shard):
                if file in files:
                    yield shards[file], [reader.read(entry) for entry in entries]


def to_clip(features: Features, where: str, lexicon: Lexicon, keeps_letters: KeepsLetters | None = None) -> Clip:
    """Return a clip for training, its text as `lexicon` pronounces it.

    Raises InputError, with `where`, for a text with a symbol that no model knows.
    """
    text = features.text
    symbol_ids = torch.tensor(text_to_ids(lexicon.pronounce(text.spoken_text, keeps_letters), where))
    mel, wave = torch.from_numpy(features.mel), from_int16(features.wave)
    return Clip(features.id, text.raw_text, text.spoken_text, symbol_ids, mel, wave)


class ShardReader:
    """Reads clips, each by its entry in the index; for one thread at a time, as every open file has a position.

    Shards are not mapped into memory: the pages of a mapped corpus would count as memory of this process.
    """

    def __init__(self, features: FeatureFolder) -> None:
        self.features = features
        self._folder = f"{features.folder}{os.sep}"
        self._files: dict[str, tuple[FileIO, int]] = {}  # name → file, and its number of bytes

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all shards."""
        while self._files:
            self._files.popitem()[1][0].close()

    def read_clip(self, entry: IndexEntry, keeps_letters: KeepsLetters | None = None) -> Clip:
        """Read one clip for training, in which the words stay letters where `keeps_letters` is true.

        Raises InputError as `read` does, and for a text that no model can read.
        """
        return to_clip(self.read(entry), self._where(entry), self.features.lexicon, keeps_letters)

    def read(self, entry: IndexEntry) -> Features:
        """Read one clip. Raises InputError, with shard and clip, for anything that does not match the index."""
        where, index = self._where(entry), self.features.index
        content = self._member(entry, "json", where).tobytes()
        text = parse_strictly(StoredText, content, f"{where}.json", "the texts of a clip", index.remedy)
        shape = (index.audio.n_mel_channels, entry.frames)
        wave, mel = (
            from_npy(self._member(entry, name, where), dtype, expected, f"{where}.{name}", index.remedy)
            for name, dtype, expected in (("wave.npy", WAVE, (text.n_samples,)), ("mel.npy", MEL, shape))
        )
        return Features(entry.id, text, wave, mel, None)

    def _where(self, entry: IndexEntry) -> str:
        return f"{self._folder}{entry.shard}:{entry.id}"

    def _member(self, entry: IndexEntry, name: str, where: str) -> UInt8[np.ndarray, " bytes"]:
        """Return the content of a member, whose tar header must bear its name."""
        first_byte, n_bytes = entry.members[name]
        file, size_bytes = self._open(entry.shard)
        if first_byte + n_bytes > size_bytes:
            found, expected = f"{name} at bytes {first_byte} to {first_byte + n_bytes}", f"at most {size_bytes} bytes"
            raise InputError(where, found, f"{expected}, as the shard has", self.features.index.remedy)
        content = np.empty(tarfile.BLOCKSIZE + n_bytes, np.uint8)
        file.seek(first_byte - tarfile.BLOCKSIZE)
        read = file.readinto(content.data)
        found = content[:TAR_NAME_BYTES].tobytes().rstrip(b"\0").decode(errors="replace")
        if read < len(content) or found != f"{entry.id}.{name}":
            remedy = f"the shard was changed; {self.features.index.remedy}"
            raise InputError(f"{where}.{name}", "is not where the index says", remedy=remedy)
        return content[tarfile.BLOCKSIZE :]

    def _open(self, shard: str) -> tuple[FileIO, int]:
        if shard not in self._files:
            if len(self._files) == MOST_OPEN_SHARDS:
                self._files.pop(next(iter(self._files)))[0].close()
            path = self.features.shard(shard)
            self._files[shard] = path.open("rb", buffering=0), path.stat().st_size
        return self._files[shard]


def from_npy(
    content: bytes | UInt8[np.ndarray, " bytes"], dtype: str, shape: tuple[int, ...], where: str, remedy: str
) -> np.ndarray:
    """Return the array of an npy file that must have this type (such as "<f4") and shape, without a copy.

    Raises InputError, with `where` and `remedy`, for any other content.
    """
    start = bytes(content[:LONGEST_NPY_HEADER_BYTES])
    first = NPY_TEXT_BYTE + int.from_bytes(start[NPY_TEXT_BYTE - 2 : NPY_TEXT_BYTE], "little")
    # The header that numpy writes for such an array, up to its padding; comparing is ten times as fast as parsing.
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    if not start.startswith(NPY_VERSION_1) or start[NPY_TEXT_BYTE:first].rstrip() != text:
        first = _parse_header(start, dtype, shape, where, remedy)
    n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
    if len(content) - first != n_bytes:
        raise InputError(where, f"{len(content) - first} bytes of values", f"{n_bytes}", remedy)
    return np.frombuffer(content, dtype, offset=first).reshape(shape)


def _parse_header(start: bytes, dtype: str, shape: tuple[int, ...], where: str, remedy: str) -> int:
    """Return the number of bytes of another header for the same array. Raises InputError for any other array."""
    stream = io.BytesIO(start)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version of the format")
        header = np.lib.format.read_array_header_1_0(stream, max_header_size=LONGEST_NPY_HEADER_BYTES)
    except Exception:  # numpy's parser raises whatever Python's parser of literals and its own dtypes raise
        raise InputError(where, "no npy header of a plain array", f"{dtype} {shape}", remedy) from None
    found_shape, fortran_order, found = header
    if (found.str, found_shape, fortran_order) != (dtype, shape, False):
        order = " in Fortran order" if fortran_order else ""
        raise InputError(where, f"{found.str} {found_shape}{order}", f"{dtype} {shape}", remedy)
    return stream.tell()
