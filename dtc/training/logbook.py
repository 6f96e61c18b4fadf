"""What a run says while it works: a progress line, a CSV of curves, TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from dtc.files import write_whole

CURVE = "curve.csv"


class Logbook:
    """Writes under `run`; rows after `step`, which a killed run left behind, are forgotten first."""

    def __init__(self, run: Path, title: str, step: int, total_steps: int, console: Console) -> None:
        self.console, self.title, self.total_steps = console, title, total_steps
        self.curve = run / CURVE
        self.rows = [row for row in read_curve(self.curve) if int(row["step"]) <= step]
        self._write_curve()
        self.tensorboard = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"),
            TextColumn("loss {task.fields[loss]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self.bar = self.progress.add_task(title, total=total_steps, completed=step, speed="", loss="–")
        self.first_step = step

    def __enter__(self) -> Logbook:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
        self.tensorboard.close()

    def advance(self, step: int, loss: float, seconds: float) -> None:
        """One training step is done; `seconds` since this process began to train."""
        speed = f"{(step - self.first_step) / max(seconds, 1e-9):.1f} steps/s"
        self.progress.update(self.bar, completed=step, speed=speed, loss=f"{loss:.3f}")

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """A row of the curve, and the same in TensorBoard, which also knows when it was."""
        row = {"step": str(step), "split": split}
        self.rows.append(row | {name: f"{value:.6g}" for name, value in values.items()})
        self._write_curve()
        for name, value in values.items():
            self.tensorboard.add_scalar(f"{name}/{split}", value, step)

    def say(self, step: int, seconds: float, training: Mapping[str, float], validation: Mapping[str, float]) -> None:
        """A plain line, for logs and for those who scroll back."""
        pace, left = step - self.first_step, self.total_steps - step
        eta = f", {seconds / pace * left:.0f} s left" if pace and left else ""
        losses = f"loss {training.get('loss', float('nan')):.3f}, validation {validation['loss']:.3f}"
        self.console.print(
            f"{self.title}: step {step}/{self.total_steps}, {losses}, {seconds:.0f} s{eta}", highlight=False
        )

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """A picture in TensorBoard."""
        self.tensorboard.add_image(name, picture, step, dataformats="HWC")

    def audio(self, step: int, name: str, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> None:
        """A sound in TensorBoard."""
        self.tensorboard.add_audio(name, wave[None], step, sample_rate=sampling_rate)

    def _write_curve(self) -> None:
        # Rewritten whole each time: a few hundred rows, and then the file is never half a row long.
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        table = io.StringIO()
        writer = csv.DictWriter(table, names or ["step", "split", "loss"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.curve, table.getvalue())


def read_curve(path: Path) -> list[dict[str, Any]]:
    """Rows of a curve's CSV; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
