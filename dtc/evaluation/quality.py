"""Measures of a vocoder's copy against the recording, as they are published for other vocoders.

All take waveforms of one channel in [-1, 1], without clipping them or changing their level. A measure that is not
defined for a clip is NaN, see its docstring. Waveforms that are not a pair raise ValueError. The score of the
recording against itself is the best possible one.
"""

from __future__ import annotations

import math
import os
import statistics
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TypeVar

import numpy as np
import pystoi
import torch
from jaxtyping import Float
from torch import Tensor

from dtc.audio import StftSizes, log_mel, stft_magnitude
from dtc.audio_config import AudioConfig
from dtc.evaluation.neural_quality import distill_mos, dnsmos, pitch_errors
from dtc.evaluation.quality_inputs import (
    MODEL_RATE_HZ,
    SHORTEST_S,
    Copy,
    Wave,
    at_model_rate,
    cut_alike,
    is_installed,
    require_installed,
    require_pair,
)
from dtc.threads import one_thread

Item = TypeVar("Item")
Measured = TypeVar("Measured")

# FFT size, hop and window in samples, and the least power: those of kan-bayashi/ParallelWaveGAN.
RESOLUTIONS = (StftSizes(512, 50, 240), StftSizes(1024, 120, 600), StftSizes(2048, 240, 1200))
LEAST_POWER = 1e-7

# The tables of the reference code have room for 50 utterances; more of them overrun the memory and end the process. An
# utterance takes at least 50 frames of 4 ms and the pause after it more than 50, so 20 s cannot contain 51.
PESQ_LONGEST_S = 20.0
PESQ_WORST = 1.0

STOI_TOO_SHORT = 1e-5  # what pystoi returns, with a warning, for less than 30 frames (0.4 s) of speech
ONE_AT_A_TIME = threading.Lock()


