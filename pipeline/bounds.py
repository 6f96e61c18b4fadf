"""What a clip must be to teach a voice, and what is said of one that is not."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from dtc.config import Section, Share
from dtc.errors import InputError
from dtc.recording import Decibels
from pipeline.measure import ClipFacts

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


class AuditConfig(Section):
    """What a clip must be to teach a voice, and what happens to one that is not."""

    faulty_clips: Literal["refuse", "skip"]  # skip: listed with the reason, counted, left out
    min_duration_s: PositiveFloat
    max_duration_s: PositiveFloat
    max_clipped_share: Share  # of the samples, at full scale
    max_silent_share: Share  # of the clip, below silence_db
    silence_db: Decibels  # relative to full scale
    min_characters_per_s: NonNegativeFloat
    max_characters_per_s: PositiveFloat

    @model_validator(mode="after")
    def _check(self) -> AuditConfig:
        for name in ("duration_s", "characters_per_s"):
            least, most = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if not least < most:
                raise ValueError(f"min_{name} {least:g}, max_{name} {most:g}, expected min_{name} < max_{name}")
        return self


def out_of_bounds(facts: ClipFacts, where: str, config: AuditConfig, least_samples: int) -> dict[str, InputError]:
    """What is wrong with a clip's sound, by kind."""
    faults = {
        "duration": _wrong_duration(facts, where, config, least_samples),
        "clipping": _clipping(facts, where, config),
        "silence": _silence(facts, where, config),
    }
    return {kind: fault for kind, fault in faults.items() if fault}


def _wrong_duration(facts: ClipFacts, where: str, config: AuditConfig, least_samples: int) -> InputError | None:
    least, most, found = config.min_duration_s, config.max_duration_s, f"{facts.duration_s:.2f} s"
    if facts.samples < least_samples:
        return InputError(where, f"{facts.samples} samples", f"more than {least_samples - 1}", "remove the clip")
    if facts.duration_s < least:
        expected = f"at least {least:g} s (audit.min_duration_s {least:g})"
        return InputError(where, found, expected, "remove the clip or lower the bound")
    if facts.duration_s > most:
        expected = f"at most {most:g} s (audit.max_duration_s {most:g})"
        return InputError(where, found, expected, "cut it into utterances or raise the bound")
    return None


def _clipping(facts: ClipFacts, where: str, config: AuditConfig) -> InputError | None:
    if facts.clipped_share <= config.max_clipped_share:
        return None
    runs = "run" if facts.clipped_runs == 1 else "runs"
    found = f"{facts.clipped_share:.2%} of the samples clipped, in {facts.clipped_runs} {runs} at full scale"
    expected = f"at most {config.max_clipped_share:.2%} (audit.max_clipped_share {config.max_clipped_share:g})"
    return InputError(where, found, expected, "record it at a lower level or raise the bound")


def _silence(facts: ClipFacts, where: str, config: AuditConfig) -> InputError | None:
    if facts.is_constant:
        found = "digital silence: all samples are the same"
        return InputError(where, found, "speech", "record it again or remove it")
    if facts.silent_share <= config.max_silent_share:
        return None
    found = f"{facts.silent_share:.0%} of the clip is below {config.silence_db:g} dB (audit.silence_db)"
    expected = f"at most {config.max_silent_share:.0%} (audit.max_silent_share {config.max_silent_share:g})"
    return InputError(where, found, expected, "set recording.trim_silence_db, record it louder or raise the bound")


def wrong_pace(characters: int, duration_s: float, where: str, config: AuditConfig) -> InputError | None:
    """A clip that says more or less than its text does."""
    least, most = config.min_characters_per_s, config.max_characters_per_s
    pace = characters / duration_s
    if least <= pace <= most:
        return None
    expected = f"at least {least:g} (audit.min_characters_per_s {least:g})"
    if pace > most:
        expected = f"at most {most:g} (audit.max_characters_per_s {most:g})"
    found = f"{characters} characters in {duration_s:.2f} s, {pace:.1f} a second"
    return InputError(where, found, expected, "listen whether this is its clip")
