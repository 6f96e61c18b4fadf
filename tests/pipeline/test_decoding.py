"""Test that each codec gives its samples, and that each kind of damage is named."""

import contextlib
import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dtc.errors import InputError
from pipeline import decoding
from pipeline.decoding import decode
from tests.pipeline.sounds import (
    MP3,
    NOISE,
    OPUS,
    RAMP,
    VORBIS,
    flac_of_length,
    id3_tag,
    patched,
    sound_file,
    tone,
    with_data_size,
)

LOSSY = 0.02  # RMS of what a codec at its default quality may change of a tone with amplitude 0.3
RAMP_8_BITS = np.arange(-128, 128, dtype=np.int16) * 256

# ── whole files ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("format", "subtype", "kept"),
    [
        ("WAV", "PCM_U8", np.int16),
        ("WAV", "PCM_16", np.int16),
        ("WAV", "PCM_24", np.float32),
        ("WAV", "PCM_32", np.float32),
        ("WAV", "FLOAT", np.float32),
        ("WAV", "DOUBLE", np.float32),
        ("WAVEX", "PCM_16", np.int16),
        ("FLAC", "PCM_S8", np.int16),
        ("FLAC", "PCM_16", np.int16),
        ("FLAC", "PCM_24", np.float32),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_lossless_codec_gives_the_samples(format: str, subtype: str, kept: type, channels: int) -> None:
    samples = (np.tile(RAMP_8_BITS, 4) if subtype.endswith("8") else RAMP).reshape(-1, channels)
    decoded = decode(sound_file(samples / 32768.0, format=format, subtype=subtype), "clip")
    assert (decoded.samples.dtype, decoded.sampling_rate) == (kept, 16000)
    assert np.array_equal(decoded.samples * (1 if kept is np.int16 else 32768), samples)


@pytest.mark.parametrize("codec", [VORBIS, OPUS, MP3])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_lossy_codec_gives_the_sound(codec: dict[str, str], channels: int) -> None:
    wave = np.stack([tone(440.0), tone(880.0)], axis=1)[:, :channels]
    decoded = decode(sound_file(wave, **codec), "clip")
    assert (decoded.samples.shape, decoded.samples.dtype, decoded.sampling_rate) == (wave.shape, np.float32, 16000)
    assert np.sqrt(np.mean(np.square(decoded.samples - wave))) < LOSSY


@pytest.mark.parametrize("codec", [VORBIS, OPUS, {"format": "FLAC"}, {"subtype": "ULAW"}])
def test_the_checks_change_no_sample(codec: dict[str, str]) -> None:
    content = sound_file(NOISE, **codec)
    theirs, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    ours = decode(content, "clip").samples
    assert np.array_equal(ours / np.float32(32768) if ours.dtype == np.int16 else ours, theirs)


@given(
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=40),
    st.integers(1, 3),
    st.sampled_from([8000, 22050, 48000, 384000]),
    st.binary(max_size=9),
)
def test_a_plain_wave_is_read_as_libsndfile_reads_it(
    samples: list[int], channels: int, rate: int, comment: bytes
) -> None:
    written = np.array(samples * channels, np.int16).reshape(-1, channels)
    content = sound_file(written, rate)
    # Another chunk before the data, of odd size too, with its byte of padding.
    extra = b"note" + struct.pack("<I", len(comment)) + comment + b"\0" * (len(comment) % 2)
    for whole in (content, content[:36] + extra + content[36:], content + extra):
        decoded, sampling_rate, _ = decode(whole, "clip")
        theirs, their_rate = soundfile.read(io.BytesIO(whole), dtype="int16", always_2d=True)
        assert np.array_equal(decoded, theirs)
        assert np.array_equal(decoded, written)
        assert sampling_rate == their_rate == rate
    with pytest.raises(InputError, match=f"ends after {len(written) - 1} samples, expected {len(written)};"):
        decode(content[:36] + extra + content[36:-1], "clip")


