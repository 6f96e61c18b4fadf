"""Words → phonemes: by the user's own words, by CMUdict, and by forms of either; what is in neither stays in letters."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtc.text.cmudict import cmudict
from dtc.text.lexicon import Lexicon, LexiconConfig
from dtc.text.symbols import symbols_of, text_to_ids

LEXICON = Lexicon(LexiconConfig(words={"zyx": "Z IH K S", "one": "W AH N AH"}, letters_share=0.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", "{HH AH L OW}, {W ER L D}!"),
        ("Qwfp says hello", "Qwfp {S EH Z} {HH AH L OW}"),
        ("zyx one ONE", "{Z IH K S} {W AH N AH} {W AH N AH}"),  # the user's own words come first
        ("zyx's zyxes zyxes' zyxs", "{Z IH K S IH Z} {Z IH K S IH Z} {Z IH K S IH Z} {Z IH K S IH Z}"),
        ("qwfp's ones", "qwfp's {W AH N Z}"),
        ("don't 'tis o'clock", "{D OW N T} {T IH Z} {AH K L AA K}"),
        ("'hello' 'world", "'{HH AH L OW}' '{W ER L D}"),  # quotation marks
        ("well-known twenty-zyx qwfp-one", "{W EH L N OW N} {T W EH N T IY}-{Z IH K S} qwfp-{W AH N AH}"),
        ("a boss", "{AH} {B AA S}"),
        ("A T and T, U S A, a.m.", "{EY} {T IY} {AH N D} {T IY}, {Y UW} {EH S} {EY}, {EY}.{EH M}."),
        ("A dog. I gave A to it", "{AH} {D AO G}. {AY} {G EY V} {AH} {T UW} {IH T}"),
        ("{HH AH0 L OW1} zyx {ah}", "{HH AH L OW} {Z IH K S} {ah}"),
        ("... - !", "... - !"),
    ],
)
def test_a_text_is_pronounced(text: str, expected: str) -> None:
    assert LEXICON.pronounce(text) == expected


@given(st.text(alphabet="ab zyx'-.,{}AI", max_size=30))
def test_every_text_without_braces_becomes_known_symbols_and_keeps_its_marks(text: str) -> None:
    text = text.replace("{", "").replace("}", "").strip() or "a"
    read = LEXICON.pronounce(text)
    assert text_to_ids(read)
    marks = [mark for mark in read if mark in ".,"]
    assert marks == [mark for mark in text if mark in ".,"]


def test_the_words_in_no_lexicon_are_listed_once() -> None:
    text = "Qwfp, zyx's qwfp and Plover-qxz of 'arstd' {K W F P}"
    assert LEXICON.unknown_words(text) == ["qwfp", "qxz", "arstd"]


def test_words_stay_letters_by_their_place_and_phonemes() -> None:
    asked = []

    def keeps_letters(place: int, phonemes: str) -> bool:
        asked.append((place, phonemes))
        return place == 1

    assert LEXICON.pronounce("Hello zyx-one, qwfp hello", keeps_letters) == "{HH AH L OW} zyx-one, qwfp {HH AH L OW}"
    assert asked == [(0, "HH AH L OW"), (1, "Z IH K S"), (1, "W AH N AH"), (3, "HH AH L OW")]


def test_possessives_agree_with_those_that_cmudict_lists() -> None:
    """CMUdict lists 6,352 of them; it writes the vowel of "-ses" and of some stems in two ways."""
    words, lexicon = cmudict(), Lexicon(LexiconConfig(words={}, letters_share=0.0))
    pairs = [(lexicon._possessive(word), words[word]) for word in words if word.endswith("'s") and word[:-2] in words]
    assert sum(ours == theirs for ours, theirs in pairs) > 0.93 * len(pairs)


def test_the_embedded_dictionary_is_that_of_pocketsphinx() -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    lines = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
    expected: dict[str, str] = {}
    for line in lines:
        word, _, phonemes = line.partition(" ")
        if not word.endswith(")"):
            expected.setdefault(word, phonemes.strip())
    assert cmudict() == expected
    assert len(lines) == 134_860


def test_phonemes_are_symbols_of_the_table() -> None:
    phonemes = {phoneme for listed in cmudict().values() for phoneme in listed.split()}
    assert len(phonemes) == 39
    assert text_to_ids("{" + " ".join(sorted(phonemes)) + "}")
    assert symbols_of(LEXICON.pronounce("Zyx.")) == ["@Z", "@IH", "@K", "@S", "."]
