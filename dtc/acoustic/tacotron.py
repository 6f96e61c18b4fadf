"""The parts that Tacotron 2 and DTC share: encoder, decoder and post-net, and inference.

symbols ─► embedding ─► convolutions ─► BiLSTM ─► values ─► decoder ─► mel ─► post-net ─► mel
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dtc.acoustic.base import AcousticModel, InferenceOptions, Utterance
from dtc.acoustic.configs import TacotronSection
from dtc.acoustic.decoder import Decoder, DecoderOutput, teacher_forced
from dtc.acoustic.inference import DecodedText, DecoderInference
from dtc.acoustic.layers import Encoder, PostNet
from dtc.acoustic.loss import Target, mel_loss, stft_loss
from dtc.acoustic.utterance_status import status_of
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses, mask_of, pad
from dtc.caching import CachingModule
from dtc.seeding import seed_of
from dtc.text.symbols import SYMBOLS


@dataclass(frozen=True)
class Prediction(DecoderOutput):
    """A teacher-forced pass; mels are normalised, and frames are rounded up to whole decoder steps."""

    mel_postnet: Float[Tensor, "batch mels frames"]


class Tacotron(CachingModule, AcousticModel):
    """An encoder, an autoregressive decoder with attention, and a post-net. A subclass adds its training loss."""

    config: TacotronSection
    attends = True
    mel_layers = ("*decoder.prenet.*", "*decoder.projection.*", "post_net.*")

    def __init__(self, config: TacotronSection, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio, statistics)
        self.embedding = nn.Embedding(len(SYMBOLS), config.symbols_embedding_dim)
        bound = (6.0 / (len(SYMBOLS) + config.symbols_embedding_dim)) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.encoder = Encoder(config.symbols_embedding_dim, config.encoder)
        self.decoder = self.build_decoder()
        self.post_net = PostNet(config.post_net, n_mels=len(statistics.mean))

    def build_decoder(self) -> Decoder:
        """Return a decoder of this model's sizes, with random weights."""
        config = self.config
        return Decoder(
            len(self.mel_mean), self.encoder.output_dim, config.most_frames_per_step, config.decoder, config.attention
        )

    def forward(self, batch: Batch, step: int) -> Prediction:
        """Return the teacher-forced prediction of a batch's mels at a step of the training."""
        values, mask = self.encode(batch.symbol_ids, batch.symbol_lengths)
        frames_per_step = self.config.frames_per_step_at(step)
        output = teacher_forced([self.decoder], [self.normalise(batch.mel)], values, mask, frames_per_step)[0]
        refined = self.refine(output.mel, batch.mel_lengths)
        return Prediction(output.mel, output.gate_logits, output.alignments, refined)

    def predict_recorded(self, batch: Batch, step: int) -> Float[Tensor, "batch mels padded_frames"]:
        """Return teacher-forced natural-log mels; frames are rounded up to whole decoder steps."""
        return self.denormalise(self(batch, step).mel_postnet)

    @torch.inference_mode()
    def infer(self, texts: Sequence[Int[Tensor, " _"]], seed: int, options: InferenceOptions) -> list[Utterance]:
        """Return an utterance for each text; each ends at its own step.

        The prenet's dropout is drawn from (seed, text), so a text sounds the same alone and in any batch.
        """
        symbol_ids, lengths = pad(texts)
        device, frames_per_step = self.mel_mean.device, self.config.frames_per_step_at(options.step)
        values, mask = self.encode(symbol_ids.to(device), lengths.to(device))
        most_steps = [self._most_steps(len(text), frames_per_step) for text in texts]
        generators = [_generator(seed, text) for text in texts]
        decoded = self._decoder_inference(options).run(values, mask, most_steps, generators, frames_per_step)
        mel, frames = pad([each.mel for each in decoded])
        log_mel = self.denormalise(self.refine(mel, frames.to(device)))
        return [
            self._utterance(each, log_mel[row, :, : frames[row]], len(text), frames_per_step)
            for row, (each, text) in enumerate(zip(decoded, texts, strict=True))
        ]

    def _utterance(
        self, decoded: DecodedText, log_mel: Float[Tensor, "mels frames"], symbols: int, frames_per_step: int
    ) -> Utterance:
        alignment = decoded.alignment[:, :symbols]
        status = status_of(alignment, decoded.stopped, frames_per_step, self.audio.frames_per_s)
        return Utterance(log_mel, alignment, status)

    def _decoder_inference(self, options: InferenceOptions) -> DecoderInference:
        """Return the decoder prepared for inference; it is kept until its weights or the options change."""
        formats = options.weight_format, options.cuda_graphs and self.mel_mean.device.type == "cuda"
        return self.cached(lambda: DecoderInference(self.decoder, *formats), formats)

    def encode(
        self, symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch symbols encoding"], Bool[Tensor, "batch symbols"]]:
        """Return the encoded texts, and a mask that is true where there is text."""
        mask = mask_of(lengths, symbol_ids.shape[1])
        embedded = self.embedding(symbol_ids).transpose(1, 2)
        return self.encoder(embedded, lengths, self._convolution_mask(mask)), mask

    def refine(
        self, mel: Float[Tensor, "batch mels frames"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch mels frames"]:
        """Return the mel plus the post-net's correction."""
        mask = self._convolution_mask(mask_of(lengths, mel.shape[-1]))
        return mel + self.post_net(mel * mask[:, None], mask)

    def target(self, batch: Batch, step: int) -> Target:
        """Return the target of a decoder of this model at a step of the training."""
        steps = -(-batch.mel_lengths // self.config.frames_per_step_at(step))
        return Target(self.normalise(batch.mel), batch.mel_lengths, steps, batch.symbol_lengths)

    def post_net_losses(
        self, mel_postnet: Float[Tensor, "batch mels padded_frames"], target: Target, batch: Batch
    ) -> Losses:
        """Return the weighted losses of the post-net's output."""
        mel = mel_postnet[..., : target.mel.shape[-1]]
        losses = {"mel_postnet": mel_loss(mel, target.mel, target.lengths)}
        if self.config.loss.stft_weight:
            losses["stft"] = self.config.loss.stft_weight * stft_loss(self.denormalise(mel), batch, self.audio)
        return losses

    def _convolution_mask(self, mask: Bool[Tensor, "batch time"]) -> Bool[Tensor, "batch time"]:
        return mask if self.config.mask_convolutions else torch.ones_like(mask)

    def _most_steps(self, symbols: int, frames_per_step: int) -> int:
        """Return the largest number of decoder steps for a text of so many symbols."""
        decoder = self.config.decoder
        by_text = -(-symbols * decoder.max_frames_per_symbol // frames_per_step)
        return max(1, min(int(by_text), decoder.max_decoder_steps))


def _generator(seed: int, text: Int[Tensor, " symbols"]) -> torch.Generator:
    """Return the random generator of one utterance, which depends on (seed, text) alone."""
    return torch.Generator().manual_seed(seed_of(f"{seed}:{text.tolist()}"))
