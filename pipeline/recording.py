"""A recording as it was made → the samples a clip keeps: folded, resampled, trimmed, levelled.

Every treatment is off unless the section `recording` asks for it, and a 16-bit mono file of the right rate then passes
bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torchaudio
from jaxtyping import Float, Float32, Int16, Shaped

from dtc.audio import INT16_SCALE, AudioConfig, is_simple_ratio, rate_ratio, resample, to_int16
from dtc.errors import InputError
from pipeline.config import Channels
from pipeline.config import Decibels as Decibels
from pipeline.config import RecordingConfig as RecordingConfig
from pipeline.decoding import decode

TRIM_FRAME_S, TRIM_MARGIN_S = 0.01, 0.05
LOUDNESS_BLOCK_S = 0.4  # of ITU-R BS.1770-4
MEASURED_PEAK = 0.25  # -12 dBFS
PEAK_LIMIT_DB = -1.0


@dataclass(frozen=True)
class Recording:
    """A decoded file after all treatment: mono, at audio.sampling_rate."""

    samples: Int16[np.ndarray, " samples"]
    source_sampling_rate: int  # Hz
    source_channels: int


def read_recording(source: bytes, where: str, recording: RecordingConfig, audio: AudioConfig) -> Recording:
    """The samples of one sound file's bytes, treated as `recording` says.

    Raises InputError, naming `where`, for what does not decode, may not be folded or resampled, or is too short.
    """
    samples, sampling_rate = decode(source, where)
    for fault in mismatches(samples.shape[1], sampling_rate, where, recording, audio).values():
        raise fault
    treated = treat(samples, sampling_rate, recording, audio)
    if len(treated) <= (least := audio.filter_length // 2):
        raise InputError(where, f"{len(treated)} samples", f"more than {least}", "remove the clip")
    return Recording(treated, sampling_rate, samples.shape[1])


def mismatches(
    channels: int, sampling_rate: int, where: str, recording: RecordingConfig, audio: AudioConfig
) -> dict[str, InputError]:
    """What `recording` does not allow to be mended, by kind: `channels`, `sampling_rate`."""
    faults = {}
    if channels != 1 and recording.channels == "mono":
        remedy = "set recording.channels to left, right or mean"
        faults["channels"] = InputError(where, f"{channels} channels", "1 (mono)", remedy)
    if sampling_rate != audio.sampling_rate:
        found, expected = f"{sampling_rate} Hz", f"{audio.sampling_rate} Hz"
        set_rate = f"set audio.sampling_rate to {sampling_rate}"
        if not recording.resample:
            remedy = f"{set_rate} or recording.resample to true"
            faults["sampling_rate"] = InputError(where, found, expected, remedy)
        elif not is_simple_ratio(sampling_rate, audio.sampling_rate):
            source, target = rate_ratio(sampling_rate, audio.sampling_rate)
            expected += f", or a rate in a simpler ratio to it than {source}:{target}"
            faults["sampling_rate"] = InputError(where, found, expected, f"convert the clip or {set_rate}")
    return faults


def treat(
    samples: Shaped[np.ndarray, "samples channels"], sampling_rate: int, recording: RecordingConfig, audio: AudioConfig
) -> Int16[np.ndarray, " kept"]:
    """Fold, resample, trim, level and round, each as `recording` asks; 16-bit samples stay as they are where they can.

    What `mismatches` names is measured all the same: several channels by their mean, another rate as it is.
    """
    wave = fold(samples, recording.channels)
    asked = recording.resample and sampling_rate != audio.sampling_rate
    if asked and is_simple_ratio(sampling_rate, audio.sampling_rate):
        wave, sampling_rate = resample(_float(wave), sampling_rate, audio.sampling_rate), audio.sampling_rate
    if recording.trim_silence_db is not None:
        first, end = sounding(wave, sampling_rate, recording.trim_silence_db)
        margin = round(TRIM_MARGIN_S * sampling_rate)
        wave = wave[max(0, first - margin) : end + margin]
    if recording.loudness_lufs is not None:
        wave = level(_float(wave), sampling_rate, recording.loudness_lufs)
    return wave if wave.dtype == np.int16 else to_int16(torch.from_numpy(wave))


# ── treatment ───────────────────────────────────────────────────────────────────────────────────────────────────────


def used_channels(
    samples: Shaped[np.ndarray, "samples channels"], channels: Channels
) -> Shaped[np.ndarray, "samples used"]:
    """The first channel (left), the second (right), or all of them."""
    if channels in ("left", "right"):
        number = min(("left", "right").index(channels), samples.shape[1] - 1)
        return samples[:, number : number + 1]
    return samples


def fold(samples: Shaped[np.ndarray, "samples channels"], channels: Channels) -> Shaped[np.ndarray, " samples"]:
    """One channel of several: the left, the right, or else the mean of all, as float32."""
    used = used_channels(samples, channels)
    return np.ascontiguousarray(used[:, 0]) if used.shape[1] == 1 else _float(used).mean(axis=1)


def _float(samples: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Samples in [-1, 1)."""
    return samples.astype(np.float32) / np.float32(INT16_SCALE) if samples.dtype == np.int16 else samples


