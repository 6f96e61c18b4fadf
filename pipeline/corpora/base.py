"""What the corpus formats share: a row of a listing, the contract of a format, and the rules of ids and file names."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from dtc.errors import InputError
from pipeline.archives import is_hidden

LONGEST_ID_BYTES = 80  # a name in a shard, `<id>.stft.npy`, has at most 100
AN_ID = f"a name without dots, slashes and control characters, of at most {LONGEST_ID_BYTES} bytes"
AUDIO_SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3")
OTHER_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")  # of old Macs, mainframes and Unicode


@dataclass(frozen=True)
class ListedRow:
    """One row of a listing: a clip and what is said in it."""

    where: str  # archive:listing:line
    clip: str = ""  # as the row names its clip
    id: str = ""  # unique; see `is_id`
    raw_text: str = ""
    spoken_text: str | None = None  # as the corpus spells it out; None where it does not
    duration_s: float | None = None  # of the clip, where the row gives it
    fault: InputError | None = None  # a row with a fault may still name its clip
    member: str = ""  # the clip's name in the archive; "" until it is found


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one clip, of one row or, in the kind `corpus`, of the whole."""

    kind: str  # one of pipeline.limits.KINDS
    error: InputError
    id: str = ""  # of the row, where there is one
    member: str = ""  # the clip's name in the archive, where one is concerned


Finder = Callable[[str, str], Sequence[str]]  # clip as a row names it, listing's name → clips that it may mean


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS stores é as two characters, others as one."""
    return unicodedata.normalize("NFC", name)


def clip_path(line: str) -> PurePosixPath:
    """Return the path, composed and divided by /, that a line consists of or begins with."""
    return PurePosixPath(composed(re.split(r"[|\t]", line)[0].replace("\\", "/").strip()))


def find_by_path(clips: Sequence[str]) -> Finder:
    """Return what finds the clip at a path from the archive's top, its top folder or the listing's folder.

    Any other path is one of the machine where the listing was made (`DUMMY/a.wav`, `/data/wavs/a.wav`): it means the
    clips of its file name whose folders agree with it furthest, counted from the file upwards. There may be several.
    """
    members = {composed(clip): clip for clip in reversed(clips)}  # of two that differ in form alone, the first
    by_name: dict[str, list[str]] = {}
    for clip in clips:
        by_name.setdefault(composed(PurePosixPath(clip).name), []).append(clip)

    def find(clip: str, listing: str) -> Sequence[str]:
        path = clip_path(clip)
        folder = composed(posixpath.dirname(listing))
        for base in ("", folder.split("/")[0], folder):
            candidate = posixpath.normpath(posixpath.join(base, path))
            if candidate in members:
                return [members[candidate]]
        alike = {member: _count_shared(path, member) for member in by_name.get(path.name, [])}
        return [member for member, shared in alike.items() if shared == max(alike.values())]

    return find


def _count_shared(path: PurePosixPath, member: str) -> int:
    """Return how many last parts, the file's name among them, a path and a clip's name have in common."""
    pairs = zip(reversed(path.parts), reversed(PurePosixPath(composed(member)).parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(frozen=True)
class ListedFormat:
    """A corpus format of recordings: listings, beside the clips in an archive or a folder, name the clips' texts.

    A new one is a file with such a value, and its name in `pipeline.corpora.BUILT_IN`.
    """

    files: str  # the names of its listings, for messages
    expected: str  # the whole layout, for messages
    is_listing: Callable[[str], bool]  # whether a file may be a listing, by its name in the archive
    parse: Callable[[Mapping[str, str]], Iterator[ListedRow]]  # place → line; yields a row for each but headers
    make_finder: Callable[[Sequence[str]], Finder] = find_by_path  # of the clips in the archive
    only_one: bool = False  # whether a corpus has one listing, or several
    looks_right: Callable[[bytes], bool] = lambda content: True  # whether a file may be a listing, by its content
    call_clip: str = "{}"  # a format string: how messages name the clip that a row means
    # Called with the archive, the first listing and all clips; raises InputError where no clip lies where it should.
    check_places: Callable[[str, str, Sequence[str]], None] = lambda archive, listing, clips: None


class PreparedFormat(ABC):
    """A corpus format of features that were computed before, in a folder of its own instead of an archive."""

    @abstractmethod
    def files(self, corpus: Any) -> dict[str, str]:
        """Return name → MD5 of the files that make up a corpus. Raises InputError where `corpus` names none."""

    @abstractmethod
    def fetch(self, corpus: Any, folder: Path, advance: Callable[[int, int], None]) -> None:
        """Copy the files that `corpus` names into `folder`. Raises InputError for one that is missing or wrong."""

    @abstractmethod
    def verify(self, raw: Path, settings: Any, advance: Callable[[str], None]) -> Any:
        """Check every clip in `raw`, as `pipeline.verify.verify_corpus` does for recordings."""

    @abstractmethod
    def open(self, raw: Path, corpus: Any, recipe: Any, manifest: Any) -> Any:
        """Return what makes shards of the clips in `raw`, the split of each, and the MD5 of the corpus's archive."""


