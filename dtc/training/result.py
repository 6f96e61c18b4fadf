"""The result of a training: the weights to keep."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dtc.batch import Batch
from dtc.training.checkpoints import TrainingState
from dtc.training.config import TrainingConfig
from dtc.training.precision import autocast
from dtc.training.task import Task, WithCalibration, device_of

MOST_BATCHES = 200  # that a trained model is calibrated with
FEW_BATCHES = 4  # that a model in training is calibrated with, each time it is to speak


class Trained(NamedTuple):
    """The result of a training."""

    weights: dict[str, Tensor]
    steps: int
    kept: str  # which weights these are, and why


def result_of(state: TrainingState, task: Task, config: TrainingConfig, print_line: Callable[[str], None]) -> Trained:
    """Return the last weights of a training, or the best where the config asks for them, calibrated.

    Raises NonFiniteLoss where a weight is not finite.
    """
    state.require_finite()
    kept = f"the last, of step {state.step}"
    if state.best:
        state.kept_model.load_state_dict(state.best)
        kept = f"the best by {config.keep_best}, {state.best_value:.4g}, of step {state.best_step}"
        if state.stopping.choice and state.stopping.choice.best != state.best_value:
            kept += f"; {state.stopping.choice.best:.4g}, of an earlier step, is as good but for noise"
        print_line(f"keeps {kept}")
    calibrate(state.kept_model, task, config, MOST_BATCHES)
    return Trained(state.kept_model.state_dict(), state.step, kept)


def calibrated_copy(model: nn.Module, task: Task, config: TrainingConfig) -> nn.Module:
    """Return a copy of a model in training, calibrated by few batches; the model itself where it needs no calibration.

    Either is in evaluation mode.
    """
    copied = copy.deepcopy(model) if isinstance(model, WithCalibration) else model
    calibrate(copied, task, config, FEW_BATCHES)
    return copied.eval()


@torch.no_grad()
def calibrate(model: nn.Module, task: Task, config: TrainingConfig, most_batches: int) -> None:
    """Let a model that is `WithCalibration` correct its weights by the first training batches."""
    if isinstance(model, WithCalibration):
        model.eval()
        with autocast(config.precision, device_of(model)):
            model.calibrate(islice(_batches(task, device_of(model)), most_batches))


def _batches(task: Task, device: torch.device) -> Iterator[Batch]:
    for batch in task.training.epoch(0):
        with task.devices.share(batch) as own:
            yield own.to(device)
