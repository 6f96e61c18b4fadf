"""Inference of a decoder: its last frame is the input of the next step, until its gate ends the utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dtc.acoustic.configs import WeightFormat
from dtc.acoustic.cuda_graph import Window, capture_window
from dtc.acoustic.decoder import Decoder
from dtc.acoustic.lstm import lstm_step
from dtc.acoustic.packed_linear import Linear, packed_linear

# Decoder steps between two checks of the gates. A GPU has to wait at each check; on a CPU a check takes a fourteenth of
# a step (full size, int8), and the unused steps after the end of an utterance cost more.
STEPS_PER_WINDOW = {"cuda": 16, "cpu": 4}


@dataclass(frozen=True)
class DecodedText:
    """The output of a decoder for one text; frames = steps * frames_per_step. `mel` is normalised."""

    mel: Float[Tensor, "mels frames"]
    alignment: Float[Tensor, "steps symbols"]
    stopped: bool  # true: ended by the gate; false: by the limit of steps


class DecoderInference:
    """A decoder with the recurrent weights of a step packed in one number format.

    Args:
        decoder: the trained decoder.
        weight_format: number format of the recurrent weights.
        cuda_graphs: launch windows of steps as CUDA graphs; only for a decoder on a GPU.
    """

    def __init__(self, decoder: Decoder, weight_format: WeightFormat, cuda_graphs: bool) -> None:
        self.decoder, self.cuda_graphs = decoder, cuda_graphs
        cell = decoder.attention_rnn
        weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        self.attention_rnn = _packed_lstm(weights, weight_format)  # input: [prenet, context, hidden]
        self.decoder_rnn = _packed_lstm(decoder.decoder_rnn.all_weights[0], weight_format)  # [hidden, context, own]

    def run(
        self,
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        most_steps: Sequence[int],
        generators: Sequence[torch.Generator],
        frames_per_step: int,
    ) -> list[DecodedText]:
        """Decode each text until its gate stops it, or for its `most_steps`.

        A text that has ended is removed from the batch. With a CUDA graph the batch is fixed, and the further steps of
        such a text are ignored.
        """
        loop = _InferenceLoop(self, values, mask, frames_per_step)
        device = "cpu" if values.device.type == "cpu" and not self.cuda_graphs else "cuda"
        steps, prenet, window = STEPS_PER_WINDOW[device], self.decoder.prenet, cast(Window, loop.window)
        if self.cuda_graphs:
            window = capture_window(loop, values.new_zeros(steps, 2, len(values), prenet.width))
        texts = [_Progress(limit) for limit in most_steps]
        rows = list(range(len(texts)))  # the texts in the loop's batch
        for _ in range(0, max(most_steps), steps):
            dropout = torch.stack([prenet.draw(steps, generators[row]) for row in rows], dim=2)
            mels, alignments, stops = window(dropout.to(values.device))
            for number, row_stops in enumerate(stops.tolist()):
                texts[rows[number]].add(mels[number], alignments[number], row_stops)
            left = [number for number, row in enumerate(rows) if not texts[row].ended]
            if not left:
                break
            if len(left) < len(rows) and not self.cuda_graphs:
                rows = [rows[number] for number in left]
                loop.keep(torch.tensor(left, device=values.device))
        return [text.decoded() for text in texts]


class _Progress:
    """The output for one text, which grows window by window until the text has ended."""

    def __init__(self, most_steps: int) -> None:
        self.steps_left, self.stopped = most_steps, False
        self.parts: list[tuple[Tensor, Tensor]] = []

    @property
    def ended(self) -> bool:
        return self.stopped or not self.steps_left

    def add(
        self, mel: Float[Tensor, "steps r mels"], alignment: Float[Tensor, "steps symbols"], stops: list[bool]
    ) -> None:
        """Append the steps of a window, up to the first at which the gate is open; none to a text that has ended."""
        if self.ended:
            return
        steps = min(self.steps_left, len(stops))
        self.stopped = True in stops[:steps]
        steps = stops.index(True) + 1 if self.stopped else steps
        self.steps_left -= steps
        self.parts.append((mel[:steps], alignment[:steps]))

    def decoded(self) -> DecodedText:
        mels, alignments = (torch.cat(part) for part in zip(*self.parts, strict=True))
        return DecodedText(mels.flatten(0, 1).T, alignments, self.stopped)  # (steps, r, M) → (M, frames)


def _packed_lstm(weights: Sequence[Tensor], weight_format: WeightFormat) -> Linear:
    """Return the function [input, hidden] → gates of an LSTM."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    return packed_linear(torch.cat([weight_ih, weight_hh], dim=1), bias_ih + bias_hh, weight_format)


