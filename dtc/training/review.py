"""What is done between the steps of a training: rows of the curve, validation, examples, speech and checkpoints."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dtc.batch import Batch
from dtc.seeding import seed_all
from dtc.training.checkpoints import TrainingState
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.halving import Halving
from dtc.training.interrupts import Interrupted, StopRequest
from dtc.training.logbook import Logbook
from dtc.training.pace import Pace
from dtc.training.result import calibrated_copy
from dtc.training.run_files import PROFILE
from dtc.training.stopping import SPOKEN_METRICS
from dtc.training.task import Task, device_of, last_phase_of, phase_starts, shipped
from dtc.training.validation import means, validation_losses

# The reviews of a step, in their order; the first and the last are splits of the curve too.
VALIDATION, EXAMPLES, SPOKEN = "validation", "examples", "spoken"


@dataclass(frozen=True)
class Review:
    """Looks at a training after each step, and does what is due."""

    task: Task
    config: TrainingConfig
    run: RunConfig
    state: TrainingState
    logbook: Logbook
    stop: StopRequest
    pace: Pace = field(default_factory=Pace)

    @cached_property
    def halving(self) -> Halving:
        """Return what computes batches in parts where they do not fit into a GPU's memory."""
        return Halving(self.run.halve_on_oom, self.logbook.print)

    def watched(self, steps: Iterable[Sequence[Batch]]) -> Generator[Sequence[Batch], None, None]:
        """Yield the batches of each step; measure the steps, and profile some where the logbook asks for it."""
        watched = self.pace.watched(steps)
        if not self.logbook.profiles:
            return watched
        from dtc.training.profile import Profiler  # which takes a while to import

        device, trace = device_of(self.task.model), self.logbook.folder / PROFILE
        return Profiler(device, self.config.precision, trace, self.logbook.console).watched(watched)

    def finish(self) -> None:
        """Do the reviews of the last step that an interrupted training has left."""
        if self.state.due:
            self.do_reviews()
            self.save()

    def do_what_is_due(self, loss: float) -> None:
        """Log, validate, show examples and save after this step, where it is due.

        Raises Interrupted, after a checkpoint, where a stop is requested.
        """
        run, state = self.run, self.state
        self.pace.step_done()
        self.announce_phase()
        self.logbook.advance(state.step, loss, run.console_log_rate)
        if self.is_due(run.tensorboard_update, per_iteration=True):
            self.log()
        state.due = self.reviews_due()
        self.do_reviews()
        stops = self.task.devices.any(self.stop.requested)
        if self.is_due(run.epochs_save, run.save_per_iteration) or stops or state.stopping.ends:
            self.save()
        if stops and state.step < state.total_steps:
            raise self.interrupted()

    def is_due(self, every: int, per_iteration: bool, start: int = 0) -> bool:
        """Return whether so many steps or epochs are done, or twice, ..., from `start` on; or all steps."""
        unit = 1 if per_iteration else self.state.steps_per_epoch
        step = self.state.step
        return (step % (every * unit) == 0 and step >= start * unit) or step == self.state.total_steps

    def announce_phase(self) -> None:
        """Print a line where a phase of the model begins after this step."""
        step, starts = self.state.step, phase_starts(shipped(self.task.model))
        if step in starts and step < self.state.total_steps:
            number = f"{starts.index(step) + 1} of {len(starts)}"
            self.logbook.print(f"step {step}: phase {number} begins; the schedule of the learning rate starts anew")
            self.logbook.event("phase", step, {"phase": starts.index(step) + 1, "phases": len(starts)})

    def reviews_due(self) -> list[str]:
        """Return the reviews that are due after this step."""
        run = self.run
        due = {
            VALIDATION: self.is_due(run.epochs_test, run.test_per_iteration, run.start_test),
            EXAMPLES: self.is_due(run.predict, run.predict_per_iteration),
            SPOKEN: run.speak_every is not None and self.is_due(run.speak_every, per_iteration=True),
        }
        return [name for name, is_due in due.items() if is_due]

    def do_reviews(self) -> None:
        """Do the reviews that are due. Raises Interrupted, after a checkpoint, where a stop is requested meanwhile."""
        reviews = {VALIDATION: self.validate, EXAMPLES: self.show_examples, SPOKEN: self.speak}
        while self.state.due:
            if not reviews[self.state.due[0]]():
                self.save()
                raise self.interrupted()
            del self.state.due[0]

    def log(self) -> None:
        """Write the means since the last row."""
        self.logbook.scalars(
            self.state.step, "train", means(self.state.window), self.pace.figures(self.task.devices.world)
        )
        self.state.window.clear()

    def validate(self) -> bool:
        """Log validation losses and what they decide; return False where a stop is requested meanwhile."""
        state = self.state
        values = validation_losses(state.kept_model, self.task, self.config, state.step, self.stop)
        if values is None:
            return False
        state.stopping.require_known([*values, *(SPOKEN_METRICS if self.task.listen else ())])
        self.decide(VALIDATION, values)
        self.logbook.summarise(state.step)
        return True

    def show_examples(self) -> bool:
        """Log pictures and sounds of the first validation clip; return True."""
        if not self.task.devices.is_main:
            return True
        batch = next(self.task.validation.epoch(0)).to(device_of(self.task.model))
        self.task.log_examples(self.state.kept_model, batch, self.logbook, self.state.step)
        return True

    def speak(self) -> bool:
        """Log the metrics of what the model speaks, and what they decide; return False as `validate` does.

        Before the last phase of its training begins, a model cannot speak, and nothing is logged.
        """
        state, task = self.state, self.task
        if task.listen is None or state.step <= last_phase_of(task.model):
            return True
        seed_all(self.config.seed, SPOKEN)
        model = calibrated_copy(state.kept_model, task, self.config)
        heard = task.listen(model, self.logbook, state.step, self.stop) if task.devices.is_main else None
        values = task.devices.broadcast(heard)
        if values is None:
            return False
        self.decide(SPOKEN, values)
        return True

    def decide(self, split: str, values: Mapping[str, float]) -> None:
        """Log the metrics of a validation; remember the weights where they are the best so far.

        In the phases of a training before the last, nothing is decided: they have other losses, and no whole model.
        Where a model speaks, a loss's metric with the name of one of speech, as `duration_ratio`, decides nothing.
        """
        state, metric = self.state, self.config.keep_best
        self.logbook.scalars(state.step, split, values)
        if state.step <= last_phase_of(self.task.model):
            return
        if self.task.listen and split == VALIDATION:
            values = {name: value for name, value in values.items() if name not in SPOKEN_METRICS}
        if state.stopping.see(values) and metric:
            state.remember_best(values[metric])

    def save(self) -> None:
        """Write a checkpoint, and before it the curve up to it."""
        if self.task.devices.is_main:
            self.logbook.event("checkpoint", self.state.step, {})
            self.logbook.sync()
            self.state.save(self.run.keep_last)
        self.task.devices.barrier()

    def end(self) -> None:
        """Write the final figures."""
        self.logbook.end(self.state.step, self.state.best_step or self.state.step)

    def interrupted(self) -> Interrupted:
        """Return the error to raise where a stop was requested."""
        self.logbook.event("interrupted", self.state.step, {})
        where = f"step {self.state.step} of {self.state.total_steps}"
        return Interrupted(f"{self.logbook.title}: stopped at {where}, saved")
