"""Amounts of money: their signs, their scales, their ranges and what they are paid for."""

from __future__ import annotations

import re

from dtc.text.rules import FUNCTION_WORDS, INTEGER, STOP, amount, before, counted, plural, rule
from dtc.text.units import UNITS, unit_in_words

CURRENCIES = {
    "$": ("dollar", "cent"),
    "£": ("pound", "penny"),
    "€": ("euro", "cent"),
    "¥": ("yen", "sen"),
    "₹": ("rupee", "paisa"),
    "₩": ("won", "jeon"),
    "₽": ("ruble", "kopeck"),
    "₺": ("lira", "kurus"),
    "₪": ("shekel", "agora"),
    "฿": ("baht", "satang"),
    "₿": ("bitcoin", "bit"),
    "A$": ("Australian dollar", "cent"),
    "AU$": ("Australian dollar", "cent"),
    "C$": ("Canadian dollar", "cent"),
    "CA$": ("Canadian dollar", "cent"),
    "HK$": ("Hong Kong dollar", "cent"),
    "NZ$": ("New Zealand dollar", "cent"),
    "S$": ("Singapore dollar", "cent"),
    "US$": ("U S dollar", "cent"),
}
_CODES = {
    "AUD": "A$",
    "CAD": "C$",
    "EUR": "€",
    "GBP": "£",
    "INR": "₹",
    "JPY": "¥",
    "NZD": "NZ$",
    "USD": "US$",
}
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion"}
_SIGN = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_SCALE_WORDS = r"hundred|thousand|million|billion|trillion"
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,9})?"
_SHORT_SCALE = r"(?:bn|tn|mn|[kKmMbB])\b"
# What an amount is divided by, where its own name does not say it: $5/mo.
_PAYMENTS = {"d": "day", "w": "week", "y": "year", "m²": "square meter", "p": "person", "ea": "each"}


def _read_price(match: re.Match[str]) -> str:
    unit, hundredth = CURRENCIES[match["sign"]]
    whole, fraction = match["whole"] or "0", match["fraction"]
    scale = (match["scale"] or _SCALES.get((match["short"] or "").lower(), "")).lower()
    if match["adjective"] is not None or _is_adjective(match):
        return f"{amount(whole, fraction)}{scale and ' ' + scale}-{unit}"  # a £5 note, a $3 million house
    if scale or (fraction and len(fraction) != 2):
        return " ".join(filter(None, (amount(whole, fraction), scale, plural(unit))))
    hundredths = (fraction or "").lstrip("0")
    parts = [counted(whole, unit)] if whole.strip("0,") or not hundredths else []
    parts += [counted(hundredths, hundredth)] if hundredths else []
    return " and ".join(parts)


def _is_adjective(match: re.Match[str]) -> bool:
    """Return whether an amount describes the noun that follows it: "a $5 ticket", not "a $5.50 ticket"."""
    plain = match["fraction"] is None or match["scale"] or match["short"]
    return bool(plain and re.search(r"\b[Aan]{1,2} $", before(match)) and _NOUN.match(match.string, match.end()))


_NOUN = re.compile(rf" (?!(?:{FUNCTION_WORDS}|more|less|each|apiece|extra|worth|billion|trillion)\b)[a-z]")


def _read_per(match: re.Match[str]) -> str:
    symbol = match["unit"]
    words = _PAYMENTS.get(symbol) or (unit_in_words(symbol) if symbol in UNITS or " " in symbol else symbol)
    article = "" if words == "each" else "an " if re.match(r"(?:[aeio]|hour)", words) else "a "
    return f" {article}{words}"


# $5-10 → 5 to $10; $5-$10 million → 5 to $10 million. The rule below reads $5-$10 on both sides.
RANGE = rule(
    rf"(?P<sign>{_SIGN})(?P<first>{_NUMBER})-(?P<second>{_NUMBER})(?![\w,]|\.\d)", r"\g<first> to \g<sign>\g<second>"
)
RANGE_OF_SCALE = rule(
    rf"(?P<sign>{_SIGN})(?P<first>{_NUMBER})-(?:(?P=sign))?"
    rf"(?P<second>{_NUMBER}(?: (?:{_SCALE_WORDS})\b|{_SHORT_SCALE}))",
    r"\g<first> to \g<sign>\g<second>",
)
# 30 USD, 30 €, EUR 30 → US$30, €30, €30
CODE_BEHIND = rule(
    rf"(?<![\w.,$£€¥])(?P<number>{_NUMBER})(?P<scale> (?:million|billion)|) ?(?P<code>{'|'.join(_CODES)})\b",
    lambda match: _CODES[match["code"]] + match["number"] + match["scale"],
)
CODE_BEFORE = rule(rf"\b(?P<code>{'|'.join(_CODES)}) ?(?=\d)", lambda match: _CODES[match["code"]])
SIGN_BEHIND = rule(rf"(?<![\w.,$£€¥])(?P<number>{_NUMBER}) ?(?P<sign>[$£€₹₽])(?![\w.,]*\d)", r"\g<sign>\g<number>")
# $-5 → -$5
MINUS_BEHIND_SIGN = rule(rf"(?<!\w)(?P<sign>{_SIGN})-(?=\d)", r"-\g<sign>")
# $5/month, £3/kg, $20/hr → … a month, a kilogram, an hour
PER = rule(
    rf"(?P<price>(?:{_SIGN}){_NUMBER}(?: (?i:{_SCALE_WORDS})\b|{_SHORT_SCALE})?) ?/ ?"
    r"(?P<unit>(?:sq|cu)\.? [a-z]{1,2}\b|[A-Za-z]{1,12}\b)",
    lambda match: match["price"] + _read_per(match),
)
# $12.50 → twelve dollars and fifty cents, $0.05 → five cents, $1.5 million, £2bn, a £5 note
PRICE = rule(
    rf"(?<![A-Za-z])(?P<sign>{_SIGN}) ?(?=\.?\d)(?P<whole>{INTEGER})?(?:\.(?P<fraction>\d+))?"
    rf"(?:[ -](?P<scale>(?i:{_SCALE_WORDS}))\b|(?P<short>{_SHORT_SCALE}))?"
    r"(?P<adjective>(?=[ -](?:bill|note)s?\b))?",
    _read_price,
)
# 500l. → five hundred pounds
OLD_POUNDS = rule(rf"(?<![\w.,])(?P<number>{INTEGER})l{STOP}(?<!\d)", lambda match: counted(match["number"], "pound"))
# 50p → fifty pence; 720p is a resolution
PENNIES = rule(
    r"(?<![\w.,])(?!(?:240|360|480|720)p)(?P<number>\d{1,3})p\b", lambda match: counted(match["number"], "penny")
)
