"""Dates, years, decades, months, weekdays and the time of day."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import cardinal, pairs_in_words, plural_in_words, two_digits_in_words
from dtc.text.rules import COUNTED, FUNCTION_WORDS, any_of, before, full_form, rule, table

_MONTHS = table(
    "Jan January, Feb February, Mar March, Apr April, May May, Jun June, Jul July, Aug August, Sep September, "
    "Oct October, Nov November, Dec December"
)
MONTHS = list(_MONTHS.values())
MONTH_OF = {short: month for short, month in _MONTHS.items() if month != "May"} | {"Sept": "September"}
_WEEKDAYS = table("Mon Monday, Tue Tuesday, Wed Wednesday, Thu Thursday, Fri Friday, Sat Saturday, Sun Sunday")
_WEEKDAY_OF = _WEEKDAYS | table("Tues Tuesday, Weds Wednesday, Thur Thursday, Thurs Thursday")
_NAME_OF = {name: name for name in (*MONTHS, *_WEEKDAYS.values())} | MONTH_OF | _WEEKDAY_OF
_full_name = full_form(_NAME_OF)
NAMES = any_of([*_NAME_OF, *map(str.upper, _NAME_OF)])
_MONTH_NAMES = "|".join([*MONTHS, *map(str.upper, MONTHS)])
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_IS_COUNTED = re.compile(COUNTED)
_DATING = re.compile(
    rf"(?i)\b(?:in|of|the|its|his|since|by|until|till|after|before|during|early|late|{'|'.join(MONTHS)})[ ,]+$"
)
# After these, a 3-digit or early year stands in for a date only where no noun follows that it would count.
_AFTER_A_YEAR = rf"(?=,(?! ?\d)| [A-Z]|[.;:)!?]?$|[.;:)!?] | (?:{FUNCTION_WORDS}|king)\b)"


def _read_clock(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if match["second"]:
        return " ".join(
            [cardinal(hour), *(two_digits_in_words(int(match[part]), "zero") for part in ("minute", "second"))]
        )
    if match["dotted"]:
        # LJSpeech keeps the colon of 12:36 p.m.; a bare 7:45 may as well be a score.
        return f"{cardinal(hour)}:{two_digits_in_words(minute, zero='')}" if minute else cardinal(hour)
    whole_hour = "hundred" if hour > 12 or match["hour"] == "00" else "o'clock"
    return f"{cardinal(hour)} {two_digits_in_words(minute, zero='' if match['bare'] else whole_hour)}".strip()


def _decade(digits: str) -> str:
    number = int(digits.replace(",", ""))
    if number % 100 == 0 and 0 < number < 1100:  # hundreds of people
        return plural_in_words(cardinal(number)).removeprefix("one ")
    return plural_in_words(pairs_in_words(digits))


def _read_year(match: re.Match[str]) -> str:
    """Return 1308 before a plural as a count, and every other year, 1300 prisoners too, in pairs."""
    year = int(match[0])
    is_count = bool(year % 100) and _IS_COUNTED.match(match.string, match.end()) and not _DATING.search(before(match))
    return cardinal(year) if is_count else pairs_in_words(match[0])


NAMES_OF_DAYS = (
    # Mon.-Fri., March-May → Monday to Friday, March to May
    rule(
        rf"\b(?P<first>{NAMES})\.? ?- ?(?P<second>{NAMES})\b(?:\.(?! [A-Z]|$))?",
        "{first:full} to {second:full}",
        full=_full_name,
    ),
    # Mon., Nov. 5; Sat 5pm. "He sat. 5 came" and "the Sun. It rose" stay.
    rule(
        rf"(?<![Tt]he )\b(?P<name>{any_of([*_WEEKDAY_OF, *map(str.upper, _WEEKDAY_OF)])})"
        rf"(?:\.(?=[,;:)]| (?:[a-z\d]|{NAMES}|at\b))|(?=\.$|\. [A-Z])|(?=,? (?:{NAMES}|\d)))",
        "{name:full}",
        full=_full_name,
    ),
)
DATES = (
    # 2021-03-04, 2021/03/04 → March four, twenty twenty-one
    rule(
        rf"(?<![\d/.-])(?P<year>[12]\d{{3}})(?P<gap>[-/])(?P<month>{_MONTH})(?P=gap)(?P<day>{_DAY})"
        r"(?:T(?=\d)|(?![\d/-]))",
        "{month:month} {day:count}, {year:pairs}",
        month=lambda number: MONTHS[int(number) - 1],
    ),
    # 22.11.1963, 11/22/63, 22-Nov-1963 → twenty-two eleven nineteen sixty-three, …, twenty-two November …
    rule(
        rf"(?<![\d/.,-])(?P<first>{_DAY})(?P<gap>[./-])(?P<second>{_DAY}|{NAMES})(?P=gap)"
        r"(?P<year>[12]\d{3}|(?<=[/-])\d\d)(?![\d/-]|[.,]\d)",
        "{first:count} {second:second} {year:pairs}",
        second=lambda text: cardinal(int(text)) if text.isdecimal() else _full_name(text),
    ),
    # July 04 → July 4; 04 July → 4 July
    rule(rf"(?<![\d.,:/-])(?P<name>\b(?:{_MONTH_NAMES}) )?0(?=[1-9]\b(?(name)| (?:{_MONTH_NAMES})\b))", "{name}"),
)
CLOCKS = (
    # 0800 hours → zero eight hundred hours
    rule(r"\b0(?P<hour>\d)00(?= h(?:ou)?rs\b)", "zero {hour:count} hundred"),
    # 7:45, 7:05, 7:00, 19:00 → seven forty-five, seven oh five, seven o'clock, nineteen hundred; 10.30 a.m., 7:30:15
    rule(
        r"(?<![\d:.])(?P<hour>[01]?\d|2[0-4])(?::|\.(?=\d\d ?[AaPp]\.?[Mm]\b))(?P<minute>[0-5]\d)"
        r"(?::(?P<second>[0-5]\d))?(?![:.]?\d)(?: (?=hours\b)|)"
        r"(?=(?: (?:or|to|and) \d\d?(?::\d\d)?)? ?(?:(?P<dotted>[AaPp]\.[Mm]\.)|(?P<bare>[AaPp][Mm]\b))|)",
        _read_clock,
    ),
)
YEARS = (
    # the 1480s, 1480's → fourteen eighties, the '60s, 1980S; 100s of → hundreds of
    rule(r"(?P<mark>(?<!\w)'|)(?<![\d.,])(?P<number>\d{1,3}0|1,000)'?[sS]\b", "{mark}{number:decade}", decade=_decade),
    # '63 → 'sixty-three
    rule(r"(?<!\w)'(?P<year>\d\d)(?![\d'])", "'{year:pairs}"),
    # 323 B.C., 605 to 562 B.C., A.D. 410
    rule(
        r"(?<![\d,])[1-9]\d{2,3}(?=(?: (?:to|or|and) \d{1,4})? (?:B\.? ?C|A\.? ?D|C\.?E)\b)|"
        r"(?:(?<=A\.D\. )|(?<=\bAD ))[1-9]\d{2,3}(?!,?\d)",
        "{:pairs}",
    ),
    # In 606, Nineveh; in 1066 the Normans; by 1066 it was over; since 1099
    rule(
        r"(?:(?:(?<=\b[Ii]n )|(?<=\byear )|(?<=\b[Ss]ince )|(?<=\b[Uu]ntil ))(?:[1-9]\d\d|10\d\d)|"
        rf"(?:(?<=\b[Bb]y )|(?<=\b[Bb]efore )|(?<=\b[Aa]fter )|(?<=[a-z] of ))10[1-9]\d){_AFTER_A_YEAR}",
        "{:pairs}",
    ),
    # 1984 → nineteen eighty-four; 1,984 is an integer
    rule(r"(?<!\d)(?<!\d,)(?:1[1-9]|20)\d\d(?!,?\d)", _read_year),
)
