"""Shards → batches, in an order that is a function of (seed, epoch): nothing to save, anything to resume."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dtc.audio import from_int16
from dtc.batch import Batch, Clip, collate
from dtc.errors import InputError
from dtc.text.symbols import text_to_ids
from pipeline.shards import ClipPlace, read_index, read_places, verify_shards
from pipeline.split import Split

# Clips of similar length share a batch: sorted within this many batches' worth, so that the order stays random.
BATCHES_PER_BUCKET = 4


class ShardLoader:
    """Batches of one split. Training order is shuffled anew each epoch; without a seed the order is the shards'."""

    def __init__(self, folder: Path, split: Split, batch_size: int, seed: int | None = None) -> None:
        index = read_index(folder)
        verify_shards(folder, index, split)
        self.folder, self.split, self.batch_size, self.seed = folder, split, batch_size, seed
        self.places = read_places(folder, index, split)
        if not self.places:
            raise InputError(folder, f"no clips in split {split}", "at least one", "change the split section")

    @property
    def batches_per_epoch(self) -> int:
        """Every clip is in exactly one; the last may be smaller."""
        return -(-len(self.places) // self.batch_size)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Batches first, first + 1, … of an epoch."""
        for places in self.plan(number)[first:]:
            yield collate([self.read(place) for place in places])

    def plan(self, epoch: int) -> list[list[ClipPlace]]:
        """Which clips make which batch. Shuffled by sorting on hashes: the same on every machine and version."""
        if self.seed is None:
            return _cut(self.places, self.batch_size)
        shuffled = sorted(self.places, key=lambda place: self._draw(epoch, place.id))
        batches = [
            batch
            for bucket in _cut(shuffled, self.batch_size * BATCHES_PER_BUCKET)
            for batch in _cut(sorted(bucket, key=lambda place: (place.frames, place.id)), self.batch_size)
        ]
        return sorted(batches, key=lambda batch: self._draw(epoch, "batch", batch[0].id))

    def read(self, place: ClipPlace) -> Clip:
        """One clip, by its place alone."""
        content = {}
        with (self.folder / place.shard).open("rb") as shard:
            for name in ("json", "wave.npy", "mel.npy"):
                first_byte, n_bytes = place.members[name]
                shard.seek(first_byte)
                content[name] = shard.read(n_bytes)
        facts = json.loads(content["json"])
        spoken = facts["spoken_text"]
        return Clip(
            place.id, facts["raw_text"], spoken, torch.tensor(text_to_ids(spoken, place.id)),
            torch.from_numpy(_array(content["mel.npy"])), from_int16(_array(content["wave.npy"])),
        )  # fmt: skip

    def _draw(self, *parts: object) -> bytes:
        return hashlib.sha256(repr((self.seed, self.split, *parts)).encode()).digest()


def _cut(places: list[ClipPlace], size: int) -> list[list[ClipPlace]]:
    return [places[first : first + size] for first in range(0, len(places), size)]


def _array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content), allow_pickle=False)
