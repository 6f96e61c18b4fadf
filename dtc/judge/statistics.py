"""Statistics of a contest: area under the ROC curve, equal error rate, their intervals, and a permutation p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dtc.evaluation.intervals import Interval, Statistic, clustered_interval, rate_interval
from dtc.seeding import seed_of

Scores = Float[np.ndarray, "pairs 2"]  # of the first and of the second of each pair; higher: judged to be the second
ALPHA = 0.05
PERMUTED_AT_ONCE = 256


@dataclass(frozen=True)
class Outcome:
    """What a judge's scores say, with 95 % intervals.

    Args:
        auc: the area under its curve.
        equal_error_rate: see `equal_error_rate`.
        pairs_right: the share of pairs in which the second has the higher score, as when people hear both.
        p: of the permutation test, see `permutation_p`.
    """

    auc: Interval
    equal_error_rate: Interval
    pairs_right: Interval
    p: float

    @property
    def told_apart(self) -> bool:
        """Return whether the two sides were told apart: p ≤ 0.05, and 0.5 is below the interval of the AUC."""
        return self.p <= ALPHA and self.auc.low > 0.5

    def named(self) -> dict[str, float]:
        """Return all numbers by the names of a metrics file."""
        return {
            **self.auc.named("auc"),
            **self.equal_error_rate.named("equal_error_rate"),
            **self.pairs_right.named("pairs_right"),
            "p": self.p,
        }


def outcome_of(scores: Scores, texts: Sequence[str], folds: int, draws: int, seed: int) -> Outcome:
    """Return the statistics of held-out scores of so many folds.

    The intervals are by bootstrap over texts, widened by `spread_of(folds)`; `draws`: of texts, and permutations. Where
    there is no error, drawing again finds none either: the other end is then the exact one for no error in n texts.
    """
    seed, wider = seed_of(f"judge statistics {seed}"), spread_of(folds)
    none_of_all = rate_interval(np.array([[0.0, len(set(texts))]]), seed=seed)

    def interval(statistic: Statistic) -> Interval:
        found = clustered_interval(scores, [texts], statistic, seed=seed, draws=draws)
        if found.low == found.high == 0.0:
            return none_of_all
        if found.low == found.high == 1.0:
            return Interval(1.0, 1.0 - none_of_all.high, 1.0)
        low, high = (found.value + wider * (end - found.value) for end in (found.low, found.high))
        return Interval(found.value, max(low, 0.0), min(high, 1.0))

    return Outcome(
        interval(area_under_curve),
        interval(equal_error_rate),
        interval(pairs_right),
        permutation_p(scores, folds, draws, seed),
    )


def spread_of(folds: int) -> float:
    """Return the factor by which statistics of k folds spread more than those of independent scores: √(1 + k/(k - 1)).

    A text that is judged in one fold has trained the judges of the others, so the folds agree by more than chance.
    Source: Nadeau & Bengio 2003 (doi:10.1023/A:1024068626366), whose variance 1/k + 1/(k - 1) replaces 1/k.
    """
    return math.sqrt(1 + folds / (folds - 1))


def area_under_curve(scores: Scores) -> float:
    """Return the share of (first, second) in which the second has the higher score; a tie counts one half.

    All n² combinations count, not only the n pairs. 0.5 is chance, 1 is no error.
    Source: Hanley & McNeil 1982 (doi:10.1148/radiology.143.1.7063747): it equals the area under the ROC curve.
    """
    first, second = scores.T
    return float(_higher(second, first).mean())


def _higher(ours: Float[np.ndarray, " n"], theirs: Float[np.ndarray, " m"]) -> Float[np.ndarray, "n m"]:
    """Return 1 where ours is higher than theirs, 0.5 where they are equal, else 0."""
    return (np.sign(ours[:, None] - theirs) + 1) / 2


def equal_error_rate(scores: Scores) -> float:
    """Return the rate of errors at the threshold where as many of the first as of the second are judged wrongly.

    Between two thresholds both rates are interpolated linearly. 0.5 is chance, 0 is no error.
    """
    first, second = np.sort(scores[:, 0]), np.sort(scores[:, 1])
    thresholds = np.append(np.unique(scores), np.inf)
    false_alarms = 1 - np.searchsorted(first, thresholds) / len(first)  # first ones at or above: falls from 1 to 0
    misses = np.searchsorted(second, thresholds) / len(second)  # second ones below: rises from 0 to 1
    after = int(np.argmax(misses >= false_alarms))
    gaps = false_alarms[after - 1 : after + 1] - misses[after - 1 : after + 1]
    share = gaps[0] / (gaps[0] - gaps[1])
    return float(misses[after - 1] + share * (misses[after] - misses[after - 1]))


def pairs_right(scores: Scores) -> float:
    """Return the share of pairs in which the second has the higher score; a tie counts one half."""
    return float((np.sign(scores[:, 1] - scores[:, 0]) + 1).mean() / 2)


def permutation_p(scores: Scores, folds: int, permutations: int, seed: int) -> float:
    """Return the share of permutations whose AUC is at least that of the scores, which count as one of them.

    If the two sides were alike, either clip of a pair could have been the first. So a permutation swaps the scores of
    each pair with probability ½. The judges are not trained again with swapped labels, which would take `permutations`
    times as long; instead the permuted AUC's distances from 0.5 are multiplied by `spread_of(folds)`, without which p
    is too small (docs/duel.md has what was measured).
    Source: Phipson & Smyth 2010 (doi:10.2202/1544-6115.1585): (1 + count) / (1 + permutations) is never 0.
    """
    rng = np.random.default_rng(seed)
    pairs = len(scores)
    pooled = scores.T.ravel()  # the first ones, then the second ones
    higher = _higher(pooled, pooled) - 0.5
    least = _higher(scores[:, 1], scores[:, 0]).sum() - pairs**2 / 2
    count = 0
    for done in range(0, permutations, PERMUTED_AT_ONCE):
        swapped = rng.integers(2, size=(min(PERMUTED_AT_ONCE, permutations - done), pairs))
        second = np.concatenate([swapped, 1 - swapped], axis=1).astype(np.float64)
        permuted = ((second @ higher) * (1 - second)).sum(axis=1)  # sums of halves, which are exact in any order
        count += int(np.count_nonzero(spread_of(folds) * permuted >= least))
    return (1 + count) / (1 + permutations)
