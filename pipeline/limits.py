"""Measure a clip (duration, level, clipping, silence), and check the limits that a clip must keep to be used."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dtc.audio import INT16_SCALE
from dtc.errors import InputError, plural
from dtc.silence import frame_powers, sounding_frames
from pipeline.config import VerifyConfig
from pipeline.decoding import LARGEST_SAMPLE, Samples
from pipeline.recording import TRIM_FRAME_S, Treated

SPEECH_DB = -40.0  # relative to a clip's loudest 10 ms; below it, the ends of a clip count as silence

# The kinds of faults, and how a list of faults describes each.
KINDS = {
    "corpus": "the listing as a whole",
    "listing": "a row of the listing",
    "missing": "a row without its clip",
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

# What is known of one clip. All but the share that is clipped is measured after treatment.
FACTS = np.dtype(
    [
        ("samples", "i8"),  # 0: the file does not decode, and nothing was measured
        ("duration_s", "f8"),
        ("source_samples", "i8"),  # of each channel, as decoded
        ("source_sampling_rate", "i4"),  # Hz
        ("source_channels", "i4"),
        ("clipped_share", "f8"),  # of the samples as decoded: at full scale, two or more in a run
        ("clipped_runs", "i4"),
        ("silent_share", "f8"),  # of frames of 20 ms
        ("level_db", "f4"),  # RMS without the mean, relative to full scale
        ("leading_s", "f4"),  # silence at the start, by SPEECH_DB
        ("trailing_s", "f4"),  # silence at the end
        ("is_constant", "?"),  # every sample is the same
        ("sound_md5", "V16"),  # of the treated samples
        ("md5", "V16"),  # of the file
        ("crc32", "u4"),  # of the file
        ("size_bytes", "i8"),  # of the file
        ("first_byte", "i8"),  # in the archive; -1: not known
    ]
)


SIDES = {"min": "least", "max": "most"}
TRIM = "set recording.trim_silence_db, record it louder or raise the bound"
RECORD_AGAIN = "record it again or remove it"
SILENT = "{silent_share:.0%} of the clip is below {silence_db:g} dB (verify.silence_db)"
CLIPPED = "{clipped_share:.2%} of the samples clipped, in {runs} at full scale"
PACE = "{characters} characters in {duration_s:.2f} s, {characters_per_s:.1f} a second"

# The kind of fault; the limit in VerifyConfig; how a message shows the value and the limit; the remedy.
BOUNDS = (
    ("duration", "min_duration_s", "{duration_s:.2f} s", "{:g} s", "remove the clip or lower the bound"),
    ("duration", "max_duration_s", "{duration_s:.2f} s", "{:g} s", "cut it into utterances or raise the bound"),
    ("clipping", "max_clipped_share", CLIPPED, "{:.2%}", "record it at a lower level or raise the bound"),
    ("silence", "max_silent_share", SILENT, "{:.0%}", TRIM),
    ("characters_per_s", "min_characters_per_s", PACE, "{:g}", "check that the text belongs to the clip"),
    ("characters_per_s", "max_characters_per_s", PACE, "{:g}", "check that the text belongs to the clip"),
)


def _beyond_bounds(values: Mapping[str, Any], where: str, config: VerifyConfig) -> dict[str, InputError]:
    """Return, by kind, the faults of those values (such as `duration_s`) that are beyond a limit in BOUNDS."""
    faults = {}
    for kind, limit, found, shown_limit, remedy in BOUNDS:
        side, _, name = limit.partition("_")
        bound = getattr(config, limit)
        if name in values and (values[name] < bound if side == "min" else values[name] > bound):
            shown = found.format(**values, silence_db=config.silence_db)
            expected = f"at {SIDES[side]} {shown_limit.format(bound)} (verify.{limit} {bound:g})"
            faults[kind] = InputError(where, shown, expected, remedy)
    return faults


def out_of_bounds(facts: np.void, where: str, config: VerifyConfig, least_samples: int) -> dict[str, InputError]:
    """Return the faults of a clip's sound, by kind.

    Args:
        facts: a record of FACTS.
        where: the clip's place, for the message.
        config: the limits.
        least_samples: the shortest clip of which a spectrogram can be computed.
    """
    values = {name: float(facts[name]) for name in ("duration_s", "clipped_share", "silent_share")}
    runs, samples = plural(int(facts["clipped_runs"]), "run"), int(facts["samples"])
    faults = _beyond_bounds(values | {"runs": runs}, where, config)
    if samples < least_samples:
        expected = f"more than {least_samples - 1}"
        faults["duration"] = InputError(where, f"{samples} samples", expected, "remove the clip")
    if facts["is_constant"]:
        found = "digital silence: all samples are the same"
        faults["silence"] = InputError(where, found, "speech", RECORD_AGAIN)
    elif values["silent_share"] == 1 and (fault := faults.get("silence")):  # trimming removes only the ends
        faults["silence"] = InputError(where, fault.found, fault.expected, RECORD_AGAIN)
    return faults


def wrong_pace(characters: int, duration_s: float, where: str, config: VerifyConfig) -> InputError | None:
    """Return the fault of a clip whose text is too long or too short for its duration, or None."""
    values = {"characters": characters, "duration_s": duration_s, "characters_per_s": characters / duration_s}
    return _beyond_bounds(values, where, config).get("characters_per_s")


def make_facts(**values: Any) -> np.void:
    """Return one record of FACTS. A fact that is not given has the value of a clip that could not be measured."""
    record: np.void = np.zeros(1, FACTS)[0]
    for name, value in ({"level_db": -math.inf, "first_byte": -1} | values).items():
        record[name] = value
    return record


def measure(
    decoded: Samples, treated: Treated, sampling_rate: int, silence_db: float, largest_sample: int = LARGEST_SAMPLE
) -> np.void:
    """Return the facts of a clip from its samples as decoded (of the channels that are used) and after treatment.

    `sampling_rate` is that of the treated samples, `largest_sample` that of the file's format: see `Decoded`. The facts
    that concern the file are left for the caller to fill in.
    """
    frame = round(TRIM_FRAME_S * sampling_rate)
    powers = frame_powers(treated, frame)
    first, end = sounding_frames(powers, SPEECH_DB)
    share, runs = clipped(decoded, largest_sample)
    return make_facts(
        samples=len(treated),
        duration_s=len(treated) / sampling_rate,
        source_samples=len(decoded),
        source_channels=decoded.shape[1],
        clipped_share=share,
        clipped_runs=runs,
        silent_share=float((_doubled(powers) < 10 ** (silence_db / 10)).mean()),
        level_db=10 * math.log10(powers.mean()) if powers.any() else -math.inf,
        leading_s=first * frame / sampling_rate,
        trailing_s=(len(powers) - end) * frame / sampling_rate,
        is_constant=bool((treated == treated[0]).all()),
        sound_md5=hashlib.md5(treated.data, usedforsecurity=False).digest(),
    )


def _doubled(powers: Shaped[np.ndarray, " frames"]) -> Shaped[np.ndarray, " halves"]:
    """Return the powers of frames twice as long; a last frame without a second stays alone."""
    pairs = len(powers) // 2
    return np.append(powers[: 2 * pairs].reshape(pairs, 2).mean(axis=1), powers[2 * pairs :])


def clipped(decoded: Samples, largest_sample: int = LARGEST_SAMPLE) -> tuple[float, int]:
    """Return the share of clipped samples in the worst channel of a clip, and in how many runs they stand.

    A sample is clipped if it and a neighbour are at the largest value of the file's format, `largest_sample` of 32768.
    A recording whose peak was brought there has one or two such samples; one that was cut off has runs of them.
    """
    limit = largest_sample if decoded.dtype == np.int16 else largest_sample / INT16_SCALE
    worst = (0.0, 0)
    for channel in decoded.T:
        full = (channel >= limit) | (channel <= -limit)
        if full.any():
            edges = np.flatnonzero(np.diff(full, prepend=False, append=False))
            lengths = edges[1::2] - edges[::2]
            long = lengths[lengths >= 2]
            worst = max(worst, (float(long.sum() / len(channel)), len(long)))
    return worst