class _InferenceLoop:
    """The state of one decoder whose input is its own last frame."""

    def __init__(
        self,
        inference: DecoderInference,
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        frames_per_step: int,
    ) -> None:
        self.inference, self.values, self.frames_per_step = inference, values, frames_per_step
        decoder, zeros = inference.decoder, partial(values.new_zeros, len(values))
        attention = decoder.attention
        self.attention_pass = type(attention).begin([attention], values, mask, values.dtype)
        self.attention_state = self.attention_pass.start()
        self.frame, self.context = zeros(decoder.n_mels), zeros(values.shape[2])
        self.hidden = self.cell = zeros(decoder.attention_rnn.hidden_size)
        self.own_hidden = self.own_cell = zeros(decoder.decoder_rnn.hidden_size)

    @property
    def carried(self) -> list[Tensor]:
        """Return the tensors of the state between two steps; those of the attention come last."""
        own = [self.frame, self.context, self.hidden, self.cell, self.own_hidden, self.own_cell]
        return own + list(self.attention_state)

    @carried.setter
    def carried(self, parts: list[Tensor]) -> None:
        self.frame, self.context, self.hidden, self.cell, self.own_hidden, self.own_cell, *state = parts
        self.attention_state = tuple(state)

    def window(
        self, dropout: Float[Tensor, "steps 2 batch width"]
    ) -> tuple[Float[Tensor, "batch steps r mels"], Float[Tensor, "batch steps symbols"], Bool[Tensor, "batch steps"]]:
        """Compute some steps, each with its dropout of the prenet; return frames, attention weights and stops."""
        mels, alignments, stops = zip(*[self.step(kept) for kept in dropout], strict=True)
        return torch.stack(mels, dim=1), torch.stack(alignments, dim=1), torch.stack(stops, dim=1)

    def step(
        self, kept: Float[Tensor, "2 batch width"]
    ) -> tuple[Float[Tensor, "batch r mels"], Float[Tensor, "batch symbols"], Bool[Tensor, " batch"]]:
        """Compute a step; return its frames, its attention weights, and whether the gate ends the utterance."""
        inference, decoder = self.inference, self.inference.decoder
        inputs = torch.cat([decoder.prenet(self.frame, kept), self.context, self.hidden], dim=1)
        self.hidden, self.cell = lstm_step(inference.attention_rnn(inputs), self.cell)
        weights, self.attention_state = self.attention_pass.step(self.hidden[None], self.attention_state)
        self.context = torch.bmm(weights.transpose(0, 1), self.values)[:, 0]
        joint = torch.cat([self.hidden, self.context, self.own_hidden], dim=1)
        self.own_hidden, self.own_cell = lstm_step(inference.decoder_rnn(joint), self.own_cell)
        frames, gate_logits = decoder.project(torch.cat([self.own_hidden, self.context], dim=1), self.frames_per_step)
        self.frame = frames[:, -1]
        return frames, weights[0], torch.sigmoid(gate_logits) > decoder.config.gate_threshold

    def keep(self, rows: Int[Tensor, " rows"]) -> None:
        """Remove all other rows from the batch."""
        self.values, self.attention_pass = self.values[rows], self.attention_pass.select(rows)
        own = self.carried[: -len(self.attention_state)]
        self.carried = [part[rows] for part in own] + [part[:, rows] for part in self.attention_state]
