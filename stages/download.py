"""`dtc download`: fetch the corpus's archive into data/archive, and verify its checksums."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from dtc.files import locked
from dtc.provenance import md5_of
from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.corpora.base import PreparedFormat
from pipeline.download import Advance, archive_name, existing_archive, fetch_part
from stages import paths
from stages.archive_folder import Note, Placed

SHARE_BETWEEN_LINES = 0.1
SECONDS_BETWEEN_LINES = (1.0, 30.0)  # the least time between two lines, and the most
LONGEST_IN_SECONDS_S = 120.0  # longer times are shown in minutes
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))


def download(corpus: CorpusConfig, console: Console) -> None:
    """Put the archive, or the files, that `corpus` names into data/archive. Files that are right already are kept.

    Deletes what an earlier `dtc download` put there, and nothing else. Raises InputError, before anything is fetched,
    where other files are there, and for a source inside or around a folder that dtc writes.
    """
    for source in (corpus.source, *corpus.mirrors):
        paths.require_apart(source)
    with locked(paths.ARCHIVE):
        if prepared := prepared_format(corpus.format):
            _download_prepared(prepared, corpus, console)
        else:
            _download_archive(corpus, console)


def _download_archive(corpus: CorpusConfig, console: Console) -> None:
    archive, note = paths.ARCHIVE / archive_name(corpus), Note.read()
    sums, origin = existing_archive(corpus, archive), "was there already"
    note.require_no_others(*[archive.name] * (sums is not None))
    if sums is None:
        part = paths.ARCHIVE_PART / archive.name
        note = note.begin(part)
        with _progress(console) as advance:
            growing, source = fetch_part(corpus, part, advance, lambda line: _print(console, line))
        sums, origin = growing.sums, f"from {source}"
        note = note.add(Placed(name=archive.name, bytes=sums.bytes, md5=sums.md5))
        growing.move(archive)
    note.tidy(Placed(name=archive.name, bytes=sums.bytes, md5=sums.md5))
    _print(console, f"{archive}, {sums.bytes:,} bytes, MD5 {sums.md5}, SHA-256 {sums.sha256}, {origin}")
    if corpus.md5 is None:
        sha256 = f", and corpus.sha256 to {sums.sha256}" if corpus.sha256 is None else ""
        _print(console, f"corpus.md5 is null; set it to {sums.md5}{sha256}, to be told when the corpus changes")


def _download_prepared(prepared: PreparedFormat, corpus: CorpusConfig, console: Console) -> None:
    files, note = prepared.files(corpus), Note.read()
    there = {name: paths.ARCHIVE / name for name in files if (paths.ARCHIVE / name).is_file()}
    right = {name for name, path in there.items() if md5_of(path) == files[name]}
    note.require_no_others(*right)
    if missing := files.keys() - right:
        for name in files:
            note = note.begin(paths.ARCHIVE_PART / name)
        with _progress(console) as advance:
            prepared.fetch(corpus, paths.ARCHIVE_PART, advance)
        note = note.add(*(_placed(paths.ARCHIVE_PART / name, md5) for name, md5 in files.items()))
        paths.ARCHIVE.mkdir(parents=True, exist_ok=True)
        for name in files:
            (paths.ARCHIVE_PART / name).replace(paths.ARCHIVE / name)
    note.tidy(*(_placed(paths.ARCHIVE / name, md5) for name, md5 in files.items()))
    _print(console, f"{', '.join(files)} in {paths.ARCHIVE}{'' if missing else ' already'}, MD5s as declared")


def _placed(path: Path, md5: str) -> Placed:
    return Placed(name=path.name, bytes=path.stat().st_size, md5=md5)


def _print(console: Console, message: str) -> None:
    console.print(f"download: {message}")


@contextmanager
def _progress(console: Console) -> Iterator[Advance]:
    """Yield the function that is called with the bytes so far: a live bar on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield Lines(lambda line: _print(console, line))
        return
    columns = (TextColumn("download"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("download", total=None)

        def advance(done: int, total: int) -> None:
            # Bytes of an earlier run, or bytes that were discarded, do not count for the speed.
            anew = not 0 < progress.tasks[0].completed <= done
            (progress.reset if anew else progress.update)(bar, total=total or None, completed=done)

        yield advance


class Lines:
    """Print `1.2 of 2.7 GB, 41.0 MB/s, 36 s left` after every tenth of the bytes, or every half minute."""

    def __init__(self, print_line: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._print, self._clock = print_line, clock
        self._start = self._last = (0.0, 0)  # time, bytes

    def __call__(self, done: int, total: int) -> None:
        """Take the bytes so far and in all (0: not known), and print a line where one is due."""
        now = self._clock()
        if not 0 < self._last[1] <= done:  # an earlier run's bytes, or discarded ones: they do not count for the speed
            self._start = self._last = (now, done)
        waited_s, arrived = now - self._last[0], done - self._last[1]
        shortest_s, longest_s = SECONDS_BETWEEN_LINES
        if waited_s >= longest_s or (waited_s >= shortest_s and 0 < total * SHARE_BETWEEN_LINES <= arrived):
            self._last = (now, done)
            self._print(self._line(done, total, (done - self._start[1]) / (now - self._start[0])))

    @staticmethod
    def _line(done: int, total: int, bytes_per_s: float) -> str:
        unit, name = next((unit, name) for unit, name in UNITS if max(done, total) >= unit)
        per_s, of_rate = UNITS[1] if bytes_per_s >= 1e5 else UNITS[2]
        rate = f"{bytes_per_s / per_s:.1f} {of_rate}/s"
        if not total:
            return f"{done / unit:.1f} {name}, {rate}"
        left_s = (total - done) / bytes_per_s
        left = f"{left_s:.0f} s" if left_s < LONGEST_IN_SECONDS_S else f"{left_s / 60:.0f} min"
        return f"{done / unit:.1f} of {total / unit:.1f} {name}, {rate}, {left} left"
