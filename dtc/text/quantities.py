"""Numbers with what they measure or count: units, ordinals, fractions, decimals, ranges, ratios and factors."""

from __future__ import annotations

import re

from dtc.text.calendar_words import MONTHS
from dtc.text.numbers_in_words import (
    cardinal,
    fraction_in_words,
    integer_in_words,
    ordinal_in_words,
    pairs_in_words,
)
from dtc.text.rules import (
    COUNTED,
    FUNCTION_WORDS,
    INNER_STOP,
    INTEGER,
    OPENERS,
    STOP,
    amount,
    before,
    counted,
    plural,
    rule,
)
from dtc.text.units import UNIT, unit_in_words

_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion"}
# What describes a measure, so that the unit before it is in the plural: twelve inches long.
_DIMENSIONS = (
    "long|wide|tall|high|deep|thick|across|apart|away|ago|later|earlier|old|more|less|further|farther|above|below|"
    "taller|longer|shorter|wider|higher|deeper|heavier|faster|slower|north|south|east|west|square|each|x"
)
_NOUN = rf"[ -](?!(?:{FUNCTION_WORDS}|{_DIMENSIONS})\b)[A-Za-z]"
_THREE_D = (
    r"(?=[- ](?:animat|art\b|camera|cinema|design|display|effect|film|game|glasses|graphic|image|map|model|movie|"
    r"object|print|render|scan|scene|screen|shape|shoot|software|sound|space|television|tv|TV|version|view|vision|world))"
)
_COST = re.compile(r"\b(?:costs?|paid|pays?|price of|worth|charged?|sold (?:at|for)|shillings?,?|pounds?,?|£\d{1,3}) $")
_IN_SECONDS = re.compile(
    r"(?i)\b(?:took|takes?|for|in|within|after|every|waits?|waited|hold|pause|sleep|lasts?|lasted|an?|about|only|under|"
    r"over|another) $"
)
_DECADES = re.compile(r"(?i)(?:\b(?:the|his|her|their|my|your|our|its|early|mid|late|and|or|to|'|in)[ -])$")
_DECADES_NOUN = re.compile(
    r"\.? (?!later|ago|timer|timeout|delay|clip|pause|interval|countdown|limit|break|gap|recording|video)[a-z]"
)
# Letters that are no unit: "5 in May", "100K", "the 1980s" (but "2.5s"), "100 W. Elm Street".
_NO_UNIT = (
    r"(?!(?<= )in(?!\.(?:$|[ ,;:)])| (?:long|wide|tall|high|deep|thick)\b)|(?<! )K\b|(?(fraction)(?!)|(?<=\d)s)|"
    rf"W\.? (?!(?:{OPENERS})\b)[A-Z])"
)
_BEHIND_FEET = re.compile(r"\bfoot (?:\d+ )?$")
_DATED = re.compile(rf"(?:\b(?:[Tt]he|of|on) |\b(?:{'|'.join(MONTHS)}) )$")


def _is_adjective(match: re.Match[str], unit: str = "") -> bool:
    """Return whether a measure describes the noun that follows it: "a 5 kg bag", "60 W bulbs", not "100 g flour"."""
    has_article = re.search(r"\b(?:an?|the|this|that|each|every) $", before(match))
    is_rating = unit.endswith(("watt", "volt", "megapixel"))
    return bool((has_article or is_rating) and re.match(_NOUN, match.string[match.end() :][:24]))


def _read_fraction(match: re.Match[str]) -> str:
    numerator, denominator = int(match["numerator"]), int(match["denominator"])
    if not 0 < numerator < denominator:  # 24/7
        return match[0].replace("/", " ")
    words = fraction_in_words(numerator, denominator)
    words = f"{integer_in_words(match['whole'])} and {words}" if match["whole"] else words
    if not match["unit"]:
        return words
    unit = unit_in_words(match["unit"])
    return f"{words}{match['gap'] or ' '}{plural(unit) if match['whole'] and match['gap'] != '-' else unit}"