# ── damage of all kinds ─────────────────────────────────────────────────────────────────────────────────────────────

SHORT = sound_file(RAMP)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file; copy it again, or remove it and its"),
        (bytes(60000), "zeros alone, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file; copy it again, or remove"),
        (b"not a sound" * 100, "does not decode (Format not recognised.), expected a WAV, FLAC, Ogg Vorbis, Opus or"),
        (SHORT[:-100], "ends after 1950 samples, expected 2000; copy it again"),
        (SHORT[:-1], "ends after 1999 samples, expected 2000; copy it again"),
        (SHORT[:44], "ends after 0 samples, expected 2000; copy it again"),
        (SHORT[:40], "does not decode (a WAV without a format or without samples), expected the chunks `fmt ` and"),
        (sound_file(NOISE, subtype="PCM_24")[:-1], "ends after 15999 samples, expected 16000; copy it again"),
        (sound_file(NOISE, subtype="FLOAT")[:-5000], "ends after 14750 samples, expected 16000; copy it again"),
        (
            patched(with_data_size(SHORT, 1 << 29), 4, b"\x24\0\0\x20"),
            "ends after 2000 samples, expected 268435456; copy it again",
        ),
        (sound_file(RAMP, format="FLAC")[:-1], "does not decode (Error : flac decoder lost sync.)"),
        (flac_of_length(1 << 35), "ends after 2000 samples, expected 34359738368; copy it again"),
        (sound_file(RAMP[:0]), "no samples, expected speech; remove its row or record it again"),
        (patched(SHORT, 24, struct.pack("<I", 0)), "does not decode ("),
        (patched(SHORT, 24, struct.pack("<I", 1)), "1 Hz, expected 1000 to 384000 Hz; the header is damaged; copy it"),
        (patched(SHORT, 24, struct.pack("<I", 384001)), "384001 Hz, expected 1000 to 384000 Hz"),
        (patched(SHORT, 22, struct.pack("<H", 0)), "does not decode ("),
        (sound_file(np.zeros((9, 33))), "33 channels, expected at most 32; the header is damaged; copy it again"),
        (patched(SHORT, 22, struct.pack("<H", 65535)), "does not decode ("),
        (sound_file(RAMP, subtype="IMA_ADPCM"), "WAV of IMA_ADPCM, expected a WAV, FLAC, "),
        (sound_file(RAMP, format="AIFF"), "AIFF of PCM_16, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file"),
        (sound_file(np.array([0.1, np.nan, np.inf] * 900), subtype="FLOAT"), "1,800 samples not a finite number, ex"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_fault(content: bytes, message: str) -> None:
    tracemalloc.start()
    with pytest.raises(InputError) as error:
        decode(content, "a.wav")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(error.value).startswith(f"a.wav: {message}")
    assert error.value.remedy
    assert peak_bytes < 8 << 20, "memory follows what is there, not what a header says"


def test_a_file_that_decodes_to_hours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = sound_file(np.zeros(1 << 20, np.int16), format="FLAC")
    assert len(content) < 1 << 14
    monkeypatch.setattr(decoding, "MOST_VALUES", 1 << 19)
    for source in (content, sound_file(np.zeros(1 << 20, np.int16))):
        with pytest.raises(
            InputError, match=r"^a: more than 524,288 samples, expected a clip; cut it into utterances$"
        ):
            decode(source, "a")


STARTS = [
    b"",
    b"fLaC",
    b"OggS",
    SHORT[:36],
    SHORT[:44],
    flac_of_length(0)[:42],
    id3_tag(3),
    sound_file(NOISE, **MP3)[:4],
]


@given(st.binary(max_size=200), st.sampled_from(STARTS))
def test_any_bytes_decode_or_are_refused_with_an_input_error(content: bytes, start: bytes) -> None:
    with contextlib.suppress(InputError):
        decoded = decode(start + content, "a.wav")
        assert decoded.samples.size > 0
        assert 1000 <= decoded.sampling_rate <= 384000
