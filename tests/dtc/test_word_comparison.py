import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.report.word_comparison import compare_words, count_word_errors


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
    ],
)
def test_compare_words(spoken: str, heard: str, expected: list[tuple[str, str]]) -> None:
    assert [(word.said, word.heard) for word in compare_words(spoken, heard)] == expected


words = st.lists(st.sampled_from(["one", "two", "six", "forty"]), max_size=8).map(" ".join)


@given(spoken=words, heard=words)
def test_compared_words_spell_both_texts_with_the_fewest_errors(spoken: str, heard: str) -> None:
    compared = compare_words(spoken, heard)
    assert " ".join(word.said for word in compared if word.said) == spoken
    assert " ".join(word.heard for word in compared if word.heard) == heard
    assert count_word_errors(spoken, heard) == edit_distance(spoken.split(), heard.split())


def edit_distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's recursion, row by row."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        previous, row = row, [i]
        for j, right in enumerate(other, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (left != right)))
    return row[-1]
