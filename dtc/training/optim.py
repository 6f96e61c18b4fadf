"""Adam and the learning rate of every step."""

from __future__ import annotations

import math

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn

from dtc.config import Section, Share


class OptimizerConfig(Section):
    """AdamW's settings; `learning_rate` is the peak."""

    learning_rate: PositiveFloat
    betas: tuple[Share, Share]
    eps: PositiveFloat
    weight_decay: NonNegativeFloat


class OneCycleConfig(Section):
    """Cosine up from a 25th of the peak, cosine down to `final_share` of it (Smith & Topin, arXiv:1708.07120)."""

    warmup_share: float = Field(gt=0.0, lt=1.0)  # of all steps
    final_share: float = Field(ge=0.0, lt=1.0)  # of the peak


FIRST_SHARE = 1.0 / 25.0


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over all parameters; fused, which is the fastest on CPU and CUDA alike."""
    return torch.optim.AdamW(
        model.parameters(), config.learning_rate, config.betas, config.eps, config.weight_decay, fused=True
    )


def one_cycle_share(step: int, total_steps: int, config: OneCycleConfig) -> float:
    """Share of the peak learning rate at `step` (0-based): a function of the step alone, so there is no state."""
    progress = step / max(1, total_steps - 1)
    if progress < config.warmup_share:
        return _cosine(FIRST_SHARE, 1.0, progress / config.warmup_share)
    return _cosine(1.0, config.final_share, (progress - config.warmup_share) / (1.0 - config.warmup_share))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0
