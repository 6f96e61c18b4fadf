"""The abbreviations that English writes and does not speak: Mr., Co., No. 78, Nov. 22, Elm St.

Left as they are: what is spoken letter by letter (a.m., U.S., i.e.), and what only its own text explains (c. 54, s. 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dtc.text.dates import MONTH_OF
from dtc.text.numbers_in_words import pairs_in_words, spelt
from dtc.text.rules import COUNTED, OPENERS, STOP, Rule, any_of, before, full_form, rule, table

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
    "Assn Association, Assoc Association, Bldg Building, Bros Brothers, Co Company, Corp Corporation, Cos Companies, "
    "Dept Department, Esq Esquire, Govt Government, Inc Incorporated, Intl International, Jr Junior, Ltd Limited, "
    "Mfg Manufacturing, Natl National, Sr Senior, Univ University, approx approximately, &c et cetera, etc et cetera"
)
_NUMBERS = table("No Number, Nos Numbers, P Page, Pg Page, Pp Pages")
_PARTS = table(
    "Apt Apartment, Art Article, Avg Average, Ch Chapter, Ep Episode, Eq Equation, Ext Extension, Fig Figure, "
    "Figs Figures, Hwy Highway, Max Maximum, Min Minimum, Mk Mark, Op Opus, Pt Part, Rm Room, Rt Route, Rte Route, "
    "Sec Section, Ste Suite, Tel Telephone, Vol Volume, Vols Volumes"
)
_STREETS = table(
    "Ave Avenue, Av Avenue, Blvd Boulevard, Cir Circle, Ct Court, Dr Drive, Hwy Highway, Ln Lane, Pkwy Parkway, "
    "Pl Place, Rd Road, Sq Square, St Street, Ter Terrace"
)
_KINDS_OF_STREETS = any_of(_STREETS.values())
_POINTS = table("N North, S South, E East, W West, NE Northeast, NW Northwest, SE Southeast, SW Southwest")
_BEFORE_YEARS = table("b born, c circa, ca circa, d died, est established")
# After these, "no" is the word: "He said no. 5 people laughed."
_BEFORE_NO = re.compile(
    r"(?i)\b(?:said|says?|answer(?:ed|s)?|voted?|replied|is|was|or|me|him|her|them|us|it|a|simply|just|ate|oh|means?) $"
)
_COUNTED = rf"(?P<counted>(?= \d{{1,4}}{COUNTED}))?"


def _abbreviation(pattern: str, words: Mapping[str, str], names: Iterable[str] = ()) -> Rule:
    """Return a rule in which SHORT stands for `names`, or for all the words and their capitals, behind no letter."""
    shorts = any_of(names or [*words, *map(str.upper, words)])

    def read(match: re.Match[str]) -> str:
        if match.groupdict().get("counted") is not None and _BEFORE_NO.search(before(match)):
            return match[0]
        return match.string[match.start() : match.start("short")] + full_form(words)(match["short"])

    return rule(r"(?<![^\W\d])" + pattern.replace("SHORT", f"(?P<short>{shorts})"), read)


_ALL = (*TITLES, *TITLES_OF_NAMES, *_STREETS, *_LAST_WORDS, *MONTH_OF, *_PARTS, "No", "Nos")
RULES = (
    # Mr.Hill, No.3 → Mr. Hill, No. 3: the rules below count on the space.
    rule(rf"(?<![^\W\d])(?P<short>(?i:{any_of(_ALL)}))\.(?=[A-Z\d])", "{short}. "),
    # Streets come before titles, as both write "St." and "Dr.": 12 Elm St. New York, 42nd St., 10 W. Elm St
    _abbreviation(
        r"(?<![\w.,])\d{1,5}(?:(?:st|nd|rd|th)|[A-Z]?(?: [NSEW]\.?| North| South| East| West)?"
        r"(?: (?:[A-Z][a-z']{1,20}|\d{1,3}(?:st|nd|rd|th))){1,2})"
        rf" SHORT\b(?:\.(?!\w| (?:{OPENERS})\b|[)']*$))?",
        _STREETS,
    ),
    # I live on Main St. It is quiet.
    _abbreviation(rf"\b[A-Z][\w']{{1,20}} SHORT(?=\. (?:{OPENERS})\b)", _STREETS),
    # Mr., MR., Messrs.
    _abbreviation(r"(?i:SHORT)\.(?!\w)", TITLES),
    # Gen. Walker
    _abbreviation(r"SHORT\.(?= (?:and )?[A-Z])", TITLES_OF_NAMES),
    # Mr Hill, the British way
    _abbreviation(r"SHORT(?= [A-Z])", TITLES | TITLES_OF_NAMES, ["Dr", "Mr", "Mrs", "Ms", "Mt", "St"]),
    # Smith vs Jones, Roe v. Wade
    rule(r"(?<= )(?:vs|v\.)(?= [A-Z\d])", "versus"),
    # Rose & Co., Los Angeles
    _abbreviation(rf"(?i:SHORT){STOP}", _LAST_WORDS),
    # Ph.D., PhD; 2nd ed.
    rule(r"\bPh\.? ?D\b", "P H D"),
    rule(rf"(?<=\d(?:st|nd|rd|th) )ed{STOP}", "edition"),
    # Nov. 22, Nov 22, in Nov., 3 NOV., 3 Nov; "I saw Jan. She smiled" stays.
    _abbreviation(
        r"(?:(?<=\d )|\b(?:in|of|since|until|by|from|to|and|or|last|next|this|late|early|mid|thru)[ -]|"
        rf"(?!Jan\.(?: [A-Z]|[)']*$)))SHORT(?:{STOP}|(?= \d)|(?<=\d \w{{3}})(?![\w.']))",
        MONTH_OF,
    ),
    # c. 1850, est. 1850, b. 1850
    _abbreviation(r"SHORT\. ?(?=[1-9]\d{2,3}\b(?![.,]\d))", _BEFORE_YEARS, ["b", "c", "ca", "d", "est", "Est"]),
    # No. 78, No. C2766; "Answer: No.", "9 p.m. 3"
    _abbreviation(rf"(?<!\.)(?i:SHORT)\.(?= (?:[A-Z]{{1,3}}-?)?\d){_COUNTED}", _NUMBERS),
    # vol. II, Fig. 3, max. 5
    _abbreviation(
        rf"(?<!\d )(?i:SHORT)(?:\.|(?<=Mk)|(?<=(?i:Fig|Vol|Ext|Tel)))(?= (?:\d|[IVXLC]+(?![^\W\d]))){_COUNTED}", _PARTS
    ),
    # Elm St., Ocean Dr.: behind a name or a number
    _abbreviation(rf"[A-Z0-9][\w']{{0,20}} SHORT{STOP}", _STREETS),
    # W. 34th Street, 10 Elm Street SE, 30°N
    _abbreviation(rf"SHORT\.? (?=(?:[A-Z][a-z']+|\d+(?:st|nd|rd|th)) (?:{_KINDS_OF_STREETS})\b)", _POINTS),
    _abbreviation(rf"(?:{_KINDS_OF_STREETS}) SHORT\b(?!\. [A-Z])", _POINTS),
    rule(r"(?<=\d°)(?P<point>[NSEW]\b)", " {point:full}", full=full_form(_POINTS)),
)
# 411 Elm Street → four one one Elm Street, 1026 North Beckley → ten twenty-six
HOUSE = rule(
    r"(?<![\d,])[1-9]\d{2,3}(?=[A-Z]? (?:(?:North|South|East|West|[NSEW]\.) [A-Z]|"
    rf"(?:[A-Z][a-z]{{1,15}} ){{1,3}}(?:{_KINDS_OF_STREETS})\b))",
    lambda match: spelt(match[0]) if re.fullmatch(r"\d(?!00)\d\d", match[0]) else pairs_in_words(match[0]),
)
