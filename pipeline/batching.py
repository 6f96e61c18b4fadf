"""Choose the clips of each batch, as a function of seed and epoch: a resumed run needs no saved state.

A batch is of clips of similar length. Every epoch has the same number of batches, and every clip is in one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from dtc.errors import InputError

# Clips of similar length share a batch. They are sorted only within the clips of so many batches, as a shuffled order
# must stay random.
BATCHES_PER_BUCKET = 4

Clips = Sequence[int]  # their numbers in the index


@dataclass(frozen=True)
class Batching:
    """How the clips of a split are divided into batches: by their number, or by their frames.

    Args:
        batch_size: clips in a batch; or None, and
        batch_frames: at most so many frames in a padded batch, (frames of the longest clip) × (clips).
        seed: of the order; None: the clips are not shuffled.
        shuffle: false: the clips are not shuffled, whatever the seed is.
        drop_last: leave out the clips that do not fill a batch of `batch_size`.
        rank: the number of the process that reads them, which reads the clips rank, rank + world, … of each batch, and
            the first clip where none is left.
        world: the number of processes.
    """

    batch_size: int | None
    batch_frames: int | None = None
    seed: int | None = None
    shuffle: bool = True
    drop_last: bool = False
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        size, frames = self.batch_size, self.batch_frames
        if (size is None) == (frames is None) or (size or frames or 0) < 1:
            raise ValueError(f"batch_size {size} and batch_frames {frames}, expected one of them, positive")


class _Bucket(NamedTuple):
    clips: Clips  # the longest first
    batches: int


class Order:
    """The order of the clips `ids` of a split, whose lengths are `frames`."""

    def __init__(self, ids: Sequence[str], frames: Sequence[int], split: str, batching: Batching) -> None:
        self._ids, self._frames, self._split = ids, frames, split
        self._seed = batching.seed if batching.shuffle else None
        self._own = slice(batching.rank, None, batching.world)
        self._size, self._drop_last = batching.batch_size or 0, batching.drop_last
        self._buckets = self._fixed_buckets(batching.batch_frames) if batching.batch_frames else []
        whole, rest = divmod(len(ids), self._size) if self._size else (sum(b.batches for b in self._buckets), 0)
        self.batches_per_epoch = whole + (rest > 0 and not (self._drop_last and whole))

    def batches(self, epoch: int) -> list[Clips]:
        """Return the clips of each batch of an epoch that this process reads."""
        return [batch[self._own] or batch[:1] for batch in self._all_batches(epoch)]

    def _all_batches(self, epoch: int) -> list[Clips]:
        if not self._size:
            return self._by_frames(epoch)
        whole = [batch for batch in self._by_count(epoch) if len(batch) == self._size]
        return whole if self._drop_last and whole else self._by_count(epoch)

    def _by_count(self, epoch: int) -> list[Clips]:
        """Return the batches of an epoch: cut from new random buckets with a seed, else in the order of the shards."""
        everyone = range(len(self._ids))
        if self._seed is None:
            return _cut(everyone, self._size)
        buckets = _cut(self._shuffled(epoch, everyone), self._size * BATCHES_PER_BUCKET)
        batches = [batch for bucket in buckets for batch in _cut(sorted(bucket, key=self._length), self._size)]
        return sorted(batches, key=lambda batch: self._draw(epoch, "batch", self._ids[batch[0]]))

    def _by_frames(self, epoch: int) -> list[Clips]:
        """Return the batches of an epoch: with a seed, clips are shuffled within their buckets, then the batches.

        Without a seed the longest clips come first. They are in the first batch of the first epoch in any case: a batch
        that does not fit into memory fails at once, and not after an hour.
        """
        if self._seed is None:
            return [batch for bucket in self._buckets for batch in _divide(*bucket)]
        batches = [
            sorted(batch, key=self._length)
            for bucket in self._buckets
            for batch in _divide(self._shuffled(epoch, bucket.clips), bucket.batches)
        ]
        longest = self._buckets[0].clips[0]
        return sorted(
            batches,
            key=lambda batch: (epoch > 0 or longest not in batch, self._draw(epoch, "batch", self._ids[batch[0]])),
        )

    def _fixed_buckets(self, batch_frames: int) -> list[_Bucket]:
        """Return buckets of clips of similar length for at least BATCHES_PER_BUCKET batches, the same in every epoch.

        Cutting shuffled clips at a budget of frames would give a different number of batches in each epoch, and the
        length of the training would not be known. Here each bucket is cut by its longest clip, whatever the order
        within. The longest clips come first, so that the rest is of the shortest, of which a batch holds many; a rest
        that is too short for a bucket joins the last one.
        """
        rest = sorted(range(len(self._ids)), key=self._length, reverse=True)
        buckets: list[list[int]] = []
        while rest:
            size = batch_frames // self._frames[rest[0]] * BATCHES_PER_BUCKET
            if size == 0:
                raise self._too_long(rest[0], batch_frames)
            if buckets and len(rest) < size:
                buckets[-1] += rest
                break
            buckets.append(rest[:size])
            rest = rest[size:]
        return [_Bucket(clips, -(-len(clips) // (batch_frames // self._frames[clips[0]]))) for clips in buckets]

    def _too_long(self, clip: int, batch_frames: int) -> InputError:
        remedy = "raise batch_frames of this model's training section, or lower verify.max_duration_s"
        return InputError(self._ids[clip], f"{self._frames[clip]} frames", f"at most {batch_frames}", remedy)

    def _length(self, clip: int) -> tuple[int, str]:
        return self._frames[clip], self._ids[clip]

    def _shuffled(self, epoch: int, clips: Clips) -> list[int]:
        """Return the clips sorted by hashes: the same order on every machine and with every version of Python."""
        return sorted(clips, key=lambda clip: self._draw(epoch, self._ids[clip]))

    def _draw(self, *parts: object) -> bytes:
        return hashlib.sha256(repr((self._seed, self._split, *parts)).encode()).digest()


def _cut(clips: Clips, size: int) -> list[Clips]:
    """Cut into pieces of `size`, the last one smaller."""
    return [clips[first : first + size] for first in range(0, len(clips), size)]


def _divide(clips: Clips, parts: int) -> list[Clips]:
    """Cut into pieces whose sizes differ by at most one."""
    edges = [len(clips) * part // parts for part in range(parts + 1)]
    return [clips[first:end] for first, end in pairwise(edges)]
