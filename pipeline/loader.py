"""Shards → batches, in an order that is a function of (seed, epoch, world size): little to save, anything to resume."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue

from dtc.batch import Batch, Clip, collate
from dtc.errors import InputError
from pipeline.batching import Clips, Order
from pipeline.reader import Place, Places, Reader
from pipeline.remote import open_features
from pipeline.shards import ClipPlace, read_places
from pipeline.split import Split

BATCHES_AHEAD = 1  # of each worker, beyond the one that is asked for next


class InTurn:
    """Batches of several loaders of equally many, in turn: an epoch is one of each."""

    def __init__(self, loaders: Sequence[ShardLoader]) -> None:
        self._loaders = tuple(loaders)
        sizes = [loader.batches_per_epoch for loader in loaders]
        if len(set(sizes)) != 1:
            raise ValueError(f"epochs of {sizes} batches, expected equal ones")

    @property
    def batches_per_epoch(self) -> int:
        """Of all loaders together."""
        return sum(loader.batches_per_epoch for loader in self._loaders)

    def epoch(self, number: int, first: int = 0) -> Generator[Batch, None, None]:
        """Batches first, first + 1, … of an epoch."""
        with ExitStack() as stack:
            each = len(self._loaders)
            starts = [-(-(first - place) // each) for place in range(each)]  # of each loader, what was given before
            loaders = zip(self._loaders, starts, strict=True)
            epochs = [stack.enter_context(closing(loader.epoch(number, start))) for loader, start in loaders]
            for batch in range(first, self.batches_per_epoch):
                yield next(epochs[batch % each])


class ShardLoader:
    """Batches of one split. Training order is shuffled anew each epoch; without a seed the order is always the same.

    The order does not depend on the number of workers, so a run may go on with another one.

    Args:
        location: folder of the features, or its http(s) URL.
        split: which clips.
        batch_size: clips in a batch (of one rank); or None, and
        batch_frames: at most (frames of the longest clip) × (clips).
        seed: of the order; None: unshuffled.
        rank: whose batches; the ranks together see every clip once an epoch.
        world_size: number of ranks.
        workers: threads that read ahead; 0: none.
    """

    def __init__(
        self, location: str | Path, split: Split, batch_size: int | None, batch_frames: int | None = None,
        seed: int | None = None, rank: int = 0, world_size: int = 1, workers: int = 0,
    ) -> None:  # fmt: skip
        if (batch_size is None) == (batch_frames is None) or (batch_size or batch_frames or 0) < 1:
            raise ValueError(f"batch_size {batch_size} and batch_frames {batch_frames}, expected one of them, positive")
        if not 0 <= rank < world_size or workers < 0:
            raise ValueError(f"rank {rank} of {world_size}, {workers} workers")
        self.folder, index = open_features(location, split)
        shards = [shard for shard in index.shards if shard.split == split]
        self.places = Places(read_places(self.folder, index, split), self.folder, shards, index.remedy)
        if not self.places:
            raise InputError(location, f"no clips in split {split}", "at least one", "change the split section")
        if len(self.places) < world_size:
            found = f"{len(self.places)} clips in split {split}"
            raise InputError(location, found, f"one for each of {world_size} ranks", "use fewer ranks")
        self.rank, self.workers = rank, workers
        self._n_mel_channels, self._remedy = index.audio.n_mel_channels, index.remedy
        self._order = Order(self.places.ids, self.places.frames, split, batch_size, batch_frames, seed, world_size)
        self._identity: dict[str, int | str] = {
            "features": index.fingerprint, "split": split, "seed": "none" if seed is None else seed,
            "batches": f"{batch_size} clips" if batch_size else f"{batch_frames} frames", "world_size": world_size,
        }  # fmt: skip
        self._epoch = self._batch = 0

    @property
    def batches_per_epoch(self) -> int:
        """Of this rank: the same for every epoch, and for every rank."""
        return self._order.steps_per_epoch

    def epoch(self, number: int, first: int = 0) -> Generator[Batch, None, None]:
        """Batches first, first + 1, … of an epoch."""
        batches = self._order.batches(number, self.rank)[first:]
        return self._read_ahead(batches) if self.workers else self._read_inline(batches)

    def plan(self, epoch: int) -> list[list[Place]]:
        """Which clips make which batch."""
        return [[self.places[clip] for clip in batch] for batch in self._order.batches(epoch, self.rank)]

    def read(self, place: ClipPlace | Place) -> Clip:
        """One clip, by its place alone."""
        with closing(self._reader()) as reader:
            return reader.read(place)

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the epoch that the position is in; called again, the next epoch."""
        epoch, first = self._epoch, self._batch
        with closing(self.epoch(epoch, first)) as batches:
            for done, batch in enumerate(batches, first + 1):
                # Before the batch is handed out: a state saved once it was used begins with the one behind it.
                self._epoch, self._batch = (epoch, done) if done < self.batches_per_epoch else (epoch + 1, 0)
                yield batch

    def state_dict(self) -> dict[str, int | str]:
        """The position, of every rank alike, and what it is a position in."""
        return {"epoch": self._epoch, "batch": self._batch, **self._identity}

    def load_state_dict(self, state: Mapping[str, int | str]) -> None:
        """Go to a position. Raises InputError for one in other data, in another order, or in none."""
        differing = [key for key, value in self._identity.items() if state.get(key) != value]
        if differing:
            found, expected = (
                ", ".join(f"{key} {values.get(key)}" for key in differing) for values in (state, self._identity)
            )
            raise InputError("position in the data", found, expected, "start this run anew, or give it what it had")
        epoch, batch = state.get("epoch"), state.get("batch")
        if not (
            isinstance(epoch, int) and isinstance(batch, int) and epoch >= 0 and 0 <= batch < self.batches_per_epoch
        ):
            expected = f"a batch below {self.batches_per_epoch}"
            raise InputError("position in the data", f"epoch {epoch}, batch {batch}", expected, "start this run anew")
        self._epoch, self._batch = epoch, batch

    def _reader(self) -> Reader:
        return Reader(self.folder, self._n_mel_channels, self._remedy)

    def _read_inline(self, batches: Sequence[Clips]) -> Generator[Batch, None, None]:
        with closing(self._reader()) as reader:
            for batch in batches:
                yield self._collate(reader, batch)

    def _read_ahead(self, batches: Sequence[Clips]) -> Generator[Batch, None, None]:
        """In order, whichever thread is first; a fault comes in its batch's place. Closing ends the threads."""
        with ExitStack() as stack:
            free = SimpleQueue[Reader]()
            for _ in range(self.workers):
                free.put(stack.enter_context(closing(self._reader())))
            pool = ThreadPoolExecutor(self.workers, "loader")
            stack.callback(pool.shutdown, cancel_futures=True)  # called first: no file is closed under a thread
            ahead = deque[Future[Batch]]()
            for batch in batches:
                ahead.append(pool.submit(self._collate_with, free, batch))
                if len(ahead) > BATCHES_AHEAD * self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _collate_with(self, free: SimpleQueue[Reader], batch: Clips) -> Batch:
        """With any reader that is free: there is one for each thread."""
        reader = free.get()
        try:
            return self._collate(reader, batch)
        finally:
            free.put(reader)

    def _collate(self, reader: Reader, batch: Clips) -> Batch:
        return collate([reader.read(self.places[clip]) for clip in batch])
