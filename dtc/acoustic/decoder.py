"""The decoder of Tacotron 2: previous frames and encoded text → the next frames, and a gate that ends the utterance.

    previous frame ─► prenet ─► attention LSTM ⇄ attention over the text ─► decoder LSTM ─► frames, gate

With teacher forcing, only the attention LSTM and the attention need a loop over the steps. They have no input from the
decoder LSTM, so it runs over the whole sequence afterwards, as do the projection and the gate; the prenet and its share
of the attention LSTM's gates are computed for all steps beforehand. This order is exact in training too, because
`decoder_dropout` acts on the decoder LSTM's output and not inside its recurrence.

Several decoders over the same texts are computed side by side; tensors have an axis "decoders" for them.
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

from dtc import whole_batch
from dtc.acoustic.attention import ATTENTIONS
from dtc.acoustic.attention.base import State
from dtc.acoustic.attention.configs import AttentionSection
from dtc.acoustic.configs import DecoderConfig
from dtc.acoustic.deferred_gradients import LoopProduct
from dtc.acoustic.lstm import lstm_step, product_dtype, run_lstms

STEPS_PER_SEGMENT = 32  # steps of a segment of gradient checkpointing, of which only the first state is kept


@dataclass(frozen=True)
class DecoderOutput:
    """The output of one decoder for a batch, or of several, of which `output[number]` is that of one.

    `mel` is normalised; frames = steps * frames_per_step.
    """

    mel: Float[Tensor, "*decoders batch mels frames"]
    gate_logits: Float[Tensor, "*decoders batch steps"]
    alignments: Float[Tensor, "*decoders batch steps symbols"]

    def __getitem__(self, number: int) -> DecoderOutput:
        return DecoderOutput(self.mel[number], self.gate_logits[number], self.alignments[number])


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

    def prenet_gates(self, frames: Float[Tensor, "*rows mels"]) -> Float[Tensor, "*rows gates"]:
        """Return the previous frames' share of the attention LSTM's gates, biases included."""
        cell = self.attention_rnn
        return F.linear(self.prenet(frames), cell.weight_ih[:, : self.prenet.width], cell.bias_ih + cell.bias_hh)

    def recurrent_weight(self, dtype: torch.dtype) -> Float[Tensor, "gates joint"]:
        """Return the attention LSTM's weight of [context, hidden]."""
        cell = self.attention_rnn
        return torch.cat([cell.weight_ih[:, self.prenet.width :].to(dtype), cell.weight_hh.to(dtype)], dim=1)

    def project(
        self, joint: Float[Tensor, "*rows joint"], frames_per_step: int
    ) -> tuple[Float[Tensor, "*rows r mels"], Float[Tensor, "*rows"]]:
        """Return the frames and the gate logits of [decoder LSTM's output, context]."""
        outputs = frames_per_step * self.n_mels  # the first of those that a step may have
        frames = F.linear(joint, self.projection.weight[:outputs], self.projection.bias[:outputs])
        return frames.unflatten(-1, (frames_per_step, self.n_mels)), self.gate(joint)[..., 0]


def teacher_forced(
    decoders: Sequence[Decoder],
    targets: Sequence[Float[Tensor, "batch mels frames"]],
    values: Float[Tensor, "batch symbols encoding"],
    mask: Bool[Tensor, "batch symbols"],
    frames_per_step: int,
) -> DecoderOutput:
    """Return the output of each decoder, whose input at every step is the true frame before it.

    Args:
        decoders: one or several decoders of the same sizes.
        targets: the normalised mel that each of them should predict.
        values: the encoded texts, which the attention reads.
        mask: true where there is text.
        frames_per_step: frames of a decoder step.
    """
    config, training = decoders[0].config, decoders[0].training
    previous = [previous_frames(target, frames_per_step) for target in targets]
    if training:
        previous = [_drop_frames(frames, config.frame_dropout) for frames in previous]
    gates = torch.stack([each.prenet_gates(frames) for each, frames in zip(decoders, previous, strict=True)], dim=1)
    states = _AttentionLoop(decoders, values, mask).run_all(gates)
    hidden, context = torch.stack([step.hidden for step in states]), torch.stack([step.context for step in states])
    output = run_lstms([each.decoder_rnn for each in decoders], torch.cat([hidden, context], dim=3))
    output = whole_batch.dropout(output, config.decoder_dropout, training, batch_dim=2)
    joint = torch.cat([output, context], dim=3)  # (T, D, B, H + E)
    projected = [each.project(joint[:, number], frames_per_step) for number, each in enumerate(decoders)]
    frames, gate_logits = (torch.stack(parts) for parts in zip(*projected, strict=True))  # (D, T, B, r, M), (D, T, B)
    mel = frames.permute(0, 2, 4, 1, 3).flatten(3)
    return DecoderOutput(mel, gate_logits.transpose(1, 2), torch.stack([step.weights for step in states], dim=2))


@dataclass(frozen=True)
class LoopState:
    """The state of the attention LSTM and the attention between two steps."""

    hidden: Float[Tensor, "decoders batch hidden"]
    cell: Float[Tensor, "decoders batch hidden"]
    context: Float[Tensor, "decoders batch encoding"]
    weights: Float[Tensor, "decoders batch symbols"]
    attention: State


