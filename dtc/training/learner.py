"""Updates of the weights: an optimizer with its schedule, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from dtc.batch import Batch, Losses
from dtc.training.config import TrainingConfig
from dtc.training.guards import require_finite
from dtc.training.optim import build_optimizer
from dtc.training.schedule import rate_share
from dtc.training.task import phase_of


class Learner:
    """A module and the optimizer of its weights. `backward` changes nothing but gradients; `step` uses them.

    Args:
        module: all its parameters are trained.
        config: optimizer, schedule and largest norm of the gradient.
        total_steps: number of steps of the whole training, which the schedule needs.
    """

    def __init__(self, module: nn.Module, config: TrainingConfig, total_steps: int) -> None:
        self.module, self.config, self.total_steps = module, config, total_steps
        self.optimizer = cast(Optimizer, build_optimizer(module, config.optimizer))

    def backward(self, losses: Losses, step: int, batch: Batch) -> dict[str, float]:
        """Compute and clip the gradient of `loss`; return the losses, the gradient's norm and the learning rate.

        Raises NonFiniteLoss, with the batch's clips, where the loss or its gradient is not finite.
        """
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), self.config.grad_max_norm))
        values = numbers_of(losses) | {"grad_norm": norm, "lr": self._rate(step)}
        require_finite(values, ("loss", "grad_norm"), f"step {step}", batch)
        return values

    def step(self, step: int) -> None:
        """Update the weights by the gradient."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        self.optimizer.step()

    def _rate(self, step: int) -> float:
        share = rate_share(*phase_of(self.module, step, self.total_steps), self.config.lr_scheduler)
        return self.config.optimizer.learning_rate * share


def numbers_of(losses: Losses) -> dict[str, float]:
    """Return losses as numbers."""
    return {name: value.item() for name, value in losses.items()}


def average_of(model: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of a model's weights and running statistics.

    Update k, counted from 0, keeps min(decay, (1 + k) / (10 + k)) of the average: with the decay alone, the random
    first weights would stay in it for many steps. Buffers of whole numbers are copied.
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], updates: Tensor | int) -> None:
        kept = min(decay, (1 + int(updates)) / (10 + int(updates)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(values), 1.0 - kept)
        else:
            torch._foreach_copy_(list(averages), list(values))

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)  # the first update copies all, without `update`
