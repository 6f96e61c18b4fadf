"""Clips out of shards, each by its place alone: what the index says is checked against what is there."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import BaseModel, ValidationError

from dtc.audio import from_int16
from dtc.batch import Clip
from dtc.errors import InputError
from dtc.text.symbols import text_to_ids
from pipeline.npy import from_npy
from pipeline.shards import ClipPlace, Shard

MEMBERS = ("json", "wave.npy", "mel.npy")  # what a batch is made of; the STFT stays where it is
TAR_BLOCK_BYTES, TAR_NAME_BYTES = 512, 100
WAVE, MEL = "<i2", "<f4"  # little-endian int16 and float32
MOST_OPEN_SHARDS = 64  # of one reader: a process may hold 1,024 files, and a large corpus has more shards


class Place(NamedTuple):
    """Where a clip's members lie: name → (first byte, number of bytes)."""

    id: str
    shard: str
    frames: int
    members: Mapping[str, tuple[int, int]]


class Places(Sequence[Place]):
    """The places of many clips, in arrays: 130 bytes a clip, where those read from clips.jsonl take 1,500."""

    def __init__(self, places: Iterable[ClipPlace], folder: Path, shards: Iterable[Shard], remedy: str) -> None:
        sizes = {shard.file: (folder / shard.file).stat().st_size for shard in shards}
        self.ids: list[str] = []
        self.frames = array("q")
        self._shards, numbers = list(sizes), {shard: number for number, shard in enumerate(sizes)}
        self._shard_numbers, self._spans = array("q"), array("q")
        for place in places:
            _check_place(place, folder, sizes, remedy)
            self.ids.append(place.id)
            self.frames.append(place.frames)
            self._shard_numbers.append(numbers[place.shard])
            for name in MEMBERS:
                self._spans.extend(place.members[name])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, number: int) -> Place: ...
    @overload
    def __getitem__(self, number: slice) -> list[Place]: ...
    def __getitem__(self, number: int | slice) -> Place | list[Place]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        number = range(len(self))[number]  # counts from the end where negative; IndexError beyond
        spans = iter(self._spans[2 * len(MEMBERS) * number : 2 * len(MEMBERS) * (number + 1)])
        members = dict(zip(MEMBERS, zip(spans, spans, strict=True), strict=True))
        return Place(self.ids[number], self._shards[self._shard_numbers[number]], self.frames[number], members)


def _check_place(place: ClipPlace, folder: Path, sizes: Mapping[str, int], remedy: str) -> None:
    """Raise InputError where a place cannot be: features from elsewhere may say anything."""
    where = f"{folder / place.shard}:{place.id}"
    if place.shard not in sizes:
        raise InputError(where, "no such shard in this split", f"one of the {len(sizes)} of the index", remedy)
    if place.frames < 1:
        raise InputError(where, f"{place.frames} frames", "at least one", remedy)
    for name in MEMBERS:
        if name not in place.members:
            raise InputError(where, f"no {name}", " and ".join(MEMBERS), remedy)
        first_byte, n_bytes = place.members[name]
        if first_byte < TAR_BLOCK_BYTES or n_bytes < 0 or first_byte + n_bytes > sizes[place.shard]:
            found = f"{name} at bytes {first_byte} to {first_byte + n_bytes}"
            raise InputError(where, found, f"a place in the shard's {sizes[place.shard]} bytes", remedy)


class _Facts(BaseModel):
    """What a batch needs of `<id>.json`."""

    raw_text: str
    spoken_text: str
    n_samples: int


class Reader:
    """Reads clips. Holds each shard open, with a position: for one thread at a time.

    Not mapped into memory: pages of a mapped corpus would count as this process's memory, and soon be all of it.
    """

    def __init__(self, folder: Path, n_mel_channels: int, remedy: str) -> None:
        self.folder, self.n_mel_channels, self._remedy = folder, n_mel_channels, remedy
        self._files: dict[str, FileIO] = {}

    def close(self) -> None:
        """Close the shards."""
        while self._files:
            self._files.popitem()[1].close()

    def read(self, place: ClipPlace | Place) -> Clip:
        """One clip. Raises InputError, with the shard's file and the clip, for whatever is not as the index says."""
        where = f"{self.folder / place.shard}:{place.id}"
        facts = _parse_facts(self._member(place, "json", where), where, self._remedy)
        wave = self._array(place, "wave.npy", WAVE, (facts.n_samples,), where)
        shape = (self.n_mel_channels, place.frames)
        mel = self._array(place, "mel.npy", MEL, shape, where)
        symbol_ids = torch.tensor(text_to_ids(facts.spoken_text, where))
        return Clip(
            place.id, facts.raw_text, facts.spoken_text, symbol_ids, torch.from_numpy(mel), from_int16(wave)
        )  # fmt: skip

    def _array(self, place: ClipPlace | Place, name: str, dtype: str, shape: tuple[int, ...], where: str) -> np.ndarray:
        return from_npy(self._member(place, name, where), dtype, shape, f"{where}.{name}", self._remedy)

    def _member(self, place: ClipPlace | Place, name: str, where: str) -> UInt8[np.ndarray, " bytes"]:
        """Content of a member; the tar's own header before it must bear its name."""
        first_byte, n_bytes = place.members[name]
        content = np.empty(TAR_BLOCK_BYTES + n_bytes, np.uint8)
        file = self._open(place.shard)
        file.seek(first_byte - TAR_BLOCK_BYTES)
        read = file.readinto(content.data)
        found = content[:TAR_NAME_BYTES].tobytes().rstrip(b"\0").decode(errors="replace")
        if read < len(content) or found != f"{place.id}.{name}":
            raise InputError(
                f"{where}.{name}", "is not where the index says", remedy="the shard was changed; " + self._remedy
            )
        return content[TAR_BLOCK_BYTES:]

    def _open(self, shard: str) -> FileIO:
        if shard not in self._files:
            if len(self._files) == MOST_OPEN_SHARDS:
                self._files.pop(next(iter(self._files))).close()
            try:
                self._files[shard] = (self.folder / shard).open("rb", buffering=0)
            except FileNotFoundError:
                raise InputError(self.folder / shard, "no such file", "a shard of the index", self._remedy) from None
        return self._files[shard]


def _parse_facts(content: UInt8[np.ndarray, " bytes"], where: str, remedy: str) -> _Facts:
    try:
        return _Facts.model_validate_json(content.tobytes(), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"{where}.json", f"{key}: {fault['msg']}".removeprefix(": "), remedy=remedy) from None
