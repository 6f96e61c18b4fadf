import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.evaluation.word_errors import WordErrors, character_errors, compare_words, word_errors


@pytest.mark.parametrize(
    ("spoken", "heard", "expected"),
    [
        ("call two", "call two", [("call", "call"), ("two", "two")]),
        ("call two", "", [("call", ""), ("two", "")]),
        ("", "um", [("", "um")]),
        ("", "", []),
        ("six four two", "six two", [("six", "six"), ("four", ""), ("two", "two")]),
        ("six two", "six four two", [("six", "six"), ("", "four"), ("two", "two")]),
        ("twenty six", "forty six", [("twenty", "forty"), ("six", "six")]),
        ("twenty-six", "26", [("twenty", "twenty"), ("six", "six")]),
        ("at seven forty five", "At 7:45.", [("at", "at"), ("seven", "seven"), ("forty", "forty"), ("five", "five")]),
        ("don't", "Don’t!", [("dont", "dont")]),
        ("dont", "don't", [("dont", "dont")]),
        ("ice cream now", "Icecream now.", [("ice", "ice"), ("cream", "cream"), ("now", "now")]),
        ("a bookshop", "a book shop", [("a", "a"), ("bookshop", "bookshop")]),
        (
            "book shop bookshop",
            "bookshop book shop",
            [("", "bookshop"), ("book", "book"), ("shop", "shop"), ("bookshop", "")],
        ),
        ("Mister Day", "Mr. Day", [("mister", "mister"), ("day", "day")]),
    ],
)
def test_compare_words(spoken: str, heard: str, expected: list[tuple[str, str]]) -> None:
    assert [(pair.expected, pair.recognised) for pair in compare_words(spoken, heard)] == expected


words = st.lists(st.sampled_from(["one", "two", "six", "forty"]), max_size=8).map(" ".join)


@given(spoken=words, heard=words)
def test_compared_words_spell_both_texts_with_the_fewest_errors(spoken: str, heard: str) -> None:
    compared = compare_words(spoken, heard)
    assert " ".join(pair.expected for pair in compared if pair.expected) == spoken
    assert " ".join(pair.recognised for pair in compared if pair.recognised) == heard
    assert word_errors([spoken], [heard]) == WordErrors(
        edit_distance(spoken.split(), heard.split()), len(spoken.split())
    )


def edit_distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's recursion, row by row."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        previous, row = row, [i]
        for j, right in enumerate(other, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (left != right)))
    return row[-1]


def test_word_errors_are_summed_before_dividing():
    # one substituted, one left out, one put in; six expected
    counted = word_errors(["call one two", "at ten ten"], ["call one three", "at ten"])
    assert counted == WordErrors(errors=2, words=6)
    assert counted.rate == pytest.approx(1 / 3)
    assert word_errors(["one"], ["one one"]) == WordErrors(errors=1, words=1)


def test_word_errors_of_empty_texts():
    assert word_errors(["one two"], [""]) == WordErrors(errors=2, words=2)
    assert word_errors(["", "one"], ["two two", "one"]) == WordErrors(errors=2, words=1)
    assert word_errors([], []).rate == 0.0
    assert word_errors([""], ["one"]).rate == math.inf
    with pytest.raises(ValueError, match="shorter"):
        word_errors(["one"], [])


@given(*[st.text("abc", max_size=12)] * 2)
def test_character_errors_in_a_word_are_its_edit_distance(expected: str, recognised: str) -> None:
    distance = edit_distance(list(expected), list(recognised))
    assert character_errors(expected, recognised) == (distance, len(expected))


@pytest.mark.parametrize(
    ("expected", "recognised", "errors", "characters"),
    [
        ("call two", "Call too.", 1, 8),
        ("call two", "", 8, 8),
        ("", "um", 2, 0),
        ("at 7:45", "at seven forty", 5, 19),
        ("ice cream", "icecream", 0, 9),
        ("kitten", "sitting", 3, 6),
    ],
)
def test_character_errors(expected: str, recognised: str, errors: int, characters: int) -> None:
    assert character_errors(expected, recognised) == (errors, characters)
