"""Features of a clip: its samples, its log-mel and, where asked for, its STFT magnitudes, computed by `dtc.audio`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int16
from torch import Tensor

from dtc.audio import AudioConfig, from_int16, log_mel, mel_from_magnitude, stft_magnitude
from dtc.errors import InputError
from pipeline.config import FeaturesConfig, RecordingConfig
from pipeline.manifest import ManifestRow
from pipeline.recording import read_recording


@dataclass(frozen=True)
class Features:
    """One clip with its row in the manifest and its arrays, as a shard holds them."""

    row: ManifestRow
    wave: Int16[np.ndarray, " samples"]
    mel: Float[np.ndarray, "mels frames"]  # float32, natural log
    stft: Float[np.ndarray, "bins frames"] | None  # float16, magnitudes


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
        wave = read_recording(content, row.member, self.recording, self.audio).samples
        if len(wave) != row.samples:
            raise InputError(row.member, f"{len(wave)} samples", f"{row.samples}", "run `dtc verify` again")
        return Features(row, wave, *self._spectrograms(from_int16(wave)[None]))

    def _spectrograms(
        self, wave: Float[Tensor, "1 samples"]
    ) -> tuple[Float[np.ndarray, "mels frames"], Float[np.ndarray, "bins frames"] | None]:
        if not self.features.stft:
            return log_mel(wave, self.audio)[0].numpy(), None
        magnitude = stft_magnitude(wave, self.audio)
        return mel_from_magnitude(magnitude, self.audio)[0].numpy(), magnitude[0].half().numpy()


@dataclass
class MelStatistics:
    """Sums over all frames, in float64, that give the mean and the deviation of each mel band."""

    frames: int
    sums: Float[np.ndarray, " mels"]
    squares: Float[np.ndarray, " mels"]

    @classmethod
    def none(cls, n_mel_channels: int) -> MelStatistics:
        """Return the statistics of no frames."""
        return cls(0, np.zeros(n_mel_channels), np.zeros(n_mel_channels))

    def add(self, mel: Float[np.ndarray, "mels frames"]) -> None:
        """Add the frames of a clip."""
        self.frames += mel.shape[1]
        self.sums += mel.sum(axis=1, dtype=np.float64)
        self.squares += np.square(mel, dtype=np.float64).sum(axis=1)

    def merge(self, other: MelStatistics) -> None:
        """Add the sums of other frames. Sums of floats depend on their order: merge in the order of the shards."""
        self.frames += other.frames
        self.sums += other.sums
        self.squares += other.squares

    def mean_and_deviation(self) -> tuple[Float[np.ndarray, " mels"], Float[np.ndarray, " mels"]]:
        """Return mean and deviation of each band; the deviation is 1 for a band that never changes, to divide by it."""
        mean = self.sums / self.frames
        deviation = np.sqrt(np.maximum(self.squares / self.frames - np.square(mean), 0.0))
        return mean, np.where(deviation > 1e-4, deviation, 1.0)
