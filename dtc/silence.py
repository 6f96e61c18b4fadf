"""The only definition of silence in a clip, for verification, trimming and synthesis.

A recording may have a constant offset from zero (a DC offset of the sound card), which is inaudible. So the power of a
frame is measured without the mean of the clip: a constant that is added to all samples changes nothing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Shaped

from dtc.audio import INT16_SCALE

PAUSE_DB = -40.0  # relative to the loudest frame: a frame below it belongs to a pause between words


def frame_powers(wave: Shaped[np.ndarray, " samples"], frame: int) -> Float[np.ndarray, " frames"]:
    """Return the mean squares, of full scale 1, of frames of `frame` samples, without the mean of the clip.

    frames = ceil(samples / frame): the last one may be shorter. `wave` is int16, or floats in [-1, 1].
    """
    starts = np.arange(0, len(wave), frame)
    centred = wave.astype(np.float64)
    centred -= centred.mean()
    sums = np.add.reduceat(np.square(centred, out=centred), starts)  # in place: ten times as fast for a long clip
    scale = INT16_SCALE if wave.dtype == np.int16 else 1.0
    return sums / np.diff(starts, append=len(wave)) / scale**2


def sounding_frames(powers: Float[np.ndarray, " frames"], threshold_db: float) -> tuple[int, int]:
    """Return the first frame that is not silent, and the one after the last such frame.

    A frame is silent if its power is below `threshold_db` relative to the loudest frame. So every clip has a frame
    that is not silent, and digital silence has no other frames.
    """
    loud = np.flatnonzero(sounds(powers, threshold_db))
    return int(loud[0]), int(loud[-1]) + 1


def sounds(powers: Float[np.ndarray, " frames"], threshold_db: float) -> Bool[np.ndarray, " frames"]:
    """Return whether each frame is not silent, as `sounding_frames` defines it."""
    return powers >= powers.max() * 10 ** (threshold_db / 10)
