"""The sections of params.yaml that the data plane reads. Reading them does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from dtc.config import Section, Share, matching

# Of a file's bytes.
Md5 = Annotated[str, matching(r"[0-9a-f]{32}", "32 hexadecimal digits in small letters, as md5sum prints them")]
Sha256 = Annotated[str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits in small letters, as sha256sum prints them")]
Decibels = Annotated[float, Field(le=0.0, ge=-120.0)]
Channels = Literal["mono", "left", "right", "mean"]


class RecordingConfig(Section):
    """Define what may be done to a recording before anything is computed from it."""

    resample: bool  # to audio.sampling_rate; false: another rate is a fault
    channels: Channels  # mono: several channels are a fault
    trim_silence_db: Decibels | None  # cut both ends where they stay below this, relative to the loudest; null: keep
    loudness_lufs: Decibels | None  # bring to this loudness (ITU-R BS.1770-4); null: keep the level


class VerifyConfig(Section):
    """Define the limits that a clip must keep, and what happens to a clip that does not."""

    faulty_clips: Literal["refuse", "skip"]  # skip: listed with the reason, counted, left out
    min_duration_s: PositiveFloat
    max_duration_s: PositiveFloat
    max_clipped_share: Share  # of the samples, at full scale
    max_silent_share: Share  # of the clip, below silence_db
    silence_db: Decibels  # relative to full scale
    min_characters_per_s: NonNegativeFloat
    max_characters_per_s: PositiveFloat

    @model_validator(mode="after")
    def _check(self) -> VerifyConfig:
        for name in ("duration_s", "characters_per_s"):
            least, most = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if not least < most:
                raise ValueError(f"min_{name} {least:g}, max_{name} {most:g}, expected min_{name} < max_{name}")
        return self


class FeaturesConfig(Section):
    """Define what a shard holds."""

    stft: bool  # STFT magnitudes too, as float16
    clips_per_shard: PositiveInt


class DistributedConfig(Section):
    """Define where the features are computed. It changes the speed, never the result."""

    engine: Literal["local", "ray"]
    workers: NonNegativeInt  # processes; 0: in this one (local), or all that the cluster has (ray)
    ray_address: str | None  # of a running cluster; null: one on this machine
