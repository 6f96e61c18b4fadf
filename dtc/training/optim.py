"""Optimizers, by the name in `optimizer.type`. A further one is a config, a function and a line in OPTIMIZERS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from dtc.config import Section, Share
from dtc.registry import Part, Registry


class OptimizerConfig(Section):
    """Base of the section of every optimizer."""

    type: str
    learning_rate: PositiveFloat  # at the peak of the schedule


class AdamWConfig(OptimizerConfig):
    """Settings of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).

    `adamw_matrices` is AdamW without weight decay of biases and scales.
    """

    type: Literal["adamw", "adamw_matrices"]
    betas: tuple[Share, Share]
    eps: PositiveFloat
    weight_decay: NonNegativeFloat


# Reading params.yaml imports this file, and must not import torch. So torch is imported inside the functions, and no
# signature has its types.


def build_adamw(parameters: Iterable[Any], config: AdamWConfig) -> Any:
    """Return AdamW over the parameters, fused, which is the fastest on CPU and CUDA alike."""
    from torch.optim import AdamW

    return AdamW(parameters, config.learning_rate, config.betas, config.eps, config.weight_decay, fused=True)


def build_adamw_matrices(parameters: Iterable[Any], config: AdamWConfig) -> Any:
    """Return AdamW over the parameters, with weight decay of those with two or more dimensions alone."""
    groups: dict[bool, list[Any]] = {True: [], False: []}
    for parameter in parameters:
        groups[parameter.dim() > 1].append(parameter)
    optimizer = build_adamw(groups[True], config)
    optimizer.add_param_group({"params": groups[False], "weight_decay": 0.0})
    return optimizer


OPTIMIZERS: Registry[Callable[[Iterable[Any], Any], Any]] = Registry(
    "optimizer.type",
    {
        "adamw": Part(build=build_adamw, config=AdamWConfig),
        "adamw_matrices": Part(build=build_adamw_matrices, config=AdamWConfig),
    },
    field="type",
)


def build_optimizer(module: Any, config: OptimizerConfig) -> Any:
    """Return the torch.optim.Optimizer that `config.type` names, over all parameters of a torch.nn.Module."""
    return OPTIMIZERS.get(config.type)(module.parameters(), config)
