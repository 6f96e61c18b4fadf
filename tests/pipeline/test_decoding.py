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
from pipeline.compressed import LAST_PAGE, Mp3Frame
from pipeline.decoding import decode
from tests.pipeline.sounds import (
    RAMP,
    id3_tag,
    ogg_page,
    ogg_pages,
    patched,
    sound_file,
    tone,
    with_data_size,
    without_first_frame,
)

LOSSY = 0.02  # RMS of what a codec at its default quality may change of a tone with amplitude 0.3
RAMP_8_BITS = np.arange(-128, 128, dtype=np.int16) * 256
VORBIS = {"format": "OGG", "subtype": "VORBIS"}
OPUS = {"format": "OGG", "subtype": "OPUS"}
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III"}
NOISE = np.random.default_rng(0).normal(0.0, 0.1, 16000)
STREAM = np.random.default_rng(1).integers(-9000, 9000, 28800).astype(np.int16)
WAVE = sound_file(STREAM)

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


# ── WAV headers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFD8, 0xFFFFFFF0, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "ALAW"])
def test_a_header_that_was_never_finished_hides_no_samples(size: int, subtype: str) -> None:
    """In A-law, digital silence is the letter U, which could be the name of a chunk."""
    whole = sound_file(np.append(np.zeros(400), STREAM / 32768.0), subtype=subtype)
    at = whole.index(b"data")
    decoded = decode(patched(whole, at + 4, struct.pack("<I", size)), "clip").samples
    assert np.array_equal(decoded, decode(whole, "clip").samples)
    assert len(decoded) == 29200


def test_an_empty_wave_with_a_comment_has_no_samples() -> None:
    comment = b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(InputError, match=r"^a: no samples, expected speech; remove its row or record it again$"):
        decode(sound_file(RAMP[:0]) + comment, "a")


def test_sound_that_the_header_does_not_count_is_named() -> None:
    with pytest.raises(InputError) as error:
        decode(with_data_size(WAVE, 2000), "a")
    found = "a: 55,600 bytes behind the 1000 samples that the header counts, expected a finished header"
    assert str(error.value) == f"{found}; export it again: the header was never finished"


@pytest.mark.parametrize("behind", [b"\0" * 9000, b"\xff" * 200, b"TAG" + bytes(125), b"LIST\xff\xff\0\0cut off"])
def test_a_little_garbage_behind_the_samples_is_ignored(behind: bytes) -> None:
    assert np.array_equal(decode(WAVE + behind, "clip").samples[:, 0], STREAM)


def test_a_chunk_of_odd_size_without_its_byte_of_padding_is_passed() -> None:
    content = WAVE[:36] + b"note" + struct.pack("<I", 3) + b"abc" + WAVE[36:]
    assert np.array_equal(decode(content, "clip").samples[:, 0], STREAM)


def test_two_data_chunks_are_refused() -> None:
    half = struct.pack("<I", 28800)
    content = WAVE[:36] + b"data" + half + WAVE[44:28844] + b"data" + half + WAVE[28844:]
    message = r"^a: 2 `data` chunks in a WAV, expected 1; export it again as a plain WAV$"
    with pytest.raises(InputError, match=message):
        decode(content, "a")


@pytest.mark.parametrize("mark", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [57600, 0, 0xFFFFFFFFFFFFFFFF])
def test_a_wave_of_64_bits_is_read(mark: bytes, size: int) -> None:
    sizes = b"ds64" + struct.pack("<IQQQI", 28, len(WAVE) + 28, size, 28800, 0)
    content = mark + b"\xff" * 4 + b"WAVE" + sizes + WAVE[12:40] + b"\xff" * 4 + WAVE[44:]
    assert np.array_equal(decode(content, "clip").samples[:, 0], STREAM)


def test_a_big_endian_wave_is_read_and_its_end_missed() -> None:
    content = sound_file(STREAM, endian="BIG")
    assert content[:4] == b"RIFX"
    assert np.array_equal(decode(content, "clip").samples[:, 0], STREAM)
    with pytest.raises(InputError, match="ends after 28700 samples, expected 28800; copy it again"):
        decode(content[:-200], "a")


