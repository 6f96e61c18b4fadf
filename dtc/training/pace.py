"""Wall-clock figures of a training: its speed, its waiting for data, and its memory."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import torch

from dtc.batch import Batch

STATUS = Path("/proc/self/status")  # of Linux


class Pace:
    """Measures the steps of a training; validation, pictures and checkpoints between them do not count."""

    def __init__(self) -> None:
        self._frames, self._waiting_s, self._working_s, self._began = 0, 0.0, 0.0, 0.0

    def watched(self, steps: Iterable[Sequence[Batch]]) -> Generator[Sequence[Batch], None, None]:
        """Yield the batches of each step, and measure how long they take to come."""
        batches_of = iter(steps)
        while True:
            asked = time.monotonic()
            batches = next(batches_of, None)
            self._began = time.monotonic()
            self._waiting_s += self._began - asked
            if batches is None:
                return
            self._frames += sum(int(batch.mel_lengths.sum()) for batch in batches)
            yield batches

    def step_done(self) -> None:
        """Note that the present step has changed the weights."""
        self._working_s += time.monotonic() - self._began

    def figures(self, processes: int = 1) -> dict[str, float]:
        """Return the figures since the last call.

        `frames_per_s` is that of all processes, which have about equally many. The others are of this one:
        `waiting_share`, the part of the time in which the next batch was not there; `memory_mb`, what it holds now, on
        Linux; `cuda_peak_mb`, the most that its tensors took on the GPU.
        """
        seconds = max(self._waiting_s + self._working_s, 1e-9)
        found = {"frames_per_s": processes * self._frames / seconds, "waiting_share": self._waiting_s / seconds}
        self._frames, self._waiting_s, self._working_s = 0, 0.0, 0.0
        if STATUS.exists():
            found["memory_mb"] = int(STATUS.read_text().split("VmRSS:")[1].split()[0]) / 1024
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda_peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
        return found
