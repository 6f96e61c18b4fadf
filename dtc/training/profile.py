"""A profile of a training's first steps: where the time goes, and how near the machine's best rate it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from dtc.training.config import Precision
from dtc.training.operations import UNCOUNTED
from dtc.training.precision import resolved

COUNTED_STEPS, PROFILED_STEPS, COSTLIEST = 5, 20, 10
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SIZE = 4096  # rows and columns of the matrices of which the product is timed
Step = TypeVar("Step")


class Profiler:
    """Profiles some steps of a training, which changes no weight.

    Args:
        device: where the training computes.
        precision: of its matrix products.
        trace: the file to write, in Chrome's format: chrome://tracing and ui.perfetto.dev show it.
        console: where the report is printed.
    """

    def __init__(self, device: torch.device, precision: Precision, trace: Path, console: Console) -> None:
        self.device, self.trace, self.console = device, trace, console
        self.dtype = DTYPES[resolved(precision, device)]

    def watched(self, steps: Iterator[Step]) -> Generator[Step, None, None]:
        """Yield all steps: count the operations of the first ones, profile those after them, and print the report."""
        counter, profiled = FlopCounterMode(display=False, custom_mapping=UNCOUNTED), 0
        with counter:  # it slows the steps, so others are timed; they also warm up
            yield from islice(steps, COUNTED_STEPS)
        on_gpu = [ProfilerActivity.CUDA] if self.device.type == "cuda" else []
        with profile(activities=[ProfilerActivity.CPU, *on_gpu], acc_events=True) as recorded:
            started = time.perf_counter()
            for step in islice(steps, PROFILED_STEPS):
                yield step
                profiled += 1
            seconds = time.perf_counter() - started
        if profiled:
            recorded.export_chrome_trace(str(self.trace))
            self._report(recorded, counter.get_total_flops() / COUNTED_STEPS * profiled / seconds / 1e9, profiled)
        else:
            self.console.print(f"profile: none, as the training has {COUNTED_STEPS} steps or fewer left")
        yield from steps

    def _report(self, recorded: profile, rate: float, steps: int) -> None:
        """Print the costliest operations, and the rate of the matrix products and convolutions, in GFLOP/s."""
        costs = {each.key: (self._cost_us(each), each.count) for each in recorded.key_averages()}
        total = sum(cost for cost, _ in costs.values())
        table = Table("operation", "calls a step", "ms a step", "share", box=None)
        for name, (cost, count) in sorted(costs.items(), key=lambda item: -item[1][0])[:COSTLIEST]:
            table.add_row(name, f"{count / steps:,.0f}", f"{cost / steps / 1e3:,.2f}", f"{cost / total:.1%}")
        self.console.print(table)
        best, name = matrix_rate(self.device, self.dtype), str(self.dtype).removeprefix("torch.")
        of_best = (
            f"{rate / best:.1%} of the {best:,.0f} GFLOP/s of a product of two {SIZE} × {SIZE} {name} matrices here"
        )
        self.console.print(f"profile: {steps} steps, {rate:,.1f} GFLOP/s in products and convolutions, {of_best}")
        self.console.print(f"profile: {self.trace}, for ui.perfetto.dev or chrome://tracing")

    def _cost_us(self, operation: object) -> float:
        """Return the time of an operation itself, without those that it calls: on the GPU, where there is one."""
        of = "device" if self.device.type == "cuda" else "cpu"
        return float(getattr(operation, f"self_{of}_time_total"))


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the rate at which a device multiplies large matrices, in GFLOP/s: the best of five products."""
    square = torch.randn(SIZE, SIZE, device=device, dtype=dtype)
    best = min(seconds_of(lambda: square @ square, device) for _ in range(5))
    return 2 * SIZE**3 / best / 1e9


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the wall time until the device has done the work."""
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronise()
    started = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - started
