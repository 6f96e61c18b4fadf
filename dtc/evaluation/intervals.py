"""Confidence intervals by bootstrap: of a mean over texts, of clustered observations, and of a paired difference.

All are percentile intervals (Efron 1979, doi:10.1214/aos/1176344552): the observations are drawn again with
replacement, and the interval has the middle 95 % of the statistic's values. Equal arguments give equal intervals.
Where all observations are equal the interval has no width, although more of them could differ.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

LEVEL, DRAWS = 0.95, 2000
FEWEST_PAIRS = 6  # of 5, all differ in one direction by chance in 2 · 0.5⁵ = 6 % of cases (sign test)
NUMBERS_AT_ONCE = 1_000_000  # drawn at once, to limit the memory

Statistic = Callable[[Float[np.ndarray, "n ..."]], float]


@dataclass(frozen=True)
class Interval:
    """A value and the confidence interval around it; all three are NaN where there are no observations."""

    value: float
    low: float
    high: float

    def named(self, name: str) -> dict[str, float]:
        """Return the three numbers by the names of a metrics file: NAME, NAME_low and NAME_high."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class PairedDifference(Interval):
    """The mean of b − a over pairs, its interval, and the number of pairs."""

    pairs: int

    @property
    def seen(self) -> bool:
        """Return whether the interval of at least 6 pairs leaves out 0.

        If not, no difference is seen, which does not prove equality.
        """
        return self.pairs >= FEWEST_PAIRS and (self.low > 0.0 or self.high < 0.0)


