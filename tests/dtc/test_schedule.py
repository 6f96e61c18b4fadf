"""Schedules: literal values, and those of torch.optim.lr_scheduler where it has the same one."""

from functools import partial

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import lr_scheduler

from dtc.training.config import TrainingConfig
from dtc.training.schedule import Place, rate_share
from tests.training_params import training_config


def shares(section: dict[str, object], steps: int, per_epoch: int = 4, plateaus: int = 0) -> list[float]:
    schedule = training_config(lr_scheduler=section).lr_scheduler
    return [rate_share(Place(step, steps, per_epoch, {schedule: plateaus}), schedule) for step in range(steps)]


def of_torch(make: partial[lr_scheduler.LRScheduler], steps: int) -> list[float]:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), 1.0)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_multistep_and_exponential_are_those_of_torch() -> None:
    multistep = {"type": "multistep", "milestones": [3, 5], "gamma": 0.1, "per_iteration": True}
    assert shares(multistep, 8) == pytest.approx(of_torch(partial(lr_scheduler.MultiStepLR, milestones=[3, 5]), 8))
    exponential = {"type": "exponential", "gamma": 0.9, "per_iteration": True}
    assert shares(exponential, 8) == pytest.approx(of_torch(partial(lr_scheduler.ExponentialLR, gamma=0.9), 8))


def test_epochs_are_the_unit_where_iterations_are_not() -> None:
    multistep = {"type": "multistep", "milestones": [1, 2], "gamma": 0.5, "per_iteration": False}
    assert shares(multistep, 10) == [1.0] * 4 + [0.5] * 4 + [0.25] * 2
    exponential = {"type": "exponential", "gamma": 0.5, "per_iteration": False}
    assert shares(exponential, 9) == [1.0] * 4 + [0.5] * 4 + [0.25]


def test_cosine_rises_on_a_line_and_falls_on_half_a_cosine() -> None:
    found = shares({"type": "cosine", "warmup_steps": 4, "final_share": 0.2}, 13)
    assert found[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert found[8] == pytest.approx(0.6)  # the middle of the fall
    assert found[12] == pytest.approx(0.2)
    assert shares({"type": "cosine", "warmup_steps": 0, "final_share": 0.0}, 1) == [1.0]


def test_noam_is_that_of_the_paper() -> None:
    """Proportional to min(n^-0.5, n · w^-1.5) of step n, counted from 1, with the peak at step w."""
    expected = [min(step**-0.5, step * 4**-1.5) * 4**0.5 for step in range(1, 12)]
    assert shares({"type": "noam", "warmup_steps": 4}, 11) == pytest.approx(expected)


def test_constant_is_the_peak() -> None:
    assert shares({"type": "constant"}, 3) == [1.0, 1.0, 1.0]


def test_a_plateau_multiplies_the_rate_down_to_its_least_share() -> None:
    section = {
        "type": "reduce_lr_on_plateau",
        "metric": "loss",
        "factor": 0.5,
        "patience": 1,
        "min_delta": 0.0,
        "min_share": 0.2,
    }
    assert [shares(section, 1, plateaus=count)[0] for count in range(4)] == [1.0, 0.5, 0.25, 0.2]


CHAIN = [
    {"schedule": {"type": "constant"}, "until_step": 2},
    {"schedule": {"type": "multistep", "milestones": [1], "gamma": 0.5, "per_iteration": True}, "until_step": 5},
    {"schedule": {"type": "cosine", "warmup_steps": 0, "final_share": 0.0}, "until_step": None},
]


def test_a_chain_gives_each_schedule_its_own_steps() -> None:
    found = shares({"type": "chained", "schedules": CHAIN}, 8)
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.5, 1.0, 0.5, 0.0])


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"type": "multistep", "milestones": [5, 3], "gamma": 0.1, "per_iteration": True}, r"milestones \[5, 3\]"),
        (
            {"type": "chained", "schedules": CHAIN[:2]},
            r"until_step \[2, 5\], expected them rising, and null for the last",
        ),
        ({"type": "chained", "schedules": [CHAIN[2], CHAIN[0]]}, r"until_step \[null, 2\]"),
        ({"type": "chained", "schedules": []}, "at least 1"),
    ],
)
def test_what_makes_no_schedule_is_refused(section: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        training_config(lr_scheduler=section)


def test_the_section_is_that_of_its_type() -> None:
    config: TrainingConfig = training_config(lr_scheduler={"type": "noam", "warmup_steps": 3})
    assert config.lr_scheduler.model_dump() == {"type": "noam", "warmup_steps": 3}
