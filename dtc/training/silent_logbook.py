"""The record of a training in a process that does not write it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from rich.console import Console

from dtc.training.event_log import Event
from dtc.training.logbook import Logbook


class SilentLogbook(Logbook):
    """Writes and prints nothing: of several processes that train a model together, the main one does."""

    def __init__(self, folder: Path, title: str) -> None:
        super().__init__(folder, title, Console(quiet=True))

    @contextmanager
    def opened(self, step: int, total_steps: int, due: Collection[str] = (), last_phase: int = 0) -> Iterator[None]:
        """Do nothing."""
        yield

    def advance(self, step: int, loss: float, steps_between_lines: int | None = None) -> None:
        """Do nothing."""

    def scalars(
        self, step: int, split: str, values: Mapping[str, float], figures: Mapping[str, float] | None = None
    ) -> None:
        """Do nothing."""

    def event(self, name: str, step: int, values: Event) -> None:
        """Do nothing."""

    def end(self, step: int, kept_step: int) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""

    def summarise(self, step: int) -> None:
        """Do nothing."""

    def print(self, message: str) -> None:
        """Do nothing."""

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Do nothing."""

    def audio(self, step: int, name: str, wave: Float[np.ndarray, " samples"], sampling_rate: int) -> None:
        """Do nothing."""
