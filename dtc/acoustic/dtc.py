"""DTC: Tacotron 2 taught by a duel. A second decoder reads and speaks the same clips backwards in time.

The encoder is shared. The forward decoder learns to say what the backward one, coming from the future, has arrived at,
and the other way round: frames and attention of the two must agree. When the model speaks, only the forward decoder is
there, so it costs what Tacotron 2 costs. Source: Zheng et al. 2019, forward-backward decoding (arXiv:1907.09006).

The duel finds the attention; it does not finish the voice. So it may fade, until the backward decoder rests and the
training costs what Tacotron 2's costs too.

Each clip is turned round by its own length. To flip a padded batch would start the backward decoder on padding.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dtc.acoustic.base import AcousticModel
from dtc.acoustic.configs import DTCConfig
from dtc.acoustic.decoder import Decoded, teach
from dtc.acoustic.loss import Target, Terms, decoder_terms, diagonal_score, mel_loss, summed_up
from dtc.audio import AudioConfig
from dtc.batch import Batch, mask_of, masked_mean


class DTC(AcousticModel):
    """Tacotron 2 with a second decoder, backwards in time, while it is trained."""

    config: DTCConfig

    def __init__(
        self,
        config: DTCConfig,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__(config, audio, mel_mean, mel_deviation)
        self.backward_decoder = self.build_decoder() if config.reverse_decoder else None

    def training_loss(self, batch: Batch, step: int) -> Terms:
        """Weighted terms of both decoders and of their agreement, `loss` their sum; the diagonal scores."""
        self.step = step
        target, weights = self.target(batch), self.config.loss
        values, mask = self.encode(batch.symbol_ids, batch.symbol_lengths)
        decoders, mels = [self.decoder], [target.mel]
        share = self.config.duel.share_at(step)
        if self.backward_decoder is not None and share:
            decoders.append(self.backward_decoder)
            mels.append(turned(target.mel, target.lengths, dim=2))
        taught = teach(decoders, mels, values, mask, self.frames_per_step)
        mel, alignments = taught.mel[0], taught.alignments[0]
        terms = decoder_terms(mel, taught.gate_logits[0], alignments, target, weights, step)
        terms |= self.refined_terms(self.refine(mel, batch.mel_lengths), target, batch)
        metrics = {"diagonal_score": diagonal_score(alignments, target)}
        if len(decoders) == 2:
            duel, metrics["backward_diagonal_score"] = self._duel(taught, replace(target, mel=mels[1]), step)
            terms |= {name: share * term for name, term in duel.items()}
        return summed_up(terms, metrics)

    def _duel(self, taught: Decoded, target: Target, step: int) -> tuple[Terms, Tensor]:
        """What the backward decoder and its agreement with the forward one add, and the backward diagonal score."""
        weights = self.config.duel
        mel = taught.mel[1][..., : target.mel.shape[-1]]
        alignments = turned(taught.alignments[1], target.steps, dim=1)  # in the clip's own time
        own = decoder_terms(mel, taught.gate_logits[1], alignments, target, self.config.loss, step)
        terms = {f"backward_{name}": weights.backward_weight * term for name, term in own.items()}
        if weights.mel_agreement_weight:
            agreement = mel_loss(turned(mel, target.lengths, dim=2), taught.mel[0][..., : mel.shape[2]], target.lengths)
            terms["mel_agreement"] = weights.mel_agreement_weight * agreement
        if weights.attention_agreement_weight:
            apart = (alignments - taught.alignments[0]).abs().sum(dim=2)
            agreement = masked_mean(apart, mask_of(target.steps, apart.shape[1]))
            terms["attention_agreement"] = weights.attention_agreement_weight * agreement
        return terms, diagonal_score(alignments, target)


def turned(values: Tensor, lengths: Int[Tensor, " batch"], dim: int) -> Tensor:
    """Each row of a batch backwards in time, by its own length; 0 beyond it. `dim` is time."""
    size = values.shape[dim]
    mask = mask_of(lengths, size)  # (B, T)
    places = (lengths[:, None] - 1 - torch.arange(size, device=values.device)).clamp(min=0)
    shape = [len(values)] + [size if axis == dim else 1 for axis in range(1, values.dim())]
    gathered = values.gather(dim, places.view(shape).expand_as(values))
    return gathered * mask.view(shape)
