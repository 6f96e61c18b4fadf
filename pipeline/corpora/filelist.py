"""Filelists as NVIDIA/tacotron2 reads them: *.txt with lines `path|text`. The path's stem is the clip's id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from dtc.errors import InputError, plural
from pipeline.corpora.base import ListedFormat, ListedRow, audio_suffix, clip_path

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


FORMAT = ListedFormat(
    files="*.txt of path|text",
    expected="filelists: *.txt with lines path|text, and the clips that they name",
    is_listing=is_filelist,
    looks_right=looks_like_filelist,
    parse=parse_filelist,
)
