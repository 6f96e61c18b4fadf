"""Learning rate schedules, by the name in `lr_scheduler.type`. A further one is a config, a function and a line.

A schedule is a function of the step and the number of all steps. So it has no state, and a resumed run needs none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from dtc.config import Section
from dtc.registry import Part, Registry

FIRST_SHARE = 1.0 / 25.0  # of the peak learning rate, at which one_cycle starts


class ScheduleConfig(Section):
    """Base of the section of every schedule."""

    type: str


class OneCycleConfig(ScheduleConfig):
    """Settings of a rise from a 25th of the peak on a cosine, and a fall after it (Smith & Topin, arXiv:1708.07120)."""

    type: Literal["one_cycle"]
    warmup_share: float = Field(gt=0.0, lt=1.0)  # of all steps
    final_share: float = Field(ge=0.0, lt=1.0)  # of the peak


def one_cycle_share(step: int, total_steps: int, config: OneCycleConfig) -> float:
    """Return the share of the peak learning rate at `step`, counted from 0."""
    progress = step / max(1, total_steps - 1)
    if progress < config.warmup_share:
        return _cosine(FIRST_SHARE, 1.0, progress / config.warmup_share)
    return _cosine(1.0, config.final_share, (progress - config.warmup_share) / (1.0 - config.warmup_share))


SCHEDULES: Registry[Callable[[int, int, Any], float]] = Registry(
    "lr_scheduler.type", {"one_cycle": Part(build=one_cycle_share, config=OneCycleConfig)}, field="type"
)


def rate_share(step: int, total_steps: int, config: ScheduleConfig) -> float:
    """Return the share of the peak learning rate at `step`, counted from 0, of the schedule `config.type`."""
    return SCHEDULES.get(config.type)(step, total_steps, config)


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0
