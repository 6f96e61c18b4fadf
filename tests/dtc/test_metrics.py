import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtc.evaluation.metrics import (
    attention_diagonality,
    attention_focus,
    cheapest_path,
    longest_symbol_s,
    mel_cepstra,
    mel_cepstral_distortion_db,
    real_time_factor,
)

N_MELS = 80


def random_log_mel(seed: int, n_frames: int, n_mels: int = N_MELS) -> np.ndarray:
    return np.random.default_rng(seed).normal(-4.0, 2.0, size=(n_mels, n_frames)).astype(np.float32)


def ripple(cycles: int, amplitude: float) -> np.ndarray:
    """One frame whose log magnitude is a cosine over the mel bands."""
    bands = (np.arange(N_MELS) + 0.5) / N_MELS
    return amplitude * np.cos(np.pi * cycles * bands)[:, None]


def oracle_distortion_db(reference: np.ndarray, synthesised: np.ndarray) -> float:
    """MCD from its definition: cosine sums and a recursive search over all warping paths."""

    def cepstrum(frame: np.ndarray, k: int) -> float:
        n_mels = len(frame)
        return sum(2 * float(v) * math.cos(math.pi * k * (m + 0.5) / n_mels) for m, v in enumerate(frame)) / n_mels

    left = [[cepstrum(frame, k) for k in range(1, 14)] for frame in reference.T]
    right = [[cepstrum(frame, k) for k in range(1, 14)] for frame in synthesised.T]

    @cache
    def best(i: int, j: int) -> tuple[float, int]:
        before = [best(a, b) for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if a >= 0 and b >= 0]
        cost, pairs = min(before, default=(0.0, 0))
        squared = sum((p - q) ** 2 for p, q in zip(left[i], right[j], strict=True))
        return cost + 10 / math.log(10) * math.sqrt(2 * squared), pairs + 1

    cost, pairs = best(len(left) - 1, len(right) - 1)
    return cost / pairs


@pytest.mark.parametrize(("n_reference", "n_synthesised"), [(1, 1), (1, 6), (7, 4), (9, 9), (3, 12)])
def test_distortion_agrees_with_an_independent_oracle(n_reference: int, n_synthesised: int) -> None:
    reference, synthesised = random_log_mel(1, n_reference), random_log_mel(2, n_synthesised)
    expected = oracle_distortion_db(reference, synthesised)
    assert mel_cepstral_distortion_db(reference, synthesised) == pytest.approx(expected, rel=1e-9)


def test_distortion_is_in_decibels_of_the_spectrum() -> None:
    """An envelope that is off by a ripple of 6 dB amplitude is 6 / √2 dB away, for any number of mel bands."""
    six_db_in_nepers = 6 * math.log(10) / 20
    flat = np.zeros((N_MELS, 1))
    assert mel_cepstral_distortion_db(flat, ripple(3, six_db_in_nepers)) == pytest.approx(6 / math.sqrt(2))


def test_distortion_ignores_loudness_and_detail_beyond_thirteen_cosines() -> None:
    frame = ripple(2, 1.0)
    assert mel_cepstral_distortion_db(frame, frame + 3.0) == pytest.approx(0, abs=1e-12)
    assert mel_cepstral_distortion_db(frame, frame + ripple(14, 1.0)) == pytest.approx(0, abs=1e-12)
    assert mel_cepstral_distortion_db(frame, frame + ripple(13, 1.0)) > 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), lengths=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_distortion_is_symmetric_and_zero_only_for_equal(seed: int, lengths: tuple[int, int]) -> None:
    one, other = random_log_mel(seed, lengths[0]), random_log_mel(seed + 1, lengths[1])
    there, back = mel_cepstral_distortion_db(one, other), mel_cepstral_distortion_db(other, one)
    assert there == back > 0
    assert mel_cepstral_distortion_db(one, one) == 0


