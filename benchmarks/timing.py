"""How a figure is timed, and what this machine reaches at best."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch

from dtc.training.precision import has_bfloat16
from dtc.training.profile import matrix_rate, seconds_of


def time_in_turn(contestants: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, contestant in contestants.items():
            seconds[name].append(seconds_of(contestant, device))
    return {name: median(each[1:]) for name, each in seconds.items()}


def measure_rates(device: torch.device) -> dict[str, float]:
    """What this machine reaches at best: large products, and reading weights for one row of input."""
    rates = {}
    precisions = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if has_bfloat16(device) else {})
    for name, dtype in precisions.items():
        rates[f"{name}_gflop_per_s"] = matrix_rate(device, dtype)
    weights, row = torch.randn(4096, 16384, device=device), torch.randn(1, 4096, device=device)
    best = min(seconds_of(lambda: row @ weights, device) for _ in range(10))
    rates["gb_per_s"] = weights.numel() * 4 / best / 1e9
    return rates
