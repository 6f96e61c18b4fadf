"""How a figure is timed, and what this machine reaches at best."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from dtc.training.precision import has_bfloat16


def time_in_turn(contestants: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, contestant in contestants.items():
            seconds[name].append(seconds_of(contestant, device))
    return {name: median(each[1:]) for name, each in seconds.items()}


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall time until the device is done."""
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronise()
    started = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - started


def measure_rates(device: torch.device) -> dict[str, float]:
    """What this machine reaches at best: large products, and reading weights for one row of input."""
    rates = {}
    precisions = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if has_bfloat16(device) else {})
    for name, dtype in precisions.items():
        square = torch.randn(4096, 4096, device=device, dtype=dtype)
        best = min(seconds_of(lambda square=square: square @ square, device) for _ in range(5))
        rates[f"{name}_gflop_per_s"] = 2 * 4096**3 / best / 1e9
    weights, row = torch.randn(4096, 16384, device=device), torch.randn(1, 4096, device=device)
    best = min(seconds_of(lambda: row @ weights, device) for _ in range(10))
    rates["gb_per_s"] = weights.numel() * 4 / best / 1e9
    return rates
