"""Dates, years, decades, weekdays and the time of day."""

from __future__ import annotations

import re

from dtc.text.calendar_words import MONTH_NAMES, MONTHS, NAME_OF, NAMES, WEEKDAY_OF
from dtc.text.numbers_in_words import (
    cardinal,
    integer_in_words,
    last_two_digits_in_words,
    pairs_in_words,
    plural_in_words,
)
from dtc.text.rules import COUNTED, before, rule

_WEEKDAYS = "|".join(sorted([*WEEKDAY_OF, *map(str.upper, WEEKDAY_OF)], key=len, reverse=True))
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_IS_COUNTED = re.compile(COUNTED)
_DATING = re.compile(
    r"(?i)\b(?:in|of|the|its|his|since|by|until|till|after|before|during|early|late|"
    rf"{'|'.join(MONTHS)})[ ,]+$"
)
# After these, a 3-digit or early year stands in for a date only where no noun follows that it would count.
_AFTER_A_YEAR = (
    r"(?=,(?! ?\d)| [A-Z]|[.;:)!?]?$|[.;:)!?] |"
    r" (?:the|a|an|he|she|it|they|we|his|her|their|by|when|and|but|at|on|with|after|as|was|were|to|until|king|while)\b)"
)


def _name(match: re.Match[str]) -> str:
    return NAME_OF[match["name"]]


def _year(digits: str) -> str:
    """Return the year of a date in words; of two digits, "63" → "sixty-three", "05" → "oh five"."""
    return last_two_digits_in_words(int(digits), zero="oh oh") if len(digits) == 2 else pairs_in_words(int(digits))


def _read_iso(match: re.Match[str]) -> str:
    return f"{MONTHS[int(match['month']) - 1]} {cardinal(int(match['day']))}, {_year(match['year'])}"


def _read_numeric(match: re.Match[str]) -> str:
    return f"{cardinal(int(match['first']))} {cardinal(int(match['second']))} {_year(match['year'])}"


def _read_day_month(match: re.Match[str]) -> str:
    return f"{cardinal(int(match['day']))} {NAME_OF[match['name']]} {_year(match['year'])}"


def _read_range(match: re.Match[str]) -> str:
    return f"{NAME_OF[match['first']]} to {NAME_OF[match['second']]}"


