"""A sound file's bytes → samples. What is damaged, cut off or absurd is named, and costs no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import soundfile
from jaxtyping import Int16, Shaped

from dtc.errors import InputError

EXPECTED = "a WAV, FLAC, Ogg Vorbis, Opus or MP3 file"
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")
INTEGERS = ("PCM_S8", "PCM_U8", "PCM_16")  # that 16 bits hold exactly; all others are decoded to float
FLOATS = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "VORBIS", "OPUS", "MPEG_LAYER_III")
RATES_HZ = range(1_000, 384_001)
MOST_CHANNELS = 32
MOST_VALUES = 1 << 27  # samples of all channels: 100 minutes of mono at 22050 Hz, 256 MB; what is longer is no clip
BLOCK_VALUES = 1 << 18  # read at once: memory follows what is there, not what a header says
UNKNOWN_SIZE = 0xFFFFFFF0  # of a WAV's data, this and above
UNKNOWN_FRAMES = 1 << 62  # of a FLAC that was streamed, this and above


def decode(source: bytes, where: str) -> tuple[Shaped[np.ndarray, "samples channels"], int]:
    """Samples and sampling rate (Hz) of a sound file's bytes: WAV, FLAC, Ogg Vorbis, Opus or MP3.

    Samples are int16 where the file has at most 16 bits, else float32 within about [-1, 1].
    Raises InputError, naming `where`, for what does not decode, ends early, holds no samples or no finite ones, or
    says absurd things of itself. An MP3 without a Xing header does not say how long it should be.
    """
    if not source:
        raise InputError(where, "an empty file", EXPECTED, "copy it again, or remove it and its row")
    if plain := _decode_plain_wave(source):
        return plain
    try:
        with _Stream(io.BytesIO(source)) as file:
            _refuse_absurd(file, where)
            samples = np.concatenate(list(_blocks(file, where)))
            declared, sampling_rate = file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise InputError(where, f"does not decode ({error.error_string})", EXPECTED) from None
    _refuse_part(samples, declared, source, where)
    return samples, sampling_rate


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file read from front to end.

    soundfile would seek after each block, which a FLAC of unknown length, or one that ends early, refuses.
    """

    def seekable(self) -> bool:
        return False


def _refuse_absurd(file: soundfile.SoundFile, where: str) -> None:
    if file.format not in FORMATS or file.subtype not in INTEGERS + FLOATS:
        raise InputError(where, f"{file.format} of {file.subtype}", EXPECTED, "convert it to a WAV of 16 bits")
    if file.samplerate not in RATES_HZ:
        expected = f"{RATES_HZ[0]} to {RATES_HZ[-1]} Hz"
        raise InputError(where, f"{file.samplerate} Hz", expected, "the header is damaged; copy it again")
    if file.channels > MOST_CHANNELS:
        remedy = "the header is damaged; copy it again"
        raise InputError(where, f"{file.channels} channels", f"at most {MOST_CHANNELS}", remedy)


def _blocks(file: soundfile.SoundFile, where: str) -> Iterator[Shaped[np.ndarray, "samples channels"]]:
    # Asked for int16, libsndfile would truncate a float file's samples to -1, 0 and 1.
    dtype = "int16" if file.subtype in INTEGERS else "float32"
    values, block_frames = 0, BLOCK_VALUES // file.channels
    while True:
        block = file.read(block_frames, dtype=dtype, always_2d=True)
        yield block
        values += block.size
        if len(block) < block_frames:
            return
        if values > MOST_VALUES:
            raise InputError(where, f"more than {MOST_VALUES:,} samples", "a clip", "cut it into utterances")


def _refuse_part(samples: Shaped[np.ndarray, "samples channels"], declared: int, source: bytes, where: str) -> None:
    """Refuse what is not whole. libsndfile quietly shortens a WAV and an Ogg file to what is there."""
    declared = 0 if declared >= UNKNOWN_FRAMES else declared
    if len(samples) < (expected := max(declared, _samples_promised(source))):
        raise InputError(where, f"ends after {len(samples)} samples", f"{expected}", "copy it again")
    if source[:4] == b"OggS" and not _is_whole_ogg(source):
        raise InputError(where, f"ends after {len(samples)} samples", "an Ogg file's last page", "copy it again")
    if len(samples) == 0:
        raise InputError(where, "no samples", "speech", "remove its row or record it again")
    if samples.dtype != np.int16 and (bad := int((~np.isfinite(samples)).sum())):
        raise InputError(where, f"{bad} samples are no finite numbers", "samples in [-1, 1]", "export it again")


def _decode_plain_wave(source: bytes) -> tuple[Int16[np.ndarray, "samples channels"], int] | None:
    """What nearly every corpus holds, a whole 16-bit WAV, ten times as fast as by libsndfile; None for all else."""
    chunks = dict(_chunks(source))
    if b"fmt " not in chunks or b"data" not in chunks:
        return None
    (first, size), (data, data_bytes) = chunks[b"fmt "], chunks[b"data"]
    number = [int.from_bytes(source[at : at + width], "little") for at, width in _fields(first)]
    codec, channels, sampling_rate, block_bytes, bits = number
    whole = data + data_bytes <= len(source) and data_bytes > 0 and data_bytes % (block_bytes or 1) == 0
    usual = codec == 1 and bits == 16 and size >= 16 and block_bytes == 2 * channels
    if not (whole and usual and 1 <= channels <= MOST_CHANNELS and sampling_rate in RATES_HZ):
        return None
    if data_bytes > 2 * MOST_VALUES:
        return None
    samples = np.frombuffer(source, "<i2", data_bytes // 2, offset=data).astype(np.int16)
    return samples.reshape(-1, channels), sampling_rate


def _fields(first: int) -> Iterator[tuple[int, int]]:
    """Place and bytes of a WAV's codec, channels, sampling rate, bytes a sample of all channels, bits."""
    yield from ((first, 2), (first + 2, 2), (first + 4, 4), (first + 12, 2), (first + 14, 2))


def _chunks(source: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name, place and size in bytes of a WAV's chunks up to `data`; none of anything else."""
    if source[:4] != b"RIFF" or source[8:12] != b"WAVE":
        return
    position, name = 12, b""
    while position + 8 <= len(source) and name != b"data":
        name, size = source[position : position + 4], int.from_bytes(source[position + 4 : position + 8], "little")
        yield name, (position + 8, size)
        position += 8 + size + size % 2  # chunks start at even bytes


def _samples_promised(source: bytes) -> int:
    """Samples that the header of a WAV promises, by its chunks `fmt ` and `data`; 0 for anything else."""
    chunks = dict(_chunks(source))
    if b"fmt " not in chunks or b"data" not in chunks:
        return 0
    first, size = chunks[b"fmt "][0], chunks[b"data"][1]
    block_bytes = int.from_bytes(source[first + 12 : first + 14], "little")
    # A streamed WAV says "unknown" by the largest size.
    return size // block_bytes if block_bytes and size < UNKNOWN_SIZE else 0


def _is_whole_ogg(source: bytes) -> bool:
    """Whether the last page is there to its end, and says that it is the last."""
    position, last = 0, False
    while source[position : position + 4] == b"OggS" and position + 27 <= len(source):
        table = position + 27
        segments = source[table : table + source[position + 26]]
        last = bool(source[position + 5] & 4)
        position = table + len(segments) + sum(segments)
    return last and position <= len(source)
