"""The abbreviations that English writes and does not speak: Mr., Co., No. 78, Nov. 22, Elm St.

Left as they are: what is spoken letter by letter (a.m., U.S., i.e.), and what only its own text explains (c. 54, s. 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dtc.text.dates import MONTH_OF
from dtc.text.numbers_in_words import pairs_in_words, spelt
from dtc.text.rules import COUNTED, OPENERS, STOP, Rule, any_of, before, rule, table

TITLES = table(
    "Capt Captain, Drs Doctors, Lieut Lieutenant, Messrs Messieurs, Mr Mister, Mrs Missus, Ms Miz, Sgt Sergeant, "
    "vs versus"
)
# Only before a name: "Gen. Walker", "Ft. Worth"; not "one more rep."
TITLES_OF_NAMES = table(
    "Adm Admiral, Col Colonel, Cpl Corporal, Dr Doctor, Ft Fort, Gen General, Gov Governor, Hon Honorable, "
    "Lt Lieutenant, Maj Major, Mt Mount, Pres President, Prof Professor, Pvt Private, Rep Representative, "
    "Rev Reverend, Sen Senator, St Saint, Supt Superintendent"
)
_LAST_WORDS = table(
    "Assn Association, Bros Brothers, Co Company, Corp Corporation, Cos Companies, Dept Department, Esq Esquire, "
    "Govt Government, Inc Incorporated, Intl International, Jr Junior, Ltd Limited, Mfg Manufacturing, Natl National, "
    "Sr Senior, Univ University, approx approximately, &c et cetera, etc et cetera"
)
_NUMBERS = table("No Number, Nos Numbers, P Page, Pg Page, Pp Pages")
_PARTS = table(
    "Apt Apartment, Art Article, Ch Chapter, Ep Episode, Eq Equation, Ext Extension, Fig Figure, Figs Figures, "
    "Op Opus, Pt Part, Rm Room, Sec Section, Ste Suite, Vol Volume, Vols Volumes"
)
_STREETS = table(
    "Ave Avenue, Av Avenue, Blvd Boulevard, Cir Circle, Ct Court, Dr Drive, Hwy Highway, Ln Lane, Pkwy Parkway, "
    "Pl Place, Rd Road, Sq Square, St Street, Ter Terrace"
)
_STREETS |= {short.upper(): full for short, full in _STREETS.items()}
_STREET = rf"(?P<street>{any_of(_STREETS)})"
# Words before "St." that are no street's name: "Visit St. Louis", "Mount St. Helens", "Bury St. Edmunds".
_NOT_STREETS = (
    rf"(?:{OPENERS}|About|Bury|Cathedral|Chapel|Church|College|Dear|East|Fort|Hospital|Lake|Leave|Meet|Mount|Mt|Near|"
    "Nearby|North|Old|Port|Saint|See|South|St|Through|Visit|West|Lady|Sir|Lord) "
)
# After these, "no" is the word: "He said no. 5 people laughed."
_BEFORE_NO = re.compile(
    r"(?i)\b(?:said|says?|answer(?:ed|s)?|voted?|replied|is|was|or|me|him|her|them|us|it|a|simply|just|ate|oh|means?) $"
)
_COUNTED = rf"(?P<counted>(?= \d{{1,4}}{COUNTED}))?"


def _abbreviation(pattern: str, words: Mapping[str, str], names: Iterable[str] = ()) -> Rule:
    """Return a rule in which SHORT stands for the abbreviations; none begins inside a word."""

    def read(match: re.Match[str]) -> str:
        if match.groupdict().get("counted") is not None and _BEFORE_NO.search(before(match)):
            return match[0]
        short = match["short"]
        full = words.get(short) or words.get(short.capitalize()) or words[short.lower()]
        kept = match.string[match.start() : match.start("short")]
        return kept + (full[0].upper() if short[0].isupper() else full[0].lower()) + full[1:]

    return rule(r"(?<![^\W\d])" + pattern.replace("SHORT", f"(?P<short>{any_of(names or words)})"), read)


def _read_house(match: re.Match[str]) -> str:
    digits = match[0]
    return spelt(digits) if len(digits) == 3 and digits[1:] != "00" else pairs_in_words(int(digits))


_ALL = (*TITLES, *TITLES_OF_NAMES, *_STREETS, *_LAST_WORDS, *MONTH_OF, *_PARTS, "No", "Nos")
RULES = (
    # Mr.Hill, No.3 → Mr. Hill, No. 3: the rules below count on the space.
    rule(rf"(?<![^\W\d])(?P<short>(?i:{any_of(_ALL)}))\.(?=[A-Z\d])", "{short}. "),
    # Streets come before titles, as both write "St." and "Dr.": 12 Elm St. New York, 42nd St., 10 W. Elm St
    rule(
        r"(?P<name>(?<![\w.,])\d{1,5}(?:(?:st|nd|rd|th)|[A-Z]?(?: [NSEW]\.?| North| South| East| West)?"
        r"(?: (?:[A-Z][a-z']{1,20}|\d{1,3}(?:st|nd|rd|th))){1,2}))"
        rf" {_STREET}\b(?:\.(?!\w| (?:{OPENERS})\b|[)']*$))?",
        "{name} {street:full}",
        full=_STREETS.__getitem__,
    ),
    # I live on Main St. It is quiet.
    rule(
        rf"\b(?!{_NOT_STREETS})(?P<name>[A-Z][\w']{{1,20}}) {_STREET}(?=\. (?:{OPENERS})\b)",
        "{name} {street:full}",
        full=_STREETS.__getitem__,
    ),
    # lived on Elm St. Denver; "in Bury St. Edmunds" is a saint
    rule(
        rf"(?<=\b[Oo]n )(?!{_NOT_STREETS})(?P<name>[A-Z][\w']{{1,20}}) (?P<street>St|Dr)\. (?=[A-Z][a-z])",
        "{name} {street:full} ",
        full=_STREETS.__getitem__,
    ),
    # Mr., MR., Messrs.
    _abbreviation(r"(?i:SHORT)\.(?!\w)", TITLES),
    # Gen. Walker
    _abbreviation(r"SHORT\.(?= [A-Z])", TITLES_OF_NAMES),
    # Mr Hill, the British way
    _abbreviation(r"SHORT(?= [A-Z])", TITLES | TITLES_OF_NAMES, ["Dr", "Mr", "Mrs", "Ms", "St"]),
    # Smith vs Jones, Roe v. Wade
    rule(r"(?<= )(?:vs|v\.)(?= [A-Z\d])", "versus"),
    # Rose & Co., Los Angeles
    _abbreviation(rf"(?i:SHORT){STOP}", _LAST_WORDS),
    # Nov. 22, Nov 22, in Nov., 3 NOV.; "I saw Jan. She smiled" stays.
    _abbreviation(
        r"(?:(?<=\d )|\b(?:in|of|since|until|by|from|to|and|or|last|next|this|late|early|mid)[ -]|"
        rf"(?!Jan\.(?: [A-Z]|[)']*$)))SHORT(?:{STOP}|(?= \d))",
        MONTH_OF,
        [*MONTH_OF, *map(str.upper, MONTH_OF)],
    ),
    # No. 78, No. C2766; "Answer: No.", "9 p.m. 3"
    _abbreviation(rf"(?<!\.)(?i:SHORT)\.(?= (?:[A-Z]{{1,3}}-?)?\d){_COUNTED}", _NUMBERS),
    # vol. II, Fig. 3
    _abbreviation(rf"(?i:SHORT)\.(?= (?:\d|[IVXLC]+(?![^\W\d]))){_COUNTED}", _PARTS),
    # Elm St., Ocean Dr.: behind a name or a number
    rule(rf"(?P<name>[A-Z0-9][\w']{{0,20}}) {_STREET}{STOP}", "{name} {street:full}", full=_STREETS.__getitem__),
    # "the dr. came"
    _abbreviation(r"(?i:SHORT)\.(?!\w)", TITLES_OF_NAMES, ["Dr"]),
)
# 411 Elm Street → four one one Elm Street, 1026 North Beckley → ten twenty-six
HOUSE = rule(
    r"(?<![\d,])[1-9]\d{2,3}(?=[A-Z]? (?:(?:North|South|East|West|[NSEW]\.) [A-Z]|"
    r"(?:[A-Z][a-z]{1,15} ){1,3}(?:Street|Avenue|Road|Lane|Drive|Boulevard|Place|Square|Court|Terrace)\b))",
    _read_house,
)
