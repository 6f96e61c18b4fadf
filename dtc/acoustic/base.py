"""What every acoustic model has: encoder, decoder and post-net, its schedules, and the way it speaks.

    symbols ─► embedding ─► convolutions ─► BiLSTM ─► values ─► decoder ─► mel ─► post-net ─► mel

A model is one file that adds how it is taught.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.configs import AcousticSection, TacotronSection
from dtc.acoustic.decoder import Decoder, teach
from dtc.acoustic.inference import Speaker
from dtc.acoustic.layers import Encoder, PostNet
from dtc.acoustic.loss import Target, Terms, mel_loss, stft_loss
from dtc.acoustic.packed_linear import Precision
from dtc.acoustic.utterance_status import Status, status_of
from dtc.audio import AudioConfig
from dtc.batch import Batch, mask_of, pad
from dtc.model_card import CARD, ModelCard, load_weights, read_model
from dtc.text.symbols import SYMBOLS


@dataclass(frozen=True)
class Prediction:
    """A teacher-forced pass, in the model's normalised mel; frames are a multiple of the frames of a step."""

    mel: Float[Tensor, "batch mels frames"]
    mel_postnet: Float[Tensor, "batch mels frames"]
    gate_logits: Float[Tensor, "batch steps"]
    alignments: Float[Tensor, "batch steps symbols"]


@dataclass(frozen=True)
class Utterance:
    """One synthesised text."""

    mel: Float[Tensor, "mels frames"]  # natural log
    alignment: Float[Tensor, "steps symbols"]
    status: Status


