"""Facts about NVIDIA's published models that both formats of NVIDIA share."""

from __future__ import annotations

import re

from dtc.text.symbols import SYMBOLS, TextConfig

TEXT = TextConfig(symbols="nvidia", normaliser="english")
# NVIDIA's cleaners give lower case; phonemes stand in braces, as in our texts.
ALPHABET = tuple(sorted(symbol for symbol in SYMBOLS if not re.fullmatch("[A-Z_]", symbol)))
AUDIO: dict[str, int | float] = {  # hparams.py of NVIDIA/tacotron2
    "sampling_rate": 22050,
    "filter_length": 1024,
    "hop_length": 256,
    "win_length": 1024,
    "n_mel_channels": 80,
    "mel_fmin": 0.0,
    "mel_fmax": 8000.0,
}
