"""Sound files for the tests of decoding and treatment, and ways to damage them."""

import io
import struct

import numpy as np
import soundfile

from pipeline.compressed import frame_size

RAMP = np.arange(-1000, 1000, dtype=np.int16)
NOISE = np.random.default_rng(0).normal(0.0, 0.1, 16000)
VORBIS = {"format": "OGG", "subtype": "VORBIS"}
OPUS = {"format": "OGG", "subtype": "OPUS"}
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III"}


def sound_file(samples: np.ndarray, sampling_rate: int = 16000, **format: object) -> bytes:
    """Return a sound file, by default a 16-bit WAV."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, sampling_rate, **{"format": "WAV", "subtype": "PCM_16"} | format)
    return stream.getvalue()


def tone(hz: float, sampling_rate: int = 16000, seconds: float = 1.0, amplitude: float = 0.3) -> np.ndarray:
    """Return a sine as float32."""
    time = np.arange(round(seconds * sampling_rate)) / sampling_rate
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def patched(content: bytes, at: int, new: bytes) -> bytes:
    """Return `content` with bytes overwritten from `at` on."""
    return content[:at] + new + content[at + len(new) :]


def with_data_size(wave: bytes, size: int) -> bytes:
    """Return a WAV of libsndfile whose header has another size of the data."""
    return patched(wave, 40, struct.pack("<I", size))


def flac_of_length(samples: int) -> bytes:
    """Return a FLAC of RAMP whose header says another number of samples (36 bits; 0: unknown)."""
    content = sound_file(RAMP, format="FLAC")
    return patched(content, 21, bytes([content[21] & 0xF0 | samples >> 32]) + struct.pack(">I", samples & 0xFFFFFFFF))


def id3_tag(size: int) -> bytes:
    """Return an ID3v2.3 tag of `size` zeros behind its header."""
    return b"ID3\3\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


def ogg_pages(content: bytes) -> list[bytes]:
    """Return the pages of an Ogg file."""
    pages = []
    while content:
        segments = content[26]
        size = 27 + segments + sum(content[27 : 27 + segments])
        pages.append(content[:size])
        content = content[size:]
    return pages


def ogg_page(page: bytes, flags: int | None = None, stream: int | None = None) -> bytes:
    """Return an Ogg page with other flags or another stream's number, and the right checksum.

    The checksum is computed bit by bit, as RFC 3533 describes it.
    """
    page = patched(page, 5, bytes([page[5] if flags is None else flags]))
    page = page if stream is None else patched(page, 14, struct.pack("<I", stream))
    page, remainder = patched(page, 22, bytes(4)), 0
    for byte in page:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = remainder << 1 ^ (0x104C11DB7 if remainder >> 31 else 0)
    return patched(page, 22, struct.pack("<I", remainder))


def without_first_frame(content: bytes) -> bytes:
    """Return an MP3 without its first frame, which says how long it is."""
    assert b"Xing" in content[:50] or b"Info" in content[:50]
    return content[frame_size(int.from_bytes(content[:4], "big")) :]
