"""Tacotron 2 (Shen et al. 2018, arXiv:1712.05884): text → mel, a few frames a step.

    symbols ─► embedding ─► 3 convolutions ─► BiLSTM ─► memory
    previous frame ─► prenet ─► attention LSTM ⇄ attention over memory ─► decoder LSTM ─► frames, gate ─► post-net

Two things differ from the usual code. Under teacher forcing only the attention recurrence is a loop: the decoder LSTM
never feeds it, so it, the projection and the gate run over the whole sequence at once. For that `decoder_dropout` acts
on the decoder LSTM's output, not inside its recurrence. And every layer is masked, batch normalisation included, so
padding reaches no statistic and a clip's result does not depend on its neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from dtc.acoustic.attention import LocationConfig, LocationSensitiveAttention, Memory
from dtc.acoustic.loss import AcousticLossConfig, gate_loss, guided_attention_loss, mel_loss
from dtc.batch import Batch, mask_of, pad
from dtc.config import Odd, Section, Share
from dtc.text.symbols import SYMBOLS

MOMENTUM = 0.1  # of batch normalisation's running statistics, as in PyTorch
PRE_NET_DROPOUT = 0.5  # always on, also at inference: the source of the voice's variation


class EncoderConfig(Section):
    """Convolutions over the symbols, then a bidirectional LSTM of the same width."""

    num_convolutions: PositiveInt
    embedding_dim: PositiveInt
    kernel_size: Odd
    dropout_rate: Share


class AttentionConfig(Section):
    """The attention LSTM and the space in which query and memory meet."""

    rnn_dim: PositiveInt
    attention_dim: PositiveInt


class DecoderConfig(Section):
    """Prenet, decoder LSTM and the rules for stopping."""

    rnn_dim: PositiveInt
    pre_net_dim: PositiveInt
    max_decoder_steps: PositiveInt
    max_frames_per_symbol: PositiveFloat  # caps an utterance by the length of its text
    gate_threshold: float = Field(gt=0.0, lt=1.0)
    attention_dropout: Share
    decoder_dropout: Share


class PostNetConfig(Section):
    """Convolutions that predict what the projection missed."""

    num_convolutions: int = Field(ge=2)
    embedding_dim: PositiveInt
    kernel_size: Odd
    dropout_rate: Share


class Tacotron2Config(Section):
    """Sizes of the model and weights of its loss; names as in NVIDIA/tacotron2 and the original system."""

    model: Literal["tacotron2"]
    symbols_embedding_dim: PositiveInt
    frames_per_step: PositiveInt
    encoder: EncoderConfig
    attention: AttentionConfig
    attention_location: LocationConfig
    decoder: DecoderConfig
    post_net: PostNetConfig
    loss: AcousticLossConfig


@dataclass(frozen=True)
class Prediction:
    """A teacher-forced pass, in the model's normalised mel."""

    mel: Float[Tensor, "batch mels frames"]
    mel_postnet: Float[Tensor, "batch mels frames"]
    gate_logits: Float[Tensor, "batch steps"]
    alignments: Float[Tensor, "batch steps symbols"]


@dataclass(frozen=True)
class Utterance:
    """One synthesised text."""

    mel: Float[Tensor, "mels frames"]  # natural log
    alignment: Float[Tensor, "steps symbols"]
    status: Literal["stopped", "hit_cap"]


