"""The decoder of Tacotron 2: frames so far, and the text → the next frames, and whether they are the last.

    previous frame ─► prenet ─► attention LSTM ⇄ attention over the text ─► decoder LSTM ─► frames, gate

Under teacher forcing only the attention recurrence is a loop over everything: the decoder LSTM never feeds it, so it
runs over the whole sequence afterwards, and so do the projection and the gate; the prenet's share of the attention
LSTM's gates is computed beforehand. For that `decoder_dropout` acts on the decoder LSTM's output, not inside its
recurrence, which makes the order of the work exact in training too.

Several decoders over the same texts run side by side, as one more axis of every tensor: "decoders".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dtc.acoustic.attention import ATTENTIONS
from dtc.acoustic.attention.base import State
from dtc.acoustic.attention.configs import AttentionSection
from dtc.acoustic.configs import DecoderConfig
from dtc.acoustic.deferred_gradients import Deferred

STEPS_PER_SEGMENT = 32  # of gradient checkpointing: what is kept of a whole segment is its first step's state


@dataclass(frozen=True)
class Decoded:
    """What several decoders made of the same texts; frames = steps * frames_per_step."""

    mel: Float[Tensor, "decoders batch mels frames"]
    gate_logits: Float[Tensor, "decoders batch steps"]
    alignments: Float[Tensor, "decoders batch steps symbols"]


class Decoder(nn.Module):
    """The weights of one decoder. `frames_per_step` is the most that it predicts in a step."""

    def __init__(
        self, n_mels: int, encoding_dim: int, frames_per_step: int, config: DecoderConfig, attention: AttentionSection
    ) -> None:
        super().__init__()
        self.n_mels, self.config = n_mels, config
        self.prenet = PreNet(n_mels, config.pre_net_dim, config.pre_net_dropout)
        self.attention_rnn = nn.LSTMCell(config.pre_net_dim + encoding_dim, attention.rnn_dim)
        self.attention = ATTENTIONS.get(attention.model)(encoding_dim, attention)
        self.decoder_rnn = nn.LSTM(attention.rnn_dim + encoding_dim, config.rnn_dim)
        self.projection = nn.Linear(config.rnn_dim + encoding_dim, n_mels * frames_per_step)
        self.gate = nn.Linear(config.rnn_dim + encoding_dim, 1)

    def share(
        self, frames: Float[Tensor, "*rows mels"], kept: Float[Tensor, "2 *rows width"] | None = None
    ) -> Float[Tensor, "*rows gates"]:
        """The share of the attention LSTM's gates that comes from the previous frame; `kept` as in the prenet."""
        cell = self.attention_rnn
        return F.linear(self.prenet(frames, kept), cell.weight_ih[:, : self.prenet.width], cell.bias_ih + cell.bias_hh)

    def recurrent(self) -> Float[Tensor, "joint gates"]:
        """The attention LSTM's weights of [context, hidden]."""
        cell = self.attention_rnn
        return torch.cat([cell.weight_ih[:, self.prenet.width :], cell.weight_hh], dim=1).T

    def project(
        self, joint: Float[Tensor, "*rows joint"], frames_per_step: int
    ) -> tuple[Float[Tensor, "*rows r mels"], Float[Tensor, "*rows"]]:
        """Frames and gate logits of [decoder LSTM's output, context]."""
        outputs = frames_per_step * self.n_mels  # the first of those that a step may have
        frames = F.linear(joint, self.projection.weight[:outputs], self.projection.bias[:outputs])
        return frames.unflatten(-1, (frames_per_step, self.n_mels)), self.gate(joint)[..., 0]


