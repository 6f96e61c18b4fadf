"""Test what is measured of a clip, by hand and against numpy."""

import hashlib
import io
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decoding import decode
from pipeline.limits import FACTS, clipped, make_facts, measure


def column(*values: float, dtype: type = np.int16) -> np.ndarray:
    return np.array(values, dtype)[:, None]


@pytest.mark.parametrize(
    ("samples", "share", "runs"),
    [
        ([0, 32767, 0, 0], 0.0, 0),  # once is the peak of a recording that was brought there
        ([0, 32767, 32767, 0], 0.5, 1),
        ([32767, 32767, 0, -32768, -32767, -32768, 0, 32767], 0.625, 2),
        ([32766, 32766, -32766, 0], 0.0, 0),
        ([-32768] * 5, 1.0, 1),
        ([0, 0, 32767, 32767], 0.5, 1),
    ],
)
def test_clipped_samples_are_at_full_scale_and_not_alone(samples: list[int], share: float, runs: int) -> None:
    assert clipped(column(*samples)) == (share, runs)
    assert clipped(column(*(value / 32768 for value in samples), dtype=np.float32)) == (share, runs)


@pytest.mark.parametrize(
    ("subtype", "largest"),
    [
        ("ULAW", 32124),
        ("ALAW", 32256),
        ("PCM_U8", 127 * 256),
        ("PCM_16", 32767),
        ("PCM_24", 32767.99609375),
        ("FLOAT", 32767),
        ("DOUBLE", 40000),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_clip_is_clipped_at_the_largest_value_of_its_format(subtype: str, largest: float, sign: int) -> None:
    """One step below it is not clipped; a step is 4 % in µ-law and A-law."""
    full, below = np.full(5, sign * largest / 32768), np.full(5, sign * min(largest, 32767) * 0.95 / 32768)
    samples = np.concatenate([np.zeros(10), full, np.zeros(10), below, np.zeros(20)])
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16000, format="WAV", subtype=subtype)
    decoded = decode(stream.getvalue(), "clip")
    assert np.abs(decoded.samples).max() == pytest.approx(
        largest if decoded.samples.dtype == np.int16 else largest / 32768, rel=5e-3
    )
    assert clipped(decoded.samples, decoded.largest_sample) == (0.1, 1)


def test_the_worst_channel_counts() -> None:
    clean, bad = column(0, 1, 2, 3), column(32767, 32767, 0, 0)
    assert clipped(np.concatenate([clean, bad], axis=1)) == clipped(np.concatenate([bad, clean], axis=1)) == (0.5, 1)


@given(st.lists(st.sampled_from([0, 100, 32767, -32768]), min_size=1, max_size=30))
def test_the_clipped_share_equals_a_count_by_text(samples: list[int]) -> None:
    marks = "".join("x" if abs(value) >= 32767 else " " for value in samples)
    runs = [run for run in marks.split() if len(run) > 1]
    assert clipped(column(*samples)) == (sum(map(len, runs)) / len(samples), len(runs))


def test_a_tone_between_silences() -> None:
    """0.5 s of nothing, 1 s at -6 dB of a square wave, 0.25 s of nothing, at 16 kHz."""
    loud = np.tile(np.repeat(np.array([16384, -16384], np.int16), 8), 1000)
    samples = np.concatenate([np.zeros(8000, np.int16), loud, np.zeros(4000, np.int16)])
    facts = measure(samples[:, None], samples, 16000, silence_db=-60.0)
    by_hand = {
        "samples": 28000,
        "duration_s": 1.75,
        "source_samples": 28000,
        "source_channels": 1,
        "clipped_share": 0.0,
        "silent_share": 38 / 88,
        "level_db": 10 * math.log10(0.25 * 16000 / 28000),
        "leading_s": 0.5,
        "trailing_s": 0.25,
    }
    assert {name: facts[name] for name in by_hand} == pytest.approx(by_hand)
    assert bytes(facts["sound_md5"]) == hashlib.md5(samples.tobytes()).digest()


@pytest.mark.parametrize(("level", "leading_s"), [(163, 0.5), (165, 0.0)])
def test_frames_40_db_below_the_loudest_are_silence_at_the_ends(level: int, leading_s: float) -> None:
    """Of 16384, that is 163.84."""
    samples = np.repeat(np.array([level, 16384], np.int16), 8000) * np.tile([1, -1], 8000).astype(np.int16)
    assert measure(samples[:, None], samples, 16000, silence_db=-60.0)["leading_s"] == leading_s


@pytest.mark.parametrize(("level", "silent"), [(32, 1.0), (33, 0.0)])
def test_silence_is_below_a_level_of_full_scale(level: int, silent: float) -> None:
    """-60 dB of 32768 are 32.77."""
    samples = np.tile(np.array([level, -level], np.int16), 800)
    assert measure(samples[:, None], samples, 16000, silence_db=-60.0)["silent_share"] == silent


@pytest.mark.parametrize("offset", [1638, -1638])
def test_a_constant_offset_does_not_change_the_measures_of_silence(offset: int) -> None:
    """Noise of -80 dB plus a constant of 0.05 is silent; where speech is in its middle, the rest is."""
    noise = np.random.default_rng(0).normal(0.0, 32768 * 10 ** (-80 / 20), 16000).round().astype(np.int16)
    facts = measure(noise[:, None], noise + np.int16(offset), 16000, silence_db=-60.0)
    assert (facts["silent_share"], facts["is_constant"]) == (1.0, False)
    assert facts["level_db"] == pytest.approx(-80, abs=0.5)
    noise[4800:8000] += np.tile(np.repeat(np.array([9000, -9000], np.int16), 40), 40)
    names = ["silent_share", "level_db", "leading_s", "trailing_s"]
    without, with_it = (measure(wave[:, None], wave, 16000, -60.0) for wave in (noise, noise + np.int16(offset)))
    assert [with_it[name] for name in names] == pytest.approx([without[name] for name in names])
    assert (with_it["silent_share"], with_it["leading_s"], with_it["trailing_s"]) == pytest.approx((0.8, 0.3, 0.5))


def test_a_constant_is_reported() -> None:
    for value in (0, 7, -32768):
        samples = np.full(1000, value, np.int16)
        facts = measure(samples[:, None], samples, 16000, silence_db=-60.0)
        assert facts["is_constant"]
        assert (facts["silent_share"], facts["level_db"]) == (1.0, -math.inf)
    assert not measure(column(*range(1000)), np.arange(1000, dtype=np.int16), 16000, -60.0)["is_constant"]


def test_a_record_keeps_every_fact() -> None:
    values = {
        "samples": 1 << 40,
        "duration_s": 1.2345678,
        "source_samples": 1 << 41,
        "source_sampling_rate": 384000,
        "source_channels": 2,
        "clipped_share": 0.001,
        "clipped_runs": 3,
        "silent_share": 0.7,
        "level_db": -math.inf,
        "leading_s": 0.5,
        "trailing_s": 0.75,
        "is_constant": True,
        "sound_md5": bytes(range(16)),
        "md5": bytes(16),
        "crc32": 2**32 - 1,
        "size_bytes": 1 << 33,
        "first_byte": 1 << 34,
    }
    assert FACTS.names == tuple(values)
    packed = np.frombuffer(make_facts(**values).tobytes() + make_facts().tobytes(), FACTS)
    assert packed[0].tolist() == tuple(values.values())
    assert (packed[1]["samples"], packed[1]["first_byte"], packed[1]["level_db"]) == (0, -1, -math.inf)
    assert FACTS.itemsize <= 128, "a million clips must fit"
