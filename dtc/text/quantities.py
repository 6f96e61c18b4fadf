"""Numbers with what they measure or count: units, ordinals, fractions, decimals, ranges, ratios and factors."""

from __future__ import annotations

import re

from dtc.text.dates import MONTHS
from dtc.text.money import SCALES
from dtc.text.numbers_in_words import amount_in_words, cardinal, fraction_in_words, integer_in_words, plural_in_words
from dtc.text.rules import (
    AMOUNT,
    COUNTED,
    INTEGER,
    OPENERS,
    SMALL,
    STOP,
    before,
    counted,
    describes,
    plural,
    rule,
    table,
)
from dtc.text.units import UNIT, UNIT_END, unit_in_words

_SIGN_OF = table("- minus, + plus, ± plus or minus, ~ about, ≈ approximately, < less than, > more than")
_THREE_D = (
    r"(?=[- ](?:animat|art\b|camera|cinema|design|display|effect|film|game|glasses|graphic|image|map|model|movie|"
    r"object|print|render|scan|scene|screen|shape|shoot|software|sound|space|television|tv|TV|version|view|vision|world))"
)
_COST = re.compile(r"\b(?:costs?|paid|pays?|price of|worth|charged?|sold (?:at|for)|shillings?,?|pounds?,?|£\d{1,3}) $")
# 15s behind these is a time; other multiples of ten are decades, and two 6s are sixes.
_IN_SECONDS = re.compile(
    r"(?i)\b(?:took|takes?|for|in|of|within|after|every|waits?|waited|hold|pause|sleep|lasts?|lasted|an?|about|only|"
    r"under|over|another|\d m|\d ?min|minutes?) $"
)
_PLURAL = re.compile(
    r"\b(?:all|both|many|several|only|rolled|drew|(?:pair|row|set)s? of|by|two|three|four|five|six|\d|\ds and) $"
)
_TIME = r"(?P<time>(?= (?:later|ago|before|old|left|away)\b))?"
# Behind a price: 4s. each, 10s. a week
_EACH = r"(?P<each>(?= (?:each\b|(?:a|per) (?:week|day|year|head|pound|dozen|month|yard)\b)))?"
# Letters that are no unit: "5 in May", "100K", "the 1980s" (but "2.5s"), "100 W. Elm Street".
_NO_UNIT = (
    r"(?!(?<= )in(?!\.(?:$|[ ,;:)])| (?:long|wide|tall|high|deep|thick)\b)|(?<! )K\b|(?(fraction)(?!)|(?<=\d)s)|"
    rf"(?<! )st\b|[NW]\.? (?!(?:{OPENERS})\b)[A-Z])"
)
_NO_RACE = r"(?! (?:camera|display|footage|monitor|race|resolution|run|screen|television|TV|video|walk)s?\b)"
_DATED = re.compile(rf"(?:\b(?:[Tt]he|of|on) |\b(?:{'|'.join(MONTHS)}) )$")


def _read_fraction(match: re.Match[str]) -> str:
    numerator, denominator = int(match["numerator"]), int(match["denominator"])
    if numerator == denominator:  # 10/10
        return match[0].replace("/", " out of ")
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
    if number[-1] != "0" and _PLURAL.search(context):
        return plural_in_words(cardinal(int(number)))
    if number[-1] == "0" and number != "10" and match["time"] is None and not _IN_SECONDS.search(context):
        return match[0]
    return f"{integer_in_words(number)} second" if describes(match) else counted(number, "second")


def _read_d(match: re.Match[str]) -> str:
    """Return "5d" as days, "6d." beside a price as pence, and leave an ordinal, as in "the 22d of November"."""
    number, context = match["number"], before(match, 24)
    if _COST.search(context) or match["each"] is not None:
        return counted(number, "penny")
    is_ordinal = number[-1] in "23" and number not in ("12", "13") and match["time"] is None
    return match[0] if is_ordinal and _DATED.search(context) else counted(number, "day")


def _read_quantity(match: re.Match[str]) -> str:
    unit, gap = unit_in_words(match["unit"]), match["gap"]
    is_rating = unit.endswith(("watt", "volt", "megapixel"))  # 60 W bulbs
    is_one = match["number"] == "1" or gap == "-" or describes(match, needs_article=not is_rating)
    return f"{amount_in_words(match['number'])}{gap or ' '}{unit if is_one else plural(unit)}"


