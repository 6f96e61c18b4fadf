"""Measures by trained networks in optional packages: pitch and voicing, and predicted opinion scores."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from dtc.evaluation.quality_inputs import (
    MODEL_RATE_HZ,
    SHORTEST_S,
    Copy,
    Wave,
    at_model_rate,
    require_installed,
    require_pair,
    require_wave,
)

SPEECH_F0_HZ = (50.0, 550.0)  # as in CARGAN
VOICED = 0.5  # swift-f0's confidence is calibrated for it

DNSMOS_WINDOW_S, DNSMOS_WINDOW = 9.01, 144_160
DNSMOS_OVERALL = (-0.06766283, 1.11546468, 0.04602535)  # the model's raw score → P.835 rating, by descending power


@dataclass(frozen=True)
class PitchErrors:
    """Errors of a copy's pitch and voicing; see `pitch_errors`."""

    f0_rmse_cents: float
    voicing_error: float
    periodicity_rmse: float


def pitch_errors(reference: Wave, copy: Copy, sampling_rate: int) -> PitchErrors:
    """Return the errors of a copy's pitch and voicing over frames of 16 ms; 0 if they are equal.

    swift-f0 gives each frame a pitch f between 50 and 550 Hz and a confidence c from 0 to 1; c ≥ 0.5 is voiced.
    f0_rmse_cents = √mean (1200 log₂ f'/f)² over the frames voiced in both, NaN if there are none;
    voicing_error = share of all frames that are voiced in one only, 0 to 1;
    periodicity_rmse = √mean (c − c')² over all frames, with silent and unvoiced ones, 0 to 1.
    The last is the periodicity error of CARGAN and Vocos, but with this tracker's confidence instead of CREPE's, so the
    figures cannot be compared with theirs. Silence (peak below 1e-3) is unvoiced, c = 0. All three are NaN for less
    than 0.25 s.
    Source: Morrison et al. 2022 (arXiv:2110.10139); swift-f0: Nieradzik 2025 (arXiv:2508.18440).
    Raises ValueError for unequal lengths and non-finite samples, InputError if swift-f0 is not installed.
    """
    require_pair(reference, copy)
    require_installed("pitch")
    if len(reference) < SHORTEST_S * sampling_rate:
        return PitchErrors(math.nan, math.nan, math.nan)
    waves = [at_model_rate(wave, sampling_rate) for wave in (reference, copy)]
    ours, theirs = (pitch_tracker().detect(wave, MODEL_RATE_HZ, *SPEECH_F0_HZ) for wave in waves)
    ours_voiced, theirs_voiced = ours.confidence >= VOICED, theirs.confidence >= VOICED
    both = ours_voiced & theirs_voiced
    cents = 1200.0 * np.log2(theirs.pitch_hz[both] / ours.pitch_hz[both])
    return PitchErrors(
        f0_rmse_cents=_root_mean_square(cents) if len(cents) else math.nan,
        voicing_error=float(np.mean(ours_voiced != theirs_voiced)),
        periodicity_rmse=_root_mean_square(theirs.confidence - ours.confidence),
    )


def dnsmos(wave: Wave, sampling_rate: int) -> float:
    """Return the overall opinion score that DNSMOS P.835 predicts from the waveform alone: 1 to 5, higher is better.

    The waveform is resampled to 16 kHz and clipped to [-1, 1]. A clip that is shorter than the model's window of 9.01 s
    is repeated until it fills one; in a longer one, windows start every second, and their scores are averaged. The
    published code averages up to eight windows of a repeated clip too, which takes seconds and says little more: of 12
    clips, the scores differed by 0.02 in the mean, and by 0.08 at most. The model was made for noise suppressors and
    reacts to noise more than to the quality of a voice. Silence has the score 1.84. NaN for less than 0.25 s.
    Source: Reddy et al. 2022 (arXiv:2110.01763), the model that ships in the package speechmos; `ovrl_mos` there.
    Raises ValueError for non-finite samples, InputError if speechmos or onnxruntime is not installed.
    """
    require_wave("wave", wave)
    require_installed("DNSMOS")
    if len(wave) < SHORTEST_S * sampling_rate:
        return math.nan
    clipped = np.clip(at_model_rate(wave, sampling_rate), -1.0, 1.0)
    filled = np.resize(clipped, max(len(clipped), DNSMOS_WINDOW))  # by repeating it
    windows = [filled[None, start : start + DNSMOS_WINDOW] for start in _dnsmos_starts(len(filled))]
    raw = [_dnsmos_model().run(None, {"input_1": window})[0][0, 2] for window in windows]  # signal, background, overall
    return float(np.polyval(DNSMOS_OVERALL, np.array(raw, dtype=np.float64)).mean())


def _dnsmos_starts(samples: int) -> list[int]:
    """Return the starts of windows as in the published code, which drops those that rounding makes a sample short."""
    seconds = range(max(1, samples // MODEL_RATE_HZ - int(DNSMOS_WINDOW_S)))
    ends = [(second, int((second + DNSMOS_WINDOW_S) * MODEL_RATE_HZ)) for second in seconds]
    return [start for second, end in ends if end - (start := second * MODEL_RATE_HZ) == DNSMOS_WINDOW]


@torch.inference_mode()
def distill_mos(wave: Wave, sampling_rate: int) -> float:
    """Return the opinion score that DistillMOS predicts from the waveform alone: 1 to 5, higher is better.

    The waveform is resampled to 16 kHz and cut into windows of 7.68 s, a shorter clip padded with zeros. Each window is
    scaled to its peak, and the scores are averaged. Silence has the score 1.97. NaN for less than 0.25 s.
    Source: Stahl & Gamper 2025 (arXiv:2502.05356), the model that ships in the package distillmos.
    Raises ValueError for non-finite samples, InputError if distillmos or xls-r-sqa is not installed.
    """
    require_wave("wave", wave)
    require_installed("DistillMOS")
    if len(wave) < SHORTEST_S * sampling_rate:
        return math.nan
    return float(_distill_mos_model()(torch.from_numpy(at_model_rate(wave, sampling_rate))[None]))


def _root_mean_square(values: Float[np.ndarray, " _"]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


# Loaded once. The ONNX models run on one thread, so that sums, and thus results, do not depend on the number of cores.
@functools.cache
def pitch_tracker() -> Any:
    """Return swift-f0."""
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)


@functools.cache
def _dnsmos_model() -> Any:
    """Return the model without the code of speechmos, which imports librosa for a second model."""
    import onnxruntime
    import speechmos

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = Path(speechmos.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


@functools.cache
def _distill_mos_model() -> torch.nn.Module:
    """Return the model with its weights; its own constructor would print their path."""
    from distillmos.sqa import DEFAULT_WEIGHTS_CHKPT, ConvTransformerSQAModel

    model: torch.nn.Module = ConvTransformerSQAModel(load_weights=False)
    model.load_state_dict(torch.load(DEFAULT_WEIGHTS_CHKPT, map_location="cpu", weights_only=True)["model"])
    return model.eval()