# ── tags ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("codec", [{}, {"subtype": "PCM_24"}, {"format": "FLAC"}, VORBIS, OPUS, MP3])
@pytest.mark.parametrize("size", [20, 20000])
def test_a_tag_costs_no_samples(codec: dict[str, str], size: int) -> None:
    content = sound_file(NOISE, **codec)
    whole = decode(content, "clip").samples
    footer = b"3DI\4\0\x10" + bytes(4)
    old = b"" if codec.get("format", "WAV") == "WAV" else b"TAG" + bytes(125)
    for tag in (id3_tag(size), id3_tag(size) + id3_tag(7) + bytes(9), patched(id3_tag(size), 5, b"\x10") + footer):
        assert np.array_equal(decode(tag + content + old, "clip").samples, whole)


@pytest.mark.parametrize("behind", [b"", b"no sound at all", WAVE[10:]])
def test_a_tag_without_a_sound_is_named(behind: bytes) -> None:
    with pytest.raises(InputError, match=r"^a: an ID3 tag of 30 bytes and no sound behind it, expected a WAV, FLAC, "):
        decode(id3_tag(20) + behind, "a")


# ── MP3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def speech(sampling_rate: int, *loudness: float) -> np.ndarray:
    """Return 3.2 s of a noisy tone for each loudness, one after another."""
    wave = tone(220.0, sampling_rate, 3.2) + np.random.default_rng(2).normal(0.0, 0.05, round(3.2 * sampling_rate))
    return np.concatenate([wave * gain for gain in loudness])


VARIABLE = sound_file(speech(22050, 1.0, 1e-4, 1.0), 22050, **MP3, bitrate_mode="VARIABLE", compression_level=0.5)
CONSTANT = sound_file(speech(44100, 0.5)[:79380], 44100, **MP3, bitrate_mode="CONSTANT")


