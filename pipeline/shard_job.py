"""The feature stage's work, cut into shards: which clips make which shard, and how one is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtc.errors import InputError
from pipeline.archives import read_member_at, read_members
from pipeline.features import FeatureRecipe, Features
from pipeline.manifest import ManifestRow
from pipeline.shards import BuiltShard, build_shard
from pipeline.split import SPLITS, Split


@dataclass(frozen=True)
class ShardJob:
    """Clips of one shard. Without content, who does the job reads it from the archive by its place."""

    file: str
    split: Split
    clips: tuple[tuple[ManifestRow, bytes | None], ...]


@dataclass(frozen=True)
class ShardMaker:
    """Does a job: features of its clips, and the shard of them."""

    archive: Path
    recipe: FeatureRecipe

    def build(self, job: ShardJob) -> BuiltShard:
        """The shard, in memory."""
        return build_shard(job.file, job.split, self._features(job), self.recipe.audio.n_mel_channels)

    def _features(self, job: ShardJob) -> Iterator[Features]:
        for row, content in job.clips:
            if content is None:
                assert row.first_byte is not None
                content = read_member_at(self.archive, row.first_byte, row.size_bytes)
            yield self.recipe.compute(row, content)


@dataclass(frozen=True)
class ShardStorer:
    """Does a job where the folder of the shards can be written."""

    maker: ShardMaker
    folder: Path

    def __call__(self, job: ShardJob) -> int:
        """Number of clips stored."""
        self.maker.build(job).store(self.folder)
        return len(job.clips)


def shard_files(splits: Iterable[Split], clips_per_shard: int) -> list[str]:
    """Names of all shards of clips with these splits, in the index's order."""
    clips = Counter(splits)
    return [_file(split, number) for split in SPLITS for number in range(-(-clips[split] // clips_per_shard))]


def _file(split: Split, number: int) -> str:
    return f"{split}-{number:05d}.tar"


def plan_jobs(
    clips: Iterable[tuple[ManifestRow, bytes | None]], splits: Sequence[Split], clips_per_shard: int,
    finished: frozenset[str],
) -> Iterator[ShardJob]:  # fmt: skip
    """The jobs that are not finished, each as soon as its last clip has come: one unfilled shard a split in memory."""
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


def places_of(manifest: Iterable[ManifestRow]) -> Iterator[tuple[ManifestRow, None]]:
    """The clips without their bytes, for a plain tar, where whoever wants them can find them."""
    return ((row, None) for row in manifest)


def contents_of(archive: Path, manifest: Iterable[ManifestRow]) -> Iterator[tuple[ManifestRow, bytes]]:
    """The clips with their bytes, read as a stream; both are in the archive's order.

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
