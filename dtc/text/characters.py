"""Any text → the characters that English prose is written with here: ASCII, no quotation marks, single spaces.

Signs that have one name, such as § and ÷, become words. A character that has no spoken equivalent, such as ☃ or 你, is
kept, so that the symbol table refuses it by name. The marks of feet and inches, ′ and ″, stay behind a number for the
rules that read them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from html.entities import html5

from dtc.text.dates import NAMES
from dtc.text.rules import any_of, apply, rule, table
from dtc.text.units import LENGTHS

# Letters that Unicode does not decompose, and marks that have a plainer one.
_PLAINER = table(
    "æ ae, Æ Ae, œ oe, Œ Oe, ø o, Ø O, ß ss, ł l, Ł L, đ d, Đ D, ð d, Ð D, þ th, Þ Th, ı i, μ µ, º °, ⁄ /, [ (, ] )"
)
_SIGNS = table(
    "№ No., © copyright, § section, ¶ paragraph, ÷ divided by, ≠ not equal to, ≤ less than or equal to, "
    "≥ greater than or equal to, √ square root of, ∞ infinity, ‰ per mille"
)
_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛´", "'"),
        **dict.fromkeys("“”„‟«»‹›", '"'),
        **dict.fromkeys("‐‑−", "-"),
        # Invisible (soft hyphen, zero-width space and joiners, byte-order mark), or not spoken.
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff™®†‡•", ""),
        **_PLAINER,
        **{sign: f" {name} " for sign, name in _SIGNS.items()},
    }
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_TO_DIGITS = str.maketrans(_SUPERSCRIPTS + "⁻", "0123456789-", "^")


def _power(digits: str) -> str:
    digits = digits.translate(_TO_DIGITS)
    ordinal = f"to the {digits}th" if digits.isdecimal() else f"to the minus {digits[1:]}"
    return {"2": "squared", "3": "cubed"}.get(digits, ordinal)


_RULES_OF_MARKS = (
    # 5 m² → 5 sq m; W/m² → W/sq m; 5 km2
    rule(
        rf"(?:(?<=\d)|(?<=\d[ \u00a0])|(?<=[A-Za-z]/)|(?<=\bper ))(?P<unit>{any_of(LENGTHS)})"
        r"(?P<power>[²³]|(?<=[mt])[23](?!\w))",
        "{power:square} {unit}",
        square=lambda power: "sq" if power in "²2" else "cu",
    ),
    # the result.³ → the result.
    rule(rf"(?:(?<=[.,;:!?\"”’'])|(?<=[^\W\d]{{3}}))(?:[{_SUPERSCRIPTS}]+(?!\w)|(?:\[\d{{1,3}}\])+(?!\w))", ""),
    # 10⁶, 10^6 → 10 to the 6th
    rule(rf"(?<=[\w)])(?P<power>⁻?[{_SUPERSCRIPTS}]+|\^-?\d{{1,3}}\b)", " {power:power}", power=_power),
    # the price* → the price; §§ 5 → sections 5
    rule(r"(?<=[\w.,;:!?)'’])(?<!\d)\*+(?!\w)|(?<![\w)])\*+(?=\w)", ""),
    rule(r"§ ?§", " sections "),
    # 8'' → 8"; 5' 8" → 5 foot 8
    rule("''|’’|′′", '"'),
    rule(r"(?<=\d)['’′] ?(?P<inches>\d{1,2}(?: ?[½¼¾]|[ .]\d[\d/]{0,4})?)[\"”″]", " foot {inches}"),
)
_RULES_OF_DASHES = (
    # –5
    rule(r"(?<![^ (])(?<!\d )–(?=[$£€¥]?\.?\d)", "-"),
    # A–Z, I–III → A to Z, I to III
    rule(r"(?P<first>\b(?:[A-Z]|[IVX]+))–(?=(?:[A-Z]|[IVX]+)\b)", "{first} to "),
    # 3–7, Paris–Dakar, Nov.–Dec.
    rule(r"(?<=[\w%°″′.])–(?=[$£€¥'.]?\w)", "-"),
    # 9 am – 5 pm, Mon - Fri
    rule(
        r"(?:(?<=[\d%°″′])|(?<=\d[A-Za-z])|(?<=\d[A-Za-z]{2})|(?<=\d [ap]m)|(?<=[ap]\.m\.)) [–-] (?=[$£€¥'.]?\d)", "-"
    ),
    rule(rf"(?P<first>\b(?:{NAMES})\.?) [–-] (?=(?:{NAMES})\b)", "{first}-"),
    # Any other dash is a comma, the pause that every voice knows; nothing beside another mark.
    rule(r"(?:(?<=[,;:.!?(-])|^) ?[—–―]+ ?", " "),
    rule(r" ?[—–―]+ ?(?=[,;:.!?)]|$)", ""),
    rule(r" ?[—–―]+ ?", ", "),
)

_FEET = re.compile(
    r"(?<=\d)['’](?= ?(?:x|×|by|[-–]) ?\d|[ -](?!(?:s|and|or|in|of|at|to|for|was|is)\b)[a-z]|[.,;:!?)]*$|[.,;:!?)]+ )"
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
    """Fold accents and typographic marks, drop quotation marks and footnote marks, and read signs and dashes.

    >>> plain_characters("“Café” — done.²")
    'Cafe, done.'
    """
    # Composed first: an accent that stands on a letter goes with it, one that stands alone is kept.
    text = _mark_feet_and_inches(apply(_RULES_OF_MARKS, unicodedata.normalize("NFC", text)))
    text = " ".join("".join(map(_plain, text.translate(_REPLACEMENTS))).split())
    text = re.sub(r'(?<=\w)"(?=\w)', " ", text).replace('"', "")
    return " ".join(apply(_RULES_OF_DASHES, text).split())


def _mark_feet_and_inches(text: str) -> str:
    """Return a text with ′ and ″ where a mark behind a number means feet or inches, and other marks as they were."""
    if not _OPENS_A_QUOTATION.search(text):
        text = _FEET.sub("′", text)
    pieces = re.split(r"([\"“”″′])", text)
    opened, left = False, text.count('"')
    for number in range(1, len(pieces), 2):
        mark, is_measure = pieces[number], bool(_BEHIND_A_NUMBER.search(pieces[number - 1][-3:]))
        left -= mark == '"'
        is_inch = mark in '"”' and (not opened or (mark == '"' and left % 2))
        if is_measure and (mark in "″′" or is_inch):
            pieces[number] = "′" if mark == "′" else "″"
        elif mark in "″′":
            pieces[number] = '"' if mark == "″" else "'"
        else:
            pieces[number], opened = '"', mark == "“" or (mark == '"' and not opened)
    return "".join(pieces)


def _plain(character: str) -> str:
    """Return what stands for one character; itself where there is nothing."""
    if character.isascii() or character in "¢×µΩ′″":  # the rules of money, factors, units and inches read these
        return character
    if unicodedata.combining(character):
        return f" {character}"  # apart, or it would come to stand on the words for what is before it
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    parts = unicodedata.normalize("NFKD", character)
    folded = "".join(part for part in parts if not unicodedata.combining(part)).translate(_REPLACEMENTS)
    if "/" in folded:
        return f" {folded}"  # ½ decomposes to 1/2; apart from a whole number before it
    # Only a letter goes without its mark: ≮ is no <, and a lone ¨ no space.
    loses_a_mark = any(map(unicodedata.combining, parts)) and not folded.isalpha()
    return character if loses_a_mark or not folded.replace("°", "").isascii() else folded
