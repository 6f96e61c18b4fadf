"""The parallel model: it predicts how many frames each symbol lasts, and then all frames at once.

    text ─► embedding ─► ConvNeXt blocks ─┬─► ConvNeXt blocks ─► durations (at inference)
                                          └─► repeated by the durations, plus the place inside each symbol
                                                                        └─► ConvNeXt blocks ─► mel

There is no attention, so no word is skipped or repeated, and an utterance ends where its last symbol does. All layers
are local convolutions: nothing depends on the length of the text. Sources: FastSpeech (Ren et al. 2019,
arXiv:1905.09263) for durations, ConvNeXt (Liu et al. 2022, arXiv:2201.03545) for the blocks.

In the first steps of a training, only the aligner is trained. Then it is left as it is, and its durations of the
training clips are those that the model learns from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dtc import whole_batch
from dtc.acoustic.aligner import Aligner
from dtc.acoustic.base import AcousticModel, InferenceOptions, Utterance, require_finite
from dtc.acoustic.configs import ConvNeXtConfig, ParallelConfig
from dtc.acoustic.symbol_embedding import symbol_embedding
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses, mask_of, masked_mean, pad, positions, with_total
from dtc.convnext import ConvNeXtBlock
from dtc.errors import InputError
from dtc.text.symbols import ID_OF, SYMBOLS

FIRST_SCALE = 0.3  # of what each block adds to its input
PLACE_FEATURES = 5
# Frames: a text of n symbols that would last n times the first, and the second for its silences, is not spoken.
LONGEST_SYMBOL, LONGEST_SILENCES = 100, 1000
SHORTEST_WORD_S = 0.045  # "a" or "the" in fast speech
SOUNDS = torch.tensor([any(map(str.isalpha, symbol)) for symbol in SYMBOLS])  # letters and phonemes, no marks


class Parallel(AcousticModel):
    """Encoder, duration predictor and decoder of ConvNeXt blocks, and an aligner. Its section is `ParallelConfig`."""

    config: ParallelConfig
    mel_layers = ("aligner.*", "output.*")
    longest_phrase = 500  # so that memory is bounded; longer texts would be spoken as well

    def __init__(self, config: ParallelConfig, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio, statistics)
        self.aligner = Aligner(len(statistics.mean), config.aligner)
        self.embedding = symbol_embedding(config.encoder.dim)
        self.encoder = Blocks(config.encoder.dim, config.encoder)
        self.duration = Blocks(config.encoder.dim, config.duration)
        self.log_duration = nn.Linear(config.duration.dim, 1)
        self.place = nn.Linear(PLACE_FEATURES, config.encoder.dim)
        self.decoder = Blocks(config.encoder.dim, config.decoder)
        self.output = nn.Linear(config.decoder.dim, len(statistics.mean))

    @property
    def phase_starts(self) -> tuple[int, ...]:
        """Return the step from which on all but the aligner is trained."""
        return (self.config.aligner.steps,)

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return `loss` and its terms: `alignment` in the aligner's steps, and then `mel` and `duration`.

        The metric `duration_ratio` is the sum of the predicted durations over that of the true ones. Raises InputError,
        with the clip's name, where a text has more symbols than its clip has frames.
        """
        batch = self._prepared(batch)
        if step < self.config.aligner.steps:
            return with_total({"alignment": self.aligner.loss(batch, step)})
        durations = self.aligner.durations(batch)
        encoded, mask = self.encode(batch.symbol_ids, batch.symbol_lengths)
        log_durations = self.log_durations(encoded, mask)
        mel = self.decode(encoded, spread(durations, batch.mel.shape[2]), batch.mel_lengths)
        losses = {
            "mel": masked_mean((mel.float() - batch.mel).abs(), mask_of(batch.mel_lengths, batch.mel.shape[2])),
            "duration": self.config.duration_weight * duration_loss(log_durations, durations, mask),
        }
        ratio = whole_batch.portion((log_durations.exp() * mask).sum()) / whole_batch.total(durations.sum())
        return with_total(losses, {"duration_ratio": ratio})

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Make the predicted durations as long as those of the recordings, in the sum over batches.

        Without dropout, the layers compute other durations than in training: longer ones, by some percent. Raises
        InputError where no factor corrects them: they are infinite, 0 or no numbers.
        """
        predicted = recorded = torch.zeros((), device=self.mel_mean.device, dtype=torch.float64)
        for batch in map(self._prepared, batches):
            encoded, mask = self.encode(batch.symbol_ids, batch.symbol_lengths)
            predicted = predicted + whole_batch.total((self.log_durations(encoded, mask).exp() * mask).sum())
            recorded = recorded + whole_batch.total(batch.mel_lengths.sum())
        correction = (recorded / predicted).log()
        require_finite(correction, "acoustic model")
        self.log_duration.bias.add_(correction)

    def predict_recorded(self, batch: Batch, step: int) -> Float[Tensor, "batch mels frames"]:
        """Return the natural-log mels of the texts with the recordings' durations. Raises as `training_loss` does."""
        batch = self._prepared(batch)
        spread_out = spread(self.aligner.durations(batch), batch.mel.shape[2])
        encoded, _ = self.encode(batch.symbol_ids, batch.symbol_lengths)
        return self.denormalise(self.decode(encoded, spread_out, batch.mel_lengths))

    @torch.inference_mode()
    def infer(self, texts: Sequence[Int[Tensor, " _"]], seed: int, options: InferenceOptions) -> list[Utterance]:
        """Return an utterance for each text. Nothing is random, so `seed` has no effect. Raises as `synthesise`."""
        symbol_ids, lengths = (each.to(self.mel_mean.device) for each in pad(texts))
        mel, frame_lengths, path = self.synthesise(symbol_ids, lengths, options.pace)
        return [
            # The silence at either end belongs to no symbol of the text.
            Utterance(mel[row, :, :frames], path[row, :frames, 1 : 1 + len(texts[row])], "ended")
            for row, frames in enumerate(frame_lengths.tolist())
        ]

    def synthesise(
        self, symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"], pace: float | Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "batch mels frames"], Int[Tensor, " batch"], Float[Tensor, "batch frames longer"]]:
        """Return natural-log mels of padded texts, their lengths in frames, and the path of the symbols.

        The path has a symbol of silence before and after each text. The result depends on no Python number, so that
        the exporter to ONNX can follow it.

        Raises InputError where the predicted durations are not finite, or longer than any speech.
        """
        symbol_ids, lengths = framed(symbol_ids, lengths)
        encoded, mask = self.encode(symbol_ids, lengths)
        predicted = self.log_durations(encoded, mask).exp()
        _require_plausible(predicted * mask, lengths)
        shortest_word = math.ceil(SHORTEST_WORD_S * self.audio.frames_per_s)
        lasting = with_lasting_words((pace * predicted).clamp(min=1.0), symbol_ids, shortest_word)
        durations = whole_frames(lasting, mask)
        frame_lengths = durations.sum(dim=1)
        spread_out = spread(durations, frame_lengths.max())
        mel = self.denormalise(self.decode(encoded, spread_out, frame_lengths))
        return mel, frame_lengths, spread_out.path

    def encode(
        self, symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch encoding symbols"], Bool[Tensor, "batch symbols"]]:
        """Return the encoded texts, and a mask that is true where there is text."""
        mask = mask_of(lengths, symbol_ids.shape[1])
        return self.encoder(self.embedding(symbol_ids).transpose(1, 2), mask), mask

    def log_durations(
        self, encoded: Float[Tensor, "batch encoding symbols"], mask: Bool[Tensor, "batch symbols"]
    ) -> Float[Tensor, "batch symbols"]:
        """Return the natural logarithm of each symbol's predicted duration in frames."""
        return self.log_duration(self.duration(encoded, mask).transpose(1, 2))[:, :, 0].float()

    def decode(
        self, encoded: Float[Tensor, "batch encoding symbols"], spread_out: Spread, lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch mels frames"]:
        """Return the normalised mel of encoded texts whose symbols are spread out over frames."""
        # A product, and not an index: on a GPU the gradient of an index is summed in an order that varies.
        repeated = torch.bmm(encoded, spread_out.path.transpose(1, 2).to(encoded.dtype))
        hidden = repeated + self.place(spread_out.place).transpose(1, 2)
        hidden = self.decoder(hidden, mask_of(lengths, hidden.shape[2]))
        return self.output(hidden.transpose(1, 2)).transpose(1, 2)

    def _prepared(self, batch: Batch) -> Batch:
        """Return the batch with silence at both ends of the texts and normalised mels, if each text fits its clip."""
        symbol_ids, lengths = framed(batch.symbol_ids, batch.symbol_lengths)
        for clip, symbols, frames in zip(batch.ids, lengths.tolist(), batch.mel_lengths.tolist(), strict=True):
            if symbols > frames:
                found = f"the text does not fit: {symbols - 2} symbols in {frames} frames"
                remedy = "correct its text, or leave the clip out of the corpus"
                raise InputError(clip, found, f"{symbols} frames or more", remedy)
        return replace(batch, symbol_ids=symbol_ids, symbol_lengths=lengths, mel=self.normalise(batch.mel))


class Blocks(nn.Module):
    """ConvNeXt blocks and a layer normalisation; before them a linear layer where the input has another width."""

    def __init__(self, input_dim: int, config: ConvNeXtConfig) -> None:
        super().__init__()
        self.input = nn.Linear(input_dim, config.dim) if input_dim != config.dim else nn.Identity()
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.dim, config.intermediate_dim, config.kernel_size, FIRST_SCALE, config.dropout_rate)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)

    def forward(
        self, inputs: Float[Tensor, "batch input time"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch dim time"]:
        """Return values over the same time; the padding does not reach the others."""
        hidden = self.input(inputs.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.norm(hidden.transpose(1, 2)).transpose(1, 2)


def _require_plausible(durations: Float[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"]) -> None:
    """Raise InputError where the durations of a text cannot be those of speech, and would exhaust the memory."""
    require_finite(durations, "acoustic model")
    frames, most = durations.sum(dim=1), LONGEST_SYMBOL * lengths + LONGEST_SILENCES
    if (frames > most).any():
        worst = int((frames / most).argmax())
        found = f"predicted {frames[worst]:.3g} frames for {lengths[worst]} symbols"
        raise InputError("acoustic model", found, f"at most {most[worst]}", "its training diverged: train it again")


def duration_loss(
    log_durations: Float[Tensor, "batch symbols"],
    durations: Int[Tensor, "batch symbols"],
    mask: Bool[Tensor, "batch symbols"],
) -> Float[Tensor, ""]:
    """Return the mean Tweedie deviance of power 1.5, 4 (√p - √d)² / √p of true durations d and predicted ones p.

    It is about √d (ln d/p)²: long symbols weigh more. The usual loss (ln d/p)² is least at the geometric mean of the
    true durations, by which speech gets too fast; this one is least at their mean. Noise in ln p, as dropout makes it,
    does not change that, as it pulls as much to either side; with a deviance of power 2 (gamma), speech gets too slow.
    """
    root = (log_durations / 2).exp()
    return 4.0 * masked_mean((root - durations.sqrt()).square() / root, mask)


@dataclass(frozen=True)
class Spread:
    """Symbols spread out over frames by their durations. The padding repeats the last frame."""

    path: Float[Tensor, "batch frames symbols"]  # 1 where the frame belongs to the symbol, else 0
    place: Float[Tensor, "batch frames 5"]  # where the frame is inside its symbol


def spread(durations: Int[Tensor, "batch symbols"], frames: int | Int[Tensor, ""]) -> Spread:
    """Return the spread of symbols over so many frames, the durations' sum or more.

    The five features of the place are: the share p of the symbol that has passed, closeness to its start and to its
    end, the logarithm of its duration, and sin πp.
    """
    ends = durations.cumsum(dim=1)
    frame = torch.minimum(positions(frames, durations.device), ends[:, -1:] - 1)  # (B, T)
    symbol = (ends[:, None] <= frame[:, :, None]).sum(dim=2)
    duration, end = durations.gather(1, symbol), ends.gather(1, symbol)
    into, left = frame - (end - duration), end - 1 - frame
    passed = (into + 0.5) / duration
    place = [passed, torch.exp(-into / 2), torch.exp(-left / 2), duration.float().log(), torch.sin(math.pi * passed)]
    path = symbol[:, :, None] == torch.arange(durations.shape[1], device=durations.device)
    return Spread(path.to(passed.dtype), torch.stack(place, dim=2))


def with_lasting_words(
    durations: Float[Tensor, "batch symbols"], symbol_ids: Int[Tensor, "batch symbols"], shortest: int
) -> Float[Tensor, "batch symbols"]:
    """Return durations by which the letters and phonemes of each word last `shortest` frames or more.

    Those of a shorter word are multiplied by one factor. Spaces and marks between words keep their durations.
    """
    sounds = SOUNDS.to(symbol_ids.device)[symbol_ids]
    word = (symbol_ids == ID_OF[" "]).long().cumsum(dim=1)  # the number of the word that each symbol belongs to
    of_same_word = (word[:, :, None] == word[:, None]) & sounds[:, None]
    lengths = (of_same_word * durations[:, None]).sum(dim=2)
    return torch.where(sounds, durations * (shortest / lengths).clamp(min=1.0), durations)


def whole_frames(
    durations: Float[Tensor, "batch symbols"], mask: Bool[Tensor, "batch symbols"]
) -> Int[Tensor, "batch symbols"]:
    """Return durations in whole frames, 0 where the mask is false; those of 1 or more stay 1 or more.

    Not each duration is rounded but the end of each symbol, so that the errors do not add up.
    """
    ends = (durations * mask).cumsum(dim=1).round().long()
    return ends - torch.nn.functional.pad(ends[:, :-1], (1, 0))  # the exporter to ONNX has no diff


def framed(
    symbol_ids: Int[Tensor, "batch symbols"], lengths: Int[Tensor, " batch"]
) -> tuple[Int[Tensor, "batch longer"], Int[Tensor, " batch"]]:
    """Return texts with a space at either end, which takes the silence there, and their lengths."""
    longer = torch.nn.functional.pad(symbol_ids, (1, 1))
    longer[:, 0] = ID_OF[" "]
    return longer.scatter(1, lengths[:, None] + 1, ID_OF[" "]), lengths + 2