def sounding(wave: Shaped[np.ndarray, " samples"], sampling_rate: int, threshold_db: float) -> tuple[int, int]:
    """First sample, and the one after the last, of what is not silence at the ends of a clip.

    In frames of 10 ms whose RMS reaches `threshold_db` relative to the loudest frame, which always does: something is
    left of every clip, and all of digital silence.
    """
    powers = frame_powers(wave, round(TRIM_FRAME_S * sampling_rate))
    loud = np.flatnonzero(powers >= powers.max() * 10 ** (threshold_db / 10))
    frame = round(TRIM_FRAME_S * sampling_rate)
    return int(loud[0]) * frame, min(len(wave), (int(loud[-1]) + 1) * frame)


def frame_powers(wave: Shaped[np.ndarray, " samples"], frame: int) -> Float[np.ndarray, " frames"]:
    """Mean squares, of full scale 1, of frames of `frame` samples; the last one may be shorter."""
    starts = np.arange(0, len(wave), frame)
    sums = np.add.reduceat(np.square(wave, dtype=np.float64), starts)
    scale = INT16_SCALE if wave.dtype == np.int16 else 1.0
    return sums / np.diff(starts, append=len(wave)) / scale**2


def level(
    wave: Float32[np.ndarray, " samples"], sampling_rate: int, loudness_lufs: float
) -> Float32[np.ndarray, " samples"]:
    """The wave times what brings it to a loudness, or less: no sample passes -1 dBFS. Silence stays what it is."""
    peak = float(np.abs(wave).max())
    if not math.isfinite(found := loudness(wave, sampling_rate)):
        return wave
    gain_db = min(loudness_lufs - found, PEAK_LIMIT_DB - 20 * math.log10(peak))
    return wave * np.float32(10 ** (gain_db / 20))


def loudness(wave: Float32[np.ndarray, " samples"], sampling_rate: int) -> float:
    """Loudness of a clip in LUFS (ITU-R BS.1770-4, mono); -inf of silence.

    A clip shorter than the standard's block of 400 ms is measured as if repeated: padded with silence it would seem
    softer than it is. Measured with the peak at -12 dBFS: torchaudio's filters clip at full scale, and the gate, -70
    LUFS, then means the same for a soft recording as for a loud one.
    """
    peak = float(np.abs(wave).max())
    if peak == 0.0:
        return -math.inf
    repeated = np.tile(wave, math.ceil(LOUDNESS_BLOCK_S * sampling_rate / len(wave)))
    scaled = torch.from_numpy(repeated).double()[None] * (MEASURED_PEAK / peak)
    measured = float(torchaudio.functional.loudness(scaled, sampling_rate))
    return measured + 20 * math.log10(peak / MEASURED_PEAK) if math.isfinite(measured) else -math.inf
