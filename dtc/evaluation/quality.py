"""How near a vocoder's copy comes to the recording, by the measures that published vocoders are compared with.

All take one channel in [-1, 1] as it is, neither clipped nor levelled. Where a measure is not defined on a clip it is
NaN (each says when); what is no pair of waveforms at all raises ValueError. The recording with itself is the ceiling.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pystoi
import torch
from jaxtyping import Float
from torch import Tensor

from dtc.audio import AudioConfig, StftSizes, log_mel, stft_magnitude
from dtc.evaluation.neural_quality import PitchErrors, distill_mos, dnsmos, pitch_errors
from dtc.evaluation.quality_inputs import (
    DISTILL_MOS,
    DNSMOS,
    MODEL_RATE_HZ,
    PESQ,
    PITCH,
    SHORTEST_S,
    Copy,
    Wave,
    at_model_rate,
    cut_alike,
    is_installed,
    not_measured,
    require_installed,
    require_pair,
)

__all__ = [
    "MEANINGS", "PitchErrors", "cut_alike", "distill_mos", "dnsmos", "log_mel_l1", "mean_quality", "measure_quality",
    "multi_resolution_stft_distance", "not_measured", "opinion_scores", "pesq_wb", "pitch_errors", "stoi",
]  # fmt: skip

# What `measure_quality` gives, in a table's order.
MEANINGS = {
    "multi_resolution_stft": "spectral convergence and log magnitudes at three resolutions; 0 is equal",
    "log_mel_l1": "mean difference of the log-mels, in nepers; 0 is equal",
    "stoi": "short-time objective intelligibility; 1 is equal",
    "pesq": "wide-band PESQ, as an opinion score; 4.64 is equal",
    "f0_rmse_cents": "RMS difference of the pitch where both are voiced, in cents; 0 is equal",
    "voicing_error": "share of the frames that are voiced in one only; 0 is equal",
    "periodicity_rmse": "RMS difference of the confidence that a frame is voiced; 0 is equal",
    "dnsmos": "DNSMOS P.835, overall: opinion score from 1 to 5, without the recording",
    "distill_mos": "DistillMOS: opinion score from 1 to 5, without the recording",
}

# FFT size, hop and window in samples, and the least power: those of kan-bayashi/ParallelWaveGAN.
RESOLUTIONS = (StftSizes(512, 50, 240), StftSizes(1024, 120, 600), StftSizes(2048, 240, 1200))
LEAST_POWER = 1e-7

# The reference code's tables hold 50 utterances, and more of them overrun it, which ends the process. An utterance
# takes at least 50 frames of 4 ms and the pause behind it more than 50, so 20 s cannot hold 51.
PESQ_LONGEST_S = 20.0
PESQ_WORST = 1.0

STOI_TOO_SHORT = 1e-5  # what pystoi returns, with a warning, for less than 30 frames (0.4 s) of speech


def multi_resolution_stft_distance(reference: Wave, copy: Copy) -> float:
    """Distance of two waveforms' magnitudes at three resolutions, without unit: 0 where equal, no upper bound.

    The mean over (FFT, hop, window) = (512, 50, 240), (1024, 120, 600), (2048, 240, 1200) samples of
    ‖|R| − |C|‖ / ‖|R|‖ (Frobenius norms) + mean |ln |R| − ln |C||, where |X| = √max(re² + im², 1e-7) of the centred,
    reflected STFT under a periodic Hann window. The sizes are samples whatever the rate, so figures compare at one rate
    only. Finite for silence too, but large against a silent recording. NaN for 1024 samples or fewer.
    Source: Yamamoto et al. 2020 (arXiv:1910.11480), section 2.2; the floor is its published code's.
    Raises ValueError for unequal lengths and non-finite samples.
    """
    require_pair(reference, copy)
    if len(reference) <= max(sizes.filter_length for sizes in RESOLUTIONS) // 2:
        return math.nan
    waves = torch.from_numpy(np.stack([reference, copy]).astype(np.float64))
    return statistics.fmean(_stft_distance(waves, sizes) for sizes in RESOLUTIONS)


def _stft_distance(waves: Float[Tensor, "2 samples"], sizes: StftSizes) -> float:
    reference, copy = stft_magnitude(waves, sizes, LEAST_POWER)  # (bins, frames) each
    convergence = torch.linalg.norm(reference - copy) / torch.linalg.norm(reference)
    return float(convergence + (reference.log() - copy.log()).abs().mean())


def log_mel_l1(reference: Wave, copy: Copy, audio: AudioConfig) -> float:
    """Mean |ln M − ln M'| over bands and frames of `dtc.audio.log_mel`, in nepers: 0 where equal.

    0.1 is 0.87 dB on average. Silence, at the floor of ln 1e-5, counts like speech. NaN for filter_length // 2 samples
    or fewer. Source: the mel error of HiFi-GAN (Kong et al. 2020, arXiv:2010.05646), on this voice's own mel.
    Raises ValueError for unequal lengths and non-finite samples.
    """
    require_pair(reference, copy)
    if len(reference) <= audio.filter_length // 2:
        return math.nan
    mels = log_mel(torch.from_numpy(np.stack([reference, copy]).astype(np.float32)), audio)
    return float((mels[0] - mels[1]).abs().mean())


def stoi(reference: Wave, copy: Copy, sampling_rate: int) -> float:
    """Short-time objective intelligibility: mean correlation of third-octave envelopes, at most 1 (equal).

    Frames of 25.6 ms at 10 kHz, 15 bands from 150 Hz, segments of 30 frames; frames 40 dB below the recording's loudest
    are left out. A silent copy has 0. NaN for a silent recording and for less than 0.4 s of speech.
    Source: Taal et al. 2011 (doi:10.1109/TASL.2011.2114881), by the package pystoi.
    Raises ValueError for unequal lengths and non-finite samples.
    """
    require_pair(reference, copy)
    if len(reference) < SHORTEST_S * sampling_rate or not np.any(reference):
        return math.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Not enough STFT frames", category=RuntimeWarning)
        score = float(pystoi.stoi(reference.astype(np.float64), copy.astype(np.float64), sampling_rate))
    return math.nan if score == STOI_TOO_SHORT else score


def pesq_wb(reference: Wave, copy: Copy, sampling_rate: int) -> float:
    """Wide-band PESQ at 16 kHz, as a mean opinion score (MOS-LQO): 4.64 where equal, down to 1.

    It aligns the two in time and level first, so a copy that is late or quiet loses nothing. A silent copy has 1. NaN
    for a recording in which it finds no speech, for less than 0.25 s, and for more than 20 s, which the reference code
    may not survive. Source: ITU-T P.862.2, by the package pesq; the licence of the code that it wraps is restrictive.
    Raises ValueError for unequal lengths and non-finite samples, InputError where pesq is not installed.
    """
    require_pair(reference, copy)
    require_installed(PESQ)
    from pesq import PesqError, pesq

    seconds = len(reference) / sampling_rate
    if not SHORTEST_S <= seconds <= PESQ_LONGEST_S or not np.any(reference):
        return math.nan
    if not np.any(copy):
        return PESQ_WORST  # the reference code divides by its level
    waves = [at_model_rate(wave, sampling_rate) for wave in (reference, copy)]
    score = float(pesq(MODEL_RATE_HZ, *waves, "wb", on_error=PesqError.RETURN_VALUES))
    return score if score > 0 else math.nan  # below 0 it is an error's number: no utterance


def measure_quality(reference: Wave, copy: Copy, audio: AudioConfig) -> dict[str, float]:
    """All measures that are installed, by the names in `MEANINGS`; NaN where one is not defined on the clip.

    A copy is a whole number of frames, so the two are cut to the shorter where they differ by up to a hop.
    Raises ValueError where they differ by more, and for non-finite samples.
    """
    reference, copy = cut_alike(reference, copy, audio.hop_length)
    values = {
        "multi_resolution_stft": multi_resolution_stft_distance(reference, copy),
        "log_mel_l1": log_mel_l1(reference, copy, audio),
        "stoi": stoi(reference, copy, audio.sampling_rate),
    }
    if is_installed(PESQ):
        values["pesq"] = pesq_wb(reference, copy, audio.sampling_rate)
    if is_installed(PITCH):
        values |= asdict(pitch_errors(reference, copy, audio.sampling_rate))
    return values | opinion_scores(copy, audio.sampling_rate)


def opinion_scores(wave: Wave, sampling_rate: int) -> dict[str, float]:
    """The measures that need no recording, as far as they are installed: of a copy, or of what a voice says."""
    values = {}
    if is_installed(DNSMOS):
        values["dnsmos"] = dnsmos(wave, sampling_rate)
    if is_installed(DISTILL_MOS):
        values["distill_mos"] = distill_mos(wave, sampling_rate)
    return values


def mean_quality(clips: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each measure's mean over the clips that it is defined on; a measure that is defined on none is left out.

    So no value is NaN, which JSON cannot say. RMS errors are averaged as they are, as Vocos averages them.
    """
    defined = {name: [clip[name] for clip in clips if not math.isnan(clip.get(name, math.nan))] for name in MEANINGS}
    return {name: statistics.fmean(values) for name, values in defined.items() if values}