def _read_s(match: re.Match[str]) -> str:
    """Return "15s" as seconds, "4s." beside a price as shillings, and leave a decade, as in "in his 20s"."""
    number, context = match["number"], before(match, 24)
    if _COST.search(context) or match["pence"] is not None or match["each"] is not None:
        return counted(number, "shilling")
    is_tens = number[-1] == "0" and number != "10" and not _IN_SECONDS.search(context)
    if is_tens and (_DECADES.search(context) or _DECADES_NOUN.match(match.string[match.end() :][:12])):
        return match[0]
    return counted(number, "second") if not _is_adjective(match) else f"{integer_in_words(number)} second"


def _read_d(match: re.Match[str]) -> str:
    """Return "5d" as days, "6d." beside a price as pence, and leave an ordinal, as in "the 22d of November"."""
    number, context = match["number"], before(match, 24)
    if _COST.search(context) or match["each"] is not None:
        return counted(number, "penny")
    is_ordinal = number[-1] in "23" and number not in ("12", "13") and match["time"] is None
    return match[0] if is_ordinal and _DATED.search(context) else counted(number, "day")


def _read_scale(match: re.Match[str]) -> str:
    return f"{amount(match['whole'], match['fraction'])} {_SCALES[match['scale'].lower()]}"


def _read_quantity(match: re.Match[str]) -> str:
    unit, gap = unit_in_words(match["unit"]), match["gap"]
    is_one = (
        gap == "-" or _is_adjective(match, unit) or (match["whole"] == "1" and not match["fraction"])
    )  # a 35-mm film
    return f"{amount(match['whole'], match['fraction'])}{gap or ' '}{unit if is_one else plural(unit)}"


def _read_mark(match: re.Match[str]) -> str:
    number = match["number"]
    if _BEHIND_FEET.search(before(match)) and match["mark"] == "″":
        return number  # six foot two
    unit = "inch" if match["mark"] == "″" else "foot"
    is_one = (
        match["noun"] is not None or number == "1" or (number.find("/") > 0 and not before(match)[-2:-1].isdecimal())
    )
    return f"{number} {unit if is_one else plural(unit)}"


def _read_times(match: re.Match[str]) -> str:
    number = amount(match["whole"], match["fraction"])
    return f"{number} {'time' if number == 'one' else 'times'}"


def _read_ers(match: re.Match[str]) -> str:
    words = cardinal(int(match["number"]))
    return words + ("r" if words.endswith("e") else "er") + match["plural"]


# ── marks and letters directly behind a number ──────────────────────────────────────────────────────────────────────

