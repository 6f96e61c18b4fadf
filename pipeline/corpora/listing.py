"""Recognise the format of a corpus, read its listings, and match their rows with the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from dtc.errors import InputError
from pipeline.archives import is_hidden
from pipeline.corpora import AUTO, listed_formats
from pipeline.corpora.base import Fault, ListedFormat, ListedRow, check_row, clip_path, composed, is_audio, read_lines

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".json")  # suffixes of what may be a listing, in a wrong place


def is_listing(member: str) -> bool:
    """Return whether a file in an archive may list clips, in any format, by its name; a hidden one does not."""
    return not is_hidden(member) and any(format.is_listing(member) for format in listed_formats().values())


def read_rows(
    archive: str, listings: Mapping[str, bytes], clips: Sequence[str], format: str, others: Sequence[str] = ()
) -> Listing:
    """Match the rows of a corpus with its clips.

    Args:
        archive: the name of the archive, for messages.
        listings: name in the archive → content, of what may be a listing.
        clips: the names of the clips in the archive.
        format: the name of a format of recordings, or auto.
        others: the names of the other files in the archive, for remedies.

    Raises InputError where no listing has the format, `auto` finds several formats, or no clip lies where the format
    wants them. Everything else that is wrong is a fault.
    """
    formats = listed_formats()
    if format != AUTO and format not in formats:
        raise InputError("corpus.format", format, f"auto or one of {', '.join(formats)}")
    asked = formats if format == AUTO else {format: formats[format]}
    found = {name: files for name, format in asked.items() if (files := _of_format(format, listings))}
    if not found:
        names = ("none of " if len(asked) > 1 else "no ") + ", ".join(format.files for format in asked.values())
        expected = "; or ".join(format.expected for format in asked.values())
        stems = {PurePosixPath(clip).stem for clip in clips}  # a text beside each clip is no listing
        texts = [name for name in (*others, *listings) if PurePosixPath(name).suffix.lower() in TABLES]
        listing = next((name for name in texts if not is_hidden(name) and PurePosixPath(name).stem not in stems), None)
        remedy = f"move or rename {listing} if it is the listing" if listing else "write metadata.csv, a row a clip"
        raise InputError(archive, f"{names} inside", expected, remedy)
    if len(found) > 1:
        named = ", ".join(f"{next(iter(files))} ({name})" for name, files in found.items())
        raise InputError(archive, f"listings of several formats: {named}", "one", "set corpus.format to the one meant")
    [(name, of_format)] = found.items()
    formats[name].check_places(archive, next(iter(of_format)), clips)
    return Listing(archive, formats[name], clips, of_format, others)


def _of_format(format: ListedFormat, listings: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: text for name, text in listings.items() if format.is_listing(name) and format.looks_right(text)}


class _NoClip(InputError):
    """Raised where a row has no clip."""

    member = ""  # a clip of a similar name


class Listing:
    """The rows of a corpus that have one clip each, and what is wrong with the other rows and clips.

    A row and a clip are matched at most once. What either side has left over is a fault.
    """

    def __init__(
        self,
        archive: str,
        format: ListedFormat,
        clips: Sequence[str],
        listings: Mapping[str, bytes],
        others: Sequence[str],
    ) -> None:
        self.rows: list[ListedRow] = []  # in the listings' order
        self.faults: list[Fault] = []  # of the kinds corpus, listing and missing (line by line), then stray
        self._archive, self._format, self._find = archive, format, format.make_finder(clips)
        self._ids: dict[str, str] = {}  # → where it was first
        self._members: dict[str, str] = {}  # of clips that a row means, faulty or not → where it was first
        self._alike = {_fold(name): name for name in reversed((*clips, *others))}  # of several, the first clip
        names = list(listings)
        read, unread = (names[:1], names[1:]) if format.only_one else (names, [])
        for name in unread:
            found = f"a second {format.files}, beside {archive}:{names[0]}"
            self._blame("corpus", InputError(f"{archive}:{name}", found, "one", "remove one of them"))
        try:
            for name in read:
                self._read(name, listings[name])
        except InputError as fault:  # a listing that cannot be read at all: any clip may be in it
            self._blame("corpus", fault)
            return
        listed = PurePosixPath(read[0]).name if len(read) == 1 else f"{len(read)} listings"
        self._blame_strays(clips, listed)
        if not self.rows and not self.faults:
            self._blame("corpus", InputError(f"{archive}:{names[0]}", "no rows", "one row a clip"))

    def _blame(self, kind: str, error: InputError, member: str = "") -> None:
        self.faults.append(Fault(kind, error, member=member))

    def _read(self, name: str, content: bytes) -> None:
        lines = read_lines(content, f"{self._archive}:{name}")
        for row in self._format.parse(lines):
            if not lines[row.where].strip():  # whatever its format makes of it
                row = replace(row, fault=InputError(row.where, "a blank line", "one row a line", "remove it"))
            members = self._find(row.clip, name)
            try:
                self.rows.append(self._match(row, members))
            except _NoClip as fault:
                self._blame("missing", fault, fault.member)
            except InputError as fault:
                self._blame("listing", fault)
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
            alike = self._alike.get(_fold(row.clip), "")
            has_hint = alike and alike not in self._members
            remedy = f"rename, move or convert {alike} if that is it" if has_hint else "add the clip or remove the row"
            found = f"no clip {self._format.call_clip.format(row.clip)}"
            fault = _NoClip(row.where, found, "one clip a row", remedy)
            fault.member = alike if has_hint and is_audio(alike) else ""
            raise fault
        if len(members) > 1:
            found = f"{len(members)} clips {PurePosixPath(members[0]).name}: {', '.join(members[:3])}"
            raise InputError(row.where, found, "one clip a row", "give its path in the archive")
        if members[0] in self._members:
            found = f"clip {members[0]} again, first {_relative(self._members[members[0]], row.where)}"
            raise InputError(row.where, found, "one row a clip", "remove one of the rows")
        return replace(row, member=members[0])

    def _blame_strays(self, clips: Sequence[str], listed: str) -> None:
        """Note every clip that no row means; `listed` describes the listings."""
        by_id = {row.id: row.member for row in self.rows}
        similar = {fault.member for fault in self.faults if fault.kind == "missing"}
        for clip in clips:
            if clip in self._members or clip in similar:
                continue
            clip_id = composed(PurePosixPath(clip).stem)
            found = f"no row {clip_id} in {listed}", "one row a clip", "add the row or remove the clip"
            if clip_id in by_id:
                found = f"a second clip {clip_id}, beside {by_id[clip_id]}", "one clip an id", "remove one of them"
            self._blame("stray", InputError(f"{self._archive}:{clip}", *found), clip)


def _fold(clip: str) -> str:
    """Return what is left of a clip's name without folder, suffixes, capitals, spaces and characters not shown."""
    name = composed(clip_path(clip).name).casefold().lstrip(". \ufeff\u200b").partition(".")[0]
    return "".join(character for character in name if character.isprintable() and not character.isspace())


def _relative(first: str, second: str) -> str:
    """Return where a line is, as seen from another: by its number where both are in one file."""
    file, _, number = first.rpartition(":")
    return f"on line {number}" if second.rpartition(":")[0] == file else f"at {first}"
