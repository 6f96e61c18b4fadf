"""What English abbreviates in writing and says in full: Mr., Co., No. 78, Nov. 22.

Left as they are: what is spoken letter by letter (a.m., U.S., i.e.), and what only its own text explains (c. 54, s. 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
MONTH_OF = {month[:3]: month for month in MONTHS if month != "May"} | {"Sept": "September"}

TITLES = {
    "Capt": "Captain", "Drs": "Doctors", "Lieut": "Lieutenant", "Messrs": "Messieurs", "Mr": "Mister",
    "Mrs": "Missus", "Ms": "Miz", "Sgt": "Sergeant", "vs": "versus",
}  # fmt: skip
# Only before a name: "Gen. Walker", "Ft. Worth"; not "one more rep."
TITLES_OF_NAMES = {
    "Adm": "Admiral", "Col": "Colonel", "Cpl": "Corporal", "Dr": "Doctor", "Ft": "Fort", "Gen": "General",
    "Gov": "Governor", "Hon": "Honorable", "Lt": "Lieutenant", "Maj": "Major", "Mt": "Mount", "Prof": "Professor",
    "Pvt": "Private", "Rep": "Representative", "Rev": "Reverend", "Sen": "Senator", "St": "Saint",
}  # fmt: skip
WITHOUT_FULL_STOP = {"Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "St": "Saint"}  # the British way
STREETS = {"Ave": "Avenue", "Blvd": "Boulevard", "Dr": "Drive", "Rd": "Road", "St": "Street"}
LAST_WORDS = {
    "Bros": "Brothers", "Co": "Company", "Cos": "Companies", "Dept": "Department", "Esq": "Esquire",
    "Inc": "Incorporated", "Jr": "Junior", "Ltd": "Limited", "Sr": "Senior", "&c": "et cetera", "etc": "et cetera",
}  # fmt: skip
NUMBERS = {"No": "Number", "Nos": "Numbers", "P": "Page", "Pp": "Pages"}
PARTS = {"Ch": "Chapter", "Fig": "Figure", "Figs": "Figures", "Vol": "Volume", "Vols": "Volumes"}


def expand_abbreviations(text: str) -> str:
    """Spell abbreviations in full; a capital stays one.

    >>> expand_abbreviations("Dr. Hill of No. 3, Elm St., wrote to St. Ann's.")
    "Doctor Hill of Number 3, Elm Street, wrote to Saint Ann's."
    """
    text = CROWDED.sub(r"\1. ", text)
    for pattern, words in RULES:
        text = pattern.sub(partial(_read, words), text)
    return text


def _read(words: Mapping[str, str], match: re.Match[str]) -> str:
    short = match["short"]
    full = words.get(short) or words.get(short.capitalize()) or words[short.lower()]
    before = match.string[match.start() : match.start("short")]
    return before + (full[0].upper() if short[0].isupper() else full[0].lower()) + full[1:]


def _rule(pattern: str, words: Iterable[str]) -> re.Pattern[str]:
    """A pattern in which SHORT stands for the abbreviations; none begins inside a word."""
    names = "|".join(map(re.escape, words))
    return re.compile(r"(?<![^\W\d])" + pattern.replace("SHORT", f"(?P<short>{names})"))


# An abbreviation's own full stop. One at the end of the text or before a capital ends the sentence, too: it stays.
STOP = r"(?:\.(?!\w| [A-Z]|[)']*$)|(?=\.(?!\w)))"

# Mr.Hill, No.3: the rules count on the space.
CROWDED = _rule(
    r"((?i:SHORT))\.(?=[A-Z\d])", [*TITLES, *TITLES_OF_NAMES, *STREETS, *LAST_WORDS, *MONTH_OF, *PARTS, "No", "Nos"]
)

RULES = [
    # Mr., MR., Messrs.; Gen. Walker; Mr Hill
    (_rule(r"(?i:SHORT)\.(?!\w)", TITLES), TITLES),
    (_rule(r"SHORT\.(?= [A-Z])", TITLES_OF_NAMES), TITLES_OF_NAMES),
    (_rule(r"SHORT(?= [A-Z])", WITHOUT_FULL_STOP), WITHOUT_FULL_STOP),
    # Rose & Co., Los Angeles
    (_rule(rf"(?i:SHORT){STOP}", LAST_WORDS), LAST_WORDS),
    # Nov. 22, 3 Nov., Nov 22
    (_rule(rf"SHORT(?:{STOP}|(?= \d))", MONTH_OF), MONTH_OF),
    # No. 78, No. C2766; "Answer: No.", "9 p.m. 3"
    (_rule(r"(?<!\.)(?i:SHORT)\.(?= (?:[A-Z]{1,3}-?)?\d)", NUMBERS), NUMBERS),
    (_rule(r"(?i:SHORT)\.(?= (?:\d|[IVX]+(?![^\W\d])))", PARTS), PARTS),
    # Elm St., Ocean Dr.: behind a name or number
    (_rule(rf"[A-Z0-9][\w']{{0,20}} SHORT{STOP}", STREETS), STREETS),
    (_rule(r"(?i:SHORT)\.(?!\w)", ["Dr"]), TITLES_OF_NAMES),
]
