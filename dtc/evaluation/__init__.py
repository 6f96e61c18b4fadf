"""How good is the voice? An independent recogniser, distances to the recordings, and the attention's shape."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveInt

from dtc.config import Section


class EvaluateConfig(Section):
    """What the held-out clips are measured with."""

    seed: NonNegativeInt  # of the synthesis
    max_clips: PositiveInt  # held-out clips, the first in the shards
    grammar: str | None  # JSGF file, or the name of one that ships with dtc; null: no word error rate
    fit_iterations: PositiveInt  # of the copies that are fitted to their mel
    griffin_lim_iterations: PositiveInt  # of the baseline
    griffin_lim_momentum: float = Field(ge=0.0, lt=1.0)
