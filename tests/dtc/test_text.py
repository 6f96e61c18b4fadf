"""dtc.text: the choice of a normaliser, and numbers in words against inflect's."""

import subprocess
import sys

import pytest
import typeguard
from hypothesis import example, given
from hypothesis import strategies as st

from dtc.text import html_entities, spoken_words
from dtc.text.numbers_in_words import cardinal, fraction_in_words, ordinal_in_words, pairs_in_words, roman_value
from dtc.text.symbols import TextConfig

with pytest.MonkeyPatch.context() as patch:  # inflect's checks of its own types take two seconds to compile
    patch.setattr(typeguard, "typechecked", lambda each: each)
    import inflect

ENGINE = inflect.engine()


@pytest.mark.parametrize(
    ("normaliser", "spoken"),
    [("english", "Mister Hill's twenty-one cafes"), ("none", "Mr. Hill's 21 “cafés”")],
)
def test_spoken_words(normaliser, spoken):
    config = TextConfig(symbols="nvidia", normaliser=normaliser)
    assert spoken_words("Mr. Hill's\t21  “cafés”\n", config) == spoken


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("don&#39;t &amp; won&#39;t", ["&#39;", "&amp;"]),
        ("&#x27;&nbsp;&eacute;", ["&#x27;", "&nbsp;", "&eacute;"]),
        ("Smith & Co; AT&T; &unknown;", []),
    ],
)
def test_html_entities(text, entities):
    assert html_entities(text) == entities


def test_cardinals_and_ordinals_are_inflects():
    for number in (*range(2_000), *range(2_000, 1_000_000, 997)):
        assert cardinal(number) == ENGINE.number_to_words(number, andword="", comma="")
        assert ordinal_in_words(str(number)) == ENGINE.ordinal(cardinal(number))


@given(st.integers(0, 10**15 - 1))
@example(10**15 - 1)
@example(10**12)
def test_large_cardinals_are_inflects(number):
    assert cardinal(number) == ENGINE.number_to_words(number, andword="", comma="")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (7, "seven"),
        (606, "six oh six"),
        (500, "five hundred"),
        (1000, "one thousand"),
        (1026, "ten twenty-six"),
        (1900, "nineteen hundred"),
        (2007, "two thousand seven"),
        (2010, "twenty ten"),
        (3800, "three thousand eight hundred"),
    ],
)
def test_pairs(number, words):
    assert pairs_in_words(str(number)) == words


@pytest.mark.parametrize(
    ("numerator", "denominator", "words"),
    [
        (1, 2, "one half"),
        (3, 2, "three halves"),
        (1, 4, "one quarter"),
        (2, 3, "two thirds"),
        (7, 32, "seven thirty-seconds"),
    ],
)
def test_fractions(numerator, denominator, words):
    assert fraction_in_words(numerator, denominator) == words


def test_roman_numerals():
    assert [roman_value(numeral) for numeral in ("XL", "XC", "CD", "MCMXCIV")] == [40, 90, 400, 1994]
    numerals = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX"
    assert [roman_value(numeral) for numeral in numerals.split()] == list(range(1, 21))


def test_importing_it_is_light():
    code = "import sys, dtc.text; assert not {'inflect', 'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