class _AttentionLoop:
    """The attention LSTM and the attention of several decoders, with the values that all steps share."""

    def __init__(
        self,
        decoders: Sequence[Decoder],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
    ) -> None:
        dtype = product_dtype(values)
        attentions = [each.attention for each in decoders]
        self.config, self.training = decoders[0].config, decoders[0].training
        self.shape = (len(decoders), len(values), decoders[0].attention_rnn.hidden_size)
        self.values = values
        # In float32 the gradients of the values are added up step by step: another order would change trained weights.
        self.read = partial(torch.bmm, mat2=values) if dtype == values.dtype else LoopProduct(values.to(dtype))
        self.attention_pass = type(attentions[0]).begin(attentions, values, mask, dtype)
        self.recurrent = LoopProduct(torch.stack([each.recurrent_weight(dtype) for each in decoders]).transpose(1, 2))

    def run_all(self, prenet_gates: Float[Tensor, "steps decoders batch gates"]) -> list[LoopState]:
        """Return the states after every step."""
        keep = prenet_gates.new_ones(len(prenet_gates), *self.shape)
        keep = whole_batch.dropout(keep, self.config.attention_dropout, self.training, batch_dim=2)
        run = partial(checkpoint, self.run, use_reentrant=False) if self.config.gradient_checkpointing else self.run
        states = [self.start()]
        segments = zip(prenet_gates.split(STEPS_PER_SEGMENT), keep.split(STEPS_PER_SEGMENT), strict=True)
        for segment in segments:
            states += run(*segment, states[-1])
        return states[1:]

    def start(self) -> LoopState:
        """Return the state before the first step."""
        hidden, (_, symbols, encoding) = self.values.new_zeros(self.shape), self.values.shape
        context, weights = (hidden.new_zeros(*self.shape[:2], size) for size in (encoding, symbols))
        return LoopState(hidden, hidden, context, weights, self.attention_pass.start())

    def run(
        self,
        prenet_gates: Float[Tensor, "steps decoders batch gates"],
        keep: Float[Tensor, "steps decoders batch hidden"],
        state: LoopState,
    ) -> list[LoopState]:
        """Return the states after each of some steps."""
        states = [state]
        for gates, keep_step in zip(prenet_gates.unbind(), keep.unbind(), strict=True):
            states.append(self.step(gates, keep_step, states[-1]))
        return states[1:]

    def step(
        self,
        prenet_gates: Float[Tensor, "decoders batch gates"],
        keep: Float[Tensor, "decoders batch hidden"],
        state: LoopState,
    ) -> LoopState:
        """Return the state after one step; `keep` is the dropout of the attention LSTM's output."""
        gates = prenet_gates + self.recurrent(torch.cat([state.context, state.hidden], dim=2))
        hidden, cell = lstm_step(gates, state.cell)
        hidden = hidden * keep
        weights, attention = self.attention_pass.step(hidden, state.attention)
        context = self.read(weights.transpose(0, 1)).transpose(0, 1).to(hidden.dtype)
        return LoopState(hidden, cell, context, weights, attention)


def previous_frames(
    target: Float[Tensor, "batch mels frames"], frames_per_step: int
) -> Float[Tensor, "steps batch mels"]:
    """Return the input of every step: the last frame of the step before; before the first step it is 0, the mean."""
    steps = -(-target.shape[2] // frames_per_step)
    last = target[:, :, frames_per_step - 1 : (steps - 1) * frames_per_step : frames_per_step]  # (B, M, steps - 1)
    return F.pad(last.permute(2, 0, 1), (0, 0, 0, 0, 1, 0))


def _drop_frames(frames: Float[Tensor, "steps batch mels"], share: float) -> Float[Tensor, "steps batch mels"]:
    """Return the frames with a share of them replaced by the mean, which makes the decoder depend on the text."""
    if not share:
        return frames
    return frames * (whole_batch.rand(frames.shape[:2], frames.device, batch_dim=1) >= share)[:, :, None]


class PreNet(nn.Module):
    """Two layers with heavy dropout over the previous frame, which make the decoder depend on the text."""

    def __init__(self, n_mels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.layers = nn.ModuleList([nn.Linear(n_mels, width, bias=False), nn.Linear(width, width, bias=False)])

    def forward(
        self, frames: Float[Tensor, "*rows mels"], kept: Float[Tensor, "2 *rows width"] | None = None
    ) -> Float[Tensor, "*rows width"]:
        """Apply both layers, with dropout in evaluation too: `kept`, from `draw`, or else from torch's generator."""
        hidden = frames
        for number, layer in enumerate(self.layers):
            hidden = F.relu(layer(hidden))
            hidden = whole_batch.dropout(hidden, self.dropout, batch_dim=1) if kept is None else hidden * kept[number]
        return hidden

    def draw(self, steps: int, generator: torch.Generator) -> Float[Tensor, "steps 2 width"]:
        """Return the dropout of both layers in some steps of one utterance: 0, or the factor 1 / (1 - dropout)."""
        keep = torch.rand(steps, 2, self.width, generator=generator) >= self.dropout
        return keep / (1.0 - self.dropout)
