"""Raw English text → the words a speaker says.

`normalise` applies a short ordered list of rules; each is a pattern and the function that reads its match aloud.
Order matters: a rule sees only the digits that the rules above it have left.
Every rule needs a digit to match and no reading holds one, so `normalise` is idempotent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# Words after which a digit string is a label, not a quantity.
CARRIERS = ("call", "dial", "code", "room", "flight", "pin", "extension")

# A run longer than this is no quantity that somebody would say in words (inflect knows names up to 10^36).
LONGEST_INTEGER_DIGITS = 15

# 7 · 1984 · 123,456; a comma counts only between groups of three.
INTEGER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"


def normalise(text: str) -> str:
    """Spell out every number of an English text; other words stay as they are.

    Runs of white space become one space. `normalise(normalise(text)) == normalise(text)`, and no decimal digit is left.

    >>> normalise("Call 90210 at 7:45")
    'Call nine zero two one zero at seven forty five'
    """
    for pattern, read in RULES:
        text = pattern.sub(partial(_read_apart, read), text)
    return " ".join(text.split())


def _read_apart(read: Callable[[re.Match[str]], str], match: re.Match[str]) -> str:
    """Keep a reading apart from letters it would otherwise grow together with: "7:45pm", "B52"."""
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * before.isalnum() + read(match) + " " * after.isalnum()


# ── numbers as words ────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _engine() -> inflect.engine:
    """Inflect's engine, imported on first use: that takes two seconds, which `dtc --help` does not have."""
    import inflect

    return inflect.engine()


def digits_in_words(digits: str) -> str:
    """ "902" → "nine zero two"."""
    return " ".join(DIGIT_NAMES[int(digit)] for digit in digits)


def integer_in_words(digits: str) -> str:
    """ "123,456" → "one hundred twenty three thousand four hundred fifty six"; "007" → "zero zero seven"."""
    digits = digits.replace(",", "")
    if (digits.startswith("0") and len(digits) > 1) or len(digits) > LONGEST_INTEGER_DIGITS:
        return digits_in_words(digits)
    return _plain_words(digits)


def ordinal_in_words(digits: str) -> str:
    """ "21" → "twenty first"."""
    digits = digits.replace(",", "")
    if len(digits) > LONGEST_INTEGER_DIGITS:
        return digits_in_words(digits) + "th"
    return _plain_words(_engine().ordinal(str(int(digits))))


def year_in_words(year: int) -> str:
    """1984 → "nineteen eighty four", 1900 → "nineteen hundred", 2007 → "two thousand seven"."""
    if 2000 <= year <= 2009:
        return integer_in_words(str(year))
    century, rest = divmod(year, 100)
    return f"{integer_in_words(str(century))} {_last_two_digits_in_words(rest, zero='hundred')}"


def _last_two_digits_in_words(number: int, zero: str) -> str:
    """The last two digits of a time or a year: 45 → "forty five", 5 → "oh five", 0 → `zero`."""
    if number == 0:
        return zero
    return f"oh {DIGIT_NAMES[number]}" if number < 10 else integer_in_words(str(number))


def _plain_words(number: str) -> str:
    """Inflect's reading without "and", commas and hyphens."""
    words = _engine().number_to_words(number, andword="", comma="")
    assert isinstance(words, str)  # a list only where groups are asked for
    return words.replace("-", " ")


def _counted(number: int, unit: str) -> str:
    return f"{integer_in_words(str(number))} {unit}{'' if number == 1 else 's'}"


# ── one reading per rule ────────────────────────────────────────────────────────────────────────────────────────────


def _read_foreign_digits(match: re.Match[str]) -> str:
    return "".join(str(unicodedata.decimal(digit)) for digit in match[0])


def _read_carrier(match: re.Match[str]) -> str:
    return f"{match['carrier']} {digits_in_words(match['digits'].replace('-', ''))}"


def _read_time(match: re.Match[str]) -> str:
    hour = integer_in_words(str(int(match["hour"])))
    minutes = _last_two_digits_in_words(int(match["minute"]), zero="o'clock")
    return f"{hour} {minutes}"


def _read_price(match: re.Match[str]) -> str:
    whole, fraction, scale = match["whole"] or "0", match["fraction"], match["scale"]
    if scale or (fraction and len(fraction) != 2):
        return f"{_decimal_in_words(whole, fraction)} {scale + ' ' if scale else ''}dollars"
    dollars, cents = int(whole.replace(",", "")), int(fraction or 0)
    parts = [_counted(dollars, "dollar")] if dollars or not cents else []
    parts += [_counted(cents, "cent")] if cents else []
    return " and ".join(parts)


def _decimal_in_words(whole: str, fraction: str | None) -> str:
    return integer_in_words(whole) + (f" point {digits_in_words(fraction)}" if fraction else "")


RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    # ٣ → 3: the rules below meet ASCII digits only
    (re.compile(r"(?:(?![0-9])\d)+"), _read_foreign_digits),
    # call 90210 → call nine zero two one zero, call 555-0199; "room 3.5" is a quantity
    (
        re.compile(rf"(?i:\b(?P<carrier>{'|'.join(CARRIERS)}))\s+(?P<digits>\d+(?:-\d+)*)(?![.,:]?\d)"),
        _read_carrier,
    ),
    # 7:45 → seven forty five, 7:05 → seven oh five, 7:00 → seven o'clock
    (re.compile(r"(?<![\d:])(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?!:?\d)"), _read_time),
    # $12.50 → twelve dollars and fifty cents, $0.05 → five cents, $1.5 million → one point five million dollars
    (
        re.compile(
            rf"\$(?=\.?\d)(?P<whole>{INTEGER})?(?:\.(?P<fraction>\d+))?"
            r"(?:\s+(?P<scale>hundred|thousand|million|billion|trillion)\b)?"
        ),
        _read_price,
    ),
    # 21st → twenty first
    (re.compile(rf"(?P<digits>{INTEGER})(?:st|nd|rd|th)\b"), lambda match: ordinal_in_words(match["digits"])),
    # 3.14 → three point one four
    (
        re.compile(rf"(?P<whole>{INTEGER})\.(?P<fraction>\d+)"),
        lambda match: _decimal_in_words(match["whole"], match["fraction"]),
    ),
    # 1984 → nineteen eighty four; 1,984 is an integer
    (re.compile(r"(?<!\d)(?<!\d,)(?:1[1-9]|20)\d\d(?!,?\d)"), lambda match: year_in_words(int(match[0]))),
    # 123,456 → one hundred twenty three thousand four hundred fifty six; 007 → zero zero seven
    (re.compile(INTEGER), lambda match: integer_in_words(match[0])),
]
