"""Make two sides of a contest equal in all that is not speech: bit depth, bandwidth, silence, level and noise floor.

The length is made equal where the judge cuts its patches; see `dtc.judge.patches`. The steps are in the order in which
the differences arise: a coarse bit depth is applied to the other side before anything is filtered, and the noise floor,
which hides what is left of quantisation, digital silence and room noise, comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from dtc.audio import INT16_SCALE
from dtc.judge.contests import Pair, Sample, Wave
from dtc.seeding import seed_of
from dtc.silence import PAUSE_DB, frame_powers, sounds

SPEECH_RMS = 0.05  # -26 dB of full scale
NOISE_DB = -45.0  # of the added noise, relative to the speech
FRAME_S = 0.01
LOWEST_HZ = 60.0  # below is no speech: a constant offset, drift, rumble and hum
BINS = 128  # of the long-term spectrum, up to half the sampling rate
TINY = 1e-12
ABSENT_DB = 10.0  # a band that differs by more, up to the end of the spectrum, is missing on one side
MARGIN = 0.1  # by which the common band is narrower than that, and by a bin: the skirts of a filter differ too

Band = tuple[float, float]  # Hz


def equalise(pairs: Sequence[Pair], sampling_rate: int, seed: int) -> tuple[list[Pair], Band]:
    """Return the pairs with waveforms that are equal in all but the speech, and the band in Hz that they have left.

    The noise of each clip is drawn from the seed, its ID and its kind. Digital silence becomes noise alone.
    """
    stepped = [at_one_step(pair) for pair in pairs]
    band = common_band(stepped, sampling_rate)

    def finished(sample: Sample) -> Sample:
        wave = band_limited(sample.wave, sampling_rate, band)
        wave = at_level(without_silence(wave, sampling_rate))
        rng = np.random.default_rng(seed_of(f"judge noise {seed} {sample.kind} {sample.id}"))
        return replace(sample, wave=wave + SPEECH_RMS * 10 ** (NOISE_DB / 20) * rng.standard_normal(len(wave)))

    return [replace(pair, first=finished(pair.first), second=finished(pair.second)) for pair in stepped], band


# ── level ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def at_level(wave: Wave) -> Wave:
    """Return a waveform whose root mean square is SPEECH_RMS; digital silence as it is."""
    return wave * _gain(wave)


def _gain(wave: Wave) -> float:
    rms = float(np.sqrt(np.mean(np.square(wave))))
    return SPEECH_RMS / rms if rms else 1.0


# ── bit depth ───────────────────────────────────────────────────────────────────────────────────────────────────────


def at_one_step(pair: Pair) -> Pair:
    """Return a pair at equal levels, the finer one rounded to the steps of the coarser one.

    The step is the greatest common divisor of the 16-bit samples, such as 256 where they were 8 bits, times the gain
    that brings the waveform to its level.
    """
    samples = (pair.first, pair.second)
    levelled = [sample.wave * _gain(sample.wave) for sample in samples]
    steps = [_step(sample.wave) * _gain(sample.wave) for sample in samples]
    coarsest = max(steps)
    first, second = (
        replace(sample, wave=wave if step == coarsest else np.round(wave / coarsest) * coarsest)
        for sample, wave, step in zip(samples, levelled, steps, strict=True)
    )
    return replace(pair, first=first, second=second)


def _step(wave: Wave) -> float:
    """Return the step of a waveform's samples, of full scale 1; that of 16 bits in digital silence."""
    samples = np.round(wave * INT16_SCALE).astype(np.int64)
    return float(max(1, np.gcd.reduce(samples))) / INT16_SCALE


# ── bandwidth ───────────────────────────────────────────────────────────────────────────────────────────────────────


def common_band(pairs: Sequence[Pair], sampling_rate: int) -> Band:
    """Return the band in Hz that both sides have.

    The two long-term spectra are compared from each end of the spectrum inwards: as long as they differ by more than
    ABSENT_DB, one side has nothing there. Where nothing is missing, the band is LOWEST_HZ to half the sampling rate.
    """
    first = _long_term_spectrum(pair.first.wave for pair in pairs)
    second = _long_term_spectrum(pair.second.wave for pair in pairs)
    differs = np.abs(10 * np.log10(first / second)) > ABSENT_DB
    hz_per_bin = sampling_rate / 2 / BINS
    below, above = _leading(differs), _leading(differs[::-1])
    low = (below + 1) * hz_per_bin * (1 + MARGIN) if below else LOWEST_HZ
    high = (BINS - above - 1) * hz_per_bin * (1 - MARGIN) if above else sampling_rate / 2
    return (max(low, LOWEST_HZ), high) if low < high else (LOWEST_HZ, sampling_rate / 2)


def _leading(values: Bool[np.ndarray, " n"]) -> int:
    """Return how many values at the beginning are true."""
    return len(values) if values.all() else int(np.argmin(values))


def _long_term_spectrum(waves: Iterable[Wave]) -> Float[np.ndarray, " bins"]:
    """Return the mean power in BINS bands of equal width, at least TINY."""
    window = np.hanning(2 * BINS + 1)[:-1]
    power, frames = np.zeros(BINS + 1), 0
    for wave in waves:
        padded = np.pad(wave - wave.mean(), (0, max(0, len(window) - len(wave))))
        cut = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::BINS]
        power += np.square(np.abs(np.fft.rfft(cut * window))).sum(axis=0)
        frames += len(cut)
    return (power[:-1] + power[1:]) / 2 / frames + TINY


def band_limited(wave: Wave, sampling_rate: int, band: Band) -> Wave:
    """Return a waveform without what is outside a band, by a filter without delay, whose edges are MARGIN / 2 wide."""
    spectrum = np.fft.rfft(wave)
    frequencies = np.fft.rfftfreq(len(wave), 1 / sampling_rate)
    low, high = band
    rising = np.clip((frequencies / low - (1 - MARGIN / 2)) / (MARGIN / 2), 0, 1)
    falling = np.clip((1 + MARGIN / 2 - frequencies / high) / (MARGIN / 2), 0, 1)
    return np.fft.irfft(spectrum * np.sin(np.pi / 2 * rising * falling) ** 2, len(wave))


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def without_silence(wave: Wave, sampling_rate: int) -> Float[np.ndarray, " shorter"]:
    """Return a waveform without its silent frames of FRAME_S: at the ends, between words and in closures alike.

    A frame is silent where it is PAUSE_DB softer than the loudest one. A pause that was shortened would still tell that
    it had been there.
    """
    frame = round(FRAME_S * sampling_rate)
    return wave[np.repeat(sounds(frame_powers(wave, frame), PAUSE_DB), frame)[: len(wave)]]
