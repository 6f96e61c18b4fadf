"""WaveGlow's network for inference on a CPU: the results of `WaveNet.forward`, up to rounding, in less time.

The dilated convolutions are most of WaveGlow's time, as they are computed for each group of samples. With 256 channels
on one core, `WaveNet.forward` takes 1.4 times as long as this file, which uses three facts that a general convolution
cannot use:

1. All dilated convolutions have three taps. Winograd's minimal filtering F(4, 3) computes 4 outputs of such a
   convolution with 6 products instead of 12. Here a product is a matrix product over all channels, so the additions
   before and after are cheap. The algorithm evaluates kernel and input as polynomials at the points 0, ±1, ±2 and
   infinity, multiplies the values, and interpolates the product. Source: Lavin & Gray 2016 (arXiv:1509.09308).
2. With positions as rows and channels as columns, the inputs of any dilation are whole rows, so nothing is copied to
   gather them, and sums (condition, skip connections, residuals) are added up by the matrix products themselves.
3. tanh x = 2 (sigmoid 2x - 1/2), and sigmoid takes a fifth of the time of tanh. Both factors 2 are multiplied into the
   weights in advance.

Only matrix products, additions and sigmoid are used. No library or instruction set is required in particular.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dtc.vocoder.wavenet_weights import Convolution, WaveNetWeights

TAPS, OUTPUTS, PRODUCTS = 3, 4, 6
# Row p gives the value of a kernel (k0, k1, k2) at point p, with the constant factors of the interpolation in it.
POINTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


class Workspace(NamedTuple):
    """Memory for the intermediate results of `add_convolved`, for a quarter of the outputs or more."""

    tiles: Float[Tensor, "8 quarter into"]  # inputs at the six points, and two that are used to compute them
    products: Float[Tensor, "6 quarter out"]


class _Layer(NamedTuple):
    kernels: Float[Tensor, "6 width gates"]
    conditioning: Convolution  # its bias includes that of the dilated convolution
    skip: Float[Tensor, "width width"]
    residual: Float[Tensor, "width width"] | None  # the last layer has none
    residual_bias: Float[Tensor, " width"]


class WaveNetOnCPU:
    """The network with prepared weights, for dilated convolutions with three taps."""

    def __init__(self, weights: WaveNetWeights) -> None:
        self.start, self.end, self.positions_per_frame = weights.start, weights.end, weights.positions_per_frame
        self.width = width = len(self.start.bias)
        self.padding = weights.conditions[0].weight.shape[2] // 2
        doubled = torch.ones_like(self.start.bias).repeat(2)[:, None, None]  # factor of the inputs of signal and gate
        doubled[:width] = 2.0
        self.layers = [
            _Layer(
                kernels=transformed(own.weight * doubled),
                conditioning=Convolution(weight * doubled, (bias + own.bias) * doubled[:, 0, 0]),
                skip=2.0 * output.weight[-width:, :, 0].T.contiguous(),
                residual=2.0 * output.weight[:width, :, 0].T.contiguous() if len(output.bias) > width else None,
                residual_bias=output.bias[:width],
            )
            for own, (weight, bias), output in zip(
                weights.dilated, weights.conditions, weights.residual_skip, strict=True
            )
        ]
        self.skip_bias = torch.stack([output.bias[-width:] for output in weights.residual_skip]).sum(0)

    def __call__(
        self, half: Float[Tensor, "half positions"], condition: Float[Tensor, "conditions time"]
    ) -> Float[Tensor, "changes positions"]:
        """Return the shift, and after it the logarithm of the scale, of one clip."""
        positions, width, margin = half.shape[1], self.width, 2 ** (len(self.layers) - 1)
        whole_blocks = -(-positions // (OUTPUTS * margin)) * OUTPUTS * margin  # of the largest dilation, so of all
        padded = half.new_zeros(margin + whole_blocks + margin, width)
        hidden = padded[margin : margin + positions]
        torch.addmm(self.start.bias, half.T, self.start.weight[:, :, 0].T, out=hidden)
        gates, gated = half.new_zeros(whole_blocks, 2 * width), torch.empty_like(hidden)
        workspace = Workspace(
            half.new_empty(PRODUCTS + 2, whole_blocks // OUTPUTS, width),
            half.new_empty(PRODUCTS, whole_blocks // OUTPUTS, 2 * width),
        )
        skipped = self.skip_bias.repeat(positions, 1)
        condition = F.pad(condition, (self.padding, self.padding)).T
        for number, layer in enumerate(self.layers):
            dilation = 2**number
            self._set_condition(condition, layer.conditioning, gates[:positions])
            blocks = -(-positions // (OUTPUTS * dilation))
            sums = gates[: OUTPUTS * blocks * dilation]
            add_convolved(padded[margin - dilation :], layer.kernels, dilation, sums, workspace)
            signal, gate = gates[:positions].sigmoid_().chunk(2, dim=1)
            torch.mul(signal.sub_(0.5), gate, out=gated)
            skipped.addmm_(gated, layer.skip)
            if layer.residual is not None:
                hidden.add_(layer.residual_bias).addmm_(gated, layer.residual)
        return torch.addmm(self.end.bias[:, None], self.end.weight[:, :, 0], skipped.T)

    def _set_condition(
        self,
        condition: Float[Tensor, "padded conditions"],
        conditioning: Convolution,
        gates: Float[Tensor, "positions gates"],
    ) -> None:
        """Set `gates` to the convolved condition, interpolated between frames as by `interpolated`."""
        weight, bias = conditioning
        time, per_frame = len(condition) - weight.shape[2] + 1, self.positions_per_frame
        frames = gates if per_frame == 1 else gates.new_empty(time, gates.shape[1])
        torch.addmm(bias, condition[:time], weight[:, :, 0].T, out=frames)
        for tap in range(1, weight.shape[2]):
            frames.addmm_(condition[tap : tap + time], weight[:, :, tap].T)
        if per_frame > 1:
            following = torch.cat((frames[1:], frames[-1:]))
            share = (torch.arange(per_frame)[:, None] + 0.5) / per_frame
            torch.lerp(frames[:, None], following[:, None], share, out=gates.unflatten(0, (time, per_frame)))


def transformed(weight: Float[Tensor, "out into 3"]) -> Float[Tensor, "6 into out"]:
    """Return the values of a kernel at the six points."""
    points = torch.tensor(POINTS, dtype=torch.float64)
    return torch.einsum("pk,oik->pio", points, weight.double()).to(weight)


def add_convolved(
    rows: Float[Tensor, "rows into"],
    kernels: Float[Tensor, "6 into out"],
    dilation: int,
    sums: Float[Tensor, "sums out"],
    workspace: Workspace,
) -> None:
    """Add a convolution to `sums`: row i of it is Σ over taps k of rows[i + k * dilation] times tap k of the kernel.

    The outputs are computed in blocks of 4 * dilation, from 6 * dilation rows each; `sums` must be a whole number of
    blocks. Within a block, output j of 4 and input j of 6 are `dilation` rows that are computed together.

    Args:
        rows: inputs; at least 2 * dilation rows more than `sums`.
        kernels: the kernel at the six points, from `transformed`.
        dilation: distance of the taps in rows.
        sums: outputs, to which the result is added.
        workspace: memory for intermediate results.
    """
    blocks = len(sums) // (OUTPUTS * dilation)
    x = rows[: (OUTPUTS * blocks + 2) * dilation].unfold(0, PRODUCTS * dilation, OUTPUTS * dilation).mT
    tiles = workspace.tiles[:, : blocks * dilation]
    _set_inputs_at_points(x.unflatten(1, (PRODUCTS, dilation)), tiles.unflatten(1, (blocks, dilation)))
    outputs = _outputs(tiles, kernels, workspace.products[:, : blocks * dilation])
    places = sums.unflatten(0, (blocks, OUTPUTS, dilation))
    for number, output in enumerate(outputs):
        places[:, number].add_(output.unflatten(0, (blocks, dilation)))


def _set_inputs_at_points(
    inputs: Float[Tensor, "blocks 6 dilation into"], tiles: Float[Tensor, "8 blocks dilation into"]
) -> None:
    """Set the first six tiles to the inputs at the points 0, 1, -1, 2, -2 and infinity; the last two are memory.

    t0 = 4 x0 - 5 x2 + x4            t1, t2 = (x4 - 4 x2) ± (x3 - 4 x1)
    t5 = 4 x1 - 5 x3 + x5            t3, t4 = (x4 - x2) ± 2 (x3 - x1)
    """
    x = inputs.unbind(1)
    *t, a, b = tiles
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


def _outputs(
    tiles: Float[Tensor, "8 rows into"], kernels: Float[Tensor, "6 into out"], products: Float[Tensor, "6 rows out"]
) -> tuple[Tensor, ...]:
    """Return the four outputs (rows, out) of the products m = t · kernel at the six points.

    y0 = m0 + (m1 + m2) + (m3 + m4)      y2 = (m1 + m2) + 4 (m3 + m4)
    y1 = (m1 - m2) + 2 (m3 - m4)         y3 = (m1 - m2) + 8 (m3 - m4) + m5
    """
    t, p = tiles.unbind(), products.unbind()
    for number in (1, 2, 3, 4):
        torch.mm(t[number], kernels[number], out=p[number])
    torch.add(p[1], p[2], out=p[0])
    p[1].sub_(p[2])
    torch.add(p[3], p[4], out=p[2])
    p[3].sub_(p[4])
    return (
        torch.add(p[0], p[2], out=p[4]).addmm_(t[0], kernels[0]),
        torch.add(p[1], p[3], alpha=2, out=p[5]),
        p[0].add_(p[2], alpha=4),
        p[1].add_(p[3], alpha=8).addmm_(t[5], kernels[5]),
    )
