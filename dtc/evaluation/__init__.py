"""Evaluation: recognisers and word errors, distances to the recordings, and diagnostics of the attention."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from dtc.config import Section

NO_RECOGNISER = "none"


def _require_known(name: str) -> str:
    from dtc.evaluation.recognisers import RECOGNISERS

    known = (*RECOGNISERS.names(), NO_RECOGNISER)
    if name not in known:
        raise ValueError(f"found {name!r}, expected one of {', '.join(known)}")
    return name


class EvaluateConfig(Section):
    """Settings of the evaluation of a voice on the held-out clips."""

    seed: NonNegativeInt  # of the synthesis
    max_clips: PositiveInt  # held-out clips, the first in the shards
    recogniser: Annotated[str, AfterValidator(_require_known)]  # one of RECOGNISERS; none: no word errors
    grammar: str | None  # of the recogniser `grammar`: a JSGF file, or the name of one that ships with dtc
    fit_iterations: PositiveInt  # of the copies that are fitted to their mel
    griffin_lim_iterations: PositiveInt  # of the baseline
    griffin_lim_momentum: float = Field(ge=0.0, lt=1.0)
