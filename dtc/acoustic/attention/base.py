"""The base classes of all attentions.

An `Attention` holds the parameters of one decoder. `Attention.begin` starts the pass of one or several decoders over
the same texts: it computes the values that all steps share. The `AttentionPass` that it returns computes the steps of
all these decoders at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc.acoustic.attention.configs import AttentionSection
from dtc.acoustic.deferred_gradients import LoopProduct

State = tuple[Tensor, ...]  # between two steps; each tensor is (decoders, batch, …)


class Attention(nn.Module, ABC):
    """The parameters of the attention of one decoder.

    A subclass is constructed with the width of the encoded text and its own section of params.yaml.
    """

    def __init__(self, encoding_dim: int, config: AttentionSection) -> None:
        super().__init__()

    @staticmethod
    @abstractmethod
    def begin(
        attentions: Sequence[Any],
        values: Float[Tensor, "batch symbols encoding"],
        mask: Bool[Tensor, "batch symbols"],
        dtype: torch.dtype,
    ) -> AttentionPass:
        """Begin a pass of several decoders over a batch of texts.

        Args:
            attentions: one attention of this class for each decoder.
            values: the encoded texts.
            mask: true where there is text.
            dtype: dtype of the matrix products of a step.
        """


class AttentionPass(ABC):
    """One pass of several decoders over a batch of texts."""

    @abstractmethod
    def start(self) -> State:
        """Return the state before the first step."""

    @abstractmethod
    def step(
        self, query: Float[Tensor, "decoders batch query"], state: State
    ) -> tuple[Float[Tensor, "decoders batch symbols"], State]:
        """Return the attention weights and the next state. Weights sum to 1 over each text and are 0 beyond it."""

    @abstractmethod
    def select(self, rows: Tensor) -> AttentionPass:
        """Return the pass over some texts of the batch, given by their numbers."""


@dataclass(frozen=True)
class OneStatePass(AttentionPass):
    """A pass whose state is one tensor; `first` is that before the first step."""

    first: Float[Tensor, "decoders batch ..."]
    mask: Bool[Tensor, "batch symbols"]

    def start(self) -> State:
        """Return the state before the first step."""
        return (self.first,)

    def select(self, rows: Tensor) -> OneStatePass:
        """Return the pass over some texts of the batch, given by their numbers."""
        return replace(self, first=self.first[:, rows], mask=self.mask[rows])


class LoopLinear:
    """A linear layer of each decoder inside the loop: the product is computed in `dtype`, the sum in float32."""

    def __init__(
        self, weights: Sequence[Float[Tensor, "out into"]], biases: Sequence[Float[Tensor, " out"]], dtype: torch.dtype
    ) -> None:
        self.product = LoopProduct(torch.stack([weight.T for weight in weights]).to(dtype))
        self.bias = torch.stack(list(biases))[:, None]

    def __call__(self, inputs: Float[Tensor, "decoders rows into"]) -> Float[Tensor, "decoders rows out"]:
        """Return each decoder's rows after its own layer."""
        return self.product(inputs) + self.bias


def masked_softmax(
    scores: Float[Tensor, "decoders batch symbols"], mask: Bool[Tensor, "batch symbols"]
) -> Float[Tensor, "decoders batch symbols"]:
    """Return the softmax over each text, computed in float32 under autocast too."""
    scores = scores.to(at_least_float32(scores))
    # finfo.min and not -inf, which would make NaN of a row that is masked as a whole.
    return torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)


def at_least_float32(values: Tensor) -> torch.dtype:
    """Return the dtype of a state: that of `values`, or float32 where that has less precision, as under autocast."""
    return torch.promote_types(values.dtype, torch.float32)
