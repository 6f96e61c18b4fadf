"""Decode the bytes of a sound file into samples, or name what is damaged, cut off or absurd in it.

libsndfile decodes. What it does not check is checked in `wave_chunks` and `compressed`. Memory is spent on the samples
that are there, not on those that a header claims.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import soundfile
from jaxtyping import Shaped

from dtc.errors import InputError, plural
from pipeline.compressed import COPY, SOUND_MARKS, check_flac, check_ogg, is_mp3, with_frame_count, without_tags
from pipeline.wave_chunks import WaveParts, read_wave_parts

Samples = Shaped[np.ndarray, "samples channels"]  # int16, or float32 within about [-1, 1]

EXPECTED = "a WAV, FLAC, Ogg Vorbis, Opus or MP3 file"
TO_WAVE = "convert it to a WAV of 16 bits"
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")
INTEGERS = ("PCM_S8", "PCM_U8", "PCM_16")  # that 16 bits hold exactly; all others are decoded to float
FLOATS = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "VORBIS", "OPUS", "MPEG_LAYER_III")
# The largest sample that a format has, of 32768. The other formats have 32767, a larger one or none. For these 32767 is
# used too, as a recording of 16 bits may have been converted to them.
LARGEST_SAMPLES = {"PCM_S8": 32512, "PCM_U8": 32512, "ULAW": 32124, "ALAW": 32256}
LARGEST_SAMPLE = 32767
RATES_HZ = range(1_000, 384_001)
MOST_CHANNELS = 32
MOST_VALUES = 1 << 27  # samples of all channels: 100 minutes of mono at 22050 Hz, 256 MB; what is longer is no clip
BLOCK_VALUES = 1 << 18  # read at once: memory follows what is there, not what a header says
UNKNOWN_FRAMES = 1 << 62  # of a FLAC that was streamed, this and above


class Decoded(NamedTuple):
    """The samples of a sound file."""

    samples: Samples  # int16 from at most 16 bits, else float32
    sampling_rate: int  # Hz
    largest_sample: int  # that its format has, of 32768: 32124 in µ-law


def decode(source: bytes, where: str) -> Decoded:
    """Return the samples of a sound file's bytes: WAV, FLAC, Ogg Vorbis, Opus or MP3.

    Raises InputError, naming `where`, if it does not decode, is damaged, ends early, holds no samples or samples that
    are not finite, or has an absurd header. Damage to the sound of an MP3 is not found: it has no checksum.
    """
    found = "zeros alone" if source else "an empty file"
    if not (source := without_tags(source, where)):
        raise InputError(where, found, EXPECTED, f"{COPY}, or remove it and its row")
    if parts := read_wave_parts(source, where):
        if plain := _decode_plain_wave(parts):
            return plain
        source = parts.as_file()
    elif source[:4] == b"OggS":
        check_ogg(source, where)
    elif is_mp3(source):
        source = with_frame_count(source, where)
    return _decode_by_libsndfile(source, where)


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read from front to end.

    soundfile would seek after each block, which fails for a FLAC of unknown length and for one that ends early.
    """

    def seekable(self) -> bool:
        return False


def _decode_by_libsndfile(source: bytes, where: str) -> Decoded:
    try:
        with _Stream(io.BytesIO(source)) as file:
            _refuse_absurd(file, where)
            if file.format == "MP3" and not is_mp3(source):  # libsndfile would look for a frame further on
                raise InputError(where, "damaged: no MP3 frame at its start", "whole frames", COPY)
            samples = np.concatenate(list(_blocks(file, where)))
            declared, sampling_rate, subtype = file.frames, file.samplerate, file.subtype
    except soundfile.LibsndfileError as error:
        is_known = source[:4] in SOUND_MARKS or is_mp3(source)
        remedy = f"it is damaged: {COPY}" if is_known else f"{COPY}, or remove it and its row"
        if "unimplemented" in error.error_string:
            remedy = TO_WAVE
        raise InputError(where, f"does not decode ({error.error_string})", EXPECTED, remedy) from None
    if len(samples) < declared < UNKNOWN_FRAMES:
        raise InputError(where, f"ends after {len(samples)} samples", f"{declared}", COPY)
    if source[:4] == b"fLaC":
        check_flac(source, samples, int(subtype.removeprefix("PCM_").removeprefix("S")), where)
    if len(samples) == 0:
        raise InputError(where, "no samples", "speech", "remove its row or record it again")
    if samples.dtype != np.int16 and (bad := int((~np.isfinite(samples)).sum())):
        raise InputError(where, f"{plural(bad, 'sample')} not a finite number", "samples in [-1, 1]", "export it again")
    return Decoded(samples, sampling_rate, LARGEST_SAMPLES.get(subtype, LARGEST_SAMPLE))


def _refuse_absurd(file: soundfile.SoundFile, where: str) -> None:
    damaged = f"the header is damaged; {COPY}"
    if file.format not in FORMATS or file.subtype not in INTEGERS + FLOATS:
        raise InputError(where, f"{file.format} of {file.subtype}", EXPECTED, TO_WAVE)
    if file.samplerate not in RATES_HZ:
        raise InputError(where, f"{file.samplerate} Hz", f"{RATES_HZ[0]} to {RATES_HZ[-1]} Hz", damaged)
    if file.channels > MOST_CHANNELS:
        raise InputError(where, f"{file.channels} channels", f"at most {MOST_CHANNELS}", damaged)


def _blocks(file: soundfile.SoundFile, where: str) -> Iterator[Samples]:
    # If asked for int16, libsndfile would truncate the samples of a float file to -1, 0 and 1.
    dtype = "int16" if file.subtype in INTEGERS else "float32"
    block_frames, values = BLOCK_VALUES // file.channels, 0
    while True:
        block = file.read(block_frames, dtype=dtype, always_2d=True)
        yield block
        values += block.size
        if len(block) < block_frames:
            return
        if values > MOST_VALUES:
            raise InputError(where, f"more than {MOST_VALUES:,} samples", "a clip", "cut it into utterances")


def _decode_plain_wave(parts: WaveParts) -> Decoded | None:
    """Return the samples of a 16-bit WAV, as nearly every corpus has them; None for any other.

    This is 50 times as fast as by libsndfile.
    """
    channels, blocks = parts.channels, len(parts.data) // parts.block_bytes
    is_plain = (parts.byte_order, parts.codec, parts.bits, parts.block_bytes) == ("<", 1, 16, 2 * channels)
    if not is_plain or channels > MOST_CHANNELS or parts.sampling_rate not in RATES_HZ:
        return None
    if not 0 < blocks * channels <= MOST_VALUES:
        return None
    samples = np.frombuffer(parts.data, "<i2", blocks * channels).astype(np.int16)
    return Decoded(samples.reshape(-1, channels), parts.sampling_rate, LARGEST_SAMPLE)
