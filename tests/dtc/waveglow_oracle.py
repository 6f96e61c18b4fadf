"""WaveGlow's analysis in numpy and float64, from a state_dict with NVIDIA's names: an independent oracle.

It follows section 2 of the paper (arXiv:1811.00002) and NVIDIA's parameters, one clip at a time, and shares no code
with dtc. With ../shared at hand, a test shows that it gives the numbers of NVIDIA's own code.
"""

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

Array = np.ndarray


class Analysis(NamedTuple):
    """Noise (group, positions), and the sums of ln s and ln|det W| of each flow."""

    z: Array
    log_scales: list[float]
    log_dets: list[float]


def analyse(state_dict: dict[str, Tensor], sizes: dict[str, Any], mel: Array, wave: Array) -> Analysis:
    """Compute the noise of one clip: mel (mels, frames) and wave (samples,)."""
    weights = {name: value.double().numpy() for name, value in state_dict.items()}
    group = sizes["n_group"]
    condition = in_groups(upsample(mel, weights["upsample.weight"], weights["upsample.bias"]), group)
    values, done, log_scales, log_dets = in_groups(wave[None], group), [], [], []
    for flow in range(sizes["n_flows"]):
        if flow and flow % sizes["n_early_every"] == 0:
            done.append(values[: sizes["n_early_size"]])
            values = values[sizes["n_early_size"] :]
        matrix = weights[f"convinv.{flow}.conv.weight"][:, :, 0]
        values = matrix @ values
        kept, changed = np.split(values, 2)
        shift, log_scale = np.split(wavenet(weights, f"WN.{flow}.", sizes["WN_config"]["n_layers"], kept, condition), 2)
        values = np.concatenate([kept, np.exp(log_scale) * changed + shift])
        log_scales.append(log_scale.sum())
        log_dets.append(values.shape[1] * np.linalg.slogdet(matrix)[1])
    return Analysis(np.concatenate([*done, values]), log_scales, log_dets)


def wavenet(weights: dict[str, Array], prefix: str, layers: int, half: Array, condition: Array) -> Array:
    """Compute what one flow does to the other half: shifts, and below them ln s."""
    hidden = convolve(half, *normed(weights, prefix + "start"))
    conditions = np.split(convolve(condition, *normed(weights, prefix + "cond_layer")), layers)
    width, skipped = len(hidden), 0.0
    for layer in range(layers):
        gates = convolve(hidden, *normed(weights, f"{prefix}in_layers.{layer}"), 2**layer) + conditions[layer]
        gated = np.tanh(gates[:width]) / (1.0 + np.exp(-gates[width:]))
        output = convolve(gated, *normed(weights, f"{prefix}res_skip_layers.{layer}"))
        skipped = skipped + output[-width:]
        if layer < layers - 1:
            hidden = hidden + output[:width]
    return convolve(skipped, weights[prefix + "end.weight"], weights[prefix + "end.bias"])


def normed(weights: dict[str, Array], name: str) -> tuple[Array, Array]:
    """Multiply out the weight normalisation."""
    direction = weights[name + ".weight_v"]
    norms = np.sqrt((direction**2).sum(axis=(1, 2), keepdims=True))
    return weights[name + ".weight_g"] * direction / norms, weights[name + ".bias"]


def convolve(values: Array, weight: Array, bias: Array, dilation: int = 1) -> Array:
    """Convolve (into, positions) with (out, into, taps), with zeros around it; the length stays."""
    taps, positions = weight.shape[2], values.shape[1]
    margin = dilation * (taps // 2)
    padded = np.pad(values, ((0, 0), (margin, margin)))
    parts = [weight[:, :, tap] @ padded[:, tap * dilation : tap * dilation + positions] for tap in range(taps)]
    return bias[:, None] + sum(parts)


def upsample(mel: Array, weight: Array, bias: Array) -> Array:
    """Spread each frame over the kernel's samples; the kernel is 4 hops long, and the end is cut."""
    kernel, frames = weight.shape[2], mel.shape[1]
    hop = kernel // 4
    out = np.zeros((weight.shape[1], (frames + 3) * hop))
    for frame in range(frames):
        out[:, frame * hop : frame * hop + kernel] += np.einsum("iok,i->ok", weight, mel[:, frame])
    return out[:, : frames * hop] + bias[:, None]


def in_groups(values: Array, group: int) -> Array:
    """(channels, samples) → (channels * group, positions): the samples of a group become neighbouring channels."""
    channels = len(values)
    return values.reshape(channels, -1, group).transpose(0, 2, 1).reshape(channels * group, -1)
