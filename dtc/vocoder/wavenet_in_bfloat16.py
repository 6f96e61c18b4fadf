"""WaveGlow's network for inference in bfloat16 on a CPU: the results of `WaveNet.forward` in half the time.

Positions are rows and channels are columns. The gates of a layer are one product: a row of its inputs has the hidden
channels at all taps and the condition. So the condition is neither convolved on its own nor added, and the gates are
rounded once, after the activation. `wavenet_on_cpu` saves products instead, by differences of its inputs; bfloat16 has
too few digits for them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dtc.bfloat16 import PackedLinear
from dtc.vocoder.wavenet_weights import Convolution, WaveNetWeights, interpolated


class _Layer(NamedTuple):
    signal: PackedLinear
    gate: PackedLinear
    output: PackedLinear  # residual and skip


class WaveNetInBFloat16:
    """The network with prepared weights."""

    def __init__(self, weights: WaveNetWeights) -> None:
        self.start, self.end, self.positions_per_frame = weights.start, weights.end, weights.positions_per_frame
        self.width, self.taps = len(self.start.bias), weights.dilated[0].weight.shape[2]
        self.frames = weights.conditions[0].weight.shape[2]
        layers = zip(weights.dilated, weights.conditions, weights.residual_skip, strict=True)
        self.layers = [self._layer(*convolutions) for convolutions in layers]

    def _layer(self, own: Convolution, condition: Convolution, output: Convolution) -> _Layer:
        weight = torch.cat([own.weight.transpose(1, 2).flatten(1), condition.weight.flatten(1)], dim=1)
        (signal, gate), biases = weight.T.chunk(2, dim=1), (own.bias + condition.bias).chunk(2)
        missing = 2 * self.width - len(output.bias)  # the residual of the last layer
        last = PackedLinear(F.pad(output.weight[:, :, 0].T, (missing, 0)), F.pad(output.bias, (missing, 0)))
        return _Layer(PackedLinear(signal, biases[0], "tanh"), PackedLinear(gate, biases[1], "sigmoid"), last)

    def __call__(
        self, half: Float[Tensor, "half positions"], condition: Float[Tensor, "conditions time"]
    ) -> Float[Tensor, "changes positions"]:
        """Return the shift, and after it the logarithm of the scale, of one clip, in float32."""
        with torch.autocast("cpu", enabled=False):
            width, positions = self.width, half.shape[1]
            margin = (self.taps // 2) * 2 ** (len(self.layers) - 1)
            padded = half.new_zeros(margin + positions + margin, 2 * width, dtype=torch.bfloat16)
            sums = padded[margin : margin + positions]  # of the residuals and of the skip connections
            sums[:, :width] = torch.addmm(self.start.bias, half.T, self.start.weight[:, :, 0].T)
            rows = self._condition_rows(condition)
            inputs = torch.cat([rows.new_empty(positions, self.taps * width), rows], dim=1)
            for number, layer in enumerate(self.layers):
                for tap in range(self.taps):
                    first = margin + (tap - self.taps // 2) * 2**number
                    inputs[:, tap * width : (tap + 1) * width] = padded[first : first + positions, :width]
                sums.copy_(layer.output.added(layer.signal(inputs).mul_(layer.gate(inputs)), sums))
            return torch.addmm(self.end.bias[:, None], self.end.weight[:, :, 0], sums[:, width:].float().T)

    def _condition_rows(self, condition: Float[Tensor, "conditions time"]) -> Float[Tensor, "positions columns"]:
        """Return the condition of each position, at all taps of its convolution, in bfloat16."""
        half = self.frames // 2
        columns = F.pad(condition.float(), (half, half)).unfold(1, self.frames, 1).transpose(1, 2).flatten(0, 1)
        if self.positions_per_frame > 1:
            columns = interpolated(columns[None], self.positions_per_frame)[0]
        return columns.T.bfloat16()
