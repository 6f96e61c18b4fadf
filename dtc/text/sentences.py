"""Spoken text → phrases, each as long as a voice can speak at once, and the pauses between them.

A phrase is a sentence; or a part of one, where a sentence is too long, or where a voice was never taught the mark that
should make it pause. Sentences are found in the words that will be spoken: by then the normaliser has written
"Mr. Hill of No. 3 paid $4.50" without a single full stop.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from dtc.text.abbreviations import TITLES, TITLES_OF_NAMES
from dtc.text.symbols import symbols_of

Pause = Literal["none", "clause", "sentence"]

WORD = re.compile(r"(?:\{[^{}]*\}|[^\s{}])+")  # phonemes in braces are one, with all their spaces
CLOSING, OPENING = "')", "'("
MARKS = ".,;:!?"
# J. R. R. Tolkien, p.m., U.S., and, in texts that nobody normalised, Mr. One of these may end a sentence all the same;
# a pause that is missed is heard less than one inside of a name.
SHORT = re.compile(rf"(?:\w\.)*\w|(?i:{'|'.join([*TITLES, *TITLES_OF_NAMES])})")


@dataclass(frozen=True)
class Phrase:
    """Words to speak at once, and the pause that follows."""

    words: str
    pause: Pause


@dataclass(frozen=True)
class _Word:
    text: str
    pause: Pause


def split_sentences(spoken_text: str, alphabet: Collection[str]) -> list[Phrase]:
    """The sentences of a spoken text; none where it holds no word.

    Around a word, marks that the alphabet lacks are left out, and the phrase ends there.

    >>> [phrase.words for phrase in split_sentences("So it ends. Or, as J. R. says: no!", set("(.,: JRSOadeinorsty!"))]
    ['So it ends.', 'Or, as J. R. says: no!']
    >>> split_sentences("So it ends, or not.", set(" Sdeinorst"))
    [Phrase(words='So it ends', pause='clause'), Phrase(words='or not', pause='sentence')]
    """
    phrases: list[Phrase] = []
    words: list[str] = []
    for word in _words_of(spoken_text):
        taught = _without_untaught_marks(word.text, alphabet)
        words += [taught] if taught else []
        has_ended = word.pause == "sentence" or (word.pause == "clause" and taught != word.text)
        if has_ended and any(map(_is_spoken, words)):
            phrases.append(Phrase(" ".join(words), word.pause))
            words = []
    if any(map(_is_spoken, words)):
        phrases.append(Phrase(" ".join(words), "sentence"))
    elif words and phrases:  # marks alone: they belong to what they follow
        phrases[-1] = Phrase(" ".join([phrases[-1].words, *words]), phrases[-1].pause)
    return phrases


def cut_phrase(phrase: Phrase, most_symbols: int) -> list[Phrase]:
    """The phrase, or parts of at most so many symbols: halves of halves, cut at a clause's mark where one is near.

    >>> cut_phrase(Phrase("one two, three four five", "sentence"), 12)  # doctest: +NORMALIZE_WHITESPACE
    [Phrase(words='one two,', pause='clause'), Phrase(words='three', pause='none'),
     Phrase(words='four five', pause='sentence')]
    """
    if len(symbols_of(phrase.words)) <= most_symbols:
        return [phrase]
    words = _words_of(phrase.words)
    if len(words) == 1:
        return _cut_word(phrase, most_symbols)
    middle = _middle(words)
    first = Phrase(" ".join(word.text for word in words[:middle]), words[middle - 1].pause)
    second = Phrase(" ".join(word.text for word in words[middle:]), phrase.pause)
    return cut_phrase(first, most_symbols) + cut_phrase(second, most_symbols)


def _middle(words: Sequence[_Word]) -> int:
    """How many words the first half takes."""
    ends = [0]
    for word in words:
        ends.append(ends[-1] + len(word.text) + 1)
    cuts = range(1, len(words))
    length = ends[-1]
    marked = [cut for cut in cuts if words[cut - 1].pause != "none" and length <= 4 * ends[cut] <= 3 * length]
    return min(marked or cuts, key=lambda cut: abs(2 * ends[cut] - length))


def _cut_word(phrase: Phrase, most_symbols: int) -> list[Phrase]:
    """Parts of something that has no space in it; no word of any language."""
    symbols = ["{" + symbol[1:] + "}" if len(symbol) > 1 else symbol for symbol in symbols_of(phrase.words)]
    parts = ["".join(symbols[first : first + most_symbols]) for first in range(0, len(symbols), most_symbols)]
    return [Phrase(part, "none") for part in parts[:-1]] + [Phrase(parts[-1], phrase.pause)]


def _words_of(text: str) -> list[_Word]:
    """The words of a text, each with its marks and the pause that they ask for."""
    words = WORD.findall(text)
    letters = "".join(word for word in words if "{" not in word)
    capitals = letters != letters.lower()  # where there are any, a sentence begins with one
    followers = [*words[1:], ""]
    return [_Word(word, _pause_after(word, after, capitals)) for word, after in zip(words, followers, strict=False)]


def _pause_after(word: str, follower: str, capitals: bool) -> Pause:
    unclosed = word.rstrip(CLOSING)
    bare = unclosed.rstrip(MARKS)
    mark = unclosed[len(bare) :]
    if not mark:
        return "clause" if word.endswith(")") or follower.startswith("(") else "none"
    if mark[-1] in ",;:":
        return "clause"
    if mark == "." and SHORT.fullmatch(bare.lstrip(OPENING)):
        return "none"
    goes_on = capitals and follower.lstrip(OPENING)[:1].islower()  # Stop! he cried; well... no
    return "clause" if goes_on else "sentence"


def _without_untaught_marks(word: str, alphabet: Collection[str]) -> str:
    untaught = "".join(mark for mark in MARKS + OPENING + CLOSING if mark not in alphabet)
    return word.strip(untaught)


def _is_spoken(word: str) -> bool:
    """Whether a word has a letter or a phoneme; marks alone have no sound."""
    return any(symbol[-1].isalnum() for symbol in symbols_of(word))
