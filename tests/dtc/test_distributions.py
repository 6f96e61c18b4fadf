"""The Fréchet distance, by scipy's matrix square root and by Gaussians whose distance is known."""

import math

import numpy as np
import pytest
import scipy.linalg

from dtc.evaluation.distributions import envelope_distances, frechet_distance
from dtc.evaluation.metrics import mel_cepstra


def rows(seed: int, n: int = 500, features: int = 13) -> np.ndarray:
    source = np.random.default_rng(seed)
    return source.normal(size=(n, features)) @ source.normal(size=(features, features)) + source.normal(size=features)


def test_the_distance_agrees_with_the_matrix_square_root() -> None:
    a, b = rows(1), rows(2)
    first, second = np.cov(a.T, bias=True), np.cov(b.T, bias=True)
    root = scipy.linalg.sqrtm(first @ second).real
    squared = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(first + second - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(math.sqrt(squared), rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_a_shift_and_a_scale_have_the_distance_of_their_gaussians() -> None:
    """Of one dimension: √((μ − μ')² + (σ − σ')²)."""
    values = np.random.default_rng(3).normal(size=(1000, 1))
    values = (values - values.mean()) / values.std()
    assert frechet_distance(values, values) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(values, values + 3) == pytest.approx(3)
    assert frechet_distance(values, 5 * values + 3) == pytest.approx(5)
    assert math.isnan(frechet_distance(values, values[:1]))


def test_a_smoothed_voice_is_far_although_each_frame_is_near() -> None:
    source = np.random.default_rng(4)
    recorded = [source.normal(-4, 1, size=(80, 60)) for _ in range(8)]
    means = [np.repeat(mel.mean(axis=1, keepdims=True), 60, axis=1) for mel in recorded]
    equal, smooth = envelope_distances(recorded, recorded[::-1]), envelope_distances(recorded, means)
    assert equal == pytest.approx({"frechet_envelope_db": 0, "frechet_movement_db": 0}, abs=1e-5)
    still = 10 * math.sqrt(2) / math.log(10) * math.sqrt(sum(_movement_powers(recorded)))
    assert smooth["frechet_movement_db"] == pytest.approx(still, rel=1e-6), "a voice that stands still"
    assert smooth["frechet_envelope_db"] > 1


def _movement_powers(mels: list[np.ndarray]) -> list[float]:
    moved = np.concatenate([np.diff(mel_cepstra(mel), axis=0) for mel in mels])
    return [float(np.mean(column**2)) for column in moved.T]
