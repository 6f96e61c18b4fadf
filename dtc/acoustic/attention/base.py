"""What every attention is: weights that one decoder owns, and a pass of several decoders over the same texts.

An `Attention` holds the weights of one decoder. `Attention.over` begins a pass of one or several decoders over the same
texts: what no step changes is computed there, and the `Reading` it gives does the steps of all of them at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.configs import AttentionSection
from dtc.acoustic.deferred_gradients import Deferred

State = tuple[Tensor, ...]  # what a step hands to the next; each (decoders, batch, …)


class Attention(nn.Module, ABC):
    """The weights of one decoder's attention."""

    def __init__(self, encoding_dim: int, config: AttentionSection) -> None:
        super().__init__()

    @staticmethod
    @abstractmethod
    def over(
        attentions: Sequence[Any],  # all of this class, one a decoder
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> Reading:
        """Begin a pass; the products of a step are computed in `dtype`."""


class Reading(ABC):
    """One pass of several decoders over a batch of texts."""

    @abstractmethod
    def start(self) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Attention weights, which sum to one over each text and are 0 beyond it, and the next state."""

    @abstractmethod
    def select(self, rows: Tensor) -> Reading:
        """The same for some texts of the batch."""


class StepLinear:
    """A linear layer of each decoder, inside the loop: product in `dtype`, bias and sum in float32."""

    def __init__(
        self,
        weights: Sequence[Float[Tensor, "out into"]],
        biases: Sequence[Float[Tensor, " out"]],
        dtype: torch.dtype,
    ) -> None:
        self.product = Deferred(torch.stack([weight.T for weight in weights]).to(dtype))
        self.bias = torch.stack(list(biases))[:, None]

    def __call__(self, inputs: Float[Tensor, "decoders rows into"]) -> Float[Tensor, "decoders rows out"]:
        """One decoder's rows by its own weights."""
        return self.product(inputs) + self.bias


def masked_softmax(
    scores: Float[Tensor, "decoders batch symbols"], mask: Bool[Tensor, "batch symbols"]
) -> Float[Tensor, "decoders batch symbols"]:
    """Softmax over the text, in float32 also under autocast; finfo.min, not -inf, which makes NaN in half precision."""
    scores = scores.to(at_least_float32(scores))
    return torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)


def at_least_float32(values: Tensor) -> torch.dtype:
    """Of what is carried from step to step, whatever autocast makes of the products."""
    return torch.promote_types(values.dtype, torch.float32)
