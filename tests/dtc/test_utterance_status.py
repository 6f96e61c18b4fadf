"""status_of on alignments whose fault is known, sharp and soft, at one and at six frames a step."""

from collections.abc import Sequence
from itertools import combinations

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.utterance_status import STATUS_MEANINGS, Status, badness, status_of, worst

FRAMES_PER_S = 86.1  # of LJ Speech
SYMBOLS = 60
SYMBOLS_PER_S = 14.5  # as read there


def steps_of(seconds: float, frames_per_step: int) -> int:
    return round(seconds * FRAMES_PER_S / frames_per_step)


def reading(first: int, last: int, frames_per_step: int) -> list[float]:
    """Where one looks while symbols first … last are read at an even rate."""
    steps = steps_of((last - first + 1) / SYMBOLS_PER_S, frames_per_step)
    return torch.linspace(first, last, steps).tolist()


def alignment_of(positions: Sequence[float], symbols: int, width: float) -> Float[Tensor, "steps symbols"]:
    """A Gaussian of so many symbols around each step's position, on a floor of weight that leaks everywhere."""
    distance = torch.arange(symbols) - torch.tensor(positions)[:, None]
    weights = torch.exp(-((distance / width) ** 2) / 2) + 0.01
    return weights / weights.sum(dim=1, keepdim=True)


def paths(r: int) -> dict[str, tuple[list[float], Status]]:
    """What was read, and what is to be said about it."""
    end = SYMBOLS - 1
    whole = reading(0, end, r)
    half = reading(0, 29, r)

    def hold(symbol: int, seconds: float) -> list[float]:
        return [symbol] * steps_of(seconds, r)

    return {
        "in order": (whole, "ended"),
        "a long silence on the last mark": (whole + hold(end, 3.0), "ended"),
        "a long silence on the last letter, before the mark": (whole[:-1] + hold(end - 2, 3.0), "ended"),
        "a pause at a comma": (half + hold(29, 0.8) + reading(30, end, r), "ended"),
        "a glance far ahead": ([*half, end, *reading(30, end, r)], "ended"),
        "a glance back": ([*half, 2, *reading(30, end, r)], "ended"),
        "standing still in the middle": (half + hold(29, 1.5) + reading(30, end, r), "attention_stuck"),
        "standing still at the beginning": (hold(0, 1.5) + whole, "attention_stuck"),
        "a passage read again": (half + reading(5, 29, r) + reading(30, end, r), "attention_stuck"),
        "all of it read again": (whole + whole, "attention_stuck"),
        "to and fro": (half + [28, 29] * steps_of(0.75, r) + reading(30, end, r), "attention_stuck"),
        "a word left out": (half + reading(40, end, r), "skipped_text"),
        "the first word left out": (reading(10, end, r), "skipped_text"),
        "an end before the last word": (reading(0, end - 10, r), "skipped_text"),
        "the last word left out, the mark seen": ([*reading(0, end - 10, r), end], "skipped_text"),
        "left out, and standing still": (hold(0, 1.5) + half, "skipped_text"),
    }


@pytest.mark.parametrize("width", [0.3, 3.0], ids=["sharp", "soft"])
@pytest.mark.parametrize("frames_per_step", [1, 2, 3, 6])
@pytest.mark.parametrize("name", paths(1))
def test_a_path_through_a_text(name: str, frames_per_step: int, width: float) -> None:
    positions, expected = paths(frames_per_step)[name]
    alignment = alignment_of(positions, SYMBOLS, width)
    assert status_of(alignment, True, frames_per_step, FRAMES_PER_S) == expected
    assert status_of(alignment, False, frames_per_step, FRAMES_PER_S) == "cut_off"


@pytest.mark.parametrize("frames_per_step", [1, 6])
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_a_soft_attention_that_trembles_reads_in_order(frames_per_step: int, noise: float) -> None:
    alignment = alignment_of(reading(0, SYMBOLS - 1, frames_per_step), SYMBOLS, width=2.0)
    tremble = torch.rand(alignment.shape, generator=torch.Generator().manual_seed(1))
    assert status_of(alignment * (1 - noise * tremble), True, frames_per_step, FRAMES_PER_S) == "ended"


@pytest.mark.parametrize("symbols", [1, 2, 3])
def test_a_text_of_a_symbol_or_of_marks_cannot_be_left_out(symbols: int) -> None:
    for steps in (1, 5, 300):
        assert status_of(torch.full((steps, symbols), 1 / symbols), True, 1, FRAMES_PER_S) == "ended"


def test_one_step_does_not_read_a_sentence() -> None:
    assert status_of(torch.eye(20)[:1], True, 6, FRAMES_PER_S) == "skipped_text"


@pytest.mark.parametrize("frames_per_step", [1, 6])
def test_five_thousand_symbols(frames_per_step: int) -> None:
    whole = torch.eye(5000)
    assert status_of(whole, True, frames_per_step, FRAMES_PER_S) == "ended"
    assert status_of(whole[:2500], True, frames_per_step, FRAMES_PER_S) == "skipped_text"
    assert status_of(whole.roll(20, dims=1)[20:], True, frames_per_step, FRAMES_PER_S) == "skipped_text"
    stood_still = torch.cat([whole[:2500], whole[2500].repeat(100, 1), whole[2500:]])
    assert status_of(stood_still, True, frames_per_step, FRAMES_PER_S) == "attention_stuck"


def test_the_order_of_badness() -> None:
    statuses: list[Status] = ["ended", "attention_stuck", "skipped_text", "cut_off"]
    assert list(STATUS_MEANINGS) == sorted(statuses, key=badness) == statuses
    assert badness("ended") == 0
    for better, worse in combinations(statuses, 2):
        assert worst([worse, better]) == worst([better, worse]) == worse
