"""`dtc download`: the corpus's archive → data/raw, its MD5 checked."""

from __future__ import annotations

import shutil

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pipeline.corpora import CorpusConfig
from pipeline.download import archive_name, fetch
from stages import paths


def download(corpus: CorpusConfig, console: Console) -> None:
    """Put the archive that `corpus` names into data/raw; an archive that is already there and right is kept."""
    archive = paths.RAW / archive_name(corpus)
    part = paths.RAW.with_name("raw.part") / archive.name  # beside it: one file system, and DVC deletes data/raw
    columns = (TextColumn("download"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("download", total=None)
        md5 = fetch(
            corpus, archive, part, lambda done, total: progress.update(bar, completed=done, total=total or None)
        )
    shutil.rmtree(part.parent, ignore_errors=True)
    for other in paths.RAW.iterdir():
        if other != archive:  # of another corpus
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    console.print(f"download: {archive}, {archive.stat().st_size:,} bytes, MD5 {md5}", highlight=False)
    if corpus.md5 is None:
        console.print(
            f"download: corpus.md5 is null; set it to {md5} to be told when the corpus changes", highlight=False
        )
