"""What votes say, against independent computations and by simulation."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest

from dtc.duel.bradley_terry import PRIOR, covariance, strengths
from dtc.duel.sequential import EQUAL, LEVEL, MARGIN, TOLD_APART, UNDECIDED, radius, verdict
from dtc.duel.statistics import figures_of, ratio, wilson
from dtc.duel.trials import Item, Trial, Vote
from dtc.evaluation.intervals import Interval
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS

SPEAKER, COPIED, SPOKEN = Item(RECORDING), Item(COPY, "v"), Item(SYNTHESIS, "v")
DEVIATIONS = 3  # standard deviations of a share that is simulated


def votes_of(sides: tuple[Item, ...], answers: str, listener: str = "l") -> list[Vote]:
    """Votes from the first letters of their answers; each text has three of them."""
    full = {"h": "human", "m": "machine", "a": "a", "b": "b"}
    return [
        Vote(listener, Trial(f"{listener} {sides} {n}", f"text-{n // 3}", sides), full[each])
        for n, each in enumerate(answers)
    ]


def test_figures_of_a_few_votes() -> None:
    votes = [
        *votes_of((SPEAKER,), "hhhhhhhhmm"),
        *votes_of((SPOKEN,), "hhhhmmmmmm", "k"),
        *votes_of((COPIED,), "hm"),
        *votes_of((SPEAKER, SPOKEN), "aaab"),
        *votes_of((SPOKEN, SPEAKER), "ab"),
        *votes_of((COPIED, SPEAKER), "ab"),
        *votes_of((SPEAKER, SPEAKER), "aab"),
    ]
    common, voices = figures_of(votes)
    assert (common["votes"], common["listeners"], common["texts"]) == (33, 2, 4)
    assert common["recording_human_rate"] == 0.8
    assert common["control_a_share"] == pytest.approx(2 / 3, abs=1e-4)
    found = voices["v"]
    assert found["human_rate"] == 0.4
    assert "fooling_rate" not in found, "its interval would be wider than 100 %"
    more = figures_of([*votes_of((SPEAKER,), "hhhhhhhhmm" * 6), *votes_of((SPOKEN,), "hhhhmmmmmm" * 6)])[1]["v"]
    assert more["fooling_rate"] == 0.5, "0.4 over the rate of the recordings"
    assert more["fooling_rate_low"] < 0.5 < more["fooling_rate_high"] < 1.5
    assert found["copy_human_rate"] == found["copy_ab_share"] == 0.5
    assert found["ab_share"] == pytest.approx(2 / 6, abs=1e-4)
    assert (found["ab_votes"], found["verdict"]) == (6, UNDECIDED)
    assert found["more_votes"] > 0
    for name in ("human_rate", "ab_share"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
    assert "rank" not in found
    json.dumps([common, voices], allow_nan=False)


def test_what_nobody_was_asked_has_no_figure() -> None:
    common, voices = figures_of(votes_of((SPOKEN, SPOKEN), "ab"))
    assert "recording_human_rate" not in common
    assert not {"human_rate", "fooling_rate", "ab_share"} & voices["v"].keys()


def test_votes_of_one_listener_are_not_taken_for_those_of_many() -> None:
    """Half of the listeners always say human and half never: 10 opinions, not 200."""
    alike = [vote for n in range(10) for vote in votes_of((SPOKEN,), "hm"[n % 2] * 20, f"l{n}")]
    mixed = [vote for n in range(10) for vote in votes_of((SPOKEN,), "hm" * 10, f"l{n}")]
    widths = [
        found["human_rate_high"] - found["human_rate_low"] for found in (figures_of(v)[1]["v"] for v in (alike, mixed))
    ]
    assert widths[0] > 2 * widths[1]


@pytest.mark.parametrize(("hits", "votes"), [(0, 10), (3, 7), (10, 10), (400, 1000)])
def test_wilson_is_that_of_scipy(hits: int, votes: int) -> None:
    theirs = binomtest(hits, votes).proportion_ci(method="wilson")
    assert wilson(hits, votes) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


def test_the_interval_of_a_ratio_has_the_true_one_as_often_as_it_says() -> None:
    rng, covered, rounds, votes = np.random.default_rng(1), 0, 2000, 80
    for voice, speaker in rng.binomial(votes, (0.35, 0.8), (rounds, 2)):
        shares = [Interval(hits / votes, *wilson(hits, votes)) for hits in (int(voice), int(speaker))]
        found = ratio(*shares)
        covered += found is not None and found.low <= 0.35 / 0.8 <= found.high
    assert covered / rounds == pytest.approx(0.95, abs=DEVIATIONS * (0.95 * 0.05 / rounds) ** 0.5 + 0.005)


def test_a_ratio_is_defined_at_the_ends_of_its_shares() -> None:
    found = ratio(Interval(0.0, 0.0, 0.3), Interval(0.25, 0.1, 0.5))  # twice 0.25 is the upper end
    assert found is not None
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.3 / (0.1 * 0.4) ** 0.5)


def test_a_ratio_to_nothing_is_none() -> None:
    assert ratio(Interval(0.5, 0.3, 0.7), Interval(0.0, 0.0, 0.3)) is None
    assert ratio(None, Interval(0.5, 0.3, 0.7)) is None


# ── the verdict ─────────────────────────────────────────────────────────────────────────────────────────────────────


def share_ever(name: str, chance: float, rounds: int = 1500, most: int = 600) -> float:
    """Simulate listeners who look after every vote; return how often the verdict is `name` at any time."""
    chosen = np.random.default_rng(2).random((rounds, most)) < chance
    shares = chosen.cumsum(axis=1) / np.arange(1, most + 1)
    halves = np.array([radius(votes) for votes in range(1, most + 1)])
    distances = np.abs(shares - 0.5)
    reached = distances > halves if name == TOLD_APART else distances + halves < MARGIN
    return float(reached.any(axis=1).mean())


def test_who_hears_no_difference_is_seldom_told_that_there_is_one_however_often_one_looks() -> None:
    assert share_ever(TOLD_APART, 0.5) <= 1 - LEVEL
    assert share_ever(TOLD_APART, 0.35) > 0.9


def test_a_voice_outside_the_margin_is_seldom_called_equal() -> None:
    assert share_ever(EQUAL, 0.5 + MARGIN) <= 1 - LEVEL
    assert share_ever(EQUAL, 0.5) > 0.9


@pytest.mark.parametrize(("chosen", "votes"), [(5, 10), (2, 10), (45, 100), (0, 1), (0, 0)])
def test_the_votes_that_are_missing(chosen: int, votes: int) -> None:
    found = verdict(chosen, votes)
    assert found.name == UNDECIDED
    share = chosen / votes if votes else 0.5
    for more, decided in ((found.more_votes, True), (found.more_votes - 1, False)):
        half = radius(votes + more)
        reached = abs(share - 0.5) > half or abs(share - 0.5) + half < MARGIN
        assert reached == decided


def test_verdicts() -> None:
    assert (verdict(10, 100).name, verdict(10, 100).more_votes) == (TOLD_APART, 0)
    assert verdict(90, 100).name == TOLD_APART, "a voice that is taken for the human too often is told apart too"
    found = verdict(252, 500)
    assert found.name == EQUAL
    assert 0.5 - MARGIN < found.low < found.high < 0.5 + MARGIN


# ── several voices ──────────────────────────────────────────────────────────────────────────────────────────────────


def choices_of(true: list[float], votes: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pairs = np.array([rng.choice(len(true), 2, replace=False) for _ in range(votes)])
    differences = np.array(true)[pairs[:, 0]] - np.array(true)[pairs[:, 1]]
    lost = rng.random(votes) > 1 / (1 + np.exp(-differences))
    pairs[lost] = pairs[lost, ::-1]
    return pairs


def test_strengths_and_errors_are_those_of_a_direct_fit() -> None:
    choices = choices_of([0.0, -0.5, -2.0], 300)
    prior = np.array([(i, j) for i in range(3) for j in range(3) if i != j])

    def loss(free: np.ndarray) -> float:
        all_ = np.array([0.0, *free])
        terms = [np.log1p(np.exp(all_[each[:, 1]] - all_[each[:, 0]])).sum() for each in (choices, prior)]
        return float(terms[0] + PRIOR * terms[1])

    theirs = minimize(loss, np.zeros(2), method="BFGS")
    assert strengths(choices, 3)[1:] == pytest.approx(theirs.x, abs=1e-3)
    errors = np.sqrt(np.diag(covariance(choices, 3)))
    assert errors == pytest.approx([0, *np.sqrt(np.diag(theirs.hess_inv))], rel=0.05)


def test_a_voice_with_few_votes_is_not_first() -> None:
    """It won its only pair; the other one won 40 of 100."""
    new, old = Item(SYNTHESIS, "new"), Item(SYNTHESIS, "old")
    votes = [
        *votes_of((new, SPEAKER), "a"),
        *(v for n in range(10) for v in votes_of((old, SPEAKER), "abbabbabab"[n:] + "abbabbabab"[:n], f"l{n}")),
    ]
    _, voices = figures_of(votes)
    assert voices["new"]["strength"] > voices["old"]["strength"]
    assert (voices["old"]["rank"], voices["new"]["rank"]) == (1, 2)
    assert voices["new"]["strength_low"] < voices["old"]["strength_low"]


@pytest.mark.parametrize(("answers", "is_better"), [("aaabaaaaba", True), ("ababababab", False)])
def test_the_first_voice_is_better_where_the_interval_of_the_difference_says_so(answers: str, is_better: bool) -> None:
    """Neither has votes beside recordings alone: the votes on pairs of both decide."""
    one, other = Item(SYNTHESIS, "one"), Item(SYNTHESIS, "other")
    votes = [vote for n in range(6) for vote in votes_of((one, other), answers[n:] + answers[:n], f"l{n}")]
    common, voices = figures_of(votes)
    assert common["lead_low"] < common["lead"] < common["lead_high"]
    assert (common["lead_low"] > 0) == is_better
    if is_better:
        assert voices["one"]["rank"] == 1
        assert common["lead"] == pytest.approx(np.log(48.5 / 12.5), abs=0.2), "of 60 votes 48, and half a win each"
