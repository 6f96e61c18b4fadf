"""Clips → features: the samples, the log-mel and, where asked for, the STFT magnitudes, all by `dtc.audio`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16
from pydantic import PositiveInt

from dtc.audio import AudioConfig, from_int16, mel_from_magnitude, stft_magnitude
from dtc.config import Section
from dtc.errors import InputError
from pipeline.archive import read_members
from pipeline.audit import ManifestRow, read_clip


class FeaturesConfig(Section):
    """What a shard holds."""

    stft: bool  # magnitudes too, as float16
    clips_per_shard: PositiveInt


@dataclass(frozen=True)
class Features:
    """All that is kept of one clip."""

    row: ManifestRow
    wave: Int16[np.ndarray, " samples"]
    mel: Float[np.ndarray, "mels frames"]  # float32, natural log
    stft: Float[np.ndarray, "bins frames"] | None  # float16, magnitudes


@dataclass
class MelStatistics:
    """Mean and deviation of each mel band over all frames, summed up clip by clip in float64."""

    frames: int = 0
    sums: Float[np.ndarray, " mels"] | float = field(default=0.0)
    squares: Float[np.ndarray, " mels"] | float = field(default=0.0)

    def add(self, mel: Float[np.ndarray, "mels frames"]) -> None:
        """Count a clip in."""
        self.frames += mel.shape[1]
        self.sums = self.sums + mel.sum(axis=1, dtype=np.float64)
        self.squares = self.squares + np.square(mel, dtype=np.float64).sum(axis=1)

    def mean_and_deviation(self) -> tuple[Float[np.ndarray, " mels"], Float[np.ndarray, " mels"]]:
        """Of each band; a band that never changes gets deviation 1, so that dividing by it is harmless."""
        mean = np.asarray(self.sums / self.frames)
        deviation = np.sqrt(np.maximum(self.squares / self.frames - np.square(mean), 0.0))
        return mean, np.where(deviation > 1e-4, deviation, 1.0)


def read_features(
    archive: Path, manifest: Sequence[ManifestRow], audio: AudioConfig, config: FeaturesConfig
) -> Iterator[Features]:
    """Features of the manifest's clips, in the archive's order.

    Raises InputError where the archive is not the one that the manifest was made from.
    """
    wanted = {row.member: row for row in manifest}
    remedy = "run `dtc verify` again"
    for member, content in read_members(archive):
        row = wanted.pop(member, None)
        if row is None:
            continue
        if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != row.md5:
            raise InputError(f"{archive.name}:{member}", f"MD5 {found}", row.md5, remedy)
        yield compute_features(row, content, audio, config)
    if wanted:
        raise InputError(archive, f"lacks {next(iter(wanted))}", "the clips of the manifest", remedy)


def compute_features(row: ManifestRow, content: bytes, audio: AudioConfig, config: FeaturesConfig) -> Features:
    """Features of one clip from its file's bytes."""
    samples = read_clip(content, row.member, audio)
    magnitude = stft_magnitude(from_int16(samples)[None], audio)
    mel = mel_from_magnitude(magnitude, audio)[0].numpy()
    return Features(row, samples, mel, magnitude[0].numpy().astype(np.float16) if config.stft else None)
