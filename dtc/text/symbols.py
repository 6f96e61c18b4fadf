"""Text as symbol ids: NVIDIA's 148 symbols in its order, so that published models fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from dtc.config import Section
from dtc.errors import InputError

# The CMU pronouncing dictionary's phonemes; vowels carry a stress digit or none.
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
ARPABET = tuple(
    sorted([*_CONSONANTS.split(), *(vowel + stress for vowel in _VOWELS.split() for stress in ("", "0", "1", "2"))])
)

PADDING = "_"
CHARACTERS = tuple("_-!'(),.:;? ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
SYMBOLS = CHARACTERS + tuple("@" + phoneme for phoneme in ARPABET)
ID_OF = {symbol: number for number, symbol in enumerate(SYMBOLS)}
SHOWN = 30  # characters of a text in an error message, before an unknown symbol and from there on


class TextConfig(Section):
    """Configure how a text becomes symbols."""

    symbols: Literal["nvidia"]  # the 148 symbols of NVIDIA/tacotron2
    normaliser: Literal["english", "none"]  # how written text becomes spoken words; none: it is spoken as it stands


def symbols_of(text: str) -> list[str]:
    """Return a text as the model reads it: lower-case characters, single spaces, phonemes from braces.

    The result can hold symbols that are not in the table. Phonemes of two pairs of braces are joined directly; write a
    space between the braces where two words meet.

    >>> symbols_of("Say {HH AY1}!")
    ['s', 'a', 'y', ' ', '@HH', '@AY1', '!']
    """
    # Every other part is what a pair of braces held; a single brace stays a character.
    parts = re.split(r"\{ ?([^{} ][^{}]*)\}", " ".join(text.split()))
    return [
        symbol
        for number, part in enumerate(parts)
        for symbol in (("@" + phoneme.upper() for phoneme in part.split()) if number % 2 else part.lower())
    ]


def text_of_ids(ids: Iterable[int]) -> str:
    """Return the text that symbol ids stand for, phonemes in braces.

    >>> text_of_ids(text_to_ids("Say {HH AY1}!"))
    'say {HH AY1}!'
    """
    symbols = groupby((SYMBOLS[number] for number in ids), lambda symbol: len(symbol) > 1)
    return "".join(
        f"{{{' '.join(each)[1:].replace(' @', ' ')}}}" if of_sound else "".join(each) for of_sound, each in symbols
    )


def unknown_symbols(text: str, alphabet: Iterable[str]) -> list[str]:
    """Return the symbols of a text that are not in `alphabet`, each once, in order of appearance."""
    known = set(alphabet)
    return [symbol for symbol in dict.fromkeys(symbols_of(text)) if symbol not in known]


def text_to_ids(text: str, where: str = "text") -> list[int]:
    """Return the symbol ids of a spoken text. Raises InputError at `where` for unknown symbols and for empty text."""
    symbols = symbols_of(text)
    if not symbols:
        raise InputError(where, "empty text", "words to speak")
    # `_` is the padding: a text that held it would seem shorter than it is.
    if unknown := unknown_symbols(text, SYMBOLS[1:]):
        raise _unknown(where, unknown, text)
    return [ID_OF[symbol] for symbol in symbols]


def _unknown(where: str, unknown: list[str], text: str) -> InputError:
    """Return the error for symbols of a text that are not in the table."""
    phonemes = [symbol[1:] for symbol in unknown if len(symbol) > 1]
    if phonemes:
        shown = " ".join(map(repr, phonemes))
        return InputError(where, f"{shown} in braces", "ARPAbet phonemes, as in {HH AH0 L OW1}")
    if not {"{", "}"}.isdisjoint(unknown):
        return InputError(where, "a brace without its other half", "phonemes in a pair of them, as in {HH AH0 L OW1}")
    shown = " ".join(map(repr, unknown))
    place = max(text.lower().find(unknown[0]), 0)
    found = f"{shown} not in the alphabet, in {text[max(place - SHOWN, 0) : place + SHOWN]!r}"
    return InputError(where, found, remedy="write it in words or leave it out")


def words_of(text: str) -> str:
    """Return the words of a spoken text as a recogniser writes them: lower case, no punctuation but apostrophes.

    >>> words_of("On the twenty-seventh, Mister Day's clock struck.")
    "on the twenty seventh mister day's clock struck"
    """
    return " ".join(re.sub(r"[^\w' ]|_", " ", text.lower()).split())
