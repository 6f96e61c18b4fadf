"""pipeline.features: features of clips by dtc.audio, their statistics against numpy, and a changed archive found out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtc.audio import AudioConfig, from_int16, log_mel, read_wave, stft_magnitude
from dtc.errors import InputError
from pipeline.archive import pack_folder
from pipeline.audit import ManifestRow, audit
from pipeline.features import Features, FeaturesConfig, MelStatistics, read_features

STATISTICS_TOLERANCE = 1e-9  # relative; sums of squares in float64 against numpy's two passes
FLOAT16 = 2**-11  # relative rounding of a float16


@pytest.fixture
def corpus(tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig) -> tuple[Path, list[ManifestRow]]:
    archive = tmp_path / "voice.tar"
    pack_folder(make_corpus(tmp_path / "voice", clips=5), archive)
    manifest, faults = audit(archive, audio, lambda clip: None)
    assert faults == []
    return archive, manifest


def features(archive: Path, manifest: list[ManifestRow], audio: AudioConfig, stft: bool = False) -> list[Features]:
    return list(read_features(archive, manifest, audio, FeaturesConfig(stft=stft, clips_per_shard=2)))


def test_features_are_dtc_audios(corpus: tuple[Path, list[ManifestRow]], audio: AudioConfig, tmp_path: Path) -> None:
    archive, manifest = corpus
    for found in features(archive, manifest, audio, stft=True):
        samples, _ = read_wave((tmp_path / "voice/wavs" / f"{found.row.id}.wav").read_bytes(), "")
        wave = from_int16(samples)[None]
        np.testing.assert_array_equal(found.wave, samples)
        np.testing.assert_array_equal(found.mel, log_mel(wave, audio)[0].numpy())
        assert found.mel.dtype == np.float32
        assert found.mel.shape == (80, 1 + found.row.samples // 256)
        assert found.stft is not None
        assert found.stft.dtype == np.float16
        np.testing.assert_allclose(found.stft, stft_magnitude(wave, audio)[0].numpy(), rtol=FLOAT16, atol=1e-6)


def test_no_stft_unless_asked_for(corpus: tuple[Path, list[ManifestRow]], audio: AudioConfig) -> None:
    assert [found.stft for found in features(*corpus, audio)] == [None] * 5


def test_the_order_is_the_archives_whatever_the_manifests(
    corpus: tuple[Path, list[ManifestRow]], audio: AudioConfig
) -> None:
    archive, manifest = corpus
    ids = [found.row.id for found in features(archive, manifest[::-1], audio)]
    assert ids == sorted(ids)
    assert [found.row.id for found in features(archive, manifest[1:3], audio)] == ["clip-001", "clip-002"]


def test_an_archive_changed_since_the_audit_is_refused(
    corpus: tuple[Path, list[ManifestRow]], audio: AudioConfig
) -> None:
    archive, manifest = corpus
    changed = [*manifest[:3], replace(manifest[3], md5="0" * 32), manifest[4]]
    with pytest.raises(InputError) as error:
        features(archive, changed, audio)
    assert str(error.value) == (
        f"voice.tar:voice/wavs/clip-003.wav: MD5 {manifest[3].md5}, expected {'0' * 32}; run `dtc verify` again"
    )
    with pytest.raises(InputError, match=r"voice\.tar: lacks gone\.wav, expected the clips of the manifest; run `dtc"):
        features(archive, [*manifest, replace(manifest[0], member="gone.wav")], audio)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**31))
@settings(deadline=None)
def test_statistics_equal_numpys(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    mels = [generator.normal(-5.0, 2.0, (4, length)).astype(np.float32) for length in lengths]
    for mel in mels:
        mel[3] = -11.5  # a band that never changes
    statistics = MelStatistics()
    for mel in mels:
        statistics.add(mel)
    mean, deviation = statistics.mean_and_deviation()
    frames = np.concatenate(mels, axis=1).astype(np.float64)
    assert statistics.frames == sum(lengths)
    np.testing.assert_allclose(mean, frames.mean(axis=1), rtol=STATISTICS_TOLERANCE)
    expected = frames.std(axis=1)
    # A single frame, and the constant band, have no deviation: 1 keeps a division by it harmless.
    np.testing.assert_allclose(deviation, np.where(expected > 1e-4, expected, 1.0), rtol=1e-6)
    assert deviation[3] == 1.0
