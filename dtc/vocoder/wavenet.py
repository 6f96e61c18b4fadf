"""The WaveNet in each flow of WaveGlow, and its weight-normalised convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dtc import bfloat16
from dtc.caching import CachingModule
from dtc.vocoder.configs import WaveNetConfig
from dtc.vocoder.wavenet_in_bfloat16 import WaveNetInBFloat16
from dtc.vocoder.wavenet_on_cpu import TAPS, WaveNetOnCPU
from dtc.vocoder.wavenet_weights import Convolution, WaveNetWeights, interpolated

Values = Float[Tensor, "batch channels positions"]  # a position is a group of samples, which are its channels
Condition = Float[Tensor, "batch conditions time"]  # features of the mel; time is positions or frames


class Conditioning(NamedTuple):
    """Shape of the condition, and of the convolution that weights it for the network."""

    channels: int
    kernel_size: int
    positions_per_frame: int  # 1: the condition has a value for each position already


class WaveNet(CachingModule):
    """Computes shift and scale of half of the channels from the other half and the condition.

    Source: van den Oord et al. 2016 (arXiv:1609.03499), with the sizes of WaveGlow.
    """

    def __init__(self, channels: int, conditioning: Conditioning, config: WaveNetConfig) -> None:
        super().__init__()
        self.positions_per_frame, self.kernel_size = conditioning.positions_per_frame, config.kernel_size
        width, layers, kernel = config.num_channels, config.num_layers, config.kernel_size
        self.start = NormedConvolution(channels, width)
        # One convolution for all layers; layer i has the output channels from 2 * width * i on.
        self.conditioning = NormedConvolution(conditioning.channels, 2 * width * layers, conditioning.kernel_size)
        self.dilated = nn.ModuleList(NormedConvolution(width, 2 * width, kernel, 2**layer) for layer in range(layers))
        sizes = [2 * width] * (layers - 1) + [width]  # the residual output of the last layer would not be used
        self.residual_skip = nn.ModuleList(NormedConvolution(width, size) for size in sizes)
        self.end = nn.Conv1d(width, 2 * channels, 1)
        for parameter in self.end.parameters():  # scale 1 and shift 0: an untrained flow only mixes channels
            nn.init.zeros_(parameter)

    def forward(self, half: Values, condition: Condition) -> tuple[Values, Values]:
        """Return the shift and the logarithm of the scale, both in float32, also under autocast."""
        hidden = self.start(half)
        width, skipped = hidden.shape[1], torch.zeros_like(hidden)
        weight, bias, padding = self.conditioning.weight(), self.conditioning.bias, self.conditioning.padding
        for layer, (dilated, residual_skip) in enumerate(zip(self.dilated, self.residual_skip, strict=True)):
            # The condition is convolved layer by layer: for all layers at once it would take most of the memory.
            own = slice(2 * width * layer, 2 * width * (layer + 1))
            conditioned = F.conv1d(condition, weight[own], bias[own], padding=padding)
            if self.positions_per_frame > 1:
                conditioned = interpolated(conditioned, self.positions_per_frame)
            signal, gate = (dilated(hidden) + conditioned).chunk(2, dim=1)
            output = residual_skip(signal.tanh() * gate.sigmoid())
            skipped = skipped + output[:, -width:]
            if output.shape[1] > width:
                hidden = hidden + output[:, :width]
        shift, log_scale = self.end(skipped).float().chunk(2, dim=1)
        return shift, log_scale

    def infer(self, half: Values, condition: Condition) -> tuple[Values, Values]:
        """Return `forward`, on a CPU by one of its own networks, whose results are rounded differently.

        Those are used without gradients and export: `WaveNetInBFloat16` under autocast to bfloat16, and `WaveNetOnCPU`
        without autocast, for kernels of 3.
        """
        own = None if torch.is_grad_enabled() or torch.onnx.is_in_onnx_export() else self._own_network(half.device)
        if own is None:
            return self(half, condition)
        network = self.cached(lambda: own(self._weights()), own)
        changes = torch.stack([network(*clip) for clip in zip(half, condition, strict=True)])
        shift, log_scale = changes.chunk(2, dim=1)
        return shift, log_scale

    def _own_network(self, device: torch.device) -> type[WaveNetOnCPU] | type[WaveNetInBFloat16] | None:
        if torch.is_autocast_enabled(device.type):
            is_bfloat16 = torch.get_autocast_dtype(device.type) == torch.bfloat16
            return WaveNetInBFloat16 if is_bfloat16 and bfloat16.is_supported(device) else None
        return WaveNetOnCPU if device.type == "cpu" and self.kernel_size == TAPS else None

    def _weights(self) -> WaveNetWeights:
        gates = 2 * len(self.start.bias)
        conditions = (each.split(gates) for each in self.conditioning.convolution())
        dilated, residual_skip = (
            [layer.convolution() for layer in cast(Iterable[NormedConvolution], layers)]
            for layers in (self.dilated, self.residual_skip)
        )
        return WaveNetWeights(
            self.start.convolution(),
            [Convolution(*each) for each in zip(*conditions, strict=True)],
            dilated,
            residual_skip,
            Convolution(self.end.weight, cast(Tensor, self.end.bias)),
            self.positions_per_frame,
        )


class NormedConvolution(CachingModule):
    """A convolution that keeps the length, with weight normalisation: norm and direction of each output's weights.

    Source: Salimans & Kingma 2016 (arXiv:1602.07868).
    """

    def __init__(self, into: int, out: int, kernel_size: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.dilation, self.padding = dilation, dilation * (kernel_size // 2)
        bound = (into * kernel_size) ** -0.5  # as nn.Conv1d draws weights and biases
        self.weight_v = nn.Parameter(torch.empty(out, into, kernel_size).uniform_(-bound, bound))
        self.weight_g = nn.Parameter(row_norms(self.weight_v.detach()))
        self.bias = nn.Parameter(torch.empty(out).uniform_(-bound, bound))

    def forward(self, inputs: Float[Tensor, "batch into positions"]) -> Float[Tensor, "batch out positions"]:
        """Return the convolution, of the same length as the input."""
        return F.conv1d(inputs, self.weight(), self.bias, padding=self.padding, dilation=self.dilation)

    def weight(self) -> Float[Tensor, "out into kernel"]:
        """Return the product of norm and direction; it is computed once for inference."""
        return self.cached(lambda: self.weight_v * (self.weight_g / row_norms(self.weight_v)))

    def convolution(self) -> Convolution:
        """Return weight and bias."""
        return Convolution(self.weight(), self.bias)


def row_norms(weight: Float[Tensor, "out into kernel"]) -> Float[Tensor, "out 1 1"]:
    """Return the Euclidean norm of the weights of each output channel."""
    return torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
