"""The training loop, one for every model.

A run that is resumed after a kill computes the same numbers as an unbroken one, because nothing random is kept between
steps: step k reads batch k of an order fixed by the seed, and everything drawn in it (dropout, segments) comes from a
stream seeded with (seed, k). So the state is the weights, the optimizers and k.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dtc.batch import Batch, Losses
from dtc.seeding import seed_all
from dtc.training.checkpoints import TrainingState
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.guards import Buffers, Diverged, NonFiniteLoss, out_of_memory_explained, require_finite
from dtc.training.interrupts import Interrupted, StopRequest, stop_requests
from dtc.training.learner import Learner, numbers_of
from dtc.training.logbook import Logbook
from dtc.training.precision import autocast
from dtc.training.task import (
    Batches,
    Task,
    WithCalibration,
    device_of,
    losses_of,
    phase_of,
    require_all_phases,
    with_adversary,
)

MOST_BATCHES = 200  # that a trained model is calibrated with


class Trained(NamedTuple):
    """The result of a training."""

    weights: dict[str, Tensor]
    steps: int


def train(task: Task, config: TrainingConfig, run: RunConfig, folder: Path, logbook: Logbook) -> Trained:
    """Train a model to the end, from the state in the run's folder if there is one; return its final weights.

    Args:
        task: the model and its data.
        config: what is trained; the same config, data and code give the same weights.
        run: how often to log, validate and save, which changes no weight.
        folder: the run's folder, for the state to resume from.
        logbook: where losses, pictures and lines are recorded.

    Raises NonFiniteLoss and Diverged, where the training went wrong; Interrupted, where Ctrl-C or SIGTERM stopped it
    and the state is saved; InputError, where the saved state is damaged, a GPU's memory too small, or the training too
    short for all phases of the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total_steps = config.steps(task.training.batches_per_epoch)
    require_all_phases(task, total_steps)
    state = TrainingState(task.model, config, total_steps, folder)
    state.save_progress()
    if state.step:
        logbook.print(f"continuing from step {state.step} of {state.total_steps}")
    with logbook.opened(state.step, state.total_steps, state.unvalidated), stop_requests(logbook.print) as stop:
        Training(task, config, run, state, logbook, stop).run_to_the_end()
    state.require_finite()
    calibrate(state.best_model, task.training, config)
    return Trained(state.best_model.state_dict(), state.step)


@torch.no_grad()
def calibrate(model: nn.Module, batches: Batches, config: TrainingConfig) -> None:
    """Let a model that is `WithCalibration` correct its weights by the first training batches."""
    if isinstance(model, WithCalibration):
        model.eval()
        device = device_of(model)
        with autocast(config.precision, device):
            model.calibrate(batch.to(device) for batch in islice(batches.epoch(0), MOST_BATCHES))


