"""Make the clips of a duel differ in their speech alone.

A file of recorded speech and one of synthetic speech can be told apart without listening: by the level, a constant
offset, the highest frequency, the silence before and after the speech, digital silence in pauses, the length, and the
mark that says that speech is synthetic. Here each of them is made equal, and a new file is written of the samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Float32

from dtc.audio import resample, wav_bytes
from dtc.duel.trials import Clip, Item
from dtc.errors import InputError
from dtc.seeding import seed_of
from dtc.silence import PAUSE_DB, frame_powers, sounding_frames, sounds

Wave = Float32[np.ndarray, " _"]

FRAME_S = 0.01
LEVEL_DB = -26.0  # power of the frames with speech, of full scale: the usual level of listening tests
PEAK = 0.9  # the largest sample of all; where it would be larger, all clips are made quieter
LEAD_S, KEPT_S, FADE_S = 0.15, 0.05, 0.02  # before and after the speech; of the clip's own; of it, faded in and out
NOISE_DB = -70.0  # white noise, 44 dB below the speech: it covers digital silence, and everything above the edge
EDGE_DB = -60.0  # the highest frequency of a kind of clip has this power, of that of its strongest frequency
LOWEST_EDGE_HZ = 3000.0  # a clip that has no higher frequencies may be told by that: the others are not cut further
RUMBLE_HZ = (40.0, 80.0)  # nothing is left below the first, and everything above the second
EDGE_WIDTH = 0.05  # of the edge: the width of the transition
SPECTRUM = 1024  # samples of a frame of the mean spectrum


@dataclass(frozen=True)
class Sounds:
    """The clips of a duel, by what they are. Two clips of one text have the same number of samples."""

    sampling_rate: int  # Hz
    waves: Mapping[Clip, Wave]

    def duration_s(self, clip: Clip) -> float:
        """Return the duration of a clip, which is that of all clips of its text."""
        return len(self.waves[clip]) / self.sampling_rate

    def wav(self, clip: Clip, name: str) -> bytes:
        """Return a clip as a WAV file, with noise that depends on `name`: no two names give the same bytes."""
        return self._with_noise(self.waves[clip], name)

    def volume_wav(self) -> bytes:
        """Return two seconds of noise in syllables, as loud as the clips, by which listeners set their volume."""
        time = np.arange(2 * self.sampling_rate) / self.sampling_rate
        noise = np.random.default_rng(seed_of("volume")).standard_normal(len(time)).astype(np.float32)
        syllables = np.square(np.sin(2 * np.pi * 2 * time)).astype(np.float32)
        limited = band_limited(noise, self.sampling_rate, LOWEST_EDGE_HZ) * syllables
        return self._with_noise(at_level(limited, self.sampling_rate, LEVEL_DB), "volume")

    def _with_noise(self, wave: Wave, name: str) -> bytes:
        noise = np.random.default_rng(seed_of(name)).standard_normal(len(wave), np.float32)
        return wav_bytes(torch.from_numpy(wave + 10 ** (NOISE_DB / 20) * noise), self.sampling_rate)


def read_waves(paths: Mapping[Clip, Path]) -> tuple[dict[Clip, Wave], int]:
    """Return the samples of mono files and their sampling rate, in Hz: the lowest one, where they have several.

    Raises InputError for a file that is missing, is no sound or is not mono.
    """
    read = {clip: _read(path) for clip, path in paths.items()}
    lowest = min(sampling_rate for _, sampling_rate in read.values())
    resampled = {clip: wave if rate == lowest else resample(wave, rate, lowest) for clip, (wave, rate) in read.items()}
    return resampled, lowest


def _read(path: Path) -> tuple[Wave, int]:
    try:
        wave, sampling_rate = soundfile.read(path, dtype="float32")
    except (OSError, soundfile.LibsndfileError):
        raise InputError(path, "cannot be read as a sound", remedy="run `dtc evaluate`, which writes it") from None
    if wave.ndim != 1:
        raise InputError(path, f"{wave.shape[1]} channels", "1", "run `dtc evaluate`, which writes mono files")
    return wave, sampling_rate


def prepare(waves: Mapping[Clip, Wave], sampling_rate: int) -> Sounds:
    """Return the clips with equal band, level, silence before the speech, and per text equal length."""
    kinds = dict[Item, list[Wave]]()
    for clip, wave in waves.items():
        kinds.setdefault(clip.item, []).append(wave)
    edge_hz = max(LOWEST_EDGE_HZ, min(highest_frequency(each, sampling_rate) for each in kinds.values()))
    speech = {clip: speech_of(wave, sampling_rate, edge_hz) for clip, wave in waves.items()}
    peak = max(float(np.abs(wave).max()) for wave in speech.values())
    quieter = np.float32(min(1.0, PEAK / peak) if peak else 1.0)
    lead, longest = round(LEAD_S * sampling_rate), dict[str, int]()
    for clip, wave in speech.items():
        longest[clip.text] = max(longest.get(clip.text, 0), len(wave))
    padded = {
        clip: np.pad(wave * quieter, (lead, lead + longest[clip.text] - len(wave))) for clip, wave in speech.items()
    }
    return Sounds(sampling_rate, padded)


def highest_frequency(waves: Sequence[Wave], sampling_rate: int) -> float:
    """Return the highest frequency, in Hz, at which the mean spectrum of clips is not EDGE_DB below its peak."""
    power = sum(_power_spectrum(wave) for wave in waves)
    loud = np.flatnonzero(power >= np.max(power) * 10 ** (EDGE_DB / 10))
    return float((loud[-1] + 1) * sampling_rate / SPECTRUM)


def _power_spectrum(wave: Wave) -> Float[np.ndarray, " bins"]:
    frames = np.pad(wave, (0, -len(wave) % SPECTRUM)).reshape(-1, SPECTRUM)
    return np.square(np.abs(np.fft.rfft(frames * np.hanning(SPECTRUM)))).sum(axis=0)


def speech_of(wave: Wave, sampling_rate: int, edge_hz: float) -> Wave:
    """Return the part of a clip that has speech, with frequencies up to the edge, at LEVEL_DB, faded at both ends."""
    frame, kept = round(FRAME_S * sampling_rate), round(KEPT_S * sampling_rate)
    centred = wave - wave.mean() if len(wave) else wave  # an offset would end in a step
    limited = band_limited(np.pad(centred, kept), sampling_rate, edge_hz)
    first, last = sounding_frames(frame_powers(limited, frame), PAUSE_DB)
    part = limited[max(0, first * frame - kept) : last * frame + kept].copy()
    fade = np.square(np.sin(np.linspace(0, np.pi / 2, round(FADE_S * sampling_rate), dtype=np.float32)))
    part[: len(fade)] *= fade
    part[-len(fade) :] *= fade[::-1]
    return at_level(part, sampling_rate, LEVEL_DB)


def band_limited(wave: Wave, sampling_rate: int, edge_hz: float) -> Wave:
    """Return a waveform without frequencies below RUMBLE_HZ and above the edge; the filter has no delay."""
    size = len(wave) + sampling_rate // 10  # zeros, into which the filter rings
    frequencies = np.fft.rfftfreq(size, 1 / sampling_rate)
    gain = _rise(frequencies, *RUMBLE_HZ) * (1 - _rise(frequencies, edge_hz * (1 - EDGE_WIDTH), edge_hz))
    return np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[: len(wave)].astype(np.float32)


def _rise(frequencies: Float[np.ndarray, " bins"], low: float, high: float) -> Float[np.ndarray, " bins"]:
    """Return a gain that rises from 0 at one frequency to 1 at another, as half a cosine."""
    return (1 - np.cos(np.pi * np.clip((frequencies - low) / (high - low), 0, 1))) / 2


def at_level(wave: Wave, sampling_rate: int, level_db: float) -> Wave:
    """Return a waveform whose frames with speech have this mean power, of full scale; silence stays as it is."""
    powers = frame_powers(wave, round(FRAME_S * sampling_rate))
    level = powers[sounds(powers, PAUSE_DB)].mean()
    return wave * np.float32(np.sqrt(10 ** (level_db / 10) / level)) if level else wave
