"""The parts that every rule of the normaliser is built from: patterns, counting words and the rule itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dtc.text.numbers_in_words import decimal_in_words, integer_in_words

Read = Callable[[re.Match[str]], str]

# 7 · 1984 · 123,456; a comma counts only between groups of three. A pattern that opens with digits begins only where
# their run begins: if it tried every digit, a text that holds nothing but digits would take quadratic time.
INTEGER = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,12}(?!\d)|\d+)"
# The beginning of a word, which may follow a digit.
WORD = r"(?<![^\W\d])"
# The full stop behind a numeral or a unit. One that may end the sentence stays.
INNER_STOP = r"(?:\.(?=[,;:)]| [a-z]))?"
# The full stop of an abbreviation. One at the end of the text or before a capital may also end the sentence: it stays.
STOP = r"(?:\.(?!\w| [A-Z]|[)']*$)|(?=\.(?!\w)))"

# Lower-case words that can follow a number without being what it counts: "call 90210 at noon", "a 5 km walk".
FUNCTION_WORDS = (
    "a|about|after|again|also|am|an|and|are|as|at|be|because|before|between|both|but|by|can|could|did|do|does|down|"
    "during|either|for|from|had|has|have|he|her|here|his|i|if|immediately|in|instead|into|is|it|its|just|may|might|"
    "must|my|near|nor|not|now|off|on|only|onto|or|our|out|over|per|please|plus|shall|she|should|since|so|than|that|the|"
    "their|then|there|these|they|this|those|through|to|today|tomorrow|tonight|too|under|until|up|via|was|we|were|when|"
    "where|which|while|who|will|with|within|without|would|yesterday|you|your"
)
# A space and a noun in the plural: what a number counts.
COUNTED = (
    r" (?!(?:was|has|as|is|its|this|does|always|plus|across|perhaps|towards|besides|sometimes)\b)"
    r"(?:people|men|women|children|feet|[a-z]{1,20}[^\W_siu]s)\b"
)
# Words that begin a sentence; no street, no place and no person is called so.
OPENERS = (
    "A|After|All|An|And|As|At|Before|But|By|Does|Every|For|From|Give|Has|He|Her|Here|His|How|I|If|In|Is|It|Its|Let|"
    "Many|My|No|Not|Now|Of|On|Or|Our|She|So|Some|Start|That|The|Their|Then|There|These|They|This|Those|To|Turn|Use|"
    "Was|We|Were|What|When|Where|Which|While|Who|Why|With|You|Your"
)
# What separates a sentence from the next one, as the last characters before a place in the text.
SENTENCE_START = re.compile(r"(?:^|[.!?:;(]['\")]*) *$")

# Plurals that do not take an s.
PLURALS = {
    **{word: word for word in ("baht", "bel", "decibels", "hertz", "lux", "percent", "sen", "won", "yen", "yuan")},
    **{word + "hertz": word + "hertz" for word in ("kilo", "mega", "giga", "tera")},
    **{"foot": "feet", "inch": "inches", "penny": "pence", "horsepower": "horsepower"},
}


class Rule(NamedTuple):
    """A pattern, and the function that returns the words for one match of it."""

    pattern: re.Pattern[str]
    read: Read

    def apply(self, text: str) -> str:
        """Return the text with the words in place of every match, apart from letters and digits beside them."""
        return self.pattern.sub(partial(_read_apart, self.read), text)


def rule(pattern: str, read: Read | str) -> Rule:
    """Return a rule; `read` is a function of the match, or a template as `re.sub` takes it."""
    return Rule(re.compile(pattern), (lambda match: match.expand(read)) if isinstance(read, str) else read)


def _read_apart(read: Read, match: re.Match[str]) -> str:
    """Return a reading with a space where it would otherwise touch a letter or digit, as in "7:45pm" and "B52"."""
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    words = read(match)
    return " " * (before.isalnum() and words[:1].isalnum()) + words + " " * (after.isalnum() and words[-1:].isalnum())


def before(match: re.Match[str], length: int = 12) -> str:
    """Return the last characters before a match, and not all of them: a long text would take quadratic time."""
    return match.string[max(match.start() - length, 0) : match.start()]


def is_sentence_start(match: re.Match[str]) -> bool:
    """Return whether a match begins a sentence."""
    return SENTENCE_START.search(before(match)) is not None and (match.start() <= 12 or before(match).strip() != "")


def amount(whole: str | None, fraction: str | None) -> str:
    """Return a number in words: "1,250", None → "one thousand two hundred fifty"; None, "5" → "point five"."""
    return decimal_in_words(whole or "", fraction) if fraction else integer_in_words(whole or "0")


def counted(number: str, unit: str) -> str:
    """Return a whole number and its unit in words: "1", "dollar" → "one dollar"; "5", "foot" → "five feet"."""
    return f"{integer_in_words(number)} {unit if number == '1' else plural(unit)}"


def plural(unit: str) -> str:
    """Return the plural of a unit: "mile per hour" → "miles per hour", "square foot" → "square feet"."""
    head, per, rest = unit.partition(" per ")
    *qualifiers, noun = head.split(" ")
    if noun in ("Celsius", "Fahrenheit"):  # degrees Celsius
        noun, qualifiers, rest = qualifiers[0], [], noun
        per = " "
    return " ".join([*qualifiers, PLURALS.get(noun) or f"{noun}s"]) + per + rest
