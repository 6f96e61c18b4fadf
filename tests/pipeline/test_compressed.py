"""Test that tags cost no samples, and that damage to MP3, Ogg and FLAC files is named."""

import struct

import numpy as np
import pytest

from dtc.errors import InputError
from pipeline.compressed import LAST_PAGE, frame_size
from pipeline.decoding import decode
from tests.pipeline.sounds import (
    MP3,
    NOISE,
    OPUS,
    RAMP,
    VORBIS,
    flac_of_length,
    id3_tag,
    ogg_page,
    ogg_pages,
    patched,
    sound_file,
    tone,
    without_first_frame,
)

WAVE = sound_file(RAMP)

# ── tags ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("codec", [{}, {"subtype": "PCM_24"}, {"format": "FLAC"}, VORBIS, OPUS, MP3])
@pytest.mark.parametrize("size", [20, 20000])
def test_id3_tags_do_not_change_the_samples(codec: dict[str, str], size: int) -> None:
    content = sound_file(NOISE, **codec)
    whole = decode(content, "clip").samples
    footer = b"3DI\4\0\x10" + bytes(4)
    old = b"" if codec.get("format", "WAV") == "WAV" else b"TAG" + bytes(125)
    for tag in (id3_tag(size), id3_tag(size) + id3_tag(7) + bytes(9), patched(id3_tag(size), 5, b"\x10") + footer):
        assert np.array_equal(decode(tag + content + old, "clip").samples, whole)


def ape_tag(size: int, has_header: bool = True) -> bytes:
    """Return an APE tag of `size` bytes between its header, which APEv1 lacks, and its footer."""
    mark = b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, 0x80000000 * has_header) + bytes(8)
    return mark * has_header + b"x" * size + mark


@pytest.mark.parametrize("codec", [{}, {"format": "FLAC"}, VORBIS, OPUS, MP3])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (ape_tag(99), b""),
        (ape_tag(99) + id3_tag(20), b""),
        (b"", ape_tag(99)),
        (b"", ape_tag(99, has_header=False) + b"TAG" + bytes(125)),
        (b"", b"TAG+" + b"x" * 223 + b"TAG" + b"x" * 125),
        (b"", patched(id3_tag(20), 3, b"\4\0\x10") + b"3DI\4\0\x10" + bytes([0, 0, 0, 20])),
        (bytes(50), b""),
    ],
)
def test_other_tags_do_not_change_the_samples(codec: dict[str, str], before: bytes, behind: bytes) -> None:
    content = sound_file(NOISE, **codec)
    assert np.array_equal(decode(before + content + behind, "clip").samples, decode(content, "clip").samples)


@pytest.mark.parametrize("behind", [b"", b"no sound at all", WAVE[10:]])
def test_a_tag_without_a_sound_is_named(behind: bytes) -> None:
    for tag, found in ((id3_tag(20), "an ID3 tag of 30 bytes"), (ape_tag(20), "an APE tag of 84 bytes")):
        with pytest.raises(InputError, match=f"^a: {found} and no sound behind it, expected a WAV, FLAC, "):
            decode(tag + behind, "a")


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
    first = frame_size(int.from_bytes(content[:4], "big"))
    last = content.rindex(content[first : first + 2])
    for cut in (content[:-1], content[:last]):
        with pytest.raises(InputError, match=rf"^a: ends after {frames - 1} MP3 frames, expected {frames}; copy it a"):
            decode(cut, "a")
    with pytest.raises(InputError, match=rf"^a: ends after {frames - 1} MP3 frames, expected whole frames; copy it a"):
        decode(without_first_frame(content)[:-1], "a")


def test_damage_between_the_frames_of_an_mp3_is_named() -> None:
    first = frame_size(int.from_bytes(CONSTANT[:4], "big"))
    for damaged in (patched(CONSTANT, first, b"\0"), patched(CONSTANT, first + 1, bytes([CONSTANT[first + 1] ^ 4]))):
        with pytest.raises(InputError, match=r"^a: damaged: no MP3 frame at byte "):
            decode(damaged, "a")
    second = first + frame_size(int.from_bytes(CONSTANT[first : first + 4], "big"))
    for damaged in (CONSTANT[:second] + b"garbage" + CONSTANT[second:], CONSTANT[:second] + CONSTANT[second + 9 :]):
        with pytest.raises(InputError, match=rf"^a: damaged: no MP3 frame at byte {second:,}, expected whole frames; "):
            decode(damaged, "a")
    with pytest.raises(InputError, match=r"^a: ends after 0 MP3 frames, expected \d+; copy it again$"):
        decode(CONSTANT[: first // 2], "a")
    with pytest.raises(InputError, match=r"^a: damaged: no MP3 frame at byte "):
        decode(without_first_frame(CONSTANT) + NOISE.tobytes()[:999], "a")
    with pytest.raises(InputError, match=r"^a: damaged: no MP3 frame at its start, expected whole frames; copy it"):
        decode(patched(CONSTANT, 1, bytes([CONSTANT[1] ^ 4])), "a")


def test_two_mp3_files_in_one_are_named() -> None:
    with pytest.raises(InputError, match=r"^a: \d+ MP3 frames, expected the \d+ that its Xing frame counts; re-encode"):
        decode(CONSTANT + CONSTANT, "a")


@pytest.mark.parametrize("tag", [b"APETAGEX" + bytes(99), b"LYRICSBEGIN...", bytes(500), b"\xff" * 99, b"\r\n"])
def test_a_tag_behind_an_mp3_is_no_damage(tag: bytes) -> None:
    assert np.array_equal(decode(CONSTANT + tag, "clip").samples, decode(CONSTANT, "clip").samples)


# ── Ogg ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("codec", [VORBIS, OPUS])
def test_zeros_behind_an_ogg_are_no_damage(codec: dict[str, str]) -> None:
    content = sound_file(NOISE, **codec)
    assert np.array_equal(decode(content + bytes(99), "clip").samples, decode(content, "clip").samples)


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


def test_a_streamed_flac_does_not_know_its_length() -> None:
    assert np.array_equal(decode(flac_of_length(0), "clip").samples[:, 0], RAMP)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_a_flac_whose_samples_do_not_match_its_md5_is_refused(subtype: str) -> None:
    content = sound_file(NOISE, format="FLAC", subtype=subtype)
    shorter = patched(content, 22, struct.pack(">I", 15000))
    with pytest.raises(
        InputError, match=r"^a: damaged: the samples do not match the FLAC's MD5, expected the samples "
    ):
        decode(shorter, "a")


@pytest.mark.parametrize("at", [100, 9000, 20000])
def test_a_flipped_bit_in_a_flac_is_named(at: int) -> None:
    content = sound_file(NOISE, format="FLAC")
    with pytest.raises(
        InputError, match=r"^a: (does not decode \(.*; it is damaged: copy it again|damaged: .*; copy it again)$"
    ):
        decode(patched(content, at, bytes([content[at] ^ 0x10])), "a")