def is_id(name: str) -> bool:
    """Return whether a clip can have this id: it must not lead out of a folder, end a shard's key or break a line."""
    has_bad_character = any(character in "./" or unicodedata.category(character) == "Cc" for character in name)
    return not has_bad_character and 0 < len(name.encode()) <= LONGEST_ID_BYTES


def is_audio(member: str) -> bool:
    """Return whether a file in an archive is a clip, by its name; a hidden one is not."""
    return member.lower().endswith(AUDIO_SUFFIXES) and not is_hidden(member)


def read_lines(content: bytes, where: str) -> dict[str, str]:
    """Return place → line of a text file, without blank lines at its end.

    Only a newline ends a line, as a text may hold what else looks like one; in a file without newlines, that does.
    Raises InputError for UTF-16, and with the place of the first byte that is not UTF-8.
    """
    if 4 * content.count(0) > len(content):
        raise InputError(where, "null bytes, as UTF-16 has them", "text in UTF-8", "save it as UTF-8")
    try:
        text = content.decode("utf-8").removeprefix("\ufeff").rstrip()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        found = f"byte {error.start} is not UTF-8"
        raise InputError(f"{where}:{number}", found, "text in UTF-8", "save it as UTF-8") from None
    lines = text.split("\n") if "\n" in text else OTHER_LINE_ENDS.split(text)
    return {f"{where}:{number}": line.removesuffix("\r") for number, line in enumerate(lines, start=1) if text}


def check_row(row: ListedRow) -> None:
    """Raise InputError where a row cannot be used, whatever clip it means."""
    if row.fault:
        raise row.fault
    said = row.raw_text if row.spoken_text is None else row.spoken_text
    if any("\ud800" <= character <= "\udfff" for character in row.clip + row.id + row.raw_text + said):
        raise InputError(row.where, "half of a surrogate pair", "whole characters", "write them as UTF-8")
    if not is_id(row.id):
        stem, suffix = without_suffix(clip_path(row.id).name), audio_suffix(row.id)
        leave_out = f"leave out {suffix}" if suffix and row.id == stem + suffix else f"write {stem}"
        remedy = leave_out if is_id(stem) and stem != row.id else "rename it and its clip"
        raise InputError(row.where, f"id {row.id!r}", AN_ID, remedy)
    if not said.strip():
        remedy = "write what is said, or remove the row and its clip"
        raise InputError(row.where, f"empty text of {row.id}", "words", remedy)


def audio_suffix(name: str) -> str:
    """Return the suffix of a sound file's name as it is written, "" of any other name."""
    suffix = PurePosixPath(name).suffix
    return suffix if suffix.lower() in AUDIO_SUFFIXES else ""


def without_suffix(name: str) -> str:
    """Return a name without the suffix of a sound file."""
    return name.removesuffix(audio_suffix(name))
