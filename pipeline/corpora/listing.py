"""Which clip says what: the corpus's format is recognised, its listings are read, and rows and clips are matched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from dtc.errors import InputError
from pipeline.archives import is_hidden
from pipeline.corpora import AUTO, listed_formats
from pipeline.corpora.base import Finder, ListedFormat, ListedRow, check_row, composed, read_lines


@dataclass
class Listing:
    """The rows of a corpus that have one clip each, and what is wrong with the other rows and clips."""

    rows: list[ListedRow] = field(default_factory=list)  # in the listings' order
    faults: list[InputError] = field(default_factory=list)  # of listings, line by line; then of clips without a row


def is_listing(member: str) -> bool:
    """Return whether a file in an archive may list clips, in any format, by its name; a hidden one does not."""
    return not is_hidden(member) and any(format.is_listing(member) for format in listed_formats().values())


def read_rows(archive: str, listings: Mapping[str, bytes], clips: Sequence[str], format: str) -> Listing:
    """Match the rows of a corpus with its clips.

    Args:
        archive: the name of the archive, for messages.
        listings: name in the archive → content, of what may be a listing.
        clips: the names of the clips in the archive.
        format: the name of a format of recordings, or auto.

    Raises InputError where no listing has the format, `auto` finds several formats, or no clip lies where the format
    wants them. Everything else that is wrong is a fault.
    """
    formats = listed_formats()
    chosen = formats.get(_recognise(archive, listings) if format == AUTO else format)
    if chosen is None:
        raise InputError("corpus.format", format, f"auto or one of {', '.join(formats)}")
    of_format = _of_format(chosen, listings)
    if not of_format:
        raise InputError(archive, f"no {chosen.files} inside", chosen.expected)
    chosen.check_places(archive, next(iter(of_format)), clips)
    return _Matching(archive, chosen, clips).read(of_format)


def _of_format(format: ListedFormat, listings: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        name: content for name, content in listings.items() if format.is_listing(name) and format.looks_right(content)
    }


def _recognise(archive: str, listings: Mapping[str, bytes]) -> str:
    formats = listed_formats()
    found = {name: files for name, format in formats.items() if (files := _of_format(format, listings))}
    if not found:
        names = ", ".join(format.files for format in formats.values())
        expected = "; or ".join(format.expected for format in formats.values())
        raise InputError(archive, f"none of {names} inside", expected)
    if len(found) > 1:
        named = ", ".join(f"{next(iter(files))} ({name})" for name, files in found.items())
        raise InputError(archive, f"listings of several formats: {named}", "one", "set corpus.format to the one meant")
    return next(iter(found))


class _Matching:
    """Rows are matched with clips, each at most once; what either side has left over is a fault."""

    def __init__(self, archive: str, format: ListedFormat, clips: Sequence[str]) -> None:
        self._archive, self._format, self._clips = archive, format, clips
        self._find: Finder = format.make_finder(clips)
        self._ids: dict[str, str] = {}  # → where it was first
        self._members: dict[str, str] = {}  # of clips that a row means, faulty or not → where it was first

    def read(self, listings: Mapping[str, bytes]) -> Listing:
        listing = Listing()
        names = list(listings)
        for name in names[1:] if self._format.only_one else []:
            found = f"a second {self._format.files}, beside {self._archive}:{names[0]}"
            listing.faults.append(InputError(f"{self._archive}:{name}", found, "one", "remove one of them"))
        try:
            for name in names[:1] if self._format.only_one else names:
                self._read_one(name, listings[name], listing)
        except InputError as fault:  # a listing that cannot be read at all: any clip may be in it
            listing.faults.append(fault)
            return listing
        listing.faults.extend(self._left_over(names, {row.id: row.member for row in listing.rows}))
        if not listing.rows and not listing.faults:
            listing.faults.append(InputError(f"{self._archive}:{names[0]}", "no rows", "one row a clip"))
        return listing

    def _read_one(self, name: str, content: bytes, listing: Listing) -> None:
        lines = read_lines(content, f"{self._archive}:{name}")
        for line, row in zip(lines.values(), self._format.parse(lines), strict=True):
            if not line.strip():  # whatever its format makes of it
                row = replace(row, fault=InputError(row.where, "a blank line", "one row a line", "remove it"))
            members = self._find(row.clip, name)
            try:
                listing.rows.append(self._match(row, members))
            except InputError as fault:
                listing.faults.append(fault)
            self._ids.setdefault(row.id, row.where)
            for member in members:
                self._members.setdefault(member, row.where)

    def _match(self, row: ListedRow, members: Sequence[str]) -> ListedRow:
        """Return the row with its clip. Raises InputError where it has none, several, or another row's."""
        check_row(row)
        if row.id in self._ids:
            found = f"id {row.id} again, first {_relative(self._ids[row.id], row.where)}"
            raise InputError(row.where, found, remedy="remove one of the rows")
        if not members:
            clip = self._format.call_clip.format(row.clip)
            raise InputError(row.where, f"no clip {clip}", "one clip a row", "add the clip or remove the row")
        if len(members) > 1:
            found = f"{len(members)} clips {PurePosixPath(members[0]).name}: {', '.join(members[:3])}"
            raise InputError(row.where, found, "one clip a row", "give its path in the archive")
        if members[0] in self._members:
            found = f"clip {members[0]} again, first {_relative(self._members[members[0]], row.where)}"
            raise InputError(row.where, found, "one row a clip", "remove one of the rows")
        return replace(row, member=members[0])

    def _left_over(self, names: Sequence[str], clips_by_id: Mapping[str, str]) -> Iterator[InputError]:
        """Yield a fault for every clip that no row means."""
        listed = PurePosixPath(names[0]).name if len(names) == 1 or self._format.only_one else f"{len(names)} listings"
        for clip in self._clips:
            if clip in self._members:
                continue
            where, clip_id = f"{self._archive}:{clip}", composed(PurePosixPath(clip).stem)
            if clip_id in clips_by_id:
                found = f"a second clip {clip_id}, beside {clips_by_id[clip_id]}"
                yield InputError(where, found, "one clip an id", "remove one of them")
            else:
                found = f"no row {clip_id} in {listed}"
                yield InputError(where, found, "one row a clip", "add the row or remove the clip")


def _relative(first: str, second: str) -> str:
    """Return where a line is, as seen from another: by its number where both are in one file."""
    file, _, number = first.rpartition(":")
    return f"on line {number}" if second.rpartition(":")[0] == file else f"at {first}"
