"""The manifest: one row for each clip that passed the checks, written as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dtc.errors import InputError
from dtc.files import write_whole


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One clip that can be used: its text, its place in the archive, and the properties of its file."""

    id: str
    raw_text: str
    spoken_text: str  # spelt out, as the model is trained on it
    member: str  # name in the archive
    md5: str  # of the member's bytes
    samples: int  # after treatment, at audio.sampling_rate
    first_byte: int | None  # where the content lies, uncompressed, in the archive's file: plain tars only
    size_bytes: int  # of the member
    source_sampling_rate: int  # Hz
    source_channels: int
    crc32: int  # of the member's bytes: computed six times as fast as MD5, and enough to notice a change


VERIFY_AGAIN = "run `dtc verify` again"

Parsed = TypeVar("Parsed")


def write_manifest(manifest: Iterable[ManifestRow], path: Path) -> None:
    """Write one JSON object a line. The file is moved into place when it is complete."""
    write_whole(path, "".join(json.dumps(asdict(row)) + "\n" for row in manifest))


def read_manifest(path: Path) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest, one in memory at a time. Raises InputError where there is none or it is damaged."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield parse_strictly(ManifestRow, line, f"{path}:{number}", "a row of a manifest", VERIFY_AGAIN)
    except FileNotFoundError:
        raise InputError(path, "no such file", "the manifest of the corpus", "run `dtc verify` first") from None


def parse_strictly(schema: type[Parsed], content: bytes, where: str, expected: str, remedy: str) -> Parsed:
    """Return the value that a line of JSON describes. Raises InputError, with `where`, where it is not `expected`."""
    try:
        return _adapter(schema).validate_json(content, strict=True)  # type: ignore[arg-type]  # a class is hashable
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InputError(where, f"not {expected} ({place}{': ' * bool(place)}{fault['msg']})", remedy=remedy) from None


@cache
def _adapter(schema: Any) -> Any:  # a TypeAdapter, which takes long to make
    return TypeAdapter(schema)
