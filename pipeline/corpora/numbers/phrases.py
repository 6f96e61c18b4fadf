"""Compose the phrases of the embedded corpus `numbers-1.0`.

A phrase is a subject (digits, an integer, a decimal, an ordinal), a circumstance (a year, a price, a time), or both in
either order. `numbers.jsgf` is the grammar of what is spoken.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from dtc.text import normalise

CANDIDATES = 200  # phrases drawn for each clip; the one with the scarcest words is kept


def draw_digits(rng: random.Random) -> str:
    """Draw 3 to 7 digits, a leading zero allowed."""
    return "".join(rng.choices("0123456789", k=rng.randint(3, 7)))


def draw_integer(rng: random.Random) -> str:
    """Draw 0 to 999,999; every length is equally likely, else nearly all would have six digits."""
    length = rng.randint(1, 6)
    return f"{rng.randrange(10 ** (length - 1) if length > 1 else 0, 10**length):,}"


def draw_decimal(rng: random.Random) -> str:
    """Draw 0.0 to 99.999."""
    return f"{rng.randrange(100)}.{''.join(rng.choices('0123456789', k=rng.randint(1, 3)))}"


def draw_ordinal(rng: random.Random) -> str:
    """Draw 1st to 999th. Up to 99th alone, eleventh could occur only once, since no string occurs twice."""
    below_hundred = rng.choice([rng.randrange(100), rng.randint(10, 19), 10 * rng.randrange(10)])  # by their last word
    number = 100 * rng.choice([0, rng.randint(1, 9)]) + below_hundred or 100
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def draw_year(rng: random.Random) -> str:
    """Draw 1100 to 2099; every third one ends in 00 to 09, which read differently."""
    century = rng.randint(11, 20)
    return f"{100 * century + rng.choice([rng.randrange(10), rng.randrange(100), rng.randrange(100)])}"


def draw_price(rng: random.Random) -> str:
    """Draw $0.01 to $999.99: whole dollars, cents alone, or both."""
    dollars, cents = rng.randrange(1, 10 ** rng.randint(1, 3)), rng.choice([1, rng.randrange(1, 100)])
    return rng.choice([f"${dollars}", f"$0.{cents:02}", f"${dollars}.{cents:02}", f"$1.{cents:02}"])


def draw_time(rng: random.Random) -> str:
    """Draw 1:00 to 12:59; every third one is in the first ten minutes, which read differently."""
    return f"{rng.randint(1, 12)}:{rng.choice([rng.randrange(10), rng.randrange(60), rng.randrange(60)]):02}"


class Part(NamedTuple):
    """One number behind the word that says how to read it: call 90210."""

    kind: str
    number: str


Kinds = dict[str, Callable[[random.Random], str]]  # the word before a number → what draws the number
SUBJECTS: Kinds = {"call": draw_digits, "count": draw_integer, "about": draw_decimal, "the": draw_ordinal}
CIRCUMSTANCES: Kinds = {"in": draw_year, "for": draw_price, "at": draw_time}


def draw_part(kinds: Kinds, rng: random.Random) -> Part:
    """Draw one part, all kinds equally likely."""
    kind = rng.choice(sorted(kinds))
    return Part(kind, kinds[kind](rng))


def draw_phrase(rng: random.Random) -> list[Part]:
    """Draw a phrase of one or two parts."""
    subject, circumstance = draw_part(SUBJECTS, rng), draw_part(CIRCUMSTANCES, rng)
    return rng.choice([[subject], [circumstance], [subject, circumstance], [circumstance, subject]])


ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = [normalise(f"{number}th").split()[-1] for number in (*range(1, 20), *range(20, 100, 10), 100)]

# How often a feature of a phrase should occur, relative to the others: a word, or a kind of part in its position.
# Tuned until, in under eleven minutes, a digit's name occurs 60 times, a teen or ten 15 times, an ordinal 6 times.
WEIGHTS = (
    dict.fromkeys(["zero", *ONES], 60.0)
    | dict.fromkeys(TEENS + TENS, 20.0)
    | dict.fromkeys(ORDINALS, 25.0)
    | dict.fromkeys(["oh", "o'clock", "hundred", "thousand", "point", "dollar", "dollars", "cent", "cents"], 20.0)
    | {f"{kind} {position}": 25.0 for kind in [*SUBJECTS, *CIRCUMSTANCES] for position in ("alone", "first", "second")}
)


def features(phrase: list[Part]) -> list[str]:
    """List the words of a phrase and, for each part, its kind with its position: "call first"."""
    positions = ("alone",) if len(phrase) == 1 else ("first", "second")
    placed = [f"{part.kind} {position}" for part, position in zip(phrase, positions, strict=True)]
    return spoken(phrase).split() + placed


def raw(phrase: list[Part]) -> str:
    """Write a phrase as a person would: "call 90210 at 7:45"."""
    return " ".join(f"{part.kind} {part.number}" for part in phrase)


def spoken(phrase: list[Part]) -> str:
    """Spell a phrase out: "call nine zero two one zero at seven forty five"."""
    return normalise(raw(phrase)).replace("-", " ")  # as in the archive, whose checksum is fixed


def compose(clips: int, seed: int) -> list[list[Part]]:
    """Choose phrases one by one, so that the scarcest words occur as often as the length allows.

    A feature that has occurred c times is worth weight / (1 + c); a phrase, the sum of its features' worth over its
    length in words and one more, the silence around it. No number string occurs in two phrases.
    """
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    used: set[str] = set()
    phrases = []

    def worth(phrase: list[Part]) -> float:
        found = features(phrase)
        return sum(WEIGHTS.get(feature, 0.0) / (1 + seen[feature]) for feature in found) / (1 + len(found))

    for _ in range(clips):
        drawn = [draw_phrase(rng) for _ in range(CANDIDATES)]
        fresh = [phrase for phrase in drawn if used.isdisjoint(part.number for part in phrase) and long_enough(phrase)]
        best = max(fresh, key=worth)
        seen.update(features(best))
        used.update(part.number for part in best)
        phrases.append(best)
    rng.shuffle(phrases)  # the greedy order runs from rare words to frequent ones
    return phrases


def long_enough(phrase: list[Part]) -> bool:
    """Return whether a phrase lasts about a second: it has three words or more. "the tenth" is too short a clip."""
    return len(spoken(phrase).split()) >= 3
