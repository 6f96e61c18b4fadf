"""The params section `synthesis`. This file imports no torch."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveInt

from dtc.acoustic.configs import WeightFormat
from dtc.config import Section


class SynthesisConfig(Section):
    """Settings of the synthesis of a text of any length. Where a value may be null, null is what suits the voice."""

    # Factor of the durations of all sounds: above 1 is slower. An acoustic model with attention takes 1 only.
    pace: float = Field(ge=0.25, le=4.0)
    attempts: PositiveInt  # at most, at a phrase with a bad status; each draws other dropout
    fit_iterations: NonNegativeInt  # of `fit_mel`, which corrects the vocoder's waveform by the mel
    decoder_weights: WeightFormat  # float16 and int8 take a half and a quarter of the memory of float32
    cuda_graphs: bool  # on a GPU, launch many decoder steps as one
    # Symbols; a longer sentence is cut at commas, or else between words. null: the model's own `longest_phrase`.
    longest_phrase: int | None = Field(ge=20)
    # Silence between sentences, and between the parts of one at a punctuation mark, including what the model generates.
    # null: as the corpus has it, or else 0.4 and 0.2 s, see `dtc.pauses`.
    sentence_pause_s: float | None = Field(ge=0.0, le=10.0)
    clause_pause_s: float | None = Field(ge=0.0, le=10.0)


DEFAULT_SYNTHESIS = SynthesisConfig(
    pace=1.0,
    attempts=3,
    fit_iterations=0,
    decoder_weights="float32",
    cuda_graphs=False,
    longest_phrase=None,
    sentence_pause_s=None,
    clause_pause_s=None,
)