def _read_clock(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if match["dotted"]:
        # LJSpeech keeps the colon of 12:36 p.m.; a bare 7:45 may as well be a score.
        return f"{cardinal(hour)}:{last_two_digits_in_words(minute, zero='')}" if minute else cardinal(hour)
    whole_hour = "hundred" if hour > 12 or match["hour"] == "00" else "o'clock"
    return f"{cardinal(hour)} {last_two_digits_in_words(minute, zero='' if match['bare'] else whole_hour)}".strip()


def _read_clock_with_seconds(match: re.Match[str]) -> str:
    hour, minute, second = (int(match[name]) for name in ("hour", "minute", "second"))
    return f"{cardinal(hour)} {last_two_digits_in_words(minute, 'zero')} {last_two_digits_in_words(second, 'zero')}"


def _read_decade(match: re.Match[str]) -> str:
    number = int(match["number"])
    if number % 100 == 0 and number < 1100 and number:  # hundreds of people
        return plural_in_words(integer_in_words(match["number"])).removeprefix("one ")
    return match["mark"] + plural_in_words(pairs_in_words(number))


def _read_short_year(match: re.Match[str]) -> str:
    return "'" + last_two_digits_in_words(int(match["year"]), zero="oh oh")


def _read_year(match: re.Match[str]) -> str:
    """Return 1308 before a plural as a count, and every other year, 1300 prisoners too, in pairs."""
    year = int(match[0])
    is_count = bool(year % 100) and _IS_COUNTED.match(match.string, match.end()) and not _DATING.search(before(match))
    return cardinal(year) if is_count else pairs_in_words(year)


# 2021-03-04, 2021/03/04 → March four, twenty twenty-one
ISO_DATE = rule(
    rf"(?<![\d/.-])(?P<year>[12]\d{{3}})(?P<gap>[-/])(?P<month>{_MONTH})(?P=gap)(?P<day>{_DAY})(?:T(?=\d)|(?![\d/-]))",
    _read_iso,
)
# 22.11.1963, 11/22/63 → twenty-two eleven nineteen sixty-three
NUMERIC_DATE = rule(
    rf"(?<![\d/.,-])(?P<first>{_DAY})(?P<gap>[./-])(?P<second>{_DAY})(?P=gap)(?P<year>[12]\d{{3}}|(?<=[/-])\d\d)"
    r"(?![\d/-]|[.,]\d)",
    _read_numeric,
)
# 22-Nov-1963, 22/Nov/63 → twenty-two November nineteen sixty-three
NAMED_DATE = rule(
    rf"(?<![\d-])(?P<day>{_DAY})(?P<gap>[-/])(?P<name>{NAMES})(?P=gap)(?P<year>[12]\d{{3}}|\d\d)(?![\d-])",
    _read_day_month,
)
# Mon.-Fri., March-May → Monday to Friday, March to May
NAMES_RANGE = rule(rf"\b(?P<first>{NAMES})\.? ?- ?(?P<second>{NAMES})\b(?:\.(?! [A-Z]|$))?", _read_range)
# July 04 → July 4; 04 July → 4 July
LEADING_ZERO = rule(rf"\b(?P<name>{MONTH_NAMES}) 0(?=[1-9]\b)", r"\g<name> ")
LEADING_ZERO_OF_DAY = rule(rf"(?<![\d.,:/-])0(?=[1-9] (?:{MONTH_NAMES})\b)", "")
# Mon., Nov. 5 → Monday, November five; Sat 5pm. "He sat. 5 came", "the Sun. It rose" and "I asked Jan. She" stay.
WEEKDAY = rule(
    rf"(?<![Tt]he )\b(?P<name>{_WEEKDAYS})(?:\.(?=[,;:)]| (?:[a-z\d]|{NAMES}|at\b))|(?=\.$|\. [A-Z])|"
    rf"(?=,? (?:{NAMES}|\d)))",
    _name,
)
# 7:45 → seven forty-five, 7:05 → seven oh five, 7:00 → seven o'clock, 19:00 → nineteen hundred, 10.30 a.m.
CLOCK = rule(
    r"(?<![\d:.])(?P<hour>[01]?\d|2[0-4])(?::|\.(?=\d\d ?[AaPp]\.?[Mm]\b))(?P<minute>[0-5]\d)(?![:.]?\d)"
    r"(?: (?=hours\b)|)"
    r"(?=(?: (?:or|to|and) \d\d?(?::\d\d)?)? ?(?:(?P<dotted>[AaPp]\.[Mm]\.)|(?P<bare>[AaPp][Mm]\b))|)",
    _read_clock,
)
# 7:30:15 → seven thirty fifteen
CLOCK_WITH_SECONDS = rule(
    r"(?<![\d:.])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)(?![:]?\d)", _read_clock_with_seconds
)
# the 1480s, 1480's → fourteen eighties, the '60s, 1980S; 100s of → hundreds of
DECADE = rule(r"(?P<mark>(?<!\w)'|)(?<![\d.,])(?P<number>\d{1,3}0)'?[sS]\b", _read_decade)
# '63 → 'sixty-three
SHORT_YEAR = rule(r"(?<!\w)'(?P<year>\d\d)(?![\d'])", _read_short_year)
# 323 B.C., 605 to 562 B.C., A.D. 410
YEAR_OF_ERA = rule(
    r"(?<![\d,])[1-9]\d{2,3}(?=(?: (?:to|or|and) \d{1,4})? (?:B\.? ?C|A\.? ?D|C\.?E)\b)|"
    r"(?:(?<=A\.D\. )|(?<=\bAD ))[1-9]\d{2,3}(?!,?\d)",
    lambda match: pairs_in_words(int(match[0])),
)
# In 606, Nineveh; in 1066 the Normans; by 1066 it was over; since 1099
EARLY_YEAR = rule(
    rf"(?:(?<=\b[Ii]n )|(?<=\byear )|(?<=\b[Ss]ince )|(?<=\b[Uu]ntil ))(?:[1-9]\d\d|10\d\d){_AFTER_A_YEAR}|"
    rf"(?:(?<=\b[Bb]y )|(?<=\b[Bb]efore )|(?<=\b[Aa]fter )|(?<=[a-z] of ))10[1-9]\d{_AFTER_A_YEAR}",
    lambda match: pairs_in_words(int(match[0])),
)
# 1984 → nineteen eighty-four; 1,984 is an integer
YEAR = rule(r"(?<!\d)(?<!\d,)(?:1[1-9]|20)\d\d(?!,?\d)", _read_year)
