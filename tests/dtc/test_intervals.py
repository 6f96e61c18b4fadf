import math

import numpy as np
import pytest
import scipy.stats

from dtc.evaluation.intervals import (
    bootstrap_interval,
    clustered_interval,
    mean_intervals,
    paired_difference,
    rate_interval,
    ratio_of_sums,
    share_interval,
)

rng = np.random.default_rng(0)


def test_the_interval_of_a_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).exponential(2.0, size=40)
    ours = bootstrap_interval(values, seed=1, draws=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == values.mean()
    # Both are estimates from 20,000 draws, whose quantiles have a standard deviation of about 0.01.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.05)


def test_a_statistic_of_rows_agrees_with_scipy_and_with_the_mean() -> None:
    words = np.random.default_rng(3).integers(3, 9, size=40)
    errors = np.random.default_rng(4).binomial(words, 0.1)
    ours = bootstrap_interval(np.stack([errors, words], axis=1).astype(float), ratio_of_sums, seed=1)
    theirs = scipy.stats.bootstrap(
        (errors, words),
        lambda errors, words, axis: errors.sum(axis) / words.sum(axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours.value == errors.sum() / words.sum()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)
    as_mean = bootstrap_interval(errors.astype(float), lambda each: float(each.mean()), seed=1)
    assert as_mean == pytest.approx(bootstrap_interval(errors.astype(float), seed=1)), "the quick way is the same"


def test_equal_seeds_give_equal_intervals_however_they_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng.normal(size=50)
    first = bootstrap_interval(values, seed=5)
    monkeypatch.setattr("dtc.evaluation.intervals.NUMBERS_AT_ONCE", 777)
    assert bootstrap_interval(values, seed=5) == first
    assert bootstrap_interval(values, seed=6) != first


def test_about_95_percent_of_the_intervals_include_the_true_mean() -> None:
    samples = np.random.default_rng(7).normal(3.0, 1.0, size=(400, 40))
    found = [bootstrap_interval(each, seed=8, draws=400) for each in samples]
    share = np.mean([each.low <= 3.0 <= each.high for each in found])
    assert 0.90 < share < 0.98  # binomial: 0.95 ± 0.011, and percentile intervals are a little too narrow


def test_a_narrower_level_lies_inside_a_wider_one() -> None:
    values = rng.normal(size=40)
    wide, narrow = bootstrap_interval(values, seed=1), bootstrap_interval(values, seed=1, level=0.5)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_no_observation_and_no_spread() -> None:
    assert all(map(math.isnan, bootstrap_interval(np.zeros(0), seed=1).named("x").values()))
    assert bootstrap_interval(np.full(9, 2.0), seed=1).named("x") == {"x": 2.0, "x_low": 2.0, "x_high": 2.0}
    assert math.isnan(ratio_of_sums(np.zeros((3, 2))))


def test_means_are_over_the_rows_that_have_a_measure() -> None:
    rows = [{"stoi": 0.5, "pesq": math.nan}, {"stoi": 1.0, "pesq": 3.0}, {"stoi": 0.75}, {"f0": math.nan}]
    found = mean_intervals(rows, seed=1)
    assert found.keys() == {f"{name}{end}" for name in ("stoi", "pesq") for end in ("", "_low", "_high")}
    assert 0.5 <= found["stoi_low"] < found["stoi"] == 0.75 < found["stoi_high"] <= 1.0
    assert found["pesq_low"] == found["pesq"] == found["pesq_high"] == 3.0
    assert mean_intervals([], seed=1) == {}


def test_no_error_is_no_proof_that_there_are_none() -> None:
    none = rate_interval(np.array([[0.0, 5], [0, 7]]), seed=1)
    expected = scipy.stats.binomtest(0, 12).proportion_ci(0.95, method="exact")
    assert (none.value, none.low, none.high) == pytest.approx((0, expected.low, expected.high))
    some = np.array([[1.0, 5], [0, 7], [2, 6]])
    assert rate_interval(some, seed=1) == bootstrap_interval(some, ratio_of_sums, seed=1)


@pytest.mark.parametrize("hits", [0, 40])
def test_a_share_of_none_or_all_is_not_certain(hits: int) -> None:
    found = share_interval(np.repeat([1.0, 0.0], [hits, 40 - hits]), seed=1)
    expected = scipy.stats.binomtest(hits, 40).proportion_ci(0.95, method="exact")
    assert (found.value, found.low, found.high) == pytest.approx((hits / 40, expected.low, expected.high))


def test_another_share_has_the_interval_of_a_mean() -> None:
    hits = np.repeat([1.0, 0.0], [30, 10])
    found, mean = share_interval(hits, seed=1), bootstrap_interval(hits, seed=1)
    assert (found.value, found.low, found.high) == pytest.approx((mean.value, mean.low, mean.high))


def test_observations_of_one_cluster_count_once() -> None:
    """Ten equal votes of each listener tell no more than one vote of each."""
    votes = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    listeners = np.repeat(np.arange(8), 10)
    once = bootstrap_interval(votes, seed=1)
    clustered = clustered_interval(np.repeat(votes, 10), [listeners.tolist()], seed=1)
    apart = bootstrap_interval(np.repeat(votes, 10), seed=1)
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high), abs=0.13), "a step is 1/8"
    assert apart.high - apart.low < 0.5 * (clustered.high - clustered.low)


