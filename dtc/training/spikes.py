"""Losses far above those before. One such step can undo days of training: it is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from torch import Tensor

LOSSES_BEFORE, MOST_SPIKES = 100, 20  # steps
DEVIATION_OF_MEDIAN = 1.4826  # a normal distribution's standard deviation over its median absolute deviation


class Diverged(RuntimeError):
    """The loss has left its course for good. The weights are those of before, which find nothing else."""


class Spikes:
    """Tells the spikes among losses; what it knows is part of a training's state."""

    def __init__(self, deviations: float | None) -> None:
        self.deviations, self.in_a_row = deviations, 0
        self._terms: list[str] = []  # of the loss
        self._losses: list[float] = []  # the last that were no spikes

    def strikes(self, losses: Mapping[str, Tensor], where: str) -> bool:
        """Whether `loss` is one; with other terms in it, it is another loss, and told by itself.

        Raises Diverged where there was nothing else for long: the fault is in the weights.
        """
        if self.deviations is None:
            return False  # and the device need not be waited for
        if self._terms != sorted(losses):
            self._terms, self._losses, self.in_a_row = sorted(losses), [], 0
        loss = losses["loss"].item()
        if not math.isfinite(loss):
            return False  # which has its own error
        if len(self._losses) < LOSSES_BEFORE or loss <= self._limit(self.deviations):
            self._losses, self.in_a_row = [*self._losses, loss][-LOSSES_BEFORE:], 0
            return False
        self.in_a_row += 1
        if self.in_a_row == MOST_SPIKES:
            found = f"loss {loss:.3f}, above {self._limit(self.deviations):.3f} for {MOST_SPIKES} steps"
            raise Diverged(f"{where}: {found}: start anew with a lower optimizer.learning_rate or grad_max_norm")
        return True

    def state_dict(self) -> dict[str, Any]:
        """What it has seen."""
        return {"terms": self._terms, "losses": self._losses, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what it had seen."""
        self._terms, self._losses, self.in_a_row = state["terms"], state["losses"], state["in_a_row"]

    def _limit(self, deviations: float) -> float:
        """Median and median absolute deviation: a spike among the losses does not hide the next."""
        middle = median(self._losses)
        return middle + deviations * DEVIATION_OF_MEDIAN * median(abs(loss - middle) for loss in self._losses)
