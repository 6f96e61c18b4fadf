"""What differs between two evaluations, as the page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dtc.evaluation.intervals import PairedDifference, paired_difference
from dtc.evaluation.word_errors import word_errors
from dtc.report.metric_names import HIGHER_IS_BETTER, LOWER_IS_BETTER, METRICS

Row = Mapping[str, str]  # of utterances.csv
NOT_SEEN = "no difference seen"
WORD_ERRORS, RECOGNISED = "word_errors", "heard_in_synthesis"
TEXTS = ("id", "text", "spoken_text", "status")  # columns in which a number is no measure
SEED = 1  # of the draws of the intervals


@dataclass(frozen=True)
class Changed:
    """A setting or a figure before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Compared:
    """A measure of the same texts by two voices: the mean of their differences, its interval, and what it tells."""

    label: str
    difference: str
    interval: str
    texts: int
    verdict: str


@dataclass(frozen=True)
class Changes:
    """What differs between a revision of the project and its folder."""

    since: str  # the revision, as it was asked for, and its commit
    compared: Sequence[Compared] = ()  # the same texts, pairwise
    figures: Sequence[Changed] = ()  # of the metrics
    settings: Sequence[Changed] = ()
    code: Sequence[str] = ()  # files
    outputs: Sequence[str] = ()  # paths
    n_equal: int = 0  # outputs
    notes: Sequence[str] = ()  # sentences on what is not compared, and why

    @property
    def any(self) -> bool:
        """Return whether there is a difference."""
        return bool(self.figures or self.settings or self.code or self.outputs or self.notes)


def compare_utterances(before: Iterable[Row], after: Iterable[Row]) -> list[Compared]:
    """Compare the measures that two tables of utterances have, over the utterances that both have."""
    old, new = _by_text(before), _by_text(after)
    shared = [key for key in old if key in new]
    pairs = [(_measures(old[key]), _measures(new[key])) for key in shared]
    names = dict.fromkeys(name for first, second in pairs for name in first if name in second)
    return [_compared(name, pairs) for name in names]


def not_compared(before: Iterable[Row], after: Iterable[Row]) -> list[str]:
    """Return a sentence for texts, and one for measures, that only one of two tables of utterances has."""
    old, new = _by_text(before), _by_text(after)
    both = len(old.keys() & new.keys())
    if not both:
        return ["no text is in both tables of utterances (results/utterances.csv), so none is compared"]
    sentences = []
    if both < max(len(old), len(new)):
        sentences.append(f"{both} texts are compared, of {len(old)} before and {len(new)} now")
    first, second = ({name for row in rows.values() for name in _measures(row)} for rows in (old, new))
    for names, when in ((first - second, "now"), (second - first, "before")):
        if names:
            sentences.append(f"not compared, since there is no such measure {when}: {', '.join(sorted(names))}")
    return sentences


def _by_text(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    return {(row["id"], row["spoken_text"]): row for row in rows}


def _measures(row: Row) -> dict[str, float]:
    """Return the numbers of an utterance, its word errors first where a recogniser has transcribed it."""
    numbers = {
        name: number for name, cell in row.items() if name not in TEXTS and (number := _number(cell)) is not None
    }
    recognised = row.get(RECOGNISED)
    if recognised is None:
        return numbers
    return {WORD_ERRORS: float(word_errors([row["spoken_text"]], [recognised]).errors), **numbers}


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _compared(name: str, pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> Compared:
    both = np.array([(first[name], second[name]) for first, second in pairs if name in first and name in second])
    found = paired_difference(both[:, 0], both[:, 1], seed=SEED)
    label = METRICS[name].label if name in METRICS else name.replace("_", " ").capitalize()
    value, low, high = (f"{number:+.3g}" if number else "0" for number in (found.value, found.low, found.high))
    return Compared(label, value, f"{low} to {high}", found.pairs, _verdict(name, found))


def _verdict(name: str, found: PairedDifference) -> str:
    if not found.seen:
        return NOT_SEEN
    direction = "higher" if found.value > 0 else "lower"
    if name in HIGHER_IS_BETTER:
        return "better" if direction == "higher" else "worse"
    if name in LOWER_IS_BETTER:
        return "better" if direction == "lower" else "worse"
    return direction
