"""Filelists as NVIDIA/tacotron2 reads them: *.txt with lines `path|text`. The path's stem is the clip's id."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath

from dtc.errors import InputError, plural
from pipeline.corpora.base import Finder, ListedFormat, ListedRow, audio_suffix, composed

SPEAKERS_REMEDY = "lists of several speakers are not supported: keep one speaker's lines and remove the column"
NO_LISTING = re.compile(r"readme|licen[cs]e|copying|notice|authors|changelog", re.IGNORECASE)


def is_filelist(member: str) -> bool:
    """Return whether a file in an archive may be a filelist, by its name."""
    path = PurePosixPath(member)
    return path.suffix.lower() == ".txt" and not NO_LISTING.match(path.name)


def looks_like_filelist(content: bytes) -> bool:
    """Return whether most lines begin with the path of a clip: an archive may hold other texts, and lists of mels."""
    lines = [line for line in content.decode("latin-1").split("\n") if line.strip()]
    return 2 * sum("|" in line and bool(audio_suffix(clip_path(line).name)) for line in lines) > len(lines)


def clip_path(line: str) -> PurePosixPath:
    """Return the path, composed and divided by /, that a line consists of or begins with."""
    return PurePosixPath(composed(line.split("|")[0].replace("\\", "/").strip()))


def parse_filelist(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    """Yield the path and the text of each line; a third field would be a speaker."""
    for where, line in lines.items():
        path, *fields = line.split("|")
        if len(fields) != 1:
            remedy = SPEAKERS_REMEDY if len(fields) > 1 else ""
            yield ListedRow(
                where, path, fault=InputError(where, plural(len(fields) + 1, "field"), "2: path|text", remedy)
            )
        else:
            yield ListedRow(where, path, clip_path(path).stem, fields[0])


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


FORMAT = ListedFormat(
    files="*.txt of path|text",
    expected="filelists: *.txt with lines path|text, and the clips that they name",
    is_listing=is_filelist,
    looks_right=looks_like_filelist,
    parse=parse_filelist,
    make_finder=find_by_path,
)
