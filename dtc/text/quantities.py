"""Numbers with what they measure or count: units, ordinals, fractions, decimals, ranges, ratios and factors."""

from __future__ import annotations

import re

from dtc.text.dates import MONTHS
from dtc.text.money import SCALES
from dtc.text.numbers_in_words import amount_in_words, cardinal, fraction_in_words, integer_in_words, plural_in_words
from dtc.text.rules import AMOUNT, COUNTED, INTEGER, OPENERS, SMALL, STOP, before, counted, describes, plural, rule
from dtc.text.units import UNIT, UNIT_END, unit_in_words

_SIGN_OF = {"-": "minus", "+": "plus", "±": "plus or minus", "~": "about", "≈": "approximately"}
_SIGN_OF |= {"<": "less than", ">": "greater than"}
_THREE_D = (
    r"(?=[- ](?:animat|design|effect|film|game|graphic|image|map|model|movie|platform|print|render|scan|scene|screen|"
    r"shape|software|sound|space|television|tv|TV|version|view|vision|world))"
)
_COST = re.compile(r"\b(?:costs?|paid|pays?|price of|worth|charged?|sold (?:at|for)|shillings?,?|pounds?,?|£\d{1,3}) $")
# 20s behind the first is a time, and behind the second or before a word a decade; two 6s are sixes.
_IN_SECONDS = re.compile(
    r"(?i)\b(?:took|takes?|for|in|of|within|after|every|waits?|waited|hold|pause|sleep|lasts?|lasted|an?|about|only|"
    r"under|over|another|\d m|\d ?min|minutes?) $"
)
_DECADES = re.compile(r"(?i)(?:\b(?:the|his|her|their|my|your|our|its|early|mid|late|low|high|and|or|to)[ -]'?|')$")
_PLURAL = re.compile(
    r"\b(?:all|both|many|several|only|rolled|drew|(?:pair|row|set)s? of|by|two|three|four|five|six|\d|\ds and) $"
)
_TIME = r"(?P<time>(?= (?:later|ago|before|old|left|away)\b))?"
# Behind a price: 4s. each, 10s. a week
_EACH = r"(?P<each>(?= (?:each\b|(?:a|per) (?:week|day|year|head|pound|dozen|month|yard)\b)))?"
# Letters that are no unit: "5 in May", "100K", "the 1980s" (but "2.5s"), "100 W. Elm Street", "5 A students".
_NO_UNIT = (
    r"(?!(?<= )in(?!\.(?:$|[ ,;:)])| (?:long|wide|tall|high|deep|thick)\b)|in-|(?<! )(?:K|st)\b|"
    r"(?(fraction)(?!)|(?<=\d)s)|A\b(?! (?:battery|breaker|charger|circuit|current|fuse|outlet|plug|socket)\b)|"
    rf"[wy]\b(?! (?:later|ago|before|old)\b)|[NW]\.? (?!(?:{OPENERS})\b)[A-Z])"
)
_NO_RACE = r"(?! (?:camera|display|footage|monitor|race|resolution|run|screen|television|TV|video|walk)s?\b)"
_DATED = re.compile(rf"(?:\b(?:[Tt]he|of|on) |\b(?:{'|'.join(MONTHS)}) )$")


def _measured(amount: str, match: re.Match[str], is_one: bool) -> str:
    """Return an amount with its unit; in the singular for one, and before what it describes: "60 W bulbs"."""
    symbol, gap, unit = match["unit"], match["gap"], unit_in_words(match["unit"])
    is_rating = symbol[-1] in "AVWP′″" or " per " in unit or (not gap and symbol in ("h", "min"))
    is_one = is_one or gap == "-" or describes(match, needs_article=not is_rating)
    return f"{amount}{gap or ' '}{unit if is_one else plural(unit)}"


def _read_quantity(match: re.Match[str]) -> str:
    return _measured(amount_in_words(match["number"]), match, match["number"] == "1")


def _read_fraction(match: re.Match[str]) -> str:
    numerator, denominator = int(match["numerator"]), int(match["denominator"])
    if numerator == denominator:  # 10/10
        return match[0].replace("/", " out of ")
    words = fraction_in_words(numerator, denominator)
    words = f"{integer_in_words(match['whole'])} and {words}" if match["whole"] else words
    return _measured(words, match, not match["whole"]) if match["unit"] else words


