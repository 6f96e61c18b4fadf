"""Numbers that are names: telephone and card numbers, rooms, routes, aircraft, exhibits and other codes."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import cardinal, digits_in_words, pairs_in_words, plural_in_words
from dtc.text.rules import FUNCTION_WORDS, rule

_CARRIERS = "call|dial|code|room|pin|extension"
_LABELS = r"[Nn]umbers?|[Ee]xhibit|[Rr]oute|[Hh]ighway|Interstate|P\.S\."
# What flies, drives or computes under a number that is read in pairs: Boeing 747.
_MODELS = (
    "[Ff]light|FLIGHT|Airbus(?: A)?|Boeing|BOEING|Cessna|Dash|Douglas|Embraer|Gulfstream|Learjet|Lockheed|"
    "Audi|BMW|Ferrari|Fiat|Lotus|Mercedes|Peugeot|Porsche|Renault|Volvo|"
    "Atari|Canon|Intel|Leica|Nikon|Nokia|Pentium|Xbox|Apollo|Area|Chanel|Levi's|Studio"
)
# A word behind the digits that makes them a count: "they call 20 witnesses", "a room 20 feet long".
_VERBS = "appears|expires|fails|leads|means|opens|rings|shows|smells|works"
_NOT_COUNTED = (
    rf"(?! ?%|[ -](?:(?:or|to|and|by|x) \d+ )?(?!(?:{FUNCTION_WORDS}|{_VERBS})\b)(?:[a-z]|°)|"
    r" (?:a (?:day|week|month|year)|of|by|x)\b)"
)


def _read_carrier(match: re.Match[str]) -> str:
    return f"{match['carrier']} {digits_in_words(match['digits'])}"


def _read_label(match: re.Match[str]) -> str:
    return f"{match['label']} {pairs_in_words(int(match['digits']))}" + (match["letter"] or "").replace("-", " ")


def _read_code(match: re.Match[str]) -> str:
    return f"{' '.join(match['letters'])} {digits_in_words(match['digits'])}"


def _read_model(match: re.Match[str]) -> str:
    words = f"{match['name']} {_in_pairs(match['number'])}"
    words += f" {_in_pairs(match['series'])}" if match["series"] else ""
    return plural_in_words(words) if match["plural"] else words


def _in_pairs(digits: str) -> str:
    return digits_in_words(digits) if digits.startswith("0") or len(digits) > 4 else pairs_in_words(int(digits))


def _read_digits(match: re.Match[str]) -> str:
    """Return every digit of a number in words, and a letter as itself: "+44 20" → "plus four four two zero"."""
    plus = "plus " if match[0].startswith("+") else ""
    return plus + digits_in_words(match[0])


def _read_postcode(match: re.Match[str]) -> str:
    characters = match[0].replace(" ", "")
    return " ".join(cardinal(int(one)) if one.isdecimal() else one for one in characters)


# 4111 1111 1111 1111, 3782 822463 10005
CARD = rule(r"(?<![\w.,-])(?:\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{5})(?![\w-]|[.,]\d)", _read_digits)
# 1 000 000, 1'000'000, 1.000.000, 10 000 → 1,000,000, 10,000
GROUPED = rule(
    r"(?<![\w.,'-])(?<!\d )[1-9]\d{0,2}(?:(?: \d{3}){2,5}|(?:'\d{3}){1,5}|(?:\.\d{3}){2,5}| \d00)"
    r"(?![\w'])(?! ?[.,-]?\d)",
    lambda match: re.sub(r"[ '.]", ",", match[0]),
)
# 020 7946 0958, +44 20 7946 0958, (020) 7946 0958, 07700 900123
TELEPHONE = rule(
    r"(?<![\w.,(+-])(?<!\d )(?:\+\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?|"
    r"\((?:0\d{2,4}|\d{3}(?=\) \d{3}-\d{4}))\)[ -]?|0\d{2,4}[ -])"
    r"\d{2,6}(?:[ -]\d{2,4}){0,4}(?![\w-]|[.,:/]\d)",
    _read_digits,
)
# 555-0199, (214) 555-0199, 1-214-555-0199, 214 555 0199; 500-1000 is a range
TELEPHONE_OF_TEN = rule(r"(?<![\d-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\d-])", _read_digits)
TELEPHONE_OF_SEVEN = rule(r"(?<![\d.,-])\d{3}-(?!\d\d00)\d{4}(?![\d-])", _read_digits)
# 123-45-6789, 978-3-16-148410-0
GROUPS = rule(r"(?<![\w-])(?:\d{3}-\d\d-\d{4}|97[89]-\d{1,5}-\d{1,7}-\d{1,7}-\d)(?![\w-])", _read_digits)
# 1-2-3 → 1 2 3
HYPHENS = rule(r"(?<![\d-])\d+(?:-\d+){2,}", lambda match: match[0].replace("-", " "))
# SW1A 1AA, K1A 0B1
POSTCODE = rule(r"\b(?:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]\d[A-Z] \d[A-Z]\d)\b", _read_postcode)
# call 90210 → call nine zero two one zero, call 555-0199; "room 3.5" and "room 20 feet long" are quantities
CARRIER = rule(
    rf"(?i:\b(?P<carrier>{_CARRIERS})) (?P<digits>(?:\d{{5,}}|0\d+|911|999|112)(?:-\d+)*|"
    rf"\d+(?:-\d+)*(?:(?=[.,:-])|(?![\w.,:-]){_NOT_COUNTED}))(?![.,:]?\d)",
    _read_carrier,
)
BOX = rule(r"\b(?P<carrier>[Bb]ox) (?P<digits>\d{3,})(?![.,:]?\d)", _read_carrier)
# Boeing 747, Flight 370, Boeing 737-800 → Boeing seven forty-seven, Flight three seventy
MODEL = rule(
    rf"\b(?P<name>{_MODELS}) ?(?P<number>\d{{2,4}})(?:-(?P<series>\d{{3}}))?(?P<plural>s)?\b(?![.,:/]\d|-\d)"
    + _NOT_COUNTED,
    _read_model,
)
# Number 143 → Number one forty-three, Exhibit 133-A → Exhibit one thirty-three A
LABEL = rule(rf"\b(?P<label>{_LABELS}) (?P<digits>[1-9]\d{{2,3}})(?P<letter>-[A-Z]\b)?(?![.,:]?\d)", _read_label)
# C2766 → C two seven six six
CODE = rule(r"(?<![\w-])(?P<letters>[A-Z]{1,3})-?(?P<digits>\d{3,})(?![.,]?\d)", _read_code)
