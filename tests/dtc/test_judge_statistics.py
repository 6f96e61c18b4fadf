"""The statistics of the machine judge, by independent counts."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from dtc.evaluation.intervals import Interval
from dtc.judge.logistic import train_logistic
from dtc.judge.statistics import (
    Outcome,
    area_under_curve,
    equal_error_rate,
    outcome_of,
    pairs_right,
    permutation_p,
)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(12, 2)).round(1) + np.array([0.0, 0.8])  # with ties


def test_the_area_is_mann_and_whitneys_u(scores: np.ndarray) -> None:
    u = mannwhitneyu(scores[:, 1], scores[:, 0]).statistic
    assert area_under_curve(scores) == pytest.approx(u / 144, abs=1e-12)
    assert area_under_curve(-scores) == pytest.approx(1 - u / 144, abs=1e-12)


def test_a_pair_is_right_where_the_second_is_higher() -> None:
    assert pairs_right(np.array([[0.0, 1.0], [5.0, 6.0], [2.0, 1.0], [3.0, 3.0]])) == 2.5 / 4


@pytest.mark.parametrize(
    ("first", "second", "rate"),
    [
        ([0, 1, 2], [3, 4, 5], 0.0),
        ([3, 4, 5], [0, 1, 2], 1.0),
        ([1, 1, 1], [1, 1, 1], 0.5),
        ([0, 1, 2, 6], [3, 4, 5, 1.5], 0.25),
        ([0, 2], [1, 3], 0.5),
        ([0, 1, 2, 9], [8, 10, 11, 12], 0.25),
    ],
)
def test_equal_error_rate(first: list[float], second: list[float], rate: float) -> None:
    assert equal_error_rate(np.array([first, second], dtype=float).T) == pytest.approx(rate)


def test_p_is_the_share_of_all_swaps_spread_as_the_folds_are(scores: np.ndarray) -> None:
    few = scores[:8]
    areas = [
        area_under_curve(np.where(np.array(swapped)[:, None], few[:, ::-1], few))
        for swapped in product((0, 1), repeat=8)
    ]
    widened = 0.5 + math.sqrt(1 + 3 / 2) * (np.array(areas) - 0.5)
    exact = np.mean(widened >= area_under_curve(few))
    assert permutation_p(few, folds=3, permutations=20_000, seed=1) == pytest.approx(exact, abs=0.01)
    assert permutation_p(np.array([[0.0, 1.0]] * 40), 3, 99, seed=1) == 1 / 100, "no permutation is as good"
    assert permutation_p(np.zeros((5, 2)), 3, 99, seed=1) == 1.0


def test_told_apart_needs_p_and_the_interval() -> None:
    rate = Interval(0.1, 0.0, 0.2)

    def told_apart(low: float, p: float) -> bool:
        return Outcome(Interval(0.8, low, 0.9), rate, rate, p).told_apart

    assert told_apart(0.51, 0.05)
    assert not told_apart(0.5, 0.05)
    assert not told_apart(0.51, 0.051)


def test_intervals_are_drawn_over_texts_and_wider_with_fewer_folds(scores: np.ndarray) -> None:
    texts = [str(number) for number in range(12)]
    found = outcome_of(scores, texts, folds=5, draws=200, seed=1)
    assert list(found.named()) == [
        *(f"{name}{end}" for name in ("auc", "equal_error_rate", "pairs_right") for end in ("", "_low", "_high")),
        "p",
    ]
    assert found.auc.value == area_under_curve(scores)
    assert 0 <= found.auc.low < found.auc.value < found.auc.high <= 1
    wider = outcome_of(scores, texts, folds=2, draws=200, seed=1)
    ratio = (wider.auc.value - wider.auc.low) / (found.auc.value - found.auc.low)
    assert ratio == pytest.approx(math.sqrt((1 + 2 / 1) / (1 + 5 / 4)))
    one_text = outcome_of(scores, ["one"] * 12, folds=5, draws=200, seed=1)
    assert one_text.auc.low == one_text.auc.high == found.auc.value, "one text alone shows no spread"


def test_scores_without_an_error_do_not_make_the_judge_certain() -> None:
    scores = np.stack([np.arange(40.0), 100 + np.arange(40.0)], axis=1)
    found = outcome_of(scores, [str(n) for n in range(40)], folds=4, draws=100, seed=1)
    none = 1 - 0.025 ** (1 / 40)  # Clopper and Pearson's upper end for 0 of 40: 8.8 %
    assert found.equal_error_rate == Interval(0.0, 0.0, none)
    assert found.auc == found.pairs_right == Interval(1.0, 1.0 - none, 1.0)


def test_where_nothing_differs_p_is_not_too_small_although_the_folds_share_their_training() -> None:
    """100 contests of noise: with independent scores p would be at most 0.05 in 5 of them."""
    rng, small = np.random.default_rng(1), 0
    folds = np.arange(30) % 3
    for seed in range(100):
        vectors, scores = rng.normal(size=(30, 2, 10)), np.empty((30, 2))
        for fold in range(3):
            scores[folds == fold] = train_logistic(vectors[folds != fold])(vectors[folds == fold])
        small += permutation_p(scores, 3, 200, seed) <= 0.05
    assert small <= 5
