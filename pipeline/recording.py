"""Treat a recording as the section `recording` asks: fold its channels, resample, trim silence, set the loudness.

Each treatment is off by default. A 16-bit mono file of the right sampling rate then passes bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torchaudio
from jaxtyping import Float32, Int16, Shaped

from dtc.audio import INT16_SCALE, is_simple_ratio, rate_ratio, resample, to_int16
from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from dtc.silence import frame_powers, sounding_frames
from pipeline.config import Channels, RecordingConfig
from pipeline.decoding import Samples, decode

TRIM_FRAME_S, TRIM_MARGIN_S = 0.01, 0.05
LOUDNESS_BLOCK_S = 0.4  # of ITU-R BS.1770-4
MEASURED_PEAK = 0.25  # -12 dBFS
PEAK_LIMIT_DB = -1.0

Treated = Int16[np.ndarray, " treated"]  # samples at audio.sampling_rate
FloatWave = Float32[np.ndarray, " samples"]


def read_recording(source: bytes, where: str, recording: RecordingConfig, audio: AudioConfig) -> Treated:
    """Return the samples of a sound file's bytes, treated as `recording` asks: mono, at audio.sampling_rate.

    Raises InputError, naming `where`, if the file does not decode, is too short for one frame, or has channels or a
    sampling rate that `recording` does not allow to change.
    """
    samples, sampling_rate, _ = decode(source, where)
    for fault in mismatches(samples.shape[1], sampling_rate, where, recording, audio).values():
        raise fault
    treated = treat(samples, sampling_rate, recording, audio)
    if len(treated) <= (least := audio.filter_length // 2):
        raise InputError(where, f"{len(treated)} samples", f"more than {least}", "remove the clip")
    return treated


def mismatches(
    channels: int, sampling_rate: int, where: str, recording: RecordingConfig, audio: AudioConfig
) -> dict[str, InputError]:
    """Return what `recording` does not allow to change, by the kind of fault: `channels`, `sampling_rate`."""
    faults = {}
    if channels != 1 and recording.channels == "mono":
        remedy = "set recording.channels to left, right or mean"
        faults["channels"] = InputError(where, f"{channels} channels", "1 (mono)", remedy)
    expected, remedy = f"{audio.sampling_rate} Hz", f"set audio.sampling_rate to {sampling_rate}"
    if sampling_rate != audio.sampling_rate and not recording.resample:
        remedy += " or recording.resample to true"
        faults["sampling_rate"] = InputError(where, f"{sampling_rate} Hz", expected, remedy)
    elif not is_simple_ratio(sampling_rate, audio.sampling_rate):
        source, target = rate_ratio(sampling_rate, audio.sampling_rate)
        expected += f", or a rate in a simpler ratio to it than {source}:{target}"
        faults["sampling_rate"] = InputError(where, f"{sampling_rate} Hz", expected, f"convert the clip or {remedy}")
    return faults


def treat(samples: Samples, sampling_rate: int, recording: RecordingConfig, audio: AudioConfig) -> Treated:
    """Fold, resample, trim, set the loudness and round, each as `recording` asks.

    16-bit samples that need no arithmetic stay as they are. What `mismatches` names can be measured all the same:
    several channels are folded to their mean, and another sampling rate is kept.
    """
    wave = fold(samples, recording.channels)
    should_resample = recording.resample and sampling_rate != audio.sampling_rate
    if should_resample and is_simple_ratio(sampling_rate, audio.sampling_rate):
        wave, sampling_rate = resample(_float(wave), sampling_rate, audio.sampling_rate), audio.sampling_rate
    if recording.trim_silence_db is not None:
        first, end = sounding(wave, sampling_rate, recording.trim_silence_db)
        margin = round(TRIM_MARGIN_S * sampling_rate)
        wave = wave[max(0, first - margin) : end + margin]
    if recording.loudness_lufs is not None:
        wave = level(_float(wave), sampling_rate, recording.loudness_lufs)
    return wave if wave.dtype == np.int16 else to_int16(torch.from_numpy(wave))


# ── treatment ───────────────────────────────────────────────────────────────────────────────────────────────────────


def used_channels(samples: Samples, channels: Channels) -> Shaped[np.ndarray, "samples used"]:
    """Return the first channel (left), the second (right, or the first of a mono file), or all of them."""
    if channels == "left" or (channels == "right" and samples.shape[1] == 1):
        return samples[:, :1]
    return samples[:, 1:2] if channels == "right" else samples


def fold(samples: Samples, channels: Channels) -> Shaped[np.ndarray, " samples"]:
    """Return one channel: the left, the right, or else the mean of all, which is float32."""
    used = used_channels(samples, channels)
    return np.ascontiguousarray(used[:, 0]) if used.shape[1] == 1 else _float(used).mean(axis=1)


def _float(samples: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Return samples as float32, of full scale 1."""
    return samples.astype(np.float32) / np.float32(INT16_SCALE) if samples.dtype == np.int16 else samples


def sounding(wave: Shaped[np.ndarray, " samples"], sampling_rate: int, threshold_db: float) -> tuple[int, int]:
    """Return the first sample, and the one after the last, that is not silence at an end of a clip.

    Silence is where frames of 10 ms stay below `threshold_db` relative to the loudest: see `dtc.silence`.
    """
    frame = round(TRIM_FRAME_S * sampling_rate)
    first, end = sounding_frames(frame_powers(wave, frame), threshold_db)
    return first * frame, min(len(wave), end * frame)


def level(wave: FloatWave, sampling_rate: int, loudness_lufs: float) -> FloatWave:
    """Return a clip with its loudness set, or lower where a sample would pass -1 dBFS; silence as it is."""
    if not math.isfinite(found := loudness(wave, sampling_rate)):
        return wave
    gain_db = min(loudness_lufs - found, PEAK_LIMIT_DB - 20 * math.log10(float(np.abs(wave).max())))
    return wave * np.float32(10 ** (gain_db / 20))


def loudness(wave: FloatWave, sampling_rate: int) -> float:
    """Return the loudness of a clip in LUFS (ITU-R BS.1770-4, mono), without its mean; -inf for silence.

    A clip that is shorter than the standard's block of 400 ms is repeated: padded with silence, it would measure softer
    than it is. The peak is brought to -12 dBFS first: torchaudio's filters clip at full scale, and the gate at -70 LUFS
    then means the same for a soft recording as for a loud one.
    """
    if wave.min() == wave.max():
        return -math.inf
    wave = wave - wave.mean(dtype=np.float64)
    peak = float(np.abs(wave).max())
    repeated = np.tile(wave, math.ceil(LOUDNESS_BLOCK_S * sampling_rate / len(wave)))
    scaled = torch.from_numpy(repeated).double()[None] * (MEASURED_PEAK / peak)
    measured = float(torchaudio.functional.loudness(scaled, sampling_rate))
    return measured + 20 * math.log10(peak / MEASURED_PEAK) if math.isfinite(measured) else -math.inf
