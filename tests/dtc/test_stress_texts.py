from collections import Counter
from itertools import pairwise

import pytest

from dtc.evaluation.reading_faults import ReadingFaults, reading_faults
from dtc.evaluation.stress_texts import COUNTS, MARKS, MARKS_ONLY, NEW_ORDER, TWISTERS, StressText, stress_texts
from dtc.text import normalise

CORPUS = [
    text.split()
    for text in (
        "call nine three zero",
        "at seven forty five",
        "the second of the third",
        "about sixteen point six",
        "in nineteen seventy six",
        "count ten twenty thirty",
    )
]


def readable_by(letters: str):
    return lambda text: set(normalise(text).lower()) <= set(f"{letters} ,.-'")


ALL = readable_by("abcdefghijklmnopqrstuvwxyz")
FEW = readable_by("".join(sorted({letter for words in CORPUS for word in words for letter in word})))


@pytest.mark.parametrize("is_readable", [ALL, FEW], ids=["every letter", "the corpus's letters"])
def test_there_are_sixty_texts_that_the_voice_can_read(is_readable) -> None:
    texts = stress_texts(CORPUS, is_readable, seed=1)
    assert sum(COUNTS.values()) == len(texts) == len({each.text for each in texts}) == 60
    assert all(is_readable(each.text) for each in texts if each.kind != MARKS_ONLY)
    assert [each.text for each in texts if each.kind == MARKS_ONLY] == list(MARKS)
    assert stress_texts(CORPUS, is_readable, seed=1) == texts
    assert stress_texts(CORPUS, is_readable, seed=2) != texts


def test_each_kind_is_there_for_a_voice_that_reads_all() -> None:
    texts = stress_texts(CORPUS, ALL, seed=1)
    assert Counter(each.kind for each in texts) == COUNTS
    of = {kind: [each.text for each in texts if each.kind == kind] for kind in COUNTS}
    assert [len(text.split()) for text in of["400 words"]] == [400]
    assert {len(text.split()) for text in of["one word"]} == {1}
    assert all(
        any(a == b for a, b in pairwise(text.split())) or len(set(text.split())) == 2 for text in of["repeated words"]
    )
    assert set(of["tongue twister"]) <= set(TWISTERS)


def test_no_two_words_of_a_new_order_follow_one_another_in_the_corpus() -> None:
    known = {pair for words in CORPUS for pair in pairwise(words)}
    for text in (each.text for each in stress_texts(CORPUS, FEW, seed=3) if each.kind == NEW_ORDER):
        assert not known & set(pairwise(text.split()))
        assert all(a != b for a, b in pairwise(text.split()))


def test_a_voice_of_few_letters_gets_texts_of_its_words() -> None:
    corpus = [text.split() for text in ("nine ten", "ten none", "one nine", "note ten one", "tin net in ten")]
    texts = stress_texts(corpus, readable_by("neoti"), seed=1)
    kinds = Counter(each.kind for each in texts)
    assert len(texts) == 60
    assert kinds[NEW_ORDER] > COUNTS[NEW_ORDER]
    assert not kinds["abbreviation"]
    assert not kinds["date"]
    twisters = [each.text.split() for each in texts if each.kind == "tongue twister"]
    assert len(twisters) == COUNTS["tongue twister"]
    assert all(len({word[0] for word in words}) == 1 for words in twisters)


def test_a_corpus_of_one_word_has_no_order() -> None:
    kinds = {each.kind for each in stress_texts([["one"]], readable_by("eno"), seed=1)}
    assert kinds == {"one word", "one letter", "repeated words", "400 words", MARKS_ONLY} | (kinds & {"bare number"})
    assert StressText("one word", "one") in stress_texts([["one"]], readable_by("eno"), seed=1)


@pytest.mark.parametrize(
    ("expected", "recognised", "faults"),
    [
        ("call one two", "call one two", ReadingFaults(3, 0, 0, 0, 0)),
        ("call one two", "call two", ReadingFaults(3, 1, 1, 0, 0)),
        ("call one two", "call one one two", ReadingFaults(3, 1, 0, 1, 0)),
        ("call one two", "call one two two", ReadingFaults(3, 1, 0, 1, 0)),
        ("call one two", "call one two nine eight", ReadingFaults(3, 2, 0, 0, 2)),
        ("call one two", "the call one two", ReadingFaults(3, 1, 0, 0, 0)),
        ("call one two", "call nine two", ReadingFaults(3, 1, 0, 0, 0)),
        ("call one two", "", ReadingFaults(3, 3, 3, 0, 0)),
        ("two two two", "two two", ReadingFaults(3, 1, 1, 0, 0)),
        ("", "um um", ReadingFaults(0, 2, 0, 2, 0)),
    ],
)
def test_reading_faults(expected: str, recognised: str, faults: ReadingFaults) -> None:
    assert reading_faults(expected, recognised) == faults