@settings(max_examples=30, deadline=None)
@given(repeats=st.lists(st.integers(1, 4), min_size=1, max_size=10))
def test_repeated_frames_are_not_distortion(repeats: list[int]) -> None:
    log_mel = random_log_mel(5, len(repeats))
    assert mel_cepstral_distortion_db(log_mel, np.repeat(log_mel, repeats, axis=1)) == 0


def test_distortion_of_mels_that_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="80 mel bands against 40"):
        mel_cepstral_distortion_db(random_log_mel(0, 3), random_log_mel(0, 3, n_mels=40))
    with pytest.raises(ValueError, match=r"shape \(80, 0\)"):
        mel_cepstral_distortion_db(random_log_mel(0, 3), random_log_mel(0, 0))
    with pytest.raises(ValueError, match=r"shape \(13, 4\)"):
        mel_cepstra(random_log_mel(0, 4, n_mels=13))


def test_cheapest_path_literal() -> None:
    distance = np.array([[1.0, 9, 9], [1, 9, 9], [9, 1, 1]])
    cost, path = cheapest_path(distance)
    assert cost == 4.0
    assert path.tolist() == [[0, 0], [1, 0], [2, 1], [2, 2]]  # down, diagonally, right


def test_among_equally_cheap_paths_the_shortest_counts() -> None:
    for shape in ((4, 7), (7, 4)):
        cost, path = cheapest_path(np.zeros(shape))
        assert (cost, len(path)) == (0.0, 7)


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_path_has_the_cost_and_only_allowed_steps(rows: int, columns: int, seed: int) -> None:
    distance = np.random.default_rng(seed).random((rows, columns))
    cost, path = cheapest_path(distance)
    assert distance[path[:, 0], path[:, 1]].sum() == pytest.approx(cost)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [rows - 1, columns - 1]
    assert {tuple(step) for step in np.diff(path, axis=0).tolist()} <= {(1, 1), (1, 0), (0, 1)}


def test_the_longest_symbol() -> None:
    alignment = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert longest_symbol_s(alignment, 0.1) == pytest.approx(0.25)


def test_attention_focus() -> None:
    assert attention_focus(np.eye(4)) == 1
    assert attention_focus(np.full((9, 4), 0.25)) == 0.25
    assert attention_focus(np.array([[0.9, 0.1], [0.3, 0.7]])) == pytest.approx(0.8)


def test_attention_diagonality() -> None:
    read_in_order = np.repeat(np.eye(10), 3, axis=0)
    assert attention_diagonality(read_in_order) == 1
    assert attention_diagonality(read_in_order[::-1]) == pytest.approx(0.2)  # crosses the diagonal only in the middle
    stuck_at_the_first_symbol = np.zeros((100, 20))
    stuck_at_the_first_symbol[:, 0] = 1
    assert attention_diagonality(stuck_at_the_first_symbol) == pytest.approx(0.2 + 0.5 / 20, abs=0.01)
    assert attention_diagonality(np.full((500, 500), 1 / 500)) == pytest.approx(0.36, abs=0.005)


@given(steps=st.integers(1, 30), symbols=st.integers(1, 30), seed=st.integers(0, 99))
def test_attention_figures_stay_in_their_range(steps: int, symbols: int, seed: int) -> None:
    weights = np.random.default_rng(seed).random((steps, symbols)) + 1e-3
    alignment = weights / weights.sum(axis=1, keepdims=True)
    assert 1 / symbols - 1e-12 <= attention_focus(alignment) <= 1
    assert 0 <= attention_diagonality(alignment) <= 1 + 1e-12


@pytest.mark.parametrize("nothing", [np.zeros((0, 5)), np.zeros((5, 0)), np.zeros((3, 3))])
def test_an_alignment_without_weight_is_refused(nothing: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no attention weight"):
        attention_focus(nothing)
    with pytest.raises(ValueError, match="no attention weight"):
        attention_diagonality(nothing)


def test_real_time_factor() -> None:
    assert real_time_factor(seconds_of_work=3.0, seconds_of_audio=12.0) == 0.25
    with pytest.raises(ValueError, match=r"0\.0 s of audio"):
        real_time_factor(1.0, 0.0)
