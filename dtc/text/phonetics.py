"""How the phonemes of ARPAbet are made in the mouth, as numbers: similar sounds have similar features.

Source: the consonant and vowel charts of the International Phonetic Association (2020), read for General American.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.text.symbols import SYMBOLS

PLACES = ("labial", "dental", "alveolar", "postalveolar", "palatal", "velar", "glottal")
MANNERS = ("stop", "affricate", "fricative", "nasal", "liquid", "glide")
CONSONANTS = {
    "B": "voiced labial stop",
    "P": "labial stop",
    "D": "voiced alveolar stop",
    "T": "alveolar stop",
    "G": "voiced velar stop",
    "K": "velar stop",
    "CH": "postalveolar affricate sibilant",
    "JH": "voiced postalveolar affricate sibilant",
    "F": "labial fricative",
    "V": "voiced labial fricative",
    "TH": "dental fricative",
    "DH": "voiced dental fricative",
    "S": "alveolar fricative sibilant",
    "Z": "voiced alveolar fricative sibilant",
    "SH": "postalveolar fricative sibilant",
    "ZH": "voiced postalveolar fricative sibilant",
    "HH": "glottal fricative",
    "M": "voiced labial nasal",
    "N": "voiced alveolar nasal",
    "NG": "voiced velar nasal",
    "L": "voiced alveolar liquid",
    "R": "voiced postalveolar liquid rhotic",
    "W": "voiced labial velar glide",
    "Y": "voiced palatal glide",
}
# Height and backness of the tongue, from 0 (open, front) to 1 (close, back), where the vowel begins and where it ends;
# whether it is tense; how round the lips are.
VOWELS = {
    "IY": (1.0, 0.0, 1.0, 0.0, 1, 0.0),
    "IH": (0.8, 0.1, 0.8, 0.1, 0, 0.0),
    "EH": (0.45, 0.1, 0.45, 0.1, 0, 0.0),
    "AE": (0.1, 0.1, 0.1, 0.1, 0, 0.0),
    "AA": (0.0, 0.8, 0.0, 0.8, 1, 0.0),
    "AO": (0.3, 1.0, 0.3, 1.0, 1, 1.0),
    "AH": (0.35, 0.5, 0.35, 0.5, 0, 0.0),
    "UH": (0.8, 0.9, 0.8, 0.9, 0, 1.0),
    "UW": (1.0, 1.0, 1.0, 1.0, 1, 1.0),
    "ER": (0.45, 0.5, 0.45, 0.5, 1, 0.0),
    "EY": (0.6, 0.1, 0.9, 0.0, 1, 0.0),
    "AY": (0.0, 0.5, 0.8, 0.1, 1, 0.0),
    "OY": (0.4, 1.0, 0.8, 0.1, 1, 0.5),
    "AW": (0.0, 0.5, 0.8, 0.9, 1, 0.0),
    "OW": (0.5, 0.9, 0.8, 0.9, 1, 1.0),
}
KINDS = ("consonant", "vowel", "voiced", "sibilant", "rhotic")
_NAMES = (*KINDS, *PLACES, *MANNERS)


def phonetic_features() -> Float[Tensor, "symbols features"]:
    """Return the features of each symbol of `SYMBOLS`; those of characters are all 0. Stress changes nothing."""
    return torch.tensor([_features_of(symbol) for symbol in SYMBOLS])


def _features_of(symbol: str) -> list[float]:
    phoneme = symbol.removeprefix("@").rstrip("012") if symbol.startswith("@") else ""
    if phoneme in VOWELS:
        height, backness, end_height, end_backness, tense, round_ = VOWELS[phoneme]
        names = {"vowel", "voiced", *(["rhotic"] if phoneme == "ER" else [])}
        moved = (end_height - height, end_backness - backness)
        shape = [height, backness, end_height, end_backness, *moved, height**2, backness**2, float(tense), round_]
    else:
        names = {"consonant", *CONSONANTS[phoneme].split()} if phoneme else set()
        shape = [0.0] * 10
    return [float(name in names) for name in _NAMES] + shape
