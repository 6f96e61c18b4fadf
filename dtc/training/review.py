"""What is done between the steps of a training: rows of the curve, validation, examples, speech and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dtc.training.checkpoints import TrainingState
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.interrupts import Interrupted, StopRequest
from dtc.training.logbook import Logbook
from dtc.training.task import SPOKEN_METRICS, Task, device_of
from dtc.training.validation import means, validation_losses


@dataclass(frozen=True)
class Review:
    """Looks at a training after each step, and does what is due."""

    task: Task
    config: TrainingConfig
    run: RunConfig
    state: TrainingState
    logbook: Logbook
    stop: StopRequest

    def finish(self) -> None:
        """Do the validation of the last step where it was interrupted."""
        if self.state.unvalidated:
            self.validate()
            self.save()

    def do_what_is_due(self, loss: float) -> None:
        """Log, validate, show examples and save after this step, where it is due.

        Raises Interrupted, after a checkpoint, where a stop is requested.
        """
        run, state = self.run, self.state
        self.logbook.advance(state.step, loss, run.console_log_rate)
        if self.is_due(run.tensorboard_update, per_iteration=True):
            self.log()
        if self.is_due(run.epochs_test, run.test_per_iteration, run.start_test):
            self.validate()
        if self.is_due(run.predict, run.predict_per_iteration):
            self.show_examples()
        if run.speak_every and self.is_due(run.speak_every, per_iteration=True):
            self.speak()
        if self.is_due(run.epochs_save, run.save_per_iteration) or self.stop.requested or state.stopping.ends:
            self.save()
        if self.stop.requested and state.step < state.total_steps:
            raise self.interrupted()

    def is_due(self, every: int, per_iteration: bool, start: int = 0) -> bool:
        """Return whether so many steps or epochs are done, or twice, ..., from `start` on; or all steps."""
        unit = 1 if per_iteration else self.state.steps_per_epoch
        step = self.state.step
        return (step % (every * unit) == 0 and step >= start * unit) or step == self.state.total_steps

    def log(self) -> None:
        """Write the means since the last row."""
        self.logbook.scalars(self.state.step, "train", means(self.state.window))
        self.state.window.clear()

    def validate(self) -> None:
        """Log validation losses and what they decide. Raises Interrupted where a stop is requested meanwhile."""
        state = self.state
        state.unvalidated = True
        values = validation_losses(state.kept_model, self.task, self.config, state.step, self.stop)
        if values is None:
            self.save()
            raise self.interrupted()
        state.unvalidated = False
        state.stopping.require_known([*values, *(SPOKEN_METRICS if self.task.listen else ())])
        self.decide("validation", values)
        self.logbook.summarise(state.step)

    def show_examples(self) -> None:
        """Log pictures and sounds of the first validation clip."""
        batch = next(self.task.validation.epoch(0)).to(device_of(self.task.model))
        self.task.log_examples(self.state.kept_model, batch, self.logbook, self.state.step)

    def speak(self) -> None:
        """Log the metrics of what the model speaks, and what they decide."""
        if self.task.listen:
            self.decide("spoken", self.task.listen(self.state.kept_model, self.logbook, self.state.step))

    def decide(self, split: str, values: Mapping[str, float]) -> None:
        """Log the metrics of a validation; remember the weights where they are the best so far."""
        state, metric = self.state, self.config.keep_best
        self.logbook.scalars(state.step, split, values)
        if state.stopping.see(values) and metric:
            state.remember_best(values[metric])

    def save(self) -> None:
        """Write a checkpoint, and before it the curve up to it."""
        self.logbook.sync()
        self.state.save(self.run.keep_last)

    def interrupted(self) -> Interrupted:
        """Return the error to raise where a stop was requested."""
        where = f"step {self.state.step} of {self.state.total_steps}"
        return Interrupted(f"{self.logbook.title}: stopped at {where}, saved; run it again to continue")
