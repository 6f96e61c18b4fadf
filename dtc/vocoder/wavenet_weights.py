"""What WaveGlow's networks for inference on a CPU share: the weights that they prepare, and the interpolation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Convolution(NamedTuple):
    """Weight and bias of a convolution."""

    weight: Float[Tensor, "out into kernel"]
    bias: Float[Tensor, " out"]


class WaveNetWeights(NamedTuple):
    """The convolutions of a network; layer i has dilation 2**i."""

    start: Convolution  # with a kernel of 1
    conditions: list[Convolution]  # of each layer, to be added to the dilated convolution
    dilated: list[Convolution]
    residual_skip: list[Convolution]  # the outputs of each layer; the last one has no residual
    end: Convolution  # with a kernel of 1
    positions_per_frame: int  # the condition is interpolated to this many positions; 1: it has a value for each


def interpolated(
    values: Float[Tensor, "batch channels frames"], positions_per_frame: int
) -> Float[Tensor, "batch channels positions"]:
    """Return values of frames at positions, by linear interpolation; the value of the last frame is held to the end.

    Frame t is centred on its first sample, t * hop_length.
    """
    following = torch.cat((values[..., 1:], values[..., -1:]), dim=2)
    share = (torch.arange(positions_per_frame, device=values.device) + 0.5) / positions_per_frame
    return torch.lerp(values[..., None], following[..., None], share.to(values.dtype)).flatten(2)
