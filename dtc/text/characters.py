"""Any text → the characters that English prose is written with here: ASCII, no quotation marks, single spaces.

A character that has no spoken equivalent, such as ☃ or 你, is kept, so that the symbol table refuses it by name.
The marks of feet and inches, ′ and ″, stay behind a number for the rules that read them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from html.entities import html5

from dtc.text.dates import NAMES
from dtc.text.rules import any_of, apply, rule
from dtc.text.units import LENGTHS

_REPLACEMENTS = {
    **dict.fromkeys("‘’‚‛´", "'"),
    **dict.fromkeys("“”„‟«»‹›", '"'),
    **dict.fromkeys("‐‑−", "-"),
    # Invisible: soft hyphen, zero-width space and joiners, byte-order mark.
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
    # Letters that Unicode does not decompose.
    **{"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ß": "ss", "ł": "l", "Ł": "L", "đ": "d"},
    **{"Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"},
    **{"[": "(", "]": ")", "№": "No. ", "⁄": "/"},
}
# The rules of money, factors and inches read these.
_KEPT = frozenset("¢×µμΩ′″")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_TO_DIGITS = str.maketrans(_SUPERSCRIPTS, "0123456789")


def _power(digits: str) -> str:
    digits = digits.translate(_TO_DIGITS).replace("⁻", "minus ")
    return {"2": "squared", "3": "cubed"}.get(digits, f"to the {digits}" + "th" * digits.isdecimal())


_RULES_OF_SUPERSCRIPTS = (
    # 5 m² → 5 sq m; W/m² → W/sq m; 5 km2
    rule(
        rf"(?:(?<=\d)|(?<=\d[ \u00a0])|(?<=[A-Za-z]/)|(?<=\bper ))(?P<unit>{any_of(LENGTHS)})"
        r"(?P<power>[²³]|(?<=[mt])[23](?!\w))",
        "{power:square} {unit}",
        square=lambda power: "sq" if power in "²2" else "cu",
    ),
    # the result.³ → the result.
    rule(rf"(?:(?<=[.,;:!?\"”’'])|(?<=[^\W\d]{{3}}))(?:[{_SUPERSCRIPTS}]+(?!\w)|(?:\[\d{{1,3}}\])+(?!\w))", ""),
    # 10⁶ → 10 to the 6th
    rule(rf"(?<=[\w)])(?P<power>⁻?[{_SUPERSCRIPTS}]+)", " {power:power}", power=_power),
)
_RULES_OF_HYPHENS = (
    # –5, 3–7, 9 am – 5 pm
    rule(r"(?<![^ (])(?<!\d )–(?=[$£€¥]?\.?\d)", "-"),
    rule(
        r"(?:(?<=[\d%°″′])|(?<=\d[A-Za-z])|(?<=\d[A-Za-z]{2})|(?<=\d [ap]m)|(?<=[ap]\.m\.))(?:–| [–-] )"
        r"(?=[$£€¥'.]?\d)",
        "-",
    ),
    # I–III, Mon – Fri, Paris–Dakar
    rule(r"(?<=[IVX])–(?=[IVX]{1,5}(?!\w))", "-"),
    rule(rf"(?P<first>\b(?:{NAMES})\.?)(?: ?– ?| - )(?=(?:{NAMES})\b)", "{first}-"),
    rule(r"(?P<first>\b[A-Z][a-z]{0,30})–(?=[A-Z][a-z])", "{first}-"),
)
_DASH = re.compile(r" ?[—–―]+ ?")

_FEET_AND_INCHES = re.compile(r"(?<=\d)['’′] ?(?P<inches>\d{1,2}(?: ?[½¼¾]|[ .]\d[\d/]{0,4})?)(?:\"|”|″|''|’’|′′)")
_FEET = re.compile(
    r"(?<=\d)['’](?= ?(?:x|×|by) ?\d|[ -](?!(?:s|and|or|in|of|at|to|for|was|is)\b)[a-z]|[.,;:!?)]*$|[.,;:!?)]+ )"
)
_OPENS_A_QUOTATION = re.compile(r"(?:^|[\s(])['‘]\w")
_BEHIND_A_NUMBER = re.compile(r"[\d½¼¾] ?$")


def html_entities(text: str) -> list[str]:
    """Return the HTML entities in a text, in order, each once.

    >>> html_entities("don&#39;t &amp; won&#39;t")
    ['&#39;', '&amp;']
    """
    return [entity for entity in dict.fromkeys(_ENTITY.findall(text)) if entity[1] == "#" or entity[1:] in html5]


def decode_entities(text: str) -> str:
    """Return a text with the character itself in place of each HTML entity, decoded once: "&amp;lt;" → "&lt;"."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)


def plain_characters(text: str) -> str:
    """Fold accents and typographic marks, drop double quotation marks and footnote marks, read dashes as commas.

    >>> plain_characters("“Café” — done.²")
    'Cafe, done.'
    """
    # Composed first: an accent that stands on a letter goes with it, one that stands alone is kept.
    text = apply(_RULES_OF_SUPERSCRIPTS, unicodedata.normalize("NFC", text))
    text = " ".join("".join(map(_plain, _mark_feet_and_inches(text))).split())
    text = re.sub(r'(?<=\w)"(?=\w)', " ", text).replace('"', "")
    return " ".join(_DASH.sub(_read_dash, apply(_RULES_OF_HYPHENS, text)).split())


def _mark_feet_and_inches(text: str) -> str:
    """Return a text with ′ and ″ where a mark behind a number means feet or inches, and other marks as they were."""
    text = _FEET_AND_INCHES.sub(r"′ \g<inches>″", text)
    if not _OPENS_A_QUOTATION.search(text):
        text = _FEET.sub("′", text)
    pieces = re.split(r"(['\"“”″′])", text)
    opened, left = False, text.count('"')
    for number in range(1, len(pieces), 2):
        mark, is_measure = pieces[number], bool(_BEHIND_A_NUMBER.search(pieces[number - 1][-3:]))
        left -= mark == '"'
        if mark == "“" or mark == "”":
            pieces[number] = "″" if mark == "”" and is_measure and not opened else '"'
            opened = mark == "“"
        elif mark == '"' and is_measure and (not opened or left % 2):
            pieces[number] = "″"
        elif mark == '"':
            opened = not opened
        elif mark in "″′" and not is_measure:
            pieces[number] = '"' if mark == "″" else "'"
    return "".join(pieces)


def _plain(character: str) -> str:
    """Return what stands for one character; itself where there is nothing."""
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    if character.isascii() or character in _KEPT:
        return character
    if unicodedata.combining(character):
        return f" {character}"  # apart, or it would come to stand on the words for what is before it
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    parts = unicodedata.normalize("NFKD", character)
    folded = "".join(_REPLACEMENTS.get(part, part) for part in parts if not unicodedata.combining(part))
    if unicodedata.decomposition(character).startswith("<fraction>"):
        return f" {folded}"  # ½ decomposes to 1/2; apart from a whole number before it
    # Only a letter goes without its mark: ≠ is no =, and a lone ¨ no space.
    loses_a_mark = any(map(unicodedata.combining, parts)) and not folded.isalpha()
    return character if loses_a_mark or not folded.replace("°", "").isascii() else folded


def _read_dash(match: re.Match[str]) -> str:
    """Return a comma, the pause that every voice knows; nothing beside another mark."""
    before, after = match.string[max(match.start() - 1, 0) : match.start()], match.string[match.end() : match.end() + 1]
    if before in ",;:.!?(-":  # or at the beginning
        return " "
    return "" if after in ",;:.!?)" else ", "
