"""A decoder that speaks on a GPU: a window of its steps as one CUDA graph.

A step is some dozens of small kernels, and launching them one by one takes longer than they do. Captured once for a
batch, a window of steps is a single launch, which computes the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Window = Callable[[Tensor], tuple[Tensor, ...]]  # the prenet's draws of some steps → what the steps made


@runtime_checkable
class Loop(Protocol):
    """Something that goes on, window by window, from the tensors that it carries."""

    carried: list[Tensor]

    def window(self, drawn: Tensor) -> tuple[Tensor, ...]:
        """Some steps."""


def graphed(loop: Loop, drawn: Tensor) -> Window:
    """`loop.window` as a graph for draws of this shape; as it is, with a warning, where it cannot be captured."""
    start = [part.clone() for part in loop.carried]
    try:
        return _capture(loop, drawn, start)
    except RuntimeError as error:
        warnings.warn(f"no CUDA graph, speaking step by step: {error}", stacklevel=2)
        loop.carried = start
        return loop.window


def _capture(loop: Loop, drawn: Tensor, carried: list[Tensor]) -> Window:
    """A graph reads and writes the same memory at every replay: `carried`, `inputs` and what the window made."""
    inputs, carried = drawn.clone(), [part.clone() for part in carried]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what libraries set up at their first call may not be captured
        loop.window(inputs)
    torch.cuda.current_stream().wait_stream(aside)
    loop.carried = carried
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = loop.window(inputs)
        for before, after in zip(carried, loop.carried, strict=True):
            before.copy_(after)

    def replay(drawn: Tensor) -> tuple[Tensor, ...]:
        inputs.copy_(drawn)
        graph.replay()
        return tuple(part.clone() for part in made)

    return replay
