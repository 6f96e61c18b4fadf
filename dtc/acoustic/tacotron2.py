"""Tacotron 2 (Shen et al. 2018, arXiv:1712.05884): one decoder, trained with teacher forcing."""

from __future__ import annotations

from dtc.acoustic.loss import decoder_losses, diagonal_score
from dtc.acoustic.tacotron import Tacotron
from dtc.batch import Batch, Losses, with_total


class Tacotron2(Tacotron):
    """Tacotron 2. Its section is `Tacotron2Config`."""

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the weighted losses of a teacher-forced pass, `loss`, their sum, and the metric `diagonal_score`."""
        prediction, target = self(batch, step), self.target(batch, step)
        losses = decoder_losses(prediction, target, self.config.loss, step)
        losses |= self.post_net_losses(prediction.mel_postnet, target, batch)
        return with_total(losses, {"diagonal_score": diagonal_score(prediction.alignments, target)})
