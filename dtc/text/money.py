"""Amounts of money: their signs, their scales, their ranges and what they are paid for."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import amount_in_words
from dtc.text.rules import INTEGER, SMALL, STOP, any_of, counted, describes, plural, rule, table
from dtc.text.units import UNIT, UNIT_END, UNITS, unit_in_words

_SIGNS = table(
    "$ dollar, £ pound, € euro, ¥ yen, ₹ rupee, ₩ won, ₽ ruble, ₺ lira, ₪ shekel, ฿ baht, ₿ bitcoin, "
    "A$ Australian dollar, AU$ Australian dollar, C$ Canadian dollar, CA$ Canadian dollar, HK$ Hong Kong dollar, "
    "NZ$ New Zealand dollar, S$ Singapore dollar, US$ U S dollar"
)
_CODES = table(
    "AUD Australian dollar, CAD Canadian dollar, CHF Swiss franc, CNY yuan, EUR euro, GBP pound, INR rupee, JPY yen, "
    "NZD New Zealand dollar, USD U S dollar"
)
# Where a hundredth is not a cent.
_HUNDREDTHS = table("£ penny, GBP penny, ¥ sen, ₹ paisa, ₩ jeon, ₽ kopeck, ₺ kurus, ₪ agora, ฿ satang, CHF centime")
SCALES = table("k thousand, m million, mn million, b billion, bn billion, tn trillion")
_UNITS = _SIGNS | _CODES
_SIGN = any_of(_UNITS)
_SCALE_WORDS = r"hundred|thousand|million|billion|trillion"
_SHORT_SCALE = r"(?:bn|tn|mn|[kKmMbB])\b"
_SCALE = rf"(?: (?i:{_SCALE_WORDS})\b|{_SHORT_SCALE})"
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,9})?"


def _read_price(match: re.Match[str]) -> str:
    unit, hundredth = _UNITS[match["sign"]], _HUNDREDTHS.get(match["sign"], "cent")
    whole, fraction = match["whole"] or "0", match["fraction"]
    scale = (match["scale"] or SCALES.get((match["short"] or "").lower(), "")).lower()
    words = " ".join(filter(None, (amount_in_words(f"{whole}.{fraction}" if fraction else whole), scale)))
    if match["note"] is not None or ((scale or not fraction) and describes(match)):
        return f"{words}-{unit}"  # a £5 note, a $3 million house
    if scale or (fraction and len(fraction) != 2):
        return f"{words} {plural(unit)}"
    hundredths = (fraction or "").lstrip("0")
    parts = [counted(whole, unit)] if whole.strip("0,") or not hundredths else []
    parts += [counted(hundredths, hundredth)] if hundredths else []
    return " and ".join(parts)


def _per(symbol: str) -> str:
    """Return what a payment is for: "mo" → "a month", "hr" → "an hour", "ea" → "each"."""
    words = (UNITS | table("d day, p person, ea each")).get(symbol, symbol)
    return words if words == "each" else f"{'an' if re.match('[aeio]|hour', words) else 'a'} {words}"


PAYMENTS = (
    # $5/month, £3/kg, $20/hr → … a month, a kilogram, an hour
    rule(
        rf"(?P<price>(?:{_SIGN}){_NUMBER}{_SCALE}?) ?/ ?(?P<unit>(?:sq|cu)\.? [a-z]{{1,2}}\b|[A-Za-z]{{1,12}}\b)",
        "{price} {unit:per}",
        per=_per,
    ),
    # 5 mg/day → 5 mg per day
    rule(
        r"(?<![\w.,])(?P<amount>[\d.,]*\d(?: ?[A-Za-z]+)?)/(?=(?:second|min|minute|hour|hr|day|week|month|year|yr)\b)",
        "{amount} per ",
    ),
    # £3.50 per kg → £3.50 per kilogram
    rule(rf"(?<=\bper )(?P<unit>(?![A-Za-z]\b|in\b){UNIT}){UNIT_END}", "{unit:words}", words=unit_in_words),
)
SIGNS = (
    # 30 USD, 30 million € → USD30, €30 million
    rule(
        rf"(?<![\w.,$£€¥])(?P<number>{_NUMBER}(?: (?:million|billion))?) ?"
        rf"(?P<sign>(?:{any_of(_CODES)})\b|[$£€₹₽](?![\w.,]*\d))",
        "{sign}{number}",
    ),
    # $-5 → -$5
    rule(rf"(?<!\w)(?P<sign>{_SIGN})-(?=\d)", "-{sign}"),
    # $5-$10 million, $5-10 → 5 to $10 million, 5 to $10; $5-$10 is read on both sides
    rule(
        rf"(?P<sign>{_SIGN})(?P<first>{_NUMBER})-(?:(?P=sign)(?={_NUMBER}{_SCALE}))?"
        rf"(?P<second>{_NUMBER}{_SCALE}?)(?![\w,]|\.\d)",
        "{first} to {sign}{second}",
    ),
)
PRICES = (
    # 500l. → £500
    rule(rf"(?<![\w.,])(?P<number>{INTEGER})l{STOP}(?<!\d)", "£{number}"),
    # 50p → fifty pence; 720p is a resolution
    rule(rf"(?!(?:240|360|480|720)p){SMALL}p\b", "{number:pence}", pence=lambda text: counted(text, "penny")),
    # $12.50 → twelve dollars and fifty cents, $0.05 → five cents, $1.5 million, £2bn, a £5 note
    rule(
        rf"(?<![A-Za-z])(?P<sign>{_SIGN}) ?(?=\.?\d)(?P<whole>{INTEGER})?(?:\.(?P<fraction>\d+))?"
        rf"(?:[ -](?P<scale>(?i:{_SCALE_WORDS}))\b|(?P<short>{_SHORT_SCALE}))?"
        r"(?P<note>(?=[ -](?:bill|coin|note)s?\b|-an?-))?",
        _read_price,
    ),
)
