"""Streets, saints, houses and postal codes."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import digits_in_words, pairs_in_words
from dtc.text.rules import OPENERS, STOP, rule

STREETS = {
    "Ave": "Avenue",
    "Av": "Avenue",
    "Blvd": "Boulevard",
    "Cir": "Circle",
    "Ct": "Court",
    "Dr": "Drive",
    "Hwy": "Highway",
    "Ln": "Lane",
    "Pkwy": "Parkway",
    "Pl": "Place",
    "Rd": "Road",
    "Sq": "Square",
    "St": "Street",
    "Ter": "Terrace",
}
_SHORT = "|".join([*sorted(STREETS, key=len, reverse=True), *sorted(map(str.upper, STREETS), key=len, reverse=True)])
_STREET_WORDS = "Street|Avenue|Road|Lane|Drive|Boulevard|Place|Square|Court|Terrace"
_SAINTS = (
    "Albans|Andrew|Ann|Anthony|Augustine|Barnabas|Bartholomew|Bernard|Catharines|Catherine|Charles|Clair|Cloud|Croix|"
    "David|Denis|Edmund|Elizabeth|Francis|George|Giles|Helen|Helier|Ives|James|Joan|John|Joseph|Jude|Kitts|Lawrence|"
    "Leonard|Louis|Lucia|Luke|Margaret|Mark|Martin|Mary|Matthew|Michael|Moritz|Nicholas|Nick|Olaf|Pancras|Patrick|Paul|"
    "Peter|Petersburg|Pierre|Sebastian|Sepulchre|Stephen|Teresa|Theresa|Thomas|Tropez|Valentine|Vincent"
)
# Words before "St." that are no street's name: "Visit St. Louis", "Mount St. Helens", "Bury St. Edmunds".
_NOT_STREETS = (
    rf"{OPENERS}|About|Bury|Cathedral|Chapel|Church|College|Dear|East|Fort|Hospital|Lake|Leave|Meet|Mount|Mt|Near|Nearby|North|"
    "Old|Port|Saint|See|South|St|Through|Visit|West|When|Your|Lady|Sir|Lord"
)
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|"
    "OR|PA|PR|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|"
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|"
    "Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|"
    "Nebraska|Nevada|Hampshire|Jersey|Mexico|York|Carolina|Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Tennessee|Texas|Utah|"
    r"Vermont|Virginia|Washington|Wisconsin|Wyoming|D\.C\.|N\.Y\.|[Zz]ip"
)


def _street(short: str) -> str:
    return STREETS[short.capitalize()]


def _read_house_street(match: re.Match[str]) -> str:
    return f"{match['name']} {_street(match['short'])}"


def _read_street(match: re.Match[str], end: str) -> str:
    """Return "Main St." as a street, and leave "Mount St." for the saints."""
    if re.fullmatch(_NOT_STREETS, match["name"]):
        return match[0]
    return f"{match['name']} {_street(match['short'])}{end}"


def _read_house(match: re.Match[str]) -> str:
    digits = match["digits"]
    return digits_in_words(digits) if len(digits) == 3 and digits[1:] != "00" else pairs_in_words(int(digits))


# Beverly Hills, CA 90210 → nine zero two one zero
STATE_ZIP = rule(
    rf"\b(?P<state>{_STATES})(?P<comma>,?) (?P<digits>\d{{5}}(?:-\d{{4}})?)(?![\d,-]|\.\d)(?! [a-z]{{1,20}}s\b)",
    lambda match: f"{match['state']}{match['comma']} {digits_in_words(match['digits'])}",
)
# 12 Elm St. New York, 42nd St., 10 W. Elm St → Elm Street New York
HOUSE_STREET = rule(
    r"(?P<name>(?<![\w.,])\d{1,5}(?:(?:st|nd|rd|th)|[A-Z]?(?: [NSEW]\.?| North| South| East| West)?"
    r"(?: (?:[A-Z][a-z']{1,20}|\d{1,3}(?:st|nd|rd|th))){1,2}))"
    rf" (?P<short>{_SHORT})\b(?:\.(?!\w| (?:{OPENERS})\b|[)']*$))?",
    _read_house_street,
)
# I live on Main St. It is quiet. → Main Street. It is quiet.
STREET_BEFORE_OPENER = rule(
    rf"\b(?P<name>[A-Z][\w']{{1,20}}) (?P<short>{_SHORT})\. (?=(?:{OPENERS})\b)",
    lambda match: _read_street(match, ". "),
)
# lived on Elm St. Denver → Elm Street Denver; "at Bury St. Edmunds" is a saint
STREET_BEFORE_CITY = rule(
    r"(?<=\b[oai][nt] )(?P<name>[A-Z][\w']{1,20}) (?P<short>St|Dr)\. (?=[A-Z][a-z])"
    rf"(?!(?:{_SAINTS}))",
    lambda match: _read_street(match, " "),
)
# Elm St., Ocean Dr.: behind a name or a number
STREET = rule(
    rf"(?P<name>[A-Z0-9][\w']{{0,20}}) (?P<short>{_SHORT}){STOP}",
    lambda match: f"{match['name']} {_street(match['short'])}",
)
# 411 Elm Street → four one one Elm Street, 1026 North Beckley → ten twenty-six
HOUSE = rule(
    rf"(?<![\d,])(?P<digits>[1-9]\d{{2,3}})(?=[A-Z]? (?:(?:North|South|East|West|[NSEW]\.) [A-Z]|"
    rf"(?:[A-Z][a-z]{{1,15}} ){{1,3}}(?:{_STREET_WORDS})\b))",
    _read_house,
)
