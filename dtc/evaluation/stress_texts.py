"""Sixty texts that are hard to speak, of what a voice can read: `dtc evaluate --stress`.

They are drawn with a seed, from fixed English texts and from the words of the voice's own corpus. So a voice whose
alphabet lacks letters gets a list as long as any other.
"""

from __future__ import annotations

import random
from calendar import month_name
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from string import ascii_lowercase

LONG_WORDS = 400
NEW_ORDER = "words in a new order"  # fills up what the other kinds do not have
MARKS_ONLY = "marks only"
COUNTS = {
    "one word": 8,
    "one letter": 6,
    "repeated words": 6,
    "bare number": 8,
    "date": 6,
    "abbreviation": 6,
    "tongue twister": 6,
    NEW_ORDER: 10,
    f"{LONG_WORDS} words": 1,
    MARKS_ONLY: 3,
}
MARKS = ("?!", "...", ", . ;")
MONTHS = month_name[1:]  # in English, as dtc sets no locale
ABBREVIATIONS = (
    "Dr. Brown, Mr. Gray and Mrs. Lee",
    "the U.S. and the U.K.",
    "No. 7, St. John St.",
    "5 ft. 11 in.",
    "12 kg at 30 km/h",
    "e.g. the BBC, NASA and IBM",
    "the C.E.O. of the L.L.C.",
    "at 5 p.m. on Sat.",
    "vol. 3, p. 12",
    "Prof. X. Y. Green, Ph.D.",
    "Lt. Col. Bond vs. Capt. Reed",
    "5 lbs. 3 oz.",
)
TWISTERS = (
    "She sells sea shells by the sea shore.",
    "Peter Piper picked a peck of pickled peppers.",
    "Six sick hicks nick six slick bricks with picks and sticks.",
    "Unique New York, you know you need unique New York.",
    "Red lorry, yellow lorry, red lorry, yellow lorry.",
    "The sixth sick sheik's sixth sheep's sick.",
    "Fred fed Ted bread, and Ted fed Fred bread.",
    "Which witch wished which wicked wish?",
)


@dataclass(frozen=True)
class StressText:
    """A text, and what is hard about it."""

    kind: str  # a key of COUNTS
    text: str


def stress_texts(corpus: Sequence[Sequence[str]], is_readable: Callable[[str], bool], seed: int) -> list[StressText]:
    """Return the texts, as many of each kind as COUNTS says, and more in a new order where a kind has too few.

    Args:
        corpus: the words of the training texts.
        is_readable: whether the voice can read a text.
        seed: of the draws; equal arguments give equal texts.

    Texts of marks alone are in the list although they cannot be read: they must be refused, or spoken as silence.
    """
    rng = random.Random(seed)
    vocabulary = sorted({word for words in corpus for word in words})
    candidates: dict[str, Iterable[str]] = {
        "one word": rng.sample(vocabulary, len(vocabulary)),
        "one letter": rng.sample(ascii_lowercase, len(ascii_lowercase)),
        "repeated words": _repeated(vocabulary, rng),
        "bare number": _numbers(rng),
        "date": _dates(rng),
        "abbreviation": ABBREVIATIONS,
        "tongue twister": chain(TWISTERS, _alike(vocabulary, rng)),
        f"{LONG_WORDS} words": (" ".join(rng.choices(vocabulary, k=LONG_WORDS)) for _ in range(1)),
        NEW_ORDER: _in_new_order(corpus, vocabulary, rng),
    }
    found: dict[str, StressText] = {}
    for kind, texts in candidates.items():
        wanted = COUNTS[kind] if kind != NEW_ORDER else sum(COUNTS.values()) - len(MARKS) - len(found)
        readable = (text for text in dict.fromkeys(texts) if text not in found and is_readable(text))
        found |= {text: StressText(kind, text) for text in islice(readable, wanted)}
    return [*found.values(), *(StressText(MARKS_ONLY, text) for text in MARKS)]


def _repeated(vocabulary: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yield texts of one or two words that are repeated."""
    for number in range(4 * COUNTS["repeated words"]):
        words = rng.sample(vocabulary, min(len(vocabulary), 1 + number % 2))
        yield " ".join(words * (3 + number % 4))


def _numbers(rng: random.Random) -> Iterator[str]:
    for _ in range(COUNTS["bare number"]):
        yield str(rng.randrange(10))
        yield str(rng.randrange(11, 100))
        yield f"{rng.randrange(1_000, 1_000_000):,}"
        yield f"{rng.randrange(100)}.{rng.randrange(10, 1000)}"
        yield f"{rng.randrange(1_000_000_000):09d}"


def _dates(rng: random.Random) -> Iterator[str]:
    for _ in range(4 * COUNTS["date"]):
        yield f"{rng.randrange(1, 29)} {rng.choice(MONTHS)} {rng.randrange(1700, 2030)}"
        yield f"{rng.choice(MONTHS)} {rng.randrange(1, 29)}, {rng.randrange(1700, 2030)}"


def _alike(vocabulary: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yield texts of words that begin alike."""
    by_letter = {word[0]: [other for other in vocabulary if other[0] == word[0]] for word in vocabulary}
    several = [words for words in by_letter.values() if len(words) > 1]
    for _ in range(4 * COUNTS["tongue twister"] if several else 0):
        yield " ".join(rng.choices(rng.choice(several), k=8))


def _in_new_order(corpus: Sequence[Sequence[str]], vocabulary: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yield texts of 4 to 12 words, of which no two follow one another in the corpus."""
    known = {pair for words in corpus for pair in pairwise(words)} | {(word, word) for word in vocabulary}
    after = {word: [other for other in vocabulary if (word, other) not in known] for word in vocabulary}
    for _ in range(4 * sum(COUNTS.values())):
        words = [rng.choice(vocabulary)]
        for _ in range(rng.randrange(3, 12)):
            words += rng.choices(after[words[-1]]) if after[words[-1]] else []
        if len(words) >= 4:
            yield " ".join(words)