def multi_resolution_stft_distance(reference: Wave, copy: Copy) -> float:
    """Return the distance of the magnitudes of two waveforms at three resolutions; 0 if equal, without unit or bound.

    It is the mean over (FFT, hop, window) = (512, 50, 240), (1024, 120, 600), (2048, 240, 1200) samples of
    ‖|R| − |C|‖ / ‖|R|‖ (Frobenius norms) + mean |ln |R| − ln |C||, where |X| = √max(re² + im², 1e-7) of the centred,
    reflected STFT with a periodic Hann window. The sizes are in samples at any sampling rate, so only results at the
    same rate can be compared. It is finite for silence too, but large against a silent recording. NaN for 1024 samples
    or fewer.
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
    """Return the mean of |ln M − ln M'| over bands and frames of `dtc.audio.log_mel`, in nepers; 0 if equal.

    0.1 is 0.87 dB on average. Silent frames, at the floor of ln 1e-5, have the same weight as speech. NaN for
    filter_length // 2 samples or fewer. Source: the mel error of HiFi-GAN (Kong et al. 2020, arXiv:2010.05646).
    Raises ValueError for unequal lengths and non-finite samples.
    """
    require_pair(reference, copy)
    if len(reference) <= audio.filter_length // 2:
        return math.nan
    mels = log_mel(torch.from_numpy(np.stack([reference, copy]).astype(np.float32)), audio)
    return float((mels[0] - mels[1]).abs().mean())


def stoi(reference: Wave, copy: Copy, sampling_rate: int) -> float:
    """Return the short-time objective intelligibility: a mean correlation of third-octave envelopes; 1 if equal.

    Frames of 25.6 ms at 10 kHz, 15 bands from 150 Hz, segments of 30 frames; frames 40 dB below the recording's loudest
    are left out. A silent copy scores 0. NaN for a silent recording and for less than 0.4 s of speech.
    Source: Taal et al. 2011 (doi:10.1109/TASL.2011.2114881), by the package pystoi.
    Raises ValueError for unequal lengths and non-finite samples.
    """
    require_pair(reference, copy)
    if len(reference) < SHORTEST_S * sampling_rate or not np.any(reference):
        return math.nan
    with ONE_AT_A_TIME, warnings.catch_warnings():  # the filters of warnings are those of all threads
        warnings.filterwarnings("ignore", message="Not enough STFT frames", category=RuntimeWarning)
        score = float(pystoi.stoi(reference.astype(np.float64), copy.astype(np.float64), sampling_rate))
    return math.nan if score == STOI_TOO_SHORT else score


def pesq_wb(reference: Wave, copy: Copy, sampling_rate: int) -> float:
    """Return wide-band PESQ at 16 kHz as a mean opinion score (MOS-LQO), from 1 to 4.64; 4.64 if equal.

    PESQ aligns the two in time and level first, so delay and attenuation do not change the score. A silent copy scores
    1. NaN for a recording in which PESQ finds no speech, for less than 0.25 s, and for more than 20 s, on which the
    reference code may crash. Source: ITU-T P.862.2, by the package pesq; the licence of the code inside is restrictive.
    Raises ValueError for unequal lengths and non-finite samples, InputError if pesq is not installed.
    """
    require_pair(reference, copy)
    require_installed("PESQ")
    from pesq import PesqError, pesq

    seconds = len(reference) / sampling_rate
    if not SHORTEST_S <= seconds <= PESQ_LONGEST_S or not np.any(reference):
        return math.nan
    if not np.any(copy):
        return PESQ_WORST  # the reference code divides by its level
    waves = [at_model_rate(wave, sampling_rate) for wave in (reference, copy)]
    score = float(pesq(MODEL_RATE_HZ, *waves, "wb", on_error=PesqError.RETURN_VALUES))
    return score if score > 0 else math.nan  # a negative number is the code of an error: no utterance


def measure_quality(reference: Wave, copy: Copy, audio: AudioConfig) -> dict[str, float]:
    """Return the measures of a copy that are installed, by the names that dtc.report.metric_names has.

    NaN stands for one that is not defined. Measures that need no recording are those of `opinion_scores`.

    A copy has a whole number of frames, so both are cut to the shorter if they differ by at most a hop.
    Raises ValueError if they differ by more, and for non-finite samples.
    """
    reference, copy = cut_alike(reference, copy, audio.hop_length)
    values = {
        "multi_resolution_stft": multi_resolution_stft_distance(reference, copy),
        "log_mel_l1": log_mel_l1(reference, copy, audio),
        "stoi": stoi(reference, copy, audio.sampling_rate),
    }
    if is_installed("PESQ"):
        values["pesq"] = pesq_wb(reference, copy, audio.sampling_rate)
    if is_installed("pitch"):
        values |= asdict(pitch_errors(reference, copy, audio.sampling_rate))
    return values


def opinion_scores(wave: Wave, sampling_rate: int) -> dict[str, float]:
    """Return the measures that need no recording, as far as they are installed."""
    values = {}
    if is_installed("DNSMOS"):
        values["dnsmos"] = dnsmos(wave, sampling_rate)
    if is_installed("DistillMOS"):
        values["distill_mos"] = distill_mos(wave, sampling_rate)
    return values


def in_threads(measure: Callable[[Item], Measured], items: Sequence[Item]) -> list[Measured]:
    """Return the measures of each item, computed in a thread for each core: the networks take most of the time.

    PyTorch computes each with one thread, so that the number of cores does not change a score. The first item is
    measured before the others, so that each network is loaded once.
    """
    with one_thread(), ThreadPoolExecutor(os.cpu_count()) as threads:
        return [*map(measure, items[:1]), *threads.map(measure, items[1:])]


def mean_quality(clips: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over the clips for which it is defined, without measures defined for none.

    So no value is NaN, which JSON does not have. RMS errors are averaged without squaring, as in Vocos.
    """
    names = dict.fromkeys(name for clip in clips for name in clip)
    defined = {name: [clip[name] for clip in clips if not math.isnan(clip.get(name, math.nan))] for name in names}
    return {name: statistics.fmean(values) for name, values in defined.items() if values}
