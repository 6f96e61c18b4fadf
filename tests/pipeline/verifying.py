"""What the tests of verify share: settings for short clips, and the findings of a folder or an archive."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtc.audio_config import AudioConfig
from dtc.config import parse_section
from pipeline.archives import pack_folder
from pipeline.config import RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig
from pipeline.lexicon_file import TextSection
from pipeline.limits import KINDS
from pipeline.verify import CorpusFindings, CorpusSettings, verify_corpus
from tests.conftest import REPOSITORY, default_params

CLIPS = {"a": "one", "b": "two", "c": "three"}


LJSPEECH_SAMPLE = REPOSITORY.parent / "shared/data/ljspeech-sample.tar.bz2"


MakeSound = Callable[..., bytes]


def settings(audio: AudioConfig, **changes: Any) -> CorpusSettings:
    """The sections of params.yaml; clips may be short and their texts quick, as the clips of the tests are.

    `changes` are of the sections recording, verify and corpus.
    """
    tree = default_params()
    for section, values in (
        ("verify", {"min_duration_s": 0.1, "max_characters_per_s": 200.0}),
        ("recording", {}),
        ("corpus", {}),
    ):
        tree[section] |= values | {key: value for key, value in changes.items() if key in tree[section]}
    return CorpusSettings(
        parse_section(tree["corpus"], CorpusConfig, "corpus"),
        parse_section(tree["recording"], RecordingConfig, "recording"),
        parse_section(tree["verify"], VerifyConfig, "verify"),
        audio,
        parse_section(tree["text"], TextSection, "text"),
    )


def verified(source: Path, audio: AudioConfig, **changes: Any) -> CorpusFindings:
    """The findings of a folder, packed, or of an archive."""
    archive = source
    if source.is_dir():
        archive = source.parent / f"{source.name}.tar"
        pack_folder(source, archive)
    seen: list[str] = []
    found = verify_corpus(archive, settings(audio, **changes), seen.append)
    assert len(seen) == len(set(seen)) == len(found.names), "every clip is told, once"
    assert {fault.kind for fault in found.faults} <= KINDS.keys()
    assert {row.id for row in found.rows}.isdisjoint(fault.id for fault in found.faults)
    return found


def lines(found: CorpusFindings) -> list[tuple[str, str]]:
    return [(fault.kind, str(fault.error)) for fault in found.faults]
