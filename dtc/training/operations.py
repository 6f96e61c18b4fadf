"""The operations that PyTorch's counter, torch.utils.flop_counter, passes over: each as a function of its shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch


def _lstm(inputs: Sequence[int], weight_ih: Sequence[int], *rest: object, **options: object) -> int:
    """Return the operations of a pass over (steps, batch, into): a product with each weight at each step."""
    steps, batch, into = inputs
    gates = weight_ih[0]
    return 2 * steps * batch * gates * (into + gates // 4)


UNCOUNTED: dict[Any, Callable[..., int]] = {
    torch.ops.aten.addmm_: lambda sums, left, right, **options: 2 * prod(left) * right[1],
    torch.ops.aten.baddbmm_: lambda sums, left, right, **options: 2 * prod(left) * right[2],
    torch.ops.aten.mkldnn_rnn_layer: _lstm,
    # The backward pass makes two products of each.
    torch.ops.aten.mkldnn_rnn_layer_backward: lambda *shapes, **options: 2 * _lstm(*shapes),
}
if torch.backends.mkldnn.is_available():  # of dtc.bfloat16
    UNCOUNTED[torch.ops.mkldnn._linear_pointwise] = lambda rows, *rest, out_shape, **options: (
        2 * prod(out_shape) * rows[-1]
    )
