"""Members of a zip. zipfile reads the list of them; contents are unpacked here, where what they yield is bounded."""

from __future__ import annotations

import bz2
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from dtc.errors import InputError
from pipeline.archive_members import (
    DO_NOT_USE,
    FETCH_AGAIN,
    PACK_AGAIN,
    Allowance,
    Damaged,
    Member,
    check_name,
    check_size,
)

LOCAL = b"PK\x03\x04"
STARTS = (LOCAL, b"PK\x05\x06")  # of a zip with members and of one without
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature … bytes of the name, bytes of the extra field
DESCRIPTOR_BYTES = 24  # sizes and sum, at most, behind a content that was written as a stream
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: the content, strongly, the list of members


def read_zip(file: BinaryIO, archive: Path, allowance: Allowance) -> Iterator[Member]:
    """Every file, in the order of their places. Raises InputError or Damaged, or what zipfile does."""
    listed = zipfile.ZipFile(file)
    infos = sorted(listed.infolist(), key=lambda info: info.header_offset)
    places = [info.header_offset for info in infos] + [listed.start_dir]
    if places[0] != 0:
        raise Damaged("its list of members lacks the first")
    for info, end in zip(infos, places[1:], strict=True):
        name = check_name(archive, info.orig_filename)
        where = f"{archive}:{name}"
        _check(where, info)
        allowance.spend(info.file_size)
        packed = _read_packed(file, where, info, end)
        if not info.is_dir():
            yield Member(name, _unpack(where, info, packed), None)


def _check(where: str, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & ENCRYPTED:
        raise InputError(where, "encrypted", "a member that can be read", "pack it again without a password")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(where, "a link or device", "regular files only", PACK_AGAIN)
    if info.compress_type not in UNPACKERS:
        found = f"compressed by method {info.compress_type}"
        raise InputError(where, found, "stored, deflate, bzip2 or LZMA", PACK_AGAIN)
    check_size(where, max(info.file_size, info.compress_size))


def _read_packed(file: BinaryIO, where: str, info: zipfile.ZipInfo, end: int) -> bytes:
    """A member's compressed bytes, which lie before `end`, where the next one or the list of all begins."""
    file.seek(info.header_offset)
    signature, name_bytes, extra_bytes = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    name = file.read(name_bytes).decode("utf-8" if info.flag_bits & 0x800 else "cp437")
    if signature != LOCAL or name != info.orig_filename:
        raise InputError(where, "not where the list of members says", remedy=FETCH_AGAIN)
    first = info.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes
    if first + info.compress_size > end:
        raise InputError(where, "overlaps the member behind it", "members side by side", DO_NOT_USE)
    file.seek(first)
    packed = file.read(info.compress_size)
    if LOCAL in file.read(min(end - file.tell(), DESCRIPTOR_BYTES + len(LOCAL))):
        raise InputError(where, "a member behind it that the list of members lacks", remedy=FETCH_AGAIN)
    return packed


def _unpack(where: str, info: zipfile.ZipInfo, packed: bytes) -> bytes:
    """The content, which must be as long as declared and have the declared sum."""
    try:
        content = UNPACKERS[info.compress_type](packed, info.file_size + 1)  # one more would show
    except (zlib.error, lzma.LZMAError, OSError, EOFError, struct.error) as error:
        raise InputError(where, f"does not unpack ({error})", remedy=FETCH_AGAIN) from None
    if len(content) != info.file_size:
        found = f"{'more' if len(content) > info.file_size else len(content)} bytes"
        raise InputError(where, found, f"{info.file_size}, as declared", FETCH_AGAIN)
    if zlib.crc32(content) != info.CRC:
        raise InputError(where, f"CRC {zlib.crc32(content):08x}", f"{info.CRC:08x}, as declared", FETCH_AGAIN)
    return content


def _unpack_lzma(packed: bytes, most: int) -> bytes:
    """A zip's LZMA: version (2 bytes), size of the properties (2), the properties, the data.

    The same as the old .lzma format but for its header: the properties and the content's size (-1: not said).
    """
    (properties,) = struct.unpack_from("<2xH", packed)
    header = packed[4 : 4 + properties] + b"\xff" * 8
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=1 << 28).decompress(
        header + packed[4 + properties :], most
    )


UNPACKERS: dict[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_STORED: lambda packed, most: packed[:most],
    zipfile.ZIP_DEFLATED: lambda packed, most: zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most),
    zipfile.ZIP_BZIP2: lambda packed, most: bz2.BZ2Decompressor().decompress(packed, most),
    zipfile.ZIP_LZMA: _unpack_lzma,
}
