"""Pitch against the recording: the formulas on tracks that are written down, and swift-f0 on tones that are moved."""

import math

import numpy as np
import pytest

from dtc.errors import InputError
from dtc.evaluation import quality_inputs
from dtc.evaluation.prosody import PitchTrack, prosody_errors, track_pitch

RATE = 16_000


def track(f0_hz, voiced=None):
    f0_hz = np.array(f0_hz, dtype=np.float64)
    voiced = np.full(len(f0_hz), True) if voiced is None else np.array(voiced, dtype=bool)
    return PitchTrack(0.008 + 0.016 * np.arange(len(f0_hz)), f0_hz, voiced)


def diagonal(n):
    return np.repeat((0.008 + 0.016 * np.arange(n))[:, None], 2, axis=1)


def test_an_octave_and_a_semitone():
    errors = prosody_errors(track([100, 110, 120, 130]), track([200, 220, 240, 260]), diagonal(4))
    assert errors == pytest.approx({"log_f0_rmse": math.log(2), "log_f0_correlation": 1, "voicing_error": 0})
    semitone = 2 ** (1 / 12)
    assert prosody_errors(track([100, 200]), track([100 * semitone, 200]), diagonal(2))["log_f0_rmse"] == pytest.approx(
        0.0578 / math.sqrt(2), abs=1e-4
    )


def test_the_correlation_is_that_of_the_logarithms():
    source = np.random.default_rng(1)
    ours, theirs = np.exp(source.normal(5, 0.2, 50)), np.exp(source.normal(5, 0.2, 50))
    errors = prosody_errors(track(ours), track(theirs), diagonal(50))
    x, y = np.log(ours) - np.log(ours).mean(), np.log(theirs) - np.log(theirs).mean()
    assert errors["log_f0_correlation"] == pytest.approx(sum(x * y) / math.sqrt(sum(x**2) * sum(y**2)))
    assert math.isnan(prosody_errors(track(ours), track([100] * 50), diagonal(50))["log_f0_correlation"]), "monotone"


def test_frames_that_are_voiced_in_one_only():
    ours, theirs = track([100] * 4, [1, 1, 0, 0]), track([100] * 4, [1, 0, 1, 0])
    errors = prosody_errors(ours, theirs, diagonal(4))
    assert (errors["log_f0_rmse"], errors["voicing_error"]) == (0, 0.5)
    silent = prosody_errors(ours, track([100] * 4, [0] * 4), diagonal(4))
    assert silent["voicing_error"] == 0.5
    assert math.isnan(silent["log_f0_rmse"])


def test_the_path_pairs_the_frames():
    """The synthesis is twice as slow: along the path it is equal, frame by frame it is not."""
    times = np.stack([np.repeat([0.008, 0.024, 0.04], 2), 0.008 + 0.016 * np.arange(6)], axis=1)
    ours, theirs = track([100, 150, 200]), track([100, 100, 150, 150, 200, 200])
    assert prosody_errors(ours, theirs, times)["log_f0_rmse"] == pytest.approx(0)
    assert ours.nearest(np.array([-1, 0.015, 0.017, 9])).tolist() == [0, 0, 1, 2]


def test_no_track_no_figures():
    assert all(map(math.isnan, prosody_errors(None, track([100]), np.zeros((1, 2))).values()))


def test_swift_f0_follows_a_tone_that_rises():
    pytest.importorskip("swift_f0")
    f0 = np.linspace(120, 240, RATE)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    wave = sum(np.sin(n * phase) / n for n in range(1, 12)).astype(np.float32) * 0.2
    found = track_pitch(wave, RATE)
    inside = slice(5, -5)
    expected = np.interp(found.times_s, np.arange(RATE) / RATE, f0)
    assert found.voiced[inside].all()
    assert found.f0_hz[inside] == pytest.approx(expected[inside], rel=0.03)
    assert track_pitch(wave[:1000], RATE) is None, "too short"


def test_a_missing_tracker_is_named(monkeypatch):
    monkeypatch.setitem(quality_inputs.OPTIONAL, "pitch", (("no_such_module",), "pip install it"))
    with pytest.raises(InputError, match="no_such_module is not installed; install it with `pip install it`"):
        track_pitch(np.zeros(RATE, np.float32), RATE)
