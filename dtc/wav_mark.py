"""The mark of synthetic speech in a WAV file: a chunk LIST/INFO, which audio software keeps and shows.

ISFT names the software, and ICMT, the comment, says that the speech is synthetic, gives the digital source type of
IPTC (https://cv.iptc.org/newscodes/digitalsourcetype), the fingerprints of the voice, and the file's seal:

    synthetic speech; digital_source_type=http://…/trainedAlgorithmicMedia; voice=…; acoustic=…; dtc-seal:…
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module

from dtc.seal import UNSEALED, SealState, check_seal, sealed

SYNTHETIC = "synthetic speech"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SOFTWARE, COMMENT, CREDENTIALS = b"ISFT", b"ICMT", b"C2PA"
HEADER = 12  # bytes: RIFF, size, WAVE
PAIR = re.compile(r"(\w+)=([^;]*)")


@dataclass(frozen=True)
class WavMark:
    """What a WAV file says about itself."""

    synthetic: bool = False  # it says that it is synthetic speech
    software: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)  # name → fingerprint of what it was made from
    seal: SealState = "none"
    has_credentials: bool = False  # content credentials (C2PA), which are not read here


def marked(wav: bytes, origin: Mapping[str, str]) -> bytes:
    """Return a WAV file with the mark before its samples, sealed. `origin`: name → fingerprint of voice and data."""
    pairs = {"digital_source_type": SOURCE_TYPE, **origin}
    named = (f"{name}={value.replace(';', ',')}" for name, value in pairs.items() if value)
    comment = "; ".join([SYNTHETIC, *named, UNSEALED])
    info = b"INFO" + _chunk(SOFTWARE, _text(f"dtc {version_of_dtc()}")) + _chunk(COMMENT, _text(comment))
    chunks = list(_chunks(wav))
    place = next(number for number, (name, _) in enumerate(chunks) if name == b"data")
    return sealed(_riff([*chunks[:place], (b"LIST", info), *chunks[place:]]))


def version_of_dtc() -> str:
    """Return the version of dtc.

    An import statement would make the version a part of the code that decides weights where speech decides something.
    """
    return str(import_module("dtc").__version__)


def read_mark(wav: bytes) -> WavMark:
    """Return what a WAV file says about itself. Raises ValueError where it is no WAV file."""
    if wav[:4] != b"RIFF" or wav[8:HEADER] != b"WAVE":
        raise ValueError("not a WAV file")
    chunks = list(_chunks(wav))
    info = next((content for name, content in chunks if name == b"LIST" and content[:4] == b"INFO"), b"INFO")
    texts = {name: content.rstrip(b"\0").decode("utf-8", "replace") for name, content in _chunks(info, 4)}
    comment = texts.get(COMMENT, "")
    origin = dict(PAIR.findall(comment))
    origin.pop("digital_source_type", None)
    has_credentials = any(name == CREDENTIALS for name, _ in chunks)
    return WavMark(
        synthetic=comment.startswith(SYNTHETIC),
        software=texts.get(SOFTWARE, ""),
        origin=origin,
        seal=check_seal(_without_credentials(wav) if has_credentials else wav),
        has_credentials=has_credentials,
    )


def _without_credentials(wav: bytes) -> bytes:
    """Return a WAV file as it was before content credentials were added."""
    return _riff([chunk for chunk in _chunks(wav) if chunk[0] != CREDENTIALS])


def _riff(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return _chunk(b"RIFF", b"WAVE" + b"".join(_chunk(name, content) for name, content in chunks))


def _chunks(riff: bytes, start: int = HEADER) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk; a size that leads past the end means the rest."""
    while start + 8 <= len(riff):
        name, size = struct.unpack_from("<4sI", riff, start)
        yield name, riff[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


def _text(value: str) -> bytes:
    return value.encode("ascii", "replace") + b"\0"
