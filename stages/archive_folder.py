"""Record which files `dtc download` has put into data/archive, so that no other file is replaced or deleted.

The record is kept in runs/, as DVC empties data/archive before it runs the stage.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydantic import ValidationError

from dtc.config import Section
from dtc.errors import InputError, named
from dtc.files import write_whole
from dtc.provenance import md5_of
from stages import paths

REMEDY = "move it elsewhere; to train on it, set corpus.source to its new place"


class Placed(Section):
    """A file that was put into the folder, or is about to be."""

    name: str
    bytes: int
    md5: str

    def is_at(self, path: Path) -> bool:
        """Return whether the file at `path` is this one, unchanged."""
        return path.is_file() and path.stat().st_size == self.bytes and md5_of(path) == self.md5


class Note(Section):
    """The files that `dtc download` has written.

    A name may be there twice: before a file is replaced, the new one is noted beside the old one, so that every file of
    dtc is known if the process is killed in between.
    """

    files: tuple[Placed, ...] = ()  # in data/archive
    parts: tuple[str, ...] = ()  # downloads that have begun, in data/archive.part

    @classmethod
    def read(cls) -> Note:
        """Return the note that was written last; an empty one where there is none."""
        try:
            return cls.model_validate_json(paths.DOWNLOADED.read_bytes())
        except (FileNotFoundError, ValidationError):
            return cls()

    def add(self, *files: Placed) -> Note:
        """Note that these files are about to be put into the folder, and return the new note."""
        return self._write(self.files + tuple(file for file in files if file not in self.files), self.parts)

    def begin(self, part: Path) -> Note:
        """Note that a download is written to `part`, and return the new note.

        Raises InputError where a file is there that no download has written.
        """
        has_sidecar = part.with_name(f"{part.name}.json").is_file()  # begun by a version of dtc that wrote no notes
        if part.exists() and part.name not in self.parts and not has_sidecar:
            raise InputError(part, "was not written by dtc", "nothing, or a download that has begun", REMEDY)
        return self._write(self.files, tuple(dict.fromkeys((*self.parts, part.name))))

    def require_no_others(self, *kept: str) -> None:
        """Raise InputError, naming them, where files in the folder are neither noted nor named in `kept`."""
        inside = sorted(paths.ARCHIVE.iterdir()) if paths.ARCHIVE.is_dir() else []
        others = [path.name for path in inside if path.name not in kept and not self._has(path)]
        if others:
            raise InputError(paths.ARCHIVE, f"{named(others)} there, which dtc did not write", "none", REMEDY)

    def tidy(self, *kept: Placed) -> Note:
        """Delete the noted files except `kept`, and the remains of downloads; return the new note."""
        for file in self.files:
            if file.name not in {each.name for each in kept} and file.is_at(path := paths.ARCHIVE / file.name):
                path.unlink()
        for part in self.parts:
            for name in (part, f"{part}.json", f"{part}.json.part"):
                (paths.ARCHIVE_PART / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not there, or has files of others
            paths.ARCHIVE_PART.rmdir()
        return self._write(kept, ())

    def _has(self, path: Path) -> bool:
        return any(file.name == path.name and file.is_at(path) for file in self.files)

    @staticmethod
    def _write(files: tuple[Placed, ...], parts: tuple[str, ...]) -> Note:
        note = Note(files=files, parts=parts)
        write_whole(paths.DOWNLOADED, note.model_dump_json(indent=2) + "\n")
        return note
