"""Text as symbol ids: NVIDIA's 148 symbols in its order, so that published models fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from dtc.config import Section
from dtc.errors import InputError

# The CMU pronouncing dictionary's phonemes; vowels carry a stress digit or none.
_VOWELS = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
_CONSONANTS = [
    "B",
    "CH",
    "D",
    "DH",
    "F",
    "G",
    "HH",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
]
ARPABET = tuple(sorted(_CONSONANTS + [vowel + stress for vowel in _VOWELS for stress in ("", "0", "1", "2")]))

PADDING = "_"
CHARACTERS = tuple("_-!'(),.:;? ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
SYMBOLS = CHARACTERS + tuple("@" + phoneme for phoneme in ARPABET)
ID_OF = {symbol: number for number, symbol in enumerate(SYMBOLS)}


class TextConfig(Section):
    """How spoken text becomes symbols."""

    symbols: Literal["nvidia"]  # the 148 symbols of NVIDIA/tacotron2


def symbols_of(text: str) -> str:
    """The text as the model reads it: lower case, single spaces, none at the ends. May hold unknown characters."""
    return " ".join(text.lower().split())


def unknown_characters(text: str, alphabet: Iterable[str]) -> list[str]:
    """Characters of a text that `alphabet` lacks, each once, in order of appearance."""
    known = set(alphabet)
    return [character for character in dict.fromkeys(symbols_of(text)) if character not in known]


def text_to_ids(text: str, where: str = "text") -> list[int]:
    """Symbol ids of a spoken text. Raises InputError, naming `where`, for unknown characters and for empty text."""
    symbols = symbols_of(text)
    if not symbols:
        raise InputError(where, "empty text", "words to speak")
    # `_` is the padding: a text that holds it would read as shorter than it is.
    if unknown := unknown_characters(symbols, CHARACTERS[1:]):
        shown = " ".join(repr(character) for character in unknown)
        raise InputError(where, f"{shown} not in the alphabet", remedy="spell it out in words")
    return [ID_OF[symbol] for symbol in symbols]
