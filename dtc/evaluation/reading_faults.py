"""What went wrong in the reading of a text, by its recognised words: words skipped, repeated, and run on."""

from __future__ import annotations

from dataclasses import dataclass

from dtc.evaluation.word_errors import WordPair, compare_words


@dataclass(frozen=True)
class ReadingFaults:
    """Numbers of words. Skipped, repeated and run-on words are among the word errors."""

    words: int  # expected
    word_errors: int
    skipped: int  # expected and not recognised
    repeated: int  # recognised once more, directly before or after themselves
    run_on: int  # recognised after the end of the text


def reading_faults(expected: str, recognised: str) -> ReadingFaults:
    """Count the faults in the reading of a text.

    >>> reading_faults("call one two", "call call two two eight")
    ReadingFaults(words=3, word_errors=3, skipped=0, repeated=1, run_on=1)

    Of the fewest word errors that explain what was recognised, several sets may be possible: above, "one" was replaced
    by "call", and not skipped after a repeated "call".
    """
    pairs = compare_words(expected, recognised)
    end = 1 + max((place for place, pair in enumerate(pairs) if pair.expected), default=-1)
    added = [place for place, pair in enumerate(pairs) if pair.verdict == "added"]
    repeated = [place for place in added if _is_repeated(pairs, place)]
    return ReadingFaults(
        words=sum(bool(pair.expected) for pair in pairs),
        word_errors=sum(pair.verdict != "right" for pair in pairs),
        skipped=sum(pair.verdict == "missed" for pair in pairs),
        repeated=len(repeated),
        run_on=sum(place >= end and place not in repeated for place in added),
    )


def _is_repeated(pairs: list[WordPair], place: int) -> bool:
    """Return whether an added word is recognised directly before or after itself."""
    neighbours = [pairs[other].recognised for other in (place - 1, place + 1) if 0 <= other < len(pairs)]
    return pairs[place].recognised in neighbours
