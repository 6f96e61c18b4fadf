"""Any text → the characters that English prose is written with here: ASCII, no quotation marks, single spaces.

What has no spoken equivalent (☃, 你, =) is kept, so that the symbol table refuses it by name instead of losing it.
"""

from __future__ import annotations

import re
import unicodedata

_REPLACEMENTS = {
    **dict.fromkeys("‘’‚‛′´", "'"),
    **dict.fromkeys("“”„‟«»‹›″", '"'),
    **dict.fromkeys("‐‑−", "-"),
    # Invisible: soft hyphen, zero-width space and joiners, byte-order mark.
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
    # Letters that Unicode does not decompose.
    "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ß": "ss", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i",
    "[": "(", "]": ")", "№": "No. ", "²": " squared", "³": " cubed", "⁄": "/",
}  # fmt: skip

_RATES = {"km/h": "kilometers per hour", "mi/h": "miles per hour", "m/s": "meters per second"}


def plain_characters(text: str) -> str:
    """Fold accents and typographic marks, drop double quotation marks, spell `&` and `/` between words.

    >>> plain_characters("“Café” — A/B")
    'Cafe, A B'
    """
    # Composed first: an accent that stands on a letter goes with it, one that stands alone is kept.
    text = "".join(map(_plain, unicodedata.normalize("NFC", text)))
    text = " ".join(text.split())
    text = re.sub(r"(?<=\d)' ?(?=\d{1,2}\")", " foot ", text)  # 5'10" before its marks are lost
    text = re.sub(r'(?<=\w)"(?=\w)', " ", text).replace('"', "")
    text = re.sub(r"(?<=\d)–(?=\d)", "-", text)
    text = re.sub(r"(?:^| ?)[—–―]+ ?", _read_dash, text)
    text = re.sub(r"\b(?:km/h|mi/h|m/s)\b", lambda rate: _RATES[rate[0]], text)
    text = re.sub(r"(?<!/)/(?!/)(?:(?<!\d/)|(?!\d))", " ", text)  # and/or; 1/2 is a fraction, // an address
    text = re.sub(r"&(?!c\.)", " and ", text)
    return " ".join(text.split())


def _plain(character: str) -> str:
    """What stands for one character; itself where there is nothing."""
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    if character.isascii():
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
    return character if loses_a_mark or not folded.isascii() else folded


def _read_dash(match: re.Match[str]) -> str:
    """A comma, the pause that every voice knows; nothing beside another mark."""
    before, after = match.string[max(match.start() - 1, 0) : match.start()], match.string[match.end() : match.end() + 1]
    if before in ",;:.!?(-":  # or at the beginning
        return " "
    return "" if after in ",;:.!?)" else ", "
