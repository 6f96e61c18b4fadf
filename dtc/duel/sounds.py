"""The clips of a duel, which differ in their speech alone.

A file of recorded speech and one of synthetic speech can be told apart without listening. So the waveforms are made
equal by `dtc.equalise`; pauses stay, as ears want to hear them, but not the silence before and after the speech. All
clips of a text get the same number of samples, and a new file is written of them.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from dtc.audio import resample, to_int16, wav_bytes
from dtc.duel.trials import Clip, Item, Trial
from dtc.equalise import (
    FRAME_S,
    Band,
    Wave,
    at_one_step,
    band_limited,
    common_band,
    gain_of,
    with_noise,
    without_silence,
)
from dtc.evaluation.speech_folder import read_speech
from dtc.seeding import seed_of
from dtc.silence import PAUSE_DB, frame_powers, sounding_frames

PEAK = 0.9  # the largest sample of all; where it would be larger, all clips are made quieter
LEAD_S, KEPT_S, FADE_S = 0.15, 0.05, 0.02  # before and after the speech; of the clip's own; of it, faded in and out
NOISE_BELOW_SPEECH_DB = 44.0  # at -70 dB it covers digital silence and what is outside the band, and is hardly heard
HEARD_HZ = (80.0, 3000.0)  # is heard in any case: a kind of clip that has less may be told by that
LOW_EDGE = 0.5  # so that the filter does not ring in the pauses of a low voice
STREAMINFO_END = 42  # bytes: "fLaC", the header of the first block, and its 34 bytes
LAST_BLOCK, PADDING = 0x80, 1


@dataclass(frozen=True)
class Sounds:
    """The clips of a duel, by what they are. Two clips of one text have the same number of samples.

    Args:
        sampling_rate: in Hz.
        waves: without the noise that is added for each trial.
        gain: of all clips, at most 1.
        secret: without which nobody can compute that noise, to take it away again.
    """

    sampling_rate: int
    waves: Mapping[Clip, Wave]
    gain: float = 1.0
    secret: str = field(default_factory=secrets.token_hex, repr=False)

    def duration_s(self, clip: Clip) -> float:
        """Return the duration of a clip, which is that of all clips of its text."""
        return len(self.waves[clip]) / self.sampling_rate

    def wav(self, clip: Clip, name: str) -> bytes:
        """Return a clip as a WAV file, with noise and a sign that depend on `name`: other names, other bytes."""
        return wav_bytes(self._noisy(self.waves[clip], name), self.sampling_rate)

    def flacs(self, trial: Trial) -> list[bytes]:
        """Return the clips of a trial as FLAC files, which are smaller than WAV files, and all of the same size.

        The size is that of the largest file that any clip of the text would have: it does not tell what they are.
        """
        rivals = [clip for clip in self.waves if clip.text == trial.text]
        files = [{clip: self._flac(clip, f"{trial.id} {side}") for clip in rivals} for side in range(len(trial.sides))]
        largest = max(len(content) for each in files for content in each.values())
        return [
            _with_padding(each[clip], largest - len(each[clip])) for each, clip in zip(files, trial.clips, strict=True)
        ]

    def _flac(self, clip: Clip, name: str) -> bytes:
        stream = io.BytesIO()
        samples = to_int16(self._noisy(self.waves[clip], name))
        soundfile.write(stream, samples, self.sampling_rate, subtype="PCM_16", format="FLAC")
        return stream.getvalue()

    def volume_wav(self) -> bytes:
        """Return two seconds of noise in syllables, as loud as the clips, by which listeners set their volume."""
        time = np.arange(2 * self.sampling_rate) / self.sampling_rate
        noise = with_noise(np.zeros(len(time)), 0.0, "volume")
        syllables = np.square(np.sin(2 * np.pi * 2 * time))
        wave = band_limited(noise, self.sampling_rate, HEARD_HZ, LOW_EDGE) * syllables
        level = self.gain * gain_of(without_silence(wave, self.sampling_rate))
        return wav_bytes(self._noisy(wave * level, "volume"), self.sampling_rate)

    def _noisy(self, wave: Wave, name: str) -> Float[Tensor, " _"]:
        sign = 1 - 2 * (seed_of(f"duel sign {self.secret} {name}") % 2)  # else the polarity of a microphone would tell
        return torch.from_numpy(with_noise(sign * wave, NOISE_BELOW_SPEECH_DB, f"duel noise {self.secret} {name}"))


def _with_padding(flac: bytes, size: int) -> bytes:
    """Return a FLAC file with a block of zeros after its first block, which players skip; RFC 9639, section 8."""
    first, others = bytearray(flac[:STREAMINFO_END]), flac[STREAMINFO_END:]
    is_last = first[4] & LAST_BLOCK  # in the header of a block: whether none comes after it
    first[4] -= is_last
    return bytes([*first, is_last | PADDING, *size.to_bytes(3)]) + bytes(size) + others


def read_waves(paths: Mapping[Clip, Path]) -> tuple[dict[Clip, Wave], int]:
    """Return the samples of mono files and their sampling rate, in Hz: the lowest one, where they have several.

    Raises InputError for a file that is no sound or is not mono.
    """
    read = {clip: read_speech(path) for clip, path in paths.items()}
    lowest = min(sampling_rate for _, sampling_rate in read.values())
    return {clip: _at_rate(wave, rate, lowest) for clip, (wave, rate) in read.items()}, lowest


def _at_rate(wave: Wave, source_hz: int, target_hz: int) -> Wave:
    if source_hz == target_hz:
        return wave
    return resample(wave.astype(np.float32), source_hz, target_hz).astype(np.float64)


def prepare(waves: Mapping[Clip, Wave], sampling_rate: int) -> Sounds:
    """Return clips of equal steps, band, skewness, level and silence before the speech, and of one length per text."""
    stepped = _at_one_step_by_text(waves)
    band = heard_band(stepped, sampling_rate)
    speech = {clip: speech_of(wave, sampling_rate, band) for clip, wave in stepped.items()}
    lead, longest = round(LEAD_S * sampling_rate), dict[str, int]()
    for clip, wave in speech.items():
        longest[clip.text] = max(longest.get(clip.text, 0), len(wave))
    padded = {
        clip: without_skewness(np.pad(wave, (lead, lead + longest[clip.text] - len(wave))))
        for clip, wave in speech.items()
    }
    levelled = {clip: wave * gain_of(without_silence(wave, sampling_rate)) for clip, wave in padded.items()}
    peak = max(float(np.abs(wave).max()) for wave in levelled.values())
    gain = min(1.0, PEAK / peak) if peak else 1.0
    return Sounds(sampling_rate, {clip: wave * gain for clip, wave in levelled.items()}, gain)


def _at_one_step_by_text(waves: Mapping[Clip, Wave]) -> dict[Clip, Wave]:
    of_text = dict[str, list[Clip]]()
    for clip in waves:
        of_text.setdefault(clip.text, []).append(clip)
    stepped = dict[Clip, Wave]()
    for clips in of_text.values():
        found = [waves[clip] if len(waves[clip]) else np.zeros(1) for clip in clips]  # an empty clip is silent
        stepped |= dict(zip(clips, at_one_step(found), strict=True))
    return stepped


def heard_band(waves: Mapping[Clip, Wave], sampling_rate: int) -> Band:
    """Return the band in Hz that all kinds of clips have, and at least HEARD_HZ."""
    kinds = dict[Item, list[Wave]]()
    for clip, wave in waves.items():
        kinds.setdefault(clip.item, []).append(wave)
    low, high = common_band(list(kinds.values()), sampling_rate)
    return min(low, HEARD_HZ[0]), max(high, HEARD_HZ[1])


def speech_of(wave: Wave, sampling_rate: int, band: Band) -> Wave:
    """Return the part of a clip that has speech, within a band, faded at both ends."""
    frame, kept = round(FRAME_S * sampling_rate), round(KEPT_S * sampling_rate)
    centred = wave - wave.mean()  # an offset would end in a step
    limited = band_limited(np.pad(centred, kept), sampling_rate, band, LOW_EDGE)
    first, last = sounding_frames(frame_powers(limited, frame), PAUSE_DB)
    part = limited[max(0, first * frame - kept) : last * frame + kept].copy()
    fade = np.square(np.sin(np.linspace(0, np.pi / 2, round(FADE_S * sampling_rate))))
    part[: len(fade)] *= fade
    part[-len(fade) :] *= fade[::-1]
    return part


def without_skewness(wave: Wave) -> Wave:
    """Return a waveform without offset, the phase of all its frequencies turned by the angle that makes its skewness 0.

    The pulses of a recorded voice have their peaks on one side of zero; those of synthetic speech often have not. With
    the analytic signal z, the mean of x³ is ¾ Re(mean(|z|² z)), which is 0 where that mean is imaginary. Magnitudes
    stay, and nothing is delayed.
    """
    analytic = np.fft.ifft(2 * np.fft.rfft(wave), len(wave))  # no negative frequencies
    asymmetry = np.mean(np.square(np.abs(analytic)) * analytic)
    return np.real(analytic * 1j * np.exp(-1j * np.angle(asymmetry)))
