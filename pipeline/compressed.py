"""Check that an Ogg, MP3 or FLAC file is whole and undamaged, and remove ID3 tags.

libsndfile skips a damaged page of an Ogg file. It estimates the length of an MP3 without a Xing frame from the first
frame, and stops there. It does not compare a FLAC with its MD5.

PyAV 18.1.0 (FFmpeg) was measured as an alternative. It skips damaged pages of an Ogg file and damaged frames of a FLAC,
and decodes a cut Ogg or MP3 as if it were whole. It gives other last bits for Ogg Vorbis than libsndfile. It is 103 MB
installed, with GPL libraries. So libsndfile decodes, and the exact checks that it lacks are here.

The sound of an MP3 has no checksum: a changed bit in it is not found, one in a frame header is.
Sources: RFC 3533 (Ogg), RFC 9639 (FLAC), ISO/IEC 11172-3 and 13818-3 (MP3).
"""

from __future__ import annotations

import hashlib
import struct
import zlib

import numpy as np
from jaxtyping import Shaped

from dtc.errors import InputError, plural
from pipeline.wave_chunks import BYTE_ORDERS

COPY = "copy it again"
RE_ENCODE = "re-encode it from the original"
SOUND_MARKS = (*BYTE_ORDERS, b"fLaC", b"OggS")
APE = b"APETAGEX"

# ── tags ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def without_tags(source: bytes, where: str) -> bytes:
    """Return a sound file without the tags before and behind it: ID3 and APE. A WAV keeps those behind it.

    Raises InputError, naming `where`, if no sound follows a tag.
    """
    first = 0
    while size := _tag_at(source, first):
        first += size
    sound = source[first:].lstrip(b"\0")
    if first and sound[:4] not in SOUND_MARKS and not is_mp3(sound):
        found = f"{'an ID3' if source[:3] == b'ID3' else 'an APE'} tag of {first:,} bytes and no sound behind it"
        raise InputError(where, found, "a WAV, FLAC, Ogg or MP3 file behind the tag", COPY)
    while sound[:4] not in BYTE_ORDERS and (size := _tag_at_end(sound)):
        sound = sound[:-size]
    return sound


