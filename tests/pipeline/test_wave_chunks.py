"""Test that all samples of a WAV are found, or that a wrong header is named."""

import struct

import numpy as np
import pytest

from dtc.errors import InputError
from pipeline.decoding import decode
from tests.pipeline.sounds import RAMP, patched, sound_file, with_data_size

STREAM = np.random.default_rng(1).integers(-9000, 9000, 28800).astype(np.int16)
WAVE = sound_file(STREAM)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFD8, 0xFFFFFFF0, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "ALAW"])
def test_a_placeholder_for_the_data_size_reaches_to_the_end_of_the_file(size: int, subtype: str) -> None:
    """In A-law, digital silence is the letter U, which could be the name of a chunk."""
    whole = sound_file(np.append(np.zeros(400), STREAM / 32768.0), subtype=subtype)
    at = whole.index(b"data")
    decoded = decode(patched(whole, at + 4, struct.pack("<I", size)), "clip").samples
    assert np.array_equal(decoded, decode(whole, "clip").samples)
    assert len(decoded) == 29200


COMMENT = b"LIST" + struct.pack("<I", 14) + b"INFOISFT" + struct.pack("<I", 2) + b"ab"


@pytest.mark.parametrize(
    ("size", "behind"),
    [(size, b"") for size in (57601, 57604, 57636, 1 << 29)]
    + [(size, COMMENT) for size in (0, 0x7FFFF000, 0xFFFFFFFF, 57601)]
    + [(0xFFFFFFFF, COMMENT + b"id3 \3\0\0\0abc\0")],
)
def test_a_wrong_data_size_in_a_whole_file_is_passed_over(size: int, behind: bytes) -> None:
    """The header's other size tells that the file is whole. What follows the samples is not taken for samples."""
    content = with_data_size(WAVE, size) + behind
    content = patched(content, 4, struct.pack("<I", len(content) - 8))
    assert np.array_equal(decode(content, "clip").samples[:, 0], STREAM)
    with pytest.raises(InputError, match=r"ends after \d+ samples, expected \d+; copy it again|bytes behind the"):
        decode(patched(with_data_size(WAVE, 57604), 4, struct.pack("<I", 99999)), "a")


def test_the_format_may_stand_behind_the_samples_and_twice_but_not_differ() -> None:
    form, data = WAVE[12:36], WAVE[36:]
    for chunks in (data + form, form + form + data):
        assert np.array_equal(decode(WAVE[:12] + chunks, "clip").samples[:, 0], STREAM)
    with pytest.raises(
        InputError, match=r"^a: several `fmt ` chunks that differ, expected one; export it again as one"
    ):
        decode(WAVE[:12] + patched(form, 12, b"\x40\x1f") + form + data, "a")


def test_an_empty_wave_with_a_comment_has_no_samples() -> None:
    comment = b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(InputError, match=r"^a: no samples, expected speech; remove its row or record it again$"):
        decode(sound_file(RAMP[:0]) + comment, "a")


def test_many_bytes_behind_the_counted_samples_are_refused() -> None:
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


def test_several_data_chunks_are_refused() -> None:
    half = struct.pack("<I", 28800)
    two_chunks = WAVE[:36] + b"data" + half + WAVE[44:28844] + b"data" + half + WAVE[28844:]
    for content in (two_chunks, WAVE + WAVE):
        with pytest.raises(InputError) as error:
            decode(content, "a")
        found = "a: several `data` chunks, or a second WAV behind the first"
        assert str(error.value) == f"{found}, expected one; export it again as one plain WAV"


@pytest.mark.parametrize("mark", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [57600, 0, 0xFFFFFFFFFFFFFFFF])
def test_a_wave_of_64_bits_is_read(mark: bytes, size: int) -> None:
    sizes = b"ds64" + struct.pack("<IQQQI", 28, len(WAVE) + 28, size, 28800, 0)
    content = mark + b"\xff" * 4 + b"WAVE" + sizes + WAVE[12:40] + b"\xff" * 4 + WAVE[44:]
    assert np.array_equal(decode(content, "clip").samples[:, 0], STREAM)


def test_a_big_endian_wave_is_read_and_a_cut_one_is_refused() -> None:
    content = sound_file(STREAM, endian="BIG")
    assert content[:4] == b"RIFX"
    assert np.array_equal(decode(content, "clip").samples[:, 0], STREAM)
    with pytest.raises(InputError, match="ends after 28700 samples, expected 28800; copy it again"):
        decode(content[:-200], "a")
