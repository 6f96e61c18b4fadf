"""Filelists as NVIDIA/tacotron2 reads them: *.txt with lines `path|text`. The path's stem is the clip's id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from dtc.errors import InputError
from pipeline.corpora.base import AUDIO_SUFFIXES, ListedFormat, ListedRow, clip_path
from pipeline.corpora.tables import ONE_SPEAKER, read_table

COLUMNS = {2: "path|text"}
NO_LISTING = re.compile(r"readme|licen[cs]e|copying|notice|authors|changelog", re.IGNORECASE)
CLIP_FIELD = re.compile(rf"({'|'.join(map(re.escape, AUDIO_SUFFIXES))})\"?\s*[|\t,;]", re.IGNORECASE)


def is_filelist(member: str) -> bool:
    """Return whether a file in an archive may be a filelist, by its name."""
    path = PurePosixPath(member)
    return path.suffix.lower() == ".txt" and not NO_LISTING.match(path.name)


def looks_like_filelist(content: bytes) -> bool:
    """Return whether most lines hold the path of a clip, and a text: an archive may hold other texts, and other lists.

    A list in UTF-16 looks like one too, and is then named as what it is.
    """
    lines = [line for line in re.split(r"[\r\n]+", content.replace(b"\0", b"").decode("latin-1")) if line.strip()]
    return 2 * sum(bool(CLIP_FIELD.search(line)) for line in lines) > len(lines)


def parse_filelist(lines: Mapping[str, str]) -> Iterator[ListedRow]:
    """Yield the path and the text of each line; a third field would be a speaker."""
    table = read_table(lines, COLUMNS)
    for where, fields in table.rows.items():
        path = table.field(fields, table.id_at)
        if fault := table.fault_of(where, fields):
            remedy = ONE_SPEAKER if len(fields) > 2 else ""
            yield ListedRow(where, path, fault=InputError(where, fault.found, fault.expected, remedy))
        else:
            yield ListedRow(where, path, clip_path(path).stem, fields[table.text_at])


FORMAT = ListedFormat(
    files="*.txt of path|text",
    expected="filelists: *.txt with lines path|text, and the clips that they name",
    is_listing=is_filelist,
    looks_right=looks_like_filelist,
    parse=parse_filelist,
)
