"""Word errors: expected words against recognised words, pair by pair and counted. The only definition of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer


@dataclass(frozen=True)
class WordPair:
    """An expected word and the recognised one; one of the two is empty where a word was added or missed."""

    expected: str
    recognised: str

    @property
    def verdict(self) -> Literal["right", "wrong", "missed", "added"]:
        """Return whether the word was recognised, replaced by another one, left out or inserted."""
        if self.expected == self.recognised:
            return "right"
        return "added" if not self.expected else "missed" if not self.recognised else "wrong"


def compare_words(expected: str, recognised: str) -> list[WordPair]:
    """Pair the words of two texts with the fewest errors (Levenshtein distance over words).

    >>> [(pair.expected, pair.recognised, pair.verdict) for pair in compare_words("call two", "call to you")]
    [('call', 'call', 'right'), ('', 'to', 'added'), ('two', 'you', 'wrong')]
    """
    ours, theirs = expected.split(), recognised.split()
    if not ours or not theirs:  # jiwer refuses an empty reference
        return [WordPair(word, "") for word in ours] + [WordPair("", word) for word in theirs]
    pairs = []
    for chunk in jiwer.process_words(" ".join(ours), " ".join(theirs)).alignments[0]:
        left = ours[chunk.ref_start_idx : chunk.ref_end_idx]
        right = theirs[chunk.hyp_start_idx : chunk.hyp_end_idx]
        blanks = [""] * max(len(left), len(right))  # one side of an added or missed chunk is empty
        pairs += [WordPair(*pair) for pair in zip(left or blanks, right or blanks, strict=True)]
    return pairs


@dataclass(frozen=True)
class WordErrors:
    """The number of substituted, missed and added words, and of the expected words, over some texts."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Return errors over expected words: 1.0 is 100 %, more is possible; infinity where no word was expected."""
        if self.words == 0:
            return math.inf if self.errors else 0.0
        return self.errors / self.words


def word_errors(expected: Sequence[str], recognised: Sequence[str]) -> WordErrors:
    """Count the word errors over pairs of texts; errors and words are summed before they are divided.

    >>> word_errors(["call one two", "at ten"], ["call one three", "at ten ten"])
    WordErrors(errors=2, words=5)

    Raises ValueError where the lists differ in length.
    """
    pairs = [pair for texts in zip(expected, recognised, strict=True) for pair in compare_words(*texts)]
    errors = sum(pair.verdict != "right" for pair in pairs)
    return WordErrors(errors, sum(bool(pair.expected) for pair in pairs))
