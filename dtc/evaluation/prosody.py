"""Pitch and voicing of a synthesis against its recording, with frames paired by dynamic time warping."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from dtc.evaluation.neural_quality import SPEECH_F0_HZ, VOICED, pitch_tracker
from dtc.evaluation.quality_inputs import (
    MODEL_RATE_HZ,
    SHORTEST_S,
    Wave,
    at_model_rate,
    require_installed,
    require_wave,
)


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of a clip in frames of 16 ms."""

    times_s: Float[np.ndarray, " frames"]  # of the frames' centres
    f0_hz: Float[np.ndarray, " frames"]
    voiced: Bool[np.ndarray, " frames"]

    def nearest(self, times_s: Float[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
        """Return the frame that is nearest to each time."""
        return np.searchsorted((self.times_s[1:] + self.times_s[:-1]) / 2.0, times_s)


def track_pitch(wave: Wave, sampling_rate: int) -> PitchTrack | None:
    """Return the pitch of a clip by swift-f0; None for less than 0.25 s.

    Raises ValueError for several channels and for non-finite samples, InputError if swift-f0 is not installed.
    """
    require_wave("wave", wave)
    require_installed("pitch")
    if len(wave) < SHORTEST_S * sampling_rate:
        return None
    found = pitch_tracker().detect(at_model_rate(wave, sampling_rate), MODEL_RATE_HZ, *SPEECH_F0_HZ)
    return PitchTrack(np.asarray(found.timestamps, dtype=np.float64), found.pitch_hz, found.confidence >= VOICED)


def prosody_errors(
    reference: PitchTrack | None, synthesis: PitchTrack | None, times_s: Float[np.ndarray, "pairs 2"]
) -> dict[str, float]:
    """Return how the pitch of a synthesis differs from that of its recording, by name; NaN where it is not defined.

    log_f0_rmse = √mean (ln f' − ln f)² over the pairs that are voiced in both: 0.0578 is a semitone;
    log_f0_correlation = Pearson's correlation of ln f and ln f' over these pairs, NaN for a monotone;
    voicing_error = the share of all pairs that are voiced in one only.
    A voice may well read a text with another melody than this recording has: no error is not the aim.

    Args:
        reference: the pitch of the recording.
        synthesis: the pitch of the synthesis.
        times_s: the times in recording and synthesis that the warping path pairs.
    """
    nothing = dict.fromkeys(("log_f0_rmse", "log_f0_correlation", "voicing_error"), math.nan)
    if reference is None or synthesis is None:
        return nothing
    ours, theirs = reference.nearest(times_s[:, 0]), synthesis.nearest(times_s[:, 1])
    both = reference.voiced[ours] & synthesis.voiced[theirs]
    voicing_error = float(np.mean(reference.voiced[ours] != synthesis.voiced[theirs]))
    if not both.any():
        return nothing | {"voicing_error": voicing_error}
    logs = np.log(np.stack([reference.f0_hz[ours[both]], synthesis.f0_hz[theirs[both]]]).astype(np.float64))
    return {
        "log_f0_rmse": float(np.sqrt(np.mean(np.square(np.diff(logs, axis=0))))),
        "log_f0_correlation": float(np.corrcoef(logs)[0][1]) if np.ptp(logs, axis=1).all() else math.nan,
        "voicing_error": voicing_error,
    }
