"""Distances of the distributions of spectral envelopes in two sets of clips, without a trained network.

A mean over pairs of frames, such as the mel-cepstral distortion, is also low for a voice that says everything with the
mean envelope. Here the clips are not paired: compared are the mean envelope, and how much and in which ways envelopes
vary. A voice that is too smooth has too small variances. What is said, and in which order, does not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from dtc.evaluation.metrics import DB_OF_CEPSTRA, N_CEPSTRA, mel_cepstra

LogMel = Float[np.ndarray, "mels _"]


def envelope_distances(reference: Sequence[LogMel], others: Sequence[LogMel]) -> dict[str, float]:
    """Return the Fréchet distances in dB of two sets of log-mels, by name: 0 if equal, NaN for no frames.

    frechet_envelope_db: of the mel cepstra 1 to 13 of all frames, on the scale of the mel-cepstral distortion.
    frechet_movement_db: of their differences from frame to frame.
    Both are larger by chance for few frames; with 40 clips of 2 s, two halves of the same recordings are not at 0.
    """
    a, b = ([DB_OF_CEPSTRA * mel_cepstra(mel) for mel in mels] for mels in (reference, others))
    return {
        "frechet_envelope_db": frechet_distance(_rows(a), _rows(b)),
        "frechet_movement_db": frechet_distance(_rows(map(_movements, a)), _rows(map(_movements, b))),
    }


def _movements(envelopes: Float[np.ndarray, "frames 13"]) -> Float[np.ndarray, "fewer 13"]:
    return np.diff(envelopes, axis=0)


def _rows(clips: Iterable[Float[np.ndarray, "_ 13"]]) -> Float[np.ndarray, "rows 13"]:
    return np.concatenate([np.zeros((0, N_CEPSTRA)), *clips])


def frechet_distance(a: Float[np.ndarray, "n features"], b: Float[np.ndarray, "m features"]) -> float:
    """Return the Fréchet distance of the Gaussians that are fitted to two sets of rows, in the unit of the features.

    d² = |μ − μ'|² + tr(Σ + Σ' − 2 (Σ Σ')^½). It is the Wasserstein-2 distance of these Gaussians, and is returned as
    d, while the Fréchet inception distance and its kin are d². tr (Σ Σ')^½ is the sum of the square roots of the
    eigenvalues of Σ Σ', which are real and not negative, as it is similar to Σ^½ Σ' Σ^½. NaN for fewer than two rows.
    Source: Dowson & Landau 1982 (doi:10.1016/0047-259X(82)90077-X).
    """
    if min(len(a), len(b)) < 2:
        return math.nan
    covariances = [np.atleast_2d(np.cov(rows, rowvar=False, bias=True)) for rows in (a, b)]
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real
    crossed = np.sqrt(np.clip(eigenvalues, 0.0, None)).sum()
    means = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    squared = means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * crossed
    return math.sqrt(max(0.0, float(squared)))
