"""Archives, read as a stream and never unpacked; and a folder packed into one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dtc.errors import InputError
from pipeline.archive_members import FETCH_AGAIN, PACK_AGAIN, Allowance, Damaged, Member, check_name, check_size
from pipeline.zip_archives import STARTS, read_zip

__all__ = ["Member", "pack_folder", "plain_member", "read_member_at", "read_members"]

LARGEST_HEADER_BYTES = 1 << 20  # of a tar's extended header: a name
READABLE = "a tar (plain, gzip, bzip2 or xz) or a zip"
Compressed = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], Compressed]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"BZh": bz2.BZ2File, b"\xfd7zXZ\x00": lzma.LZMAFile,
}  # fmt: skip
FOREIGN = {
    b"7z\xbc\xaf": "a 7-Zip archive", b"Rar!": "a RAR archive", b"(\xb5/\xfd": "a Zstandard file",
    b"RIFF": "a WAV file", b"fLaC": "a FLAC file", b"OggS": "an Ogg file", b"<!": "a web page", b"<h": "a web page",
}  # fmt: skip
DAMAGES = (
    Damaged, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, UnicodeDecodeError,
    NotImplementedError, OverflowError, EOFError, OSError,
)  # fmt: skip


def read_members(archive: Path) -> Iterator[Member]:
    """Every file of a tar (plain, gzip, bzip2, xz) or a zip, in the archive's order, one in memory at a time.

    Raises InputError for what is neither, is damaged or ends early, unpacks to more than recordings do, or holds a
    member that is not a plain file, leads out of the archive, is too large, or has another one's name.
    """
    seen = set[str]()
    for member in _read(archive):
        if member.name in seen:
            raise InputError(f"{archive}:{member.name}", "a second member of this name", "one", PACK_AGAIN)
        seen.add(member.name)
        yield member


def read_member_at(archive: Path | BinaryIO, first_byte: int, size_bytes: int) -> bytes:
    """A member's content from its place in a plain tar. Raises InputError where the file ends before it."""
    if isinstance(archive, Path):
        try:
            with archive.open("rb") as file:
                return read_member_at(file, first_byte, size_bytes)
        except OSError as error:
            raise InputError(archive, f"cannot be read ({error})", remedy=FETCH_AGAIN) from None
    archive.seek(first_byte)
    content = archive.read(size_bytes)
    if len(content) != size_bytes:
        found = f"ends before byte {first_byte + size_bytes}"
        raise InputError(archive.name, found, "the archive that was verified", "run `dtc verify` again")
    return content


def _read(archive: Path) -> Iterator[Member]:
    kind = "tar or zip"
    try:
        with archive.open("rb") as file:
            head = file.read(tarfile.BLOCKSIZE)
            file.seek(0)
            magic = head if head[257:262] != b"ustar" else b""  # a plain tar begins with a name, which may be any
            foreign = [what for start, what in FOREIGN.items() if magic.startswith(start)]
            if foreign or not head:
                raise InputError(archive, foreign[0] if foreign else "an empty file", READABLE, FETCH_AGAIN)
            if magic.startswith(STARTS):
                kind = "zip"
                yield from read_zip(file, archive, Allowance.of(archive))
                return
            compressed = [decompress for start, decompress in DECOMPRESSORS.items() if magic.startswith(start)]
            kind = "tar" if compressed else kind
            stream = _Stream(compressed[0](file) if compressed else file, Allowance.of(archive))
            yield from _read_tar(stream, archive, plain=not compressed)
    except FileNotFoundError:
        raise InputError(archive, "no such file", "the corpus's archive", "run `dtc download` first") from None
    except DAMAGES as error:
        raise InputError(archive, f"does not read as a {kind} archive ({error})", READABLE, FETCH_AGAIN) from None


class _Stream:
    """Bytes in the sizes that a reader asks for, and counted."""

    def __init__(self, source: Compressed | BinaryIO, allowance: Allowance) -> None:
        self._source, self._allowance = source, allowance
        self.position = 0

    def read(self, size: int) -> bytes:
        self._allowance.spend(size)  # before it is in memory
        content = self._source.read(size)
        self.position += len(content)
        return content

    def read_exactly(self, size: int) -> bytes:
        content = self.read(size)
        if len(content) != size:
            raise Damaged("it ends early")
        return content


