"""Learning rate schedules, by the name in `lr_scheduler.type`. A further one is a config, a function and a line.

A schedule is a function of the place in the training. So it has no state, and a resumed run needs none. The one that
depends on the validation, `reduce_lr_on_plateau`, reads the number of its cuts from the place: `dtc.training.stopping`
counts them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from dtc.config import Section
from dtc.registry import Part, Registry

FIRST_SHARE = 1.0 / 25.0  # of the peak learning rate, at which one_cycle starts
Positive = Annotated[float, Field(gt=0.0, le=1.0)]


@dataclass(frozen=True)
class Place:
    """A place in a training, or in one phase of it.

    Args:
        step: the number of steps done.
        total_steps: the number of all steps.
        steps_per_epoch: the number of steps of an epoch.
        plateaus: how often the validation metric of each schedule on a plateau has stopped getting better.
    """

    step: int
    total_steps: int
    steps_per_epoch: int = 1
    plateaus: Mapping[PlateauConfig, int] = field(default_factory=dict)


class ScheduleConfig(Section):
    """Base of the section of every schedule."""

    type: str


class ConstantConfig(ScheduleConfig):
    """A rate that is always the peak."""

    type: Literal["constant"]


class OneCycleConfig(ScheduleConfig):
    """Settings of a rise from a 25th of the peak on a cosine, and a fall after it (Smith & Topin, arXiv:1708.07120)."""

    type: Literal["one_cycle"]
    warmup_share: float = Field(gt=0.0, lt=1.0)  # of all steps
    final_share: float = Field(ge=0.0, lt=1.0)  # of the peak


class CosineConfig(ScheduleConfig):
    """Settings of a linear rise from 0, and a fall on half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    type: Literal["cosine"]
    warmup_steps: NonNegativeInt  # in which the rate rises on a line from 0
    final_share: float = Field(ge=0.0, le=1.0)  # of the peak


class NoamConfig(ScheduleConfig):
    """Settings of a linear rise, and a fall by the square root of the step (Vaswani et al. 2017, arXiv:1706.03762)."""

    type: Literal["noam"]
    warmup_steps: PositiveInt  # up to the peak; then the rate falls by the square root of the step


class ExponentialConfig(ScheduleConfig):
    """Settings of a rate that is multiplied by `gamma` in each epoch, or in each step."""

    type: Literal["exponential"]
    gamma: Positive  # factor of the rate
    per_iteration: bool  # true: in each step


class MultistepConfig(ScheduleConfig):
    """Settings of a rate that is multiplied by `gamma` at each of the milestones."""

    type: Literal["multistep"]
    milestones: tuple[PositiveInt, ...]  # epochs, or steps
    gamma: Positive  # factor of the rate
    per_iteration: bool  # true: milestones are steps

    @model_validator(mode="after")
    def _check(self) -> MultistepConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)}, expected them rising")
        return self


class PlateauConfig(ScheduleConfig):
    """Settings of a rate that is multiplied by `factor` when a validation metric has stopped getting better."""

    type: Literal["reduce_lr_on_plateau"]
    metric: str  # `loss`, another value of the curve's validation rows
    factor: float = Field(gt=0.0, lt=1.0)  # of the rate, each time
    patience: NonNegativeInt  # validations without a gain before it
    min_delta: NonNegativeFloat  # a smaller gain is none
    min_share: float = Field(ge=0.0, lt=1.0)  # of the peak, below which it does not fall


class ChainedConfig(ScheduleConfig):
    """Schedules one after another; each sees its own steps alone."""

    type: Literal["chained"]
    schedules: tuple[Link, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> ChainedConfig:
        ends = [link.until_step for link in self.schedules]
        known = [end for end in ends[:-1] if end is not None]
        if len(known) != len(ends) - 1 or known != sorted(set(known)) or ends[-1] is not None:
            raise ValueError(f"until_step {ends}, expected them rising, and null for the last".replace("None", "null"))
        return self


def constant_share(place: Place, config: ConstantConfig) -> float:
    """Return 1."""
    return 1.0


def one_cycle_share(place: Place, config: OneCycleConfig) -> float:
    """Return the share of the peak learning rate at a place."""
    progress = place.step / max(1, place.total_steps - 1)
    if progress < config.warmup_share:
        return _cosine(FIRST_SHARE, 1.0, progress / config.warmup_share)
    return _cosine(1.0, config.final_share, (progress - config.warmup_share) / (1.0 - config.warmup_share))


def cosine_share(place: Place, config: CosineConfig) -> float:
    """Return the share of the peak learning rate at a place."""
    if place.step < config.warmup_steps:
        return (place.step + 1) / config.warmup_steps
    falling = max(1, place.total_steps - 1 - config.warmup_steps)
    return _cosine(1.0, config.final_share, min(1.0, (place.step - config.warmup_steps) / falling))


def noam_share(place: Place, config: NoamConfig) -> float:
    """Return the share of the peak learning rate at a place; it is 1 when the warm-up ends."""
    done = (place.step + 1) / config.warmup_steps
    return min(done, done**-0.5)


def exponential_share(place: Place, config: ExponentialConfig) -> float:
    """Return the share of the peak learning rate at a place."""
    return float(config.gamma ** _count(place, config.per_iteration))


def multistep_share(place: Place, config: MultistepConfig) -> float:
    """Return the share of the peak learning rate at a place."""
    count = _count(place, config.per_iteration)
    return float(config.gamma ** sum(milestone <= count for milestone in config.milestones))


def plateau_share(place: Place, config: PlateauConfig) -> float:
    """Return the share of the peak learning rate at a place."""
    return max(config.min_share, float(config.factor ** place.plateaus.get(config, 0)))


def chained_share(place: Place, config: ChainedConfig) -> float:
    """Return the share of the peak learning rate at a place, by the schedule whose turn it is."""
    start = 0
    for link in config.schedules:
        end = place.total_steps if link.until_step is None else link.until_step
        if place.step < end or link.until_step is None:
            break
        start = end
    inner = replace(place, step=place.step - start, total_steps=end - start)
    return rate_share(inner, link.schedule)


SCHEDULES: Registry[Callable[[Place, Any], float]] = Registry(
    "lr_scheduler.type",
    {
        "constant": Part(build=constant_share, config=ConstantConfig),
        "one_cycle": Part(build=one_cycle_share, config=OneCycleConfig),
        "cosine": Part(build=cosine_share, config=CosineConfig),
        "noam": Part(build=noam_share, config=NoamConfig),
        "exponential": Part(build=exponential_share, config=ExponentialConfig),
        "multistep": Part(build=multistep_share, config=MultistepConfig),
        "reduce_lr_on_plateau": Part(build=plateau_share, config=PlateauConfig),
        "chained": Part(build=chained_share, config=ChainedConfig),
    },
    field="type",
)


class Link(Section):
    """One schedule of a chain, and the step of the training at which it ends."""

    schedule: Annotated[ScheduleConfig, SCHEDULES]
    until_step: PositiveInt | None  # null: the end of the training, for the last one


ChainedConfig.model_rebuild()


def rate_share(place: Place, config: ScheduleConfig) -> float:
    """Return the share of the peak learning rate at a place, by the schedule `config.type`."""
    return SCHEDULES.get(config.type)(place, config)


def _count(place: Place, per_iteration: bool) -> int:
    """Return the number of steps done, or of whole epochs."""
    return place.step if per_iteration else place.step // place.steps_per_epoch


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0
