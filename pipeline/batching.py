"""Which clips make which batch: a function of (seed, epoch, world size), so nothing to save and anything to resume.

A step is one batch for every rank. It is cut from clips of similar length, so no rank waits for another's long clips.
Every rank has the same number of batches, the same in every epoch; every clip is in exactly one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from dtc.errors import InputError

# Clips of similar length share a batch: sorted within this many batches' worth, so that the order stays random.
BATCHES_PER_BUCKET = 4

Clips = Sequence[int]  # by their numbers in the index


class _Bucket(NamedTuple):
    clips: Clips  # the longest first
    steps: int


class Order:
    """Order of the clips `ids`, of `frames` each.

    Batches hold `batch_size` clips, or as many as make (frames of the longest) × (clips) at most `batch_frames`.
    """

    def __init__(
        self, ids: Sequence[str], frames: Sequence[int], split: str, batch_size: int | None, batch_frames: int | None,
        seed: int | None, world_size: int,
    ) -> None:  # fmt: skip
        self._ids, self._frames, self._split, self._seed = ids, frames, split, seed
        self._world_size = world_size
        self._step_clips = (batch_size or 0) * world_size
        self._buckets = self._fixed_buckets(batch_frames) if batch_frames else []
        self.steps_per_epoch = (
            sum(bucket.steps for bucket in self._buckets)
            if batch_frames
            else len(_cut(range(len(ids)), self._step_clips, world_size))
        )

    def batches(self, epoch: int, rank: int) -> list[Clips]:
        """The batches of a rank."""
        steps = self._steps_by_frames(epoch) if self._buckets else self._steps_by_count(epoch)
        return [_divide(step, self._world_size)[rank] for step in steps]

    def _steps_by_count(self, epoch: int) -> list[Clips]:
        """Buckets are drawn anew each epoch. Without a seed the order is the shards'."""
        everyone = range(len(self._ids))
        if self._seed is None:
            return _cut(everyone, self._step_clips, self._world_size)
        buckets = _cut(self._shuffled(epoch, everyone), self._step_clips * BATCHES_PER_BUCKET, self._world_size)
        steps = [
            step
            for bucket in buckets
            for step in _cut(sorted(bucket, key=self._length), self._step_clips, self._world_size)
        ]
        return sorted(steps, key=lambda step: self._draw(epoch, "batch", self._ids[step[0]]))

    def _steps_by_frames(self, epoch: int) -> list[Clips]:
        """Clips are shuffled within their buckets, then the steps among one another. Without a seed the longest first.

        So are they in the first epoch's first step: what does not fit into memory shows at once, not after an hour.
        """
        if self._seed is None:
            return [step for clips, steps in self._buckets for step in _divide(clips, steps)]
        steps = [
            sorted(step, key=self._length)
            for bucket in self._buckets
            for step in _divide(self._shuffled(epoch, bucket.clips), bucket.steps)
        ]
        longest = self._buckets[0].clips[0]
        return sorted(
            steps,
            key=lambda step: (epoch > 0 or longest not in step, self._draw(epoch, "batch", self._ids[step[0]])),
        )

    def _fixed_buckets(self, batch_frames: int) -> list[_Bucket]:
        """Neighbours by length, at least BATCHES_PER_BUCKET batches' worth; the same in every epoch.

        Cutting shuffled clips at a budget would make now more batches, now fewer, and the length of the training would
        not be known. Here each bucket is cut by its longest clip, whatever the order within. From the longest down, so
        that a rest is of the shortest clips, of which a batch holds many: too short for a bucket, it joins the last.
        """
        rest = sorted(range(len(self._ids)), key=self._length, reverse=True)
        buckets: list[list[int]] = []
        while rest:
            size = batch_frames // self._frames[rest[0]] * self._world_size * BATCHES_PER_BUCKET
            if size == 0:
                raise self._too_long(rest[0], batch_frames)
            if buckets and len(rest) < size:
                buckets[-1] += rest
                break
            buckets.append(rest[:size])
            rest = rest[size:]
        return [self._bucket(clips, batch_frames) for clips in buckets]

    def _bucket(self, clips: list[int], batch_frames: int) -> _Bucket:
        longest = self._frames[clips[0]]
        steps = -(-len(clips) // (batch_frames // longest * self._world_size))
        # Batches of two clips or more always share out; batches of one do only where the ranks divide them.
        if len(clips) < steps * self._world_size:
            found = f"{len(clips)} clips of up to {longest} frames for {self._world_size} ranks, one at a time"
            raise InputError(
                "batch_frames", found, f"at least {2 * longest}", "raise it, or change the number of ranks"
            )
        return _Bucket(clips, steps)

    def _too_long(self, clip: int, batch_frames: int) -> InputError:
        remedy = "raise batch_frames of this model's training section, or lower verify.max_duration_s"
        return InputError(self._ids[clip], f"{self._frames[clip]} frames", f"at most {batch_frames}", remedy)

    def _length(self, clip: int) -> tuple[int, str]:
        return self._frames[clip], self._ids[clip]

    def _shuffled(self, epoch: int, clips: Clips) -> list[int]:
        """Sorted by hashes: the same on every machine and version."""
        return sorted(clips, key=lambda clip: self._draw(epoch, self._ids[clip]))

    def _draw(self, *parts: object) -> bytes:
        return hashlib.sha256(repr((self._seed, self._split, *parts)).encode()).digest()


def _cut(clips: Clips, size: int, least: int) -> list[Clips]:
    """Pieces of `size`, the last smaller; fewer than `least` join the piece before."""
    edges = [*range(0, len(clips), size), len(clips)]
    if len(edges) > 2 and edges[-1] - edges[-2] < least:
        del edges[-2]
    return [clips[first:end] for first, end in pairwise(edges)]


def _divide(clips: Clips, parts: int) -> list[Clips]:
    """Neighbouring pieces whose sizes differ by at most one."""
    edges = [len(clips) * part // parts for part in range(parts + 1)]
    return [clips[first:end] for first, end in pairwise(edges)]
