"""How a corpus lists its clips: the layout is recognised, its lines are read, and rows meet clips, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from dtc.errors import InputError
from pipeline.corpora import Format, filelist, jsonl, ljspeech
from pipeline.corpora.base import Draft, Finder, Layout, Row, check_draft, is_audio, read_lines

__all__ = ["Listing", "Row", "is_audio", "is_listing", "read_rows"]

LAYOUTS: dict[Format, Layout] = {"ljspeech": ljspeech.LAYOUT, "jsonl": jsonl.LAYOUT, "filelist": filelist.LAYOUT}


@dataclass
class Listing:
    """What a corpus says of its clips: the rows that have one each, and what is wrong with the others."""

    rows: list[Row] = field(default_factory=list)  # in the listings' order
    faults: list[InputError] = field(default_factory=list)  # of listings, line by line; then of clips without a row


def is_listing(member: str) -> bool:
    """Whether an archive's member may list clips, by its name."""
    return any(layout.is_listing(member) for layout in LAYOUTS.values())


def read_rows(archive: str, listings: Mapping[str, bytes], clips: Sequence[str], format: Format) -> Listing:
    """The rows of a corpus whose listings and clips are given by their names in the archive.

    Raises InputError where no listing is of the format, or `auto` finds several formats. All else is a fault.
    """
    layout = LAYOUTS[_recognise(archive, listings)] if format == "auto" else LAYOUTS.get(format)
    if layout is None:
        raise InputError("corpus.format", format, f"auto or one of {', '.join(LAYOUTS)}")
    chosen = _of_layout(layout, listings)
    if not chosen:
        raise InputError(archive, f"no {layout.files} inside", layout.expected)
    return _Matching(archive, layout, clips).read(chosen)


def _of_layout(layout: Layout, listings: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        name: content for name, content in listings.items() if layout.is_listing(name) and layout.looks_right(content)
    }


def _recognise(archive: str, listings: Mapping[str, bytes]) -> Format:
    found = {name: files for name, layout in LAYOUTS.items() if (files := _of_layout(layout, listings))}
    if not found:
        names = ", ".join(layout.files for layout in LAYOUTS.values())
        expected = "; or ".join(layout.expected for layout in LAYOUTS.values())
        raise InputError(archive, f"none of {names} inside", expected)
    if len(found) > 1:
        named = ", ".join(f"{next(iter(files))} ({name})" for name, files in found.items())
        raise InputError(archive, f"listings of several formats: {named}", "one", "set corpus.format to the one meant")
    return next(iter(found))


class _Matching:
    """Lines are matched with clips, each at most once; what either side has left over is a fault."""

    def __init__(self, archive: str, layout: Layout, clips: Sequence[str]) -> None:
        self._archive, self._layout, self._clips = archive, layout, clips
        self._find: Finder = layout.make_finder(clips)
        self._ids: dict[str, str] = {}  # → where it was first
        self._members: dict[str, str] = {}  # of clips that a line means, faulty or not → where it was first

    def read(self, listings: Mapping[str, bytes]) -> Listing:
        listing = Listing()
        names = list(listings)
        for name in names[1:] if self._layout.only_one else []:
            found = f"a second {self._layout.files}, beside {self._archive}:{names[0]}"
            listing.faults.append(InputError(f"{self._archive}:{name}", found, "one", "remove one of them"))
        try:
            for name in names[:1] if self._layout.only_one else names:
                self._read_one(name, listings[name], listing)
        except InputError as fault:  # a listing that cannot be read at all: every clip may be in it
            listing.faults.append(fault)
            return listing
        listing.faults.extend(self._left_over(names, {row.id: row.member for row in listing.rows}))
        if not listing.rows and not listing.faults:
            listing.faults.append(InputError(f"{self._archive}:{names[0]}", "no rows", "one row a clip"))
        return listing

    def _read_one(self, name: str, content: bytes, listing: Listing) -> None:
        lines = read_lines(content, f"{self._archive}:{name}")
        for line, draft in zip(lines, self._layout.parse(lines), strict=True):
            if not line.text.strip():  # whatever its format makes of it
                draft = replace(draft, fault=InputError(line.where, "a blank line", "one row a line", "remove it"))
            members = self._find(draft.clip, name)
            try:
                listing.rows.append(self._make_row(draft, members))
            except InputError as fault:
                listing.faults.append(fault)
            self._ids.setdefault(draft.id, draft.where)
            for member in members:
                self._members.setdefault(member, draft.where)

    def _make_row(self, draft: Draft, members: Sequence[str]) -> Row:
        check_draft(draft)
        if draft.id in self._ids:
            found = f"id {draft.id} again, first {_relative(self._ids[draft.id], draft.where)}"
            raise InputError(draft.where, found, remedy="remove one of the rows")
        if not members:
            clip = self._layout.call_clip.format(draft.clip)
            raise InputError(draft.where, f"no clip {clip}", "one clip a row", "add the clip or remove the row")
        if len(members) > 1:
            found = f"{len(members)} clips {PurePosixPath(members[0]).name}: {', '.join(members[:3])}"
            raise InputError(draft.where, found, "one clip a row", "give its path in the archive")
        if members[0] in self._members:
            found = f"clip {members[0]} again, first {_relative(self._members[members[0]], draft.where)}"
            raise InputError(draft.where, found, "one row a clip", "remove one of the rows")
        return Row(draft.id, draft.raw_text, draft.spoken_text or "", members[0], draft.where)

    def _left_over(self, names: Sequence[str], clips_by_id: Mapping[str, str]) -> Iterator[InputError]:
        """A fault of every clip that no line means."""
        listed = PurePosixPath(names[0]).name if len(names) == 1 or self._layout.only_one else f"{len(names)} listings"
        for clip in self._clips:
            if clip in self._members:
                continue
            where, clip_id = f"{self._archive}:{clip}", PurePosixPath(clip).stem
            if clip_id in clips_by_id:
                found = f"a second clip {clip_id}, beside {clips_by_id[clip_id]}"
                yield InputError(where, found, "one clip an id", "remove one of them")
            else:
                found = f"no row {clip_id} in {listed}"
                yield InputError(where, found, "one row a clip", "add the row or remove the clip")


def _relative(first: str, second: str) -> str:
    """Where a line is, seen from another: by its number in the same file."""
    file, _, number = first.rpartition(":")
    return f"on line {number}" if second.rpartition(":")[0] == file else f"at {first}"
