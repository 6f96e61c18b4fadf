"""The training loop, one for every model.

A run that is resumed after a kill computes the same numbers as an unbroken one, because nothing random is kept between
steps: step k reads batch k of an order fixed by the seed, and everything drawn in it (dropout, segments) comes from a
stream seeded with (seed, k). So the state is the weights, the optimizers and k.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dtc.batch import Batch
from dtc.seeding import seed_all
from dtc.training.checkpoints import TrainingState
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.guards import Buffers, OutOfMemory, WentWrong, out_of_memory_explained, require_finite
from dtc.training.halving import require_one_process, weighted_sum
from dtc.training.interrupts import stop_requests
from dtc.training.learner import Learner, numbers_of
from dtc.training.logbook import Logbook
from dtc.training.offending import offending_batch_saved
from dtc.training.precision import autocast
from dtc.training.result import Trained, result_of
from dtc.training.review import Review
from dtc.training.task import (
    Task,
    batches_from,
    device_of,
    last_phase_of,
    losses_of,
    phase_of,
    require_all_phases,
    with_adversary,
)
from dtc.training.validation import means


def train(task: Task, config: TrainingConfig, run: RunConfig, folder: Path, logbook: Logbook) -> Trained:
    """Train a model to the end, from the state in the run's folder if there is one; return its final weights.

    Args:
        task: the model and its data.
        config: what is trained; the same config, data and code give the same weights.
        run: how often to log, validate and save, which changes no weight.
        folder: the run's folder, for the state to resume from.
        logbook: where losses, pictures and lines are recorded.

    Raises NonFiniteLoss and Diverged, where the training went wrong; Interrupted, where Ctrl-C or SIGTERM stopped it
    and the state is saved; InputError, where the saved state is damaged, a GPU's memory too small, a metric or a
    parameter's name unknown, the training too short for all phases of the model, or a setting needs one process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = TrainingState(task, config, folder)
    require_all_phases(task, state.total_steps)
    require_one_process(run, task)
    state.resume(run, logbook.print, task.devices)
    if task.devices.is_main:
        state.save_progress()
    if state.step:
        logbook.print(f"continuing from step {state.step} of {state.total_steps}")
    opened = logbook.opened(state.step, state.total_steps, state.due, last_phase_of(task.model))
    with (
        opened,
        stop_requests(logbook.print, logbook.leave) as stop,
        offending_batch_saved(state, config, logbook, task.devices),
    ):
        Training(task, config, state, Review(task, config, run, state, logbook, stop)).run_to_the_end()
    return result_of(state, task, config, logbook.print)


@dataclass(frozen=True)
class Training:
    """The steps of a training, from the state's step to the last."""

    task: Task
    config: TrainingConfig
    state: TrainingState
    review: Review

    def run_to_the_end(self) -> None:
        """Do all remaining steps; log, validate and save after those where it is due."""
        state = self.state
        self.review.finish()
        with closing(self.review.watched(self.batches())) as steps:
            for batches in steps:
                if state.stopping.ends:
                    break
                values = self.review.halving.tried(self.do_step, batches)
                state.window.append(values)
                self.review.do_what_is_due(values["loss"])
        self.review.end()

    def batches(self) -> Iterator[Sequence[Batch]]:
        """Yield the batches of each remaining step."""
        batches = batches_from(self.task.training, self.state.step * self.config.accumulate)
        for _ in range(self.state.step, self.state.total_steps):
            yield list(islice(batches, self.config.accumulate))

    def do_step(self, batches: Sequence[Batch]) -> dict[str, float]:
        """Change the weights once; return losses, norms of gradients and learning rates.

        A step that is left out or fails leaves weights, running statistics, optimizers and average as they were.
        """
        state, buffers = self.state, Buffers(self.task.model)
        self.task.model.train()
        for learner in state.learners.values():
            learner.clear()
        try:
            each = [self.add_gradients(batch, number) for number, batch in enumerate(batches)]
            values = {name: means([losses[name] for losses in each if name in losses]) for name in each[0]}
            is_spike = state.spikes.is_spike(values[""], f"step {state.step}", batches)
            learners = {} if is_spike else {name: state.learners[name] for name in values}
            for name, learner in learners.items():
                self.task.devices.average_gradients(learner.module.parameters())
                values[name] |= learner.clip(state.step, state.scaler)
                checked = ("loss",) if state.scaler.is_enabled() else ("loss", "grad_norm")  # it handles the gradients
                require_finite(values[name], checked, f"step {state.step}", batches)
        except (WentWrong, OutOfMemory):
            buffers.restore()
            raise
        if is_spike:
            buffers.restore()
            self.review.logbook.print(f"step {state.step + 1}, loss {values['']['loss']:.3f}, a spike: left out")
        self.update(learners)
        return {f"{name}{key}": value for name, each in values.items() for key, value in each.items()}

    def add_gradients(self, batch: Batch, number: int) -> dict[str, dict[str, float]]:
        """Add the gradients of a batch, the `number`th of this step; return the losses of each learner with some."""
        seed_all(self.config.seed, "step", self.state.step * self.config.accumulate + number)
        parts = self.review.halving.parts_of(batch)
        return weighted_sum([(self.add_part(part, weight), weight) for part, weight in parts])

    def add_part(self, batch: Batch, weight: float) -> dict[str, dict[str, float]]:
        """Add the weighted gradients of a batch, or of a part of it; return the losses of each learner with some."""
        state, config, model = self.state, self.config, self.task.model
        with out_of_memory_explained(batch, config, self.task.section), self.task.devices.share(batch) as own:
            losses = {"": losses_of(model, own, state.step, config.precision)}
            state.scaler.scale(losses[""]["loss"] * weight / config.accumulate).backward()
            if (adversarial := with_adversary(model)) is not None:
                with autocast(config.precision, device_of(model)):
                    found = adversarial.adversary_loss()
                if found:
                    losses["adversary_"] = found
                    state.scaler.scale(found["loss"] * weight / config.accumulate).backward()
        return {name: self.task.devices.mean(numbers_of(each)) for name, each in losses.items()}

    def update(self, learners: Mapping[str, Learner]) -> None:
        """Change the weights of learners by their gradients, and then the average; count the step."""
        state = self.state
        for learner in learners.values():  # only here do weights change, after all gradients have been found finite
            learner.step(state.step, state.scaler)
        if learners:
            state.scaler.update()
        if state.average and learners:
            model = state.learners[""].module
            if phase_of(model, state.step, state.total_steps)[0] == 0:
                state.average.n_averaged.zero_()  # its weights from before this phase were not trained
            state.average.update_parameters(model)
        state.step += 1
