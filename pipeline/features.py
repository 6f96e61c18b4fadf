"""Features of a clip: its samples, its log-mel and, where asked for, its STFT magnitudes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int16

from dtc.config import Section
from pipeline.config import Md5
from pipeline.manifest import ManifestRow


class StoredText(Section):
    """The content of `<id>.json`: what is stored of a clip beside its arrays."""

    raw_text: str
    spoken_text: str
    n_samples: int
    source_md5: Md5  # of the recording's file

    @classmethod
    def of(cls, row: ManifestRow) -> StoredText:
        """Return what is stored of a row of the manifest."""
        return cls(raw_text=row.raw_text, spoken_text=row.spoken_text, n_samples=row.samples, source_md5=row.md5)


@dataclass(frozen=True)
class Features:
    """One clip with its texts and its arrays, as a shard holds them."""

    id: str
    text: StoredText
    wave: Int16[np.ndarray, " samples"]
    mel: Float[np.ndarray, "mels frames"]  # float32, natural log
    stft: Float[np.ndarray, "bins frames"] | None  # float16, magnitudes


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
