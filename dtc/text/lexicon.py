"""Spoken words → phonemes, by the user's own words and CMUdict. A word in neither stays in letters.

    "Hello, Mister Zyx!"  →  "{HH AH L OW}, {M IH S T ER} Zyx!"

The phonemes stand in braces, as they may in any text, so that `dtc.text.symbols` makes ids of them. They have no
stress: CMUdict comes without it here, and the stress digits of phonemes that a text has in braces are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from dtc.config import Section, Share
from dtc.text.cmudict import cmudict

BRACES = r"\{[^{}]*\}"
WORD = r"'?[A-Za-z]+(?:['-][A-Za-z]+)*'?"
_PIECE = re.compile(f"{BRACES}|{WORD}")
_STRESS = re.compile(r"(?<=[A-Za-z]{2})[012]\b")
# The letter, and not the article: U S A, A B C, a.m.
_LETTER_A = re.compile(r"(?<=\b[B-HJ-Z] )A\b|A(?= [B-HJ-Z]\b)|[Aa](?=\.)")
_SIBILANTS, _VOICELESS = ("S", "Z", "SH", "ZH", "CH", "JH"), ("P", "T", "K", "F", "TH")

# Decides whether a word stays in letters, by its place in the text and its phonemes.
KeepsLetters = Callable[[int, str], bool]


class LexiconConfig(Section):
    """The pronunciations of a voice beside CMUdict's. The index of the features and the model's card hold it."""

    words: dict[str, str]  # the user's own: word in small letters → phonemes without stress
    letters_share: Share  # of the words, which stay in letters in training, so that letters are learned too


class Lexicon:
    """The pronunciations of words: the user's own first, then those of CMUdict, then forms of either.

    Without a config, there are none, and a text stays as it is.

    >>> lexicon = Lexicon(LexiconConfig(words={"zyx": "Z IH K S"}, letters_share=0.0))
    >>> lexicon.pronounce("Zyx's twenty-six {F AA0 K S}, Qwfp.")
    '{Z IH K S IH Z} {T W EH N T IY}-{S IH K S} {F AA K S}, Qwfp.'
    >>> lexicon.unknown_words("Zyx's twenty-six {F AA0 K S}, Qwfp.")
    ['qwfp']
    """

    def __init__(self, config: LexiconConfig | None) -> None:
        self._is_used = config is not None
        self._dictionaries: tuple[Mapping[str, str], ...] = (config.words, cmudict()) if config else ()
        self.letters_share = config.letters_share if config else 0.0

    def phonemes(self, word: str) -> str | None:
        """Return the phonemes of a word, such as "HH AH L OW", or None where neither it nor its stem is known."""
        word = word.lower()
        return self._listed(word) or self._possessive(word) or self._plural(word)

    def pronounce(self, text: str, keeps_letters: KeepsLetters | None = None) -> str:
        """Return a spoken text with phonemes in braces for all words but those where `keeps_letters` is true.

        Marks stay where they are. The parts of a word with hyphens are looked up where the whole is not known.
        """
        if not self._is_used:
            return text
        places = count()

        def read(match: re.Match[str]) -> str:
            if match[0].startswith("{"):
                return without_stress(match[0])
            keeps = partial(keeps_letters or _never, next(places))
            if len(match[0]) == 1 and _LETTER_A.match(text, match.start()):
                return match[0] if keeps("EY") else "{EY}"
            return self._read(match[0], keeps)

        return _PIECE.sub(read, text)

    def unknown_words(self, text: str, keeps_letters: KeepsLetters | None = None) -> list[str]:
        """Return the words of a spoken text that `pronounce` leaves in letters, small, each once, in order.

        Without a config there are none, as no word is looked up.
        """
        if not self._is_used:
            return []
        left = re.sub(BRACES, " ", self.pronounce(text, keeps_letters))
        return list(dict.fromkeys(word.strip("'").lower() for word in re.findall(WORD, left)))

    def readings(self, text: str) -> list[str]:
        """Return what a model can be given of a training text: with phonemes, and where a share stays so, letters."""
        in_letters = [self.pronounce(text, lambda place, phonemes: True)] if self.letters_share else []
        return [self.pronounce(text), *in_letters]

    def _read(self, word: str, keeps_letters: Callable[[str], bool]) -> str:
        """Return a word with phonemes in place of its letters. Apostrophes around a word can be quotation marks."""
        for inner in (word, word.removesuffix("'"), word.removeprefix("'"), word.strip("'")):
            if found := self.phonemes(inner):
                return word if keeps_letters(found) else word.replace(inner, f"{{{found}}}", 1)
        return "-".join(self._read(part, keeps_letters) for part in word.split("-")) if "-" in word else word

    def _listed(self, word: str) -> str | None:
        return next((words[word] for words in self._dictionaries if word in words), None)

    def _possessive(self, word: str) -> str | None:
        """Return the phonemes of "zyx's" by those of "zyx", and of "zyxes'" by those of "zyxes"."""
        if word.endswith("s'"):
            return self._listed(word[:-1]) or self._plural(word[:-1])
        return _with_s(self._listed(word[:-2]) or self._plural(word[:-2])) if word.endswith("'s") else None

    def _plural(self, word: str) -> str | None:
        """Return the phonemes of "foxes", "skies" and "dogs" by those of "fox", "sky" and "dog"."""
        if word.endswith("ies") and (stem := self._listed(word[:-3] + "y")):
            return _with_s(stem)
        if word.endswith("es") and (stem := self._listed(word[:-2])) and stem.split()[-1] in (*_SIBILANTS, "OW"):
            return _with_s(stem)
        return _with_s(self._listed(word[:-1])) if re.search("[^s']s$", word) else None


def _never(place: int, phonemes: str) -> bool:
    return False


def without_stress(phonemes: str) -> str:
    """Return phonemes without the stress digits of their vowels: "HH AH0 L OW1" → "HH AH L OW"."""
    return _STRESS.sub("", phonemes)


def _with_s(phonemes: str | None) -> str | None:
    """Return the phonemes of a word with the ending s, which is spoken by the sound before it."""
    if phonemes is None:
        return None
    last = phonemes.split()[-1]
    return f"{phonemes} {'IH Z' if last in _SIBILANTS else 'S' if last in _VOICELESS else 'Z'}"