def _read_mark(match: re.Match[str]) -> str:
    number = match["number"]
    unit = "inch" if match["mark"] == "″" else "foot"
    is_part = number.find("/") > 0 and not before(match)[-2:-1].isdecimal()
    is_one = number == "1" or is_part or describes(match, needs_article=False)
    return f"{number} {unit if is_one else plural(unit)}"


LENGTHS = (
    # 70 deg F → 70°F
    rule(r"(?<=\d) ?(?:°|deg\.?|degrees?) ?(?=[CF]\b)", "°"),
    # 5″-7″ → 5″ to 7″
    rule(r"(?<=\d[′″])-(?=\d)", " to "),
    # 8x10, 2 x 4, 8″ x 10″, 5 cm × 7 cm → eight by ten; 3 × 4, 3 * 4 → three times four; a 5* hotel
    rule(
        r"(?:(?<=\d)|(?<=\d[′″a-z])|(?<=\d[a-z]{2})|(?<=\d [a-z]{2})|(?<=\d [a-z])) ?(?:x|(?<!\d)(?<!\d )×) ?(?=\d)",
        " by ",
    ),
    rule(r"(?<=\d) ?[×*] ?(?=\d)", " times "),
    rule(r"(?<=\b[1-7])\*(?= ?[a-z])", " star"),
    # 12″ vinyl → 12 inch vinyl; 5′ tall → 5 feet tall
    rule(r"(?P<number>(?<![\d.,/])[\d.,/]*\d) ?(?P<mark>[′″])", _read_mark),
    # 9.5/10 → 9.5 out of 10, 120/80 → 120 over 80; 24/7, 50-50, 3/4 time → 24 7, 50 50, 3 4 time
    rule(r"(?:(?<=\d\.\d)|(?<=\d\.\d\d))/(?=\d)(?!\d+[./]\d)", " out of "),
    rule(r"(?<![\d/.,])(?P<first>1\d\d)/(?=[4-9]\d\b)(?!\d+/)", "{first} over "),
    rule(
        r"(?<![\w.,/-])(?P<first>24(?=[-/]7)|20(?=/20)|50(?=[-/]50)|[6-9]0(?=[-/][1-4]0)|\d(?=/\d time\b))[-/]"
        r"(?=\d0?(?![\w/-]|[.,:]\d|%))",
        "{first} ",
    ),
    # 1/2 tsp → one half teaspoon, 3 1/2 → three and one half, 7/8ths
    rule(
        r"(?<![\d/.,])(?:(?P<whole>\d{1,6})[ -])?(?P<numerator>[1-9]\d?)/"
        r"(?P<denominator>[2-9]|10|12|16|20|32|64|1000?)(?:ths|rds|(?!\d|[/.,]\d))"
        rf"(?:(?P<gap> |-|)(?P<unit>(?!in\b(?! ?\.|[ -][a-z]+[a-z]\b)){UNIT}){UNIT_END})?",
        _read_fraction,
    ),
    # 8 GB/s, 60 km/h, before the slash is lost
    rule(rf"{AMOUNT}(?P<gap> |-|)(?P<unit>{UNIT}/{UNIT}){UNIT_END}", _read_quantity),
)
SIGNS = (
    # 1-2-3 → 1 2 3
    rule(r"(?<![\d-])\d+(?:-\d+){2,}", lambda match: match[0].replace("-", " ")),
    # 5-10, 5%-10%, 9am-5pm, 1980s-1990s, 10kg-20kg → … to …
    rule(
        r"(?:(?<=\d)|(?<=\d[A-Za-z%°'])|(?<=\d[A-Za-z°]{2})|(?<=\d [A-Za-z]{2})|(?<=[ap]\.m\.))-(?=[$£€¥'.]?\d)", " to "
    ),
    # -5 → minus five, ±5 → plus or minus five, < 5 → less than five, #1 → number one
    rule(r"(?P<sign>(?<![^ (])[-+~<>]|[±≈])(?:(?<!-) )?(?=[$£€¥]?\.?\d)", "{sign:name} ", name=_SIGN_OF),
    rule(r"#(?=\d)", "number "),
    # 3:1, 1:10,000 → three to one, one to ten thousand; a ratio of 1:50, a 1:50 scale
    rule(
        r"(?<![\d:.])(?P<of>\b(?:odds|ratio|scale) of )?(?P<first>\d{1,4}):(?=\d(?!\d)|\d{3}|\d{1,2},\d{3}|"
        r"\d\d(?(of)| (?:odds|ratio|scale|mix|split|dilution)\b))(?!\d+[:.]\d)",
        "{of}{first} to ",
    ),
)
LETTERS = (
    # 6 ft 2 in → 6 ft 2 inches
    rule(r"(?P<feet>\d ?(?:ft\.?|feet|foot)),? (?P<inches>\d{1,2}(?:\.\d)?) ?in\b\.?(?! \d)", "{feet} {inches} inches"),
    # 3d printing, in 3D → three D printing, in three D
    rule(
        rf"(?<![\w.,])(?P<number>[234])-?[dD]\b(?:{_THREE_D}|(?<=D)(?=[ .,;:!?)]|$)|"
        r"(?<=\b[Ii]n \d[dD])(?=[.,;:!?)]|$| (?:and|or|with|on|at|by|for)\b))",
        "{number} D",
    ),
    # 2h 30m → two hours thirty minutes; 3w ago, 5y old
    rule(rf"{SMALL}h ?(?P<minutes>\d{{1,2}})(?:m|min)?\b", "{number} h {minutes} min"),
    rule(
        rf"{SMALL}(?P<unit>[wy])(?: ?o)?(?= (?:later|ago|before|old)\b)",
        "{number} {unit:full}",
        full=table("w wk, y yr"),
    ),
    # 15s → fifteen seconds, 10s. 6d. → ten shillings six pence, 5d later → five days later
    rule(rf"{SMALL}s(?P<pence>\.?(?= \d{{1,2}}d\b))?(?:(?<=\.)|{STOP}|\b){_TIME}{_EACH}", _read_s),
    rule(rf"{SMALL}d\b{_TIME}(?:{STOP})?{_EACH}", _read_d),
    # 10x faster → ten times faster
    rule(rf"{AMOUNT} ?[x×](?![\w×])", "{number:times}", times=lambda number: counted(number, "time")),
    # 13A fuse, 10 A circuit
    rule(r"(?<=\d) ?A(?= (?:battery|breaker|charger|circuit|current|fuse|outlet|plug|socket)\b)", " amp"),
    # the 49ers → the forty-niners
    rule(
        rf"{SMALL}er(?P<plural>s?)\b",
        "{number:er}{plural}",
        er=lambda digits: cardinal(int(digits)).removesuffix("e") + "er",
    ),
)
UNITS = (
    # 5m people, 10k → five million people, ten thousand; a 10k run
    rule(
        rf"{AMOUNT}(?P<scale>(?:[mM]|mn|[bB])(?={COUNTED})|(?:[kK]{_NO_RACE}|bn|tn)\b|(?<!\b3)M\b)",
        "{number:amount} {scale:scale}",
        scale=lambda letters: SCALES[letters.lower()],
    ),
    # 90% → ninety percent, 1.5 km, a 35-mm film, 5 sq ft
    rule(rf"{AMOUNT}(?P<gap> |-|){_NO_UNIT}(?P<unit>{UNIT}){UNIT_END}", _read_quantity),
)
NUMBERS = (
    # 21st, 21ST → twenty-first, 22d
    rule(rf"(?P<digits>{INTEGER})(?:st|nd|rd|th|ST|ND|RD|TH|(?<=[23])d)\b", "{digits:ordinal}"),
    # a .38-caliber pistol, a .45 revolver
    rule(
        r"(?<![\w.)])\.(?P<digits>[1-9]\d{1,2})"
        r"(?=(?i:[ -](?:\w{1,12} )?(?:calib|magnum|pistol|revolver|rifle|special)))",
        "{digits:pairs}",
    ),
    # 1.2.3
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}", lambda match: match[0].replace(".", " point ")),
    # 3.14 → three point one four
    rule(rf"(?:{INTEGER}|(?<![\w.)]))\.\d+", "{:amount}"),
)
# 123,456 → one hundred twenty-three thousand four hundred fifty-six; 007 → zero zero seven
WHOLE = rule(INTEGER, "{:number}")
