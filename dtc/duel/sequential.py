"""A verdict that may be looked at after every vote, and at which voting may stop.

A confidence interval of a fixed number of votes is wrong more often than it says where one looks after every vote and
stops when one likes the answer. A confidence sequence holds at all times at once: with the probability of its level,
the true share is inside at every look.

With X_t = 1 where the voice was taken for the human, and p_t the probability of that given all earlier votes, X_t - p_t
is sub-Gaussian with variance 1/4 (Hoeffding's lemma). Mixing the exponential martingale over a normal distribution of
variance ρ² gives, for the mean of the p_t, at all times t at once (Howard et al. 2021, arXiv:1810.08240; as written
by Waudby-Smith and Ramdas, arXiv:2103.06476):

    radius = sqrt((t ρ² + 1) / (2 t² ρ²) · log(sqrt(t ρ² + 1) / α))

No vote has to be independent of another, and listeners and texts may differ: the share is that of those who were asked.
Since A and B are drawn for each trial, p_t = 1/2 for whoever hears no difference, whatever they press.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LEVEL = 0.95
MARGIN = 0.1  # a share of 40 to 60 % counts as equal
SHARPEST_AT = 250  # votes at which the sequence is narrowest, of all ρ
TOLD_APART, EQUAL, UNDECIDED = "told apart", "equal within the margin", "undecided"


@dataclass(frozen=True)
class Verdict:
    """What the votes on a pair say so far: one of TOLD_APART, EQUAL and UNDECIDED, and the sequence's interval now."""

    name: str
    low: float
    high: float
    more_votes: int  # until a verdict, if the share stays as it is; 0: there is one


def radius(votes: int) -> float:
    """Return half the width of the confidence sequence after some votes; 1 before the first."""
    if not votes:
        return 1.0
    scaled = votes * _rho_squared() + 1
    return math.sqrt(scaled / (2 * votes * (scaled - 1)) * math.log(math.sqrt(scaled) / (1 - LEVEL)))


def _rho_squared() -> float:
    """Return the variance of the mixture that makes the sequence narrow at SHARPEST_AT votes (Howard et al., 3.1)."""
    alpha = 1 - LEVEL
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / SHARPEST_AT


def verdict(chosen: int, votes: int) -> Verdict:
    """Return the verdict on a voice that was taken for the human in `chosen` of `votes` pairs with recordings."""
    share, half = (chosen / votes if votes else 0.5), radius(votes)
    low, high = max(0.0, share - half), min(1.0, share + half)
    name = _name(share, votes)
    return Verdict(name, low, high, 0 if name != UNDECIDED else _votes_needed(share) - votes)


def _name(share: float, votes: int) -> str:
    distance, half = abs(share - 0.5), radius(votes)
    if distance > half:
        return TOLD_APART
    return EQUAL if distance + half < MARGIN else UNDECIDED


def _votes_needed(share: float) -> int:
    """Return the smallest number of votes that gives a verdict at this share. There is one for every share."""
    enough = 1
    while _name(share, enough) == UNDECIDED:
        enough *= 2
    low = enough // 2
    while enough - low > 1:
        middle = (low + enough) // 2
        low, enough = (middle, enough) if _name(share, middle) == UNDECIDED else (low, middle)
    return enough
