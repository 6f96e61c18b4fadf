"""A vocoder taught by critics: it learns to be taken for a recording, they learn to tell.

They play in turns at every step: the vocoder first, by its own losses and what the critics say of it, then the critics,
on what it has just made. What ships is the vocoder alone.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dtc.batch import Batch
from dtc.vocoder.configs import AdversarialConfig
from dtc.vocoder.discriminators import Discriminators, Opinion

Terms = dict[str, Float[Tensor, ""]]


class Generator(Protocol):
    """A vocoder whose training can be judged."""

    def speak_segments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A random segment of each clip, recorded and made."""

    def loss_of(self, recorded: Tensor, made: Tensor) -> Terms:
        """Its own weighted terms, `loss` their sum."""


class Adversarial(nn.Module):
    """A vocoder in training, and its critics."""

    def __init__(self, model: nn.Module, config: AdversarialConfig) -> None:
        super().__init__()
        self.config, self.model = config, model
        self.adversary = Discriminators(config.discriminators)
        self._pair: tuple[Tensor, Tensor] | None = None  # recorded and made waves of this step

    def training_loss(self, batch: Batch, step: int) -> Terms:
        """The vocoder's terms, and in training from `start_step` on what the critics say of it."""
        vocoder = cast(Generator, self.model)
        recorded, made = vocoder.speak_segments(batch)
        terms = vocoder.loss_of(recorded, made)
        self._pair = None
        if self.training and step >= self.config.start_step:
            self._pair = recorded, made.detach()
            self.adversary.requires_grad_(False)
            terms |= self._persuasion(self.adversary(recorded), self.adversary(made))
            terms["loss"] = terms["loss"] + terms["adversarial"] + terms["feature_matching"]
        return terms

    def adversary_loss(self) -> Terms | None:
        """What the critics are to learn from the waves of this step; None where they do not play yet.

        Hinge loss: recorded waves above 1, made ones below -1. Source: Siuzdak 2023 (arXiv:2306.00814), section 3.3.
        """
        if self._pair is None:
            return None
        self.adversary.requires_grad_(True)
        recorded, made = (self.adversary(wave) for wave in self._pair)
        on_recorded = _mean([torch.relu(1.0 - opinion.scores).mean() for opinion in recorded])
        on_made = _mean([torch.relu(1.0 + opinion.scores).mean() for opinion in made])
        return {"loss": on_recorded + on_made, "on_recorded": on_recorded.detach(), "on_made": on_made.detach()}

    def _persuasion(self, recorded: list[Opinion], made: list[Opinion]) -> Terms:
        scores = _mean([torch.relu(1.0 - opinion.scores).mean() for opinion in made])
        distances = [
            (ours - theirs).abs().mean()
            for opinion, model in zip(made, recorded, strict=True)
            for ours, theirs in zip(opinion.features, model.features, strict=True)
        ]
        return {
            "adversarial": self.config.adversarial_weight * scores,
            "feature_matching": self.config.feature_matching_weight * _mean(distances),
        }


def _mean(values: list[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(values).mean()