def teach(
    decoders: Sequence[Decoder],
    targets: Sequence[Float[Tensor, "batch mels frames"]],
    values: Float[Tensor, "batch symbols encoding"],
    mask: Bool[Tensor, "batch symbols"],
    frames_per_step: int,
) -> Decoded:
    """A teacher-forced pass: each decoder sees the true frames of its target, which it is to predict."""
    config, training = decoders[0].config, decoders[0].training
    previous = [previous_frames(target, frames_per_step) for target in targets]
    if training:
        previous = [_drop_frames(frames, config.frame_dropout) for frames in previous]
    shares = torch.stack([each.share(frames) for each, frames in zip(decoders, previous, strict=True)], dim=1)
    loop = _AttentionLoop(decoders, values, mask)
    kept = F.dropout(shares.new_ones(len(shares), *loop.states), config.attention_dropout, training)
    run = partial(checkpoint, loop.run, use_reentrant=False) if config.gradient_checkpointing else loop.run
    steps = [loop.start()]
    for segment in zip(shares.split(STEPS_PER_SEGMENT), kept.split(STEPS_PER_SEGMENT), strict=True):
        steps += run(*segment, steps[-1])
    steps = steps[1:]
    hidden, context = torch.stack([step.hidden for step in steps]), torch.stack([step.context for step in steps])
    output = run_lstms([each.decoder_rnn for each in decoders], torch.cat([hidden, context], dim=3))
    output = F.dropout(output, config.decoder_dropout, training)
    joint = torch.cat([output, context], dim=3)  # (T, D, B, H + E)
    projected = [each.project(joint[:, number], frames_per_step) for number, each in enumerate(decoders)]
    frames, gate_logits = (torch.stack(parts) for parts in zip(*projected, strict=True))  # (D, T, B, r, M), (D, T, B)
    mel = frames.permute(0, 2, 4, 1, 3).flatten(3)
    return Decoded(mel, gate_logits.transpose(1, 2), torch.stack([step.weights for step in steps], dim=2))


@dataclass(frozen=True)
class LoopState:
    """What one step of the attention recurrence hands to the next."""

    hidden: Float[Tensor, "decoders batch hidden"]
    cell: Float[Tensor, "decoders batch hidden"]
    context: Float[Tensor, "decoders batch encoding"]
    weights: Float[Tensor, "decoders batch symbols"]
    attention: State


class _AttentionLoop:
    """The attention LSTM and the attention of several decoders, with all that no step changes."""

    def __init__(
        self,
        decoders: Sequence[Decoder],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
    ) -> None:
        dtype = product_dtype(values)
        attentions = [each.attention for each in decoders]
        self.values, self.states = values, (len(decoders), len(values), decoders[0].attention_rnn.hidden_size)
        self.reading = type(attentions[0]).over(attentions, values, mask, dtype)
        self.recurrent = Deferred(torch.stack([each.recurrent() for each in decoders]).to(dtype))

    def start(self) -> LoopState:
        hidden, (_, symbols, encoding) = self.values.new_zeros(self.states), self.values.shape
        context, weights = (hidden.new_zeros(*self.states[:2], size) for size in (encoding, symbols))
        return LoopState(hidden, hidden, context, weights, self.reading.start())

    def run(
        self,
        shares: Float[Tensor, "steps decoders batch gates"],
        kept: Float[Tensor, "steps decoders batch hidden"],
        state: LoopState,
    ) -> list[LoopState]:
        """The states after each of some steps."""
        states = [state]
        for share, keep in zip(shares.unbind(), kept.unbind(), strict=True):
            states.append(self.step(share, keep, states[-1]))
        return states[1:]

    def step(
        self,
        share: Float[Tensor, "decoders batch gates"],
        keep: Float[Tensor, "decoders batch hidden"],
        state: LoopState,
    ) -> LoopState:
        gates = share + self.recurrent(torch.cat([state.context, state.hidden], dim=2))
        hidden, cell = lstm_step(gates, state.cell)
        hidden = hidden * keep
        weights, attention = self.reading.step(hidden, state.attention)
        context = torch.bmm(weights.transpose(0, 1), self.values).transpose(0, 1)
        return LoopState(hidden, cell, context, weights, attention)


