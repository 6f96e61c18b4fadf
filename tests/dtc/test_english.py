"""dtc.text.english: readings of written texts, by kind, and the properties that hold for every text."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.text import normalise
from dtc.text.symbols import SYMBOLS, unknown_symbols

READINGS = {
    # labels, digit by digit or in pairs
    "call 90210": "call nine zero two one zero",
    "Call 90210.": "Call nine zero two one zero.",
    "dial 555-0199": "dial five five five zero one nine nine",
    "555-0199, 214-555-0199, (214) 555-0199": "five five five zero one nine nine, two one four five five five zero one nine nine, two one four five five five zero one nine nine",
    "room 12, extension 7": "room one two, extension seven",
    "pin 1984": "pin one nine eight four",
    "room 3.5": "room three point five",
    "the call 12": "the call one two",
    "recall 12": "recall twelve",
    "agent 007": "agent zero zero seven",
    "P.O. Box 2915": "P.O. Box two nine one five",
    "a box 12 inches wide": "a box twelve inches wide",
    "Exhibit No. 143 and No. 133-A": "Exhibit Number one forty-three and Number one thirty-three A",
    "Route No. 77": "Route Number seventy-seven",
    "Nos. 5 and 6, no. 7": "Numbers five and six, number seven",
    "Answer: No. Next!": "Answer: No. Next!",
    "the C2766 rifle, serial No. V510210": "the C two seven six six rifle, serial Number V five one zero two one zero",
    "Exhibit V510": "Exhibit V five one zero",
    "at 411 Elm Street": "at four one one Elm Street",
    "1026 North Beckley, 500 North Beckley": "ten twenty-six North Beckley, five hundred North Beckley",
    "B52s, MP3": "B fifty-twos, MP three",
    # times
    "7:45": "seven forty-five",
    "7:05": "seven oh five",
    "7:00": "seven o'clock",
    "12:30 and 23:59": "twelve thirty and twenty-three fifty-nine",
    "0:10": "zero ten",
    "07:15": "seven fifteen",
    "7:45pm": "seven forty-five pm",
    "12:36 p.m., 10.30 a.m.": "twelve:thirty-six p.m., ten:thirty a.m.",
    "about 1:30 or 1:45 a.m.": "about one:thirty or one:forty-five a.m.",
    "7:00 p.m., 8 a.m., 3 o'clock": "seven p.m., eight a.m., three o'clock",
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
    "$1.5 million, £2bn": "one point five million dollars, two billion pounds",
    "£285,950; £1; £2.50": "two hundred eighty-five thousand nine hundred fifty pounds; one pound; two pounds and fifty pence",
    "£20 10s. 6d.": "twenty pounds ten shillings six pence.",
    "4s. 3d., and 1s. 1d. each": "four shillings three pence, and one shilling one penny each",
    "500l. a year": "five hundred pounds a year",
    "It cost 4s. He paid.": "It cost four shillings. He paid.",
    "a £5 note": "a five-pound note",
    # ordinals
    "the 21st": "the twenty-first",
    "1st, 2nd, 3rd, 12th": "first, second, third, twelfth",
    "the 40th": "the fortieth",
    "1,000th": "one thousandth",
    "the 613th": "the six hundred thirteenth",
    "the 22d of November, the 3d": "the twenty-second of November, the third",
    "George III. from the pit": "George the third from the pit",
    "of James I., who; Louis XIV's": "of James the first, who; Louis the fourteenth's",
    "When I saw John I. Bouck and James, I'll say": "When I saw John I. Bouck and James, I'll say",
    "World War II, Chapter IV. The": "World War two, Chapter four. The",
    # decimals and fractions
    "3.14": "three point one four",
    "0.05": "zero point zero five",
    "1,234.5": "one thousand two hundred thirty-four point five",
    "1.2.3": "one point two point three",
    "a .38-caliber pistol, a .22 rifle, .5": "a thirty-eight-caliber pistol, a twenty-two rifle, point five",
    "1/2, 3/4 and 5/8": "one half, three quarters and five eighths",
    "3½, 3 1/2": "three and one half, three and one half",
    "24/7": "twenty-four seven",
    # years
    "1984": "nineteen eighty-four",
    "1905": "nineteen oh five",
    "1803": "eighteen oh three",
    "1900": "nineteen hundred",
    "2000": "two thousand",
    "2007": "two thousand seven",
    "2014": "twenty fourteen",
    "in 1100, in 2099": "in eleven hundred, in twenty ninety-nine",
    "1850-53, 1962–1963": "eighteen fifty to fifty-three, nineteen sixty-two to nineteen sixty-three",
    "the 1480s, the 1480's, the 1900s, in his 20s.": "the fourteen eighties, the fourteen eighties, the nineteen hundreds, in his twenties.",
    "November 22, '63": "November twenty-two, 'sixty-three",
    "323 B.C.; 605 to 562 B.C.": "three twenty-three B.C.; six oh five to five sixty-two B.C.",
    "In 606, Nineveh; in 300 cases": "In six oh six, Nineveh; in three hundred cases",
    "1308 prisoners in 1308": "one thousand three hundred eight prisoners in thirteen oh eight",
    "the 1936 conventions": "the nineteen thirty-six conventions",
    "Nov. 22, 1963": "November twenty-two, nineteen sixty-three",
    "1963-11-22": "November twenty-two, nineteen sixty-three",
    # integers
    "123,456": "one hundred twenty-three thousand four hundred fifty-six",
    "1,984": "one thousand nine hundred eighty-four",
    "1099 2100": "one thousand ninety-nine two thousand one hundred",
    "0": "zero",
    "100000": "one hundred thousand",
    "200-300": "two hundred to three hundred",
    "-5": "minus five",
    "9" * 20: " ".join(["nine"] * 20),
    # units
    "5%, 90 %": "five percent, ninety percent",
    "-5 °C, 30°": "minus five degrees Celsius, thirty degrees",
    "1 km, 1.5 km at 60 km/h": "one kilometer, one point five kilometers at sixty kilometers per hour",
    "a 35-mm film, 5 ft. tall": "a thirty-five-millimeter film, five feet tall",
    "5-10 km": "five to ten kilometers",
    "He was 5'10\".": "He was five foot ten.",
    "12-gauge, 6.5-millimeter, a 240-foot target": "twelve-gauge, six point five-millimeter, a two hundred forty-foot target",
    # abbreviations
    "Mr. Hill, MRS. Fry and Dr. Wood": "Mister Hill, Missus Fry and Doctor Wood",
    "Mr Hill, Mr.Hill": "Mister Hill, Mister Hill",
    "Maj. Gen. Edwin A. Walker": "Major General Edwin A. Walker",
    "at St. Paul and Elm St. in Ft. Worth": "at Saint Paul and Elm Street in Fort Worth",
    "Rose & Co., of L.A.; the Transit Co.": "Rose and Company, of L.A.; the Transit Company.",
    "Hickey, Jr., in the car": "Hickey, Junior, in the car",
    "psalters, etc., &c. and so on": "psalters, et cetera, et cetera and so on",
    "vol. II, p. 7": "volume two, page seven",
    "e.g. M.P., i.e. at 9 p.m. in the U.S.": "e.g. M.P., i.e. at nine p.m. in the U.S.",
    # characters
    '"Yes," he said. “No.”': "Yes, he said. No.",
    "it’s ‘so’": "it's 'so'",
    "then — or so—he stopped—": "then, or so, he stopped",
    "as -- e.g. -- that": "as -- e.g. -- that",
    "back [sic]… {nd}": "back (sic)... {nd}",
    "Müller's café, Æsop's œuvre, naïve": "Muller's cafe, Aesop's oeuvre, naive",
    "and/or": "and or",
    "x² ≠ 你 ☃ @": "x squared not equal to 你 ☃ @",
    "5\u0300": "five \u0300",  # no accent on the e
    "say {HH AH0 L OW1} 5 times": "say {HH AH0 L OW1} five times",
    # the rest
    "call 90210 at 7:45": "call nine zero two one zero at seven forty-five",
    "the 21st in 1984": "the twenty-first in nineteen eighty-four",
    "count 12,345 for $9.99": "count twelve thousand three hundred forty-five for nine dollars and ninety-nine cents",
    "٣": "three",
    " two\n words\t": "two words",
    "No Number, Here!": "No Number, Here!",
    "": "",
}


@pytest.mark.parametrize(("text", "spoken"), READINGS.items())
def test_reading(text, spoken):
    assert normalise(text) == spoken


KINDS_FILE = Path(__file__).with_name("english_kinds.tsv")
SAMPLES = Path(__file__).parents[3] / "shared" / "cases" / "text.tsv"


def rows_of(lines):
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("# ")]


def bare(text):
    """The words alone: hyphens, capitals, punctuation and a spoken "and" do not matter."""
    words = re.sub(r"[^\w' ]|_", " ", text.lower()).split()
    return [word.strip("'") for word in words if word != "and" and word.strip("'")]


def kinds():
    lines = KINDS_FILE.read_text(encoding="utf-8").splitlines()[1:]
    heads = itertools.accumulate(line.startswith("# ") for line in lines)
    groups = [
        [line for _, line in group] for _, group in itertools.groupby(zip(heads, lines, strict=True), lambda x: x[0])
    ]
    return {group[0].removeprefix("# "): rows_of(group) for group in groups}


@pytest.mark.parametrize(("kind", "rows"), kinds().items(), ids=list(kinds()))
def test_readings_of_a_kind(kind, rows):
    assert len(rows) >= 3
    assert {written: normalise(written) for written, _ in rows} == dict(rows)


@pytest.mark.skipif(not SAMPLES.exists(), reason=f"{SAMPLES.name} lies beside the checkout, in ../shared/cases")
def test_the_shared_samples():
    rows = rows_of(SAMPLES.read_text(encoding="utf-8").splitlines())
    wrong = {written: normalise(written) for written, spoken in rows if bare(normalise(written)) != bare(spoken)}
    assert len(wrong) <= len(rows) // 20, wrong


# Any text, and texts in which what the rules look for is frequent.
PIECES = (
    "Mr. St. Dr. Co. No. Nov. etc. &c. Vol. p. George Part II I V IV. £ $ 1 22 333 1963 4,000 . 5 s. d. l. d ' \" - – — / "
    "1/2 ½ : 7:45 p.m. pm % ° km km/h million notes ( ) [ ] B.C. Elm North Street in year box call a Z é ß ² № # 3d th ft "
    "… ’ “ ٣ A Mr and pounds { } NO. \u0300 &#39; &amp; &lt; ; w/ @ a@b.org www. x.com Mon. - × x 10x m h 2h k US$ A$ USD m² sq It New "
    "York Chapter XL WWII Henry VIII ratio 2021-03-04 07 +44 020 7946 CA 90210 747 49ers 50-50 ″ ′ people ⁶ [1] Ω µ 10k"
)
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="0123456789$£.,:-'/ athstndrclIVXA{}&%°\"—"),
    st.lists(st.sampled_from([*PIECES.split(), " ", " "]), max_size=10).map("".join),
)


@given(TEXTS)
def test_no_digit_is_left_outside_braces(text):
    assert not any(character.isdecimal() for character in re.sub(r"\{[^{}]*\}", "", normalise(text)))


@given(TEXTS)
def test_a_reading_reads_as_itself(text):
    assert normalise(normalise(text)) == normalise(text)


@given(TEXTS)
def test_spaces_are_single(text):
    assert normalise(text) == " ".join(normalise(text).split())


PROSE = st.text(alphabet="abc XYZ 0123456789 .,:;?!'\"“”‘’–—()[]/&%°£$éüñæ…½\t\n")


@given(PROSE)
def test_english_prose_becomes_known_symbols(text):
    # A sign of money or a unit without its number cannot be read, and // is an address.
    assert set(unknown_symbols(normalise(text), SYMBOLS)) <= set("$£%°/")


@given(st.integers(0, 999_999))
def test_commas_do_not_change_an_integer(number):
    if not 1100 <= number <= 2099:  # without its comma, a year
        assert normalise(f"{number:,}") == normalise(str(number))


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "111,",
        "1.",
        "A'",
        "Aa ",
        "{",
        "a—",
        "1963 a",
        "1 ",
        '1"',
        "a.com/",
        "a@",
        "&amp;",
        "$1-",
        "IV, ",
        "Elm St. ",
        "½",
    ],
)
def test_a_long_text_is_read_in_linear_time(piece):
    # Quadratic time over 10,000 characters would take minutes for the whole table.
    normalise(piece * (10_000 // len(piece)))


def test_a_long_number_in_an_address_is_read_digit_by_digit():
    # Python refuses to convert more than 4,300 digits to an integer.
    assert normalise("a.com/" + "1" * 5_000) == "a dot com slash" + " one" * 5_000