# --- tar. tarfile's own reader keeps every header in memory, takes a cut or zeroed header for the end of the archive
# and reads extended headers of any size: all that is used of it is its parser of one header.


def _read_tar(stream: _Stream, archive: Path, plain: bool) -> Iterator[Member]:
    while (header := _next_header(stream, archive)) is not None:
        if header.isdir():
            continue
        first_byte = stream.position
        content = stream.read_exactly(header.size)
        stream.read_exactly(-header.size % tarfile.BLOCKSIZE)
        yield Member(header.name, content, first_byte if plain else None)
    while rest := stream.read(tarfile.RECORDSIZE):  # to the end, which also has decompression check its sums
        if rest.count(0) != len(rest):
            raise Damaged("there is more behind the end that it marks")


def _next_header(stream: _Stream, archive: Path) -> tarfile.TarInfo | None:
    """The header of the next file or folder, checked, its long name in place; None at the end marker."""
    said: dict[str, str] = {}  # by extended headers of the member behind them
    while (block := stream.read_exactly(tarfile.BLOCKSIZE)).strip(b"\0"):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            said |= _parse_pax(_read_extension(stream, header))
        elif header.type == tarfile.GNUTYPE_LONGNAME:
            said["path"] = _read_extension(stream, header).rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif header.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):  # of all members: comments; of links: refused
            _read_extension(stream, header)
        else:
            header.name = check_name(archive, said.get("path", header.name))
            header.size = _parse_size(said.get("size", str(header.size)))
            is_sparse = header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in said)
            _check_header(f"{archive}:{header.name}", header, is_sparse)
            return header
    return None


def _check_header(where: str, header: tarfile.TarInfo, is_sparse: bool) -> None:
    if is_sparse:
        raise InputError(where, "a sparse file", "whole files only", "pack it again without --sparse")
    if not (header.isreg() or header.isdir()):
        raise InputError(where, "a link or device", "regular files only", "pack it again with --dereference")
    check_size(where, header.size)


def _read_extension(stream: _Stream, header: tarfile.TarInfo) -> bytes:
    if not 0 <= header.size <= LARGEST_HEADER_BYTES:
        raise Damaged(f"an extended header of {header.size} bytes")
    content = stream.read_exactly(header.size)
    stream.read_exactly(-header.size % tarfile.BLOCKSIZE)
    return content


def _parse_pax(content: bytes) -> dict[str, str]:
    """Keys and values of records `LENGTH KEY=VALUE` and a newline; the length counts the whole record (POSIX, pax)."""
    records: dict[str, str] = {}
    start = 0
    while start < len(content):
        length, _, _ = content[start : start + 20].partition(b" ")
        end = start + _parse_size(length.decode("ascii", "replace"))
        key, equals, value = content[start + len(length) + 1 : end - 1].partition(b"=")
        if not equals or content[end - 1 : end] != b"\n":
            raise Damaged("an extended header that is none")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        start = end
    return records


def _parse_size(digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", digits):
        raise Damaged(f"a size of {digits!a}")
    return int(digits)


# --- packing


def pack_folder(folder: Path, archive: Path) -> None:
    """Pack the files of a folder into a plain tar; equal files give equal bytes, whenever and whoever packs them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder)))
    with tarfile.open(archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            name = PurePosixPath(folder.name, path.relative_to(folder).as_posix()).as_posix()
            with path.open("rb") as content:
                tar.addfile(plain_member(name, path.stat().st_size), content)


def _is_hidden(path: Path) -> bool:
    """Whether a file is an editor's or a version control's, by its name or a folder's."""
    return any(part.startswith(".") for part in path.parts)


def plain_member(name: str, size_bytes: int) -> tarfile.TarInfo:
    """A tar header that says nothing but name and size: no time, no owner, mode 0644."""
    member = tarfile.TarInfo(name)  # the constructor's times and owners are 0
    member.size, member.mode = size_bytes, 0o644
    return member
