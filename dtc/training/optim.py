"""Optimizers, by the name in `optimizer.type`. A further one is a config, a function and a line in OPTIMIZERS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from dtc.config import Section, Share, did_you_mean
from dtc.errors import InputError
from dtc.registry import Part, Registry


class OptimizerConfig(Section):
    """Base of the section of every optimizer."""

    type: str
    learning_rate: PositiveFloat  # at the peak of the schedule
    weight_decay: NonNegativeFloat  # share of a weight that is taken away, times the learning rate
    decays: Literal["all", "matrices"]  # matrices: no weight decay of biases and scales, which have one dimension


class AdamConfig(OptimizerConfig):
    """Settings of Adam (Kingma & Ba 2015, arXiv:1412.6980) and AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    type: Literal["adam", "adamw"]
    betas: tuple[Share, Share]
    eps: PositiveFloat


class SGDConfig(OptimizerConfig):
    """Settings of gradient descent with momentum."""

    type: Literal["sgd"]
    momentum: Share
    nesterov: bool


class RMSpropConfig(OptimizerConfig):
    """Settings of RMSprop (Tieleman & Hinton 2012)."""

    type: Literal["rmsprop"]
    alpha: Share  # of the moving average of the squared gradients
    eps: PositiveFloat
    momentum: Share


class AnyOptimizerConfig(OptimizerConfig):
    """A class of torch.optim by its name, with its arguments."""

    type: Literal["torch"]
    class_name: str  # NAdam, RAdam, Adagrad, ...
    arguments: Mapping[str, Any]  # as this class has them, without those that the other keys give


# Reading params.yaml imports this file, and must not import torch. So torch is imported inside the functions, and no
# signature has its types. `groups` are parameters with their learning rate and weight decay, as torch.optim takes them.


def build_adam(groups: Iterable[Any], config: AdamConfig) -> Any:
    """Return Adam or AdamW, fused, which is the fastest on CPU and CUDA alike."""
    from torch.optim import Adam, AdamW

    kind = AdamW if config.type == "adamw" else Adam
    return kind(groups, config.learning_rate, config.betas, config.eps, config.weight_decay, fused=True)


def build_sgd(groups: Iterable[Any], config: SGDConfig) -> Any:
    """Return gradient descent with momentum."""
    from torch.optim import SGD

    return SGD(groups, config.learning_rate, config.momentum, nesterov=config.nesterov)


def build_rmsprop(groups: Iterable[Any], config: RMSpropConfig) -> Any:
    """Return RMSprop."""
    from torch.optim import RMSprop

    return RMSprop(groups, config.learning_rate, config.alpha, config.eps, momentum=config.momentum)


def build_any(groups: Iterable[Any], config: AnyOptimizerConfig) -> Any:
    """Return an optimizer of the class torch.optim.`class_name`. Raises InputError where it is none or refuses."""
    import torch

    kinds: dict[str, Any] = {
        name: kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
    }
    if config.class_name not in kinds:
        expected = f"one of {', '.join(sorted(kinds))}"
        raise InputError(
            "optimizer.class_name", f"found {config.class_name!r}", expected, did_you_mean(config.class_name, kinds)
        )
    try:
        return kinds[config.class_name](groups, lr=config.learning_rate, **config.arguments)
    except (TypeError, ValueError) as error:
        raise InputError("optimizer.arguments", f"refused by torch.optim.{config.class_name}: {error}") from None


OPTIMIZERS: Registry[Callable[[Iterable[Any], Any], Any]] = Registry(
    "optimizer.type",
    {
        "adam": Part(build=build_adam, config=AdamConfig),
        "adamw": Part(build=build_adam, config=AdamConfig),
        "sgd": Part(build=build_sgd, config=SGDConfig),
        "rmsprop": Part(build=build_rmsprop, config=RMSpropConfig),
        "torch": Part(build=build_any, config=AnyOptimizerConfig),
    },
    field="type",
)


def build_optimizer(groups: Iterable[Any], config: OptimizerConfig) -> Any:
    """Return the torch.optim.Optimizer that `config.type` names, over groups of parameters."""
    return OPTIMIZERS.get(config.type)(list(groups), config)
