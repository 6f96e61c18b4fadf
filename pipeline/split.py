"""Which clips teach, which tell when it is enough, and which no model ever hears."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, NonNegativeInt

from dtc.config import Section

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class SplitConfig(Section):
    """Shares of the clips; the rest is `train`."""

    validation_share: float = Field(gt=0.0, lt=0.5)
    test_share: float = Field(gt=0.0, lt=0.5)
    seed: NonNegativeInt


def split_of(clip_id: str, config: SplitConfig) -> Split:
    """A clip's split, from a hash of (seed, id): it stays where it is when other clips come and go."""
    digest = hashlib.sha256(f"{config.seed}:{clip_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < config.test_share:
        return "test"
    return "validation" if place < config.test_share + config.validation_share else "train"
