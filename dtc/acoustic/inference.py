"""A decoder that speaks: its own frames are the next step's input, until its gate says that they were the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dtc.acoustic.cuda_graph import Window, graphed
from dtc.acoustic.decoder import Decoder, lstm_step
from dtc.acoustic.packed_linear import Linear, Precision, packed_linear

# A GPU would wait at each look; on a CPU one costs a fourteenth of a step (full size, int8). Steps in vain cost less.
STEPS_BETWEEN_LOOKS = {"cuda": 16, "cpu": 4}


@dataclass(frozen=True)
class Spoken:
    """One text as a decoder speaks it by itself; frames = steps * frames_per_step."""

    mel: Float[Tensor, "mels frames"]
    alignment: Float[Tensor, "steps symbols"]
    stopped: bool  # by the gate, not by the cap


class Speaker:
    """A decoder made ready to speak: the weights of each step's products, packed in the given precision."""

    def __init__(self, decoder: Decoder, precision: Precision, cuda_graphs: bool) -> None:
        self.decoder, self.cuda_graphs = decoder, cuda_graphs
        attention = decoder.attention_rnn
        own = (attention.weight_ih, attention.weight_hh, attention.bias_ih, attention.bias_hh)
        self.attention_rnn = _packed_lstm(own, precision)  # of [prenet, context, hidden]
        self.decoder_rnn = _packed_lstm(decoder.decoder_rnn.all_weights[0], precision)  # of [joint, own hidden]

    def speak(
        self,
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        caps: Sequence[int],
        generators: Sequence[torch.Generator],
        frames_per_step: int,
    ) -> list[Spoken]:
        """Each text until its gate says so or its cap of steps; one that has ended takes no further part.

        In a CUDA graph, whose batch is fixed, it goes on unheard until the last has ended.
        """
        loop, rows = _SpeakingLoop(self, values, mask, frames_per_step), list(range(len(values)))
        parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in rows]
        stopped, going_on = [False for _ in rows], set(rows)
        steps_at_once = STEPS_BETWEEN_LOOKS["cpu" if values.device.type == "cpu" and not self.cuda_graphs else "cuda"]
        prenet, window = self.decoder.prenet, cast(Window, loop.window)
        if self.cuda_graphs:
            window = graphed(loop, values.new_zeros(steps_at_once, 2, len(rows), prenet.width))
        for first in range(0, max(caps), steps_at_once):
            drawn = torch.stack([prenet.draw(steps_at_once, generators[row]) for row in rows], dim=2)
            mels, alignments, ends = window(drawn.to(values.device))
            for number, (row, row_ends) in enumerate(zip(rows, ends.tolist(), strict=True)):
                if row not in going_on:
                    continue
                steps = min(caps[row] - first, steps_at_once)
                stopped[row] = True in row_ends[:steps]
                steps = row_ends.index(True) + 1 if stopped[row] else steps
                parts[row].append((mels[number, :steps], alignments[number, :steps]))
                if stopped[row] or first + steps == caps[row]:
                    going_on.remove(row)
            if not going_on:
                break
            if len(going_on) < len(rows) and not self.cuda_graphs:
                numbers = [number for number, row in enumerate(rows) if row in going_on]
                rows = [rows[number] for number in numbers]
                loop.keep(torch.tensor(numbers, device=values.device))
        return [_joined(part, ended) for part, ended in zip(parts, stopped, strict=True)]


def _packed_lstm(weights: Sequence[Tensor], precision: Precision) -> Linear:
    """The gates of [input, hidden]."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    return packed_linear(torch.cat([weight_ih, weight_hh], dim=1), bias_ih + bias_hh, precision)


def _joined(parts: Sequence[tuple[Tensor, Tensor]], stopped: bool) -> Spoken:
    mels, alignments = (torch.cat(part) for part in zip(*parts, strict=True))
    return Spoken(mels.flatten(0, 1).T, alignments, stopped)  # (steps, r, M) → (M, frames)


class _SpeakingLoop:
    """One decoder that hears itself: its frames are the next step's input."""

    def __init__(
        self,
        speaker: Speaker,
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        frames_per_step: int,
    ) -> None:
        self.speaker, self.values, self.frames_per_step = speaker, values, frames_per_step
        decoder, zeros = speaker.decoder, partial(values.new_zeros, len(values))
        attention = decoder.attention
        self.reading = type(attention).over([attention], values, mask, values.dtype)
        self.state = self.reading.start()
        self.frame, self.context = zeros(decoder.n_mels), zeros(values.shape[2])
        self.hidden = self.cell = zeros(decoder.attention_rnn.hidden_size)
        self.own_hidden = self.own_cell = zeros(decoder.decoder_rnn.hidden_size)

    @property
    def carried(self) -> list[Tensor]:
        """What one step hands to the next; the attention's last."""
        return [self.frame, self.context, self.hidden, self.cell, self.own_hidden, self.own_cell, *self.state]

    @carried.setter
    def carried(self, parts: list[Tensor]) -> None:
        self.frame, self.context, self.hidden, self.cell, self.own_hidden, self.own_cell, *state = parts
        self.state = tuple(state)

    def window(
        self, drawn: Float[Tensor, "steps 2 batch width"]
    ) -> tuple[Float[Tensor, "batch steps r mels"], Float[Tensor, "batch steps symbols"], Bool[Tensor, "batch steps"]]:
        """Some steps, each with its draw of the prenet's dropout."""
        mels, alignments, ends = zip(*[self.step(kept) for kept in drawn], strict=True)
        return torch.stack(mels, dim=1), torch.stack(alignments, dim=1), torch.stack(ends, dim=1)

    def step(
        self, kept: Float[Tensor, "2 batch width"]
    ) -> tuple[Float[Tensor, "batch r mels"], Float[Tensor, "batch symbols"], Bool[Tensor, " batch"]]:
        """Frames, attention weights and whether the gate says that they are the last."""
        speaker, decoder = self.speaker, self.speaker.decoder
        heard = torch.cat([decoder.prenet(self.frame, kept), self.context, self.hidden], dim=1)
        self.hidden, self.cell = lstm_step(speaker.attention_rnn(heard), self.cell)
        weights, self.state = self.reading.step(self.hidden[None], self.state)
        self.context = torch.bmm(weights.transpose(0, 1), self.values)[:, 0]
        joint = torch.cat([self.hidden, self.context, self.own_hidden], dim=1)
        self.own_hidden, self.own_cell = lstm_step(speaker.decoder_rnn(joint), self.own_cell)
        frames, gate_logits = decoder.project(torch.cat([self.own_hidden, self.context], dim=1), self.frames_per_step)
        self.frame = frames[:, -1]
        return frames, weights[0], torch.sigmoid(gate_logits) > decoder.config.gate_threshold

    def keep(self, rows: Int[Tensor, " rows"]) -> None:
        """Go on with some texts of the batch."""
        self.values, self.reading = self.values[rows], self.reading.select(rows)
        own = self.carried[: -len(self.state)]
        self.carried = [part[rows] for part in own] + [part[:, rows] for part in self.state]
