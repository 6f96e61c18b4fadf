"""The params sections of the attentions, chosen by `acoustic.attention.model`. This file imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from dtc.config import Odd, Section


class AttentionSection(Section):
    """Base of the section of every attention."""

    model: str
    rnn_dim: PositiveInt  # width of the attention LSTM, whose output is the query
    attention_dim: PositiveInt  # width of the hidden layer in which the scores are computed


class LocationSensitiveConfig(AttentionSection):
    """Sizes of the location-sensitive attention of Tacotron 2; the filters run over the earlier attention weights."""

    model: Literal["location_sensitive"]
    num_filters: PositiveInt
    kernel_size: Odd


class GMMConfig(AttentionSection):
    """Sizes of the Gaussian mixture attention, version V2 of arXiv:1910.10288."""

    model: Literal["gmm"]
    num_mixtures: PositiveInt  # Gaussians, whose sum is the attention


class DynamicConvolutionConfig(AttentionSection):
    """Sizes of the dynamic convolution attention; as many dynamic filters as static ones, and of the same size."""

    model: Literal["dynamic_convolution"]
    num_filters: PositiveInt
    kernel_size: Odd
