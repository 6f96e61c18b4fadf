"""Raw English text → the words a speaker says.

`normalise` folds the characters, spells out abbreviations and then applies a short ordered list of rules; each is a
pattern and the function that reads its match aloud. Order matters: a rule sees only what the rules above it have left.
Some leave digits for the rules below (3-5 → 3 to 5); none passes the last one, so that `normalise` is idempotent.

The style is that of LJSpeech's published texts: "one hundred ninety-seven" without "and", "eighteen oh three",
"November twenty-two, nineteen sixty-three". A pattern that opens with digits begins only where their run does: from
every digit anew, a text of nothing but digits would take quadratic time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from dtc.text.abbreviations import MONTHS, STOP, expand_abbreviations
from dtc.text.characters import plain_characters
from dtc.text.numbers_in_words import (
    NUMBER_WORDS,
    cardinal,
    decimal_in_words,
    digits_in_words,
    fraction_in_words,
    integer_in_words,
    last_two_digits_in_words,
    ordinal_in_words,
    pairs_in_words,
    plural_in_words,
    roman_value,
)

Read = Callable[[re.Match[str]], str]

# 7 · 1984 · 123,456; a comma counts only between groups of three.
INTEGER = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,12}(?!\d)|\d+)"
ROMAN = r"(?=[IVX]{2})X{0,3}(?:IX|IV|V?I{0,3})(?![^\W\d])"
ROMAN_LETTER = r"[IVX](?![^\W\d]|'[^s])"  # no I'll
# What the letters of a code are followed by, in digits or already read.
CODE = rf"[ -]?\d| (?:[A-Z]|{'|'.join(NUMBER_WORDS)})\b"
# Where a word begins, be it behind a digit.
WORD = r"(?<![^\W\d])"
# The full stop behind a numeral or unit; one that may end the sentence stays.
INNER_STOP = r"(?:\.(?=[,;:)]| [a-z]))?"

# Words after which a digit string is a label, read digit by digit …
CARRIERS = "call|dial|code|room|flight|pin|extension"
# … or in pairs.
LABELS = r"[Nn]umbers?|[Ee]xhibit|[Rr]oute|[Hh]ighway|P\.S\."
STREETS = "Street|Avenue|Road|Lane|Drive|Boulevard|Place|Square|Court|Terrace"
# Nouns that count in Roman numerals; after others, names, these are ordinals.
PARTS = (
    "Act|Appendix|Article|Book|Canto|Chapter|Class|Corps|Division|Exhibit|Figure|Level|Mark|Number|Part|Phase|Plate|"
    "Psalm|Scene|Section|Stage|Table|Title|Type|Volume|War"
)
# A single I, V or X is an ordinal after these alone; elsewhere it is a word or an initial.
MONARCHS = (
    "Albert|Alexander|Alfonso|Charles|Christian|Constantine|Cyrus|Darius|Edward|Elizabeth|Ferdinand|Francis|Frederick|"
    "George|Gustav|Henry|James|John|Leo|Leopold|Louis|Mary|Napoleon|Nicholas|Otto|Paul|Peter|Philip|Pius|Ptolemy|"
    "Richard|Robert|Victor|William|Xerxes"
)
CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
SCALES = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}
UNITS = {
    "%": "percent", "¢": "cent", "°C": "degree Celsius", "°F": "degree Fahrenheit", "°": "degree", "mm": "millimeter",
    "cm": "centimeter", "m": "meter", "km": "kilometer", "mg": "milligram", "g": "gram", "kg": "kilogram",
    "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "mph": "mile per hour", "oz": "ounce", "lb": "pound",
    "lbs": "pound", "sec": "second", "min": "minute", "hr": "hour", "hrs": "hour", "Hz": "hertz", "kHz": "kilohertz",
    "MHz": "megahertz", "GHz": "gigahertz", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
}  # fmt: skip
PLURALS = {"foot": "feet", "hertz": "hertz", "penny": "pence", "percent": "percent", "sen": "sen", "yen": "yen"}


def normalise(text: str) -> str:
    """Write an English text as it is spoken; phonemes in braces stay as they are.

    Raises nothing and loses nothing: a character that is no English prose is still there. Single spaces, no decimal
    digit outside braces, and `normalise(normalise(text)) == normalise(text)`.

    >>> normalise("On Nov. 22, 1963, Mr. Hill paid $12.50")
    'On November twenty-two, nineteen sixty-three, Mister Hill paid twelve dollars and fifty cents'
    """
    parts = re.split(r"(\{[^{}]*\})", plain_characters(text))
    parts[::2] = map(_in_words, parts[::2])  # every other part is a pair of braces
    return " ".join("".join(parts).split())


def _in_words(text: str) -> str:
    text = expand_abbreviations(text)
    for pattern, read in RULES:
        text = pattern.sub(partial(_read_apart, read), text)
    return text


def _read_apart(read: Read, match: re.Match[str]) -> str:
    """Keep a reading apart from letters it would otherwise grow together with: "7:45pm", "B52"."""
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * before.isalnum() + read(match) + " " * after.isalnum()


def _before(match: re.Match[str]) -> str:
    """The last characters before a match: no more of them, or a long text would take quadratic time."""
    return match.string[max(match.start() - 12, 0) : match.start()]


# ── one reading per rule ────────────────────────────────────────────────────────────────────────────────────────────


def _read_roman_part(match: re.Match[str]) -> str:
    return f"{match['name']} {cardinal(roman_value(match['numeral']))}"


def _read_monarch(match: re.Match[str]) -> str:
    return f"{match['name']} the {ordinal_in_words(str(roman_value(match['numeral'])))}"


def _read_carrier(match: re.Match[str]) -> str:
    return f"{match['carrier']} {digits_in_words(match['digits'])}"


def _read_label(match: re.Match[str]) -> str:
    return f"{match['label']} {pairs_in_words(int(match['digits']))}" + (match["letter"] or "").replace("-", " ")


def _read_code(match: re.Match[str]) -> str:
    return f"{' '.join(match['letters'])} {digits_in_words(match['digits'])}"


def _read_date(match: re.Match[str]) -> str:
    return f"{MONTHS[int(match['month']) - 1]} {match['day']}, {match['year']}"


def _read_fraction(match: re.Match[str]) -> str:
    numerator, denominator = int(match["numerator"]), int(match["denominator"])
    if not 0 < numerator < denominator:  # 24/7
        return match[0].replace("/", " ")
    fraction = fraction_in_words(numerator, denominator)
    return f"{integer_in_words(match['whole'])} and {fraction}" if match["whole"] else fraction


def _read_pence(match: re.Match[str]) -> str:
    number = match["number"]
    is_ordinal = number[-1] in "23" and number not in ("12", "13") and not re.search(r"shillings?,? $", _before(match))
    return match[0] if is_ordinal else _counted(number, "penny")  # the 22d


def _read_clock(match: re.Match[str]) -> str:
    hour, minute = cardinal(int(match["hour"])), int(match["minute"])
    if match["dotted"]:
        # LJSpeech keeps the colon of 12:36 p.m.; a bare 7:45 may as well be a score.
        return f"{hour}:{last_two_digits_in_words(minute, zero='')}" if minute else hour
    sharp = "" if match["bare"] else "o'clock"
    return f"{hour} {last_two_digits_in_words(minute, zero=sharp)}".strip()


def _read_price(match: re.Match[str]) -> str:
    unit, hundredth = CURRENCIES[match["sign"]]
    whole, fraction = match["whole"] or "0", match["fraction"]
    scale = match["scale"] or SCALES.get((match["short"] or "").lower())
    if scale or (fraction and len(fraction) != 2):
        return " ".join(filter(None, (_amount(whole, fraction), scale, _plural(unit))))
    if match["adjective"] is not None:
        return f"{_amount(whole, fraction)}-{unit}"  # a £5 note
    hundredths = (fraction or "").lstrip("0")
    parts = [_counted(whole, unit)] if whole.strip("0,") or not hundredths else []
    parts += [_counted(hundredths, hundredth)] if hundredths else []
    return " and ".join(parts)


def _read_quantity(match: re.Match[str]) -> str:
    unit = UNITS[match["unit"]]
    is_one = match["gap"] == "-" or (match["whole"] == "1" and not match["fraction"])  # a 35-mm film
    return f"{_amount(match['whole'], match['fraction'])}{match['gap'] or ' '}{unit if is_one else _plural(unit)}"


def _amount(whole: str | None, fraction: str | None) -> str:
    return decimal_in_words(whole or "", fraction) if fraction else integer_in_words(whole or "0")


def _counted(number: str, unit: str) -> str:
    return f"{integer_in_words(number)} {unit if number == '1' else _plural(unit)}"


def _plural(unit: str) -> str:
    first, *rest = unit.split(" ")
    return " ".join([PLURALS.get(first) or f"{first}s", *rest])


def _read_decade(match: re.Match[str]) -> str:
    return match["mark"] + plural_in_words(pairs_in_words(int(match["number"])))


def _read_short_year(match: re.Match[str]) -> str:
    return "'" + last_two_digits_in_words(int(match["year"]), zero="oh oh")


def _read_house(match: re.Match[str]) -> str:
    digits = match["digits"]
    return digits_in_words(digits) if len(digits) == 3 and digits[1:] != "00" else pairs_in_words(int(digits))


def _read_year(match: re.Match[str]) -> str:
    """1308 prisoners are counted; 1300 prisoners are thirteen hundred, as the year is."""
    year = int(match[0])
    is_count = bool(year % 100) and COUNTED.match(match.string, match.end()) and not DATING.search(_before(match))
    return cardinal(year) if is_count else pairs_in_words(year)


# A plural behind a number makes it a count, a word of time before it a year all the same.
COUNTED = re.compile(r" (?!was |has |as |its |does |always )(?:people|men|women|children|feet|[a-z]+[^\W_siu]s)\b")
DATING = re.compile(
    rf"(?i)\b(?:in|of|the|its|his|since|by|until|till|after|before|during|early|late|{'|'.join(MONTHS)})[ ,]+$"
)

# ── the rules, in order ─────────────────────────────────────────────────────────────────────────────────────────────

RULES: list[tuple[re.Pattern[str], Read]] = [
    (re.compile(pattern), read)
    for pattern, read in [
        # Chapter IV → Chapter four, World War II → World War two; Exhibit V836 is a code
        (rf"{WORD}(?P<name>(?i:{PARTS})) (?P<numeral>{ROMAN}){INNER_STOP}", _read_roman_part),
        (rf"{WORD}(?P<name>{PARTS}) (?P<numeral>{ROMAN_LETTER})(?!{CODE}){INNER_STOP}", _read_roman_part),
        # George III → George the third; James I., who → James the first, who; John I. Bouck
        (rf"{WORD}(?P<name>[A-Z][a-z]+) (?P<numeral>{ROMAN}){INNER_STOP}", _read_monarch),
        (
            rf"{WORD}(?P<name>{MONARCHS}) (?P<numeral>{ROMAN_LETTER})"
            r"(?:\.(?=[,;:)]| [a-z])|(?=[,;:)]|'s|\.?$| of | and ))",
            _read_monarch,
        ),
        # 1/2 → one half, 3 1/2 → three and one half
        (
            r"(?<![\d/.,])(?:(?P<whole>\d{1,6})[ -])?(?P<numerator>\d{1,2})/"
            r"(?P<denominator>[2-9]|10|12|16|20|32|64|100)(?!\d|[/.,]\d)",
            _read_fraction,
        ),
        (r"(?<=\d)/(?=\d)", lambda match: " "),
        # call 90210 → call nine zero two one zero, call 555-0199; "room 3.5" is a quantity
        (rf"(?i:\b(?P<carrier>{CARRIERS})) (?P<digits>\d+(?:-\d+)*)(?![.,:]?\d)", _read_carrier),
        (r"\b(?P<carrier>[Bb]ox) (?P<digits>\d{3,})(?![.,:]?\d)", _read_carrier),
        # Number 143 → Number one forty-three, Exhibit 133-A → Exhibit one thirty-three A
        (rf"\b(?P<label>{LABELS}) (?P<digits>[1-9]\d{{2,3}})(?P<letter>-[A-Z]\b)?(?![.,:]?\d)", _read_label),
        # 555-0199, (214) 555-0199, 1-214-555-0199; 500-1000 is a range
        (r"(?<![\d-])(?:1-)?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\d-])", lambda match: digits_in_words(match[0])),
        (r"(?<![\d.,-])\d{3}-(?!\d\d00)\d{4}(?![\d-])", lambda match: digits_in_words(match[0])),
        # 1963-11-22
        (r"(?<![\d-])(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>[0-3]\d)(?![\d-])", _read_date),
        (r"(?<![\d-])\d+(?:-\d+){2,}", lambda match: match[0].replace("-", " ")),
        # C2766 → C two seven six six
        (r"(?<![\w-])(?P<letters>[A-Z]{1,3})-?(?P<digits>\d{3,})(?![.,]?\d)", _read_code),
        # 500l. → five hundred pounds, 10s. 6d. → ten shillings six pence; the 3d → the third
        (rf"(?<![\w.,])(?P<number>{INTEGER})l{STOP}", lambda match: _counted(match["number"], "pound")),
        (
            rf"(?<![\w.,])(?P<number>\d{{1,3}})s(?:(?<![2-9]0s){STOP}|\.?(?= \d{{1,2}}d\b))",  # not "in his 20s."
            lambda match: _counted(match["number"], "shilling"),
        ),
        (rf"(?<![\w.,])(?P<number>\d{{1,2}})d\b{STOP}?", _read_pence),
        # 1850-53 → 1850 to 53; -5 → minus 5; #5
        (r"(?<=\d)-(?=\d)", lambda match: " to "),
        (r"(?<![^ (])-(?=\.?\d)", lambda match: "minus "),
        (r"#(?=\d)", lambda match: "number "),
        # 7:45 → seven forty-five, 7:05 → seven oh five, 7:00 → seven o'clock, 10.30 a.m.
        (
            r"(?<![\d:.])(?P<hour>[01]?\d|2[0-3])(?::|\.(?=\d\d ?[AaPp]\.?[Mm]\b))(?P<minute>[0-5]\d)(?![:.]?\d)"
            r"(?=(?: (?:or|to|and) \d\d?(?::\d\d)?)? ?(?:(?P<dotted>[AaPp]\.[Mm]\.)|(?P<bare>[AaPp][Mm]\b))|)",
            _read_clock,
        ),
        # $12.50 → twelve dollars and fifty cents, $0.05 → five cents, $1.5 million, £2bn
        (
            rf"(?P<sign>[$£€¥])(?=\.?\d)(?P<whole>{INTEGER})?(?:\.(?P<fraction>\d+))?"
            r"(?: (?P<scale>hundred|thousand|million|billion|trillion)\b|(?P<short>[kKmMbB]|bn)\b)?"
            r"(?P<adjective>(?= (?:bill|note)s?\b))?",
            _read_price,
        ),
        # 90% → ninety percent, 1.5 km, a 35-mm film
        (
            rf"(?:(?<![.,])(?P<whole>{INTEGER})|(?<![\w.)])(?=\.))(?:\.(?P<fraction>\d+))?(?P<gap> |-|)"
            rf"(?P<unit>{'|'.join(sorted(UNITS, key=len, reverse=True))})(?![\w'°]){INNER_STOP}",
            _read_quantity,
        ),
        # the 1480s, 1480's → fourteen eighties, the '60s
        (r"(?P<mark>(?<!\w)'|)(?<![\d.,])(?P<number>\d{1,3}0)'?s\b", _read_decade),
        # '63 → 'sixty-three
        (r"(?<!\w)'(?P<year>\d\d)(?![\d'])", _read_short_year),
        # 21st → twenty-first, 22d
        (rf"(?P<digits>{INTEGER})(?:st|nd|rd|th|(?<=[23])d)\b", lambda match: ordinal_in_words(match["digits"])),
        # a .38-caliber pistol, a .45 revolver
        (
            r"(?<![\w.)])\.(?P<digits>[1-9]\d{1,2})"
            r"(?=(?i:[ -](?:\w{1,12} )?(?:calib|magnum|pistol|revolver|rifle|special)))",
            lambda match: pairs_in_words(int(match["digits"])),
        ),
        # 1.2.3
        (r"(?<![\d.])\d+(?:\.\d+){2,}", lambda match: match[0].replace(".", " point ")),
        # 3.14 → three point one four
        (
            rf"(?:(?P<whole>{INTEGER})|(?<![\w.)]))\.(?P<fraction>\d+)",
            lambda match: _amount(match["whole"], match["fraction"]),
        ),
        # 411 Elm Street, 1026 North Beckley
        (
            rf"(?<![\d,])(?P<digits>[1-9]\d{{2,3}})(?= (?:North|South|East|West|[NSEW]\.) [A-Z]|"
            rf" (?:[A-Z][a-z]{{1,15}} ){{1,3}}(?:{STREETS})\b)",
            _read_house,
        ),
        # 323 B.C., 605 to 562 B.C., A.D. 410; In 606, Nineveh
        (
            r"(?<![\d,])[1-9]\d{2,3}(?=(?: (?:to|or|and) \d{1,4})? (?:B\.? ?C|A\.? ?D|C\.?E)\b)|"
            r"(?<=A\.D\. )[1-9]\d{2,3}(?!,?\d)|"
            r"(?:(?<=\b[Ii]n )|(?<=\byear ))(?:[1-9]\d\d|10\d\d)(?=,(?! ?\d)| [A-Z]|[.;:)]?$)",
            lambda match: pairs_in_words(int(match[0])),
        ),
        # 1984 → nineteen eighty-four; 1,984 is an integer
        (r"(?<!\d)(?<!\d,)(?:1[1-9]|20)\d\d(?!,?\d)", _read_year),
        # 123,456 → one hundred twenty-three thousand four hundred fifty-six; 007 → zero zero seven
        (INTEGER, lambda match: integer_in_words(match[0])),
    ]
]
