"""A folder of shards in the making: it appears when all is there, and finished shards outlive a kill."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dtc.errors import plural
from dtc.files import write_whole
from pipeline.features import MelStatistics
from pipeline.shards import CLIPS, INDEX, ShardIndex, is_finished, read_facts, write_index, write_places

MADE_FROM = "made_from.txt"  # the fingerprint of what half-done work was made from


class Unfinished:
    """Shards on their way to `folder`, in `part` beside it; emptied where they were made from something else."""

    def __init__(self, folder: Path, files: Sequence[str], made_from: str) -> None:
        self.folder, self.files = folder, tuple(files)
        self.part = part_of(folder)
        note = self.part / MADE_FROM
        if not note.is_file() or note.read_text(encoding="utf-8") != made_from:
            shutil.rmtree(self.part, ignore_errors=True)
            self.part.mkdir(parents=True)
            write_whole(note, made_from)

    def finished(self) -> frozenset[str]:
        """Shards that need not be made again."""
        return frozenset(file for file in self.files if is_finished(self.part, file))

    @contextmanager
    def telling_how_to_go_on(self, stage: str) -> Iterator[None]:
        """Has an interruption say what is kept."""
        try:
            yield
        except KeyboardInterrupt:
            shards = plural(len(self.files), "shard")
            line = f"{stage}: stopped with {len(self.finished())} of {shards} finished; run it again to go on"
            raise KeyboardInterrupt(line) from None

    def summed_up(self, n_mel_channels: int) -> dict[str, Any]:
        """What an index says of the shards, once all are there; the facts of one in memory at a time."""
        shards, alphabet, statistics = [], set[str](), MelStatistics.none(n_mel_channels)
        clips_md5 = write_places(self.part, (read_facts(self.part, file) for file in self.files))
        for file in self.files:
            facts = read_facts(self.part, file)
            shards.append(facts.shard)
            if facts.shard.split == "train":
                statistics.merge(facts.statistics())
                alphabet.update(facts.alphabet)
        mean, deviation = statistics.mean_and_deviation()
        return {
            "clips_md5": clips_md5, "alphabet": tuple(sorted(alphabet)), "mel_mean": tuple(mean.tolist()),
            "mel_deviation": tuple(deviation.tolist()), "shards": tuple(shards),
        }  # fmt: skip

    def finish(self, index: ShardIndex) -> None:
        """Put the whole in its place."""
        write_index(self.part, index)
        shutil.rmtree(self.folder, ignore_errors=True)  # may take long: until then all can be found again
        for file in self.part.iterdir():
            if file.name not in {*self.files, CLIPS, INDEX}:
                file.unlink()
        self.part.replace(self.folder)


def part_of(folder: Path) -> Path:
    """Where the shards of a folder grow."""
    return folder.with_name(folder.name + ".part")
