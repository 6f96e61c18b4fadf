"""Keep a download that is not complete: its bytes, their checksums, and a sidecar that names the file on the server."""

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
    """The file on a server that a part belongs to, and its version."""

    url: str
    validator: str | None  # ETag or Last-Modified
    total: int  # bytes; 0: not known


class Part:
    """A file that grows, and that a later process can continue after a kill.

    The checksums cover all bytes: those that are there at the start, then those that are appended.
    """

    def __init__(self, path: Path, verifiable: bool, advance: Callable[[int, int], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.advance = path, advance
        self.verifiable = verifiable  # whether a checksum of the whole file is known
        self.sums = Checksums.of(path) if path.exists() else Checksums()
        self.pieced = False  # whether its bytes came in more than one answer
        self._sidecar = path.with_name(path.name + ".json")
        self.origin = self._read_origin()

    def _read_origin(self) -> Origin | None:
        try:
            return Origin.model_validate_json(self._sidecar.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def start_over(self) -> None:
        """Delete the bytes, the sidecar and the checksums."""
        self.path.unlink(missing_ok=True)  # first, so that no sidecar is beside the bytes of another file
        self._sidecar.unlink(missing_ok=True)
        self.sums, self.pieced, self.origin = Checksums(), False, None

    def remember(self, origin: Origin) -> None:
        """Write the sidecar. Called before the bytes that it describes are appended."""
        self.origin = origin
        write_whole(self._sidecar, origin.model_dump_json())

    def grow(self, chunks: Iterable[bytes], total: int) -> None:
        """Append chunks of bytes, and call `advance` with the bytes so far and `total` after each."""
        with self.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                self.sums.add(chunk)
                self.advance(self.sums.bytes, total)
            file.flush()
            os.fsync(file.fileno())  # otherwise a power cut may keep the file's name and lose its bytes

    def check_room(self, size_bytes: int) -> None:
        """Raise InputError where the disk has no room for so many more bytes."""
        if (free := shutil.disk_usage(self.path.parent).free) < size_bytes:
            remedy = "make room and run it again"
            raise InputError(self.path.parent, f"{free:,} bytes free", f"{size_bytes:,} for the archive", remedy)

    def range_headers(self, url: str) -> dict[str, str]:
        """Return the HTTP headers that ask a server for the rest of the file only.

        With If-Range the server sends the whole file where it has changed. Where a checksum is known, the rest is also
        requested from a mirror, and from a server that gives no versions.
        """
        validator = self.origin.validator if self.origin and self.origin.url == url else None
        if not self.sums.bytes or not (validator or self.verifiable):
            return {}
        return {"Range": f"bytes={self.sums.bytes}-"} | ({"If-Range": validator} if validator else {})

    def origin_of_rest(self, content_range: str, length: int, url: str, validator: str | None) -> Origin | None:
        """Return the file that a partial answer belongs to; None where it does not continue this part."""
        match = CONTENT_RANGE.fullmatch(content_range.strip())
        if match is None:
            return None
        first, last, total = int(match[1]), int(match[2]), int(match[3].replace("*", "0"))
        if first != self.sums.bytes or (length and length != last + 1 - first):
            return None
        known = self.origin or Origin(url=url, validator=validator, total=total)
        same = known.validator if known.url == url else None  # mirrors give the same file other validators
        # A partial answer need not repeat a date. It must repeat an ETag, or only a checksum can identify the file.
        unnamed = validator is None and (self.verifiable or not (same or "").startswith('"'))
        if (total and known.total and total != known.total) or (same and validator != same and not unnamed):
            return None
        return Origin(url=url, validator=validator or same, total=total or known.total)

    def move(self, archive: Path) -> None:
        """Move the whole file to its place, and delete the sidecar."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(archive)
        self._sidecar.unlink(missing_ok=True)
