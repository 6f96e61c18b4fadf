"""Objective measures of synthesised speech: distance of mels, shape of the attention, and speed."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from jaxtyping import Float, Integer
from scipy.spatial.distance import cdist

# Coefficients 1 to 13 describe the spectral envelope. Coefficient 0 is loudness; those above 13 are mostly pitch.
N_CEPSTRA = 13
NEAR_DIAGONAL = 0.2  # of the text
DB_OF_CEPSTRA = 10.0 * math.sqrt(2.0) / math.log(10.0)  # Euclidean distance of mel cepstra → dB
WAYS = ((1, 1), (1, 0), (0, 1))  # rows and columns of a step of a warping path


def mel_cepstra(log_mel: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, "frames 13"]:
    """Return the mel cepstra 1 to 13 of the log power.

    c[k] = 1/M Σ_m ln P[m] · cos(π k (m + ½) / M), so that ln P[m] = c[0] + 2 Σ_k c[k] cos(π k (m + ½) / M): a DCT-II,
    scaled as a Fourier cepstrum is. An orthonormal DCT-II is √(2M) times as large and would make the distortion
    depend on the number of mel bands.

    `log_mel` is the natural log of mel *magnitudes*; the log power, on which a cepstrum is defined, is twice that.
    Raises ValueError for a mel without frames and for fewer than 14 bands.
    """
    if log_mel.ndim != 2 or log_mel.shape[1] == 0 or log_mel.shape[0] <= N_CEPSTRA:
        raise ValueError(f"log-mels of shape {log_mel.shape}, expected (more than {N_CEPSTRA} mels, at least 1 frame)")
    log_power = 2.0 * log_mel.astype(np.float64)
    return scipy.fft.dct(log_power, type=2, norm="forward", axis=0)[1 : N_CEPSTRA + 1].T


def mel_cepstral_distortion_db(
    reference_log_mel: Float[np.ndarray, "mels reference_frames"],
    synthesised_log_mel: Float[np.ndarray, "_ synthesised_frames"],
) -> float:
    """Return the distance of two spectral envelopes in dB, without regard to loudness and timing; 0 if they are equal.

    MCD = mean over the pairs (i, j) of the warping path of 10 / ln 10 · √(2 Σ_{k=1}^{13} (c[i, k] − c'[j, k])²), with
    c as in `mel_cepstra`. It is the root mean square over the mel bands of the level difference in dB, after smoothing
    to 13 cosines: a ripple with an amplitude of 6 dB gives 6/√2. Frames are paired by exact dynamic time warping (steps
    of one frame in either or both, all with weight 1); the mean is over the path, not over the reference's frames.

    The scale is that of published figures for mel cepstra of log power (SPTK). Figures for orthonormal MFCCs are about
    ten times as large. Silent frames have the same weight as speech.

    Source: Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    Raises ValueError for empty mels or a different number of bands.
    """
    return warping_path(reference_log_mel, synthesised_log_mel)[0]


def warping_path(
    reference_log_mel: Float[np.ndarray, "mels reference_frames"],
    synthesised_log_mel: Float[np.ndarray, "_ synthesised_frames"],
) -> tuple[float, Integer[np.ndarray, "pairs 2"]]:
    """Return the mel-cepstral distortion in dB, and the frames of reference and synthesis that it pairs.

    See `mel_cepstral_distortion_db`.
    """
    if reference_log_mel.shape[0] != synthesised_log_mel.shape[0]:
        raise ValueError(f"{reference_log_mel.shape[0]} mel bands against {synthesised_log_mel.shape[0]}")
    distance = cdist(mel_cepstra(reference_log_mel), mel_cepstra(synthesised_log_mel))
    cost, path = cheapest_path(distance)
    return DB_OF_CEPSTRA * cost / len(path), path


def cheapest_path(distance: Float[np.ndarray, "rows columns"]) -> tuple[float, Integer[np.ndarray, "pairs 2"]]:
    """Return the cost and the pairs (row, column) of the cheapest path from the first pair to the last.

    Each step of the path (dynamic time warping) advances one row, one column, or one of both. Of equally cheap paths
    a shortest is taken, so cost and length are the same for the transposed matrix.

    The cells of an anti-diagonal depend only on the two anti-diagonals before, so each is one vectorised step. Row r
    of an anti-diagonal is at index r + 1; index 0 is a border that no path crosses.
    """
    n_rows, n_columns = distance.shape
    cost, cost_before = np.full((2, n_rows + 1), np.inf)
    length, length_before = np.zeros((2, n_rows + 1), dtype=np.int64)
    cost_before[0] = 0.0  # the virtual pair before the first
    ways = np.empty((n_rows, n_columns), dtype=np.int8)  # by which of WAYS the path comes to each pair

    for diagonal in range(n_rows + n_columns - 1):
        rows = np.arange(max(0, diagonal - n_columns + 1), min(n_rows, diagonal + 1))
        from_costs = np.stack([cost_before[rows], cost[rows], cost[rows + 1]])
        from_lengths = np.stack([length_before[rows], length[rows], length[rows + 1]])
        way = _cheapest_then_shortest(from_costs, from_lengths)
        ways[rows, diagonal - rows] = way
        cost_before, length_before = cost, length
        cost, length = np.full_like(cost, np.inf), np.zeros_like(length)
        cells = np.arange(len(rows))
        cost[rows + 1] = from_costs[way, cells] + distance[rows, diagonal - rows]
        length[rows + 1] = from_lengths[way, cells] + 1
    return float(cost[-1]), _traced_back(ways)


def _cheapest_then_shortest(
    costs: Float[np.ndarray, "ways cells"], lengths: Integer[np.ndarray, "ways cells"]
) -> Integer[np.ndarray, " cells"]:
    """Return for each cell the way with the lowest cost, and of several the one with the smallest length."""
    longer_than_any = np.iinfo(np.int64).max
    return np.where(costs == costs.min(axis=0), lengths, longer_than_any).argmin(axis=0)


def _traced_back(ways: Integer[np.ndarray, "rows columns"]) -> Integer[np.ndarray, "pairs 2"]:
    row, column = (size - 1 for size in ways.shape)
    pairs = [(row, column)]
    while row or column:
        rows, columns = WAYS[ways[row, column]]
        row, column = row - rows, column - columns
        pairs.append((row, column))
    return np.array(pairs[::-1])


def attention_focus(alignment: Float[np.ndarray, "steps symbols"]) -> float:
    """Return the mean over decoder steps of the largest attention weight, from 1 / symbols to 1.

    Skipped or garbled speech gives a low value. Source: "focus rate" of FastSpeech (arXiv:1905.09263).
    """
    _require_weights(alignment)
    return float(alignment.max(axis=1).mean())


def attention_diagonality(alignment: Float[np.ndarray, "steps symbols"]) -> float:
    """Return the share of the attention weight near the diagonal, from 0 to 1; text read once and in order is near 1.

    Step t of T and symbol n of N are near where |(n + ½) / N − (t + ½) / T| ≤ 0.2, which is the width σ of guided
    attention (Tachibana et al. 2017, arXiv:1710.08969). The rate of speech is not constant, so a correct reading with a
    long pause may have less than 1. Uniform weights give 2 · 0.2 − 0.2² = 0.36.
    """
    _require_weights(alignment)
    n_steps, n_symbols = alignment.shape
    step_position = (np.arange(n_steps) + 0.5) / n_steps
    symbol_position = (np.arange(n_symbols) + 0.5) / n_symbols
    near = np.abs(symbol_position[None, :] - step_position[:, None]) <= NEAR_DIAGONAL
    return float(alignment[near].sum() / alignment.sum())


def _require_weights(alignment: Float[np.ndarray, "steps symbols"]) -> None:
    if alignment.ndim != 2 or not alignment.size or not alignment.sum() > 0:
        raise ValueError(f"an alignment of shape {alignment.shape} with no attention weight")


def longest_symbol_s(alignment: Float[np.ndarray, "steps symbols"], seconds_per_step: float) -> float:
    """Return the longest time that one symbol lasts: the sum of its weights over the steps, in seconds.

    The alignment may be attention weights, or the durations of a model without attention.
    """
    _require_weights(alignment)
    return float(alignment.sum(axis=0).max()) * seconds_per_step


def real_time_factor(seconds_of_work: float, seconds_of_audio: float) -> float:
    """Return seconds of work for each second of audio; below 1 is faster than real time."""
    if not seconds_of_audio > 0:
        raise ValueError(f"{seconds_of_audio} s of audio, expected more than 0")
    return seconds_of_work / seconds_of_audio