class Tacotron2(nn.Module):
    """Tacotron 2 for log-mels with the given mean and deviation of each band (from the features' index)."""

    mel_mean: Tensor
    mel_deviation: Tensor

    def __init__(
        self, config: Tacotron2Config, mel_mean: Float[Tensor, " mels"], mel_deviation: Float[Tensor, " mels"]
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mel_mean", mel_mean.clone())
        self.register_buffer("mel_deviation", mel_deviation.clone())
        self.embedding = nn.Embedding(len(SYMBOLS), config.symbols_embedding_dim)
        bound = (6.0 / (len(SYMBOLS) + config.symbols_embedding_dim)) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.encoder = Encoder(config.symbols_embedding_dim, config.encoder)
        self.decoder = Decoder(config, n_mels=len(mel_mean))
        self.post_net = PostNet(config.post_net, n_mels=len(mel_mean))

    def forward(self, batch: Batch) -> Prediction:
        """Teacher-forced prediction of a batch's mel; frames are rounded up to a multiple of frames_per_step."""
        memory = self._encode(batch.symbol_ids, batch.symbol_lengths)
        target = self.normalise(batch.mel)
        mel, gate_logits, alignments = self.decoder(target, memory)
        mask = mask_of(batch.mel_lengths, mel.shape[-1])
        mel_postnet = mel + self.post_net(mel * mask[:, None], mask)
        return Prediction(mel, mel_postnet, gate_logits, alignments)

    def training_loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Weighted terms of a teacher-forced pass, `loss` their sum; all masked by the true lengths."""
        prediction, weights = self(batch), self.config.loss
        frames = batch.mel.shape[-1]
        target, lengths = self.normalise(batch.mel), batch.mel_lengths
        steps = -(-lengths // self.config.frames_per_step)
        guided = guided_attention_loss(
            prediction.alignments, steps, batch.symbol_lengths, weights.guided_attention_sigma
        )
        terms = {
            "mel": mel_loss(prediction.mel[..., :frames], target, lengths),
            "mel_postnet": mel_loss(prediction.mel_postnet[..., :frames], target, lengths),
            "gate": weights.gate_weight * gate_loss(prediction.gate_logits, steps, weights.gate_positive_weight),
            "guided_attention": weights.guided_attention_weight * guided,
        }
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    @torch.inference_mode()
    def infer(self, texts: Sequence[Int[Tensor, " _"]], seed: int) -> list[Utterance]:
        """Mels of several texts at once; each stops by itself.

        The prenet's dropout is drawn from (seed, text), so a text sounds the same alone and in any batch.
        """
        symbol_ids, lengths = pad(texts)
        device = self.mel_mean.device
        memory = self._encode(symbol_ids.to(device), lengths.to(device))
        generators = [_generator(seed, text) for text in texts]
        caps = self._step_caps(lengths)
        mel, alignments, steps, stopped = self.decoder.infer(memory, caps, generators)
        frames = steps * self.config.frames_per_step
        mask = mask_of(frames, mel.shape[-1])
        mel = mel + self.post_net(mel * mask[:, None], mask)
        log_mel = mel * self.mel_deviation[:, None] + self.mel_mean[:, None]
        return [
            Utterance(
                log_mel[row, :, : frames[row]],
                alignments[row, : steps[row], : lengths[row]],
                "stopped" if stopped[row] else "hit_cap",
            )
            for row in range(len(texts))
        ]

    def normalise(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Log-mel with each band at mean 0 and deviation 1 over the corpus."""
        return (mel - self.mel_mean[:, None]) / self.mel_deviation[:, None]

    def _encode(self, symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"]) -> Memory:
        mask = mask_of(lengths, symbol_ids.shape[1])
        encoded = self.encoder(self.embedding(symbol_ids).transpose(1, 2), lengths, mask)
        return self.decoder.attention.remember(encoded, mask)

    def _step_caps(self, symbol_lengths: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        decoder = self.config.decoder
        by_text = (symbol_lengths * decoder.max_frames_per_symbol / self.config.frames_per_step).ceil().long()
        return by_text.clamp(max=decoder.max_decoder_steps)


class Encoder(nn.Module):
    """Symbols' neighbourhoods by convolution, then the whole text by a bidirectional LSTM."""

    def __init__(self, input_dim: int, config: EncoderConfig) -> None:
        super().__init__()
        widths = [input_dim] + [config.embedding_dim] * config.num_convolutions
        self.convolutions = nn.ModuleList(
            ConvolutionBlock(into, out, config.kernel_size, "relu", config.dropout_rate)
            for into, out in pairwise(widths)
        )
        half = config.embedding_dim // 2
        self.lstm = nn.LSTM(config.embedding_dim, half, batch_first=True, bidirectional=True)

    def forward(
        self,
        embedded: Float[Tensor, "batch embedding symbols"],
        lengths: Int[Tensor, " batch"],
        mask: Bool[Tensor, "batch symbols"],
    ) -> Float[Tensor, "batch symbols encoding"]:
        """The encoded text; 0 beyond each length."""
        hidden = embedded * mask[:, None]
        for convolution in self.convolutions:
            hidden = convolution(hidden, mask)
        packed = nn.utils.rnn.pack_padded_sequence(
            hidden.transpose(1, 2), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        output, _ = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=mask.shape[1])
        return padded


@dataclass(frozen=True)
class AttentionState:
    """What one decoder step hands to the next."""

    hidden: Float[Tensor, "batch hidden"]
    cell: Float[Tensor, "batch hidden"]
    context: Float[Tensor, "batch encoding"]
    weights: Float[Tensor, "batch 2 symbols"]  # the last step's and the sum of all


class Decoder(nn.Module):
    """Prenet, attention LSTM with attention, decoder LSTM, projection to frames, gate."""

    def __init__(self, config: Tacotron2Config, n_mels: int) -> None:
        super().__init__()
        decoder, attention, encoding = config.decoder, config.attention, config.encoder.embedding_dim // 2 * 2
        self.n_mels, self.frames_per_step = n_mels, config.frames_per_step
        self.encoding_dim, self.config = encoding, decoder
        self.prenet = PreNet(n_mels, decoder.pre_net_dim)
        self.attention_rnn = nn.LSTMCell(decoder.pre_net_dim + encoding, attention.rnn_dim)
        self.attention = LocationSensitiveAttention(
            attention.rnn_dim, encoding, attention.attention_dim, config.attention_location
        )
        self.decoder_rnn = nn.LSTM(attention.rnn_dim + encoding, decoder.rnn_dim, batch_first=True)
        self.projection = nn.Linear(decoder.rnn_dim + encoding, n_mels * config.frames_per_step)
        self.gate = nn.Linear(decoder.rnn_dim + encoding, 1)

    def forward(
        self, target: Float[Tensor, "batch mels frames"], memory: Memory
    ) -> tuple[
        Float[Tensor, "batch mels padded_frames"], Float[Tensor, "batch steps"], Float[Tensor, "batch steps symbols"]
    ]:
        """Frames, gate logits and alignments with the true earlier frames as input; T = steps * r."""
        inputs = self.prenet(self._previous_frames(target))  # (B, T/r, P)
        # The prenet's share of the LSTM's gates does not wait for the attention: one product for the whole clip.
        into = self.attention_rnn.weight_ih
        gates = F.linear(inputs, into[:, : inputs.shape[2]], self.attention_rnn.bias_ih + self.attention_rnn.bias_hh)
        recurrent = torch.cat([into[:, inputs.shape[2] :], self.attention_rnn.weight_hh], dim=1)
        state = self._first_state(memory)
        drop = F.dropout(state.hidden.new_ones(gates.shape[1], *state.hidden.shape), self.config.attention_dropout,
                         self.training)  # fmt: skip
        hiddens, contexts, alignments = [], [], []
        for step, share in enumerate(gates.unbind(dim=1)):
            state, weights = self._attend(share, recurrent, state, memory, drop[step])
            hiddens.append(state.hidden)
            contexts.append(state.context)
            alignments.append(weights)
        context = torch.stack(contexts, dim=1)  # (B, T/r, E)
        attended = torch.cat([torch.stack(hiddens, dim=1), context], dim=2)
        output, _ = self.decoder_rnn(attended)
        frames, gate_logits = self._project(F.dropout(output, self.config.decoder_dropout, self.training), context)
        return frames, gate_logits, torch.stack(alignments, dim=1)

    def infer(
        self, memory: Memory, caps: Int[Tensor, " batch"], generators: Sequence[torch.Generator]
    ) -> tuple[
        Float[Tensor, "batch mels frames"], Float[Tensor, "batch steps symbols"], Int[Tensor, " batch"],
        Bool[Tensor, " batch"],
    ]:  # fmt: skip
        """Frames, alignments, steps taken and whether the gate (not the cap) ended each utterance."""
        cell, batch = self.attention_rnn, len(generators)
        recurrent = torch.cat([cell.weight_ih[:, self.prenet.width :], cell.weight_hh], dim=1)
        state, decoder_state = self._first_state(memory), None
        frame = memory.values.new_zeros(batch, self.n_mels)
        steps = caps.to(frame.device)
        running = torch.ones(batch, dtype=torch.bool, device=frame.device)
        stopped = torch.zeros_like(running)
        mels, alignments = [], []
        for step in range(int(caps.max())):
            inputs = self.prenet(frame, generators)
            share = F.linear(inputs, cell.weight_ih[:, : self.prenet.width], cell.bias_ih + cell.bias_hh)
            state, weights = self._attend(share, recurrent, state, memory, drop=None)
            attended = torch.cat([state.hidden, state.context], dim=1)[:, None]
            output, decoder_state = self.decoder_rnn(attended, decoder_state)
            frames, gate_logit = self._project(output, state.context[:, None])
            mels.append(frames)
            alignments.append(weights)
            ends = running & (torch.sigmoid(gate_logit[:, 0]) > self.config.gate_threshold)
            stopped = stopped | ends
            steps = torch.where(ends, step + 1, steps)
            running = running & ~ends & (step + 1 < steps)
            if not running.any():
                break
            frame = frames[:, :, -1]
        return torch.cat(mels, dim=2), torch.stack(alignments, dim=1), steps, stopped

    def _attend(
        self,
        share: Float[Tensor, "batch gates"],
        recurrent: Float[Tensor, "gates joint"],
        state: AttentionState,
        memory: Memory,
        drop: Float[Tensor, "batch hidden"] | None,
    ) -> tuple[AttentionState, Float[Tensor, "batch symbols"]]:
        """One step of the attention LSTM, whose gates' share of the prenet is given, and of the attention."""
        gates = share + F.linear(torch.cat([state.context, state.hidden], dim=1), recurrent)
        into, forget, candidate, out = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(into) * torch.tanh(candidate)
        hidden = torch.sigmoid(out) * torch.tanh(cell)
        if drop is not None:
            hidden = hidden * drop
        context, weights = self.attention(hidden, state.weights, memory)
        both = torch.stack([weights, state.weights[:, 1] + weights], dim=1)
        return AttentionState(hidden, cell, context, both), weights

    def _first_state(self, memory: Memory) -> AttentionState:
        batch, symbols, encoding = memory.values.shape
        zeros = memory.values.new_zeros
        hidden = self.attention_rnn.hidden_size
        return AttentionState(
            zeros(batch, hidden), zeros(batch, hidden), zeros(batch, encoding), zeros(batch, 2, symbols)
        )

    def _previous_frames(self, target: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch steps mels"]:
        """Input of every step: the last frame of the step before; silence's mean (0) before the first."""
        r = self.frames_per_step
        steps = -(-target.shape[2] // r)
        earlier = target[:, :, r - 1 : (steps - 1) * r : r].transpose(1, 2)  # (B, steps - 1, M)
        return F.pad(earlier, (0, 0, 1, 0))

    def _project(
        self, output: Float[Tensor, "batch steps hidden"], context: Float[Tensor, "batch steps encoding"]
    ) -> tuple[Float[Tensor, "batch mels frames"], Float[Tensor, "batch steps"]]:
        joint = torch.cat([output, context], dim=2)
        grouped = self.projection(joint).unflatten(2, (self.frames_per_step, self.n_mels))  # (B, T/r, r, M)
        return grouped.flatten(1, 2).transpose(1, 2), self.gate(joint)[:, :, 0]


class PreNet(nn.Module):
    """Two layers that see the previous frame through heavy dropout, so that the decoder must listen to the text."""

    def __init__(self, n_mels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList([nn.Linear(n_mels, width, bias=False), nn.Linear(width, width, bias=False)])

    def forward(
        self, frames: Float[Tensor, "batch *steps mels"], generators: Sequence[torch.Generator] = ()
    ) -> Float[Tensor, "batch *steps width"]:
        """Dropout from torch's own stream in training; row by row from `generators` at inference."""
        hidden = frames
        for layer in self.layers:
            hidden = F.relu(layer(hidden))
            if generators:
                keep = torch.stack([torch.rand(self.width, generator=generator) for generator in generators])
                hidden = hidden * (keep >= PRE_NET_DROPOUT).to(hidden) / (1.0 - PRE_NET_DROPOUT)
            else:
                hidden = F.dropout(hidden, PRE_NET_DROPOUT, training=True)
        return hidden


class PostNet(nn.Module):
    """Convolutions over the finished mel; the last has no activation."""

    def __init__(self, config: PostNetConfig, n_mels: int) -> None:
        super().__init__()
        widths = [n_mels] + [config.embedding_dim] * (config.num_convolutions - 1) + [n_mels]
        activations = ["tanh"] * (config.num_convolutions - 1) + ["linear"]
        blocks = [
            ConvolutionBlock(into, out, config.kernel_size, activation, config.dropout_rate)
            for (into, out), activation in zip(pairwise(widths), activations, strict=True)
        ]
        # A residual that starts as nothing: by chance it would add noise of deviation 1 that has to be unlearned first.
        nn.init.zeros_(blocks[-1].normalisation.weight)
        self.convolutions = nn.ModuleList(blocks)

    def forward(
        self, mel: Float[Tensor, "batch mels frames"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch mels frames"]:
        """What to add to the mel; 0 beyond each length."""
        for convolution in self.convolutions:
            mel = convolution(mel, mask)
        return mel


class ConvolutionBlock(nn.Module):
    """Convolution, masked batch normalisation, activation, dropout; padding goes in as 0 and comes out as 0."""

    def __init__(self, into: int, out: int, kernel_size: int, activation: str, dropout_rate: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(into, out, kernel_size, padding=kernel_size // 2)
        nn.init.xavier_uniform_(self.convolution.weight, nn.init.calculate_gain(activation))  # type: ignore[arg-type]
        self.normalisation = MaskedBatchNorm(out)
        self.activation = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda x: x}[activation]
        self.dropout_rate = dropout_rate

    def forward(
        self, inputs: Float[Tensor, "batch into time"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch out time"]:
        """Same length as the input."""
        hidden = self.activation(self.normalisation(self.convolution(inputs), mask))
        return F.dropout(hidden, self.dropout_rate, self.training) * mask[:, None]


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics leave the padding out; the same as nn.BatchNorm1d where there is none."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(  # type: ignore[override]
        self, inputs: Float[Tensor, "batch channels time"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch channels time"]:
        """Normalised values; those beyond the mask are undefined."""
        if not self.training:
            return super().forward(inputs)
        weight = mask[:, None].to(inputs.dtype)
        count = weight.sum()
        mean = (inputs * weight).sum(dim=(0, 2)) / count
        centred = inputs - mean[:, None]
        variance = (centred.square() * weight).sum(dim=(0, 2)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, MOMENTUM)
            self.running_var.lerp_(variance * count / (count - 1), MOMENTUM)  # unbiased, as nn.BatchNorm1d keeps it
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None] + self.bias[:, None]


def _generator(seed: int, text: Int[Tensor, " symbols"]) -> torch.Generator:
    """Random stream of one utterance, from (seed, text) alone."""
    digest = hashlib.sha256(f"{seed}:{text.tolist()}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