class AcousticModel(nn.Module, ABC):
    """A model for log-mels with the given mean and deviation of each band (from the features' index)."""

    mel_mean: Tensor
    mel_deviation: Tensor

    def __init__(
        self,
        config: TacotronSection,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__()
        self.config, self.audio = config, audio
        self.step = 0  # of training; schedules follow it, also when the trained model speaks
        self.precision: Precision = "float32"  # of the decoder's weights when it speaks
        self.cuda_graphs = False  # when it speaks on a GPU: a launch for many steps
        self._ready: tuple[object, Speaker] | None = None
        self.register_buffer("mel_mean", mel_mean.clone())
        self.register_buffer("mel_deviation", mel_deviation.clone())
        self.embedding = nn.Embedding(len(SYMBOLS), config.symbols_embedding_dim)
        bound = (6.0 / (len(SYMBOLS) + config.symbols_embedding_dim)) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.encoder = Encoder(config.symbols_embedding_dim, config.encoder)
        self.decoder = self.build_decoder()
        self.post_net = PostNet(config.post_net, n_mels=len(mel_mean))

    def build_decoder(self) -> Decoder:
        """A decoder of this model's size, with random weights."""
        config = self.config
        return Decoder(
            len(self.mel_mean), self.encoder.output_dim, config.most_frames_per_step, config.decoder, config.attention
        )

    @abstractmethod
    def training_loss(self, batch: Batch, step: int) -> Terms:
        """Weighted terms of a teacher-forced pass at a step of the training, `loss` their sum; and metrics."""

    def forward(self, batch: Batch) -> Prediction:
        """Teacher-forced prediction of a batch's mel; frames are rounded up to a multiple of those of a step."""
        values, mask = self.encode(batch.symbol_ids, batch.symbol_lengths)
        taught = teach([self.decoder], [self.normalise(batch.mel)], values, mask, self.frames_per_step)
        mel = taught.mel[0]
        return Prediction(mel, self.refine(mel, batch.mel_lengths), taught.gate_logits[0], taught.alignments[0])

    @torch.inference_mode()
    def infer(self, texts: Sequence[Int[Tensor, " _"]], seed: int) -> list[Utterance]:
        """Mels of several texts at once; each stops by itself.

        The prenet's dropout is drawn from (seed, text), so a text sounds the same alone and in any batch.
        """
        symbol_ids, lengths = pad(texts)
        device, r = self.mel_mean.device, self.frames_per_step
        values, mask = self.encode(symbol_ids.to(device), lengths.to(device))
        caps = [self._step_cap(len(text)) for text in texts]
        generators = [_generator(seed, text) for text in texts]
        spoken = self._speaker().speak(values, mask, caps, generators, r)
        mel, frames = pad([said.mel for said in spoken])
        refined = self.refine(mel, frames.to(device))
        log_mel = refined * self.mel_deviation[:, None] + self.mel_mean[:, None]
        utterances = []
        for row, (said, text) in enumerate(zip(spoken, texts, strict=True)):
            alignment = said.alignment[:, : len(text)]
            status = status_of(alignment, said.stopped, r, self.audio.frames_per_s)
            utterances.append(Utterance(log_mel[row, :, : frames[row]], alignment, status))
        return utterances

    def train(self, mode: bool = True) -> AcousticModel:
        """As in nn.Module; what was made ready to speak is out of date by the next step."""
        self._ready = None  # a fused optimizer changes weights without counting their versions up
        return super().train(mode)

    def _speaker(self) -> Speaker:
        """The decoder made ready, until its weights are others."""
        graphs = self.cuda_graphs and self.mel_mean.device.type == "cuda"
        weights = (self.precision, graphs, *((value.data_ptr(), value._version) for value in self.decoder.parameters()))
        if self._ready is None or self._ready[0] != weights:
            self._ready = weights, Speaker(self.decoder, self.precision, graphs)
        return self._ready[1]

    @property
    def frames_per_step(self) -> int:
        """Of a decoder step, at this point of the training."""
        return self.config.frames_per_step_at(self.step)

    def encode(
        self, symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch symbols encoding"], Bool[Tensor, "batch symbols"]]:
        """The encoded texts, and where there is text."""
        mask = mask_of(lengths, symbol_ids.shape[1])
        embedded = self.embedding(symbol_ids).transpose(1, 2)
        return self.encoder(embedded, lengths, self._convolved(mask)), mask

    def refine(
        self, mel: Float[Tensor, "batch mels frames"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch mels frames"]:
        """The mel with what the post-net adds to it."""
        mask = self._convolved(mask_of(lengths, mel.shape[-1]))
        return mel + self.post_net(mel * mask[:, None], mask)

    def target(self, batch: Batch) -> Target:
        """What a decoder of this model is to predict."""
        return Target.of(batch, self.normalise(batch.mel), self.frames_per_step)

    def refined_terms(
        self, mel_postnet: Float[Tensor, "batch mels padded_frames"], target: Target, batch: Batch
    ) -> Terms:
        """The weighted terms of the post-net's output."""
        mel = mel_postnet[..., : target.mel.shape[-1]]
        terms = {"mel_postnet": mel_loss(mel, target.mel, target.lengths)}
        if self.config.loss.stft_weight:
            log_mel = mel * self.mel_deviation[:, None] + self.mel_mean[:, None]
            terms["stft"] = self.config.loss.stft_weight * stft_loss(log_mel, batch, self.audio)
        return terms

    def _convolved(self, mask: Bool[Tensor, "batch time"]) -> Bool[Tensor, "batch time"]:
        return mask if self.config.mask_convolutions else torch.ones_like(mask)

    def normalise(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Log-mel with each band at mean 0 and deviation 1 over the corpus."""
        return (mel - self.mel_mean[:, None]) / self.mel_deviation[:, None]

    def _step_cap(self, symbols: int) -> int:
        decoder = self.config.decoder
        by_text = -(-symbols * decoder.max_frames_per_symbol // self.frames_per_step)
        return min(int(by_text), decoder.max_decoder_steps)


def _generator(seed: int, text: Int[Tensor, " symbols"]) -> torch.Generator:
    """Random stream of one utterance, from (seed, text) alone."""
    digest = hashlib.sha256(f"{seed}:{text.tolist()}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def build_acoustic(
    config: AcousticSection, audio: AudioConfig, mel_mean: Float[Tensor, " mels"], mel_deviation: Float[Tensor, " mels"]
) -> AcousticModel:
    """Return the model that `config.model` names, with random weights.

    Args:
        config: the model's params section.
        audio: the definition of the mel.
        mel_mean: mean of each band's log-mel over the corpus.
        mel_deviation: standard deviation of each band's log-mel over the corpus.
    """
    return ACOUSTIC_MODELS.get(config.model)(config, audio, mel_mean, mel_deviation)


def load_acoustic(folder: Path, device: torch.device) -> tuple[AcousticModel, ModelCard]:
    """Return a trained model in evaluation mode, and its card.

    Raises InputError where the folder holds no acoustic model, or was changed since it was saved.
    """
    card, weights = read_model(folder, "acoustic")
    config = cast(AcousticSection, ACOUSTIC_MODELS.parse(card.config, f"{folder / CARD}: config"))
    model = build_acoustic(config, card.audio, *card.statistics())
    model.step = card.steps
    load_weights(model, weights, folder)
    return model.to(device).eval(), card
