import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.text.normalise import normalise

READINGS = {
    # labels, digit by digit
    "call 90210": "call nine zero two one zero",
    "Call 90210.": "Call nine zero two one zero.",
    "dial 555-0199": "dial five five five zero one nine nine",
    "room 12, extension 7": "room one two, extension seven",
    "pin 1984": "pin one nine eight four",
    "room 3.5": "room three point five",
    "the call 12": "the call one two",
    "recall 12": "recall twelve",
    "agent 007": "agent zero zero seven",
    # times
    "7:45": "seven forty five",
    "7:05": "seven oh five",
    "7:00": "seven o'clock",
    "12:30 and 23:59": "twelve thirty and twenty three fifty nine",
    "0:10": "zero ten",
    "07:15": "seven fifteen",
    "7:45pm": "seven forty five pm",
    # prices
    "$12.50": "twelve dollars and fifty cents",
    "$1": "one dollar",
    "$1.01": "one dollar and one cent",
    "$0.05": "five cents",
    "$.05": "five cents",
    "$1,250": "one thousand two hundred fifty dollars",
    "$3.00": "three dollars",
    "$0": "zero dollars",
    "It cost $5.": "It cost five dollars.",
    "$1.5 million": "one point five million dollars",
    # ordinals
    "the 21st": "the twenty first",
    "1st, 2nd, 3rd, 12th": "first, second, third, twelfth",
    "the 40th": "the fortieth",
    "1,000th": "one thousandth",
    "the 613th": "the six hundred thirteenth",
    # decimals
    "3.14": "three point one four",
    "0.05": "zero point zero five",
    "1,234.5": "one thousand two hundred thirty four point five",
    # years
    "1984": "nineteen eighty four",
    "1905": "nineteen oh five",
    "1900": "nineteen hundred",
    "2000": "two thousand",
    "2007": "two thousand seven",
    "2014": "twenty fourteen",
    "in 1100, in 2099": "in eleven hundred, in twenty ninety nine",
    # integers
    "123,456": "one hundred twenty three thousand four hundred fifty six",
    "1,984": "one thousand nine hundred eighty four",
    "1099 2100": "one thousand ninety nine two thousand one hundred",
    "0": "zero",
    "100000": "one hundred thousand",
    "9" * 20: " ".join(["nine"] * 20),
    # the rest
    "call 90210 at 7:45": "call nine zero two one zero at seven forty five",
    "the 21st in 1984": "the twenty first in nineteen eighty four",
    "count 12,345 for $9.99": "count twelve thousand three hundred forty five for nine dollars and ninety nine cents",
    "B52s": "B fifty two s",
    "٣": "three",
    " two\n words\t": "two words",
    "No Number, Here!": "No Number, Here!",
    "": "",
}


@pytest.mark.parametrize(("text", "spoken"), READINGS.items())
def test_reading(text, spoken):
    assert normalise(text) == spoken


# Text in which the rules' own characters are frequent, beside any text at all.
TEXTS = st.one_of(st.text(), st.text(alphabet="0123456789$.,:-' athstndrcl"), st.from_regex(r"[$]?[0-9,.:]{1,9}(th)?"))


@given(TEXTS)
def test_no_digit_is_left(text):
    assert not any(character.isdecimal() for character in normalise(text))


@given(TEXTS)
def test_a_reading_reads_as_itself(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.integers(0, 999_999))
def test_commas_do_not_change_an_integer(number):
    if not 1100 <= number <= 2099:  # without its comma, a year
        assert normalise(f"{number:,}") == normalise(str(number))
