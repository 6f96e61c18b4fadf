"""What was heard beside what was to be said, word by word."""

from __future__ import annotations

from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class Word:
    """A word of what was heard beside what was meant: `said` or `heard` is empty where it was added or missed."""

    said: str
    heard: str

    @property
    def verdict(self) -> str:
        """One of right, wrong, missed, added."""
        if self.said == self.heard:
            return "right"
        return "added" if not self.said else "missed" if not self.heard else "wrong"


def compare_words(spoken_text: str, heard: str) -> list[Word]:
    """Pair what was heard with what was to be said, word by word, with the fewest errors (Levenshtein).

    >>> [(word.said, word.heard, word.verdict) for word in compare_words("call two", "call to you")]
    [('call', 'call', 'right'), ('', 'to', 'added'), ('two', 'you', 'wrong')]
    """
    said_words, heard_words = spoken_text.split(), heard.split()
    if not said_words or not heard_words:  # jiwer refuses an empty reference
        return [Word(word, "") for word in said_words] + [Word("", word) for word in heard_words]
    words = []
    for chunk in jiwer.process_words(" ".join(said_words), " ".join(heard_words)).alignments[0]:
        said = said_words[chunk.ref_start_idx : chunk.ref_end_idx]
        heard_here = heard_words[chunk.hyp_start_idx : chunk.hyp_end_idx]
        blanks = [""] * max(len(said), len(heard_here))  # one side of an added or missed chunk is empty
        words += [Word(*pair) for pair in zip(said or blanks, heard_here or blanks, strict=True)]
    return words


def count_word_errors(spoken_text: str, heard: str | None) -> int:
    """Words that were heard wrong, missed or added; 0 where nobody listened."""
    return 0 if heard is None else sum(word.verdict != "right" for word in compare_words(spoken_text, heard))
