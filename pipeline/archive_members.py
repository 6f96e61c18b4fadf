"""A file in an archive, and what none may be: the checks that every kind of archive shares."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dtc.errors import InputError

LARGEST_MEMBER_BYTES = 1 << 30  # an hour of 16-bit stereo at 48 kHz is 0.7 GB; more in one file is no clip
LARGEST_RATIO = 200  # of all bytes unpacked to the archive's; sound is below 20, silence alone is far above
SPARE_BYTES = 64 << 20  # a small archive may unpack to this much at any ratio

FETCH_AGAIN = "run `dtc download` again"  # which replaces what is not right
PACK_AGAIN = "pack it again"
DO_NOT_USE = "do not use this archive"


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    content: bytes
    first_byte: int | None  # where the content lies, as it is, in the archive's file: plain tars only


class Damaged(Exception):
    """The archive does not read as what its first bytes say it is."""


@dataclass
class Allowance:
    """How many bytes an archive may unpack to: a few kilobytes must not become a terabyte."""

    archive: Path
    left: int

    @classmethod
    def of(cls, archive: Path) -> Allowance:
        """By the archive's own size."""
        return cls(archive, LARGEST_RATIO * archive.stat().st_size + SPARE_BYTES)

    def spend(self, size: int) -> None:
        """Count bytes. Raises InputError where it is too much in all."""
        self.left -= size
        if self.left < 0:
            expected = f"at most {LARGEST_RATIO} times its own size and {SPARE_BYTES} bytes"
            raise InputError(self.archive, "unpacks to more bytes than recordings do", expected, DO_NOT_USE)


def check_name(archive: Path, name: str) -> str:
    """A member's name without needless dots and slashes. Raises InputError for a name that could do harm."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        found = "control characters, or bytes that are no UTF-8, in the name"
        raise InputError(f"{archive}:{name!a}", found, remedy=PACK_AGAIN)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise InputError(f"{archive}:{name}", "path leads out of the archive", remedy=DO_NOT_USE)
    if "\\" in name:
        raise InputError(f"{archive}:{name}", "a backslash in the name", "folders divided by /", PACK_AGAIN)
    return path.as_posix()


def check_size(where: str, size: int) -> None:
    """Raise InputError for a member that is too large to be a clip."""
    if size > LARGEST_MEMBER_BYTES:
        raise InputError(where, f"{size} bytes", f"at most {LARGEST_MEMBER_BYTES}", "split the recording into clips")
