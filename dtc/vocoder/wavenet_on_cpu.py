"""WaveGlow's network where it only speaks, on a CPU: the same sums with fewer multiplications.

Positions are rows here, so that whatever a dilation asks for is whole rows. A convolution of three taps makes four
outputs of six products instead of twelve: Winograd's minimal filtering F(4, 3) at the points 0, ±1, ±2 and infinity.
Source: Lavin & Gray 2016 (arXiv:1509.09308). What is added up anyhow, the products add to; and tanh x, which costs five
times as much as a sigmoid, is 2 (sigmoid 2x - 1/2), both factors of which are in the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

TAPS, OUTPUTS, PRODUCTS = 3, 4, 6
POINTS = (
    (1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1),
)  # fmt: skip


class Convolution(NamedTuple):
    """What one is made of."""

    weight: Float[Tensor, "out into kernel"]
    bias: Float[Tensor, " out"]


class _Layer(NamedTuple):
    kernels: Float[Tensor, "6 width gates"]
    conditioning: Convolution  # its bias is also the dilated convolution's
    skip: Float[Tensor, "width width"]
    residual: Float[Tensor, "width width"] | None  # the last layer's would go nowhere
    residual_bias: Float[Tensor, " width"]


class WaveNetOnCPU:
    """The network's weights made ready; layer i has dilation 2**i and three taps."""

    def __init__(
        self,
        start: Convolution,
        conditioning: Convolution,
        dilated: Sequence[Convolution],
        residual_skip: Sequence[Convolution],
        end: Convolution,
        positions_per_frame: int,
    ) -> None:
        self.start, self.end, self.positions_per_frame = start, end, positions_per_frame
        self.width = width = len(start.bias)
        self.padding = conditioning.weight.shape[2] // 2
        doubled = torch.ones_like(start.bias).repeat(2)[:, None, None]  # of the gates, where they are the signal
        doubled[:width] = 2.0
        heard = zip(conditioning.weight.split(2 * width), conditioning.bias.split(2 * width), strict=True)
        self.layers = [
            _Layer(
                kernels=transformed(own.weight * doubled),
                conditioning=Convolution(weight * doubled, (bias + own.bias) * doubled[:, 0, 0]),
                skip=2.0 * said.weight[-width:, :, 0].T.contiguous(),
                residual=2.0 * said.weight[:width, :, 0].T.contiguous() if len(said.bias) > width else None,
                residual_bias=said.bias[:width],
            )
            for own, (weight, bias), said in zip(dilated, heard, residual_skip, strict=True)
        ]
        self.skip_bias = torch.stack([said.bias[-width:] for said in residual_skip]).sum(0)

    def __call__(
        self, half: Float[Tensor, "half positions"], heard: Float[Tensor, "heard time"]
    ) -> Float[Tensor, "changes positions"]:
        """Shift, and below it the logarithm of the scale, of one clip."""
        positions, width, margin = half.shape[1], self.width, 2 ** (len(self.layers) - 1)
        whole_blocks = -(-positions // (OUTPUTS * margin)) * OUTPUTS * margin  # of the largest dilation, so of all
        padded = half.new_zeros(margin + whole_blocks + margin, width)
        hidden = padded[margin : margin + positions]
        torch.addmm(self.start.bias, half.T, self.start.weight[:, :, 0].T, out=hidden)
        gates, said = half.new_zeros(whole_blocks, 2 * width), torch.empty_like(hidden)
        tiles = half.new_empty(PRODUCTS + 2, whole_blocks // OUTPUTS, width)
        products = half.new_empty(PRODUCTS, whole_blocks // OUTPUTS, 2 * width)
        skipped = self.skip_bias.repeat(positions, 1)
        heard = F.pad(heard, (self.padding, self.padding)).T
        for number, layer in enumerate(self.layers):
            dilation = 2**number
            self._hear(heard, layer.conditioning, gates[:positions])
            blocks = -(-positions // (OUTPUTS * dilation))
            add_convolved(padded[margin - dilation :], layer.kernels, dilation, blocks, gates, tiles, products)
            signal, gate = gates[:positions].sigmoid_().chunk(2, dim=1)
            torch.mul(signal.sub_(0.5), gate, out=said)
            skipped.addmm_(said, layer.skip)
            if layer.residual is not None:
                hidden.add_(layer.residual_bias).addmm_(said, layer.residual)
        return torch.addmm(self.end.bias[:, None], self.end.weight[:, :, 0], skipped.T)

    def _hear(
        self, heard: Float[Tensor, "padded heard"], conditioning: Convolution, gates: Float[Tensor, "positions gates"]
    ) -> None:
        """Set `gates` to what the network hears; between frames as `waveglow.interpolated` has it."""
        weight, bias = conditioning
        time, per_frame = len(heard) - weight.shape[2] + 1, self.positions_per_frame
        frames = gates if per_frame == 1 else gates.new_empty(time, gates.shape[1])
        torch.addmm(bias, heard[:time], weight[:, :, 0].T, out=frames)
        for tap in range(1, weight.shape[2]):
            frames.addmm_(heard[tap : tap + time], weight[:, :, tap].T)
        if per_frame > 1:
            following = torch.cat((frames[1:], frames[-1:]))
            share = (torch.arange(per_frame)[:, None] + 0.5) / per_frame
            torch.lerp(frames[:, None], following[:, None], share, out=gates.unflatten(0, (time, per_frame)))


def transformed(weight: Float[Tensor, "out into 3"]) -> Float[Tensor, "6 into out"]:
    """The kernel at the six points."""
    points = torch.tensor(POINTS, dtype=torch.float64)
    return torch.einsum("pk,oik->pio", points, weight.double()).to(weight)


def add_convolved(
    rows: Float[Tensor, "rows into"],
    kernels: Float[Tensor, "6 into out"],
    dilation: int,
    blocks: int,
    sums: Float[Tensor, "sums out"],
    tiles: Float[Tensor, "8 quarter into"],
    products: Float[Tensor, "6 quarter out"],
) -> None:
    """sums[i] += rows[i] · tap 0 + rows[i + dilation] · tap 1 + rows[i + 2 · dilation] · tap 2, for whole blocks.

    A block is 4 · dilation outputs, of 6 · dilation rows. `tiles` and `products` are room to work in, for a quarter of
    the outputs and more.
    """
    x = rows[: (OUTPUTS * blocks + 2) * dilation].unfold(0, PRODUCTS * dilation, OUTPUTS * dilation).mT
    x = x.unflatten(1, (PRODUCTS, dilation)).unbind(1)  # six times (blocks, dilation, into)
    *t, a, b = tiles[:, : blocks * dilation].unflatten(1, (blocks, dilation))
    torch.sub(x[4], x[2], alpha=4, out=a)
    torch.sub(x[3], x[1], alpha=4, out=b)
    torch.add(a, b, out=t[1])
    torch.sub(a, b, out=t[2])
    torch.sub(x[4], x[2], out=a)
    torch.sub(x[3], x[1], out=b)
    torch.add(a, b, alpha=2, out=t[3])
    torch.sub(a, b, alpha=2, out=t[4])
    torch.add(a, torch.sub(x[0], x[2], out=t[0]), alpha=4, out=t[0])
    torch.sub(x[5], x[3], out=t[5]).sub_(b, alpha=4)

    t = [each.flatten(0, 1) for each in t]
    p = products[:, : blocks * dilation].unbind()
    for number in (1, 2, 3, 4):
        torch.mm(t[number], kernels[number], out=p[number])
    torch.add(p[1], p[2], out=p[0])
    p[1].sub_(p[2])
    torch.add(p[3], p[4], out=p[2])
    p[3].sub_(p[4])
    outputs = (
        torch.add(p[0], p[2], out=p[4]).addmm_(t[0], kernels[0]),
        torch.add(p[1], p[3], alpha=2, out=p[5]),
        p[0].add_(p[2], alpha=4),
        p[1].add_(p[3], alpha=8).addmm_(t[5], kernels[5]),
    )
    places = sums[: OUTPUTS * blocks * dilation].unflatten(0, (blocks, OUTPUTS, dilation))
    for number, output in enumerate(outputs):
        places[:, number].add_(output.unflatten(0, (blocks, dilation)))
