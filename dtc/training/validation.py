"""Validation of a model that is trained: its mean losses over the validation clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from dtc import whole_batch
from dtc.seeding import seed_all
from dtc.training.config import TrainingConfig
from dtc.training.guards import out_of_memory_explained, require_finite
from dtc.training.interrupts import StopRequest
from dtc.training.learner import numbers_of
from dtc.training.task import Task, losses_of


@torch.no_grad()
def validation_losses(
    model: nn.Module, task: Task, config: TrainingConfig, step: int, stop: StopRequest | None = None
) -> dict[str, float] | None:
    """Return the mean of each loss over the validation clips; None where a stop is requested before all are read.

    Dropout and segments are drawn alike every time. The model is left in evaluation mode. Raises NonFiniteLoss where a
    loss is not finite.
    """
    model.eval()
    sums: dict[str, float] = {}
    clips = 0
    for number, batch in enumerate(task.validation.epoch(0)):
        if stop is not None and task.devices.any(stop.requested):
            return None
        seed_all(config.seed, "validation", number)
        with out_of_memory_explained(batch, config, task.section), task.devices.share(batch) as own:
            values = task.devices.mean(numbers_of(losses_of(model, own, step, config.precision)))
            in_batch = whole_batch.elements(own.mel_lengths)
        require_finite(values, tuple(values), f"step {step}, validation", [batch], number)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value * in_batch
        clips += in_batch
    return {name: value / clips for name, value in sums.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each name over the rows that have it: the terms may change during a training."""
    values = {name: [row[name] for row in rows if name in row] for row in rows for name in row}
    return {name: sum(each) / len(each) for name, each in values.items()}
