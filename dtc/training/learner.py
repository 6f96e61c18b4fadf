"""Updates of the weights: an optimizer with its schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from dtc.batch import Losses
from dtc.errors import InputError
from dtc.training.config import TrainingConfig
from dtc.training.optim import OptimizerConfig, build_optimizer
from dtc.training.schedule import Place, ScheduleConfig, rate_share


@dataclass(frozen=True)
class Updates:
    """How the weights of one learner are updated.

    Args:
        optimizer: its kind, its peak learning rate and its weight decay.
        lr_scheduler: the share of that rate at each step.
        training: rate multipliers, frozen parameters and largest norm of the gradient, which all learners share.
    """

    optimizer: OptimizerConfig
    lr_scheduler: ScheduleConfig
    training: TrainingConfig


class Learner:
    """A module and the optimizer of its weights.

    `backward` changes nothing but gradients; `clip` and `step` use them.

    Args:
        module: all its parameters are trained, but those that `freeze` names.
        updates: optimizer, schedule, and what limits them.
        place_of: returns the place in the training at a step.
    """

    def __init__(self, module: nn.Module, updates: Updates, place_of: Callable[[int], Place]) -> None:
        self.module, self.updates, self.place_of = module, updates, place_of
        groups = [*_groups(module, updates)]
        self.optimizer = cast(Optimizer, build_optimizer(groups, updates.optimizer))

    def clear(self) -> None:
        """Remove the gradients of the last step."""
        self.optimizer.zero_grad(set_to_none=True)

    def clip(self, step: int, scaler: GradScaler) -> dict[str, float]:
        """Remove the gradients of frozen parameters, clip the others; return their norm and the learning rate."""
        training = self.updates.training
        scaler.unscale_(self.optimizer)
        for freeze in training.freeze:
            if freeze.until_step is None or step < freeze.until_step:
                for _, parameter in _matching(self.module, freeze.params):
                    parameter.grad = None
        largest = training.grad_max_norm if training.grad_clipping else math.inf
        norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), largest))
        return {"grad_norm": norm, "lr": self._rate(step)}

    def step(self, step: int, scaler: GradScaler) -> None:
        """Update the weights by the gradient."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step) * group["multiplier"]
        scaler.step(self.optimizer)

    def _rate(self, step: int) -> float:
        return self.updates.optimizer.learning_rate * rate_share(self.place_of(step), self.updates.lr_scheduler)


def require_known(training: TrainingConfig, modules: Sequence[nn.Module], section: str) -> None:
    """Raise InputError where a glob of `rate_multipliers` or `freeze` names no parameter of any of the modules."""
    globs = {f"{section}.rate_multipliers": list(training.rate_multipliers)}
    globs[f"{section}.freeze"] = [freeze.params for freeze in training.freeze]
    for key, each in globs.items():
        for glob in each:
            if not any(True for module in modules for _ in _matching(module, glob)):
                first = sorted({name.partition(".")[0] for module in modules for name, _ in module.named_parameters()})
                raise InputError(key, f"no parameter matches {glob}", f"the name or a glob of one, as {first[0]}.*")


def _groups(module: nn.Module, updates: Updates) -> list[dict[str, Any]]:
    """Return the parameters in groups with one learning rate and one weight decay each, as torch.optim takes them."""
    optimizer, groups = updates.optimizer, dict[tuple[float, float], list[nn.Parameter]]()
    for name, parameter in module.named_parameters():
        decay = optimizer.weight_decay if optimizer.decays == "all" or parameter.dim() > 1 else 0.0
        groups.setdefault((_multiplier(name, updates.training.rate_multipliers), decay), []).append(parameter)
    return [
        {"params": parameters, "multiplier": multiplier, "weight_decay": decay}
        for (multiplier, decay), parameters in groups.items()
    ]


def _multiplier(name: str, multipliers: Mapping[str, float]) -> float:
    """Return the product of the multipliers whose globs match a parameter's name."""
    return math.prod((factor for glob, factor in multipliers.items() if fnmatchcase(name, glob)), start=1.0)


def _matching(module: nn.Module, glob: str) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if fnmatchcase(name, glob)]


def numbers_of(losses: Losses) -> dict[str, float]:
    """Return losses as numbers. They are copied from a GPU at once: it has to finish its work for each copy."""
    values = torch.stack([value.detach().to(losses["loss"].device) for value in losses.values()])
    return dict(zip(losses, values.tolist(), strict=True))


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
