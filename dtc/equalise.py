"""Make waveforms of speech equal in what is not speech: bit depth, level, bandwidth, silence and noise floor.

A recording and synthetic speech can be told apart by these without hearing a word. The machine judge (`dtc.judge`) and
the people's judge (`dtc.duel`) are given waveforms that went through these functions, in the order in which they stand
here: a coarse bit depth is applied to the other waveforms before anything is filtered, and the noise, which hides what
is left of rounding, digital silence and room noise, comes last. Full scale is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from dtc.audio import INT16_SCALE
from dtc.seeding import seed_of
from dtc.silence import PAUSE_DB, frame_powers, sounds

Wave = Float[np.ndarray, " _"]  # float64; of any length, so that a list may have several
Band = tuple[float, float]  # Hz

SPEECH_RMS = 0.05  # -26 dB of full scale, the usual level of listening tests
FRAME_S = 0.01
LOWEST_HZ = 60.0  # below is no speech: a constant offset, drift, rumble and hum
BINS = 128  # of the long-term spectrum, up to half the sampling rate
TINY = 1e-12
ABSENT_DB = 10.0  # a band that differs by more, up to the end of the spectrum, is missing on one side
MARGIN = 0.1  # by which the common band is narrower than that, and by a bin: the skirts of a filter differ too
EDGE = MARGIN / 2  # the width of an edge of a filter, as a share of its frequency


# ── level ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def at_level(wave: Wave) -> Wave:
    """Return a waveform whose root mean square is SPEECH_RMS; digital silence as it is."""
    return wave * gain_of(wave)


def gain_of(wave: Wave) -> float:
    """Return the factor that gives a waveform the root mean square SPEECH_RMS; 1 for digital silence."""
    rms = float(np.sqrt(np.mean(np.square(wave))))
    return SPEECH_RMS / rms if rms else 1.0


# ── bit depth ───────────────────────────────────────────────────────────────────────────────────────────────────────


def at_one_step(waves: Sequence[Wave]) -> list[Wave]:
    """Return waveforms at equal levels, the finer ones rounded to the steps of the coarsest one.

    The step is the greatest common divisor of the 16-bit samples, such as 256 where they were 8 bits, times the gain
    that brings the waveform to its level.
    """
    steps = [_step(wave) * gain_of(wave) for wave in waves]
    coarsest = max(steps)
    return [
        levelled if step == coarsest else np.round(levelled / coarsest) * coarsest
        for levelled, step in zip(map(at_level, waves), steps, strict=True)
    ]


def _step(wave: Wave) -> float:
    """Return the step of a waveform's samples; that of 16 bits in digital silence."""
    samples = np.round(wave * INT16_SCALE).astype(np.int64)
    return float(max(1, np.gcd.reduce(samples))) / INT16_SCALE


# ── bandwidth ───────────────────────────────────────────────────────────────────────────────────────────────────────


def common_band(kinds: Sequence[Iterable[Wave]], sampling_rate: int) -> Band:
    """Return the band in Hz that all kinds of waveforms have.

    The long-term spectra of the kinds are compared from each end inwards: as long as two differ by more than ABSENT_DB,
    one kind has nothing there. Where nothing is missing, the band is LOWEST_HZ to half the sampling rate.
    """
    spectra = np.array([_long_term_spectrum(waves) for waves in kinds])
    differs = 10 * np.log10(spectra.max(axis=0) / spectra.min(axis=0)) > ABSENT_DB
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


def band_limited(wave: Wave, sampling_rate: int, band: Band, low_edge: float = EDGE) -> Wave:
    """Return a waveform without what is outside a band, by a filter without delay.

    The filter takes the waveform for a period of a sound that repeats: what rings at one end comes in at the other.

    Args:
        wave: the waveform.
        sampling_rate: in Hz.
        band: of which nothing is taken away, in Hz.
        low_edge: the width of the lower edge, as a share of its frequency; a wide one rings less. The upper one: EDGE.
    """
    spectrum = np.fft.rfft(wave)
    frequencies = np.fft.rfftfreq(len(wave), 1 / sampling_rate)
    low, high = band
    rising = np.clip((frequencies / low - (1 - low_edge)) / low_edge, 0, 1)
    falling = np.clip((1 + EDGE - frequencies / high) / EDGE, 0, 1)
    return np.fft.irfft(spectrum * np.sin(np.pi / 2 * rising * falling) ** 2, len(wave))


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def without_silence(wave: Wave, sampling_rate: int) -> Wave:
    """Return a waveform without its silent frames of FRAME_S: at the ends, between words and in closures alike.

    A frame is silent where it is PAUSE_DB softer than the loudest one. A pause that was shortened would still tell that
    it had been there.
    """
    frame = round(FRAME_S * sampling_rate)
    return wave[np.repeat(sounds(frame_powers(wave, frame), PAUSE_DB), frame)[: len(wave)]]


# ── noise floor ─────────────────────────────────────────────────────────────────────────────────────────────────────


def with_noise(wave: Wave, below_speech_db: float, purpose: str) -> Wave:
    """Return a waveform with white noise, so many dB below SPEECH_RMS; it is drawn from a hash of `purpose`."""
    noise = np.random.default_rng(seed_of(purpose)).standard_normal(len(wave))
    return wave + SPEECH_RMS * 10 ** (-below_speech_db / 20) * noise
