"""Roman numerals: of chapters, series and wars, which count, and of monarchs, which are ordinals."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from dtc.text.numbers_in_words import NUMBER_WORDS, cardinal, ordinal_in_words, pairs_in_words, roman_value
from dtc.text.rules import INNER_STOP, OPENERS, WORD, rule

# Numerals of at least two letters, of which one is an I, V or X: CD, DC and MD are no numbers. Nor is "IV fluids".
_NUMERAL = (
    r"(?!IV (?:access|antibiotic|bag|drip|drug|fluid|infusion|line|medication|needle|pump|therapy|tube))"
    r"(?=[IVXLCDM]{2})(?=[LCDM]{0,8}[IVX])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![^\W\d])"
)
_LETTER = r"[IVX](?![^\W\d]|'[^s])"  # not I'll
# What the letters of a code are followed by, in digits or already read.
_CODE = rf"[ -]?\d| (?:[A-Z]|{'|'.join(NUMBER_WORDS)})\b"
# Nouns that count in Roman numerals.
_PARTS = (
    "Act|Amendment|Annex|Apollo|Appendix|Article|Bowl|Book|Canto|Category|Chapter|Class|Corps|Division|Episode|Exhibit|"
    "Factor|Figure|Gemini|Grade|Group|Lecture|Lesson|Level|Mark|Nerve|Number|Part|Period|Phase|Photosystem|Plate|Psalm|"
    "Region|Round|Saturn|Scene|Schedule|Season|Section|Series|Stage|Symphony|Table|Tier|Title|Type|Unit|Vatican|Volume|"
    "War|Zone"
)
# The names of monarchs and popes: a numeral behind one of them is an ordinal.
_MONARCHS = (
    "Abdullah|Adrian|Afonso|Ahmed|Albert|Alexander|Alexios|Alfonso|Alfred|Amenhotep|Andrew|Anne|Antiochus|Artaxerxes|"
    "Augustus|Baldwin|Basil|Baudouin|Benedict|Boniface|Boris|Carl|Carlos|Catherine|Charles|Christian|Christopher|"
    "Clement|Cleopatra|Conrad|Constantine|Cyrus|Darius|David|Edmund|Edward|Elizabeth|Emmanuel|Eric|Ernest|Faisal|"
    "Felipe|Ferdinand|Francis|Franz|Frederick|Frederik|George|Gregory|Gustav|Gustavus|Haakon|Harald|Harold|Henry|"
    "Honorius|Hussein|Innocent|Isabella|Ivan|James|Joan|John|Joseph|Juan|Julius|Justinian|Karl|Kenneth|Leo|Leopold|"
    "Louis|Ludwig|Magnus|Manuel|Margaret|Margrethe|Martin|Mary|Maximilian|Mehmed|Michael|Mohammed|Murad|Nebuchadnezzar|"
    "Napoleon|Nicholas|Olaf|Olav|Otto|Paul|Pedro|Peter|Philip|Pius|Ptolemy|Rameses|Ramesses|Ramses|Richard|Robert|"
    "Roger|Rudolf|Sancho|Selim|Sixtus|Stephen|Suleiman|Sylvester|Theodore|Theodosius|Thomas|Thutmose|Umberto|Urban|"
    "Victor|Vittorio|Wilhelm|William|Xerxes"
)
_TITLES = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Prince|Princess|Duke|Archbishop|Patriarch|Pharaoh|Shah|"
    "Count|Earl|Caliph"
)
# More numerals: I and II, I-III
_MORE = rf"(?:(?:, and | and |, or | or |, | to |-| & )(?:{_NUMERAL}|[VX]\b|I\b(?! [a-z]))){{0,6}}"


def _cardinal(numeral: str) -> str:
    return cardinal(roman_value(numeral.upper()))


def _ordinal(numeral: str) -> str:
    return "the " + ordinal_in_words(str(roman_value(numeral)))


def _each(read: Callable[[str], str], text: str) -> str:
    """Return a text with all its numerals read: "I and III" → "one and three", "i-v" → "one to five"."""
    return re.sub(r"\b[IVXLCDMivxl]+\b", lambda numeral: read(numeral[0]), text.replace("-", " to "))


RULES = (
    # WWII, WW1 → World War II, World War 1
    rule(r"\bWW ?-?(?P<number>II?|[12])\b", "World War {number}"),
    # Chapter XL, Parts I and II, Volumes I-III, Scene iv → Chapter forty …; Exhibit V836 is a code
    rule(
        rf"{WORD}(?P<name>(?i:{_PARTS})(?:e?s)? (?={_NUMERAL})|(?:{_PARTS})(?:e?s)? (?={_LETTER}(?!{_CODE}))|"
        r"(?:Theft Auto|Final Fantasy|Rocky|Bowl) (?=[VXL]\b)|"
        rf"(?i:{_PARTS}|pages?) (?=(?=[ivxl]{{2}})(?:xl|l?x{{0,3}})(?:ix|iv|v?i{{0,3}})\b))"
        rf"(?P<numerals>[IVXLCDMivxl]+{_MORE}){INNER_STOP}",
        "{name}{numerals:cardinals}",
        cardinals=partial(_each, _cardinal),
    ),
    # George III → George the third; Henry VII and VIII; Pope Sixtus IV; James I., who. "John I. Bouck" is an initial.
    rule(
        rf"{WORD}(?P<name>(?:{_MONARCHS}|{_MONARCHS.upper()}) (?={_NUMERAL}|"
        rf"{_LETTER}(?:\.(?:[,;:)]| [a-z])|[,;:)]|'s|\.?$| of | and | was | reigned ))|"
        rf"(?:{_MONARCHS}|{_TITLES})(?: [A-Z]\.| [A-Z][a-z]{{1,15}}){{1,2}} (?={_NUMERAL}))"
        rf"(?P<numerals>[IVXLCDM]+{_MORE}){INNER_STOP}",
        "{name}{numerals:ordinals}",
        ordinals=partial(_each, _ordinal),
    ),
    # the XXI century, the XVIII Dynasty
    rule(
        rf"(?P<the>\b[Tt]he )?(?<![\w.'])(?P<numeral>{_NUMERAL})(?= (?i:century|dynasty|corps|army|congress|olympi))",
        "{numeral:ordinal}",
        ordinal=_ordinal,
    ),
    # Star Trek III, Rocky II, SALT II; "Give IV" is no title
    rule(
        rf"{WORD}(?P<name>(?!(?:{OPENERS})\b)(?:[A-Z][a-z']+(?:[ :]+[A-Z][a-z']+){{0,3}}|"
        rf"[A-Z]{{3,15}}(?= (?!IV\b)[IVX]+\b))) (?P<numeral>{_NUMERAL}){INNER_STOP}",
        "{name} {numeral:cardinal}",
        cardinal=_cardinal,
    ),
    # IV fluids → I V fluids
    rule(r"(?<![\w.'-])IV(?=s?(?![\w.'])|[.'](?!\w)|'s)", "I V"),
    # MCMXCIV → nineteen ninety-four
    rule(
        rf"(?<![\w.'])(?:MC?M|MDCCC){_NUMERAL}(?![\w'])",
        "{:year}",
        year=lambda numeral: pairs_in_words(str(roman_value(numeral))),
    ),
)
