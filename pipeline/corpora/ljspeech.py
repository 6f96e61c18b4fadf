"""LJSpeech's layout, which every corpus here has: `metadata.csv` beside `wavs/`, rows `id|raw|spoken`, no quoting."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dtc.errors import InputError

METADATA = "metadata.csv"
WAVS = "wavs"
LONGEST_ID_BYTES = 80  # a name in a shard, `<id>.stft.npy`, has at most 100


@dataclass(frozen=True)
class Row:
    """One line of metadata.csv."""

    id: str
    raw_text: str
    spoken_text: str
    line: int


@dataclass
class Metadata:
    """What a metadata.csv holds: good rows, what is wrong with the others, and every id it speaks of."""

    rows: list[Row] = field(default_factory=list)
    faults: list[InputError] = field(default_factory=list)
    first_lines: dict[str, int] = field(default_factory=dict)  # id → its first line


def parse_metadata(content: bytes, where: str) -> Metadata:
    """Rows of a metadata.csv. A field may hold quotation marks and commas; only `|` and the end of the line divide."""
    metadata = Metadata()
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        metadata.faults.append(
            InputError(where, f"byte {error.start} is no UTF-8", "text in UTF-8", "save it as UTF-8")
        )
        return metadata
    for number, line in enumerate(lines, start=1):
        if not line.strip() and number == len(lines):
            continue  # what follows the last newline is no row
        fields = line.rstrip("\r").split("|")
        try:
            metadata.rows.append(_parse_row(fields, number, metadata.first_lines, f"{where}:{number}"))
        except InputError as fault:
            metadata.faults.append(fault)
        metadata.first_lines.setdefault(fields[0], number)
    return metadata


def _parse_row(fields: list[str], number: int, first_lines: dict[str, int], where: str) -> Row:
    if len(fields) != 3:
        raise InputError(where, f"{len(fields)} fields", "3: id|raw text|spoken text")
    row = Row(fields[0], fields[1], fields[2], number)
    if not row.id or "." in row.id or "/" in row.id or len(row.id.encode()) > LONGEST_ID_BYTES:
        expected = f"a name without dots and slashes, of at most {LONGEST_ID_BYTES} bytes"
        raise InputError(where, f"id {row.id!r}", expected, "rename it and its clip")
    if row.id in first_lines:
        raise InputError(
            where, f"id {row.id} again, first on line {first_lines[row.id]}", remedy="remove one of the rows"
        )
    if not row.spoken_text.strip():
        raise InputError(
            where, f"empty text of {row.id}", "words", "write what is said, or remove the row and its clip"
        )
    return row


def clip_id(member: str) -> str | None:
    """Id of the clip that an archive's member holds; None for other files."""
    path = PurePosixPath(member)
    hidden = path.name.startswith(".")
    return path.stem if path.parent.name == WAVS and not hidden else None


def is_metadata(member: str) -> bool:
    """Whether an archive's member is the corpus's metadata.csv: at the top, or one folder down."""
    path = PurePosixPath(member)
    return path.name == METADATA and len(path.parts) <= 2
