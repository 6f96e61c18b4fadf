"""The parts that every rule of the normaliser is built from: tables, patterns, counting words and the rule itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from dtc.text import numbers_in_words
from dtc.text.numbers_in_words import amount_in_words, cardinal


def table(entries: str) -> dict[str, str]:
    """Return a table that is written in one string: "km kilometer, lb pound" → {"km": "kilometer", "lb": "pound"}."""
    return {short: full for short, _, full in (entry.partition(" ") for entry in entries.split(", "))}


def any_of(words: Iterable[str]) -> str:
    """Return the pattern of one of the words, the longest first, so that none hides a longer one."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


# 7 · 1984 · 123,456; a comma counts only between groups of three. A pattern that opens with digits begins only where
# their run begins: if it tried every digit, a text that holds nothing but digits would take quadratic time.
INTEGER = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,12}(?!\d)|\d+)"
# 1,250 · 3.14 · .5
AMOUNT = rf"(?P<number>(?:(?<![.,]){INTEGER}|(?<![\w.)])(?=\.\d))(?P<fraction>\.\d+)?)"
# A small number that letters can follow: 15s
SMALL = r"(?<![\w.,])(?P<number>\d{1,3})"
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
# Words that follow a measure and are not described by it: twelve inches long, five dollars each.
_DIMENSIONS = (
    "long|wide|tall|high|deep|thick|across|apart|away|ago|later|earlier|old|more|less|further|farther|above|below|"
    "taller|longer|shorter|wider|higher|deeper|heavier|faster|slower|north|south|east|west|square|squared|each|x|"
    "apiece|extra|of|worth|billion|trillion"
)
# A space and a noun that a measure describes.
_NOUN = re.compile(rf"[ -](?!(?:{FUNCTION_WORDS}|{_DIMENSIONS})\b)[A-Za-z]")
# A space and a noun in the plural: what a number counts.
COUNTED = (
    r" (?!(?:was|has|as|is|its|this|does|always|plus|across|perhaps|towards|besides|sometimes)\b)"
    r"(?:people|men|women|children|feet|[a-z]{1,20}[^\W_siu]s)\b"
)
# Words that begin a sentence; no street, no place and no person is called so.
OPENERS = any_of(
    word.capitalize()
    for word in f"{FUNCTION_WORDS}|all|every|give|how|let|many|no|of|some|start|turn|use|what|why".split("|")
    if word not in ("may", "will", "down", "near")
)
_ARTICLE = re.compile(r"\b(?:an?|the|this|that|each|every) $")

# Plurals that do not take an s.
_PLURALS = {word: word for word in ("baht", "horsepower", "lux", "percent", "sen", "stone", "won", "yen", "yuan")}
_PLURALS |= {"foot": "feet", "inch": "inches", "penny": "pence"}

# What a field of a reading can be turned into, as in "{first:count} to {second:count}".
_READERS: dict[str, Callable[[str], str]] = {
    "amount": amount_in_words,
    "count": lambda digits: cardinal(int(digits)),
    "number": numbers_in_words.integer_in_words,
    "ordinal": numbers_in_words.ordinal_in_words,
    "pairs": numbers_in_words.pairs_in_words,
    "spelt": numbers_in_words.spelt,
}
_FIELD = re.compile(r"\{(?P<group>\w*)(?::(?P<reader>\w+))?\}")


# A pattern, and the function that returns the words for one match of it.
Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def rule(pattern: str, reading: str | Callable[[re.Match[str]], str], **readers: Callable[[str], str]) -> Rule:
    """Return a rule; `reading` is a function of the match, or a text with the groups of the pattern in braces.

    `{name}` is what the group matched, nothing if it took no part; `{name:count}` is what a reader makes of it, and
    `{:count}` what it makes of the whole match. Readers that no other rule needs are given by keyword.
    """
    if callable(reading):
        return re.compile(pattern), reading
    known = _READERS | readers

    def fill(match: re.Match[str]) -> str:
        return _FIELD.sub(lambda field: known.get(field["reader"], str)(match[field["group"] or 0] or ""), reading)

    return re.compile(pattern), fill


def full_form(words: Mapping[str, str]) -> Callable[[str], str]:
    """Return a reader that looks a short form up, whatever its capitals; the first letter keeps its case."""

    def read(short: str) -> str:
        full = words.get(short) or words.get(short.capitalize()) or words[short.lower()]
        return (full[0].upper() if short[0].isupper() else full[0].lower()) + full[1:]

    return read


def apply(rules: Iterable[Rule], text: str) -> str:
    """Return a text with the words of each rule, in order, in place of its matches."""
    for pattern, read in rules:
        text = pattern.sub(partial(_read_apart, read), text)
    return text


def _read_apart(read: Callable[[re.Match[str]], str], match: re.Match[str]) -> str:
    """Return a reading with a space where it would otherwise touch a letter or digit, as in "7:45pm" and "B52"."""
    words, text, end = read(match), match.string, match.end()
    touches_before = words[:1].isalnum() and before(match, 1).isalnum()
    touches_after = words[-1:].isalnum() and text[end : end + 1].isalnum()
    return " " * touches_before + words + " " * touches_after


def before(match: re.Match[str], length: int = 12) -> str:
    """Return the last characters before a match, and not all of them: a long text would take quadratic time."""
    return match.string[max(match.start() - length, 0) : match.start()]


def describes(match: re.Match[str], needs_article: bool = True) -> bool:
    """Return whether a measure describes the noun that follows it: "a 5 kg bag", not "100 g flour"."""
    return bool((not needs_article or _ARTICLE.search(before(match))) and _NOUN.match(match.string, match.end()))


def counted(number: str, unit: str) -> str:
    """Return a number and its unit in words: "1", "dollar" → "one dollar"; "5", "foot" → "five feet"."""
    return f"{amount_in_words(number)} {unit if number == '1' else plural(unit)}"


def plural(unit: str) -> str:
    """Return the plural of a unit: "mile per hour" → "miles per hour", "degree Celsius" → "degrees Celsius"."""
    words = unit.split(" ")
    noun = next((number for number, word in enumerate(words) if word in ("per", "Celsius", "Fahrenheit")), len(words))
    words[noun - 1] = _PLURALS.get(words[noun - 1]) or words[noun - 1] + "s" * (not words[noun - 1].endswith("hertz"))
    return " ".join(words)
