"""pipeline.features: features of clips by dtc.audio, their statistics against numpy, and a changed clip found out."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtc.audio import from_int16, log_mel, stft_magnitude
from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from pipeline.config import FeaturesConfig, RecordingConfig
from pipeline.feature_recipe import FeatureRecipe
from pipeline.features import Features, MelStatistics
from pipeline.manifest import ManifestRow
from pipeline.recording import read_recording

STATISTICS_TOLERANCE = 1e-9  # relative; sums of squares in float64 against numpy's two passes
FLOAT16 = 2**-11  # relative rounding of a float16
AS_IT_IS = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)


@pytest.fixture
def content(make_sound: Callable[..., bytes]) -> bytes:
    return make_sound(0.3)


@pytest.fixture
def row(content: bytes) -> ManifestRow:
    return ManifestRow(
        id="a",
        raw_text="1",
        spoken_text="one",
        member="wavs/a.wav",
        md5=hashlib.md5(content).hexdigest(),
        samples=4800,
        first_byte=None,
        size_bytes=len(content),
        source_sampling_rate=16000,
        source_channels=1,
        crc32=zlib.crc32(content),
    )


def compute(row: ManifestRow, content: bytes, audio: AudioConfig, stft: bool = False, **recording: object) -> Features:
    treated = AS_IT_IS.model_copy(update=recording)
    return FeatureRecipe(treated, audio, FeaturesConfig(stft=stft, clips_per_shard=2)).compute(row, content)


def test_features_are_dtc_audios(row: ManifestRow, content: bytes, audio: AudioConfig) -> None:
    found = compute(row, content, audio, stft=True)
    samples = read_recording(content, "", AS_IT_IS, audio)
    wave = from_int16(samples)[None]
    np.testing.assert_array_equal(found.wave, samples)
    np.testing.assert_array_equal(found.mel, log_mel(wave, audio)[0].numpy())
    assert found.mel.dtype == np.float32
    assert found.mel.shape == (80, 1 + 4800 // 256)
    assert found.stft is not None
    assert found.stft.dtype == np.float16
    np.testing.assert_allclose(found.stft, stft_magnitude(wave, audio)[0].numpy(), rtol=FLOAT16, atol=1e-6)


def test_no_stft_unless_asked_for(row: ManifestRow, content: bytes, audio: AudioConfig) -> None:
    assert compute(row, content, audio).stft is None


def test_the_recording_is_treated_before_anything_is_computed(
    row: ManifestRow, make_sound: Callable[..., bytes], audio: AudioConfig
) -> None:
    content = make_sound(0.3, sampling_rate=32000)
    other = replace(row, crc32=zlib.crc32(content))
    assert len(compute(other, content, audio, resample=True).wave) == 4800


def test_a_clip_changed_since_verify_is_refused(row: ManifestRow, content: bytes, audio: AudioConfig) -> None:
    with pytest.raises(InputError) as error:
        compute(replace(row, crc32=0), content, audio)
    assert str(error.value) == f"wavs/a.wav: CRC-32 {row.crc32:08x}, expected 00000000; run `dtc verify` again"
    with pytest.raises(InputError, match=r"^wavs/a\.wav: 4800 samples, expected 4801; run `dtc verify` again$"):
        compute(replace(row, samples=4801), content, audio)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**31))
@settings(deadline=None)
def test_statistics_equal_numpys(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    mels = [generator.normal(-5.0, 2.0, (4, length)).astype(np.float32) for length in lengths]
    for mel in mels:
        mel[3] = -11.5  # a band that never changes
    statistics, rest = MelStatistics.none(4), MelStatistics.none(4)
    for number, mel in enumerate(mels):
        (statistics if number % 2 else rest).add(mel)
    statistics.merge(rest)
    mean, deviation = statistics.mean_and_deviation()
    frames = np.concatenate(mels, axis=1).astype(np.float64)
    assert statistics.frames == sum(lengths)
    np.testing.assert_allclose(mean, frames.mean(axis=1), rtol=STATISTICS_TOLERANCE)
    expected = frames.std(axis=1)
    # A single frame, and the constant band, have no deviation: 1 keeps a division by it harmless.
    np.testing.assert_allclose(deviation, np.where(expected > 1e-4, expected, 1.0), rtol=1e-6)
    assert deviation[3] == 1.0