def lstm_step(
    gates: Float[Tensor, "*rows gates"], cell: Float[Tensor, "*rows hidden"]
) -> tuple[Float[Tensor, "*rows hidden"], Float[Tensor, "*rows hidden"]]:
    """Hidden and cell state after one step, from the gates in PyTorch's order: in, forget, candidate, out."""
    into, forget, candidate, out = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(candidate)
    return torch.sigmoid(out) * torch.tanh(cell), cell


def run_lstms(
    lstms: Sequence[nn.LSTM], inputs: Float[Tensor, "steps decoders batch into"]
) -> Float[Tensor, "steps decoders batch hidden"]:
    """Each decoder's LSTM over its whole sequence."""
    if torch.is_autocast_enabled("cpu") and inputs.device.type == "cpu":
        # PyTorch's own fails in bfloat16 on a CPU without its arithmetic.
        return _run_step_by_step(lstms, inputs)
    return torch.stack([each(inputs[:, number])[0] for number, each in enumerate(lstms)], dim=1)


def _run_step_by_step(lstms: Sequence[nn.LSTM], inputs: Tensor) -> Tensor:
    weights = [each.all_weights[0] for each in lstms]  # of the input and the hidden state, and their biases
    shares = [
        F.linear(inputs[:, number], weight, bias_ih + bias_hh)
        for number, (weight, _, bias_ih, bias_hh) in enumerate(weights)
    ]
    recurrent = Deferred(torch.stack([weight.T for _, weight, _, _ in weights]).to(product_dtype(inputs)))
    hidden = cell = inputs.new_zeros(len(lstms), inputs.shape[2], lstms[0].hidden_size)
    hiddens = []
    for share in torch.stack(shares, dim=1).unbind():
        hidden, cell = lstm_step(share + recurrent(hidden), cell)
        hiddens.append(hidden)
    return torch.stack(hiddens)


def product_dtype(values: Tensor) -> torch.dtype:
    """Of the products in a loop: that of autocast where it is on. What is carried from step to step stays float32."""
    device = values.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else values.dtype


def previous_frames(
    target: Float[Tensor, "batch mels frames"], frames_per_step: int
) -> Float[Tensor, "steps batch mels"]:
    """Input of every step: the last frame of the step before; silence's mean (0) before the first."""
    steps = -(-target.shape[2] // frames_per_step)
    last = target[:, :, frames_per_step - 1 : (steps - 1) * frames_per_step : frames_per_step]  # (B, M, steps - 1)
    return F.pad(last.permute(2, 0, 1), (0, 0, 0, 0, 1, 0))


def _drop_frames(frames: Float[Tensor, "steps batch mels"], share: float) -> Float[Tensor, "steps batch mels"]:
    """Some of the frames replaced by the mean, so that the decoder must listen to the text."""
    if not share:
        return frames
    return frames * (torch.rand(frames.shape[:2], device=frames.device) >= share)[:, :, None]


class PreNet(nn.Module):
    """Two layers that see the previous frame through heavy dropout, so that the decoder must listen to the text."""

    def __init__(self, n_mels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.layers = nn.ModuleList([nn.Linear(n_mels, width, bias=False), nn.Linear(width, width, bias=False)])

    def forward(
        self, frames: Float[Tensor, "*rows mels"], kept: Float[Tensor, "2 *rows width"] | None = None
    ) -> Float[Tensor, "*rows width"]:
        """Dropout, also in evaluation: `kept` of each layer, or drawn from torch's own stream."""
        hidden = frames
        for number, layer in enumerate(self.layers):
            hidden = F.relu(layer(hidden))
            hidden = F.dropout(hidden, self.dropout, training=True) if kept is None else hidden * kept[number]
        return hidden

    def draw(self, steps: int, generator: torch.Generator) -> Float[Tensor, "steps 2 width"]:
        """What to keep of each layer's output in some steps of one utterance: 0, or the factor that makes up for it."""
        keep = torch.rand(steps, 2, self.width, generator=generator) >= self.dropout
        return keep / (1.0 - self.dropout)
