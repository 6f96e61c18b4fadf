"""Evaluation: recognisers and word errors, distances to the recordings, and diagnostics of the attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from dtc.config import Section
from dtc.registry import Part, Registry

if TYPE_CHECKING:
    from dtc.evaluation.recognisers import Recogniser

NO_RECOGNISER = "none"


# Each builds a recogniser from the section `evaluate`; raises InputError where its model or settings cannot be used.
RECOGNISERS: Registry[Callable[[EarConfig], Recogniser]] = Registry(
    "evaluate.ear",
    {
        "whisper": Part("dtc.evaluation.recognisers.whisper:build_whisper_recogniser"),
        "grammar": Part("dtc.evaluation.recognisers.grammar:build_grammar_recogniser"),
    },
)


class EarConfig(Section):
    """Settings of the speech recogniser."""

    ear: Annotated[str, RECOGNISERS.name_or(NO_RECOGNISER)]  # the recogniser; none: no word errors
    grammar: str | None  # of the recogniser `grammar`: a JSGF file, or the name of one that ships with dtc
    whisper_model: str  # of the recogniser `whisper`: a size, such as tiny.en, or a folder
    texts_grammar: str | None  # of the recogniser `grammar`, for texts that the corpus does not have


class EvaluateConfig(EarConfig):
    """Settings of the evaluation of a voice on the held-out clips."""

    seed: NonNegativeInt  # of the synthesis
    max_clips: PositiveInt  # held-out clips, the first in the shards
    texts: str | None  # that the corpus does not have: a file with one a line, or the name of one that ships with dtc
    fit_iterations: PositiveInt  # of the copies that are fitted to their mel
    griffin_lim_iterations: PositiveInt  # of the baseline
    griffin_lim_momentum: float = Field(ge=0.0, lt=1.0)
