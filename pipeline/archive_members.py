"""Members of a tar or a zip, read as a stream and never unpacked to disk: the checks that keep a reader safe."""

from __future__ import annotations

import bz2
import contextlib
import lzma
import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dtc.errors import InputError

LARGEST_MEMBER_BYTES = 1 << 30  # an hour of 16-bit stereo at 48 kHz is 0.7 GB: a larger file is no clip
LARGEST_RATIO = 200  # of all bytes unpacked to the archive's own; speech is below 20, silence alone is far above
SPARE_BYTES = 64 << 20  # a small archive may unpack to this much at any ratio
LARGEST_HEADER_BYTES = 1 << 20  # of a tar's extended header, which holds a name

FETCH_AGAIN = "run `dtc download` again"  # the download replaces an archive that is not right
PACK_AGAIN = "pack it again"
DO_NOT_USE = "do not use this archive"

Wanted = Callable[[str], bool]  # whether the member with this name is to be read


@dataclass(frozen=True)
class Member:
    """A file in an archive or in a folder."""

    name: str
    content: bytes
    first_byte: int | None  # where the content lies, uncompressed, in the archive's file: plain tars only


class Damaged(Exception):
    """The archive cannot be read as the kind of archive that its first bytes announce."""


class Allowance:
    """Count the bytes that an archive unpacks to, so that kilobytes cannot become terabytes.

    It stands between tarfile and the decompressed stream that `read` reads.
    """

    def __init__(self, archive: Path, read: Callable[[int], bytes]) -> None:
        self._archive, self._read = archive, read
        self._left = LARGEST_RATIO * archive.stat().st_size + SPARE_BYTES

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes of the stream, b"" at its end."""
        content = self._read(size)
        self.spend(len(content))
        return content

    def spend(self, size: int) -> None:
        """Count unpacked bytes. Raises InputError where they are too many in all."""
        self._left -= size
        if self._left < 0:
            expected = f"at most {LARGEST_RATIO} times its own size and {SPARE_BYTES} bytes"
            raise InputError(self._archive, "unpacks to more bytes than recordings do", expected, DO_NOT_USE)


def clean_name(archive: Path, name: str) -> str:
    """Return a member's name without needless dots and slashes. Raises InputError for one that leads out."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        shown = name if name.isprintable() else ascii(name)
        raise InputError(f"{archive}:{shown}", "path leads out of the archive", remedy=DO_NOT_USE)
    return path.as_posix()


def check_wanted(archive: Path, name: str, size: int) -> None:
    """Raise InputError for a member that is to be read and has a name that cannot be shown, or is too large."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        found = "control characters, or bytes that are not UTF-8, in the name"
        raise InputError(f"{archive}:{name!a}", found, remedy="rename it")
    if "\\" in name:
        raise InputError(f"{archive}:{name}", "a backslash in the name", "folders divided by /", "rename it")
    if size > LARGEST_MEMBER_BYTES:
        expected = f"at most {LARGEST_MEMBER_BYTES}"
        raise InputError(f"{archive}:{name}", f"{size} bytes", expected, "split the recording into clips")


# ── tar ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

EXTENDED = (b"x", b"g", b"X", b"L", b"K")  # types of headers: pax, pax for all, Solaris, GNU's long name, long link
BUFFER_BYTES = 1 << 16  # read at once; what is left of them is copied at every header
SPECIAL: tuple[
    tuple[Callable[[tarfile.TarInfo], bool], str, str, str], ...
] = (  # test of a header, what it finds, what is expected, how to pack it again
    (tarfile.TarInfo.islnk, "a hard link", "regular files only", "with --hard-dereference"),
    (tarfile.TarInfo.issym, "a symbolic link", "regular files only", "with --dereference --hard-dereference"),
    (tarfile.TarInfo.issparse, "a sparse file", "whole files only", "without --sparse"),
    (lambda header: not (header.isreg() or header.isdir()), "a device", "regular files only", "without it"),
)


class _Header(tarfile.TarInfo):
    """A header, refused where tarfile would take a damaged one for the end of the archive, or one of any size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """Parse one block of 512 bytes. Raises Damaged for a bad header; a block of zeros ends the archive."""
        if not buf.strip(b"\0") and len(buf) == tarfile.BLOCKSIZE:
            return super().frombuf(buf, encoding, errors)  # raises what tells tarfile that the archive ends here
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise Damaged(error) from None
        if header.size < 0 or (header.type in EXTENDED and header.size > LARGEST_HEADER_BYTES):
            raise Damaged(f"an extended header of {header.size} bytes" if header.size > 0 else "a negative size")
        return header


def read_tar(stream: Allowance, archive: Path, plain: bool, wanted: Wanted) -> Iterator[Member]:
    """Yield the wanted files of an uncompressed stream, in its order. Raises InputError, Damaged or TarError."""
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BUFFER_BYTES, encoding="utf-8", tarinfo=_Header) as tar:  # type: ignore[call-overload]
        while (header := tar.next()) is not None:
            tar.members.clear()  # tarfile would keep every header in memory
            name = clean_name(archive, header.name)
            for is_special, found, expected, how in SPECIAL:
                if is_special(header):
                    raise InputError(f"{archive}:{name}", found, expected, f"{PACK_AGAIN} {how}")
            if header.size < 0:  # by an extended header
                raise Damaged("a negative size")
            if header.isdir() or not wanted(name):
                continue
            check_wanted(archive, name, header.size)
            content = tar.extractfile(header).read(header.size)
            yield Member(name, content, header.offset_data if plain else None)
        # Read to the end: decompression then checks its sums, and a header that was zeroed shows by what follows it.
        while rest := tar.fileobj.read(tarfile.RECORDSIZE):
            if rest.strip(b"\0"):
                raise Damaged("there is more data after the end that it marks")


