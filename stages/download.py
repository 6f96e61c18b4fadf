"""`dtc download`: the corpus's archive → data/raw, its checksums verified."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.download import Advance, Fetched, archive_name, fetch
from stages import paths

PART = paths.RAW.with_name("raw.part")  # beside it: one file system, and DVC deletes data/raw
SHARE_BETWEEN_LINES = 0.1
SECONDS_BETWEEN_LINES = (1.0, 30.0)  # a tenth sooner than the first says nothing; after the second, a line in any case
LONGEST_IN_SECONDS_S = 120.0  # what takes longer is told in minutes
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))


def download(corpus: CorpusConfig, console: Console) -> None:
    """Put the archive that `corpus` names into data/raw; an archive that is already there and right is kept."""
    for source in (corpus.source, *corpus.mirrors):
        paths.require_apart(source)
    if prepared := prepared_format(corpus.format):
        with _progress(console) as advance:
            copied = prepared.fetch(corpus, paths.RAW, PART, advance)
        _print(console, f"{', '.join(corpus.checksums)} in {paths.RAW}{'' if copied else ' already'}, MD5s as declared")
        return
    archive = paths.RAW / archive_name(corpus)
    part = PART / archive.name
    with _progress(console) as advance:
        fetched = fetch(corpus, archive, part, advance, lambda said: _print(console, said))
    shutil.rmtree(part.parent, ignore_errors=True)
    for other in paths.RAW.iterdir():
        if other != archive:  # of another corpus
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    _report(fetched, corpus, console)


def _report(fetched: Fetched, corpus: CorpusConfig, console: Console) -> None:
    origin = "was there already" if fetched.reused else f"from {fetched.from_source}"
    checksums = f"MD5 {fetched.md5}, SHA-256 {fetched.sha256}"
    _print(console, f"{fetched.path}, {fetched.bytes:,} bytes, {checksums}, {origin}")
    if corpus.md5 is None:
        sha256 = f", and corpus.sha256 to {fetched.sha256}" if corpus.sha256 is None else ""
        _print(console, f"corpus.md5 is null; set it to {fetched.md5}{sha256}, to be told when the corpus changes")


def _print(console: Console, said: str) -> None:
    console.print(f"download: {said}", highlight=False)


@contextmanager
def _progress(console: Console) -> Iterator[Advance]:
    """Yields what tells how many bytes are there: a live bar on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        yield Lines(lambda line: _print(console, line))
        return
    columns = (TextColumn("download"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("download", total=None)

        def advance(done: int, total: int) -> None:
            # What lay there before, or was thrown away, tells nothing of how fast it goes.
            anew = not 0 < progress.tasks[0].completed <= done
            (progress.reset if anew else progress.update)(bar, total=total or None, completed=done)

        yield advance


class Lines:
    """Says `1.2 of 2.7 GB, 41.0 MB/s, 36 s left` every tenth of the way, or every half minute."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._start = self._last = (0.0, 0)  # time, bytes

    def __call__(self, done: int, total: int) -> None:
        """Called with the bytes so far, and in all (0: not known)."""
        now = self._clock()
        if (
            not 0 < self._last[1] <= done
        ):  # what lay there before, or was thrown away, tells nothing of how fast it goes
            self._start = self._last = (now, done)
        waited_s, come = now - self._last[0], done - self._last[1]
        shortest_s, longest_s = SECONDS_BETWEEN_LINES
        if waited_s >= longest_s or (waited_s >= shortest_s and 0 < total * SHARE_BETWEEN_LINES <= come):
            self._last = (now, done)
            self._say(self._line(done, total, (done - self._start[1]) / (now - self._start[0])))

    @staticmethod
    def _line(done: int, total: int, bytes_per_s: float) -> str:
        unit, name = next((unit, name) for unit, name in UNITS if max(done, total) >= unit)
        rate = f"{bytes_per_s / 1e6:.1f} MB/s"
        if not total:
            return f"{done / unit:.1f} {name}, {rate}"
        left_s = (total - done) / bytes_per_s
        left = f"{left_s:.0f} s" if left_s < LONGEST_IN_SECONDS_S else f"{left_s / 60:.0f} min"
        return f"{done / unit:.1f} of {total / unit:.1f} {name}, {rate}, {left} left"
