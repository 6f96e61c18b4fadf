"""What the machine judge, the listeners of the duel and the stress list found of a voice, as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtc.report.changes import Changes


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Mapping[str, object], name: str) -> Estimate | None:
        """Return NAME with NAME_low and NAME_high; None where there is no such figure, or no interval of it."""
        found = [figures.get(key) for key in (name, f"{name}_low", f"{name}_high")]
        numbers = [float(each) for each in found if isinstance(each, (int, float))]
        return cls(*numbers) if len(numbers) == len(found) else None


@dataclass(frozen=True)
class Ruling:
    """What one machine judge found in a contest."""

    judge: str
    auc: Estimate
    equal_error_rate: Estimate
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


@dataclass(frozen=True)
class Contestant:
    """What the listeners found of one voice: see dtc.duel. A share without votes is None."""

    name: str
    human_rate: Estimate | None
    fooling_rate: Estimate | None
    ab_share: Estimate | None
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
    recording_human_rate: Estimate | None
    control_a_share: Estimate | None
    voices: Sequence[Contestant]


@dataclass(frozen=True)
class Stress:
    """The stress list: the figures of all its texts and of each kind, and a row for each text."""

    figures: Mapping[str, int | float]
    kinds: Mapping[str, Mapping[str, int | float]]
    rows: Sequence[Mapping[str, str]]  # the worst first


@dataclass(frozen=True)
class Findings:
    """All of these that are there."""

    contests: Sequence[Contest] = ()
    duel: Duel | None = None
    stress: Stress | None = None
    changes: Changes | None = None