def _read_s(match: re.Match[str]) -> str:
    """Return "15s" as seconds, "4s." beside a price as shillings, and leave a decade, as in "in his 20s"."""
    number, context = match["number"], before(match, 24)
    if _COST.search(context) or match["pence"] is not None or match["each"] is not None:
        return counted(number, "shilling")
    if number[-1] != "0" and _PLURAL.search(context):
        return plural_in_words(cardinal(int(number)))
    is_tens = number[-1] == "0" and number != "10" and match["time"] is None and not _IN_SECONDS.search(context)
    if is_tens and (_DECADES.search(context) or match["word"] is not None):
        return match[0]
    return f"{integer_in_words(number)} second" if describes(match) else counted(number, "second")


def _read_d(match: re.Match[str]) -> str:
    """Return "5d" as days, "6d." beside a price as pence, and leave an ordinal, as in "the 22d of November"."""
    number, context = match["number"], before(match, 24)
    if _COST.search(context) or match["each"] is not None:
        return counted(number, "penny")
    is_ordinal = number[-1] in "23" and number not in ("12", "13") and match["time"] is None
    return match[0] if is_ordinal and _DATED.search(context) else counted(number, "day")


LENGTHS = (
    # 70 deg F → 70°F
    rule(r"(?<=\d) ?(?:°|deg\.?|degrees?) ?(?=[CF]\b)", "°"),
    # 8x10, 2 x 4, 8″ x 10″, 5 cm × 7 cm → eight by ten; 3 × 4, 3 * 4 → three times four; a 5* hotel
    rule(
        r"(?:(?<=\d)|(?<=\d[′″a-z])|(?<=\d[a-z]{2})|(?<=\d [a-z]{2})|(?<=\d [a-z])) ?"
        r"(?:x|(?<!\d)(?<!\d )×|×(?= ?[\d.]{1,9} ?(?:[ckm]?m|in|ft|px)\b)) ?(?=\d)",
        " by ",
    ),
    rule(r"(?<=\d) ?[×*] ?(?=\d)", " times "),
    rule(r"(?<=\b[1-7])\*(?= ?[a-z])", " star"),
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
    # 5-10, 5%-10%, 9am-5pm, 1980s-1990s, 10kg-20kg, May 5-June 7 → … to …
    rule(
        r"(?:(?<=\d)|(?<=\d[A-Za-z%°'′″])|(?<=\d[A-Za-z°]{2})|(?<=\d [A-Za-z]{2})|(?<=[ap]\.m\.))-"
        rf"(?=[$£€¥'.]?\d|(?:{'|'.join(MONTHS)}) \d)",
        " to ",
    ),
    # -5 → minus five, ±5 → plus or minus five, < 5 → less than five, #1 → number one
    rule(r"(?P<sign>(?<![^ (])[-+~<>]|[±≈])(?:(?<!-) )?(?=[$£€¥]?\.?\d)", "{sign:name} ", name=_SIGN_OF.__getitem__),
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
    rule(rf"(?<![\w.,])(?P<number>[234])-?(?:D\b|d\b{_THREE_D}|(?<=\b[Ii]n \d)d\b(?! [a-z]))", "{number} D"),
    # 2h 30m → two hours thirty minutes
    rule(rf"{SMALL}h ?(?P<minutes>\d{{1,2}})(?:m|min)?\b", "{number} h {minutes} min"),
    # 15s → fifteen seconds, 10s. 6d. → ten shillings six pence, 5d later → five days later
    rule(
        rf"{SMALL}s(?P<pence>\.?(?= \d{{1,2}}d\b))?(?:(?<=\.)|{STOP}|\b){_TIME}{_EACH}(?P<word>(?=\.? [a-z]))?", _read_s
    ),
    rule(rf"{SMALL}d\b{_TIME}(?:{STOP})?{_EACH}", _read_d),
    # 10x faster → ten times faster
    rule(rf"{AMOUNT} ?[x×](?![\w×])", "{number:times}", times=lambda number: counted(number, "time")),
    # the 49ers → the forty-niners
    rule(rf"{SMALL}(?P<end>ers?)\b", lambda match: cardinal(int(match["number"])).removesuffix("e") + match["end"]),
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
