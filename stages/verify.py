"""`dtc verify`: check data/archive and write data/manifest.jsonl, or name every fault by file and line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from dtc.errors import InputError, plural
from dtc.files import write_whole
from dtc.provenance import Checksums
from pipeline.config import VerifyConfig
from pipeline.corpora import CorpusConfig, prepared_format
from pipeline.corpora.base import Fault
from pipeline.manifest import write_manifest
from pipeline.verify import CorpusFindings, CorpusSettings, verify_corpus
from stages import paths
from stages.corpus_summary import Summary, name_faults, summarise
from stages.progress import SECONDS_BETWEEN_LINES


def verify(settings: CorpusSettings, console: Console) -> None:
    """Check the archive's checksums again, then every clip and every row; write the manifest and the summary."""
    paths.MANIFEST.unlink(missing_ok=True)  # of an earlier run, which `dtc preprocess` must not use
    corpus = settings.corpus
    if prepared_format(corpus.format):
        source = paths.ARCHIVE
    else:
        source = paths.corpus_archive()
        _check_sums(source, corpus)
    with clip_counter("verify", console) as advance:
        found = verify_corpus(source, settings, advance)
    _refuse(found, settings.verify, console)
    summary = summarise(found, found.kept)
    write_whole(paths.SKIPPED, "".join(_skipped(fault) + "\n" for fault in found.faults))
    write_whole(paths.CORPUS_SUMMARY, summary.markdown(f"Corpus {corpus.name}"))
    write_whole(paths.CORPUS_METRICS, json.dumps(summary.figures, indent=2) + "\n")
    write_manifest(found.rows, paths.MANIFEST)
    _report(summary, found, console)


def _check_sums(archive: Path, corpus: CorpusConfig) -> None:
    if corpus.md5 is None and corpus.sha256 is None:
        return
    sums = Checksums.of(archive)
    names = {"md5": ("MD5", sums.md5, corpus.md5), "sha256": ("SHA-256", sums.sha256, corpus.sha256)}
    for key, (name, found, expected) in names.items():
        if expected is not None and found != expected:
            remedy = f"run `dtc download` again, or set corpus.{key} to null where it is unknown"
            raise InputError(archive, f"{name} {found}", expected, remedy)


def _refuse(found: CorpusFindings, config: VerifyConfig, console: Console) -> None:
    """Raise the first fault that is not to be skipped. Where there are several, print a few of each kind before."""
    faults = [fault for fault in found.faults if fault.kind == "corpus" or config.faulty_clips == "refuse"]
    if not found.rows and not faults:
        faults = found.faults
    if not faults:
        return
    for line in name_faults(faults) if len(faults) > 1 else ():
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    raise faults[0].error


def _skipped(fault: Fault) -> str:
    return json.dumps({"id": fault.id, "member": fault.member, "kind": fault.kind, "reason": str(fault.error)})


def _report(summary: Summary, found: CorpusFindings, console: Console) -> None:
    summary.show(console)
    line = f"verify: {plural(len(found.rows), 'clip')} in {paths.MANIFEST}"
    if found.faults:
        faults = plural(len(found.faults), "fault")
        line += f"; {found.left_out:,} left out (verify.faulty_clips: skip), {faults} listed in {paths.SKIPPED}"
    console.print(line, highlight=False)


@contextmanager
def clip_counter(title: str, console: Console) -> Iterator[Callable[[str], None]]:
    """Yield `advance(clip)`, which counts clips: in a live line on a terminal, in a line now and then elsewhere.

    The number of all clips is not known, as an archive is read as a stream.
    """
    clips, started, last_line = 0, time.monotonic(), time.monotonic()
    with console.status(title) as status:

        def advance(clip: str) -> None:
            nonlocal clips, last_line
            clips, now = clips + 1, time.monotonic()
            line = f"{title}: {plural(clips, 'clip')}, {clips / max(now - started, 1e-9):.0f}/s"
            if console.is_terminal:
                status.update(f"{line}, {clip}")
            elif now - last_line > SECONDS_BETWEEN_LINES:
                last_line = now
                console.print(line, highlight=False)

        yield advance
