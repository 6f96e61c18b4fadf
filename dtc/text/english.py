"""Raw English text → the words that a speaker says.

`normalise` folds the characters and then applies one ordered table of rules. Each rule is a pattern and the reading of
its match; the rules of one subject stand in one module, each below an example. Order matters: a rule sees only what the
rules above it have left. Some leave digits for the rules below, as in 3-5 → 3 to 5; the last rule leaves none, so that
`normalise` is idempotent.

The style is that of LJSpeech's published texts: "one hundred ninety-seven" without "and", "eighteen oh three",
"November twenty-two, nineteen sixty-three".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from dtc.text import abbreviations, addresses, codes, dates, money, quantities, roman
from dtc.text.characters import decode_entities, plain_characters
from dtc.text.rules import apply

_BRACES = re.compile(r"(\{[^{}]*\})")
# Most texts need one pass. A number that has become words can set free what stood beside it, as in "2Jan.3".
_MOST_PASSES = 6

RULES = (
    # The full stops and slashes of an address end no sentence and divide nothing.
    *addresses.ADDRESSES,
    *dates.NAMES_OF_DAYS,
    *abbreviations.RULES,
    # Roman numerals, of which "I & II" joins two
    *roman.RULES,
    *addresses.SIGNS,
    # The slashes and hyphens of dates, prices, lengths and codes, before they mean fractions and ranges
    *dates.DATES,
    *money.PAYMENTS,
    *quantities.LENGTHS,
    addresses.SLASH,
    *codes.RULES,
    *money.SIGNS,
    *quantities.SIGNS,
    # What stands directly behind a number
    *quantities.LETTERS,
    *dates.CLOCKS,
    *money.PRICES,
    *quantities.UNITS,
    # Bare numbers
    *quantities.NUMBERS,
    abbreviations.HOUSE,
    *dates.YEARS,
    quantities.WHOLE,
    addresses.GREEK,
)


def normalise(text: str) -> str:
    """Write an English text as it is spoken; phonemes in braces stay as they are.

    Raises nothing, and keeps every character that it cannot read, save quotation marks, bullets and the marks of
    footnotes and of trade. The result has single spaces and no decimal digit outside braces, and
    `normalise(normalise(text)) == normalise(text)`.

    >>> normalise("On Nov. 22, 1963, Mr. Hill paid $12.50")
    'On November twenty-two, nineteen sixty-three, Mister Hill paid twelve dollars and fifty cents'
    """
    text = plain_characters(_outside_braces(decode_entities, text))
    for _ in range(_MOST_PASSES):
        spoken = " ".join(_outside_braces(partial(apply, RULES), text).split())
        if spoken == text:
            break
        text = plain_characters(spoken)
    return text


def _outside_braces(change: Callable[[str], str], text: str) -> str:
    parts = _BRACES.split(text)
    parts[::2] = map(change, parts[::2])  # every other part is a pair of braces
    return "".join(parts)
