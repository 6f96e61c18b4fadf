"""DTC: Tacotron 2 with a second decoder that reads and predicts the same clips backwards in time during training.

Both decoders share the encoder. Their mels and their attentions are trained to agree, so each is regularised by the
other, which predicts from the opposite direction. Inference uses the forward decoder alone and costs as much as that of
Tacotron 2. Source: Zheng et al. 2019, forward-backward decoding regularization (arXiv:1907.09006).

The backward decoder helps the attention to align, early in the training. With `duel.fade_steps` the weights of its
losses fall to 0; from then on a training step costs as much as one of Tacotron 2.

Each clip is reversed by its own length: reversing a padded batch would start the backward decoder on padding.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from dtc.acoustic.configs import DTCConfig
from dtc.acoustic.decoder import DecoderOutput, teacher_forced
from dtc.acoustic.loss import Target, decoder_losses, diagonal_score, mel_loss
from dtc.acoustic.tacotron import Tacotron
from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses, mask_of, masked_mean, time_reversed, with_total


class DTC(Tacotron):
    """Tacotron 2 with a second decoder, backwards in time, during training. Its section is `DTCConfig`."""

    config: DTCConfig

    def __init__(self, config: DTCConfig, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio, statistics)
        self.backward_decoder = self.build_decoder() if config.reverse_decoder else None

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the weighted losses of both decoders and of their agreement, `loss`, their sum, and metrics.

        The metrics are `diagonal_score` and, where the backward decoder takes part, `backward_diagonal_score`.
        """
        target = self.target(batch, step)
        values, mask = self.encode(batch.symbol_ids, batch.symbol_lengths)
        decoders, mels = [self.decoder], [target.mel]
        share = self.config.duel.share_at(step)
        if self.backward_decoder is not None and share:
            decoders.append(self.backward_decoder)
            mels.append(time_reversed(target.mel, target.lengths, dim=2))
        output = teacher_forced(decoders, mels, values, mask, self.config.frames_per_step_at(step))
        forward = output[0]
        losses = decoder_losses(forward, target, self.config.loss, step)
        losses |= self.post_net_losses(self.refine(forward.mel, batch.mel_lengths), target, batch)
        metrics = {"diagonal_score": diagonal_score(forward.alignments, target)}
        if len(decoders) == 2:
            duel, metrics["backward_diagonal_score"] = self._duel(output, replace(target, mel=mels[1]), step)
            losses |= {name: share * loss for name, loss in duel.items()}
        return with_total(losses, metrics)

    def _duel(self, output: DecoderOutput, target: Target, step: int) -> tuple[Losses, Tensor]:
        """Return the losses of the backward decoder and of the agreement, and the backward diagonal score.

        `target` holds the reversed mel. The backward attention is reversed into the clip's own time.
        """
        weights, forward, backward = self.config.duel, output[0], output[1]
        mel = backward.mel[..., : target.mel.shape[-1]]
        alignments = time_reversed(backward.alignments, target.steps, dim=1)
        own = decoder_losses(replace(backward, alignments=alignments), target, self.config.loss, step)
        losses = {f"backward_{name}": weights.backward_weight * loss for name, loss in own.items()}
        if weights.mel_agreement_weight:
            forward_mel = forward.mel[..., : mel.shape[2]]
            agreement = mel_loss(time_reversed(mel, target.lengths, dim=2), forward_mel, target.lengths)
            losses["mel_agreement"] = weights.mel_agreement_weight * agreement
        if weights.attention_agreement_weight:
            difference = (alignments - forward.alignments).abs().sum(dim=2)
            agreement = masked_mean(difference, mask_of(target.steps, difference.shape[1]))
            losses["attention_agreement"] = weights.attention_agreement_weight * agreement
        return losses, diagonal_score(alignments, target)