# ── zip ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
# zipfile reads the list of members. Contents are unpacked here, as zipfile does not bound what bzip2 and LZMA yield.

LOCAL = b"PK\x03\x04"
ZIP_STARTS = (LOCAL, b"PK\x05\x06")  # of a zip with members and of one without
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature … bytes of the name, bytes of the extra field
DESCRIPTOR_BYTES = 24  # sizes and CRC, at most, behind a content that was written as a stream
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: the content, strongly, the list of members
UTF_8 = 0x800  # flag bit: the name is UTF-8
UNICODE_PATH = 0x7075  # Info-ZIP's extra field: version (1), CRC-32 of the plain name (4), the name in UTF-8


def read_zip(file: BinaryIO, archive: Path, wanted: Wanted) -> Iterator[Member]:
    """Yield the wanted files, in the order of their places. Raises InputError or Damaged, or what zipfile does."""
    allowance, listed = Allowance(archive, file.read), zipfile.ZipFile(file)
    infos = sorted(listed.infolist(), key=lambda info: info.header_offset)
    places = [info.header_offset for info in infos] + [listed.start_dir]
    if places[0] != 0:
        raise Damaged("its list of members lacks the first")
    for info, end in zip(infos, places[1:], strict=True):
        packed_name = info.orig_filename.encode("utf-8" if info.flag_bits & UTF_8 else "cp437")
        full_name = _decode_name(info, packed_name).replace("\\", "/")  # as some programs for Windows write it
        name = clean_name(archive, full_name)
        where = f"{archive}:{name}"
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(where, "a link or device", "regular files only", "pack it again without links")
        first_byte = _locate(file, where, info, packed_name, end)
        if not full_name.endswith("/") and wanted(name):
            check_wanted(archive, name, max(info.file_size, info.compress_size))
            allowance.spend(info.file_size)
            file.seek(first_byte)
            yield Member(name, _unpack(where, info, file.read(info.compress_size)), None)


def _decode_name(info: zipfile.ZipInfo, packed: bytes) -> str:
    """Return a member's name. Without a flag or a field that says so, it is UTF-8 if it can be, else code page 437."""
    if not info.flag_bits & UTF_8:
        with contextlib.suppress(UnicodeDecodeError):
            return (_unicode_path(info.extra, packed) or packed).decode("utf-8")
    return info.orig_filename


def _unicode_path(extra: bytes, packed_name: bytes) -> bytes | None:
    """Return the name in Info-ZIP's extra field, where there is one and it belongs to this plain name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and field[:5] == struct.pack("<BI", 1, zlib.crc32(packed_name)):
            return field[5:]
    return None


def _locate(file: BinaryIO, where: str, info: zipfile.ZipInfo, packed_name: bytes, end: int) -> int:
    """Return where a member's compressed bytes begin. They lie before `end`, where the next member or the list begins.

    Raises InputError where the list of members and the members differ, or a member is encrypted.
    """
    if info.flag_bits & ENCRYPTED:
        raise InputError(where, "encrypted", "a member that can be read", "pack it again without a password")
    file.seek(info.header_offset)
    signature, name_bytes, extra_bytes = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    if signature != LOCAL or file.read(name_bytes) != packed_name:
        raise InputError(where, "is not where the list of members says", remedy=FETCH_AGAIN)
    first_byte: int = info.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes
    behind = first_byte + info.compress_size
    if behind > end:
        raise InputError(where, "overlaps the member behind it", "members side by side", DO_NOT_USE)
    file.seek(behind)
    if LOCAL in file.read(min(end - behind, DESCRIPTOR_BYTES + len(LOCAL))):
        raise InputError(where, "a member behind it that the list of members lacks", remedy=FETCH_AGAIN)
    return first_byte


def _unpack(where: str, info: zipfile.ZipInfo, packed: bytes) -> bytes:
    """Return a member's content. Raises InputError where its size or its CRC-32 is not the declared one."""
    if info.compress_type not in UNPACKERS:
        found = f"compressed by method {info.compress_type}"
        raise InputError(where, found, "stored, deflate, bzip2 or LZMA", PACK_AGAIN)
    try:
        content = UNPACKERS[info.compress_type](packed, info.file_size + 1)  # one byte more would show
    except Exception as error:  # each method raises others
        raise InputError(where, f"does not unpack ({error})", remedy=FETCH_AGAIN) from None
    if len(content) != info.file_size:
        found = f"{'more' if len(content) > info.file_size else len(content)} bytes"
        raise InputError(where, found, f"{info.file_size}, as declared", FETCH_AGAIN)
    if zlib.crc32(content) != info.CRC:
        raise InputError(where, f"CRC {zlib.crc32(content):08x}", f"{info.CRC:08x}, as declared", FETCH_AGAIN)
    return content


def _unpack_lzma(packed: bytes, most: int) -> bytes:
    """Unpack a zip's LZMA: version (2 bytes), size of the properties (2), the properties, the data.

    The old .lzma format differs in its header alone: the properties and the content's size (-1: not known).
    """
    (properties,) = struct.unpack_from("<2xH", packed)
    header, data = packed[4 : 4 + properties] + b"\xff" * 8, packed[4 + properties :]
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=1 << 28).decompress(header + data, most)


UNPACKERS: dict[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_STORED: lambda packed, most: packed[:most],
    zipfile.ZIP_DEFLATED: lambda packed, most: zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most),
    zipfile.ZIP_BZIP2: lambda packed, most: bz2.BZ2Decompressor().decompress(packed, most),
    zipfile.ZIP_LZMA: _unpack_lzma,
}
