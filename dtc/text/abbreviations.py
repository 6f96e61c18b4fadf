"""The abbreviations that English writes and does not speak: Mr., Co., No. 78, Nov. 22.

Left as they are: what is spoken letter by letter (a.m., U.S., i.e.), and what only its own text explains (c. 54, s. 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dtc.text.calendar_words import MONTH_OF
from dtc.text.places import STREETS
from dtc.text.rules import COUNTED, STOP, Rule, before, rule

TITLES = {
    "Capt": "Captain",
    "Drs": "Doctors",
    "Lieut": "Lieutenant",
    "Messrs": "Messieurs",
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Sgt": "Sergeant",
    "vs": "versus",
}
# Only before a name: "Gen. Walker", "Ft. Worth"; not "one more rep."
TITLES_OF_NAMES = {
    "Adm": "Admiral",
    "Col": "Colonel",
    "Cpl": "Corporal",
    "Dr": "Doctor",
    "Ft": "Fort",
    "Gen": "General",
    "Gov": "Governor",
    "Hon": "Honorable",
    "Lt": "Lieutenant",
    "Maj": "Major",
    "Mt": "Mount",
    "Pres": "President",
    "Prof": "Professor",
    "Pvt": "Private",
    "Rep": "Representative",
    "Rev": "Reverend",
    "Sen": "Senator",
    "St": "Saint",
    "Supt": "Superintendent",
}
_WITHOUT_FULL_STOP = {"Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "St": "Saint"}  # the British way
_LAST_WORDS = {
    "Assn": "Association",
    "Bros": "Brothers",
    "Co": "Company",
    "Corp": "Corporation",
    "Cos": "Companies",
    "Dept": "Department",
    "Esq": "Esquire",
    "Govt": "Government",
    "Inc": "Incorporated",
    "Intl": "International",
    "Jr": "Junior",
    "Ltd": "Limited",
    "Mfg": "Manufacturing",
    "Natl": "National",
    "Sr": "Senior",
    "Univ": "University",
    "approx": "approximately",
    "&c": "et cetera",
    "etc": "et cetera",
}
_NUMBERS = {"No": "Number", "Nos": "Numbers", "P": "Page", "Pg": "Page", "Pp": "Pages"}
_PARTS = {
    "Apt": "Apartment",
    "Art": "Article",
    "Ch": "Chapter",
    "Ep": "Episode",
    "Eq": "Equation",
    "Ext": "Extension",
    "Fig": "Figure",
    "Figs": "Figures",
    "Op": "Opus",
    "Pt": "Part",
    "Rm": "Room",
    "Sec": "Section",
    "Ste": "Suite",
    "Vol": "Volume",
    "Vols": "Volumes",
}
# After these, "no" is the word: "He said no. 5 people laughed."
_BEFORE_A_WORD = re.compile(
    r"(?i)\b(?:said|says?|answer(?:ed|s)?|voted?|replied|is|was|or|me|him|her|them|us|it|a|simply|just|ate|oh|means?) $"
)


def _read(words: Mapping[str, str], match: re.Match[str]) -> str:
    short = match["short"]
    full = words.get(short) or words.get(short.capitalize()) or words[short.lower()]
    kept = match.string[match.start() : match.start("short")]
    return kept + (full[0].upper() if short[0].isupper() else full[0].lower()) + full[1:]


def _read_number(words: Mapping[str, str], match: re.Match[str]) -> str:
    is_word = match["counted"] is not None and _BEFORE_A_WORD.search(before(match))
    return match[0] if is_word else _read(words, match)


def _rule(pattern: str, words: Mapping[str, str], names: Iterable[str] = ()) -> Rule:
    """Return a rule in which SHORT stands for the abbreviations; none begins inside a word."""
    read = _read_number if "<counted>" in pattern else _read
    return rule(r"(?<![^\W\d])" + pattern.replace("SHORT", _shorts(names or words)), lambda match: read(words, match))


def _shorts(names: Iterable[str]) -> str:
    return f"(?P<short>{'|'.join(map(re.escape, names))})"


_COUNTED = rf"(?P<counted>(?= \d{{1,4}}{COUNTED}))?"

_NAMES = (*TITLES, *TITLES_OF_NAMES, *STREETS, *_LAST_WORDS, *MONTH_OF, *_PARTS, "No", "Nos")
# Mr.Hill, No.3 → Mr. Hill, No. 3: the rules below count on the space.
CROWDED = rule(rf"(?<![^\W\d])(?i:{_shorts(_NAMES)})\.(?=[A-Z\d])", r"\g<short>. ")
# Mr., MR., Messrs.
TITLE = _rule(r"(?i:SHORT)\.(?!\w)", TITLES)
# Gen. Walker
TITLE_OF_NAME = _rule(r"SHORT\.(?= [A-Z])", TITLES_OF_NAMES)
# Mr Hill
BRITISH_TITLE = _rule(r"SHORT(?= [A-Z])", _WITHOUT_FULL_STOP)
# Smith vs Jones, Roe v. Wade
VERSUS = rule(r"(?<= )(?:vs|v\.)(?= [A-Z\d])", "versus")
# Rose & Co., Los Angeles
LAST_WORD = _rule(rf"(?i:SHORT){STOP}", _LAST_WORDS)
# Nov. 22, 3 Nov., Nov 22, NOV. 22
MONTH = _rule(rf"SHORT(?:{STOP}|(?= \d))", MONTH_OF, [*MONTH_OF, *map(str.upper, MONTH_OF)])
# No. 78, No. C2766; "Answer: No.", "9 p.m. 3"
NUMBER = _rule(rf"(?<!\.)(?i:SHORT)\.(?= (?:[A-Z]{{1,3}}-?)?\d){_COUNTED}", _NUMBERS)
# vol. II, Fig. 3
PART = _rule(rf"(?i:SHORT)\.(?= (?:\d|[IVXLC]+(?![^\W\d]))){_COUNTED}", _PARTS)
# "the dr. came"
DOCTOR = _rule(r"(?i:SHORT)\.(?!\w)", TITLES_OF_NAMES, ["Dr"])
