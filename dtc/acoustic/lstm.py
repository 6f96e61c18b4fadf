"""LSTMs: one step, and whole sequences in the number format of autocast on a CPU.

There, PyTorch's own LSTM is no choice in bfloat16: it fails without arithmetic in bfloat16; with it, its backward pass
takes twice as long as the one here (measured), and sequences of several lengths take longer still.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dtc.acoustic.deferred_gradients import LoopProduct
from dtc.batch import mask_of, time_reversed

Weights = Sequence[Tensor]  # of the inputs and of the hidden state, and their biases, as in nn.LSTM.all_weights


def run_lstms(
    lstms: Sequence[nn.LSTM], inputs: Float[Tensor, "steps decoders batch into"]
) -> Float[Tensor, "steps decoders batch hidden"]:
    """Return the outputs of each decoder's LSTM over its whole sequence."""
    if is_step_by_step(inputs):
        return _step_by_step([each.all_weights[0] for each in lstms], inputs.unbind(1))
    return torch.stack([each(inputs[:, number])[0] for number, each in enumerate(lstms)], dim=1)


def run_both_directions(
    lstm: nn.LSTM, inputs: Float[Tensor, "batch time into"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch time outputs"]:
    """Return the outputs of a bidirectional LSTM, which are 0 beyond each length."""
    time = inputs.shape[1]
    if is_step_by_step(inputs):
        directions = inputs, time_reversed(inputs, lengths, dim=1)
        output = _step_by_step(lstm.all_weights, [each.transpose(0, 1) for each in directions])
        forward, backward = output.permute(1, 2, 0, 3)  # (batch, time, hidden) each
        forward = forward * mask_of(lengths, time)[:, :, None]
        return torch.cat([forward, time_reversed(backward, lengths, dim=1)], dim=2)
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    output, _ = lstm(packed)
    return nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=time)[0]


def is_step_by_step(inputs: Tensor) -> bool:
    """Return whether LSTMs are computed by this file: under autocast on a CPU."""
    return inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def _step_by_step(
    weights: Sequence[Weights], inputs: Sequence[Float[Tensor, "steps batch into"]]
) -> Float[Tensor, "steps lstms batch hidden"]:
    """Return the outputs of several LSTMs over their sequences, computed side by side."""
    shares = [
        F.linear(sequence, weight, bias_ih + bias_hh)
        for sequence, (weight, _, bias_ih, bias_hh) in zip(inputs, weights, strict=True)
    ]
    dtype = product_dtype(inputs[0])  # the weights are rounded first: their copies are half as large
    recurrent = LoopProduct(torch.stack([weight.to(dtype) for _, weight, _, _ in weights]).transpose(1, 2))
    gates = torch.stack(shares, dim=1)
    hidden = cell = gates.new_zeros(*gates.shape[1:3], gates.shape[3] // 4, dtype=torch.float32)
    hiddens = []
    for share in gates.unbind():
        hidden, cell = lstm_step(share + recurrent(hidden), cell)
        hiddens.append(hidden)
    return torch.stack(hiddens)


def lstm_step(
    gates: Float[Tensor, "*rows gates"], cell: Float[Tensor, "*rows hidden"]
) -> tuple[Float[Tensor, "*rows hidden"], Float[Tensor, "*rows hidden"]]:
    """Return hidden and cell state after one step, from the gates in PyTorch's order: in, forget, candidate, out."""
    into, forget, candidate, out = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(candidate)
    return torch.sigmoid(out) * torch.tanh(cell), cell


def product_dtype(values: Tensor) -> torch.dtype:
    """Return the dtype of the products in a loop: autocast's where it is on. States between steps stay float32."""
    device = values.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else values.dtype
