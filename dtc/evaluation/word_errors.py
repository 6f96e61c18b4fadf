"""Word errors: expected words against recognised words, pair by pair and counted. The only definition of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import jiwer

from dtc.text import normalise
from dtc.text.symbols import words_of


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


def comparable_words(text: str) -> list[str]:
    """Return the words of a written or spoken text, in one spelling: numbers in words, no hyphens, no apostrophes.

    >>> comparable_words("Don't call 58 twenty-four times!")
    ['dont', 'call', 'fifty', 'eight', 'twenty', 'four', 'times']
    """
    return words_of(normalise(text).replace("’", "'")).replace("'", "").split()


def compare_words(expected: str, recognised: str) -> list[WordPair]:
    """Pair the words of two texts, as `comparable_words` gives them, with the fewest errors (Levenshtein distance).

    A compound may be one word or two: "icecream" is right for "ice cream", and the reverse.

    >>> [(pair.expected, pair.recognised, pair.verdict) for pair in compare_words("Call two.", "call to you")]
    [('call', 'call', 'right'), ('', 'to', 'added'), ('two', 'you', 'wrong')]
    """
    ours = comparable_words(expected)
    theirs = _compounds_as_in(ours, comparable_words(recognised))
    if not ours or not theirs:  # jiwer refuses an empty reference
        return [WordPair(word, "") for word in ours] + [WordPair("", word) for word in theirs]
    pairs = []
    for chunk in jiwer.process_words(" ".join(ours), " ".join(theirs)).alignments[0]:
        left = ours[chunk.ref_start_idx : chunk.ref_end_idx]
        right = theirs[chunk.hyp_start_idx : chunk.hyp_end_idx]
        blanks = [""] * max(len(left), len(right))  # one side of an added or missed chunk is empty
        pairs += [WordPair(*pair) for pair in zip(left or blanks, right or blanks, strict=True)]
    return pairs


def _compounds_as_in(expected: Sequence[str], recognised: Sequence[str]) -> list[str]:
    """Return the recognised words with each compound joined or parted as the expected words have it.

    The expected words stay, so that their number does not depend on the recogniser.
    """
    known, written = set(expected), list[str]()
    parted = {first + second: [first, second] for first, second in pairwise(expected)}
    for word in recognised:
        if written and written[-1] + word in known and not known.issuperset((written[-1], word)):
            written[-1] += word
        else:
            written += parted[word] if word in parted and word not in known else [word]
    return written


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


def total(texts: Sequence[WordErrors]) -> WordErrors:
    """Return the word errors of all texts together."""
    return WordErrors(sum(each.errors for each in texts), sum(each.words for each in texts))


def character_errors(expected: str, recognised: str) -> tuple[int, int]:
    """Return the number of substituted, missed and added characters, and of the expected ones, with single spaces.

    Compared is the spelling of `comparable_words`, with compounds as the expected text has them. A word that is wrong
    by a sound counts little, while in the word errors it counts as much as a word that is missed.

    >>> character_errors("call two", "call too")
    (1, 8)
    """
    ours = comparable_words(expected)
    theirs = _compounds_as_in(ours, comparable_words(recognised))
    if not ours:
        return len(" ".join(theirs)), 0
    found = jiwer.process_characters(" ".join(ours), " ".join(theirs))
    return found.substitutions + found.deletions + found.insertions, len(" ".join(ours))
