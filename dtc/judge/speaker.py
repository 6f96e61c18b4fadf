"""The vectors of the second judge: speaker embeddings of the clips of a contest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtc.evaluation.speaker import speaker_embedding
from dtc.judge.contests import Pair
from dtc.judge.logistic import Vectors
from dtc.judge.patches import cut_windows

WINDOWS, WINDOW_S = 2, 1.6  # of each clip; the network was trained on so many seconds


def speaker_vectors(pairs: Sequence[Pair], sampling_rate: int) -> Vectors:
    """Return the mean speaker embedding of windows of each clip: as many of each, whatever its length.

    Raises InputError where Resemblyzer is not installed.
    """
    windows = cut_windows(pairs, round(WINDOW_S * sampling_rate), WINDOWS).astype(np.float64)
    embedded = [speaker_embedding(window, sampling_rate) for window in windows.reshape(-1, windows.shape[-1])]
    return np.array(embedded).reshape(len(pairs), 2, WINDOWS, -1).mean(axis=2)
