"""dtc.text.symbols: NVIDIA's 148 symbols by number, and texts that hold something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.errors import InputError
from dtc.text.symbols import ARPABET, SYMBOLS, symbols_of, text_to_ids, unknown_symbols


def test_the_148_symbols_in_nvidias_order() -> None:
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 148
    # text/symbols.py: [_pad] + list(_special) + list(_punctuation) + list(_letters) + _arpabet
    assert SYMBOLS[:12] == tuple("_-!'(),.:;? ")
    assert SYMBOLS[12:64] == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert SYMBOLS[64:70] == ("@AA", "@AA0", "@AA1", "@AA2", "@AE", "@AE0")
    assert list(SYMBOLS[64:]) == sorted(SYMBOLS[64:])
    assert SYMBOLS[-3:] == ("@Y", "@Z", "@ZH")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a", [38]),
        ("A", [38]),
        ("call nine", [40, 38, 49, 49, 11, 51, 46, 51, 42]),
        ("  two\t\n three ", [57, 60, 52, 11, 57, 45, 55, 42, 42]),
        ("-!'(),.:;?", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("{AA AA0 ZH}", [64, 65, 147]),
    ],
)
def test_text_to_ids(text: str, ids: list[int]) -> None:
    assert text_to_ids(text) == ids


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "metadata.csv:3: empty text, expected words to speak"),
        (" \t\n", "metadata.csv:3: empty text, expected words to speak"),
        (
            "call 90210",
            "metadata.csv:3: '9' '0' '2' '1' not in the alphabet, in 'call 90210'; write it in words or leave it out",
        ),
        (
            "caf\u00e9",
            "metadata.csv:3: '\u00e9' not in the alphabet, in 'caf\u00e9'; write it in words or leave it out",
        ),
        ("a_b", "metadata.csv:3: '_' not in the alphabet, in 'a_b'; write it in words or leave it out"),
        ("@AA", "metadata.csv:3: '@' not in the alphabet, in '@AA'; write it in words or leave it out"),
        (
            "a" * 50 + "_" + "b" * 50,
            f"metadata.csv:3: '_' not in the alphabet, in '{'a' * 30}_{'b' * 29}'; write it in words or leave it out",
        ),
        ('"quoted"', "metadata.csv:3: '\"' not in the alphabet, in '\"quoted\"'; write it in words or leave it out"),
        ("say {HH XX OH}", "metadata.csv:3: 'XX' 'OH' in braces, expected ARPAbet phonemes, as in {HH AH0 L OW1}"),
        (
            "{HH",
            "metadata.csv:3: a brace without its other half, expected phonemes in a pair of them, as in {HH AH0 L OW1}",
        ),
        (
            "a {} b",
            "metadata.csv:3: a brace without its other half, expected phonemes in a pair of them, as in {HH AH0 L OW1}",
        ),
        (
            "\U0001f600 a\x00",
            "metadata.csv:3: '\U0001f600' '\\x00' not in the alphabet, in '\U0001f600 a\\x00'; write it in words or leave it out",
        ),
    ],
)
def test_what_cannot_be_spoken_is_shown(text: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        text_to_ids(text, "metadata.csv:3")
    assert str(error.value) == line


# Any text, and texts with more braces.
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from([*"{}{} ab", "{HH AH0}", "{ AA1 }", " "])).map("".join))


@given(TEXTS)
def test_ids_or_a_line_for_every_text(text: str) -> None:
    unknown = unknown_symbols(text, SYMBOLS[1:])
    if unknown or not symbols_of(text):
        with pytest.raises(InputError):
            text_to_ids(text)
    else:
        assert [SYMBOLS[number] for number in text_to_ids(text)] == symbols_of(text)


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Say {HH AH0 L OW1}, you!", [*"say ", "@HH", "@AH0", "@L", "@OW1", *", you!"]),
        ("{HH AY1}{DH EH1 R}", ["@HH", "@AY1", "@DH", "@EH1", "@R"]),
        ("{ hh   ay1 }  there", ["@HH", "@AY1", *" there"]),
        ("re{D}", ["r", "e", "@D"]),
        ("{XX} @AA {", ["@XX", *" @aa {"]),
    ],
)
def test_phonemes_in_braces(text: str, symbols: list[str]) -> None:
    assert symbols_of(text) == symbols


@given(st.text(alphabet=st.characters(exclude_characters="{}")))
def test_symbols_of_twice_is_once(text: str) -> None:
    assert symbols_of("".join(symbols_of(text))) == symbols_of(text)


@given(st.lists(st.sampled_from(ARPABET), min_size=1))
def test_every_phoneme_is_a_symbol(phonemes: list[str]) -> None:
    assert symbols_of("{" + " ".join(phonemes) + "}") == ["@" + phoneme for phoneme in phonemes]


@pytest.mark.parametrize("piece", ["{", "{a", "}", "{ ", "{a}"])
def test_a_long_text_is_split_in_linear_time(piece: str) -> None:
    symbols_of(piece * (100_000 // len(piece)))


def test_unknown_symbols_once_and_in_order() -> None:
    assert unknown_symbols("zebra, Zoo {Z} {AA}", "abe ") == ["z", "r", ",", "o", "@Z", "@AA"]
    assert unknown_symbols("a {Z}", ("a", " ", "@Z")) == []
