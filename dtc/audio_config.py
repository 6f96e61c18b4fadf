"""The settings of the mel, section `audio` of params.yaml; `dtc.audio` computes it. Reading them imports no torch."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from dtc.config import Section
from dtc.errors import InputError
from dtc.provenance import fingerprint


class AudioConfig(Section):
    """Sampling rate, STFT and mel bands. Every feature, model and WAV file records the fingerprint."""

    sampling_rate: PositiveInt  # Hz
    filter_length: PositiveInt  # FFT size, samples
    hop_length: PositiveInt  # samples between frames
    win_length: PositiveInt  # Hann window, samples; centred in the FFT where shorter
    n_mel_channels: PositiveInt
    mel_fmin: NonNegativeFloat  # Hz
    mel_fmax: PositiveFloat  # Hz

    @model_validator(mode="after")
    def _check(self) -> AudioConfig:
        if not self.hop_length * 2 <= self.win_length <= self.filter_length:
            sizes = f"hop_length {self.hop_length}, win_length {self.win_length}, filter_length {self.filter_length}"
            raise ValueError(f"{sizes}, expected hop_length * 2 <= win_length <= filter_length")
        if not self.mel_fmin < self.mel_fmax <= self.sampling_rate / 2:
            band = f"mel_fmin {self.mel_fmin:g}, mel_fmax {self.mel_fmax:g}"
            raise ValueError(
                f"{band}, expected mel_fmin < mel_fmax <= sampling_rate / 2 = {self.sampling_rate / 2:g} Hz"
            )
        return self

    @property
    def fingerprint(self) -> str:
        """Return the identity of this definition of a mel."""
        return fingerprint("audio", self)

    @property
    def frames_per_s(self) -> float:
        """Return the number of frames in a second of audio."""
        return self.sampling_rate / self.hop_length


def require_same_audio(
    first: AudioConfig,
    first_name: str,
    second: AudioConfig,
    second_name: str,
    remedy: str = "train both from the same features",
) -> None:
    """Raise InputError, with both values of each differing field, where two parts were made for different mels."""
    ours, theirs = first.model_dump(), second.model_dump()
    differing = [f"{key} {ours[key]} against {theirs[key]}" for key in ours if ours[key] != theirs[key]]
    if differing:
        raise InputError(f"{first_name} and {second_name}", "different mels: " + ", ".join(differing), remedy=remedy)