@pytest.mark.parametrize(("content", "seconds", "rate"), [(VARIABLE, 9.6, 22050), (CONSTANT, 1.8, 44100)])
def test_an_mp3_without_a_xing_frame_is_decoded_to_its_end(content: bytes, seconds: float, rate: int) -> None:
    """It has the delay of the encoder before it, and the filling of its last frame behind it."""
    whole, cut = decode(content, "clip").samples[:, 0], decode(without_first_frame(content), "clip").samples[:, 0]
    assert len(whole) == round(seconds * rate)
    assert len(whole) < len(cut) < len(whole) + 3 * 1152
    delay = np.correlate(cut[: rate // 2], whole[: rate // 4]).argmax()
    assert delay < 1152
    np.testing.assert_allclose(cut[delay + 2304 : delay + len(whole)], whole[2304:], atol=1e-4)


@pytest.mark.parametrize("content", [VARIABLE, CONSTANT])
def test_an_mp3_that_ends_early_is_named(content: bytes) -> None:
    xing = max(content.find(b"Xing", 0, 50), content.find(b"Info", 0, 50))
    frames = int.from_bytes(content[xing + 8 : xing + 12], "big")
    first = Mp3Frame(int.from_bytes(content[:4], "big")).size
    last = content.rindex(content[first : first + 2])
    for cut in (content[:-1], content[:last]):
        with pytest.raises(InputError, match=rf"^a: ends after {frames - 1} MP3 frames, expected {frames}; copy it a"):
            decode(cut, "a")
    with pytest.raises(InputError, match=rf"^a: ends after {frames - 1} MP3 frames, expected whole frames; copy it a"):
        decode(without_first_frame(content)[:-1], "a")


def test_damage_between_the_frames_of_an_mp3_is_named() -> None:
    first = Mp3Frame(int.from_bytes(CONSTANT[:4], "big")).size
    for damaged in (patched(CONSTANT, first, b"\0"), patched(CONSTANT, first + 1, bytes([CONSTANT[first + 1] ^ 4]))):
        with pytest.raises(InputError, match=r"^a: ends after 0 MP3 frames, expected \d+; copy it again$"):
            decode(damaged, "a")
    with pytest.raises(InputError, match=r"^a: damaged: no MP3 frame at byte "):
        decode(without_first_frame(CONSTANT) + NOISE.tobytes()[:999], "a")
    with pytest.raises(InputError, match=r"^a: damaged: no MP3 frame at its start, expected whole frames; copy it"):
        decode(patched(CONSTANT, 1, bytes([CONSTANT[1] ^ 4])), "a")


def test_two_mp3_files_in_one_are_named() -> None:
    with pytest.raises(InputError, match=r"^a: \d+ MP3 frames, expected the \d+ that its Xing frame counts; re-encode"):
        decode(CONSTANT + CONSTANT, "a")


@pytest.mark.parametrize("tag", [b"APETAGEX" + bytes(99), b"LYRICSBEGIN...", bytes(500)])
def test_a_tag_behind_an_mp3_is_no_damage(tag: bytes) -> None:
    assert np.array_equal(decode(CONSTANT + tag, "clip").samples, decode(CONSTANT, "clip").samples)


# ── Ogg ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

OGGS = [sound_file(speech(16000, 0.5), **codec) for codec in (VORBIS, OPUS)]


@pytest.mark.parametrize("content", OGGS)
def test_a_flipped_bit_anywhere_in_an_ogg_is_named(content: bytes) -> None:
    for at in (0, 5, 7, 15, 20, 23, 26, 27, len(content) // 2, len(content) - 1):
        damaged = patched(content, at, bytes([content[at] ^ 0x10]))
        with pytest.raises(InputError, match=r"^a: (damaged: |does not decode|ends after).* copy it again"):
            decode(damaged, "a")
    with pytest.raises(
        InputError, match=r"^a: damaged: page \d does not match its checksum, expected a whole Ogg page"
    ):
        decode(patched(content, len(content) // 2, bytes([content[len(content) // 2] ^ 0x10])), "a")


@pytest.mark.parametrize("content", OGGS)
def test_an_ogg_without_one_of_its_pages_is_named(content: bytes) -> None:
    pages = ogg_pages(content)
    assert len(pages) > 4
    with pytest.raises(InputError, match=r"^a: damaged: a page is missing before page 3, expected all Ogg pages; copy"):
        decode(b"".join(pages[:3] + pages[4:]), "a")
    with pytest.raises(InputError, match=rf"^a: ends after {len(pages) - 1} pages, expected whole Ogg pages; copy it"):
        decode(content[:-1], "a")


@pytest.mark.parametrize("content", OGGS)
def test_an_ogg_that_is_not_marked_as_finished_is_to_be_encoded_again(content: bytes) -> None:
    """A file that was cut off between two pages looks the same."""
    pages = ogg_pages(content)
    unmarked = ogg_page(pages[-1], flags=pages[-1][5] & ~LAST_PAGE)
    for ogg in (b"".join([*pages[:-1], unmarked]), b"".join(pages[:-1])):
        with pytest.raises(InputError) as error:
            decode(ogg, "a")
        found = "a: its last page is not marked as the last, expected a finished Ogg stream"
        assert str(error.value) == f"{found}; re-encode it from the original"


@pytest.mark.parametrize("content", OGGS)
def test_several_streams_in_an_ogg_are_refused(content: bytes) -> None:
    pages = ogg_pages(content)
    others = [ogg_page(page, stream=77) for page in pages]
    multiplexed = [pages[0], others[0], *pages[1:], *others[1:]]
    for several in (pages + others, multiplexed, pages + pages):
        with pytest.raises(InputError) as error:
            decode(b"".join(several), "a")
        assert str(error.value) == "a: 2 streams in an Ogg file, expected 1; re-encode it as one stream"


# ── FLAC ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def flac_of_length(samples: int) -> bytes:
    """Return a FLAC of RAMP whose header says another number of samples (36 bits; 0: unknown)."""
    content = sound_file(RAMP, format="FLAC")
    return patched(content, 21, bytes([content[21] & 0xF0 | samples >> 32]) + struct.pack(">I", samples & 0xFFFFFFFF))


def test_a_streamed_flac_does_not_know_its_length() -> None:
    assert np.array_equal(decode(flac_of_length(0), "clip").samples[:, 0], RAMP)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_a_flac_without_its_last_samples_is_not_what_was_encoded(subtype: str) -> None:
    content = sound_file(NOISE, format="FLAC", subtype=subtype)
    shorter = patched(content, 22, struct.pack(">I", 15000))
    with pytest.raises(
        InputError, match=r"^a: damaged: the samples do not match the FLAC's MD5, expected the samples "
    ):
        decode(shorter, "a")


@pytest.mark.parametrize("at", [100, 9000, 20000])
def test_a_flipped_bit_in_a_flac_is_named(at: int) -> None:
    content = sound_file(NOISE, format="FLAC")
    with pytest.raises(InputError, match=r"^a: (does not decode \(|damaged: )"):
        decode(patched(content, at, bytes([content[at] ^ 0x10])), "a")


# ── damage of all kinds ─────────────────────────────────────────────────────────────────────────────────────────────

SHORT = sound_file(RAMP)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file, expected a WAV, FLAC, Ogg Vorbis, Opus or MP3 file; copy it again, or remove it and its"),
        (b"not a sound" * 100, "does not decode (Format not recognised.), expected a WAV, FLAC, Ogg Vorbis, Opus or"),
        (SHORT[:-100], "ends after 1950 samples, expected 2000; copy it again"),
        (SHORT[:-1], "ends after 1999 samples, expected 2000; copy it again"),
        (SHORT[:44], "ends after 0 samples, expected 2000; copy it again"),
        (SHORT[:40], "does not decode (a WAV without a format or without samples), expected the chunks `fmt ` and"),
        (sound_file(NOISE, subtype="PCM_24")[:-1], "ends after 15999 samples, expected 16000; copy it again"),
        (sound_file(NOISE, subtype="FLOAT")[:-5000], "ends after 14750 samples, expected 16000; copy it again"),
        (with_data_size(SHORT, 1 << 29), "ends after 2000 samples, expected 268435456; copy it again"),
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
        (sound_file(np.array([0.1, np.nan, np.inf] * 900), subtype="FLOAT"), "1800 samples are no finite numbers, exp"),
    ],
)
def test_what_is_wrong_is_named(content: bytes, message: str) -> None:
    tracemalloc.start()
    with pytest.raises(InputError) as error:
        decode(content, "a.wav")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(error.value).startswith(f"a.wav: {message}")
    assert error.value.remedy
    assert peak_bytes < 8 << 20, "memory follows what is there, not what a header says"


def test_a_file_that_unpacks_to_hours_is_no_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    content = sound_file(np.zeros(1 << 20, np.int16), format="FLAC")
    assert len(content) < 1 << 14
    monkeypatch.setattr(decoding, "MOST_VALUES", 1 << 19)
    for source in (content, sound_file(np.zeros(1 << 20, np.int16))):
        with pytest.raises(
            InputError, match=r"^a: more than 524,288 samples, expected a clip; cut it into utterances$"
        ):
            decode(source, "a")


STARTS = [b"", b"fLaC", b"OggS", SHORT[:36], SHORT[:44], flac_of_length(0)[:42], id3_tag(3), CONSTANT[:4]]


@given(st.binary(max_size=200), st.sampled_from(STARTS))
def test_no_bytes_are_worse_than_a_named_fault(content: bytes, start: bytes) -> None:
    with contextlib.suppress(InputError):
        decoded = decode(start + content, "a.wav")
        assert decoded.samples.size > 0
        assert 1000 <= decoded.sampling_rate <= 384000
