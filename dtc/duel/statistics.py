"""What the votes of a duel say: how often each voice is taken for a human, with intervals, and the verdict.

The votes of one listener are alike, and so are those on one text. So an interval has the wider ends of two: of the
bootstrap that draws listeners and texts, not votes, and of the interval that takes votes for independent (of a share,
Wilson's), which has a width also where all votes are equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from dtc.duel.bradley_terry import covariance, strengths
from dtc.duel.sequential import verdict
from dtc.duel.trials import Item, Vote
from dtc.evaluation.intervals import Interval, clustered_interval
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS

SEED, DRAWS, STRENGTH_DRAWS = 1, 1000, 200
NORMAL_QUANTILE = 1.96
SPEAKER = Item(RECORDING)
DIGITS = 4
WIDEST_RATIO = 1.0  # a fooling rate whose interval is wider says nothing yet

Figures = dict[str, float | int | str]


def figures_of(votes: Sequence[Vote]) -> tuple[Figures, dict[str, Figures]]:
    """Return the figures that are not about one voice, and those of each voice that has votes."""
    common: Figures = {
        "votes": len(votes),
        "listeners": len({vote.listener for vote in votes}),
        "texts": len({vote.trial.text for vote in votes}),
        **_named(share(votes, _taken_for_human(SPEAKER)), "recording_human_rate"),
        **_named(share(votes, _side_of_control), "control_a_share"),
    }
    voices = list(dict.fromkeys(item.voice for vote in votes for item in vote.trial.sides if item.voice))
    of_voices = {voice: _of_voice(votes, voice) for voice in voices}
    if len(voices) > 1:
        first, second = _add_ranks(of_voices, _strengths(votes, voices))[:2]
        common |= _named(_strengths(votes, voices, second)[first], "lead")
    return common, of_voices


def _of_voice(votes: Sequence[Vote], voice: str) -> Figures:
    synthesis, copy = Item(SYNTHESIS, voice), Item(COPY, voice)
    human, speaker = share(votes, _taken_for_human(synthesis)), share(votes, _taken_for_human(SPEAKER))
    chosen = [hit for _, hit in _counted(votes, _chosen_over(synthesis, SPEAKER))]
    reached = verdict(sum(chosen), len(chosen))
    return {
        **_named(human, "human_rate"),
        **_named(fooling_rate(human, speaker), "fooling_rate"),
        **_named(share(votes, _taken_for_human(copy)), "copy_human_rate"),
        **_named(share(votes, _chosen_over(synthesis, SPEAKER)), "ab_share"),
        **_named(share(votes, _chosen_over(copy, SPEAKER)), "copy_ab_share"),
        "ab_votes": len(chosen),
        "verdict": reached.name,
        "verdict_low": round(reached.low, DIGITS),
        "verdict_high": round(reached.high, DIGITS),
        "more_votes": reached.more_votes,
    }


# ── shares ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Outcome = Callable[[Vote], bool | None]  # whether a vote counts for a share; None: the share is not about it


def _taken_for_human(item: Item) -> Outcome:
    return lambda vote: vote.answer == "human" if vote.trial.sides == (item,) else None


def _chosen_over(item: Item, other: Item) -> Outcome:
    return lambda vote: vote.choice[0] == item if vote.choice and {*vote.choice} == {item, other} else None


def _side_of_control(vote: Vote) -> bool | None:
    """Return whether A was chosen of two equal clips. Where the share is not a half, listeners prefer a side."""
    sides = vote.trial.sides
    return vote.answer == "a" if len(sides) == 2 and sides[0] == sides[1] else None


def _counted(votes: Sequence[Vote], outcome: Outcome) -> list[tuple[Vote, bool]]:
    return [(vote, hit) for vote in votes if (hit := outcome(vote)) is not None]


def share(votes: Sequence[Vote], outcome: Outcome) -> Interval | None:
    """Return the share of votes with an outcome, and its interval; None where no vote counts for it."""
    if not (counted := _counted(votes, outcome)):
        return None
    hits = np.array([hit for _, hit in counted], np.float64)
    clusters = [[vote.listener for vote, _ in counted], [vote.trial.text for vote, _ in counted]]
    drawn = clustered_interval(hits, clusters, seed=SEED, draws=DRAWS)
    low, high = wilson(int(hits.sum()), len(hits))
    return Interval(drawn.value, min(drawn.low, low), max(drawn.high, high))


def wilson(hits: int, votes: int) -> tuple[float, float]:
    """Return the ends of Wilson's interval (1927) of a share, of 95 %."""
    z2 = NORMAL_QUANTILE**2
    centre, spread = hits + z2 / 2, NORMAL_QUANTILE * math.sqrt(hits * (votes - hits) / votes + z2 / 4)
    return max(0.0, centre - spread) / (votes + z2), (centre + spread) / (votes + z2)


