"""Numbers → English words: "one hundred ninety-seven", "twenty-first", "eighteen oh three", "three quarters".

Compounds below one hundred are hyphenated and there is no "and", as in the published texts of LJSpeech.
The package inflect returns the same words (the tests compare them), but takes two seconds to import.
"""

from __future__ import annotations

_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL = _WORDS.split()
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS["twelve"] = "twelfth"
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
# A longer run of digits is read digit by digit.
_LONGEST_INTEGER_DIGITS = 15


def cardinal(number: int) -> str:
    """Return a number from 0 to 10^15 - 1 in words: 197 → "one hundred ninety-seven"."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]
    size, name = next(scale for scale in _SCALES if scale[0] <= number)
    count, rest = divmod(number, size)
    return f"{cardinal(count)} {name} {cardinal(rest)}" if rest else f"{cardinal(count)} {name}"


def spelt(text: str) -> str:
    """Return digits and plus signs in words, letters as they are: "+9-0" → "plus nine zero", "C7" → "C seven"."""
    words = {"+": "plus"} | {str(digit): word for digit, word in enumerate(_SMALL[:10])}
    return " ".join(words.get(one, one) for one in text if one.isalnum() or one == "+")


def integer_in_words(digits: str) -> str:
    """Return a whole number in words: "1,234" → "one thousand two hundred thirty-four"; "007" → "zero zero seven"."""
    digits = digits.replace(",", "")
    if digits != "0" and (digits[:1] in ("0", "") or len(digits) > _LONGEST_INTEGER_DIGITS):
        return spelt(digits)
    return cardinal(int(digits))


def amount_in_words(digits: str) -> str:
    """Return a whole number or a decimal in words: "1,250", "3.14" → "three point one four", ".5" → "point five"."""
    whole, point, fraction = digits.partition(".")
    return f"{integer_in_words(whole)} point {spelt(fraction)}".strip() if point else integer_in_words(whole)


def ordinal_in_words(digits: str) -> str:
    """Return the ordinal of a whole number in words: "21" → "twenty-first"."""
    words = integer_in_words(digits.lstrip("0,") or "0")
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    return words[:start] + (_ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th"))


def plural_in_words(words: str) -> str:
    """Return the plural of a number in words: "fourteen eighty" → "fourteen eighties", "six" → "sixes"."""
    return words[:-1] + "ies" if words.endswith("y") else words + ("es" if words.endswith("x") else "s")


def fraction_in_words(numerator: int, denominator: int) -> str:
    """Return a fraction in words: 1/2 → "one half", 3/4 → "three quarters", 5/8 → "five eighths"."""
    part = {2: "half", 4: "quarter"}.get(denominator) or ordinal_in_words(str(denominator))
    parts = "halves" if denominator == 2 else part + "s"
    return f"{cardinal(numerator)} {part if numerator == 1 else parts}"


def pairs_in_words(digits: str) -> str:
    """Return digits that are said in pairs, as in years: "1984" → "nineteen eighty-four", "606" → "six oh six".

    "1900" → "nineteen hundred", but "2007" → "two thousand seven" and "3800" → "three thousand eight hundred"; "05" →
    "oh five", and other digits that begin with zero one by one: "007" → "zero zero seven".
    """
    if digits[:1] in ("0", ""):
        return two_digits_in_words(int(digits), zero="oh oh") if len(digits) == 2 else spelt(digits)
    number = int(digits)
    century, rest = divmod(number, 100)
    if century == 0 or (century % 10 == 0 and rest < 10) or (century > 20 and rest == 0):
        return cardinal(number)
    return f"{cardinal(century)} {two_digits_in_words(rest, zero='hundred')}"


def two_digits_in_words(number: int, zero: str) -> str:
    """Return the last two digits of a time or a year in words: 45 → "forty-five", 5 → "oh five", 0 → `zero`."""
    if number == 0:
        return zero
    return f"oh {cardinal(number)}" if number < 10 else cardinal(number)


def roman_value(numeral: str) -> int:
    """Return the value of a Roman numeral: "XIV" → 14."""
    values = [_ROMAN_DIGITS[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


# The words that a number can begin with.
NUMBER_WORDS = (*_SMALL, *_TENS[2:], *(ordinal_in_words(str(number)) for number in (*range(20), *range(20, 100, 10))))
