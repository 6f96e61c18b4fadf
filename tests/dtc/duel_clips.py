"""Clips of a duel that can be told apart without hearing their speech, as files of the corpus and of a voice can."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dtc.duel.trials import Clip, Item
from dtc.equalise import Wave
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS, SpokenWaves, write_speech_folder

RATE = 16_000
VOICE = "voice@0123456789abcdef"
TEXTS = tuple(f"text-{n:02d}" for n in range(12))


def speech(seed: int, seconds: float = 0.3, highest_hz: float = 8000.0) -> Wave:
    """Noise in syllables with a pause of digital silence: no speech, but its level and its spectrum are like it."""
    rng, samples = np.random.default_rng(seed), round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum *= (frequencies <= highest_hz) / (1 + frequencies / 500)
    wave = np.fft.irfft(spectrum, samples)
    wave *= np.sin(np.linspace(0, 2 * np.pi, samples)) ** 2
    wave[samples // 2 - 80 : samples // 2 + 80] = 0
    return 0.5 * wave / np.abs(wave).max()


def silence(seconds: float) -> Wave:
    return np.zeros(round(seconds * RATE))


def of_kind(kind: str, seed: int) -> Wave:
    """A recording is loud, has an offset, noise of the room and silence before it; a synthesis is soft and dull."""
    if kind == SYNTHESIS:
        return 0.2 * speech(seed, 0.25 + 0.01 * (seed % 5), highest_hz=4000.0)
    wave = np.concatenate([silence(0.3), speech(seed), silence(0.1)])
    if kind == COPY:
        return 0.5 * wave
    room = np.random.default_rng(seed).normal(0.0, 0.001, len(wave))
    return wave + room + 0.05


def duel_waves(texts: Sequence[str] = TEXTS) -> dict[Clip, Wave]:
    items = (Item(RECORDING), Item(COPY, VOICE), Item(SYNTHESIS, VOICE))
    return {
        Clip(item, text): of_kind(item.kind, 10 * n + number)
        for n, text in enumerate(texts)
        for number, item in enumerate(items)
    }


def write_clips(folder: Path, texts: Sequence[str] = TEXTS, seconds: float | None = None) -> None:
    """A speech folder, as `dtc evaluate` writes it. `seconds`: only so much of each clip, to be heard in less time."""
    spoken = [
        SpokenWaves(
            text,
            f"call {text}",
            {
                kind: torch.from_numpy(of_kind(kind, 10 * n + k) if seconds is None else speech(10 * n + k, seconds))
                for k, kind in enumerate((RECORDING, COPY, SYNTHESIS))
            },
        )
        for n, text in enumerate(texts)
    ]
    write_speech_folder(folder, spoken, RATE, {"voice": "0123"})
