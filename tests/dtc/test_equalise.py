"""What makes recordings and synthetic speech equal in all that is not speech."""

import numpy as np
import pytest

from dtc.equalise import (
    SPEECH_RMS,
    at_level,
    at_one_step,
    band_limited,
    common_band,
    gain_of,
    with_noise,
    without_silence,
)


def test_the_common_band_is_what_all_kinds_have() -> None:
    whole = np.random.default_rng(1).standard_normal(16_000) * 0.05
    no_treble, no_bass = (band_limited(whole, 16_000, band) for band in ((60.0, 5000.0), (200.0, 8000.0)))
    low, high = common_band([[whole], [no_treble], [no_bass]], 16_000)
    assert 200 <= low <= 300
    assert 4400 <= high <= 5000
    assert common_band([[whole], [whole]], 16_000) == (60.0, 8000.0)
    assert common_band([[whole], [np.zeros(16_000)]], 16_000) == (60.0, 8000.0), "one kind is silent"


def test_the_filter_keeps_its_band_and_removes_the_others() -> None:
    time = np.arange(16_000) / 16_000
    inside, below, above = (np.sin(2 * np.pi * hz * time) for hz in (1000, 50, 5300))
    limited = band_limited(inside + below + above + 0.1, 16_000, (100.0, 5000.0))
    np.testing.assert_allclose(limited, inside, atol=1e-9)


def test_finer_samples_are_rounded_to_the_steps_of_the_coarsest_at_one_level() -> None:
    rng = np.random.default_rng(1)
    fine, coarse = np.round(rng.normal(0, 3000, 1000)) / 32768, np.round(rng.normal(0, 30, 1000)) * 256 / 32768
    stepped = at_one_step([fine, coarse])
    step = 256 / 32768 * gain_of(coarse)
    for wave in stepped:
        np.testing.assert_allclose(wave / step, np.round(wave / step), atol=1e-9)
        assert np.sqrt(np.mean(wave**2)) == pytest.approx(SPEECH_RMS, rel=0.01)
    np.testing.assert_array_equal(stepped[1], at_level(coarse))


def test_no_silent_frame_is_kept() -> None:
    loud, soft = np.tile([0.5, -0.5], 80), np.tile([0.004, -0.004], 80)  # 10 ms; -42 dB
    wave = np.concatenate([soft, loud, soft, soft, loud, loud[:90]])
    np.testing.assert_array_equal(without_silence(wave, 16_000), np.concatenate([loud, loud, loud[:90]]))


def test_digital_silence_stays_as_it_is() -> None:
    silence = np.zeros(320)
    np.testing.assert_array_equal(at_level(silence), silence)
    np.testing.assert_array_equal(at_one_step([silence, silence]), [silence, silence])
    assert len(without_silence(silence, 16_000)) == 320


def test_noise_has_its_level_and_depends_on_its_purpose() -> None:
    one, same, other = (with_noise(np.zeros(100_000), 40.0, purpose) for purpose in ("one", "one", "other"))
    assert 20 * np.log10(one.std() / SPEECH_RMS) == pytest.approx(-40.0, abs=0.1)
    np.testing.assert_array_equal(one, same)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
