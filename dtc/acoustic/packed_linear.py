"""Linear layers in a number format that takes less memory, for a decoder that computes frame by frame.

For one utterance, every frame reads all weights of the decoder, so memory bandwidth limits the speed: half the bytes
take half the time. Activations, sums and states are float32 in every format.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from dtc.acoustic.configs import WeightFormat
from dtc.errors import Notice

Linear = Callable[[Float[Tensor, "rows into"]], Float[Tensor, "rows out"]]


def packed_linear(
    weight: Float[Tensor, "out into"], bias: Float[Tensor, " out"], weight_format: WeightFormat
) -> Linear:
    """Return the layer as a function.

    On a CPU, float16 and int8 need PyTorch's library fbgemm; where it is missing, the layer is float32, with a warning.
    int8 has a scale for each output. A GPU has no kernel for int8, so it is float16 there.
    """
    if weight_format == "float32":
        return _float32(weight, bias)
    if weight.device.type != "cpu":
        return _float16_on_gpu(weight, bias)
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        # The same text each time, so Python shows it once.
        text = f"{weight_format} weights need fbgemm, which this PyTorch lacks: using float32"
        warnings.warn(text, Notice, stacklevel=2)
        return _float32(weight, bias)
    return _float16_on_cpu(weight, bias) if weight_format == "float16" else _int8_on_cpu(weight, bias)


def _float32(weight: Tensor, bias: Tensor) -> Linear:
    columns = weight.T.contiguous()  # for one row of input a CPU reads this layout nearly twice as fast
    return lambda inputs: torch.addmm(bias, inputs, columns)


def _float16_on_gpu(weight: Tensor, bias: Tensor) -> Linear:
    half, half_bias = weight.half(), bias.half()
    return lambda inputs: torch.nn.functional.linear(inputs.half(), half, half_bias).float()


def _float16_on_cpu(weight: Tensor, bias: Tensor) -> Linear:
    packed = torch.ops.quantized.linear_prepack_fp16(weight.float(), bias.float())
    return lambda inputs: torch.ops.quantized.linear_dynamic_fp16(inputs, packed)


def _int8_on_cpu(weight: Tensor, bias: Tensor) -> Linear:
    scales = weight.abs().amax(dim=1).clamp(min=1e-8).double() / 127.0
    rounded = torch.quantize_per_channel(weight.float(), scales, torch.zeros_like(scales).long(), 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(rounded, bias.float())
    # Activations have seven bits: with eight, AVX2's sums of pairs can overflow 16 bits.
    return lambda inputs: torch.ops.quantized.linear_dynamic(inputs, packed, reduce_range=True)
