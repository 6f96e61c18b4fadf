"""Whether an utterance can be trusted, by its gate and by where it looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

Status = Literal["stopped", "attention_stuck", "skipped_text", "hit_cap"]  # from good to bad
MEANINGS: Mapping[Status, str] = {
    "stopped": "ended by itself",
    "attention_stuck": "stood still in the text, or went back in it",
    "skipped_text": "left out part of the text",
    "hit_cap": "cut off at the longest that its text may take",
}

# A trained voice of numbers, in 222 good utterances of up to 334 symbols: 0.1 s, 5 and 1 at most.
LONGEST_WAIT_S = 1.0  # no sound and no pause inside a sentence is held longer; the last one may be
MOST_SYMBOLS_SKIPPED = 6  # in a row: mute letters and a mark, not a word and its spaces
MOST_SYMBOLS_UNREAD = 3  # at the end: a mute letter and two marks


def status_of(
    alignment: Float[Tensor, "steps symbols"], stopped: bool, frames_per_step: int, frames_per_s: float
) -> Status:
    """`hit_cap` where the gate never ended it; else whether the attention left text out or made no headway.

    It looks at one symbol a step, that of the largest weight, however soft the attention is. What it looks at for the
    first time is headway, so that one glance far ahead or back says nothing; a passage that is read again says much.
    """
    if not stopped:
        return "hit_cap"
    looked_at, symbols = alignment.argmax(dim=1).tolist(), alignment.shape[1]
    read = sorted(set(looked_at))
    skipped = max(after - before - 1 for before, after in zip([-1, *read], read, strict=False))
    if skipped > MOST_SYMBOLS_SKIPPED or symbols - 1 - read[-1] > MOST_SYMBOLS_UNREAD:
        return "skipped_text"
    longest_wait_s = _longest_wait(looked_at, symbols) * frames_per_step / frames_per_s
    return "attention_stuck" if longest_wait_s > LONGEST_WAIT_S else "stopped"


def worst(statuses: Sequence[Status]) -> Status:
    """That of a whole of several utterances."""
    return max(statuses, key=badness)


def badness(status: Status) -> int:
    """0 for a good utterance, more for a worse one."""
    return get_args(Status).index(status)


def _longest_wait(looked_at: Sequence[int], symbols: int) -> int:
    """The most steps in a row that see nothing new; those that look at the text's end are its last silence."""
    seen: set[int] = set()
    wait = longest = 0
    for symbol in looked_at:
        wait = 0 if symbol not in seen or symbol >= symbols - MOST_SYMBOLS_UNREAD else wait + 1
        longest = max(longest, wait)
        seen.add(symbol)
    return longest
