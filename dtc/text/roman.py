"""Roman numerals: of chapters, series and wars, which count, and of monarchs, which are ordinals."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import NUMBER_WORDS, cardinal, ordinal_in_words, pairs_in_words, roman_value
from dtc.text.rules import INNER_STOP, OPENERS, WORD, is_sentence_start, rule

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
    "|Abdullah|Adolf|Adrian|Afonso|Ahmed|Akbar|Albrecht|Alexios|Alfred|Amenhotep|Andrew|Andronicus|Anne|Antiochus|Artaxerxes|"
    "Arthur|Augustus|Baldwin|Basil|Baudouin|Bayezid|Beatrix|Benedict|Bohemond|Boniface|Boris|Carl|Carlos|Casimir|"
    "Catherine|Celestine|Christopher|Clement|Cleopatra|Conrad|David|Edmund|Emmanuel|Eric|Erik|Ernest|Eugene|Faisal|"
    "Farouk|Felipe|Franz|Frederik|Fuad|Gregory|Gustavus|Haakon|Hadrian|Hamid|Harald|Harold|Hassan|Heinrich|Honorius|Humbert|Hussein|"
    "Innocent|Isabella|Ivan|Joan|Joseph|Juan|Julius|Justinian|Kamehameha|Karl|Kenneth|Konrad|Ladislaus|Louise|Ludwig|Magnus|"
    "Mahmud|Malcolm|Manuel|Margaret|Margrethe|Martin|Matthias|Maximilian|Mehmed|Menelik|Michael|Mithridates|Mohammed|Muhammad|"
    "Murad|Mustafa|Nebuchadnezzar|Norodom|Olaf|Olav|Osman|Pedro|Rainier|Rama|Rameses|Ramesses|Ramses|Raymond|Roger|"
    "Rudolf|Rudolph|Sancho|Sargon|Selim|Seti|Shalmaneser|Sigismund|Sixtus|Stephen|Suleiman|Sweyn|Theodore|Theodosius|"
    "Thomas|Thutmose|Umberto|Urban|Valdemar|Vittorio|Walter|Wilhelm|Yazdegerd"
)
_TITLES = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Prince|Princess|Duke|Archbishop|Patriarch|Pharaoh|Shah|"
    "Count|Earl|Caliph"
)
_ANY_MONARCH = rf"{_MONARCHS}|{'|'.join(name.upper() for name in _MONARCHS.split('|'))}"
_JOINER = r"(?:, and | and |, or | or |, | to |-| & )"


def _read_part(match: re.Match[str]) -> str:
    return f"{match['name']} {cardinal(roman_value(match['numeral'].upper()))}"


def _read_parts(match: re.Match[str]) -> str:
    numerals = re.sub(r"(?<= )-|(?<=[IVXLC])-(?=[IVXLC])", " to ", match["numerals"])
    return match["name"] + " " + re.sub(r"\b[IVXLC]+\b", lambda one: cardinal(roman_value(one[0])), numerals)


def _read_monarchs(match: re.Match[str]) -> str:
    return match["name"] + " " + re.sub(r"\b[IVXLC]+\b", lambda one: _ordinal(one[0]), match["numerals"])


def _read_monarch(match: re.Match[str]) -> str:
    return f"{match['name']} {_ordinal(match['numeral'])}"


def _ordinal(numeral: str) -> str:
    return "the " + ordinal_in_words(str(roman_value(numeral)))


def _read_name(match: re.Match[str]) -> str:
    """Return "Rocky III" as a count, and leave the first word of a sentence before IV: "Give IV fluids"."""
    is_common = re.fullmatch(OPENERS, match["name"]) or (
        match["numeral"] == "IV" and is_sentence_start(match) and match["more"] is None
    )
    return match[0] if is_common else f"{match['name']}{match['more'] or ''} {cardinal(roman_value(match['numeral']))}"


# gave Mary IV fluids → gave Mary I V fluids
INTRAVENOUS_NOUN = rule(
    r"(?<![\w.'-])IV(?= (?:access|antibiotics?|bags?|drips?|drugs?|fluids?|infusions?|lines?|medications?|needles?|"
    r"pumps?|therapy|tubes?)\b)",
    "I V",
)
# Parts I and II, Volumes I-III → Parts one and two, Volumes one to three
PARTS = rule(
    rf"{WORD}(?P<name>(?:{_PARTS})s?|Appendices|Classes) "
    rf"(?P<numerals>(?:{_NUMERAL}|{_LETTER})(?:{_JOINER}(?:{_NUMERAL}|{_LETTER})){{1,6}}){INNER_STOP}",
    _read_parts,
)
# Henry VII and VIII → Henry the seventh and the eighth
MONARCHS = rule(
    rf"{WORD}(?P<name>{_MONARCHS}) (?P<numerals>(?:{_NUMERAL}|I|V|X)(?:{_JOINER}{_NUMERAL}){{1,6}}){INNER_STOP}",
    _read_monarchs,
)
# WWII → World War two
WORLD_WAR = rule(
    r"\bWW ?-?(?P<numeral>II|I|2|1)\b",
    lambda match: f"World War {'two' if match['numeral'] in ('II', '2') else 'one'}",
)
# Chapter XL, World War II, Episode iv → Chapter forty, World War two, Episode four; Exhibit V836 is a code
PART = rule(rf"{WORD}(?P<name>(?i:{_PARTS})) (?P<numeral>{_NUMERAL}){INNER_STOP}", _read_part)
SMALL_PART = rule(
    rf"{WORD}(?P<name>(?i:appendix|book|chapter|pages?|part|section|volume)) "
    rf"(?P<numeral>(?=[ivx]{{2}})x{{0,3}}(?:ix|iv|v?i{{0,3}}))\b{INNER_STOP}",
    _read_part,
)
PART_OF_ONE_LETTER = rule(rf"{WORD}(?P<name>{_PARTS}) (?P<numeral>{_LETTER})(?!{_CODE}){INNER_STOP}", _read_part)
SERIES_OF_ONE_LETTER = rule(
    rf"{WORD}(?P<name>Theft Auto|Final Fantasy|Saturn|Rocky|Bowl) (?P<numeral>[VXL])\b{INNER_STOP}", _read_part
)
# George III → George the third; Pope Sixtus IV; Henry Ford II
MONARCH = rule(rf"{WORD}(?P<name>{_ANY_MONARCH}) (?P<numeral>{_NUMERAL}){INNER_STOP}", _read_monarch)
NAMESAKE = rule(
    rf"{WORD}(?P<name>(?:{_MONARCHS}|{_TITLES})(?: [A-Z]\.| [A-Z][a-z]{{1,15}}){{1,2}}) "
    rf"(?P<numeral>{_NUMERAL}){INNER_STOP}",
    _read_monarch,
)
# James I., who → James the first, who; "John I. Bouck" is an initial
FIRST_MONARCH = rule(
    rf"{WORD}(?P<name>{_SOVEREIGNS}|{_TITLES} [A-Z][a-z]{{1,15}}) (?P<numeral>{_LETTER})"
    r"(?:\.(?=[,;:)]| [a-z])|(?=[,;:)]|'s|\.?$| of | and | was | reigned ))",
    _read_monarch,
)
# Star Trek III, Rocky II
NAME = rule(
    rf"{WORD}(?P<name>[A-Z][a-z']+)(?P<more>(?:[ :]+[A-Z][a-z']+){{1,3}})? (?P<numeral>{_NUMERAL}){INNER_STOP}",
    _read_name,
)
# IV fluids → I V fluids
INTRAVENOUS = rule(r"(?<![\w.'-])IV(?=s?(?![\w.'])|[.'](?!\w)|'s)", "I V")
# MCMXCIV → nineteen ninety-four
YEAR = rule(
    rf"(?<![\w.'])(?P<numeral>MC?M{_NUMERAL}|MDCCC{_NUMERAL})(?![\w'])",
    lambda match: pairs_in_words(roman_value(match["numeral"])),
)
