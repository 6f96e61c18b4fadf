"""What a listener is asked: trials of one clip or of two, and how a session of them is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS

TRIALS = 20  # of a session; fewer where there are not so many texts, since each text is heard once
Kinds = Mapping[tuple[str, ...], float]  # the kinds of a trial's clips → how probable it is
# Each is drawn by itself: with fixed numbers, a listener who counts would know the last.
SINGLES: Kinds = {(RECORDING,): 0.4, (SYNTHESIS,): 0.4, (COPY,): 0.2}
PAIRS: Kinds = {
    (RECORDING, SYNTHESIS): 0.6,
    (RECORDING, COPY): 0.2,
    (RECORDING, RECORDING): 0.1,
    (SYNTHESIS, SYNTHESIS): 0.1,
}
ANSWERS = {"single": ("human", "machine"), "pair": ("a", "b")}
ID_BITS = 128


class Item(NamedTuple):
    """What makes clips: the speaker, or a voice, which speaks by itself or copies recordings."""

    kind: str  # recording, copy_synthesis or synthesis
    voice: str = ""  # "" for the speaker


class Clip(NamedTuple):
    """The clip that an item makes of a text."""

    item: Item
    text: str  # the text's id


@dataclass(frozen=True)
class Trial:
    """One question: whether one clip is a human or a machine, or which of two clips of one text is the human."""

    id: str  # random, so that it tells nothing and cannot be guessed
    text: str
    sides: tuple[Item, ...]

    @property
    def form(self) -> Literal["single", "pair"]:
        """Return whether the trial has one clip or two."""
        return "single" if len(self.sides) == 1 else "pair"

    @property
    def clips(self) -> list[Clip]:
        """Return the clips in the order in which they are named: A, then B."""
        return [Clip(item, self.text) for item in self.sides]

    @property
    def right_answer(self) -> str | None:
        """Return the right answer; None for a control, which has none: copies, two recordings, two syntheses."""
        kinds = [item.kind for item in self.sides]
        if COPY in kinds or (len(kinds) == 2 and kinds[0] == kinds[1]):
            return None
        return ANSWERS[self.form][kinds.index(RECORDING) if len(kinds) == 2 else kinds != [RECORDING]]


@dataclass(frozen=True)
class Vote:
    """The answer of a listener to a trial.

    Args:
        listener: the listener's id.
        trial: the trial.
        answer: one of ANSWERS.
        at: when it was given, in seconds since 1970; of a page without a server, when the page was made.
    """

    listener: str
    trial: Trial
    answer: str
    at: float = 0.0

    @property
    def is_right(self) -> bool:
        """Return whether the answer is the right one; a control has none."""
        return self.answer == self.trial.right_answer

    @property
    def choice(self) -> tuple[Item, Item] | None:
        """Return the item of a pair that was taken for the human, and the other one; None for a single clip."""
        if len(self.trial.sides) == 1:
            return None
        first, second = self.trial.sides
        return (first, second) if self.answer == "a" else (second, first)


def score_of(votes: Sequence[Vote]) -> dict[str, int]:
    """Return how many answers were right, and of how many; controls have no right answer and are counted apart."""
    judged = [vote for vote in votes if vote.trial.right_answer]
    return {"right": sum(vote.is_right for vote in judged), "of": len(judged), "controls": len(votes) - len(judged)}


def draw_trials(texts: Sequence[str], voices: Sequence[str], random: Random, most: int = TRIALS) -> list[Trial]:
    """Return the trials of a session: one clip each in the first half, two each in the second.

    Each text is used once. Voices, kinds of clips and sides are drawn anew for each trial.
    """
    chosen = random.sample(list(texts), min(most, len(texts)))
    half = (len(chosen) + 1) // 2
    return [
        Trial(f"{random.getrandbits(ID_BITS):032x}", text, _draw_sides(SINGLES if n < half else PAIRS, voices, random))
        for n, text in enumerate(chosen)
    ]


def _draw_sides(kinds: Kinds, voices: Sequence[str], random: Random) -> tuple[Item, ...]:
    """Draw the items of a trial. Two syntheses are of two voices where there are several."""
    drawn = random.choices(list(kinds), list(kinds.values()))[0]
    speakers = iter(random.sample(list(voices), len(voices)) * 2)
    sides = [Item(kind, "" if kind == RECORDING else next(speakers)) for kind in drawn]
    random.shuffle(sides)
    return tuple(sides)
