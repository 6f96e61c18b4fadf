"""What sets texts apart from the training texts of a voice: a possible reason why it speaks them worse."""

from __future__ import annotations

from collections.abc import Sequence

from dtc.evaluation.word_errors import comparable_words

MOST_FIRST_WORDS = 12  # with which the training texts are said to begin alike
FEWEST_TRAINING_TEXTS = 24  # of fewer texts, it means nothing that they begin with a dozen words
LEAST_SHARE = 0.1  # of the texts or of their words: a smaller difference is not named


def text_differences(training: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return clauses that name what all training texts have in common and the other texts do not have.

    Compared are the first words, the number of words, and which words there are.

    >>> text_differences(["call one two", "count two three"] * 12, ["one two three", "two four"])
    ['of 24 training texts, all begin with call or count, but 2 of these 2 do not', \
'of 24 training texts, all have 3 words, but 1 of these 2 do not', \
'1 of their 5 words are in no training text']
    """
    known = [words for words in map(comparable_words, training) if words]
    others = [words for words in map(comparable_words, texts) if words]
    if not known or not others:
        return []
    found = []
    firsts = sorted({words[0] for words in known})
    if len(firsts) <= MOST_FIRST_WORDS and len(known) >= FEWEST_TRAINING_TEXTS:
        found.append((f"begin with {_listed(firsts)}", sum(words[0] not in firsts for words in others)))
    shortest, longest = min(map(len, known)), max(map(len, known))
    span = f"{shortest} to {longest}" if longest > shortest else f"{shortest}"
    found.append((f"have {span} words", sum(not shortest <= len(words) <= longest for words in others)))
    clauses = [
        f"of {len(known):,} training texts, all {shared}, but {exceptions} of these {len(others)} do not"
        for shared, exceptions in found
        if exceptions > LEAST_SHARE * len(others)
    ]
    vocabulary = {word for words in known for word in words}
    unknown = [word not in vocabulary for words in others for word in words]
    if sum(unknown) > LEAST_SHARE * len(unknown):
        clauses.append(f"{sum(unknown)} of their {len(unknown)} words are in no training text")
    return clauses


def _listed(words: Sequence[str]) -> str:
    """Return words as "a", "a or b", "a, b or c"."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
