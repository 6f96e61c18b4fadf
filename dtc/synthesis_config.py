"""The section `synthesis` of params.yaml: how a voice speaks. Reading it does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from dtc.config import Section


class SynthesisConfig(Section):
    """Define how a voice speaks a text of any length."""

    # At most, of a phrase that went wrong, each with another dropout in the prenet. 1: no second attempt.
    attempts: PositiveInt
    # Iterations of `dtc.vocoder.mel_fitting.fit_mel` after the vocoder. 0: none.
    fit_iterations: NonNegativeInt
    # Of the decoder. float16 and int8 are half and a quarter of the bytes to read for every frame.
    decoder_weights: Literal["float32", "float16", "int8"]
    cuda_graphs: bool  # on a GPU, many decoder steps in one launch
    # In symbols. A longer sentence is spoken in parts, cut at its commas or else between words.
    longest_phrase: int = Field(ge=20)
    # Between sentences, and between the parts of one at a mark. The silence that the voice itself makes there counts.
    sentence_pause_s: float = Field(ge=0.0, le=10.0)
    clause_pause_s: float = Field(ge=0.0, le=10.0)
