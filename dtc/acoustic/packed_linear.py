"""Linear layers made ready for many small inputs: what a decoder needs that speaks frame by frame.

One utterance reads all weights of the decoder for every frame, so memory bandwidth is what counts: half the bytes are
half the time. Activations, sums and states are float32 in each precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Precision = Literal["float32", "float16", "int8"]  # of the weights
Linear = Callable[[Float[Tensor, "rows into"]], Float[Tensor, "rows out"]]


def packed_linear(weight: Float[Tensor, "out into"], bias: Float[Tensor, " out"], precision: Precision) -> Linear:
    """The layer as a function. int8 has a scale for each output; on a GPU, which has no such kernel, it is float16."""
    if precision == "float32":
        return _plain(weight, bias)
    if weight.device.type != "cpu":
        return _in_half_precision(weight, bias)
    return _packed_float16(weight, bias) if precision == "float16" else _packed_int8(weight, bias)


def _plain(weight: Tensor, bias: Tensor) -> Linear:
    columns = weight.T.contiguous()  # for one row of input the CPU reads this layout nearly twice as fast
    return lambda inputs: torch.addmm(bias, inputs, columns)


def _in_half_precision(weight: Tensor, bias: Tensor) -> Linear:
    half, half_bias = weight.half(), bias.half()
    return lambda inputs: torch.nn.functional.linear(inputs.half(), half, half_bias).float()


def _packed_float16(weight: Tensor, bias: Tensor) -> Linear:
    packed = torch.ops.quantized.linear_prepack_fp16(weight.float(), bias.float())
    return lambda inputs: torch.ops.quantized.linear_dynamic_fp16(inputs, packed)


def _packed_int8(weight: Tensor, bias: Tensor) -> Linear:
    scales = weight.abs().amax(dim=1).clamp(min=1e-8).double() / 127.0
    rounded = torch.quantize_per_channel(weight.float(), scales, torch.zeros_like(scales).long(), 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(rounded, bias.float())
    # Seven bits of activation: without them AVX2's sums of pairs can overflow 16 bits.
    return lambda inputs: torch.ops.quantized.linear_dynamic(inputs, packed, reduce_range=True)