def ratio(a: Interval | None, b: Interval | None) -> Interval | None:
    """Return the ratio of two shares and its interval, from those of the shares (Donner and Zou 2012, MOVER-R).

    None where either share is missing, or where the second may be 0: then the ratio has no upper end.
    """
    if a is None or b is None or b.low <= 0:
        return None
    product = a.value * b.value
    low_a, high_a = (end * (2 * a.value - end) for end in (a.low, a.high))
    low_b, high_b = (end * (2 * b.value - end) for end in (b.low, b.high))
    low = low_a / (product + math.sqrt(product**2 - low_a * high_b)) if low_a > 0 else 0.0
    high = (product + math.sqrt(product**2 - high_a * low_b)) / low_b
    return Interval(a.value / b.value, low, high)


def fooling_rate(human: Interval | None, speaker: Interval | None) -> Interval | None:
    """Return how often a voice is taken for a human over how often its speaker is; None where votes are too few."""
    found = ratio(human, speaker)
    return found if found and found.high - found.low <= WIDEST_RATIO else None


def _named(interval: Interval | None, name: str) -> Figures:
    return {key: round(value, DIGITS) for key, value in interval.named(name).items()} if interval else {}


# ── several voices ──────────────────────────────────────────────────────────────────────────────────────────────────


def _strengths(votes: Sequence[Vote], voices: Sequence[str], against: str = "") -> dict[str, Interval]:
    """Return the strength of each voice, in log-odds, less that of another voice, or of the recordings: theirs is 0."""
    items = {SPEAKER: 0} | {Item(SYNTHESIS, voice): number for number, voice in enumerate(voices, 1)}
    numbered = [(vote, [items[item] for item in vote.choice or () if item in items]) for vote in votes]
    pairs = [(vote, numbers) for vote, numbers in numbered if len(set(numbers)) == 2]
    choices = np.array([numbers for _, numbers in pairs], np.int64).reshape(-1, 2)
    clusters = [[vote.listener for vote, _ in pairs], [vote.trial.text for vote, _ in pairs]]
    spread = covariance(choices, len(items))
    zero = items[Item(SYNTHESIS, against)] if against else 0

    def strength_of(number: int) -> Interval:
        def statistic(drawn: Float[np.ndarray, "drawn 2"]) -> float:
            found = strengths(drawn.astype(np.int64), len(items))
            return float(found[number] - found[zero])

        drawn = clustered_interval(choices.astype(np.float64), clusters, statistic, seed=SEED, draws=STRENGTH_DRAWS)
        value = statistic(choices.astype(np.float64))
        variance = spread[number, number] + spread[zero, zero] - 2 * spread[number, zero]
        half = NORMAL_QUANTILE * math.sqrt(max(0.0, variance))
        return Interval(value, float(np.fmin(drawn.low, value - half)), float(np.fmax(drawn.high, value + half)))

    return {voice: strength_of(number) for number, voice in enumerate(voices, 1) if number != zero}


def _add_ranks(of_voices: Mapping[str, Figures], found: Mapping[str, Interval]) -> list[str]:
    """Add strength and rank to the figures of each voice: the first has the highest lower end of its interval.

    So a voice is not first because it has few votes. Returns the voices by rank.
    """
    ranked = sorted(found, key=lambda voice: -found[voice].low)
    for voice, figures in of_voices.items():
        figures |= {"rank": ranked.index(voice) + 1} | _named(found[voice], "strength")
    return ranked
