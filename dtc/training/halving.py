"""Batches that do not fit into a GPU's memory are computed in parts, if the user wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from dtc.batch import Batch
from dtc.errors import InputError, plural
from dtc.training.config import RunConfig
from dtc.training.guards import OutOfMemory
from dtc.training.task import Task

Numbers = dict[str, dict[str, float]]  # of each learner


class Halving:
    """Computes batches in 2, 4, … parts from the first one on that does not fit.

    The batch stays the same: the gradients of its parts are summed, each weighted by its share of the clips. That is
    exact for a loss that is a mean over clips, but for the order of the sums. A loss that is a mean over all frames or
    symbols weighs a part by its clips, not by its frames, and batch normalisation has the statistics of the part.
    Dropout is drawn for each part. So the weights differ a little from those of a larger GPU, as with another seed.

    Args:
        wanted: whether to do so; if not, the lack of memory ends the training.
        print_line: prints a line for the user.
    """

    def __init__(self, wanted: bool, print_line: Callable[[str], None]) -> None:
        self._wanted, self._print, self._parts = wanted, print_line, 1

    def tried(self, step: Callable[[Sequence[Batch]], dict[str, float]], batches: Sequence[Batch]) -> dict[str, float]:
        """Return the result of a step; where memory is too small, do the step again in twice as many parts.

        Raises OutOfMemory where halving is not wanted, and where a part is a single clip already.
        """
        while True:
            try:
                return step(batches)
            except OutOfMemory:
                if not self._wanted or self._parts >= max(len(batch.ids) for batch in batches):
                    raise
            torch.cuda.empty_cache()
            self._parts *= 2
            self._print(f"out of memory: from here on, a batch is computed in {plural(self._parts, 'part')}")

    def parts_of(self, batch: Batch) -> list[tuple[Batch, float]]:
        """Return the parts of a batch, and the share of its clips that each has."""
        count = min(self._parts, len(batch.ids))
        if count == 1:
            return [(batch, 1.0)]
        parts = [batch.part(slice(first, None, count)) for first in range(count)]  # of about equal lengths
        return [(part, len(part.ids) / len(batch.ids)) for part in parts]


def require_one_process(run: RunConfig, task: Task) -> None:
    """Raise InputError where several processes should halve: they cannot go back to the begin of a step.

    Inside a step they add up sums. While one of them lacks memory, the others wait for its share of the next sum.
    """
    if run.halve_on_oom and task.devices.world > 1:
        key, found = task.section.replace("training", "run"), f"true, with {task.devices.world} processes"
        remedy = f"set it to false and raise {task.section}.accumulate, with smaller batches, or use one process"
        raise InputError(f"{key}.halve_on_oom", found, "false", remedy)


def weighted_sum(parts: Iterable[tuple[Mapping[str, Mapping[str, float]], float]]) -> Numbers:
    """Return the sums over parts of their numbers times their weight."""
    sums: Numbers = {}
    for learners, weight in parts:
        for learner, numbers in learners.items():
            found = sums.setdefault(learner, {})
            for name, value in numbers.items():
                found[name] = found[name] + value * weight if name in found else value * weight
    return sums
