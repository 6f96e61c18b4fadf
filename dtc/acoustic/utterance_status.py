"""The status of an utterance: whether its gate ended it, and whether its attention passed over the whole text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

Status = Literal["ended", "attention_stuck", "skipped_text", "cut_off"]  # from the best to the worst
STATUS_MEANINGS: Mapping[Status, str] = {
    "ended": "ended by itself",
    "attention_stuck": "the attention stayed at one place of the text, or went back",
    "skipped_text": "left out part of the text",
    "cut_off": "did not end by itself within the longest duration of its text",
}

# In 222 good utterances of a trained model, of up to 334 symbols, the largest values were 0.1 s, 5 and 1.
LONGEST_WAIT_S = 1.0  # longer than any sound or pause inside a sentence; the silence at the end may be longer
MOST_SYMBOLS_SKIPPED = 6  # in a row: silent letters and a punctuation mark, but no word with its spaces
MOST_SYMBOLS_UNREAD = 3  # at the end: a silent letter and two punctuation marks


def status_of(
    alignment: Float[Tensor, "steps symbols"], stopped: bool, frames_per_step: int, frames_per_s: float
) -> Status:
    """Return the status of an utterance from its attention weights.

    It is `cut_off` where the gate never ended it, and otherwise depends on the symbol with the largest weight at each
    step. Only a symbol that has the largest weight for the first time counts as progress. So a single step far ahead or
    back changes nothing, but a passage that is read a second time is found.
    """
    if not stopped:
        return "cut_off"
    attended, symbols = alignment.argmax(dim=1).tolist(), alignment.shape[1]
    read = sorted(set(attended))
    skipped = max(after - before - 1 for before, after in zip([-1, *read], read, strict=False))
    if skipped > MOST_SYMBOLS_SKIPPED or symbols - 1 - read[-1] > MOST_SYMBOLS_UNREAD:
        return "skipped_text"
    longest_wait_s = _longest_wait(attended, symbols) * frames_per_step / frames_per_s
    return "attention_stuck" if longest_wait_s > LONGEST_WAIT_S else "ended"


def worst(statuses: Sequence[Status]) -> Status:
    """Return the worst of several statuses."""
    return max(statuses, key=badness)


def badness(status: Status) -> int:
    """Return 0 for a good utterance, and a larger number for a worse status."""
    return get_args(Status).index(status)


def _longest_wait(attended: Sequence[int], symbols: int) -> int:
    """Return the most steps in a row without progress; steps at the end of the text, its last silence, do not count."""
    seen: set[int] = set()
    wait = longest = 0
    for symbol in attended:
        wait = 0 if symbol not in seen or symbol >= symbols - MOST_SYMBOLS_UNREAD else wait + 1
        longest = max(longest, wait)
        seen.add(symbol)
    return longest
