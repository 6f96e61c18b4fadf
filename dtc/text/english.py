"""Raw English text → the words that a speaker says.

`normalise` folds the characters and then applies one ordered table of rules. Each rule is a pattern and the function
that reads its match; the rules of one subject stand in one module, each below an example. Order matters: a rule sees
only what the rules above it have left. Some leave digits for the rules below, as in 3-5 → 3 to 5; the last rule leaves
none, so that `normalise` is idempotent.

The style is that of LJSpeech's published texts: "one hundred ninety-seven" without "and", "eighteen oh three",
"November twenty-two, nineteen sixty-three".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dtc.text import abbreviations, addresses, codes, dates, money, places, quantities, roman
from dtc.text.characters import decode_entities, plain_characters

_DIGIT = re.compile(r"\d")
_BRACES = re.compile(r"(\{[^{}]*\})")
# Most texts need one pass. A number that has become words can set free what stood beside it, as in "2Jan.3".
_MOST_PASSES = 6

RULES_OF_WORDS = (
    # Addresses come first: the full stops and slashes in them end no sentence and divide nothing.
    addresses.E_MAIL,
    addresses.WEB,
    addresses.HANDLE,
    addresses.HASHTAG,
    addresses.SHORT_WORDS,
    addresses.WITH,
    addresses.INITIALS,
    # Streets come before titles: both write "St." and "Dr."
    abbreviations.CROWDED,
    dates.NAMES_RANGE,
    dates.WEEKDAY,
    places.HOUSE_STREET,
    places.STREET_BEFORE_OPENER,
    places.STREET_BEFORE_CITY,
    abbreviations.TITLE,
    abbreviations.TITLE_OF_NAME,
    abbreviations.BRITISH_TITLE,
    abbreviations.VERSUS,
    abbreviations.LAST_WORD,
    abbreviations.MONTH,
    abbreviations.NUMBER,
    abbreviations.PART,
    places.STREET,
    abbreviations.DOCTOR,
    # Roman numerals, of which "I & II" joins two
    roman.WORLD_WAR,
    roman.INTRAVENOUS_NOUN,
    roman.PARTS,
    roman.MONARCHS,
    roman.PART,
    roman.SMALL_PART,
    roman.PART_OF_ONE_LETTER,
    roman.SERIES_OF_ONE_LETTER,
    roman.MONARCH,
    roman.NAMESAKE,
    roman.FIRST_MONARCH,
    roman.NAME,
    roman.INTRAVENOUS,
    roman.YEAR,
    addresses.AMPERSAND,
)
# Each of these needs a digit, save the one that reads the slashes that the rules above it have left.
RULES_OF_NUMBERS = (
    # Dates, before their slashes and hyphens mean fractions and ranges
    dates.ISO_DATE,
    dates.NUMERIC_DATE,
    dates.NAMED_DATE,
    dates.LEADING_ZERO,
    dates.LEADING_ZERO_OF_DAY,
    # Feet and inches, before their fractions
    quantities.COORDINATE,
    quantities.RANGE_OF_LENGTHS,
    quantities.BY,
    quantities.MULTIPLY,
    quantities.FEET_AND_INCHES,
    quantities.FEET_OR_INCHES,
    # Prices with a slash, fractions, and then every slash that is left
    money.PER,
    quantities.FRACTION,
    quantities.QUANTITY_PER,
    addresses.SLASH_OF_NUMBERS,
    addresses.SLASH,
    # Numbers that are names
    codes.CARD,
    codes.GROUPED,
    codes.TELEPHONE,
    codes.TELEPHONE_OF_TEN,
    codes.TELEPHONE_OF_SEVEN,
    codes.GROUPS,
    codes.CARRIER,
    codes.BOX,
    codes.MODEL,
    codes.LABEL,
    codes.POSTCODE,
    places.STATE_ZIP,
    codes.CODE,
    # Ranges and signs
    quantities.SPLIT,
    codes.HYPHENS,
    money.CODE_BEHIND,
    money.CODE_BEFORE,
    money.SIGN_BEHIND,
    money.MINUS_BEHIND_SIGN,
    money.RANGE_OF_SCALE,
    money.RANGE,
    quantities.RANGE,
    quantities.MINUS,
    quantities.PLUS,
    quantities.NUMBER_SIGN,
    quantities.RATIO,
    quantities.RATIO_OF,
    # Letters and marks directly behind a number
    quantities.FEET_IN,
    quantities.THREE_D,
    quantities.IN_THREE_D,
    quantities.HOURS,
    quantities.WEEKS,
    quantities.YEARS,
    quantities.S,
    quantities.D,
    money.OLD_POUNDS,
    money.PENNIES,
    quantities.TIMES,
    quantities.AMPERES,
    quantities.ERS,
    # Times, prices, units
    dates.CLOCK_WITH_SECONDS,
    dates.CLOCK,
    money.PRICE,
    quantities.RACE,
    quantities.SCALE,
    quantities.QUANTITY,
    # What is left are bare numbers
    dates.DECADE,
    dates.SHORT_YEAR,
    quantities.ORDINAL,
    quantities.CALIBER,
    quantities.VERSION,
    quantities.DECIMAL,
    places.HOUSE,
    dates.YEAR_OF_ERA,
    dates.EARLY_YEAR,
    dates.YEAR,
    quantities.WHOLE,
)


def normalise(text: str) -> str:
    """Write an English text as it is spoken; phonemes in braces stay as they are.

    Raises nothing, and keeps every character that it cannot read, save quotation marks and the marks of footnotes. The
    result has single spaces and no decimal digit outside braces, and `normalise(normalise(text)) == normalise(text)`.

    >>> normalise("On Nov. 22, 1963, Mr. Hill paid $12.50")
    'On November twenty-two, nineteen sixty-three, Mister Hill paid twelve dollars and fifty cents'
    """
    text = plain_characters(_outside_braces(decode_entities, text))
    for _ in range(_MOST_PASSES):
        spoken = " ".join(_outside_braces(_in_words, text).split())
        if spoken == text:
            break
        text = plain_characters(spoken)
    return text


def _outside_braces(change: Callable[[str], str], text: str) -> str:
    parts = _BRACES.split(text)
    parts[::2] = map(change, parts[::2])  # every other part is a pair of braces
    return "".join(parts)


def _in_words(text: str) -> str:
    for rule in RULES_OF_WORDS + (RULES_OF_NUMBERS if _DIGIT.search(text) else (addresses.SLASH,)):
        text = rule.apply(text)
    return text
