"""`dtc verify`: check data/archive and write data/manifest.jsonl, or name every fault by file and line."""

from __future__ import annotations

import json
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
from stages.progress import counted_clips


def verify(settings: CorpusSettings, console: Console) -> None:
    """Check the archive's checksums again, then every clip and every row; write the manifest and the summary."""
    paths.MANIFEST.unlink(missing_ok=True)  # of an earlier run, which `dtc preprocess` must not use
    corpus = settings.corpus
    if prepared_format(corpus.format):
        source = paths.ARCHIVE
    else:
        source = paths.corpus_archive()
        _require_checksums(source, corpus)
    with counted_clips("verify", console) as advance:
        found = verify_corpus(source, settings, advance)
    _refuse(found, settings.verify, console)
    summary = summarise(found, found.kept)
    write_whole(paths.SKIPPED, "".join(_skipped(fault) + "\n" for fault in found.faults))
    write_whole(paths.CORPUS_SUMMARY, summary.markdown(f"Corpus {corpus.name}"))
    write_whole(paths.CORPUS_METRICS, json.dumps(summary.figures, indent=2) + "\n")
    write_manifest(found.rows, paths.MANIFEST)
    _report(summary, found, console)


def _require_checksums(archive: Path, corpus: CorpusConfig) -> None:
    if corpus.verifiable and (wrong := corpus.wrong_checksum(Checksums.of(archive))):
        key, found, expected = wrong
        remedy = f"run `dtc download` again, or set corpus.{key} to null where it is unknown"
        raise InputError(archive, found, expected, remedy)


def _refuse(found: CorpusFindings, config: VerifyConfig, console: Console) -> None:
    """Raise the first fault that is not to be skipped. Where there are several, print a few of each kind before."""
    faults = [fault for fault in found.faults if fault.kind == "corpus" or config.faulty_clips == "refuse"]
    if not found.rows and not faults:
        faults = found.faults
    if not faults:
        return
    for line in name_faults(faults) if len(faults) > 1 else ():
        console.print(line, soft_wrap=True, markup=False)
    raise faults[0].error


def _skipped(fault: Fault) -> str:
    return json.dumps({"id": fault.id, "member": fault.member, "kind": fault.kind, "reason": str(fault.error)})


def _report(summary: Summary, found: CorpusFindings, console: Console) -> None:
    summary.show(console)
    line = f"verify: {plural(len(found.rows), 'clip')} in {paths.MANIFEST}"
    if found.faults:
        faults = plural(len(found.faults), "fault")
        line += f"; {found.left_out:,} left out (verify.faulty_clips: skip), {faults} listed in {paths.SKIPPED}"
    console.print(line)
