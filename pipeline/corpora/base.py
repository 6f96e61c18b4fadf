"""What every way of listing clips shares: the lines of a text file, and the rows that they become."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from dtc.errors import InputError

LONGEST_ID_BYTES = 80  # a name in a shard, `<id>.stft.npy`, has at most 100
AN_ID = f"a name without dots, slashes and control characters, of at most {LONGEST_ID_BYTES} bytes"
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def is_id(name: str) -> bool:
    """Whether a clip can be called so: nothing that could lead out of a folder, end a shard's key or break a line."""
    has_bad_character = any(character in "./" or unicodedata.category(character) == "Cc" for character in name)
    return not has_bad_character and 0 < len(name.encode()) <= LONGEST_ID_BYTES


@dataclass(frozen=True)
class Row:
    """One clip and what it says."""

    id: str  # unique; `is_id`
    raw_text: str
    spoken_text: str  # as the corpus gives it; "" where it gives none
    member: str  # the clip's name in the archive
    where: str  # archive:listing:line


@dataclass(frozen=True)
class Line:
    """One line of a listing."""

    where: str  # archive:listing:line
    text: str


@dataclass(frozen=True)
class Draft:
    """A line as its format reads it, its clip not yet looked for. A faulty one is no row, but may name its clip."""

    where: str
    clip: str = ""  # as the line calls it
    id: str = ""
    raw_text: str = ""
    spoken_text: str | None = None  # None: the corpus gives none
    fault: InputError | None = None


Finder = Callable[[str, str], Sequence[str]]  # what a line calls its clip, the listing's name → members that may be it


@dataclass(frozen=True)
class Layout:
    """One way of listing a corpus's clips."""

    files: str  # its listings, in words
    expected: str  # the whole layout, in words
    only_one: bool  # listing
    is_listing: Callable[[str], bool]  # by its name
    looks_right: Callable[[bytes], bool]  # by its content
    parse: Callable[[Sequence[Line]], Iterator[Draft]]  # every line becomes one draft
    call_clip: str  # how a fault names the clip that a line lacks
    make_finder: Callable[[Sequence[str]], Finder]  # of an archive's clips


def is_hidden(member: str) -> bool:
    """Whether a member is an editor's, a version control's or a Mac's, by its name or a folder's."""
    return any(part.startswith(".") for part in PurePosixPath(member).parts)


def is_audio(member: str) -> bool:
    """Whether an archive's member is a clip, by its suffix."""
    return member.lower().endswith(AUDIO_SUFFIXES) and not is_hidden(member)


def read_lines(content: bytes, where: str) -> list[Line]:
    """The lines of a text file. Only a newline ends one: a text may hold any other character that looks like it.

    Raises InputError with the place of the first byte that is no UTF-8.
    """
    try:
        lines = content.decode("utf-8").removeprefix("\ufeff").split("\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        found = f"byte {error.start} is no UTF-8"
        raise InputError(f"{where}:{number}", found, "text in UTF-8", "save it as UTF-8") from None
    if not lines[-1].strip():
        lines.pop()  # what follows the last newline is no line
    return [Line(f"{where}:{number}", line.removesuffix("\r")) for number, line in enumerate(lines, start=1)]


def check_draft(draft: Draft) -> None:
    """Raise InputError where a draft cannot become a row, whatever clip it means."""
    if draft.fault:
        raise draft.fault
    said = draft.raw_text if draft.spoken_text is None else draft.spoken_text
    if any("\ud800" <= character <= "\udfff" for character in draft.clip + draft.id + draft.raw_text + said):
        raise InputError(draft.where, "half of a surrogate pair", "whole characters", "write them as UTF-8")
    if not is_id(draft.id):
        raise InputError(draft.where, f"id {draft.id!r}", AN_ID, "rename it and its clip")
    if not said.strip():
        remedy = "write what is said, or remove the row and its clip"
        raise InputError(draft.where, f"empty text of {draft.id}", "words", remedy)
