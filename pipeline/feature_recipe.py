"""Compute the features of a recording by `dtc.audio`. Code that only reads features imports `pipeline.features`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from dtc.audio import from_int16, log_mel, mel_from_magnitude, stft_magnitude
from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from pipeline.config import FeaturesConfig, RecordingConfig
from pipeline.features import Features, StoredText
from pipeline.manifest import ManifestRow
from pipeline.recording import read_recording


@dataclass(frozen=True)
class FeatureRecipe:
    """The three sections that decide what features a recording has."""

    recording: RecordingConfig
    audio: AudioConfig
    features: FeaturesConfig

    def compute(self, row: ManifestRow, content: bytes) -> Features:
        """Compute the features of one clip from its file's bytes.

        Raises InputError where the bytes are not those that the manifest was made from.
        """
        if (found := zlib.crc32(content)) != row.crc32:
            raise InputError(row.member, f"CRC-32 {found:08x}", f"{row.crc32:08x}", "run `dtc verify` again")
        wave = read_recording(content, row.member, self.recording, self.audio)
        if len(wave) != row.samples:
            raise InputError(row.member, f"{len(wave)} samples", f"{row.samples}", "run `dtc verify` again")
        return Features(row.id, StoredText.of(row), wave, *self._spectrograms(from_int16(wave)[None]))

    def _spectrograms(
        self, wave: Float[Tensor, "1 samples"]
    ) -> tuple[Float[np.ndarray, "mels frames"], Float[np.ndarray, "bins frames"] | None]:
        if not self.features.stft:
            return log_mel(wave, self.audio)[0].numpy(), None
        magnitude = stft_magnitude(wave, self.audio)
        return mel_from_magnitude(magnitude, self.audio)[0].numpy(), magnitude[0].half().numpy()
