"""The facts of one clip (duration, level, clipping, silence) and the limits that a clip must keep to be used."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Shaped

from dtc.audio import INT16_SCALE
from dtc.errors import InputError
from pipeline.config import VerifyConfig as VerifyConfig
from pipeline.recording import TRIM_FRAME_S, frame_powers

# What a fault is about, and what to say of it in a list of them.
KINDS = {
    "corpus": "the listing as a whole",
    "listing": "a row of the listing",
    "stray": "a clip without a row",
    "decode": "a file that does not decode whole",
    "channels": "more than one channel",
    "sampling_rate": "another sampling rate",
    "duration": "too short or too long",
    "clipping": "louder than the recording could hold",
    "silence": "silent, or mostly so",
    "duplicate": "the same audio twice",
    "text": "a text that cannot be spoken",
    "characters_per_s": "text and clip do not fit each other",
}


def out_of_bounds(facts: ClipFacts, where: str, config: VerifyConfig, least_samples: int) -> dict[str, InputError]:
    """What is wrong with a clip's sound, by kind."""
    faults = {
        "duration": _wrong_duration(facts, where, config, least_samples),
        "clipping": _clipping(facts, where, config),
        "silence": _silence(facts, where, config),
    }
    return {kind: fault for kind, fault in faults.items() if fault}


def _wrong_duration(facts: ClipFacts, where: str, config: VerifyConfig, least_samples: int) -> InputError | None:
    least, most, found = config.min_duration_s, config.max_duration_s, f"{facts.duration_s:.2f} s"
    if facts.samples < least_samples:
        return InputError(where, f"{facts.samples} samples", f"more than {least_samples - 1}", "remove the clip")
    if facts.duration_s < least:
        expected = f"at least {least:g} s (verify.min_duration_s {least:g})"
        return InputError(where, found, expected, "remove the clip or lower the bound")
    if facts.duration_s > most:
        expected = f"at most {most:g} s (verify.max_duration_s {most:g})"
        return InputError(where, found, expected, "cut it into utterances or raise the bound")
    return None


def _clipping(facts: ClipFacts, where: str, config: VerifyConfig) -> InputError | None:
    if facts.clipped_share <= config.max_clipped_share:
        return None
    runs = "run" if facts.clipped_runs == 1 else "runs"
    found = f"{facts.clipped_share:.2%} of the samples clipped, in {facts.clipped_runs} {runs} at full scale"
    expected = f"at most {config.max_clipped_share:.2%} (verify.max_clipped_share {config.max_clipped_share:g})"
    return InputError(where, found, expected, "record it at a lower level or raise the bound")


def _silence(facts: ClipFacts, where: str, config: VerifyConfig) -> InputError | None:
    if facts.is_constant:
        found = "digital silence: all samples are the same"
        return InputError(where, found, "speech", "record it again or remove it")
    if facts.silent_share <= config.max_silent_share:
        return None
    found = f"{facts.silent_share:.0%} of the clip is below {config.silence_db:g} dB (verify.silence_db)"
    expected = f"at most {config.max_silent_share:.0%} (verify.max_silent_share {config.max_silent_share:g})"
    return InputError(where, found, expected, "set recording.trim_silence_db, record it louder or raise the bound")


def wrong_pace(characters: int, duration_s: float, where: str, config: VerifyConfig) -> InputError | None:
    """A clip that says more or less than its text does."""
    least, most = config.min_characters_per_s, config.max_characters_per_s
    pace = characters / duration_s
    if least <= pace <= most:
        return None
    expected = f"at least {least:g} (verify.min_characters_per_s {least:g})"
    if pace > most:
        expected = f"at most {most:g} (verify.max_characters_per_s {most:g})"
    found = f"{characters} characters in {duration_s:.2f} s, {pace:.1f} a second"
    return InputError(where, found, expected, "listen whether this is its clip")


SPEECH_DB = -40.0  # relative to a clip's loudest 10 ms: what stays below it at the ends is said to be silence
FULL_SCALE = 32767  # of 16 bits


