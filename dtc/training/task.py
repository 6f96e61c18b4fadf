"""The interface of the trainer: a model, its data, and its adversary if it has one.

The trainer knows no mel and no text: it passes batches to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import torch
from torch import nn

from dtc.batch import Batch, Losses
from dtc.errors import InputError, plural
from dtc.training.config import Precision
from dtc.training.devices import Devices
from dtc.training.interrupts import StopRequest
from dtc.training.logbook import Logbook
from dtc.training.precision import autocast

# (model, batch, logbook, step): logs pictures and sounds of the first clip
LogExamples = Callable[[nn.Module, Batch, Logbook, int], None]
# (model, logbook, step, stop) -> metrics of the speech of a fixed handful of texts, of `stopping.SPOKEN_METRICS`, of
# which some are logged as sounds too; None where a stop is requested meanwhile
Listen = Callable[[nn.Module, Logbook, int, StopRequest], Mapping[str, float] | None]


@runtime_checkable
class Batches(Protocol):
    """Batches in an order that is a function of the seed and the epoch."""

    @property
    def batches_per_epoch(self) -> int:
        """Return the number of batches, which is the same for every epoch."""

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches first, first + 1, … of an epoch."""


@runtime_checkable
class WithAdversary(Protocol):
    """A model that is trained together with an adversary. `model` is kept when the training ends; the rest is not."""

    if TYPE_CHECKING:  # since Python 3.12, isinstance does not find the submodules of an nn.Module
        model: nn.Module
        adversary: nn.Module

    def adversary_loss(self) -> Losses | None:
        """Return the adversary's losses on the last `training_loss`; None while the adversary is not trained."""


@runtime_checkable
class WithPhases(Protocol):
    """A model that trains other weights from certain steps on. The schedule of the learning rate starts anew there."""

    @property
    def phase_starts(self) -> tuple[int, ...]:
        """Return these steps, rising and above 0."""


@runtime_checkable
class WithCalibration(Protocol):
    """A model that corrects its weights once more when the training has ended."""

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Correct the weights by training batches, in evaluation mode and without gradients."""


@dataclass(frozen=True)
class Task:
    """A model and the data to train it on.

    Args:
        model: has `training_loss(batch, step) -> Losses`, and may be `WithAdversary`.
        training: batches to train on.
        validation: batches to validate on; only their epoch 0 is read.
        log_examples: called from time to time with the model that would be kept and the first validation batch.
        section: the dotted key of params.yaml with the batch size, for messages.
        listen: returns metrics of what the model that would be kept speaks; None: nothing is spoken.
        devices: the processes that train the model together. Each reads its own clips of every batch.
    """

    model: nn.Module
    training: Batches
    validation: Batches
    log_examples: LogExamples
    section: str = "training"
    listen: Listen | None = None
    devices: Devices = field(default_factory=Devices)


def shipped(model: nn.Module) -> nn.Module:
    """Return the part of a model that is averaged, validated and kept: all of it but the adversary."""
    adversarial = with_adversary(model)
    return model if adversarial is None else adversarial.model


def with_adversary(model: nn.Module) -> WithAdversary | None:
    """Return the model if it is trained together with an adversary, else None."""
    return model if isinstance(model, WithAdversary) else None


def phase_of(model: nn.Module, step: int, total_steps: int) -> tuple[int, int]:
    """Return the number of steps done in the phase that `step` is in, and the number of all steps of that phase."""
    starts = phase_starts(model)
    start = max(each for each in starts if each <= step)
    end = min((each for each in starts if each > step), default=total_steps)
    return step - start, end - start


def require_all_phases(task: Task, total_steps: int) -> None:
    """Raise InputError where a training would end before the last phase of its model begins."""
    last = last_phase_of(task.model)
    if total_steps <= last:
        found = f"{plural(total_steps, 'step')} in all"
        expected = f"more than {last:,}, where the model's last phase begins"
        raise InputError(task.section, found, expected, "raise epochs, or max_steps")


def last_phase_of(model: nn.Module) -> int:
    """Return the step at which the last phase of a model begins; 0 where it has only one."""
    return phase_starts(shipped(model))[-1]


def phase_starts(model: nn.Module) -> tuple[int, ...]:
    """Return the steps at which the phases of a model begin; only 0 for a model without phases."""
    return (0, *model.phase_starts) if isinstance(model, WithPhases) else (0,)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's first parameter."""
    return next(model.parameters()).device


def losses_of(model: nn.Module, batch: Batch, step: int, precision: Precision) -> Losses:
    """Return a model's losses on a batch at a step of the training, each a scalar."""
    device = device_of(model)
    with autocast(precision, device):
        return cast(Callable[[Batch, int], Losses], model.training_loss)(batch.to(device), step)


def batches_from(batches: Batches, number: int) -> Iterator[Batch]:
    """Yield the batches of a training from a number on, without end."""
    while True:
        epoch, first = divmod(number, batches.batches_per_epoch)
        for batch in batches.epoch(epoch, first):
            yield batch
            number += 1