# 30°N → 30° N
COORDINATE = rule(r"(?<=\d°)(?P<point>[NSEW]\b)", r" \g<point>")
# 5″-7″ → 5″ to 7″
RANGE_OF_LENGTHS = rule(r"(?<=\d[′″])-(?=\d)", " to ")
# 6′ 2″ → 6 foot 2; 12″ vinyl → 12 inch vinyl; 5′ tall → 5 feet tall
FEET_AND_INCHES = rule(r"(?<=\d)′ ?(?=\d[\d /.]{0,6}″)", " foot ")
FEET_OR_INCHES = rule(rf"(?P<number>(?<![\d.,/])[\d.,/]*\d) ?(?P<mark>[′″])(?P<noun>(?={_NOUN}))?", _read_mark)
# 1/2 tsp → one half teaspoon, 3 1/2 → three and one half
FRACTION = rule(
    r"(?<![\d/.,])(?:(?P<whole>\d{1,6})[ -])?(?P<numerator>\d{1,2})/(?P<denominator>[2-9]|10|12|16|20|32|64|100)"
    rf"(?!\d|[/.,]\d)(?:(?P<gap> |-|)(?P<unit>(?!in\b){UNIT})(?![\w'°/]){INNER_STOP})?",
    _read_fraction,
)
# 3d printing → three D printing
THREE_D = rule(rf"(?<![\w.,])(?P<number>[234])-?[dD](?:\b{_THREE_D}|(?<=D)\b(?=[ .,;:!?)]|$))", r"\g<number> D")
IN_THREE_D = rule(r"(?<=\b[Ii]n )(?P<number>[23])[dD](?=[.,;:!?)]|$| (?:and|or|with|on|at|by|for)\b)", r"\g<number> D")
# 15s → fifteen seconds, 10s. 6d. → ten shillings six pence, 5d later → five days later
S = rule(
    rf"(?<![\w.,])(?P<number>\d{{1,3}})s(?P<pence>\.?(?= \d{{1,2}}d\b))?(?:(?<=\.)|{STOP}|\b)"
    r"(?P<each>(?= (?:each\b|(?:a|per) (?:week|day|year|head|pound|dozen|month|yard)\b)))?",
    _read_s,
)
D = rule(
    rf"(?<![\w.,])(?P<number>\d{{1,3}})d\b(?P<time>(?= (?:later|ago|before|old|left|away)\b))?(?:{STOP})?"
    r"(?P<each>(?= (?:each\b|(?:a|per) (?:week|day|year|head|pound|dozen|month|yard)\b)))?",
    _read_d,
)
# 2h 30m → two hours thirty minutes; 3w ago, 5y old
HOURS = rule(r"(?<![\w.,])(?P<hours>\d{1,3})h ?(?P<minutes>\d{1,2})(?:m|min)?\b", r"\g<hours> h \g<minutes> min")
WEEKS = rule(r"(?<![\w.,])(?P<number>\d{1,3})w(?= (?:later|ago|before|old)\b)", r"\g<number> wk")
YEARS = rule(r"(?<![\w.,])(?P<number>\d{1,3})y(?: ?o)?(?=(?: (?:later|ago|before|old)\b))", r"\g<number> yr")
# 10k run → ten K run; 5m people, 10k → five million people, ten thousand
RACE = rule(
    r"(?<![\w.,])(?P<number>\d{1,2})[kK](?= (?:camera|display|footage|monitor|race|resolution|run|screen|television|TV|"
    r"tv|video|walk)s?\b)",
    lambda match: f"{integer_in_words(match['number'])} K",
)
SCALE = rule(
    rf"(?<![.,])(?P<whole>{INTEGER})(?:\.(?P<fraction>\d+))?(?P<scale>(?:[mM]|mn|[bB])(?={COUNTED})|(?:[kK]|bn|tn)\b|(?<!\b3)M\b)",
    _read_scale,
)
# 8x10, 2 x 4, 8″ x 10″, 5 cm × 7 cm → eight by ten; 3 × 4 → three times four
BY = rule(
    r"(?:(?<=\d)|(?<=\d[′″a-z])|(?<=\d[a-z]{2})|(?<=\d [a-z]{2})|(?<=\d [a-z])) ?(?:x|(?<!\d)×|(?<!\d )×) ?(?=\d)",
    " by ",
)
MULTIPLY = rule(r"(?<=\d) ?× ?(?=\d)", " times ")
# 10x faster → ten times faster
TIMES = rule(rf"(?<![.,])(?P<whole>{INTEGER})(?:\.(?P<fraction>\d+))? ?[x×](?![\w×])", _read_times)
# 13A fuse, 10 A circuit
AMPERES = rule(r"(?<=\d) ?A(?= (?:battery|breaker|charger|circuit|current|fuse|outlet|plug|socket)\b)", " amp")
# the 49ers → the forty-niners
ERS = rule(r"(?<![\w.,])(?P<number>\d{1,3})er(?P<plural>s?)\b", _read_ers)

# 6 ft 2 in → 6 ft 2 inches
FEET_IN = rule(
    r"(?P<feet>\d ?(?:ft\.?|feet|foot)),? (?P<inches>\d{1,2}(?:\.\d)?) ?in\b\.?(?! \d)", r"\g<feet> \g<inches> inches"
)

