"""Is every clip what it says? One pass over the archive; a manifest for the stages behind, or the list of faults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from dtc.audio import AudioConfig, read_wave
from dtc.errors import InputError
from dtc.text.symbols import text_to_ids
from pipeline.archive import read_members
from pipeline.corpora.ljspeech import METADATA, WAVS, Metadata, Row, clip_id, is_metadata, parse_metadata


@dataclass(frozen=True)
class ManifestRow:
    """One clip that may be used: what it says, where it lies in the archive, and what it is."""

    id: str
    raw_text: str
    spoken_text: str
    member: str
    md5: str  # of the member's bytes
    samples: int


def audit(
    archive: Path, audio: AudioConfig, advance: Callable[[str], None]
) -> tuple[list[ManifestRow], list[InputError]]:
    """Rows of all good clips, sorted by id, and the faults of the others, each naming file and line."""
    metadata: Metadata | None = None
    metadata_name = METADATA
    clips: dict[str, _Clip] = {}
    faults: list[InputError] = []
    for member, content in read_members(archive):
        where = f"{archive.name}:{member}"
        if is_metadata(member) and metadata is not None:
            faults.append(
                InputError(where, f"a second {METADATA}, beside {metadata_name}", "one", "remove one of them")
            )
        elif is_metadata(member):
            metadata, metadata_name = parse_metadata(content, where), where
        elif found := clip_id(member):
            advance(found)
            if found in clips:
                faults.append(
                    InputError(
                        where,
                        f"a second clip {found}, beside {clips[found].member}",
                        "one clip an id",
                        "remove one of them",
                    )
                )
                continue
            clips[found] = _Clip(member, hashlib.md5(content, usedforsecurity=False).hexdigest())
            try:
                clips[found].samples = len(read_clip(content, where, audio))
            except InputError as fault:
                faults.append(fault)
    if metadata is None:
        raise InputError(archive, f"no {METADATA} inside", "LJSpeech's layout: NAME/metadata.csv and NAME/wavs/*.wav")
    faults += metadata.faults
    for stray in sorted(clips.keys() - metadata.first_lines.keys()):
        where = f"{archive.name}:{clips[stray].member}"
        faults.append(
            InputError(where, f"no row {stray} in {METADATA}", "one row a clip", "add the row or remove the clip")
        )
    manifest: list[ManifestRow] = []
    for row in sorted(metadata.rows, key=lambda row: row.id):
        try:
            manifest.append(_match(row, clips, f"{metadata_name}:{row.line}"))
        except InputError as fault:
            faults.append(fault)
    if not manifest and not faults:
        faults.append(InputError(metadata_name, "no rows", "one row a clip"))
    return manifest, faults


@dataclass
class _Clip:
    member: str
    md5: str
    samples: int = 0


def _match(row: Row, clips: dict[str, _Clip], where: str) -> ManifestRow:
    """The manifest's row of a metadata row whose text can be read and whose clip is there."""
    text_to_ids(row.spoken_text, where)
    if row.id not in clips:
        raise InputError(where, f"no clip {WAVS}/{row.id}.*", "one clip a row", "add the clip or remove the row")
    clip = clips[row.id]
    return ManifestRow(row.id, row.raw_text, row.spoken_text, clip.member, clip.md5, clip.samples)


def read_clip(content: bytes, where: str, audio: AudioConfig) -> Int16[np.ndarray, " samples"]:
    """Samples of a clip. Raises InputError where it does not decode, is not mono, too short or of another rate."""
    samples, sampling_rate = read_wave(content, where)
    if sampling_rate != audio.sampling_rate:
        remedy = f"resample the clip or set audio.sampling_rate to {sampling_rate}"
        raise InputError(where, f"{sampling_rate} Hz", f"{audio.sampling_rate} Hz", remedy)
    if len(samples) <= audio.filter_length // 2:
        raise InputError(where, f"{len(samples)} samples", f"more than {audio.filter_length // 2}", "remove the clip")
    return samples


def write_manifest(manifest: list[ManifestRow], path: Path) -> None:
    """One JSON object a line, moved into place when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text("".join(json.dumps(asdict(row)) + "\n" for row in manifest), encoding="utf-8")
    part.replace(path)


def read_manifest(path: Path) -> list[ManifestRow]:
    """The rows of a manifest. Raises InputError where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(path, "no such file", "the audited corpus", "run `dtc verify` first") from None
    return [_parse_manifest_row(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def _parse_manifest_row(line: str, where: str) -> ManifestRow:
    try:
        return ManifestRow(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise InputError(where, f"no row of a manifest ({error})", remedy="run `dtc verify` again") from None