def _syncsafe(size: bytes) -> int:
    """Return the number in four bytes of seven bits each, as ID3v2 writes sizes."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


def _tag_at(source: bytes, at: int) -> int:
    """Return the bytes of the ID3v2 or APE tag that begins at a place, 0 where none does."""
    if source[at : at + 3] == b"ID3" and at + 10 <= len(source):
        has_footer = source[at + 5] & 0x10
        return 10 + _syncsafe(source[at + 6 : at + 10]) + (10 if has_footer else 0)
    if source[at : at + 8] == APE and at + 32 <= len(source):
        return 32 + int.from_bytes(source[at + 12 : at + 16], "little")  # the size does not count the header
    return 0


def _tag_at_end(sound: bytes) -> int:
    """Return the bytes of the tag with which a file ends (ID3v1, its extension, ID3v2.4, APE), 0 without one."""
    if sound[-128:-125] == b"TAG":
        return 128
    if sound[-227:-223] == b"TAG+":
        return 227
    if sound[-10:-7] == b"3DI":
        return 20 + _syncsafe(sound[-4:])
    if sound[-32:-24] == APE:
        size = int.from_bytes(sound[-20:-16], "little")  # it does not count the header, which older tags lack
        return size + (32 if sound[-size - 32 :].startswith(APE) else 0)
    return 0


# ── Ogg ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

OGG_HEADER = struct.Struct("<5xB8xIIIB")  # flags, stream, number of the page in it, checksum, number of segments
FIRST_PAGE, LAST_PAGE = 2, 4  # flags
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_ogg(source: bytes, where: str) -> None:
    """Raise InputError, naming `where`, unless an Ogg file is one whole stream in which each page has its checksum."""
    pages: list[tuple[int, int]] = []  # flags, stream
    position, last_number, end = 0, 0, len(source.rstrip(b"\0"))
    while position < end:
        flags, stream, number, size = _read_page(source, position, len(pages), where)
        follows = bool(pages) and stream == pages[-1][1] and not flags & FIRST_PAGE
        if follows and number != last_number + 1:
            raise InputError(where, f"damaged: a page is missing before page {len(pages)}", "all Ogg pages", COPY)
        pages.append((flags, stream))
        position, last_number = position + size, number
    streams = max(len({stream for _, stream in pages}), sum(bool(flags & FIRST_PAGE) for flags, _ in pages))
    if streams != 1:
        raise InputError(where, f"{streams} streams in an Ogg file", "1", "re-encode it as one stream")
    if not flags & LAST_PAGE:
        # It may have been cut off between two pages, or its encoder was not closed: the file does not tell.
        raise InputError(where, "its last page is not marked as the last", "a finished Ogg stream", RE_ENCODE)


def _read_page(source: bytes, position: int, page: int, where: str) -> tuple[int, int, int, int]:
    """Return the flags, the stream, the number and the bytes of a page; `page` counts the pages before it."""
    if not b"OggS".startswith(source[position : position + 4]):
        raise InputError(where, f"damaged: no page at byte {position:,}", "an Ogg page", COPY)
    header = source[position : position + OGG_HEADER.size].ljust(OGG_HEADER.size, b"\xff")
    flags, stream, number, checksum, segments = OGG_HEADER.unpack(header)
    body = position + OGG_HEADER.size + segments
    end = body + sum(source[body - segments : body])
    if end > len(source):
        raise InputError(where, f"ends after {plural(page, 'page')}", "whole Ogg pages", COPY)
    if ogg_checksum(header[:22] + bytes(4) + source[position + 26 : end]) != checksum:
        raise InputError(where, f"damaged: page {page} does not match its checksum", "a whole Ogg page", COPY)
    return flags, stream, number, end - position


def ogg_checksum(page: bytes) -> int:
    """Return the CRC32 of a page whose field of the checksum is 0.

    Ogg's CRC has zlib's polynomial, starts from 0, and takes the bits of each byte in the other order.
    """
    reversed_checksum = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reversed_checksum:032b}"[::-1], 2)


# ── MP3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
# The header of a frame has 32 bits: 11 ones, version (2), layer (2), no checksum (1), bit rate (4), sampling rate (2),
# padding (1), private (1), channels (2) and six more. In MPEG 2 and 2.5 a frame has half the samples of MPEG 1.

MPEG_1 = 3
MPEG_RATES_HZ = {MPEG_1: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
SAME_STREAM = 0xFFFE0C00  # bits of a frame header that do not change within a file
BLANK = b"\0\xff\r\n "  # bytes that may fill the end of a file
HAS_COUNT = 1  # flag of a Xing frame


def _header_at(source: bytes, position: int) -> int:
    return int.from_bytes(source[position : position + 4], "big")


def frame_size(header: int) -> int:
    """Return the bytes of a frame of layer III with its header; 0 if the header is not valid or does not tell."""
    version, rate, padding = header >> 19 & 3, header >> 10 & 3, header >> 9 & 1
    rates, kbits = MPEG_RATES_HZ.get(version, ()), (KBITS_1 if version == MPEG_1 else KBITS_2)[header >> 12 & 15]
    if header >> 21 != 0x7FF or header >> 17 & 3 != 1 or rate >= len(rates) or not kbits:
        return 0
    return (144 if version == MPEG_1 else 72) * kbits * 1000 // rates[rate] + padding


def _xing_at(header: int) -> int:
    """Return the place of a Xing tag in a frame: behind the header and the side information."""
    is_mono = header >> 6 & 3 == 3
    return 4 + ((17 if is_mono else 32) if header >> 19 & 3 == MPEG_1 else (9 if is_mono else 17))


def is_mp3(source: bytes) -> bool:
    """Return whether a file starts with the header of an MP3 frame."""
    return frame_size(_header_at(source, 0)) > 0


def with_frame_count(source: bytes, where: str) -> bytes:
    """Return an MP3 file that says how many frames it has: itself, or with a Xing frame put before it.

    Raises InputError, naming `where`, if the file is damaged between frames, ends within a frame, or has another number
    of frames than it says.
    """
    frames, end = _count_frames(source)
    declared = _declared_frames(source)
    found = max(0, frames - (declared is not None) - (end > len(source)))  # whole frames of sound
    if (rest := source[end:].strip(BLANK)) and not rest.startswith((APE, b"LYRICSBEGIN")):
        raise InputError(where, f"damaged: no MP3 frame at byte {end:,}", "whole frames", COPY)
    if end > len(source) or (declared is not None and found < declared):
        expected = "whole frames" if declared is None else f"{declared}"
        raise InputError(where, f"ends after {plural(found, 'MP3 frame')}", expected, COPY)
    if declared is None:
        return _xing_frame(_header_at(source, 0), found) + source
    if found > declared:
        raise InputError(where, f"{found} MP3 frames", f"the {declared} that its Xing frame counts", RE_ENCODE)
    return source


def _count_frames(source: bytes) -> tuple[int, int]:
    """Return the number of frames from the start on, and the byte behind the last, which may lie past the end."""
    frames = position = 0
    first = header = _header_at(source, 0)
    while (size := frame_size(header)) and not (header ^ first) & SAME_STREAM:
        frames, position = frames + 1, position + size
        header = _header_at(source, position)
    return frames, position


def _declared_frames(source: bytes) -> int | None:
    """Return how many frames the Xing tag in the first frame counts; None without one."""
    header = _header_at(source, 0)
    tag = source[_xing_at(header) : frame_size(header)]
    if tag[:4] not in (b"Xing", b"Info") or not tag[7] & HAS_COUNT:
        return None
    return int.from_bytes(tag[8:12], "big")


def _xing_frame(first: int, frames: int) -> bytes:
    """Return a frame without sound that counts the frames behind it: the largest, without a checksum of its own."""
    header = first & ~0xF200 | 14 << 12 | 1 << 16
    tag = b"Xing" + struct.pack(">II", HAS_COUNT, frames)
    return (header.to_bytes(4, "big").ljust(_xing_at(header), b"\0") + tag).ljust(frame_size(header), b"\0")


# ── FLAC ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_flac(source: bytes, samples: Shaped[np.ndarray, "samples channels"], bits: int, where: str) -> None:
    """Raise InputError, naming `where`, unless samples of 8, 16 or 24 bits have the MD5 that a FLAC file carries.

    A FLAC that was streamed carries none. Its MD5 is that of the samples as integers, low byte first.
    """
    declared = source[26:42]
    if not any(declared):
        return
    if samples.dtype == np.int16:
        stored = samples.astype("<i2").tobytes() if bits == 16 else (samples >> 8).astype("i1").tobytes()
    else:
        integers = (samples * np.float32(1 << 23)).astype("<i4")
        stored = integers.view("u1").reshape(-1, 4)[:, :3].tobytes()
    if hashlib.md5(stored, usedforsecurity=False).digest() != declared:
        raise InputError(where, "damaged: the samples do not match the FLAC's MD5", "the samples it was made of", COPY)
