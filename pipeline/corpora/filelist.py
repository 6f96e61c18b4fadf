"""Filelists as NVIDIA/tacotron2 reads them: *.txt, lines `path|text`. A path's stem is the clip's id."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from dtc.errors import InputError, plural
from pipeline.corpora.base import AUDIO_SUFFIXES, Draft, Finder, Layout, Line, is_hidden

SPEAKERS_REMEDY = "lists of several speakers are not supported: keep one speaker's lines and remove the column"
NO_LISTING = re.compile(r"readme|licen[cs]e|copying|notice|authors|changelog", re.IGNORECASE)


def is_filelist(member: str) -> bool:
    """Whether an archive's member may be a filelist, by its name."""
    path = PurePosixPath(member)
    return path.suffix.lower() == ".txt" and not NO_LISTING.match(path.name) and not is_hidden(member)


def looks_like_filelist(content: bytes) -> bool:
    """Whether most lines begin with the path of a clip: an archive may hold other texts, and lists of mels."""
    lines = [line for line in content.decode("latin-1").split("\n") if line.strip()]
    return 2 * sum("|" in line and stem_and_suffix(line)[1] in AUDIO_SUFFIXES for line in lines) > len(lines)


def stem_and_suffix(line: str) -> tuple[str, str]:
    """Of the path that a line consists of or begins with; the suffix in small letters."""
    path = PurePosixPath(line.split("|")[0].replace("\\", "/").strip())
    return path.stem, path.suffix.lower()


def parse_filelist(lines: Sequence[Line]) -> Iterator[Draft]:
    """Every line's path and text; a third field is a speaker."""
    for line in lines:
        path, *fields = line.text.split("|")
        if len(fields) != 1:
            remedy = SPEAKERS_REMEDY if len(fields) > 1 else ""
            fault = InputError(line.where, plural(len(fields) + 1, "field"), "2: path|text", remedy)
            yield Draft(line.where, clip=path, fault=fault)
        else:
            yield Draft(line.where, path, stem_and_suffix(path)[0], fields[0])


def find_by_path(clips: Sequence[str]) -> Finder:
    """Finds the clip at a path from the archive's top, its top folder or the listing's folder.

    Else the path is of the machine where the listing was made (`DUMMY/a.wav`, `/data/wavs/a.wav`), and the file's name
    tells: several clips may have it.
    """
    members = set(clips)
    by_name: dict[str, list[str]] = {}
    for clip in clips:
        by_name.setdefault(PurePosixPath(clip).name, []).append(clip)

    def find(clip: str, listing: str) -> Sequence[str]:
        path = clip.replace("\\", "/").strip()
        folder = posixpath.dirname(listing)
        for base in ("", folder.split("/")[0], folder):
            candidate = posixpath.normpath(posixpath.join(base, path))
            if candidate in members:
                return [candidate]
        return by_name.get(PurePosixPath(path).name, [])

    return find


LAYOUT = Layout(
    files="*.txt of path|text",
    expected="filelists: *.txt with lines path|text, and the clips that they name",
    only_one=False,
    is_listing=is_filelist,
    looks_right=looks_like_filelist,
    parse=parse_filelist,
    call_clip="{}",
    make_finder=find_by_path,
)
