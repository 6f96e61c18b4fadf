"""Spoken text → phrases, each short enough for a voice to speak at once, and the pauses between them.

A phrase is a sentence. It is a part of a sentence where the sentence is too long, or where the voice was trained
without the mark that asks for a pause. Sentences are found in the normalised text, where abbreviations have no full
stop any more: "Mr. Hill of No. 3 paid $4" is then "Mister Hill of Number three paid four dollars".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dtc.text.abbreviations import TITLES, TITLES_OF_NAMES
from dtc.text.mark_pauses import Pause
from dtc.text.numbers_in_words import NUMBER_WORDS
from dtc.text.symbols import symbols_of

WORD = re.compile(r"(?:\{[^{}]*\}|[^\s{}])+")  # phonemes in braces are one word
CLOSING, OPENING = "')", "'("
MARKS = ".,;:!?"
# J. R. R. Tolkien, p.m., U.S., and Mr. in a text that is not normalised. One of these can end a sentence, too, but a
# missing pause disturbs less than a pause inside a name.
SHORT = re.compile(rf"(?:\w\.)*\w|(?i:{'|'.join([*TITLES, *TITLES_OF_NAMES])})")


@dataclass(frozen=True)
class Phrase:
    """Words that are spoken at once, or one of them, and the pause that follows."""

    words: str
    pause: Pause


def split_sentences(spoken_text: str, alphabet: Collection[str]) -> list[Phrase]:
    """Return the sentences of a spoken text; an empty list where it has no word.

    Marks around a word that are not in the alphabet are left out, and the phrase ends there.

    >>> [phrase.words for phrase in split_sentences("So it ends. Or, as J. R. says: no!", set("(.,: JRSOadeinorsty!"))]
    ['So it ends.', 'Or, as J. R. says: no!']
    >>> split_sentences("So it ends, or not.", set(" Sdeinorst"))
    [Phrase(words='So it ends', pause='clause'), Phrase(words='or not', pause='sentence')]
    """
    phrases: list[Phrase] = []
    words: list[str] = []
    unknown_marks = "".join(mark for mark in MARKS + OPENING + CLOSING if mark not in alphabet)
    for word in _words_of(spoken_text):
        known = word.words.strip(unknown_marks)
        words += [known] if known else []
        has_ended = word.pause == "sentence" or (word.pause == "clause" and known != word.words)
        if has_ended and any(map(_is_spoken, words)):
            phrases.append(Phrase(" ".join(words), word.pause))
            words = []
    if any(map(_is_spoken, words)):
        phrases.append(Phrase(" ".join(words), "sentence"))
    elif words and phrases:  # marks alone: they belong to what they follow
        phrases[-1] = Phrase(" ".join([phrases[-1].words, *words]), phrases[-1].pause)
    return phrases


def inner_pauses(spoken_text: str) -> list[Pause]:
    """Return the pauses that the marks inside a text ask for, in order; the mark at its end asks for none.

    >>> inner_pauses("No. Well, yes. Or no.")
    ['sentence', 'clause', 'sentence']
    """
    return [word.pause for word in _words_of(spoken_text)[:-1] if word.pause != "none"]


def cut_phrase(phrase: Phrase, most_symbols: int) -> list[Phrase]:
    """Return a phrase as parts of at most `most_symbols` symbols.

    A phrase that is too long is halved until its parts fit, at the mark of a clause where one is near the middle.

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
    first = Phrase(" ".join(word.words for word in words[:middle]), words[middle - 1].pause)
    second = Phrase(" ".join(word.words for word in words[middle:]), phrase.pause)
    return cut_phrase(first, most_symbols) + cut_phrase(second, most_symbols)


def _middle(words: Sequence[Phrase]) -> int:
    """Return the number of words in the first half."""
    ends = [0]
    for word in words:
        ends.append(ends[-1] + len(word.words) + 1)
    cuts = range(1, len(words))
    length = ends[-1]
    marked = [cut for cut in cuts if words[cut - 1].pause != "none" and length <= 4 * ends[cut] <= 3 * length]
    return min(marked or cuts, key=lambda cut: abs(2 * ends[cut] - length))


def _cut_word(phrase: Phrase, most_symbols: int) -> list[Phrase]:
    """Return the parts of a phrase that has no space to be cut at."""
    symbols = ["{" + symbol[1:] + "}" if len(symbol) > 1 else symbol for symbol in symbols_of(phrase.words)]
    parts = ["".join(symbols[first : first + most_symbols]) for first in range(0, len(symbols), most_symbols)]
    return [Phrase(part, "none") for part in parts[:-1]] + [Phrase(parts[-1], phrase.pause)]


def _words_of(text: str) -> list[Phrase]:
    """Return the words of a text, each with its marks and the pause that they ask for."""
    words = WORD.findall(text)
    letters = "".join(word for word in words if "{" not in word)
    capitals = letters != letters.lower()  # then a sentence begins with a capital
    followers = [*words[1:], ""]
    return [Phrase(word, _pause_after(word, after, capitals)) for word, after in zip(words, followers, strict=False)]


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
    # A number that begins a sentence has no capital: "No. five people came."
    is_number = mark == "." and re.split(r"\W", follower.lstrip(OPENING))[0] in NUMBER_WORDS
    goes_on = capitals and follower.lstrip(OPENING)[:1].islower() and not is_number  # Stop! he cried; well... no
    return "clause" if goes_on else "sentence"


def _is_spoken(word: str) -> bool:
    """Return whether a word has a letter or a phoneme, and not marks alone."""
    return any(symbol[-1].isalnum() for symbol in symbols_of(word))