# ── ranges, ratios and signs ────────────────────────────────────────────────────────────────────────────────────────

# 50-50, 70-30 → fifty-fifty, seventy-thirty; 24-7
SPLIT = rule(
    r"(?<![\w.,/-])(?:(?P<half>50)-50|(?P<first>[6-9]0)-(?P<second>[1-4]0)|24-7)(?![\w-]|[.,:]\d|%)",
    lambda match: match[0].replace("-", " "),
)
# 5-10, 5%-10%, 9am-5pm, 1980s-1990s, 10kg-20kg → … to …
RANGE = rule(
    r"(?:(?<=\d)|(?<=\d[A-Za-z%°'])|(?<=\d[A-Za-z°]{2})|(?<=\d [A-Za-z]{2})|(?<=[ap]\.m\.))-(?=[$£€¥'.]?\d)", " to "
)
# 3:1, 1:100 → three to one, one to one hundred; a ratio of 1:50, a 1:50 scale
RATIO = rule(
    r"(?<![\d:.])(?P<first>\d{1,4}):(?P<second>\d(?!\d)|\d{3,6}(?!\d)|"
    r"\d\d(?= (?:odds|ratio|scale|mix|split|dilution)\b))(?![:.]\d)",
    r"\g<first> to \g<second>",
)
RATIO_OF = rule(r"\b(?P<noun>odds|ratio|scale) of (?P<first>\d{1,4}):(?=\d)", r"\g<noun> of \g<first> to ")
MINUS = rule(r"(?<![^ (])-(?=[$£€¥]?\.?\d)", "minus ")
NUMBER_SIGN = rule(r"#(?=\d)", "number ")
PLUS = rule(r"(?<![\w+])\+(?=\d)", "plus ")

# ── units, ordinals and decimals ────────────────────────────────────────────────────────────────────────────────────

# 90% → ninety percent, 1.5 km, a 35-mm film, 5 sq ft
QUANTITY = rule(
    rf"(?:(?<![.,])(?P<whole>{INTEGER})|(?<![\w.)])(?=\.))(?:\.(?P<fraction>\d+))?(?P<gap> |-|)"
    rf"{_NO_UNIT}(?P<unit>{UNIT})(?![\w'°/]){INNER_STOP}",
    _read_quantity,
)
# 8 GB/s, 60 km/h, before the slash is lost
QUANTITY_PER = rule(
    rf"(?:(?<![.,])(?P<whole>{INTEGER})|(?<![\w.)])(?=\.))(?:\.(?P<fraction>\d+))?(?P<gap> |-|)"
    rf"(?P<unit>{UNIT}/{UNIT})(?![\w'°/]){INNER_STOP}",
    _read_quantity,
)
# 21st, 21ST → twenty-first, 22d
ORDINAL = rule(
    rf"(?P<digits>{INTEGER})(?:st|nd|rd|th|ST|ND|RD|TH|(?<=[23])d)\b", lambda match: ordinal_in_words(match["digits"])
)
# a .38-caliber pistol, a .45 revolver
CALIBER = rule(
    r"(?<![\w.)])\.(?P<digits>[1-9]\d{1,2})"
    r"(?=(?i:[ -](?:\w{1,12} )?(?:calib|magnum|pistol|revolver|rifle|special)))",
    lambda match: pairs_in_words(int(match["digits"])),
)
# 1.2.3
VERSION = rule(r"(?<![\d.])\d+(?:\.\d+){2,}", lambda match: match[0].replace(".", " point "))
# 3.14 → three point one four
DECIMAL = rule(
    rf"(?:(?P<whole>{INTEGER})|(?<![\w.)]))\.(?P<fraction>\d+)", lambda match: amount(match["whole"], match["fraction"])
)
# 123,456 → one hundred twenty-three thousand four hundred fifty-six; 007 → zero zero seven
WHOLE = rule(INTEGER, lambda match: integer_in_words(match[0]))