def test_two_factors_are_both_drawn() -> None:
    """The spread of the pigeonhole bootstrap is close to that of the sum of the factors' variances."""
    source = np.random.default_rng(9)
    listeners, texts = source.normal(size=20), source.normal(size=30)
    values = (listeners[:, None] + texts[None, :]).ravel()
    levels = [np.repeat(np.arange(20), 30).tolist(), np.tile(np.arange(30), 20).tolist()]
    found = clustered_interval(values, levels, seed=1)
    expected = 1.96 * math.sqrt(listeners.var() / 20 + texts.var() / 30)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.1)
    with pytest.raises(ValueError, match="levels for 600 observations"):
        clustered_interval(values, [[1, 2]], seed=1)


def test_a_paired_difference_ignores_how_much_the_texts_differ() -> None:
    texts = np.random.default_rng(10).normal(0.0, 10.0, size=40)
    noise = np.random.default_rng(11).normal(0.0, 0.1, size=40)
    shifted = paired_difference(texts, texts + 0.2 + noise, seed=1)
    assert shifted.seen
    assert shifted.value == pytest.approx(0.2, abs=0.05)
    assert not paired_difference(texts, texts + noise - noise.mean(), seed=1).seen
    assert not paired_difference(texts, texts.copy(), seed=1).seen


@pytest.mark.parametrize(("pairs", "seen"), [(1, False), (5, False), (6, True)])
def test_a_few_pairs_in_one_direction_may_be_chance(pairs: int, seen: bool) -> None:
    """By the sign test: 5 of 5 in one direction have p = 0.0625, 6 of 6 have 0.03125."""
    found = paired_difference(np.zeros(pairs), np.ones(pairs), seed=1)
    assert (found.value, found.low, found.seen) == (1.0, 1.0, seen)
    assert (scipy.stats.binomtest(pairs, pairs).pvalue < 0.05) == seen


def test_pairs_without_a_value_are_left_out() -> None:
    found = paired_difference(np.array([1.0, math.nan, 3.0, 4.0]), np.array([2.0, 5.0, 4.0, math.nan]), seed=1)
    assert (found.value, found.pairs) == (1.0, 2)
    nothing = paired_difference(np.array([math.nan]), np.array([1.0]), seed=1)
    assert (nothing.pairs, nothing.seen) == (0, False)
    with pytest.raises(ValueError, match="expected pairs"):
        paired_difference(np.zeros(2), np.zeros(3), seed=1)
