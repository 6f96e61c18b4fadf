"""Written texts → sentences, and sentences → phrases that a voice can speak at once."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.text import normalise
from dtc.text.sentences import Phrase, cut_phrase, split_sentences
from dtc.text.symbols import CHARACTERS, symbols_of

LETTERS = " " + string.ascii_lowercase  # a voice that was trained without marks


def sentences(text: str) -> list[str]:
    return [phrase.words for phrase in split_sentences(normalise(text), CHARACTERS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Smith met Dr. Hill. They spoke.", ["Mister Smith met Doctor Hill.", "They spoke."]),
        ("See No. 78. It is blue.", ["See Number seventy-eight.", "It is blue."]),
        ("It was 3.5 km. We walked.", ["It was three point five kilometers.", "We walked."]),
        ("It cost $4.50! Who paid?", ["It cost four dollars and fifty cents!", "Who paid?"]),
        ("Some, e.g. Smith, left at 7 a.m. sharp.", ["Some, e.g. Smith, left at seven a.m. sharp."]),
        ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]),
        ("The U.S. Army came, i.e. Sgt. Hill.", ["The U.S. Army came, i.e. Sergeant Hill."]),
        ("The end... Or not… or so.", ["The end...", "Or not... or so."]),
        ("“Yes.” “No!” She left?! Gone.", ["Yes.", "No!", "She left?!", "Gone."]),
        ("'Go.' He went. (He ran.) Then", ["'Go.'", "He went.", "(He ran.)", "Then"]),
        ("“Stop!” he cried. “Why?”", ["Stop! he cried.", "Why?"]),
        ("hello there. how are you? fine", ["hello there.", "how are you?", "fine"]),
        ("One. ... Two. !", ["One.", "... Two. !"]),
        ("Say {HH AY1 . T}. then {AH0}.", ["Say {HH AY1 . T}. then {AH0}."]),
        ("say {HH AY1}. {AH0}. go", ["say {HH AY1}.", "{AH0}.", "go"]),
        ("I live on Main St. It is quiet.", ["I live on Main Street.", "It is quiet."]),
        ("12 Elm St. New York is far.", ["twelve Elm Street New York is far."]),
        ("He said no. 5 people laughed.", ["He said no.", "five people laughed."]),
        ("It took 15s. Then he left.", ["It took fifteen seconds.", "Then he left."]),
        ("She joined Apple Corp. He did not.", ["She joined Apple Corporation.", "He did not."]),
        ("Mon., Nov. 5 was cold. He froze.", ["Monday, November five was cold.", "He froze."]),
        ("See example.com. It helps.", ["See example dot com.", "It helps."]),
        ("It is a claim.² Next, proof.", ["It is a claim.", "Next, proof."]),
        ("It is 6'2\". Measure it.", ["It is six foot two.", "Measure it."]),
        ("Only one", ["Only one"]),
        ("...", []),
        ("?! '", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_titles_in_a_text_that_is_not_normalised() -> None:
    """`text.normaliser: none` leaves Mr. as it stands."""
    assert [phrase.words for phrase in split_sentences("MR. Hill met (Gen. Lee). He left.", CHARACTERS)] == [
        "MR. Hill met (Gen. Lee).",
        "He left.",
    ]


def test_pauses_are_those_of_the_marks() -> None:
    assert split_sentences("One, two (three) four. Stop! he said. A. B. end", LETTERS) == [
        Phrase("One", "clause"),
        Phrase("two three", "clause"),
        Phrase("four", "sentence"),
        Phrase("Stop", "clause"),
        Phrase("he said", "sentence"),
        Phrase("A B end", "sentence"),
    ]


def test_a_mark_of_the_alphabet_stays_inside_its_phrase() -> None:
    assert split_sentences("One, two. Three; four", LETTERS + ",.") == [
        Phrase("One, two.", "sentence"),
        Phrase("Three", "clause"),
        Phrase("four", "sentence"),
    ]


def test_a_phrase_that_fits_is_left_alone() -> None:
    phrase = Phrase("one, two,  three", "sentence")
    assert cut_phrase(phrase, 15) == [phrase]


@pytest.mark.parametrize(
    ("words", "most", "expected"),
    [
        ("one two, three four", 12, [("one two,", "clause"), ("three four", "sentence")]),
        ("one two three four", 12, [("one two", "none"), ("three four", "sentence")]),
        ("a, b c d e f g h i j k", 14, [("a, b c d e", "none"), ("f g h i j k", "sentence")]),  # no comma in sight
        ("abcdefgh", 3, [("abc", "none"), ("def", "none"), ("gh", "sentence")]),
        ("{AA BB}x{CC}", 3, [("{AA}{BB}x", "none"), ("{CC}", "sentence")]),
        ("{AA BB CC DD} {EE FF}", 4, [("{AA BB CC DD}", "none"), ("{EE FF}", "sentence")]),
    ],
)
def test_a_long_phrase_is_cut(words: str, most: int, expected: list[tuple[str, str]]) -> None:
    assert [(part.words, part.pause) for part in cut_phrase(Phrase(words, "sentence"), most)] == expected


@pytest.mark.parametrize("text", ["x" * 5000, "a " * 2500, "one, two. " * 500, "{AH0 B}" * 2500, "'" * 4999 + "a"])
@pytest.mark.parametrize("most", [20, 160])
def test_five_thousand_symbols_are_cut(text: str, most: int) -> None:
    parts = [part for phrase in split_sentences(text, CHARACTERS) for part in cut_phrase(phrase, most)]
    assert all(0 < len(symbols_of(part.words)) <= most for part in parts)
    assert without_spaces("".join(part.words for part in parts)) == without_spaces(text)


def without_spaces(text: str) -> list[str]:
    return [symbol for symbol in symbols_of(text) if symbol != " "]


WRITTEN = st.lists(st.sampled_from([*"abIJ.,;:!?()' ", "one ", "Two ", "p.m. ", "{HH AY1} ", "... "])).map("".join)


@given(WRITTEN, st.integers(20, 60))
def test_nothing_is_lost_and_nothing_is_too_long(text: str, most: int) -> None:
    phrases = split_sentences(text, CHARACTERS)
    parts = [part for phrase in phrases for part in cut_phrase(phrase, most)]
    assert all(0 < len(symbols_of(part.words)) <= most for part in parts)
    whole = " ".join(text.split()) if re.search(r"\w", text) else ""
    assert " ".join(phrase.words for phrase in phrases) == whole
    assert without_spaces("".join(part.words for part in parts)) == without_spaces(whole)


@given(WRITTEN)
def test_a_voice_without_marks_is_given_none_around_words(text: str) -> None:
    words = [word for phrase in split_sentences(text, LETTERS) for word in phrase.words.split(" ")]
    assert all(word == word.strip(".,;:!?()'") and word for word in words if "{" not in word)
    assert len(words) <= len(text.split()) + text.count("{")
