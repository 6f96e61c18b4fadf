"""Read batches for training from shards, in an order that is a function of seed and epoch.

Nothing needs to be saved to resume a run: an epoch can be read from any of its batches on.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import torch

from dtc.batch import Batch, Clip, collate
from dtc.errors import InputError
from dtc.seeding import seed_of
from dtc.text.lexicon import KeepsLetters
from pipeline.batching import Batching, Clips, Order
from pipeline.remote import open_features
from pipeline.shard_reader import MEMBERS, FeatureFolder, ShardReader
from pipeline.shards import IndexEntry
from pipeline.split import Split

BATCHES_AHEAD = 1  # that each worker reads beyond the next batch


class InTurn:
    """Batches of several loaders in turn; an epoch is one epoch of each. All must have equally many batches."""

    def __init__(self, loaders: Sequence[ShardLoader]) -> None:
        self._loaders = tuple(loaders)
        sizes = [loader.batches_per_epoch for loader in loaders]
        if len(set(sizes)) != 1:
            raise ValueError(f"epochs of {sizes} batches, expected equal ones")

    @property
    def batches_per_epoch(self) -> int:
        """Return the number of batches of all loaders together."""
        return sum(loader.batches_per_epoch for loader in self._loaders)

    def epoch(self, number: int, first: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches first, first + 1, … of an epoch."""
        with ExitStack() as stack:
            each = len(self._loaders)
            # How many batches of each loader come before `first`.
            starts = [-(-(first - place) // each) for place in range(each)]
            loaders = zip(self._loaders, starts, strict=True)
            epochs = [stack.enter_context(closing(loader.epoch(number, start))) for loader, start in loaders]
            for batch in range(first, self.batches_per_epoch):
                yield next(epochs[batch % each])


class FirstBatches:
    """The first batches of the first epoch of a loader, again in every epoch."""

    def __init__(self, batches: ShardLoader | InTurn, count: int) -> None:
        self._batches = batches
        self.batches_per_epoch = min(count, batches.batches_per_epoch)

    def epoch(self, number: int, first: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches first, first + 1, … of an epoch; all epochs are alike."""
        with closing(self._batches.epoch(0, first)) as batches:
            yield from islice(batches, self.batches_per_epoch - first)


class ShardLoader:
    """Batches of one split of a folder of features.

    Training batches are shuffled anew in each epoch; without a seed the order is always that of the shards. The order
    does not depend on the number of workers, so a run may be continued with another number.

    Args:
        location: the folder of the features, or its address (see `pipeline.remote`).
        split: which clips.
        batching: how the clips are put together to batches.
        workers: threads that read ahead; 0: none.
        pinned: whether batches are in memory from which a GPU copies faster; without a GPU this has no effect.
    """

    def __init__(
        self, location: str | Path, split: Split, batching: Batching, workers: int = 0, pinned: bool = False
    ) -> None:
        if workers < 0:
            raise ValueError(f"{workers} workers, expected 0 or more")
        self._features = open_features(location)
        self.entries = ClipEntries(self._features, split)
        if not self.entries:
            raise InputError(location, f"no clips in split {split}", "at least one", "change the split section")
        self.workers, self._seed = workers, batching.seed
        self._pinned = pinned and torch.cuda.is_available()
        self.order = Order(self.entries.ids, self.entries.frames, split, batching)

    @property
    def batches_per_epoch(self) -> int:
        """Return the number of batches, which is the same in every epoch."""
        return self.order.batches_per_epoch

    def epoch(self, number: int, first: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches first, first + 1, … of an epoch."""
        batches = self.order.batches(number)[first:]
        return (self._read_ahead if self.workers else self._read_inline)(number, batches)

    def read(self, entry: IndexEntry) -> Clip:
        """Read one clip by its entry in the index."""
        with ShardReader(self._features) as reader:
            return reader.read_clip(entry)

    def _read_inline(self, epoch: int, batches: Sequence[Clips]) -> Generator[Batch, None, None]:
        with ShardReader(self._features) as reader:
            for batch in batches:
                yield self._collate(reader, epoch, batch)

    def _read_ahead(self, epoch: int, batches: Sequence[Clips]) -> Generator[Batch, None, None]:
        """Yield the batches in order, whichever thread is first; an error is raised in its batch's place."""
        with ExitStack() as stack:
            free = SimpleQueue[ShardReader]()  # one for each thread
            for _ in range(self.workers):
                free.put(stack.enter_context(ShardReader(self._features)))
            pool = ThreadPoolExecutor(self.workers, "loader")
            stack.callback(pool.shutdown, cancel_futures=True)  # called first: no file is closed while a thread reads
            ahead = deque[Future[Batch]]()
            for batch in batches:
                ahead.append(pool.submit(self._collate_with, free, epoch, batch))
                if len(ahead) > BATCHES_AHEAD * self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _collate_with(self, free: SimpleQueue[ShardReader], epoch: int, batch: Clips) -> Batch:
        reader = free.get()
        try:
            return self._collate(reader, epoch, batch)
        finally:
            free.put(reader)

    def _collate(self, reader: ShardReader, epoch: int, batch: Clips) -> Batch:
        read = collate([reader.read_clip(self.entries[clip], self._letters_of(epoch, clip)) for clip in batch])
        return read.pinned() if self._pinned else read

    def _letters_of(self, epoch: int, clip: int) -> KeepsLetters | None:
        """Return which words of a clip stay letters in an epoch, by a hash: none where the clips are not shuffled."""
        if self._seed is None:
            return None
        drawn, most = (self._seed, epoch, self.entries.ids[clip]), self._features.lexicon.letters_share * 2**63
        return lambda place, phonemes: seed_of(repr(("letters", *drawn, place))) < most


class ClipEntries:
    """The entries of a split's clips, in the order of the shards, with the members that are read for training.

    They are kept in arrays, which take 130 bytes a clip; as objects they would take 1,500. A corpus of a million clips
    must fit beside a model.
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

    def __iter__(self) -> Iterator[IndexEntry]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, number: int) -> IndexEntry:
        number = range(len(self))[number]  # counts from the end where it is negative; IndexError beyond the last
        spans = iter(self._spans[2 * len(MEMBERS) * number : 2 * len(MEMBERS) * (number + 1)])
        members = dict(zip(MEMBERS, zip(spans, spans, strict=True), strict=True))
        shard = self._shards[self._shard_numbers[number]]
        return IndexEntry(self.ids[number], self._split, shard, self.frames[number], members)
