"""The manifest: one row for each clip that passed the checks, as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dtc.errors import InputError


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One clip that may be used: what it says, where it lies in the archive, and what it is."""

    id: str
    raw_text: str
    spoken_text: str  # as it is read to the model
    member: str  # name in the archive
    md5: str  # of the member's bytes
    samples: int  # after treatment, at audio.sampling_rate
    first_byte: int | None  # where the content lies, as it is, in the archive's file: plain tars only
    size_bytes: int  # of the member
    source_sampling_rate: int  # Hz
    source_channels: int
    crc32: int  # of the member's bytes: six times as fast as MD5, and enough to see that they were changed since


_ROW = TypeAdapter(ManifestRow)


def write_manifest(manifest: Iterable[ManifestRow], path: Path) -> None:
    """One JSON object a line, moved into place when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for row in manifest:
            file.write(json.dumps(asdict(row)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_manifest(path: Path) -> Iterator[ManifestRow]:
    """The rows of a manifest, one in memory at a time. Raises InputError where there is none."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _parse_manifest_row(line, f"{path}:{number}")
    except FileNotFoundError:
        raise InputError(path, "no such file", "the manifest of the corpus", "run `dtc verify` first") from None


def _parse_manifest_row(line: bytes, where: str) -> ManifestRow:
    try:
        return _ROW.validate_json(line, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        found = ".".join(map(str, fault["loc"])) + ": " * bool(fault["loc"]) + fault["msg"]
        raise InputError(where, f"no row of a manifest ({found})", remedy="run `dtc verify` again") from None
