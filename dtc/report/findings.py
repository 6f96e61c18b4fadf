"""What the machine judge, the listeners of the duel and the stress list found of a voice, as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtc.evaluation.intervals import Interval
from dtc.report.changes import Changes

FEW_PAIRS = 20  # of a contest; with fewer, only large differences are found


def interval_in(figures: Mapping[str, object], name: str) -> Interval | None:
    """Return NAME with NAME_low and NAME_high; None where there is no such figure, or no interval of it."""
    found = [figures.get(key) for key in (name, f"{name}_low", f"{name}_high")]
    numbers = [float(each) for each in found if isinstance(each, int | float)]
    return Interval(*numbers) if len(numbers) == len(found) else None


@dataclass(frozen=True)
class Ruling:
    """What one machine judge found in a contest."""

    judge: str
    auc: Interval
    equal_error_rate: Interval
    pairs_right: Interval
    p: float


@dataclass(frozen=True)
class Surest:
    """A clip that the judge was surest about, and the picture of where it was."""

    id: str
    kind: str
    picture: Path


@dataclass(frozen=True)
class Contest:
    """A contest of the machine judge: see dtc.judge."""

    name: str
    blames: str  # the part to be mended; "" for the control
    first: str  # kinds of waveform
    second: str
    pairs: int
    told_apart: bool
    telling_hz: tuple[int, int] | None
    rulings: Sequence[Ruling]
    surest: Sequence[Surest]

    @property
    def found(self) -> str:
        """Return the result in words. Few pairs in which nothing was found do not tell that there is nothing."""
        if self.told_apart:
            return "told apart"
        return "not told apart" if self.pairs >= FEW_PAIRS else "too few texts to tell"


@dataclass(frozen=True)
class Contestant:
    """What the listeners found of one voice: see dtc.duel. A share without votes is None."""

    name: str
    human_rate: Interval | None
    fooling_rate: Interval | None
    ab_share: Interval | None
    ab_votes: int
    verdict: str
    more_votes: int
    rank: int | None


@dataclass(frozen=True)
class Duel:
    """The votes of all listeners."""

    votes: int
    listeners: int
    texts: int
    recording_human_rate: Interval | None
    control_a_share: Interval | None
    voices: Sequence[Contestant]


@dataclass(frozen=True)
class Stress:
    """The stress list: the figures of all its texts and of each kind, and a row for each text."""

    figures: Mapping[str, int | float]
    kinds: Mapping[str, Mapping[str, int | float]]
    rows: Sequence[Mapping[str, str]]  # the worst first

    @property
    def rate_without_new_words(self) -> float | None:
        """Return the word error rate in the kinds all of whose words are in training texts; None if it is unknown."""
        known = [figures for figures in self.kinds.values() if figures.get("new_words") == 0]
        words = sum(figures["words"] for figures in known)
        return sum(figures["word_errors"] for figures in known) / words if words else None


@dataclass(frozen=True)
class Findings:
    """All of these that are there."""

    contests: Sequence[Contest] = ()
    judge_says: Sequence[str] = ()  # sentences on the contests together, and what to do next
    duel: Duel | None = None
    stress: Stress | None = None
    changes: Changes | None = None