def bootstrap_interval(
    values: Float[np.ndarray, "n ..."],
    statistic: Statistic = np.mean,
    *,
    seed: int,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Interval:
    """Return a statistic of the values and its interval, with rows drawn again with replacement.

    Args:
        values: a row for each observation, such as a text; the rows must be independent of one another.
        statistic: takes an array as `values`, and returns a number; see `ratio_of_sums`.
        seed: of the draws.
        level: the share of the draws that the interval includes.
        draws: the number of draws.
    """
    if not len(values):
        return NOTHING
    rng = np.random.default_rng(seed)
    drawn = [_of_draws(values, rows, statistic) for rows in _drawn_rows(len(values), draws, rng)]
    return Interval(float(statistic(values)), *_ends(np.concatenate(drawn), level))


def _drawn_rows(n: int, draws: int, rng: np.random.Generator) -> Iterator[Integer[np.ndarray, "some n"]]:
    at_once = max(1, NUMBERS_AT_ONCE // n)
    for first in range(0, draws, at_once):
        yield rng.integers(n, size=(min(at_once, draws - first), n))


def _of_draws(
    values: Float[np.ndarray, "n ..."], rows: Integer[np.ndarray, "draws n"], statistic: Statistic
) -> Float[np.ndarray, " draws"]:
    if statistic is np.mean and values.ndim == 1:  # the same, in a tenth of the time
        return values[rows].mean(axis=1)
    return np.array([statistic(values[each]) for each in rows], dtype=np.float64)


def mean_intervals(rows: Sequence[Mapping[str, float]], *, seed: int) -> dict[str, float]:
    """Return the mean of each measure over the rows in which it is finite, as NAME, with NAME_low and NAME_high.

    A measure that is finite in no row is left out, so that no value is NaN, which JSON does not have.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    finite = {name: column[np.isfinite(column)] for name, column in columns.items()}
    found = [bootstrap_interval(column, seed=seed).named(name) for name, column in finite.items() if len(column)]
    return {name: value for each in found for name, value in each.items()}


def ratio_of_sums(values: Float[np.ndarray, "n 2"]) -> float:
    """Return the sum of the first column over that of the second, such as word errors over words; NaN for 0/0."""
    errors, words = values.sum(axis=0)
    return float(errors / words) if words else float("nan")


def rate_interval(errors: Float[np.ndarray, "n 2"], *, seed: int) -> Interval:
    """Return an error rate, such as word errors over words of each text, with its interval; NaN for no words.

    Where there is no error, drawing again finds none either. Then the upper end is the exact one of Clopper and Pearson
    for 0 errors in n words, 1 − 0.025^(1/n), as if the words were independent.
    """
    n_errors, words = errors.sum(axis=0)
    if not words:
        return NOTHING
    if not n_errors:
        return Interval(0.0, 0.0, 1.0 - float((1.0 - LEVEL) / 2.0) ** (1.0 / float(words)))
    return bootstrap_interval(errors, ratio_of_sums, seed=seed)


def share_interval(hits: Float[np.ndarray, " n"], *, seed: int) -> Interval:
    """Return the share of observations that are 1 and not 0, with its interval; as `rate_interval` for none and all."""
    each = np.ones_like(hits)
    if not hits.any():
        return rate_interval(np.stack([hits, each], axis=1), seed=seed)
    missed = rate_interval(np.stack([each - hits, each], axis=1), seed=seed)
    return Interval(1.0 - missed.value, 1.0 - missed.high, 1.0 - missed.low)


def clustered_interval(
    values: Float[np.ndarray, "n ..."],
    clusters: Sequence[Sequence[Hashable]],
    statistic: Statistic = np.mean,
    *,
    seed: int,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Interval:
    """Return a statistic and its interval where the observations of one listener, or of one text, are alike.

    Whole clusters are drawn again, not observations. With several factors, such as listener and text, the levels of
    each are drawn apart, and an observation is repeated as often as the product of the draws of its levels (the
    pigeonhole bootstrap of Owen 2007, arXiv:0712.1111). It is conservative: the interval is rather too wide.

    Args:
        values: a row for each observation.
        clusters: for each factor, the level of each observation, such as the name of its listener.
        statistic: as for `bootstrap_interval`; a draw that leaves no observation is drawn again.
        seed: of the draws.
        level: the share of the draws that the interval includes.
        draws: the number of draws.

    Raises ValueError where a factor does not have a level for each observation.
    """
    if any(len(factor) != len(values) for factor in clusters):
        raise ValueError(f"{[len(factor) for factor in clusters]} levels for {len(values)} observations")
    if not len(values):
        return NOTHING
    rng = np.random.default_rng(seed)
    factors = [_numbered(factor) for factor in clusters]
    drawn = list[float]()
    while len(drawn) < draws:
        times = np.prod([_times_drawn(levels, rng)[levels] for levels in factors], axis=0)
        if times.any():
            drawn.append(statistic(np.repeat(values, times, axis=0)))
    return Interval(float(statistic(values)), *_ends(np.array(drawn), level))


def _numbered(levels: Sequence[Hashable]) -> Integer[np.ndarray, " n"]:
    numbers = {level: number for number, level in enumerate(dict.fromkeys(levels))}
    return np.array([numbers[level] for level in levels])


def _times_drawn(levels: Integer[np.ndarray, " n"], rng: np.random.Generator) -> Integer[np.ndarray, " levels"]:
    """Return how often each level is drawn."""
    n_levels = int(levels.max()) + 1
    return np.bincount(rng.integers(n_levels, size=n_levels), minlength=n_levels)


def paired_difference(
    a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, " n_of_b"],
    *,
    seed: int,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> PairedDifference:
    """Return the mean of b − a over pairs, such as the same text by two voices, with its interval.

    Pairs in which either value is not finite are left out. Raises ValueError for unequal lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values against {len(b)}, expected pairs")
    differences = (b - a)[np.isfinite(a) & np.isfinite(b)]
    found = bootstrap_interval(differences, seed=seed, level=level, draws=draws)
    return PairedDifference(found.value, found.low, found.high, pairs=len(differences))


def _ends(drawn: Float[np.ndarray, " draws"], level: float) -> tuple[float, float]:
    tail = (1.0 - level) / 2.0
    low, high = np.nanquantile(drawn, [tail, 1.0 - tail])
    return float(low), float(high)
