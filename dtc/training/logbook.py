"""The record of a training: a progress bar, plain lines, the curve as CSV, the events as JSON, and TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from dtc.errors import pace
from dtc.files import full_disk_named, write_whole
from dtc.training.curve import CurveWriter, final_figures, read_curve
from dtc.training.event_log import Event, EventLog
from dtc.training.run_files import CURVE, EVENTS, METRICS, TENSORBOARD

SECONDS_BETWEEN_LINES = 30.0  # of progress, where the output is not a terminal
BEGAN = ".from-"  # in the name of a file of TensorBoard, before the place in the training where it begins


class Logbook:
    """Writes the record of one run; use it inside `opened`.

    Args:
        folder: where history.csv, progress.jsonl, metrics.json and tensorboard/ are written.
        title: the first word of each line, as "acoustic".
        console: where lines and the progress bar are printed.
        settings: dotted key → value, what TensorBoard shows beside the final figures.
        profiles: whether some steps are profiled.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        console: Console,
        settings: Mapping[str, object] | None = None,
        profiles: bool = False,
    ) -> None:
        self.folder, self.title, self.console = folder, title, console
        self.settings, self.profiles = settings or {}, profiles
        self.total_steps = 0
        self._last: dict[str, Mapping[str, float]] = {}

    @contextmanager
    def opened(self, step: int, total_steps: int, due: Collection[str] = (), last_phase: int = 0) -> Iterator[None]:
        """Open the record after `step`: rows of later steps, which a killed process has left, are removed first.

        Args:
            step: the number of steps that are done.
            total_steps: number of steps of the whole training.
            due: splits of which `step` has no row yet, as their review was interrupted.
            last_phase: the step at which the last phase begins; before it, the time left is not known, as the phases
                have steps of different duration.
        """
        self.total_steps, self._first_step, self._last_phase = total_steps, step, last_phase
        self._started = self._phase_started = self._last_line = time.monotonic()
        last_of = dict.fromkeys(due, step - 1)
        self._curve = CurveWriter(self.folder / CURVE, lambda row: int(row["step"]) <= last_of.get(row["split"], step))
        last_of["end"] = -1
        self._events = EventLog(
            self.folder / EVENTS, lambda event: step > 0 and event["step"] <= last_of.get(event["event"], step)
        )
        self.event("resume" if step else "start", step, {"total_steps": total_steps})
        self._tensorboard = self._points(step, len(due))
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._bar = self._progress.add_task(self.title, total=total_steps, completed=step, speed="", loss="–")
        with full_disk_named(self.folder):
            try:
                with self._progress:
                    yield
            finally:
                self._tensorboard.close()

    def _points(self, step: int, due: int) -> SummaryWriter:
        """Return the writer of TensorBoard's points, after a step and all its reviews but some that are due.

        Whoever reads the points passes over those of later steps in the files of earlier processes, but not over those
        of a review of this step, nor over final figures. So each process writes a file of its own, whose name ends with
        the place where it began; files that began here or later, and those without a place, are deleted.
        """
        folder, here = self.folder / TENSORBOARD, f"{step:08}-{9 - due}"
        for file in folder.glob("events.*"):
            if file.name.rpartition(BEGAN)[2] >= here:
                file.unlink()
        return SummaryWriter(str(folder), purge_step=step + 1, filename_suffix=BEGAN + here)

    def advance(self, step: int, loss: float, steps_between_lines: int | None = None) -> None:
        """Show a step that is done: in the progress bar on a terminal, and in a line from time to time elsewhere.

        With `steps_between_lines`, there is a line after so many steps, on a terminal too.
        """
        waited = not self.console.is_terminal and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES
        if waited if steps_between_lines is None else step % steps_between_lines == 0:
            self._print_progress(step, f"loss {loss:.3f}")
        if step == self._last_phase:
            self._phase_started = time.monotonic()
        speed = (step - self._first_step) / max(self._seconds(), 1e-9)
        self._progress.update(self._bar, completed=step, speed=pace(speed), loss=f"{loss:.3f}")

    def scalars(
        self, step: int, split: str, values: Mapping[str, float], figures: Mapping[str, float] | None = None
    ) -> None:
        """Write a row of the curve, and the same values as an event and to TensorBoard.

        `figures` depend on the machine and its load, so they are not written to the curve.
        """
        self._last[split], figures = values, figures or {}
        cells = {name: f"{value:.6g}" for name, value in values.items()}
        self._curve.append({"step": str(step), "split": split} | cells)
        self.event(split, step, {**values, **figures})
        for name, value in values.items():
            self._tensorboard.add_scalar(f"{name}/{split}", value, step)
        for name, value in figures.items():
            self._tensorboard.add_scalar(f"run/{name}", value, step)

    def event(self, name: str, step: int, values: Event) -> None:
        """Write an event to progress.jsonl."""
        self._events.append(name, step, values)

    def last(self, split: str) -> Mapping[str, float]:
        """Return the values of the last row that this process wrote for a split; nothing where there is none."""
        return self._last.get(split, {})

    def sync(self) -> None:
        """Force the record to disk; called before a checkpoint is written."""
        self._curve.sync()
        self._events.sync()
        self._tensorboard.flush()

    def end(self, step: int, kept_step: int) -> None:
        """Write the final figures: metrics.json, an event, and a row of TensorBoard's table of settings.

        Args:
            step: the number of steps done.
            kept_step: the number of steps after which the kept weights were those of the model.
        """
        figures = final_figures(read_curve(self.folder / CURVE), kept_step)
        self.event("end", step, {"kept_step": kept_step, **figures})
        content = {"steps": step, "kept_step": kept_step, **figures}
        write_whole(self.folder / METRICS, json.dumps(content, indent=2) + "\n")
        metrics = {
            f"final/{split} {name}": value for split, values in figures.items() for name, value in values.items()
        }
        self._tensorboard.add_hparams(_as_shown(self.settings), metrics, run_name=".", global_step=step)

    def summarise(self, step: int) -> None:
        """Print a line with the last training and validation losses and the time."""
        training, validation = (self.last(split).get("loss", float("nan")) for split in ("train", "validation"))
        self._print_progress(step, f"loss {training:.3f}, validation {validation:.3f}")

    def _print_progress(self, step: int, losses: str) -> None:
        done, left = step - max(self._first_step, self._last_phase), self.total_steps - step
        step_s = (time.monotonic() - self._phase_started) / done if done > 0 else 0.0
        eta = f", {step_s * left:.0f} s left" if step_s and left else ""
        self.print(f"step {step}/{self.total_steps}, {losses}, {self._seconds():.0f} s{eta}")

    def print(self, message: str) -> None:
        """Print a message as a line that starts with the title."""
        self._last_line = time.monotonic()
        self.console.print(f"{self.title}: {message}", highlight=False)

    def leave(self) -> None:
        """Show the terminal's cursor, which the progress bar hides; called before the process is ended at once."""
        self.console.show_cursor(True)

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Write a picture to TensorBoard."""
        self._tensorboard.add_image(name, picture, step, dataformats="HWC")

    def audio(self, step: int, name: str, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> None:
        """Write a waveform to TensorBoard."""
        self._tensorboard.add_audio(name, wave[None], step, sample_rate=sampling_rate)

    def _seconds(self) -> float:
        """Return the seconds since this process began to train."""
        return time.monotonic() - self._started


def _as_shown(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings as TensorBoard takes them: numbers, booleans and texts."""
    return {name: value if isinstance(value, bool | int | float) else str(value) for name, value in settings.items()}
