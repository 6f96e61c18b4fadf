"""Find the samples of a WAV file by its chunks, and name a header that was never finished.

libsndfile reads a WAV leniently: it shortens a file that was cut off, ignores a second `data` chunk, and takes a header
that was never finished as an empty file. So the chunks are read here. What libsndfile then gets, if anything, is a WAV
that was put together again from the format and the samples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dtc.errors import InputError

BYTE_ORDERS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}
RIFF_OF = {"<": b"RIFF", ">": b"RIFX"}
LARGEST_SIZE = 0xFFFFFFFF  # in an RF64 file: the size stands in the chunk `ds64`
# A program that writes to a pipe puts a placeholder where the size of the data belongs: 0, 0x7ffff000, 0x7fffffff,
# 0x80000000, 0xffffffff or a value near it. No clip has 1 GiB, so a size from there on that is not there is one.
PLACEHOLDER = 1 << 30
NAMES_BEHIND = (b"LIST", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"bext", b"iXML", b"_PMX")  # of chunks behind samples
MOST_UNCOUNTED_S = 0.1  # of sound that may follow the last chunk as garbage, without doubt about the header


class Chunk(NamedTuple):
    """A chunk of a WAV file."""

    name: bytes
    start: int  # of its contents in the file
    size: int  # of its contents in bytes, as its header says


class WaveParts(NamedTuple):
    """The two chunks of a WAV file that matter, its format and its samples; and what the format says."""

    byte_order: str  # as in the module struct
    format: bytes  # contents of the chunk `fmt `
    data: memoryview  # bytes of the samples: all that the file holds
    codec: int  # 1: integers
    channels: int
    sampling_rate: int  # Hz
    block_bytes: int  # of one sample of all channels; at least 1
    bits: int

    def as_file(self) -> bytes:
        """Return a WAV file of these two chunks, with correct sizes."""
        size = struct.Struct(self.byte_order + "I")
        chunks = b"WAVE"
        for name, contents in ((b"fmt ", self.format), (b"data", self.data)):
            chunks += name + size.pack(len(contents)) + contents + b"\0" * (len(contents) % 2)
        return RIFF_OF[self.byte_order] + size.pack(len(chunks)) + chunks


def read_wave_parts(source: bytes, where: str) -> WaveParts | None:
    """Return the format and the samples of a WAV file (RIFF, RIFX, RF64 or BW64); None if it is no WAV.

    Samples whose size is a placeholder, or 0 with samples behind it, reach to the end of the file.
    Raises InputError, naming `where`, if a chunk is missing, the samples end early, there are several `data` chunks, or
    more sound follows than the header counts.
    """
    byte_order = BYTE_ORDERS.get(source[:4])
    if byte_order is None or source[8:12] != b"WAVE":
        return None
    chunks = list(_chunks(source, 12, byte_order))
    form, data = _format_and_data(source, chunks, where)
    size, rest = _data_size(source, data, chunks, byte_order), len(source) - data.start
    format = source[form.start : form.start + form.size]
    codec, channels, rate, _, block_bytes, bits = struct.unpack_from(byte_order + "HHIIHH", format.ljust(16, b"\0"))
    block_bytes = max(1, block_bytes)
    if size // block_bytes > rest // block_bytes:
        raise InputError(where, f"ends after {rest // block_bytes} samples", f"{size // block_bytes}", "copy it again")
    end = len(source) if size != data.size else chunks[-1].start + chunks[-1].size
    uncounted = len(source[end:].rstrip(b"\0"))
    if uncounted > MOST_UNCOUNTED_S * rate * block_bytes:
        found = f"{uncounted:,} bytes behind the {size // block_bytes} samples that the header counts"
        raise InputError(where, found, "a finished header", "export it again: the header was never finished")
    samples = memoryview(source)[data.start : data.start + size]
    return WaveParts(byte_order, format, samples, codec, channels, rate, block_bytes, bits)


def _format_and_data(source: bytes, chunks: list[Chunk], where: str) -> tuple[Chunk, Chunk]:
    """Return the two chunks that matter. Raises InputError if one is missing or there are several that differ."""
    data = [chunk for chunk in chunks if chunk.name == b"data"]
    form = next((chunk for chunk in chunks if chunk.name == b"fmt "), None)
    if not data or form is None:
        found = "does not decode (a WAV without a format or without samples)"
        raise InputError(where, found, "the chunks `fmt ` and `data`", "copy it again, or remove it and its row")
    if sum(chunk.size > 0 for chunk in chunks if chunk.name in (b"data", *BYTE_ORDERS)) > 1:
        found = "several `data` chunks, or a second WAV behind the first"
        raise InputError(where, found, "one", "export it again as one plain WAV")
    if len({source[chunk.start : chunk.start + chunk.size] for chunk in chunks if chunk.name == b"fmt "}) > 1:
        raise InputError(where, "several `fmt ` chunks that differ", "one", "export it again as one plain WAV")
    return form, next((chunk for chunk in data if chunk.size), data[0])


def _chunks(source: bytes, position: int, byte_order: str) -> Iterator[Chunk]:
    """Yield the chunks from `position` on, up to one that is none or that reaches past the end."""
    while position + 8 <= len(source) and _is_name(source[position : position + 4]):
        (size,) = struct.unpack_from(byte_order + "I", source, position + 4)
        yield Chunk(source[position : position + 4], position + 8, size)
        position += 8 + size
        # Chunks start at even bytes. Some programs forget the byte of padding.
        if size % 2 and (source[position : position + 1] == b"\0" or not _is_name(source[position : position + 4])):
            position += 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and name.isascii() and name.decode("ascii").isprintable()


def _data_size(source: bytes, data: Chunk, chunks: list[Chunk], byte_order: str) -> int:
    """Return the bytes of the samples: as declared, or up to the end of the file where the size was never filled in."""
    size, rest = data.size, len(source) - data.start
    if source[:4] in (b"RF64", b"BW64") and size == LARGEST_SIZE and chunks[0].name == b"ds64":
        size = int.from_bytes(source[chunks[0].start + 8 : chunks[0].start + 16], "little")
    if size == 0:
        behind = list(_chunks(source, data.start, byte_order))
        if behind and behind[-1].start + behind[-1].size <= len(source):
            return 0  # an empty file with other chunks
    (riff_size,) = struct.unpack_from(byte_order + "I", source, 4)
    is_whole = riff_size + 8 == len(source)  # a file that was cut off says that it is longer
    if size == 0 or (size > rest and (size >= PLACEHOLDER or is_whole)):
        return _end_of_samples(source, data.start, byte_order) - data.start
    return size


def _end_of_samples(source: bytes, start: int, byte_order: str) -> int:
    """Return where the chunks begin that reach from behind the samples exactly to the end of the file; else its end."""
    for name in NAMES_BEHIND:
        at = source.rfind(name, start)
        behind = list(_chunks(source, at, byte_order)) if at >= 0 else []
        if behind and behind[-1].start + behind[-1].size + behind[-1].size % 2 == len(source):
            return at
    return len(source)
