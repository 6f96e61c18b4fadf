"""Tacotron 2 (Shen et al. 2018, arXiv:1712.05884): one decoder, taught by the frames that it is to predict."""

from __future__ import annotations

from dtc.acoustic.base import AcousticModel
from dtc.acoustic.loss import Terms, decoder_terms, diagonal_score, summed_up
from dtc.batch import Batch


class Tacotron2(AcousticModel):
    """Tacotron 2."""

    def training_loss(self, batch: Batch, step: int) -> Terms:
        """Weighted terms of a teacher-forced pass, `loss` their sum, and the diagonal score."""
        self.step = step
        said, target = self(batch), self.target(batch)
        terms = decoder_terms(said.mel, said.gate_logits, said.alignments, target, self.config.loss, step)
        terms |= self.refined_terms(said.mel_postnet, target, batch)
        return summed_up(terms, {"diagonal_score": diagonal_score(said.alignments, target)})
