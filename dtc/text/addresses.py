"""Addresses of web pages and of e-mail, and what short writing puts into a slash: w/o, b/c, and/or."""

from __future__ import annotations

import re
import unicodedata

from dtc.text.numbers_in_words import integer_in_words, pairs_in_words, spelt
from dtc.text.rules import any_of, full_form, rule, table

_SIGNS = table(
    "# hash, % percent, & and, + plus, - dash, . dot, / slash, : colon, = equals, ? question mark, @ at, "
    "_ underscore, ~ tilde"
)
# Domains, and the endings of file names.
_ENDINGS = (
    "com|org|net|edu|gov|mil|int|io|co|uk|de|fr|es|ch|at|nl|be|eu|us|ca|au|nz|jp|cn|in|br|ru|se|dk|fi|pl|ie|info|biz|dev|"
    "app|ai|me|tv|fm|xyz|online|shop|blog|news|tech|site|COM|ORG|NET|"
    "pdf|txt|csv|html|htm|js|json|py|exe|jpg|jpeg|png|gif|zip|doc|docx|xls|xlsx|wav|yaml|xml"
)
_HOST = rf"(?:[A-Za-z0-9][\w-]{{0,40}}\.){{1,6}}(?:{_ENDINGS})(?![\w-]|\.\w)"
_PATH = r"(?::\d{2,5})?(?:[/?#](?:[^\s{}()<>\"',;|]*[\w/])?)?"
_SHORT = table("w/o without, w/out without, w/in within, b/c because, b/w between, c/o care of, y/o year-old")


def _read_address(match: re.Match[str]) -> str:
    return " ".join(map(_read_piece, re.findall(r"[A-Za-z]+|\d+|.", match[0])))


def _read_piece(piece: str) -> str:
    if not piece.isdecimal():
        return spelt(piece) if piece.lower() in ("www", "http", "https", "ftp") else _SIGNS.get(piece, piece)
    if len(piece) == 4 and piece[:2] in ("19", "20"):
        return pairs_in_words(piece)
    return integer_in_words(piece) if len(piece) < 3 else spelt(piece)


ADDRESSES = (
    # a@b.org → a at b dot org
    rule(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,40}\.){1,6}[A-Za-z]{2,12}(?![\w-])", _read_address),
    # example.com/about → example dot com slash about
    rule(
        rf"(?<![\w.@/-])(?:(?:https?|ftp)://[^\s{{}}()<>\"',;|]*[\w/]|www\.[\w.-]{{1,80}}\w{_PATH}|{_HOST}{_PATH})",
        _read_address,
    ),
    # @handle, @ 5 pm, #topic, #BlackFriday → hashtag Black Friday
    rule(r"(?<![\w@.])@(?:(?=[A-Za-z_]\w)|(?<= @) ?(?=[$£€]?\w))", "at "),
    rule(
        r"(?<![\w#&])#(?P<topic>[A-Za-z]\w+)",
        "hashtag {topic:words}",
        words=lambda topic: re.sub(r"(?<=[a-z])(?=[A-Z\d])|_+", " ", topic),
    ),
    # w/o sugar → without sugar; w/ milk → with milk
    rule(rf"(?<![\w/.])(?P<first>(?i:{any_of(_SHORT)}))(?![\w/])", "{first:full}", full=full_form(_SHORT)),
    rule(r"(?<![\w/.])(?P<w>[Ww])/ ?(?=[a-zA-Z\d])", "{w}ith "),
    # AT&T → A T and T
    rule(
        r"(?<![\w&])(?!I{1,3} & |[IVX]{2,} & |I & )(?P<first>[A-Z]{1,3}) ?& ?(?P<second>[A-Z]{1,3})(?![\w&])",
        "{first:spelt} and {second:spelt}",
    ),
)
SIGNS = (
    rule(r"&(?!c\.)", " and "),
    # 5 + 4 = 9, x = 3 → five plus four equals nine, x equals three; 7 - 3 = 4
    rule(r"(?<=[\w)%])(?P<gap> ?)(?P<sign>[+=])(?P=gap)(?=[\w($£€])", " {sign:name} ", name=_SIGNS.__getitem__),
    rule(r"(?<=\d) ?- ?(?=\d+ (?:=|equals) )", " minus "),
    # 50+, C++, C#
    rule(r"(?<=\w)\+{1,2}(?![\w+])", "{:spelt}"),
    rule(r"(?<=\b[A-G])#(?![\w#])", " sharp"),
)
# β-carotene → beta-carotene; a word of Greek letters stays.
GREEK = rule(
    r"(?<![Ͱ-Ͽ])[Α-ΡΣ-Ωα-ω](?![Ͱ-Ͽ])", "{:name}", name=lambda letter: unicodedata.name(letter).split()[3].lower()
)
# and/or → and or; // belongs to an address
SLASH = rule(r"(?<!/)/(?!/)", " ")
