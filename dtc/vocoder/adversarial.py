"""Adversarial training of a vocoder: in each step the vocoder is updated first, and then its discriminators.

Only the vocoder is saved as a model; the discriminators are part of the training.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dtc import whole_batch
from dtc.batch import Batch, Losses
from dtc.vocoder.configs import AdversarialConfig
from dtc.vocoder.discriminators import DiscriminatorOutput, Discriminators


class Generator(Protocol):
    """A vocoder that can be trained with discriminators."""

    def generate_segments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return a random segment of each clip: the recording, and what the vocoder generates from its mel."""

    def loss_of(self, recorded: Tensor, generated: Tensor) -> Losses:
        """Return the vocoder's own weighted terms, and their sum as `loss`."""


class Adversarial(nn.Module):
    """A vocoder in training, as `model`, and its discriminators, as `adversary`."""

    def __init__(self, model: nn.Module, config: AdversarialConfig) -> None:
        super().__init__()
        self.config, self.model = config, model
        self.adversary = Discriminators(config.discriminators)
        self._segments: tuple[Tensor, Tensor] | None = None  # recorded and generated, of this step

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the vocoder's terms; in training mode, from `start_step` on, with the adversarial ones.

        The discriminators get no gradient from it.
        """
        vocoder = cast(Generator, self.model)
        recorded, generated = vocoder.generate_segments(batch)
        terms = vocoder.loss_of(recorded, generated)
        self._segments = None
        if self.training and step >= self.config.start_step:
            self._segments = recorded, generated.detach()
            self.adversary.requires_grad_(False)
            terms |= self._adversarial_terms(self.adversary(recorded), self.adversary(generated))
            terms["loss"] = terms["loss"] + terms["adversarial"] + terms["feature_matching"]
        return terms

    def adversary_loss(self) -> Losses | None:
        """Return the discriminators' loss on the segments of the last `training_loss`, or None before `start_step`.

        It is the hinge loss: recorded waveforms should score above 1, generated ones below -1.
        Source: Siuzdak 2023 (arXiv:2306.00814), section 3.3.
        """
        if self._segments is None:
            return None
        self.adversary.requires_grad_(True)
        recorded, generated = (self.adversary(wave) for wave in self._segments)
        on_recorded = _mean([whole_batch.mean(torch.relu(1.0 - each.scores)) for each in recorded])
        on_generated = _mean([whole_batch.mean(torch.relu(1.0 + each.scores)) for each in generated])
        parts = {"on_recorded": on_recorded.detach(), "on_generated": on_generated.detach()}
        return {"loss": on_recorded + on_generated, **parts}

    def _adversarial_terms(self, recorded: list[DiscriminatorOutput], generated: list[DiscriminatorOutput]) -> Losses:
        """Return the hinge loss of the generated waveforms' scores, and the distance of the features, weighted."""
        scores = _mean([whole_batch.mean(torch.relu(1.0 - each.scores)) for each in generated])
        distances = [
            whole_batch.mean((ours - theirs).abs())
            for ours_of_one, theirs_of_one in zip(generated, recorded, strict=True)
            for ours, theirs in zip(ours_of_one.features, theirs_of_one.features, strict=True)
        ]
        return {
            "adversarial": self.config.adversarial_weight * scores,
            "feature_matching": self.config.feature_matching_weight * _mean(distances),
        }


def _mean(values: list[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(values).mean()
