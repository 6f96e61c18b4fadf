"""A window of decoder steps as one CUDA graph, for inference on a GPU.

A step consists of some dozens of small kernels, and launching them one by one takes longer than running them. A window
of steps that is captured once for a batch is launched as a whole, and computes the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dtc.errors import Notice, reason_of

Window = Callable[[Tensor], tuple[Tensor, ...]]  # the prenet's dropout of some steps → the outputs of the steps


@runtime_checkable
class WindowLoop(Protocol):
    """A loop that computes a window of steps from the state in `carried` and sets the next state there."""

    carried: list[Tensor]

    def window(self, dropout: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of some steps."""


def capture_window(loop: WindowLoop, dropout: Tensor) -> Window:
    """Return `loop.window` as a CUDA graph for dropout of this shape.

    Where it cannot be captured, it returns `loop.window` itself, with a warning.
    """
    start = [part.clone() for part in loop.carried]
    try:
        return _capture(loop, dropout, start)
    except RuntimeError as error:
        warnings.warn(f"no CUDA graph, computing step by step: {reason_of(error)}", Notice, stacklevel=2)
        loop.carried = start
        return loop.window


def _capture(loop: WindowLoop, dropout: Tensor, carried: list[Tensor]) -> Window:
    """Return the replay of a captured window. Every replay uses the same memory: `carried`, `inputs` and `outputs`."""
    inputs, carried = dropout.clone(), [part.clone() for part in carried]
    side_stream = torch.cuda.Stream()
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):  # libraries initialise at their first call, which cannot be captured
        loop.window(inputs)
    torch.cuda.current_stream().wait_stream(side_stream)
    loop.carried = carried
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = loop.window(inputs)
        for before, after in zip(carried, loop.carried, strict=True):
            before.copy_(after)

    def replay(dropout: Tensor) -> tuple[Tensor, ...]:
        inputs.copy_(dropout)
        graph.replay()
        return tuple(part.clone() for part in outputs)

    return replay
