"""Addresses of web pages and of e-mail, and what short writing puts into a slash: w/o, b/c, and/or."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import cardinal, digits_in_words, pairs_in_words
from dtc.text.rules import rule

_SIGNS = {
    "#": "hash",
    "%": "percent",
    "&": "and",
    "+": "plus",
    "-": "dash",
    ".": "dot",
    "/": "slash",
    ":": "colon",
    "=": "equals",
    "?": "question mark",
    "@": "at",
    "_": "underscore",
    "~": "tilde",
}
# Domains, and the endings of file names.
_ENDINGS = (
    "com|org|net|edu|gov|mil|int|io|co|uk|de|fr|es|ch|at|nl|be|eu|us|ca|au|nz|jp|cn|in|br|ru|se|dk|fi|pl|ie|info|biz|dev|"
    "app|ai|me|tv|fm|xyz|online|shop|blog|news|tech|site|COM|ORG|NET|"
    "pdf|txt|csv|html|htm|js|json|py|exe|jpg|jpeg|png|gif|zip|doc|docx|xls|xlsx|wav|yaml|xml"
)
_HOST = rf"(?:[A-Za-z0-9][\w-]{{0,40}}\.){{1,6}}(?:{_ENDINGS})(?![\w-]|\.\w)"
_PATH = r"(?:(?::\d{2,5})?[/?#](?:[^\s{}()<>\"',;|]*[\w/])?)?"
_SHORT = {
    "w/o": "without",
    "w/out": "without",
    "w/in": "within",
    "b/c": "because",
    "b/w": "between",
    "c/o": "care of",
}
_PIECE = re.compile(r"[A-Za-z]+|\d+|.")


def _read_address(match: re.Match[str]) -> str:
    return " ".join(map(_read_piece, _PIECE.findall(match[0])))


def _read_piece(piece: str) -> str:
    if piece.isdecimal():
        is_year = len(piece) == 4 and piece[:2] in ("19", "20")
        return (
            pairs_in_words(int(piece))
            if is_year
            else cardinal(int(piece))
            if piece == str(int(piece))[:2]
            else digits_in_words(piece)
        )
    if piece.lower() in ("www", "http", "https", "ftp"):
        return " ".join(piece)
    return _SIGNS.get(piece, piece)


def _read_short(match: re.Match[str]) -> str:
    words = _SHORT[match["short"].lower()]
    return words.capitalize() if match["short"][0].isupper() else words


# a@b.org → a at b dot org
E_MAIL = rule(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,40}\.){1,6}[A-Za-z]{2,12}(?![\w-])", _read_address)
# example.com/about → example dot com slash about
WEB = rule(
    rf"(?<![\w.@/-])(?:(?:https?|ftp)://[^\s{{}}()<>\"',;|]*[\w/]|www\.[\w.-]{{1,80}}\w{_PATH}|{_HOST}{_PATH})",
    _read_address,
)
# @handle, #topic
HANDLE = rule(r"(?<![\w@.])@(?=[A-Za-z_]\w)", "at ")
HASHTAG = rule(r"(?<![\w#&])#(?=[A-Za-z]\w)", "hashtag ")
# w/o sugar → without sugar; w/ milk → with milk
SHORT_WORDS = rule(rf"(?<![\w/.])(?P<short>(?i:{'|'.join(_SHORT)}))(?![\w/])", _read_short)
WITH = rule(r"(?<![\w/.])(?P<with>[Ww])/ ?(?=[a-zA-Z\d])", r"\g<with>ith ")
# AT&T → A T and T
INITIALS = rule(
    r"(?<![\w&])(?!I{1,3} & |[IVX]{2,} & |I & )(?P<first>[A-Z]{1,3}) ?& ?(?P<second>[A-Z]{1,3})(?![\w&])",
    lambda match: f"{' '.join(match['first'])} and {' '.join(match['second'])}",
)
AMPERSAND = rule(r"&(?!c\.)", " and ")
# and/or → and or; 1/2 is a fraction, // an address
SLASH = rule(r"(?<!/)/(?!/)(?:(?<!\d/)|(?!\d))", " ")
SLASH_OF_NUMBERS = rule(r"(?<=\d)/(?=\d)", " ")
