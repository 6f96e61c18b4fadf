"""The judge's network: a small convolutional classifier of mel patches, and its training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dtc.judge.patches import Patches

CHANNELS = (16, 32, 64)
PAIRS_PER_STEP, PATCHES_AT_ONCE = 16, 128
LEARNING_RATE, WEIGHT_DECAY, WARMUP_SHARE = 5e-3, 0.05, 0.15


class PatchNetwork(nn.Module):
    """Gives each mel patch a score: above 0 for the second side of the contest, below 0 for the first.

    Three convolutions with stride 2, mean and standard deviation over what is left of time and bands, and a linear
    layer. A second input channel is the band's place from -1 to 1: what a harmonic looks like depends on it. `mean` and
    `deviation` are those of each band in the training patches.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Float[Tensor, " bands"], deviation: Float[Tensor, " bands"]) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        layers = list[nn.Module]()
        for into, out, kernel in zip((2, *CHANNELS[:-1]), CHANNELS, (5, 3, 3), strict=True):
            layers += [nn.Conv2d(into, out, kernel, stride=2, padding=1), nn.GroupNorm(1, out), nn.GELU()]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(2 * CHANNELS[-1], 1)

    def standardised(self, patches: Float[Tensor, "n bands frames"]) -> Float[Tensor, "n bands frames"]:
        """Return patches whose bands have mean 0 and standard deviation 1 over the training patches."""
        return (patches - self.mean[:, None]) / self.deviation[:, None]

    def forward(self, standardised: Float[Tensor, "n bands frames"]) -> Float[Tensor, " n"]:
        """Return the scores of standardised patches."""
        place = torch.linspace(-1, 1, standardised.shape[1]).view(1, -1, 1).expand_as(standardised)
        hidden = self.convolutions(torch.stack([standardised, place], dim=1)).flatten(2)
        deviation = (hidden.var(dim=2) + 1e-6).sqrt()  # without the constant, its gradient at 0 would be infinite
        return self.head(torch.cat([hidden.mean(dim=2), deviation], dim=1))[:, 0]

    def of_many(self, standardised: Float[Tensor, "n bands frames"]) -> Float[Tensor, " n"]:
        """Return the scores of standardised patches, computed in parts to limit the memory."""
        return torch.cat([self(part) for part in standardised.split(PATCHES_AT_ONCE)])


def train_network(patches: Patches, steps: int, seed: int) -> PatchNetwork:
    """Return a network that is trained to tell the second of each pair from the first.

    Each step takes one patch of each of some pairs, from the same place in both clips, so both sides are seen equally
    often. Everything random comes from the seed. The optimizer is AdamW with the learning rates of one cycle.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        by_band = patches.permute(3, 0, 1, 2, 4).flatten(1)
        network = PatchNetwork(by_band.mean(dim=1), by_band.std(dim=1).clamp(min=1e-3))
        optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=steps, pct_start=WARMUP_SHARE
        )
        for _ in range(steps):
            pairs = torch.randperm(len(patches))[:PAIRS_PER_STEP]
            chosen = patches[pairs, :, torch.randint(patches.shape[2], pairs.shape)]
            loss = loss_of(network(network.standardised(chosen.flatten(0, 1))).view(-1, 2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def loss_of(scores: Float[Tensor, "pairs 2"]) -> Float[Tensor, ""]:
    """Return the loss of the scores of some pairs: cross-entropy of each clip, and of the order within each pair.

    With σ the logistic function and scores a and b, it is -½ log σ(-a) - ½ log σ(b) - log σ(b - a). The last term
    learns fast, as both say the same text; the others make the scores of different texts comparable.
    """
    first, second = scores.T
    return (F.softplus(first) + F.softplus(-second)).mean() / 2 + F.softplus(first - second).mean()


def scores_of(network: PatchNetwork, patches: Patches) -> Float[Tensor, "pairs 2"]:
    """Return the score of each clip: the mean over its patches."""
    return network.of_many(network.standardised(patches.flatten(0, 2))).view(patches.shape[:3]).mean(dim=2)
