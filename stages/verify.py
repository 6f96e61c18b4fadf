"""`dtc verify`: data/raw → data/manifest.jsonl, or every fault of the corpus by file and line."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from dtc.audio import AudioConfig
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.provenance import md5_of
from pipeline.audit import ManifestRow, audit, write_manifest
from pipeline.corpora import CorpusConfig
from stages import paths

FAULTS_SHOWN = 20


def verify(corpus: CorpusConfig, audio: AudioConfig, console: Console) -> None:
    """Check the archive's MD5 again, then every clip and every row."""
    archive = paths.raw_archive()
    if corpus.md5 is not None and (found := md5_of(archive)) != corpus.md5:
        raise InputError(archive, f"MD5 {found}", corpus.md5, "remove it and run `dtc download` again")
    with console.status("verify") as status:
        manifest, faults = audit(archive, audio, lambda clip: status.update(f"verify {clip}"))
    if faults:
        for fault in faults[1:FAULTS_SHOWN]:
            console.print(str(fault), highlight=False, soft_wrap=True, markup=False)
        if len(faults) > FAULTS_SHOWN:
            console.print(f"… and {len(faults) - FAULTS_SHOWN} more", highlight=False)
        raise faults[0]
    write_manifest(manifest, paths.MANIFEST)
    facts = _facts(manifest, audio)
    write_whole(paths.CORPUS_METRICS, json.dumps(facts, indent=2) + "\n")
    table = Table("corpus", *facts)
    table.add_row(corpus.name, *(f"{value:g}" for value in facts.values()))
    console.print(table)


def _facts(manifest: list[ManifestRow], audio: AudioConfig) -> dict[str, float]:
    seconds = [row.samples / audio.sampling_rate for row in manifest]
    return {
        "clips": len(manifest),
        "minutes": round(sum(seconds) / 60, 2),
        "shortest_s": round(min(seconds), 2),
        "longest_s": round(max(seconds), 2),
        "characters_per_s": round(sum(len(row.spoken_text) for row in manifest) / sum(seconds), 2),
    }