@dataclass(frozen=True)
class Training:
    """The steps of a training, from the state's step to the last."""

    task: Task
    config: TrainingConfig
    run: RunConfig
    state: TrainingState
    logbook: Logbook
    stop: StopRequest

    def run_to_the_end(self) -> None:
        """Do all remaining steps; log, validate and save after those where it is due."""
        state = self.state
        if state.unvalidated:
            self.validate()
            self.save()
        for batch in batches_from(self.task.training, state.step, state.total_steps):
            with out_of_memory_explained(batch, self.config, self.task.section):
                values = self.do_step(batch)
            state.window.append(values)
            self.logbook.advance(state.step, values["loss"])
            if self.is_due(self.run.log_every):
                self.log()
            if self.is_due(self.run.validate_every):
                self.validate()
            if self.is_due(self.run.checkpoint_every) or self.stop.requested:
                self.save()
            if self.stop.requested and state.step < state.total_steps:
                raise self.interrupted()

    def do_step(self, batch: Batch) -> dict[str, float]:
        """Change the weights once; return losses, norms of gradients and learning rate.

        A step that is left out or fails leaves weights, running statistics, optimizers and average as they were.
        """
        state = self.state
        seed_all(self.config.seed, "step", state.step)
        self.task.model.train()
        buffers = Buffers(self.task.model)
        try:
            losses = losses_of(self.task.model, batch, state.step, self.config.precision)
            is_spike = state.spikes.is_spike(losses, f"step {state.step}")
            values, learners = (numbers_of(losses), ()) if is_spike else self.backward(losses, batch)
        except (NonFiniteLoss, Diverged):
            buffers.restore()
            raise
        if is_spike:
            buffers.restore()
            self.logbook.print(f"step {state.step + 1}, loss {values['loss']:.3f}, a spike: left out")
        for learner in learners:  # only here do weights change, after all gradients have been found finite
            learner.step(state.step)
        if state.average and learners:
            if phase_of(state.learner.module, state.step, state.total_steps)[0] == 0:
                state.average.n_averaged.zero_()  # its weights from before this phase were not trained
            state.average.update_parameters(state.learner.module)
        state.step += 1
        return values

    def backward(self, losses: Losses, batch: Batch) -> tuple[dict[str, float], Sequence[Learner]]:
        """Compute the gradients of model and adversary; return all values, and the learners that have a gradient."""
        state, adversarial = self.state, with_adversary(self.task.model)
        values, learners = state.learner.backward(losses, state.step, batch), [state.learner]
        if state.adversary and adversarial is not None:
            with autocast(self.config.precision, device_of(self.task.model)):
                adversary_losses = adversarial.adversary_loss()
            if adversary_losses:
                found = state.adversary.backward(adversary_losses, state.step, batch)
                values |= {f"adversary_{name}": value for name, value in found.items()}
                learners.append(state.adversary)
        return values, learners

    def is_due(self, every: int) -> bool:
        """Return whether the number of steps done is a multiple of `every`, or all steps are done."""
        return self.state.step % every == 0 or self.state.step == self.state.total_steps

    def log(self) -> None:
        """Write the means since the last row."""
        self.logbook.scalars(self.state.step, "train", means(self.state.window))
        self.state.window.clear()

    def validate(self) -> None:
        """Log validation losses, pictures and sounds. Raises Interrupted where a stop is requested meanwhile."""
        state, task = self.state, self.task
        state.unvalidated = True
        losses = validation_losses(state.best_model, task, self.config, state.step, self.stop)
        if losses is None:
            self.save()
            raise self.interrupted()
        state.unvalidated = False
        self.logbook.scalars(state.step, "validation", losses)
        self.logbook.summarise(state.step)
        batch = next(task.validation.epoch(0)).to(device_of(task.model))
        task.log_examples(state.best_model, batch, self.logbook, state.step)

    def save(self) -> None:
        """Write a checkpoint, and before it the curve up to it."""
        self.logbook.sync()
        self.state.save()

    def interrupted(self) -> Interrupted:
        """Return the error to raise where a stop was requested."""
        where = f"step {self.state.step} of {self.state.total_steps}"
        return Interrupted(f"{self.logbook.title}: stopped at {where}, saved; run it again to continue")


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
        if stop is not None and stop.requested:
            return None
        seed_all(config.seed, "validation", number)
        with out_of_memory_explained(batch, config, task.section):
            values = numbers_of(losses_of(model, batch, step, config.precision))
        require_finite(values, tuple(values), f"step {step}, validation", batch)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value * len(batch.ids)
        clips += len(batch.ids)
    return {name: value / clips for name, value in sums.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each name over the rows that have it: the terms may change during a training."""
    values = {name: [row[name] for row in rows if name in row] for row in rows for name in row}
    return {name: sum(each) / len(each) for name, each in values.items()}


def batches_from(batches: Batches, step: int, total_steps: int) -> Iterator[Batch]:
    """Yield the batches of steps `step` to `total_steps` - 1."""
    while step < total_steps:
        epoch, first = divmod(step, batches.batches_per_epoch)
        for batch in islice(batches.epoch(epoch, first), total_steps - step):
            yield batch
            step += 1
