"""Recordings of the embedded corpus, for tests of recognisers."""

import io
import tarfile
from pathlib import Path

import numpy as np
import soundfile

NUMBERS = Path(__file__).parents[2] / "pipeline/corpora/numbers"
SAMPLING_RATE_HZ = 16_000


def recordings(every: int = 45) -> list[tuple[str, np.ndarray]]:
    """Spoken text and wave of recordings that are spread over the corpus: eight of them, by default."""
    with tarfile.open(NUMBERS / "numbers-1.0.tar") as tar:
        rows = tar.extractfile("numbers-1.0/metadata.csv").read().decode().splitlines()
        chosen = [row.split("|") for row in rows[::every]]
        read = {clip: tar.extractfile(f"numbers-1.0/wavs/{clip}.ogg").read() for clip, _, _ in chosen}
    return [(spoken, soundfile.read(io.BytesIO(read[clip]))[0]) for clip, _, spoken in chosen]
