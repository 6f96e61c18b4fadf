"""Numbers that are names: telephone and card numbers, rooms, routes, aircraft, postal codes and other codes."""

from __future__ import annotations

import re

from dtc.text.numbers_in_words import pairs_in_words, plural_in_words
from dtc.text.rules import COUNTED, FUNCTION_WORDS, rule

# What flies, drives or computes under a number that is read in pairs: Boeing 747.
_MODELS = (
    "[Ff]light(?: [A-Z]{2}(?= ))?|FLIGHT|Airbus(?: A)?|Boeing|BOEING|Cessna|Douglas|Embraer|Learjet|Lockheed|"
    "Audi|BMW|Ferrari|Fiat|Lotus|Mercedes|Peugeot|Porsche|Renault|Volvo|"
    "Atari|Canon|Intel|Leica|Nikon|Nokia|Pentium|Xbox|Apollo|Area|Chanel|Levi's|Studio|"
    r"[Nn]umbers?|[Ee]xhibit|[Rr]oute|[Hh]ighway|Interstate|P\.S\."
)
# A word behind the digits that makes them a count: "they call 20 witnesses", "a room 20 feet long".
_VERBS = "appears|arrives|expires|fails|landed|leads|leaves|left|means|opens|rings|shows|smells|works"
_NOT_COUNTED = (
    rf"(?! ?%|[ -](?:(?:or|to|and|by|x) \d+ )?(?!(?:{FUNCTION_WORDS}|{_VERBS})\b)(?:[a-z]|°)|"
    r" (?:a (?:day|week|month|year)|of|by|x)\b)"
)
# Telephone and card numbers, each digit of which is said.
_BY_DIGIT = (
    # 4111 1111 1111 1111, 3782 822463 10005
    r"(?<![\w.,-])(?:\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{5})(?![\w-]|[.,]\d)",
    # 020 7946 0958, +44 20 7946 0958, (020) 7946 0958, 07700 900123
    r"(?<![\w.,(+-])(?<!\d )(?:\+(?=(?:[ ()-]{0,2}\d){7})\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?|"
    r"\((?:0\d{2,4}|\d{3}(?=\) \d{3}-\d{4}))\)[ -]?|0\d{2,4}[ -])\d{1,6}(?:[ -]\d{2,6}){0,5}(?![\w-]|[.,:/]\d)",
    # (214) 555-0199, 1-214-555-0199, 214 555 0199
    r"(?<![\d-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\d-])",
    # 555-0199; 500-1000 is a range
    r"(?<![\d.,-])\d{3}-(?!\d\d00)\d{4}(?![\d-])",
    # 123-45-6789, 978-3-16-148410-0, 20-00-00
    r"(?<![\w-])(?:\d{3}-\d\d-\d{4}|\d{1,3}-\d{1,5}-\d{1,7}-[\dX](?:-\d)?|\d\d-\d\d-\d\d)(?![\w-])",
    # a 911 call
    r"\b(?:911|999|112|411)(?= (?:call|dispatcher|emergency|operator)s?\b)",
)
RULES = (
    # 1 000 000, 1'000'000, 1.000.000, 10 000 → 1,000,000, 10,000
    rule(
        r"(?<![\w.,'-])(?<!\d )[1-9]\d{0,2}(?:(?: \d{3}){2,5}|(?:'\d{3}){1,5}|(?:\.\d{3}){2,5}| \d00)"
        r"(?![\w'])(?! ?[.,-]?\d)",
        lambda match: re.sub(r"[ '.]", ",", match[0]),
    ),
    *(rule(pattern, "{:spelt}") for pattern in _BY_DIGIT),
    # call 90210 → call nine zero two one zero, call 555-0199; "room 3.5" and "room 20 feet long" are quantities
    rule(
        r"(?P<carrier>(?i:\b(?:call|dial|code|room|pin|extension|code is(?= \d{4})|pin is(?= \d{4})|text(?= \d{5})|"
        r"box(?= \d{3}))):?) (?P<digits>(?:\d{5,}|0\d+|911|999|112)(?:-\d+)*|"
        rf"\d+(?:-\d+)*(?:(?=[.,:-])|(?![\w.,:-]){_NOT_COUNTED}))(?![.,:]?\d)",
        "{carrier} {digits:spelt}",
    ),
    # Boeing 747, Flight 370, Number 143, Exhibit 133-A, Boeing 737-800 → Boeing seven forty-seven, Flight three seventy
    rule(
        rf"\b(?:(?P<name>{_MODELS}) ?|(?=7\d7-\d00\b))(?P<number>\d{{2,4}})(?P<series>-(?:\d{{3}}|(?=[A-Z]\b)))?"
        rf"\b(?![.,:/]\d|-\d){_NOT_COUNTED}",
        "{name} {number:pairs}{series:series}",
        series=lambda text: text and " " + pairs_in_words(text[1:]),
    ),
    # 747s, B-29s, MP3s → seven forty-sevens, B-twenty-nines, MP threes
    rule(
        r"(?P<number>\b7\d7|\b10(?=s of\b)|(?<=[A-Za-z])\d{1,3}|(?<=\b[A-Z]-)\d{1,3})'?s\b",
        "{number:plural}",
        plural=lambda digits: plural_in_words(pairs_in_words(digits)),
    ),
    # 401(k) → four oh one k
    rule(r"\b(?P<plan>40[13])\((?P<letter>[kb])\)", "{plan:pairs} {letter}"),
    # SW1A 1AA, K1A 0B1
    rule(r"\b(?:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]\d[A-Z] \d[A-Z]\d)\b", "{:spelt}"),
    # Beverly Hills, CA 90210 → nine zero two one zero
    rule(
        r"(?P<state>(?:\b[A-Z]{2}|, [A-Z][A-Za-z.]+(?: [A-Z][a-z]+)?|\b[Zz]ip(?: code)?),?) "
        rf"(?P<digits>\d{{5}}(?:-\d{{4}})?)(?![\d,-]|\.\d|{COUNTED})",
        "{state} {digits:spelt}",
    ),
    # C2766 → C two seven six six
    rule(r"(?<![\w-])[A-Z]{1,3}-?\d{3,}(?![.,]?\d)", "{:spelt}"),
)
