"""The index entries of many clips, in little memory: a corpus of a million clips must fit beside a model."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import overload

from pipeline.shard_reader import MEMBERS, FeatureFolder
from pipeline.shards import IndexEntry
from pipeline.split import Split


class ClipEntries(Sequence[IndexEntry]):
    """The entries of a split's clips, in the order of the shards, with the members that are read for training.

    They are kept in arrays, which take 130 bytes a clip; as objects they would take 1,500.
    """

    def __init__(self, features: FeatureFolder, split: Split) -> None:
        self.ids: list[str] = []
        self.frames = array("q")
        self._split = split
        self._shards = [shard.file for shard in features.index.of_split(split)]
        self._shard_numbers, self._spans = array("q"), array("q")
        numbers = {shard: number for number, shard in enumerate(self._shards)}
        for entry in features.entries(split):
            self.ids.append(entry.id)
            self.frames.append(entry.frames)
            self._shard_numbers.append(numbers[entry.shard])
            for name in MEMBERS:
                self._spans.extend(entry.members[name])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, number: int) -> IndexEntry: ...
    @overload
    def __getitem__(self, number: slice) -> list[IndexEntry]: ...
    def __getitem__(self, number: int | slice) -> IndexEntry | list[IndexEntry]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        number = range(len(self))[number]  # counts from the end where it is negative; IndexError beyond the last
        spans = iter(self._spans[2 * len(MEMBERS) * number : 2 * len(MEMBERS) * (number + 1)])
        members = dict(zip(MEMBERS, zip(spans, spans, strict=True), strict=True))
        shard = self._shards[self._shard_numbers[number]]
        return IndexEntry(self.ids[number], self._split, shard, self.frames[number], members)