class ClipFacts(NamedTuple):
    """What was measured of one clip. All but the shares of what is clipped, and the peak, after its treatment."""

    samples: int  # 0: it does not decode, and nothing was measured
    duration_s: float
    source_sampling_rate: int
    source_channels: int
    peak: float  # of full scale, as recorded
    clipped_share: float  # of the samples as recorded: at full scale, two or more in a run
    clipped_runs: int
    silent_share: float  # of frames of 20 ms
    level_db: float  # RMS, of full scale
    leading_s: float  # of silence, as by SPEECH_DB
    trailing_s: float
    is_constant: bool  # every sample is the same
    sound_md5: bytes  # of the samples
    md5: bytes  # of the file
    crc32: int  # of the file
    size_bytes: int  # of the file
    first_byte: int  # in the archive; -1: not known


TABLE = np.dtype(
    [
        ("samples", "i8"), ("duration_s", "f8"), ("source_sampling_rate", "i4"), ("source_channels", "i4"),
        ("peak", "f4"), ("clipped_share", "f4"), ("clipped_runs", "i4"), ("silent_share", "f4"), ("level_db", "f4"),
        ("leading_s", "f4"), ("trailing_s", "f4"), ("is_constant", "?"), ("sound_md5", "V16"), ("md5", "V16"),
        ("crc32", "u4"), ("size_bytes", "i8"), ("first_byte", "i8"),
    ]
)  # fmt: skip
NOTHING = ClipFacts(0, 0.0, 0, 0, 0.0, 0.0, 0, 0.0, -math.inf, 0.0, 0.0, False, bytes(16), bytes(16), 0, 0, -1)


class FactsTable:
    """The facts of many clips, packed."""

    def __init__(self) -> None:
        self._packed = bytearray()

    def add(self, facts: ClipFacts) -> None:
        """One more row."""
        self._packed += np.array([tuple(facts)], TABLE).tobytes()

    def rows(self) -> Shaped[np.ndarray, " clips"]:
        """All rows; a column has its fact's name."""
        return np.frombuffer(self._packed, TABLE)


def measure(
    decoded: Shaped[np.ndarray, "frames channels"], treated: Int16[np.ndarray, " samples"], sampling_rate: int,
    silence_db: float,
) -> ClipFacts:  # fmt: skip
    """The facts of a clip from its samples as decoded (of the channels that are used) and after treatment.

    `sampling_rate` is that of the treated samples. What concerns the file is left for the caller to fill in.
    """
    frame = round(TRIM_FRAME_S * sampling_rate)
    powers = frame_powers(treated, frame)
    loud = np.flatnonzero(powers >= powers.max() * 10 ** (SPEECH_DB / 10))
    share, runs = clipped(decoded)
    return NOTHING._replace(
        samples=len(treated),
        duration_s=len(treated) / sampling_rate,
        source_channels=decoded.shape[1],
        peak=float(np.abs(decoded.astype(np.float32)).max()) / (INT16_SCALE if decoded.dtype == np.int16 else 1.0),
        clipped_share=share,
        clipped_runs=runs,
        silent_share=float((_doubled(powers) < 10 ** (silence_db / 10)).mean()),
        level_db=10 * math.log10(powers.mean()) if powers.any() else -math.inf,
        leading_s=int(loud[0]) * frame / sampling_rate,
        trailing_s=(len(powers) - 1 - int(loud[-1])) * frame / sampling_rate,
        is_constant=bool((treated == treated[0]).all()),
        sound_md5=hashlib.md5(treated.data, usedforsecurity=False).digest(),
    )


def _doubled(powers: Shaped[np.ndarray, " frames"]) -> Shaped[np.ndarray, " halves"]:
    """Powers of frames twice as long; a last one alone stays alone."""
    pairs = len(powers) // 2
    return np.append(powers[: 2 * pairs].reshape(pairs, 2).mean(axis=1), powers[2 * pairs :])


def clipped(decoded: Shaped[np.ndarray, "frames channels"]) -> tuple[float, int]:
    """Share of a clip's samples that are clipped, and in how many runs; of its worst channel.

    At full scale, and not alone: a recording that was brought to its peak touches full scale once or twice, one that
    was cut off there stays for several samples.
    """
    limit = FULL_SCALE if decoded.dtype == np.int16 else FULL_SCALE / INT16_SCALE
    worst = (0.0, 0)
    for channel in decoded.T:
        full = (channel >= limit) | (channel <= -limit)
        if full.any():
            edges = np.flatnonzero(np.diff(full, prepend=False, append=False))
            lengths = edges[1::2] - edges[::2]
            long = lengths[lengths >= 2]
            worst = max(worst, (float(long.sum() / len(channel)), len(long)))
    return worst
