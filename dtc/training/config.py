"""The params sections of a training: what is trained, and how it is run. Reading them does not import torch.

The names are those of the original system's config.yaml, where it has the setting.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from dtc.config import Section
from dtc.training.optim import OPTIMIZERS, OptimizerConfig
from dtc.training.schedule import SCHEDULES, ScheduleConfig
from dtc.training.start_config import StartConfig

Precision = Literal["auto", "fp32", "bf16", "fp16"]  # auto: bf16 where the hardware multiplies in it, else fp32


class AdversaryConfig(Section):
    """The optimizer and schedule of the discriminators, where they are not those of the model."""

    optimizer: Annotated[OptimizerConfig, OPTIMIZERS]
    lr_scheduler: Annotated[ScheduleConfig, SCHEDULES]


class FreezeConfig(Section):
    """Parameters that are not trained."""

    params: str  # a glob of their names, as encoder.*
    until_step: PositiveInt | None  # null: to the end


class SpikesConfig(Section):
    """Steps that are left out because their loss is far above those before."""

    deviations: PositiveFloat  # above the median of the last losses
    most_in_a_row: PositiveInt  # after so many, the training ends with an error


class EarlyStoppingConfig(Section):
    """When a training ends before its last step: a validation metric has stopped getting better."""

    metric: str  # loss, or another value of the curve's validation rows
    patience: PositiveInt  # validations without a gain
    min_delta: NonNegativeFloat  # a smaller gain is none


class OrderConfig(Section):
    """Which clips are read in which order."""

    shuffle: bool  # anew in each epoch
    drop_last: bool  # leave out the clips that do not fill a batch


class OrdersConfig(Section):
    """The order of each set."""

    train_set: OrderConfig
    validation_set: OrderConfig


class TrainingConfig(Section):
    """Settings that decide the weights, for every model. They are part of a run's identity: a change starts it over."""

    seed: NonNegativeInt  # of first weights, order of the clips, dropout and segments
    batch_size: PositiveInt | None  # clips; null where batch_frames is given
    batch_frames: PositiveInt | None  # at most (frames of the longest clip) × (clips); null: batch_size
    accumulate: PositiveInt  # batches whose gradients are averaged for one step
    overfit_batches: PositiveInt | None  # train on so many first batches alone, to see whether a model can learn
    dataloader: OrdersConfig
    epochs: PositiveInt | None  # the training ends after so many; null: max_steps alone decides
    min_steps: PositiveInt | None  # it has at least so many steps, where the corpus is short
    max_steps: PositiveInt | None  # it has at most so many; null: no such bound. Without max_steps, epochs is needed
    precision: Precision  # of matrix products
    optimizer: Annotated[OptimizerConfig, OPTIMIZERS]
    lr_scheduler: Annotated[ScheduleConfig, SCHEDULES]
    adversary: AdversaryConfig | None  # null: discriminators are trained as the model
    rate_multipliers: dict[str, NonNegativeFloat]  # glob of parameters' names → factor of their learning rate
    freeze: tuple[FreezeConfig, ...]
    grad_clipping: bool  # false: gradients stay as they are
    grad_max_norm: PositiveFloat  # longer gradients are scaled to this norm
    loss_spikes: SpikesConfig | None  # null: no step is left out
    # Of the exponential moving average of the weights, which becomes the model; 0: no average.
    weight_average: float = Field(ge=0.0, lt=1.0)
    early_stopping: EarlyStoppingConfig | None  # null: the training does not end early
    keep_best: str | None  # the metric by which the best validated model is kept; null: the last one is
    start_from: StartConfig | None  # null: the training begins with random weights

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if (self.batch_size is None) == (self.batch_frames is None):
            shown = f"batch_size {self.batch_size} and batch_frames {self.batch_frames}".replace("None", "null")
            raise ValueError(f"{shown}, expected one of them, the other null")
        if self.epochs is None and self.max_steps is None:
            raise ValueError("epochs null and max_steps null, expected at least one of them")
        if self.min_steps and not self.epochs:
            raise ValueError(f"min_steps {self.min_steps} and epochs null, expected epochs, or min_steps: null")
        if self.min_steps and self.max_steps and self.min_steps > self.max_steps:
            raise ValueError(f"min_steps {self.min_steps} and max_steps {self.max_steps}, expected it not to be larger")
        return self

    def steps(self, batches_per_epoch: int) -> int:
        """Return the number of steps of the whole training."""
        of_epochs = self.epochs * self.steps_per_epoch(batches_per_epoch) if self.epochs else None
        at_least = max(of_epochs, self.min_steps or 0) if of_epochs else None
        return min(steps for steps in (at_least, self.max_steps) if steps)

    def steps_per_epoch(self, batches_per_epoch: int) -> int:
        """Return the number of steps of an epoch; the last one may read the first batches of the next epoch."""
        return -(-batches_per_epoch // self.accumulate)


class LoaderConfig(Section):
    """How the clips of a set are read."""

    num_workers: NonNegativeInt  # threads that read ahead; 0: none
    pin_memory: bool  # of batches for a GPU


class LoadersConfig(Section):
    """How each set is read."""

    train_set: LoaderConfig
    validation_set: LoaderConfig


class RunConfig(Section):
    """Settings of a training that change no weight: an unfinished run is resumed where they have changed.

    Validation is an exception: where its metric decides something, how often it is done decides it too.
    """

    console_log_rate: PositiveInt | None  # steps between lines; null: a line at least every 30 seconds
    tensorboard_update: PositiveInt  # steps between rows of the curve and points in TensorBoard
    start_test: NonNegativeInt  # the epoch (or step) before which nothing is validated
    epochs_test: PositiveInt  # epochs (or steps) between validations
    test_per_iteration: bool  # true: both count steps
    predict: PositiveInt  # epochs (or steps) between pictures and sounds
    predict_per_iteration: bool  # true: `predict` counts steps, false: epochs
    speak_every: PositiveInt | None  # steps after which validation texts are spoken and recognised; null: never
    epochs_save: PositiveInt  # epochs (or steps) between checkpoints
    save_per_iteration: bool  # true: `epochs_save` counts steps, false: epochs
    keep_last: PositiveInt  # checkpoints
    load_model: bool  # false: start over, even where there is a checkpoint
    load_epoch: PositiveInt | None  # continue from the checkpoint of this epoch; null: from the last one
    halve_on_oom: bool  # compute a batch in parts where a GPU's memory is too small, see `dtc.training.halving`
    dataloader: LoadersConfig
