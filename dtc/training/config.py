"""The params sections of a training: what is trained, and how it is run. Reading them does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from dtc.config import Section
from dtc.training.optim import OPTIMIZERS, OptimizerConfig
from dtc.training.schedule import SCHEDULES, ScheduleConfig

Precision = Literal["auto", "float32", "bfloat16"]  # auto: bfloat16 where the hardware multiplies in it


class TrainingConfig(Section):
    """Settings that decide the weights, for every model. They are part of a run's identity: a change starts it over."""

    seed: NonNegativeInt
    batch_size: PositiveInt | None  # clips; or null, and
    batch_frames: PositiveInt | None  # at most (frames of the longest clip) × (clips)
    epochs: PositiveInt | None  # the training ends after so many,
    max_steps: PositiveInt | None  # or after so many steps, whichever is first; one of both may be null
    precision: Precision  # of matrix products
    optimizer: Annotated[OptimizerConfig, OPTIMIZERS]
    lr_scheduler: Annotated[ScheduleConfig, SCHEDULES]
    grad_max_norm: PositiveFloat
    # A step whose loss is so many deviations above the losses before it is left out; null: no step is.
    loss_spike_deviations: PositiveFloat | None
    # Of the exponential moving average of the weights, which becomes the model; 0: no average.
    weight_average_decay: float = Field(ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if (self.batch_size is None) == (self.batch_frames is None):
            shown = f"batch_size {self.batch_size} and batch_frames {self.batch_frames}".replace("None", "null")
            raise ValueError(f"{shown}, expected one of them, the other null")
        if self.epochs is None and self.max_steps is None:
            raise ValueError("epochs null and max_steps null, expected at least one of them")
        return self

    def steps(self, batches_per_epoch: int) -> int:
        """Return the number of steps of the whole training."""
        of_epochs = self.epochs * batches_per_epoch if self.epochs else None
        return min(steps for steps in (of_epochs, self.max_steps) if steps)


class RunConfig(Section):
    """Settings of a training that change no weight: an unfinished run is resumed where they have changed."""

    log_every: PositiveInt  # steps
    checkpoint_every: PositiveInt  # steps
    validate_every: PositiveInt  # steps; pictures and sounds are logged then too
