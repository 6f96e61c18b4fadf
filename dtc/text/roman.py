"""Roman numerals: of chapters, series and wars, which count, and of monarchs, which are ordinals."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from dtc.text.numbers_in_words import NUMBER_WORDS, cardinal, ordinal_in_words, pairs_in_words, roman_value
from dtc.text.rules import INNER_STOP, OPENERS, WORD, before, rule

# Numerals of at least two letters, of which one is an I, V or X: CD, DC and MD are no numbers.
_NUMERAL = (
    r"(?=[IVXLCDM]{2})(?=[LCDM]{0,8}[IVX])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![^\W\d])"
)
_LETTER = r"[IVX](?![^\W\d]|'[^s])"  # not I'll
# What the letters of a code are followed by, in digits or already read.
_CODE = rf"[ -]?\d| (?:[A-Z]|{'|'.join(NUMBER_WORDS)})\b"
# Nouns that count in Roman numerals.
_PARTS = (
    "Act|Amendment|Annex|Apollo|Appendix|Article|Bowl|Book|Canto|Category|Chapter|Class|Corps|Division|Episode|Exhibit|"
    "Figure|Gemini|Grade|Group|Level|Mark|Number|Part|Period|Phase|Photosystem|Plate|Psalm|Region|Round|Saturn|Scene|"
    "Schedule|Season|Section|Series|Stage|Symphony|Table|Tier|Title|Type|Unit|Vatican|Volume|War|Zone"
)
# Given names and the names of monarchs and popes: a numeral behind one of them is an ordinal.
_SOVEREIGNS = (
    "Albert|Alexander|Alfonso|Charles|Christian|Constantine|Cyrus|Darius|Edward|Elizabeth|Ferdinand|Francis|Frederick|"
    "George|Gustav|Henry|James|John|Leo|Leopold|Louis|Mary|Napoleon|Nicholas|Otto|Paul|Peter|Philip|Pius|Ptolemy|"
    "Richard|Robert|Victor|William|Xerxes"
)
_MONARCHS = _SOVEREIGNS + (
    "|Abdullah|Adolf|Adrian|Afonso|Ahmed|Akbar|Albrecht|Alexios|Alfred|Amenhotep|Andrew|Andronicus|Anne|Antiochus|"
    "Artaxerxes|Arthur|Augustus|Baldwin|Basil|Baudouin|Bayezid|Beatrix|Benedict|Bohemond|Boniface|Boris|Carl|Carlos|"
    "Casimir|Catherine|Celestine|Christopher|Clement|Cleopatra|Conrad|David|Edmund|Emmanuel|Eric|Erik|Ernest|Eugene|"
    "Faisal|Farouk|Felipe|Franz|Frederik|Fuad|Gregory|Gustavus|Haakon|Hadrian|Hamid|Harald|Harold|Hassan|Heinrich|"
    "Honorius|Humbert|Hussein|Innocent|Isabella|Ivan|Joan|Joseph|Juan|Julius|Justinian|Kamehameha|Karl|Kenneth|Konrad|"
    "Ladislaus|Louise|Ludwig|Magnus|Mahmud|Malcolm|Manuel|Margaret|Margrethe|Martin|Matthias|Maximilian|Mehmed|Menelik|"
    "Michael|Mithridates|Mohammed|Muhammad|Murad|Mustafa|Nebuchadnezzar|Norodom|Olaf|Olav|Osman|Pedro|Rainier|Rama|"
    "Rameses|Ramesses|Ramses|Raymond|Roger|Rudolf|Rudolph|Sancho|Sargon|Selim|Seti|Shalmaneser|Sigismund|Sixtus|Stephen|"
    "Suleiman|Sweyn|Theodore|Theodosius|Thomas|Thutmose|Umberto|Urban|Valdemar|Vittorio|Walter|Wilhelm|Yazdegerd"
)
_TITLES = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Prince|Princess|Duke|Archbishop|Patriarch|Pharaoh|Shah|"
    "Count|Earl|Caliph"
)
_SENTENCE_START = re.compile(r"(?:^|[.!?:;(]['\")]*) *$")
_JOINER = r"(?:, and | and |, or | or |, | to |-| & )"


def _ordinal(numeral: str) -> str:
    return "the " + ordinal_in_words(str(roman_value(numeral)))


def _cardinal(numeral: str) -> str:
    return cardinal(roman_value(numeral))


def _each(read: Callable[[str], str], text: str) -> str:
    """Return a text with all its numerals read: "Acts I-III" → "Acts one to three"."""
    return re.sub(r"\b[IVXLC]+\b", lambda numeral: read(numeral[0]), text.replace("-", " to "))


def _read_name(match: re.Match[str]) -> str:
    """Return "Rocky III" as a count, and leave the first word of a sentence before IV: "Give IV fluids"."""
    name, numeral, more = match.group("name", "numeral", "more")
    is_given = numeral == "IV" and not more and _SENTENCE_START.search(before(match))
    return match[0] if is_given or re.fullmatch(OPENERS, name) else f"{name}{more or ''} {_cardinal(numeral)}"


RULES = (
    # WWII → World War two
    rule(r"\bWW ?-?(?:II|2)\b", "World War two"),
    rule(r"\bWW ?-?[I1]\b", "World War one"),
    # gave Mary IV fluids → gave Mary I V fluids
    rule(
        r"(?<![\w.'-])IV(?= (?:access|antibiotics?|bags?|drips?|drugs?|fluids?|infusions?|lines?|medications?|needles?|"
        r"pumps?|therapy|tubes?)\b)",
        "I V",
    ),
    # Parts I and II, Volumes I-III → Parts one and two, Volumes one to three
    rule(
        rf"{WORD}(?P<all>(?:(?:{_PARTS})s?|Appendices|Classes) "
        rf"(?:{_NUMERAL}|{_LETTER})(?:{_JOINER}(?:{_NUMERAL}|{_LETTER})){{1,6}}){INNER_STOP}",
        "{all:cardinals}",
        cardinals=partial(_each, _cardinal),
    ),
    # Henry VII and VIII → Henry the seventh and the eighth
    rule(
        rf"{WORD}(?P<all>(?:{_MONARCHS}) (?:{_NUMERAL}|I|V|X)(?:{_JOINER}{_NUMERAL}){{1,6}}){INNER_STOP}",
        "{all:ordinals}",
        ordinals=partial(_each, _ordinal),
    ),
    # Chapter XL, World War II, Exhibit V, Episode iv → Chapter forty …; Exhibit V836 is a code
    rule(
        rf"{WORD}(?P<name>(?i:{_PARTS}) (?={_NUMERAL})|(?:{_PARTS}) (?={_LETTER}(?!{_CODE}))|"
        r"(?:Theft Auto|Final Fantasy|Saturn|Rocky|Bowl) (?=[VXL]\b)|"
        r"(?i:appendix|book|chapter|pages?|part|section|volume) (?=(?=[ivx]{2})x{0,3}(?:ix|iv|v?i{0,3})\b))"
        rf"(?P<numeral>[IVXLCDMivx]+){INNER_STOP}",
        "{name}{numeral:roman}",
    ),
    # George III → George the third; Pope Sixtus IV; Henry Ford II; James I., who. "John I. Bouck" is an initial.
    rule(
        rf"{WORD}(?P<name>(?:{_MONARCHS}|{_MONARCHS.upper()}) (?={_NUMERAL})|"
        rf"(?:{_MONARCHS}|{_TITLES})(?: [A-Z]\.| [A-Z][a-z]{{1,15}}){{1,2}} (?={_NUMERAL})|"
        rf"(?:{_SOVEREIGNS}) "
        rf"(?={_LETTER}(?:\.(?:[,;:)]| [a-z])|[,;:)]|'s|\.?$| of | and | was | reigned )))"
        rf"(?P<numeral>[IVXLCDM]+){INNER_STOP}",
        "{name}{numeral:ordinal}",
        ordinal=_ordinal,
    ),
    # Star Trek III, Rocky II, SALT II
    rule(
        rf"{WORD}(?P<name>[A-Z][a-z']+|[A-Z]{{3,15}}(?= (?!IV\b)[IVX]+\b))(?P<more>(?:[ :]+[A-Z][a-z']+){{1,3}})? "
        rf"(?P<numeral>{_NUMERAL}){INNER_STOP}",
        _read_name,
    ),
    # IV fluids → I V fluids
    rule(r"(?<![\w.'-])IV(?=s?(?![\w.'])|[.'](?!\w)|'s)", "I V"),
    # MCMXCIV → nineteen ninety-four
    rule(
        rf"(?<![\w.'])(?:MC?M|MDCCC){_NUMERAL}(?![\w'])",
        "{:year}",
        year=lambda numeral: pairs_in_words(roman_value(numeral)),
    ),
)
