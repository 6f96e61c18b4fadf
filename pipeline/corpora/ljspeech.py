"""LJSpeech's layout: `metadata.csv` beside `wavs/`, rows `id|raw text|spoken text` or `id|text`, no quoting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from dtc.errors import InputError, plural
from pipeline.corpora.base import Draft, Finder, Layout, Line

METADATA = "metadata.csv"
WAVS = "wavs"
COLUMNS = {2: "id|text", 3: "id|raw text|spoken text"}


def is_metadata(member: str) -> bool:
    """Whether an archive's member is the corpus's metadata.csv: at the top, or one folder down."""
    path = PurePosixPath(member)
    return path.name == METADATA and len(path.parts) <= 2


def parse_metadata(lines: Sequence[Line]) -> Iterator[Draft]:
    """A field may hold quotation marks and commas; only `|` and the end of the line divide.

    Most lines tell whether there are two columns or three; the others are faulty.
    """
    widths = Counter(line.text.count("|") + 1 for line in lines)
    width = max(reversed(COLUMNS), key=lambda columns: widths[columns])
    for line in lines:
        fields = line.text.split("|")
        if len(fields) != width:
            fault = InputError(line.where, plural(len(fields), "field"), f"{width}: {COLUMNS[width]}")
            yield Draft(line.where, clip=fields[0], id=fields[0], fault=fault)
        else:
            yield Draft(line.where, fields[0], fields[0], fields[1], fields[2] if width == 3 else None)


def _make_finder(clips: Sequence[str]) -> Finder:
    """Finds `wavs/ID.*`. Of two clips of one id the first is meant; the other is left over, and a fault."""
    by_id: dict[str, str] = {}
    for clip in clips:
        path = PurePosixPath(clip)
        if path.parent.name == WAVS:
            by_id.setdefault(path.stem, clip)
    return lambda clip, listing: [by_id[clip]] if clip in by_id else []


LAYOUT = Layout(
    files=METADATA,
    expected=f"LJSpeech's layout: NAME/{METADATA} and NAME/{WAVS}/*.wav",
    only_one=True,
    is_listing=is_metadata,
    looks_right=lambda content: True,
    parse=parse_metadata,
    call_clip=f"{WAVS}/{{}}.*",
    make_finder=_make_finder,
)
