"""Make a folder of features: it appears when it is complete, and finished shards are kept beside it until then."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from dtc.errors import plural
from dtc.files import remove_folder, replace_folder, require_only_ours, settle_replacement
from dtc.text.mark_pauses import Pause
from pipeline.corpus_pauses import median_pauses
from pipeline.features import MelStatistics
from pipeline.part_folder import MOVE_AWAY, discard_part, part_of, start_part
from pipeline.shard_writer import BuiltShard, is_finished, read_facts, write_entries
from pipeline.shards import CLIPS, INDEX, SHARD_NAME, ShardIndex, write_index

# The files of a folder of features; none.txt is there instead of predicted mels if none are wanted.
OURS = re.compile(rf"{SHARD_NAME.strip('^$')}|{re.escape(INDEX)}|{re.escape(CLIPS)}|none\.txt")


class Unfinished:
    """The shards `files` that will become `folder`. Shards that were made from something else are deleted.

    A process that is killed at any point is continued by the next one: the facts of the finished shards stay in the
    part folder until `discard` is called, also when the shards themselves are in their place.

    Raises InputError where the folder, or the part folder beside it, holds something that dtc did not write.
    """

    def __init__(self, folder: Path, files: Sequence[str], made_from: str) -> None:
        self.folder, self.files, self.part = folder, tuple(files), part_of(folder)
        settle_replacement(folder)
        require_only_ours(self.folder, _is_ours, MOVE_AWAY)
        self.shards = start_part(self.part, made_from)
        if not self.shards.exists():  # a run was killed when its shards were in place, and before it called discard
            if folder.exists():
                folder.replace(self.shards)
            else:
                self.shards.mkdir()

    def store(self, shard: BuiltShard) -> None:
        """Keep a shard until all are finished."""
        shard.store(self.shards, self.part)

    def finished(self) -> frozenset[str]:
        """Return the shards that need not be made again."""
        return frozenset(file for file in self.files if is_finished(self.shards, self.part, file))

    @contextmanager
    def with_counted_interrupts(self, stage: str) -> Iterator[None]:
        """Raise a KeyboardInterrupt again, with the number of finished shards in its message."""
        try:
            yield
        except KeyboardInterrupt:
            shards = plural(len(self.files), "shard")
            line = f"{stage}: stopped with {len(self.finished())} of {shards} finished"
            raise KeyboardInterrupt(line) from None

    def summed_up(self, n_mel_channels: int) -> dict[str, Any]:
        """Return the fields of the index that describe all shards.

        The facts of one shard and the pauses of all are in memory at a time.
        """
        shards, statistics, silences_s = [], MelStatistics.none(n_mel_channels), defaultdict[Pause, list[float]](list)
        clips_md5 = write_entries(self.shards, (read_facts(self.part, file) for file in self.files))
        for file in self.files:
            facts = read_facts(self.part, file)
            shards.append(facts.shard)
            if facts.shard.split == "train":
                statistics.merge(facts.statistics())
                for pause, found in facts.silences_s.items():
                    silences_s[pause] += found
        mean, deviation = statistics.mean_and_deviation()
        return {
            "clips_md5": clips_md5,
            "mel_mean": tuple(mean.tolist()),
            "mel_deviation": tuple(deviation.tolist()),
            "pauses": median_pauses(silences_s),
            "shards": tuple(shards),
        }

    def put_in_place(self, index: ShardIndex) -> None:
        """Write the index, and replace the folder. Then note elsewhere that it is finished, and call `discard`."""
        write_index(self.shards, index)
        for path in self.shards.iterdir():
            if path.name not in {*self.files, CLIPS, INDEX}:
                path.unlink()  # what a worker that was killed had begun to write
        require_only_ours(self.folder, _is_ours, MOVE_AWAY)
        replace_folder(self.shards, self.folder)

    def discard(self) -> None:
        """Delete the part folder."""
        discard_part(self.part)


def remove_features(folder: Path) -> None:
    """Delete a folder of features and the part folder beside it. Raises InputError where they hold anything else."""
    discard_part(part_of(folder))
    remove_folder(folder, _is_ours, MOVE_AWAY)


def _is_ours(path: PurePosixPath) -> bool:
    return OURS.fullmatch(str(path)) is not None
