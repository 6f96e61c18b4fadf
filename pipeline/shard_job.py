"""Divide the clips of a corpus into shards, and build the shard of each part in a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

from dtc.errors import InputError
from pipeline.archives import read_member_at, read_members
from pipeline.feature_recipe import FeatureRecipe
from pipeline.features import Features
from pipeline.manifest import ManifestRow
from pipeline.shard_folder import Unfinished
from pipeline.shard_writer import BuiltShard, build_shard
from pipeline.split import SPLITS, Split


@dataclass(frozen=True)
class ShardJob:
    """The clips of one shard, with the bytes of their files, or None where the worker reads these by their place."""

    file: str
    split: Split
    clips: tuple[tuple[ManifestRow, bytes | None], ...]


@dataclass(frozen=True)
class ShardMaker:
    """Computes the features of a job's clips, and builds their shard."""

    archive: Path
    recipe: FeatureRecipe
    computes: ClassVar[bool] = True  # False: the features are there already, and no other machine is needed

    def clips(self, manifest: Iterable[ManifestRow], same_disk: bool) -> Iterator[tuple[ManifestRow, bytes | None]]:
        """Yield the clips of the manifest: with their bytes where a worker could not read them in the archive."""
        rows = iter(manifest)
        first = list(islice(rows, 1))
        in_place = same_disk and all(row.first_byte is not None for row in first)
        return without_content(chain(first, rows)) if in_place else contents_of(self.archive, chain(first, rows))

    def build(self, job: ShardJob) -> BuiltShard:
        """Build the shard in memory."""
        return build_shard(job.file, job.split, self._features(job), self.recipe.audio)

    def _features(self, job: ShardJob) -> Iterator[Features]:
        for row, content in job.clips:
            if content is None:
                assert row.first_byte is not None
                content = read_member_at(self.archive, row.first_byte, row.size_bytes)
            yield self.recipe.compute(row, content)


def store_shard(maker: ShardMaker, unfinished: Unfinished, job: ShardJob) -> int:
    """Build the shard of a job and store it, where a worker can write its folder. Return the number of clips."""
    unfinished.store(maker.build(job))
    return len(job.clips)


def shard_files(splits: Iterable[Split], clips_per_shard: int) -> list[str]:
    """Return the names of all shards of clips with these splits, in the index's order."""
    clips = Counter(splits)
    return [_file(split, number) for split in SPLITS for number in range(-(-clips[split] // clips_per_shard))]


def _file(split: Split, number: int) -> str:
    return f"{split}-{number:05d}.tar"


def plan_jobs(
    clips: Iterable[tuple[ManifestRow, bytes | None]],
    splits: Sequence[Split],
    clips_per_shard: int,
    finished: frozenset[str],
) -> Iterator[ShardJob]:
    """Yield the unfinished jobs, each after its last clip: one incomplete shard of each split is in memory."""
    gathered: dict[Split, list[tuple[ManifestRow, bytes | None]]] = {split: [] for split in SPLITS}
    shards = Counter[Split]()
    for (row, content), split in zip(clips, splits, strict=True):
        file = _file(split, shards[split])
        gathered[split].append((row, None if file in finished else content))
        if len(gathered[split]) == clips_per_shard:
            shards[split] += 1
            full, gathered[split] = gathered[split], []
            if file not in finished:
                yield ShardJob(file, split, tuple(full))
    for split, rest in gathered.items():
        if rest and (file := _file(split, shards[split])) not in finished:
            yield ShardJob(file, split, tuple(rest))


def without_content(manifest: Iterable[ManifestRow]) -> Iterator[tuple[ManifestRow, None]]:
    """Yield the clips without their bytes: those of a plain tar, in which they can be read by their place."""
    return ((row, None) for row in manifest)


def contents_of(archive: Path, manifest: Iterable[ManifestRow]) -> Iterator[tuple[ManifestRow, bytes]]:
    """Yield the clips with their bytes, read as a stream; manifest and archive are in the same order.

    Raises InputError where the archive is not the one that the manifest was made from.
    """
    rows = iter(manifest)
    row = next(rows, None)
    for member in read_members(archive):
        if row is None:
            return
        if member.name == row.member:
            yield row, member.content
            row = next(rows, None)
    if row is not None:
        raise InputError(archive, f"lacks {row.member}", "the clips of the manifest", "run `dtc verify` again")
