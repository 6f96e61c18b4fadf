"""Numbers that say how far a synthesis is from a recording, without anybody listening."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from jaxtyping import Float, Integer
from scipy.spatial.distance import cdist

# Cepstral coefficients 1 to 13: the spectrum's envelope. Coefficient 0 is loudness, those above 13 are mostly pitch.
N_CEPSTRA = 13


def mel_cepstra(log_mel: Float[np.ndarray, "mels frames"], n_cepstra: int = N_CEPSTRA) -> Float[np.ndarray, "frames n"]:
    """Mel cepstra 1 … n of the log power, coefficient 0 left out.

    c[k] = 1/M Σ_m ln P[m] · cos(π k (m + ½) / M), so that ln P[m] = c[0] + 2 Σ_k c[k] cos(π k (m + ½) / M): a DCT-II,
    scaled as a Fourier cepstrum is. An orthonormal DCT-II is √(2M) times as large and would make the distortion
    depend on the number of mel bands.

    Args:
        log_mel: natural log of mel *magnitudes*; twice that is taken for the log power that a cepstrum is defined on.
        n_cepstra: less than the number of mel bands.
    """
    if log_mel.ndim != 2 or log_mel.shape[1] == 0 or log_mel.shape[0] <= n_cepstra:
        raise ValueError(f"log-mels of shape {log_mel.shape}, expected (more than {n_cepstra} mels, at least 1 frame)")
    log_power = 2.0 * log_mel.astype(np.float64)
    return scipy.fft.dct(log_power, type=2, norm="forward", axis=0)[1 : n_cepstra + 1].T


def mel_cepstral_distortion_db(
    reference_log_mel: Float[np.ndarray, "mels reference_frames"],
    synthesised_log_mel: Float[np.ndarray, "_ synthesised_frames"],
) -> float:
    """Distance in dB between two spectral envelopes, whatever their loudness and timing. Lower is better, equal is 0.

    MCD = mean over the pairs (i, j) of the warping path of 10 / ln 10 · √(2 Σ_{k=1}^{13} (c[i, k] − c'[j, k])²), with
    c as in `mel_cepstra`. It is the root mean square over the mel bands of the level difference in dB, as far as 13
    cosines describe it: a ripple of 6 dB amplitude gives 6/√2. Frames are paired by exact dynamic time warping (steps
    of one frame in either or both, all of weight 1); the mean is over the path, not over the reference's frames.

    The scale is that of published figures on mel cepstra of log power (SPTK's), not of those on orthonormal MFCCs,
    which are about ten times as large. Silence counts like speech.

    Source: Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    Raises ValueError for empty mels or a different number of bands.
    """
    if reference_log_mel.shape[0] != synthesised_log_mel.shape[0]:
        raise ValueError(f"{reference_log_mel.shape[0]} mel bands against {synthesised_log_mel.shape[0]}")
    distance = cdist(mel_cepstra(reference_log_mel), mel_cepstra(synthesised_log_mel))
    cost, n_pairs = cheapest_path(distance)
    return 10.0 * math.sqrt(2.0) / math.log(10.0) * cost / n_pairs


def cheapest_path(distance: Float[np.ndarray, "rows columns"]) -> tuple[float, int]:
    """Dynamic time warping: cost and number of pairs of the cheapest path from the first pair to the last.

    The path goes one row, one column or one of both further at each step. Among equally cheap paths the shortest
    counts, which makes the answer the same for the transposed matrix.

    All cells of an anti-diagonal depend on the two before only, so each is one vectorised step; as the path's length
    is carried along there is nothing to trace back. Row r of an anti-diagonal stands at index r + 1, and index 0 is a
    border that no path crosses.
    """
    n_rows, n_columns = distance.shape
    cost, cost_before = np.full((2, n_rows + 1), np.inf)
    length, length_before = np.zeros((2, n_rows + 1), dtype=np.int64)
    cost_before[0] = 0.0  # the virtual pair before the first

    for diagonal in range(n_rows + n_columns - 1):
        rows = np.arange(max(0, diagonal - n_columns + 1), min(n_rows, diagonal + 1))
        from_costs = np.stack([cost_before[rows], cost[rows], cost[rows + 1]])
        from_lengths = np.stack([length_before[rows], length[rows], length[rows + 1]])
        cheapest, shortest = _cheapest_then_shortest(from_costs, from_lengths)
        cost_before, length_before = cost, length
        cost, length = np.full_like(cost, np.inf), np.zeros_like(length)
        cost[rows + 1] = cheapest + distance[rows, diagonal - rows]
        length[rows + 1] = shortest + 1
    return float(cost[-1]), int(length[-1])


def _cheapest_then_shortest(
    costs: Float[np.ndarray, "ways cells"], lengths: Integer[np.ndarray, "ways cells"]
) -> tuple[Float[np.ndarray, " cells"], Integer[np.ndarray, " cells"]]:
    """Each cell's lowest cost, and the least length among the ways that cost as little."""
    cheapest = costs.min(axis=0)
    longer_than_any = np.iinfo(np.int64).max
    return cheapest, np.where(costs == cheapest, lengths, longer_than_any).min(axis=0)


def attention_focus(alignment: Float[np.ndarray, "steps symbols"]) -> float:
    """How sure the decoder is where it reads: mean over steps of the largest weight, from 1 / symbols to 1.

    Speech that is skipped or babbled shows as a low value. Source: "focus rate" of FastSpeech (arXiv:1905.09263).
    """
    _require_weights(alignment)
    return float(alignment.max(axis=1).mean())


def attention_diagonality(alignment: Float[np.ndarray, "steps symbols"], band: float = 0.2) -> float:
    """Share of the attention's weight near the diagonal, from 0 to 1: whether the text is read in order and whole.

    Step t of T and symbol n of N are near where |(n + ½) / N − (t + ½) / T| ≤ band. The default is the width σ of
    guided attention (Tachibana et al. 2017, arXiv:1710.08969). Speech does not read at an even rate, so a perfect
    reading with a long pause may stay below 1. Uniform weights give 2·band − band², 0.36 by default.
    """
    _require_weights(alignment)
    n_steps, n_symbols = alignment.shape
    step_position = (np.arange(n_steps) + 0.5) / n_steps
    symbol_position = (np.arange(n_symbols) + 0.5) / n_symbols
    near = np.abs(symbol_position[None, :] - step_position[:, None]) <= band
    return float(alignment[near].sum() / alignment.sum())


def _require_weights(alignment: Float[np.ndarray, "steps symbols"]) -> None:
    if alignment.ndim != 2 or not alignment.size or not alignment.sum() > 0:
        raise ValueError(f"an alignment of shape {alignment.shape} holds no attention weight")


def real_time_factor(seconds_of_work: float, seconds_of_audio: float) -> float:
    """Seconds of work per second of audio made; below 1 is faster than it plays."""
    if not seconds_of_audio > 0:
        raise ValueError(f"{seconds_of_audio} s of audio has no real-time factor")
    return seconds_of_work / seconds_of_audio
