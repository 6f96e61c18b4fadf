"""dtc.text.symbols: NVIDIA's 148 symbols by number, and texts that hold something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.errors import InputError
from dtc.text.symbols import CHARACTERS, SYMBOLS, symbols_of, text_to_ids, unknown_characters


def test_the_148_symbols_in_nvidias_order() -> None:
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 148
    # text/symbols.py: [_pad] + list(_special) + list(_punctuation) + list(_letters) + _arpabet
    assert SYMBOLS[:12] == tuple("_-!'(),.:;? ")
    assert SYMBOLS[12:64] == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert SYMBOLS[64:70] == ("@AA", "@AA0", "@AA1", "@AA2", "@AE", "@AE0")
    assert SYMBOLS[-3:] == ("@Y", "@Z", "@ZH")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a", [38]),
        ("A", [38]),
        ("call nine", [40, 38, 49, 49, 11, 51, 46, 51, 42]),
        ("  two\t\n three ", [57, 60, 52, 11, 57, 45, 55, 42, 42]),
        ("-!'(),.:;?", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_text_to_ids(text: str, ids: list[int]) -> None:
    assert text_to_ids(text) == ids


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "metadata.csv:3: empty text, expected words to speak"),
        (" \t\n", "metadata.csv:3: empty text, expected words to speak"),
        ("call 90210", "metadata.csv:3: '9' '0' '2' '1' not in the alphabet; spell it out in words"),
        ("caf\u00e9", "metadata.csv:3: '\u00e9' not in the alphabet; spell it out in words"),
        ("a_b", "metadata.csv:3: '_' not in the alphabet; spell it out in words"),
        ("@AA", "metadata.csv:3: '@' not in the alphabet; spell it out in words"),
        ('"quoted"', "metadata.csv:3: '\"' not in the alphabet; spell it out in words"),
        ("\U0001f600 a\x00", "metadata.csv:3: '\U0001f600' '\\x00' not in the alphabet; spell it out in words"),
    ],
)
def test_what_cannot_be_spoken_is_shown(text: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        text_to_ids(text, "metadata.csv:3")
    assert str(error.value) == line


@given(st.text())
def test_ids_or_a_line_for_every_text(text: str) -> None:
    unknown = unknown_characters(text, CHARACTERS[1:])
    if unknown or not symbols_of(text):
        with pytest.raises(InputError):
            text_to_ids(text)
    else:
        assert "".join(SYMBOLS[number] for number in text_to_ids(text)) == symbols_of(text)


@given(st.text())
def test_symbols_of_twice_is_once(text: str) -> None:
    assert symbols_of(symbols_of(text)) == symbols_of(text)


def test_unknown_characters_once_and_in_order() -> None:
    assert unknown_characters("zebra, Zoo", "abe ") == ["z", "r", ",", "o"]
