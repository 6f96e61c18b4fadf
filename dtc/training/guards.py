"""Guards of a training against values that are not finite, spikes of the loss, and too little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import nn

from dtc.batch import Batch
from dtc.errors import InputError, named, plural
from dtc.training.config import SpikesConfig, TrainingConfig

LOSSES_BEFORE = 100  # steps
DEVIATION_OF_MEDIAN = 1.4826  # standard deviation over median absolute deviation, of a normal distribution


class WentWrong(RuntimeError):
    """A training cannot go on as it is. The last checkpoint is intact.

    Args:
        message: what is wrong.
        batches: those of the step at fault, where they are known.
        values: the losses of that step.
        validation: the number of the validation batch at fault; None: they are batches of the training.
    """

    def __init__(
        self,
        message: str,
        batches: Sequence[Batch] = (),
        values: Mapping[str, float] | None = None,
        validation: int | None = None,
    ) -> None:
        super().__init__(message)
        self.batches, self.values, self.validation = batches, dict(values or {}), validation


class NonFiniteLoss(WentWrong):
    """A loss, a gradient or a weight is NaN or infinite."""


class Diverged(WentWrong):
    """The loss has stayed far above its earlier values. The training needs a lower learning rate from its start."""


def require_finite(
    values: Mapping[str, float],
    names: Sequence[str],
    where: str,
    batches: Sequence[Batch],
    validation: int | None = None,
) -> None:
    """Raise NonFiniteLoss, with all values and the batches' clips, unless the values of `names` are finite.

    `validation` is the number of the batch, if it is one of the validation.
    """
    if all(math.isfinite(values[name]) for name in names):
        return
    shown = ", ".join(f"{name} {value:g}" for name, value in values.items())
    clips = ", ".join(clip for batch in batches for clip in batch.ids)
    raise NonFiniteLoss(f"{where}: {shown}; clips {clips}", batches, values, validation)


def require_finite_weights(model: nn.Module, where: str) -> None:
    """Raise NonFiniteLoss, naming the tensors, unless all weights and buffers of a model are finite."""
    tensors = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    if bad := [name for name, value in tensors.items() if not torch.isfinite(value).all()]:
        raise NonFiniteLoss(f"{where}: weights that are not finite: {named(bad)}; the last checkpoint is intact")


class OutOfMemory(InputError):
    """A GPU's memory is too small for a batch."""


class Buffers:
    """A copy of a model's buffers, such as running statistics. A forward pass changes them before its loss is known."""

    def __init__(self, model: nn.Module) -> None:
        self._pairs = [(buffer, buffer.clone()) for buffer in model.buffers()]

    def restore(self) -> None:
        """Set the buffers to the values that they had when they were copied."""
        for buffer, kept in self._pairs:
            buffer.copy_(kept)


class Spikes:
    """Finds losses that are far above those before: one step on such a loss can undo days of training.

    Args:
        config: how far above the median of the last losses a spike is; None: no loss is a spike.
    """

    def __init__(self, config: SpikesConfig | None) -> None:
        self.config, self.in_a_row = config, 0
        self._terms: list[str] = []  # of the loss
        self._losses: list[float] = []  # the last that were no spikes

    def is_spike(self, losses: Mapping[str, float], where: str, batches: Sequence[Batch] = ()) -> bool:
        """Return whether `loss` is a spike, and record it in the history, which starts anew where the terms change.

        Raises Diverged, with the batches, where too many steps in a row were spikes: then the fault is in the weights.
        """
        if self.config is None:
            return False
        if self._terms != sorted(losses):
            self._terms, self._losses, self.in_a_row = sorted(losses), [], 0
        loss, limit = losses["loss"], self._limit(self.config.deviations)
        if not math.isfinite(loss):
            return False  # which `require_finite` refuses
        if len(self._losses) < LOSSES_BEFORE or loss <= limit:
            self._losses, self.in_a_row = [*self._losses, loss][-LOSSES_BEFORE:], 0
            return False
        self.in_a_row += 1
        if self.in_a_row == self.config.most_in_a_row:
            found = f"loss {loss:.3f}, above {limit:.3f} for {self.in_a_row} steps"
            remedy = "start anew with a lower optimizer.learning_rate or grad_max_norm"
            raise Diverged(f"{where}: {found}: {remedy}", batches, losses)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the history of losses."""
        return {"terms": self._terms, "losses": self._losses, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a history of losses."""
        self._terms, self._losses, self.in_a_row = state["terms"], state["losses"], state["in_a_row"]

    def _limit(self, deviations: float) -> float:
        """Return the largest loss that is no spike, by median and median absolute deviation, which no spike moves."""
        if not self._losses:
            return math.inf
        middle = median(self._losses)
        return middle + deviations * DEVIATION_OF_MEDIAN * median(abs(loss - middle) for loss in self._losses)


@contextmanager
def out_of_memory_explained(batch: Batch, config: TrainingConfig, section: str) -> Iterator[None]:
    """Turn a GPU's lack of memory into OutOfMemory with the size of the batch and the setting to lower."""
    try:
        yield
    except torch.OutOfMemoryError:
        size = f"{plural(len(batch.ids), 'clip')} × {batch.mel.shape[-1]:,} frames"
        name = "batch_size" if config.batch_size else "batch_frames"
        remedy = f"lower {section}.{name}, which is {config.batch_size or config.batch_frames}"
        raise OutOfMemory("GPU", f"out of memory with a batch of {size}", remedy=remedy) from None
