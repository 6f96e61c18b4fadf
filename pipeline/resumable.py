"""A download that is not whole yet: its bytes, their checksums, and in a sidecar what it is a part of."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from dtc.config import Section
from dtc.errors import InputError
from dtc.files import write_whole
from dtc.provenance import Checksums

CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Origin(Section):
    """Which version of which server's file a part is of."""

    url: str
    validator: str | None  # ETag or Last-Modified
    total: int  # bytes; 0: not known


class Part:
    """A file that grows, and that another process can go on with after a kill.

    The checksums are of all its bytes, computed once: over what is there at the start, then over what comes.
    """

    def __init__(self, path: Path, verifiable: bool, advance: Callable[[int, int], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.advance = path, advance
        self.verifiable = verifiable  # a checksum tells in the end
        self.sums = Checksums.of(path) if path.exists() else Checksums()
        self.pieced = False  # of more than one answer
        self._sidecar = path.with_name(path.name + ".json")
        self.origin = self._read_origin()

    def _read_origin(self) -> Origin | None:
        try:
            return Origin.model_validate_json(self._sidecar.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def start_over(self) -> None:
        """Forget all of it."""
        self.path.unlink(missing_ok=True)  # first: no origin must lie beside the bytes of another file
        self._sidecar.unlink(missing_ok=True)
        self.sums, self.pieced, self.origin = Checksums(), False, None

    def remember(self, origin: Origin) -> None:
        """Say what the bytes that follow are of; written before they are."""
        self.origin = origin
        write_whole(self._sidecar, origin.model_dump_json())

    def grow(self, chunks: Iterable[bytes], total: int) -> None:
        """Append what comes, and tell of `total` bytes how many are there."""
        with self.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                self.sums.add(chunk)
                self.advance(self.sums.bytes, total)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may keep the archive's name and lose its bytes

    def check_room(self, size_bytes: int) -> None:
        """Raises InputError where the disk has no room for as many bytes more."""
        if (free := shutil.disk_usage(self.path.parent).free) < size_bytes:
            remedy = "make room and run it again"
            raise InputError(self.path.parent, f"{free:,} bytes free", f"{size_bytes:,} for the archive", remedy)

    def range_headers(self, url: str) -> dict[str, str]:
        """What asks a server for the rest alone.

        If-Range has it send the whole file where that has changed. Where a checksum tells in the end, the rest is also
        asked of a mirror, or of a server that names no versions.
        """
        validator = self.origin.validator if self.origin and self.origin.url == url else None
        if not self.sums.bytes or not (validator or self.verifiable):
            return {}
        return {"Range": f"bytes={self.sums.bytes}-"} | ({"If-Range": validator} if validator else {})

    def origin_of_rest(self, content_range: str, length: int, url: str, validator: str | None) -> Origin | None:
        """What a partial answer is of; None where it does not go on just here, or is of another file than the part."""
        match = CONTENT_RANGE.fullmatch(content_range.strip())
        if match is None:
            return None
        first, last, total = int(match[1]), int(match[2]), int(match[3].replace("*", "0"))
        if first != self.sums.bytes or (length and length != last + 1 - first):
            return None
        known = self.origin or Origin(url=url, validator=validator, total=total)
        same = known.validator if known.url == url else None  # mirrors name the same file differently
        # A rest need not repeat a date. An ETag it must, else only a checksum tells whether it is of the same file.
        unnamed = validator is None and (self.verifiable or not (same or "").startswith('"'))
        if (total and known.total and total != known.total) or (same and validator != same and not unnamed):
            return None
        return Origin(url=url, validator=validator or same, total=total or known.total)

    def move(self, archive: Path) -> None:
        """Put the whole file in its place."""
        self.path.replace(archive)
        self._sidecar.unlink(missing_ok=True)
